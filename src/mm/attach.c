/* SPDX-License-Identifier: MIT */
/*
 * Attaching threads to address spaces. One lock for all spaces, the attach lock, guards which
 * threads use which spaces. A thread takes it only when it begins or ceases to use a space, and
 * when memory is short.
 *
 * A thread finds its per-thread states by the spaces' ids, in a hash table that only the thread
 * itself reads and writes. An id is never used again. So an entry for a destroyed space does no
 * harm. Such entries disappear when the thread rebuilds the table from the list of its states.
 *
 * A thread that has ended here, and uses a space once more in a later destructor, counts as a new
 * thread.
 */
#include "attach.h"

#include "memory.h"
#include "room.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MAX_THREADS (MM__MANY_THREADS - 1)
#define MIN_SLOTS   8u

/* A thread that uses address spaces. */
struct mm__os_thread {
	struct mm__rcu_thread rcu;
	struct mm__remembered *slots; /* open addressing; id 0: empty */
	unsigned int bits;            /* 2^bits slots */
	size_t used;                  /* at most half of them */
	struct mm__thread *threads;   /* with the attach lock */
};

MMRANGE__THREAD_LOCAL struct mm__remembered mm__remembered[MM__REMEMBERED];
static MMRANGE__THREAD_LOCAL struct mm__os_thread *self;

static pthread_mutex_t attach_lock = PTHREAD_MUTEX_INITIALIZER;
/* With the attach lock. */
static pthread_key_t thread_key;
static atomic_bool have_key;

static void detach_all(void *os_thread);

void mm__attach_lock(void)
{
	mm__mutex_lock(&attach_lock, MM__ORDER_ATTACH);
}

void mm__attach_unlock(void)
{
	mm__mutex_unlock(&attach_lock, MM__ORDER_ATTACH);
}

/* Tries again if an earlier call failed. */
static bool make_key(void)
{
	if (!atomic_load(&have_key))
		atomic_store(&have_key, !pthread_key_create(&thread_key, detach_all));
	return atomic_load(&have_key);
}

/* The library may be unloaded after the last space was destroyed, while threads still run. */
__attribute__((destructor)) static void delete_key(void)
{
	if (atomic_exchange(&have_key, false))
		pthread_key_delete(thread_key);
}

/*
 * The hash table
 */

static size_t slot_of(uint64_t id, unsigned int bits)
{
	return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* The entry of id, or the empty entry where it belongs. */
static struct mm__remembered *find_slot(struct mm__remembered *slots, unsigned int bits,
					uint64_t id)
{
	size_t mask = ((size_t)1 << bits) - 1;
	size_t i = slot_of(id, bits);

	while (slots[i].id && slots[i].id != id)
		i = (i + 1) & mask;
	return &slots[i];
}

/* With the attach lock: makes room for one more entry. */
static bool rebuild_table(struct mm__os_thread *os_thread)
{
	struct mm__remembered *slots;
	unsigned int bits = 3;
	size_t count = 0;

	for (const struct mm__thread *thread = os_thread->threads; thread;
	     thread = thread->next_of_thread)
		count++;
	/* So the thread can add at least half as many entries as it has before the next rebuild. */
	while ((size_t)1 << bits < 3 * (count + 1))
		bits++;
	slots = mm__allocate_zeroed(((size_t)1 << bits) * sizeof(*slots));
	if (!slots)
		return false;
	for (struct mm__thread *thread = os_thread->threads; thread;
	     thread = thread->next_of_thread)
		*find_slot(slots, bits, thread->mm->id) =
			(struct mm__remembered){ thread->mm->id, thread };
	mm__free(os_thread->slots);
	os_thread->slots = slots;
	os_thread->bits = bits;
	os_thread->used = count;
	return true;
}

static bool has_room(const struct mm__os_thread *os_thread)
{
	return os_thread->slots && os_thread->used < (size_t)1 << (os_thread->bits - 1);
}

static struct mm__thread *find_thread(struct mm__os_thread *os_thread, uint64_t id)
{
	return os_thread && os_thread->slots
		       ? find_slot(os_thread->slots, os_thread->bits, id)->thread
		       : NULL;
}

/*
 * Attaching. The attach lock is held.
 */

/* Makes detach_all() run when the calling thread ends. */
static bool set_thread(struct mm__os_thread *os_thread)
{
	int saved = errno;
	bool done = !pthread_setspecific(thread_key, os_thread);

	errno = saved;
	return done;
}

/* Registers the calling thread. False: no memory. */
static bool begin_thread(void)
{
	struct mm__os_thread *os_thread;

	if (self)
		return true;
	if (!make_key())
		return false;
	os_thread = mm__allocate(_Alignof(struct mm__os_thread), sizeof(*os_thread));
	if (!os_thread)
		return false;
	memset(os_thread, 0, sizeof(*os_thread));
	if (!set_thread(os_thread)) {
		mm__free(os_thread);
		return false;
	}
	mm__rcu_begin_thread(&os_thread->rcu);
	self = os_thread;
	return true;
}

/*
 * Numbers. The lock of struct mm__threads is held.
 */

/* Doubles the numbers, up to MAX_THREADS. False: no memory, or there are MAX_THREADS already. */
static bool add_numbers(struct mm__threads *threads)
{
	uint32_t size = threads->size ? 2 * threads->size : MM__THREADS_IN_FIRST;
	unsigned int part = mm__thread_part(threads->size + 1);
	_Atomic(struct mm__thread *) *thread;
	uint16_t *numbers;

	if (threads->size == MAX_THREADS)
		return false;
	if (size > MAX_THREADS)
		size = MAX_THREADS;
	numbers = mm__reallocate(threads->free_numbers, size, sizeof(*numbers));
	if (!numbers)
		return false;
	threads->free_numbers = numbers;
	thread = mm__allocate_zeroed((size - threads->size) * sizeof(*thread));
	if (!thread)
		return false;
	/* release: pairs with the acquire in mm__thread_of() */
	atomic_store_explicit(&threads->part[part], thread, memory_order_release);
	/* The lowest number is on top of the stack. */
	for (uint32_t i = size; i > threads->size; i--)
		numbers[threads->nr_free++] = (uint16_t)i;
	threads->size = size;
	return true;
}

/* All zero, as after clear_state(). */
static struct mm__thread *new_thread(struct mm *mm, uint32_t number)
{
	struct mm__thread *thread = mm__allocate(_Alignof(struct mm__thread), sizeof(*thread));

	if (!thread)
		return NULL;
	memset(thread, 0, sizeof(*thread));
	if (pthread_mutex_init(&thread->interrupt_lock, NULL)) {
		mm__free(thread);
		return NULL;
	}
	thread->number = number;
	thread->mm = mm;
	return thread;
}

static void publish_state(struct mm__threads *threads, struct mm__thread *thread)
{
	unsigned int part = mm__thread_part(thread->number);
	/* relaxed: it changes only under the lock */
	_Atomic(struct mm__thread *) *first =
		atomic_load_explicit(&threads->part[part], memory_order_relaxed);

	/* release: pairs with the acquire in mm__thread_of() */
	atomic_store_explicit(&first[thread->number - 1 - mm__threads_before_part(part)], thread,
			      memory_order_release);
}

/*
 * The per-thread state of a free number: a new one, or that of a thread that has ended. Does not
 * take the number off the stack.
 */
static struct mm__thread *find_free(struct mm *mm)
{
	struct mm__threads *threads = &mm->threads;
	struct mm__thread *thread;
	uint32_t number;

	if (!threads->nr_free && !add_numbers(threads))
		return NULL;
	number = threads->free_numbers[threads->nr_free - 1];
	thread = mm__thread_of(threads, number);
	if (!thread) {
		thread = new_thread(mm, number);
		if (thread)
			publish_state(threads, thread);
	}
	return thread;
}

static struct mm__thread *take_free(struct mm *mm)
{
	struct mm__thread *thread;

	mm__mutex_lock(&mm->threads.lock, MM__ORDER_THREADS);
	thread = find_free(mm);
	if (thread) {
		mm->threads.nr_free--;
		thread->used = true;
	}
	mm__mutex_unlock(&mm->threads.lock, MM__ORDER_THREADS);
	return thread;
}

static void free_threads(struct mm__threads *threads)
{
	for (uint32_t number = 1; number <= threads->size; number++) {
		struct mm__thread *thread = mm__thread_of(threads, number);

		if (thread)
			pthread_mutex_destroy(&thread->interrupt_lock);
		mm__free(thread);
	}
	/* relaxed: no other thread uses the space any more */
	for (unsigned int part = 0; part < MM__THREAD_PARTS; part++)
		mm__free(atomic_load_explicit(&threads->part[part], memory_order_relaxed));
	mm__free(threads->free_numbers);
	pthread_mutex_destroy(&threads->lock);
}

/*
 * The per-thread states of a thread. The attach lock is held.
 */

static void link_to_thread(struct mm__thread *thread, struct mm__os_thread *os_thread)
{
	thread->next_of_thread = os_thread->threads;
	thread->link_of_thread = &os_thread->threads;
	if (thread->next_of_thread)
		thread->next_of_thread->link_of_thread = &thread->next_of_thread;
	os_thread->threads = thread;
}

static void link_to_pool(struct mm__thread *thread, struct mm__frames *pool)
{
	thread->next_of_pool = pool->threads;
	thread->link_of_pool = &pool->threads;
	if (thread->next_of_pool)
		thread->next_of_pool->link_of_pool = &thread->next_of_pool;
	pool->threads = thread;
}

/* os_thread is NULL for own_thread. NULL: no memory, or too many threads. */
static struct mm__thread *make_thread(struct mm__os_thread *os_thread, struct mm *mm)
{
	struct mm__thread *thread = take_free(mm);

	if (!thread)
		return NULL;
	if (os_thread)
		link_to_thread(thread, os_thread);
	link_to_pool(thread, mm->frames);
	return thread;
}

static struct mm__thread *attach_thread(struct mm *mm, uint64_t id)
{
	struct mm__thread *thread;

	if (!begin_thread() || (!has_room(self) && !rebuild_table(self)))
		return NULL;
	thread = make_thread(self, mm);
	if (thread) {
		*find_slot(self->slots, self->bits, id) = (struct mm__remembered){ id, thread };
		self->used++;
	}
	return thread;
}

/*
 * The attach lock is not held.
 */

struct mm__thread *mm__thread_attach(struct mm *mm, uint64_t id)
{
	struct mm__thread *thread = find_thread(self, id);

	if (!thread) {
		mm__check_copy(mm);
		mm__attach_lock();
		thread = attach_thread(mm, id);
		mm__attach_unlock();
	}
	if (thread)
		mm__remembered[id % MM__REMEMBERED] = (struct mm__remembered){ id, thread };
	return thread;
}

bool mm__os_thread_attach(void)
{
	bool begun;

	mm__attach_lock();
	begun = begin_thread();
	mm__attach_unlock();
	return begun;
}

/*
 * The first id of this copy of the library. Two copies are at least a page apart. So no id of one
 * copy is an id of the other until one of them has made 2^28 spaces. Until then, a thread finds no
 * state of its own for a space of the other copy, and calls mm__check_copy().
 */
static uint64_t first_id(void)
{
	return (uint64_t)(uintptr_t)&mmrange__copy << 16;
}

int mm__threads_init(struct mm *mm)
{
	static _Atomic(uint64_t) nr_made;

	if (pthread_mutex_init(&mm->threads.lock, NULL))
		return ENOMEM;
	mm->copy = &mmrange__copy;
	mm->id = first_id() + atomic_fetch_add_explicit(&nr_made, 1, memory_order_relaxed);
	mm__attach_lock();
	mm->own_thread = make_thread(NULL, mm);
	mm__attach_unlock();
	if (mm->own_thread)
		return 0;
	free_threads(&mm->threads);
	return ENOMEM;
}

/*
 * Detaching
 */

static void unlink_thread(struct mm__thread *thread)
{
	if (thread->link_of_thread) {
		*thread->link_of_thread = thread->next_of_thread;
		if (thread->next_of_thread)
			thread->next_of_thread->link_of_thread = thread->link_of_thread;
	}
	*thread->link_of_pool = thread->next_of_pool;
	if (thread->next_of_pool)
		thread->next_of_pool->link_of_pool = thread->link_of_pool;
	thread->link_of_thread = NULL;
}

/*
 * Clears the fields of the thread that has ended, for the next thread. Takes the interrupt lock,
 * because other threads may be flushing this TLB.
 */
static void clear_state(struct mm__thread *thread)
{
	const size_t first = offsetof(struct mm__thread, fenced_entries);

	mm__mutex_lock(&thread->interrupt_lock, MM__ORDER_INTERRUPT);
	memset((char *)thread + first, 0, offsetof(struct mm__thread, interrupt_lock) - first);
	mm__mutex_unlock(&thread->interrupt_lock, MM__ORDER_INTERRUPT);
}

static void give_back(struct mm__thread *thread)
{
	struct mm__threads *threads = &thread->mm->threads;

	mm__mutex_lock(&threads->lock, MM__ORDER_THREADS);
	for (unsigned int i = 0; i < MM__NR_EVENTS; i++)
		threads->past[i] += atomic_load_explicit(&thread->events[i], memory_order_relaxed);
	clear_state(thread);
	thread->used = false;
	threads->free_numbers[threads->nr_free++] = (uint16_t)thread->number;
	mm__mutex_unlock(&threads->lock, MM__ORDER_THREADS);
}

/* The attach lock is held. */
static void end_thread(struct mm__thread *thread)
{
	mm__check(!thread->held, "a thread ends, or its space, that holds a range");
	mm__tables_unkept(&thread->mm->page_table, thread);
	mm__room_end_thread(thread);
	unlink_thread(thread);
	mm__frames_lock(thread->mm->frames);
	mm__frame_cache_empty(thread->mm->frames, &thread->cache);
	mm__frames_unlock(thread->mm->frames);
	give_back(thread);
}

/*
 * Ends one of the thread's per-thread states. False: it has none. Drops the attach lock afterwards,
 * so that other threads can take it in between.
 */
static bool end_one(struct mm__os_thread *os_thread)
{
	bool found;

	mm__attach_lock();
	found = os_thread->threads;
	if (found)
		end_thread(os_thread->threads);
	mm__attach_unlock();
	return found;
}

/* Runs when the thread ends. */
static void detach_all(void *memory)
{
	struct mm__os_thread *os_thread = memory;

	memset(mm__remembered, 0, sizeof(mm__remembered));
	while (end_one(os_thread))
		;
	mm__rcu_end_thread(&os_thread->rcu);
	self = NULL;
	mm__free(os_thread->slots);
	mm__free(os_thread);
}

void mm__threads_destroy(struct mm *mm)
{
	mm__attach_lock();
	for (uint32_t number = 1; number <= mm->threads.size; number++) {
		struct mm__thread *thread = mm__thread_of(&mm->threads, number);

		if (thread && thread->used)
			end_thread(thread);
	}
	mm__attach_unlock();
	free_threads(&mm->threads);
}

/*
 * Counters
 */

void mm__events(struct mm *mm, uint64_t sums[MM__NR_EVENTS])
{
	struct mm__threads *threads = &mm->threads;

	mm__mutex_lock(&threads->lock, MM__ORDER_THREADS);
	memcpy(sums, threads->past, sizeof(threads->past));
	for (uint32_t number = 1; number <= threads->size; number++) {
		const struct mm__thread *thread = mm__thread_of(threads, number);

		for (unsigned int event = 0; thread && event < MM__NR_EVENTS; event++)
			sums[event] +=
				atomic_load_explicit(&thread->events[event], memory_order_relaxed);
	}
	mm__mutex_unlock(&threads->lock, MM__ORDER_THREADS);
}

/*
 * fork(2)
 */

void mm__threads_before_fork(void)
{
	pthread_mutex_lock(&attach_lock);
}

void mm__threads_after_fork(bool child)
{
	if (child && self) {
		/* The spaces are the parent's. Threads that are gone may hold their locks. */
		memset(mm__remembered, 0, sizeof(mm__remembered));
		self->threads = NULL;
		mm__free(self->slots);
		self->slots = NULL;
	}
	pthread_mutex_unlock(&attach_lock);
}
