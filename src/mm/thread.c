/* SPDX-License-Identifier: MIT */
/*
 * Which threads use which address spaces is known under one lock for all, which is taken only when
 * a thread begins or ends to use a space, and when memory is short.
 *
 * A thread finds its cpus by the spaces' numbers, in a hash table that only it reads and writes. Numbers
 * are never used again. So an entry of a space that was destroyed does no harm; such entries go when
 * the table is built anew, from the list of those cpus that there are.
 *
 * A thread that has ended and uses a space once more, in a later destructor, is a new one here.
 */
#include "cpu.h"

#include "internal.h"
#include "memory.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define MAX_CPUS  (MM__CPU_MANY - 1)
#define MIN_SLOTS 8u

/* A thread that uses address spaces. */
struct mm__thread {
	struct mm__rcu_thread rcu;
	struct mm__remembered *slots; /* open addressing; id 0: empty */
	unsigned int bits;            /* 2^bits slots */
	size_t used;                  /* at most half of them */
	struct mm__cpu *cpus;         /* with the attach lock */
};

MMRANGE__THREAD_LOCAL struct mm__remembered mm__remembered[MM__REMEMBERED];
static MMRANGE__THREAD_LOCAL struct mm__thread *self;

pthread_mutex_t mm__attach_lock = PTHREAD_MUTEX_INITIALIZER;
/* With the attach lock. */
static pthread_key_t thread_key;
static atomic_bool have_key;

static void detach_all(void *thread);

static void lock_attach(void)
{
	mm__mutex_lock(&mm__attach_lock, MM__ORDER_ATTACH);
}

static void unlock_attach(void)
{
	mm__mutex_unlock(&mm__attach_lock, MM__ORDER_ATTACH);
}

/* Tries again where it has failed before. */
static bool make_key(void)
{
	if (!atomic_load(&have_key))
		atomic_store(&have_key, !pthread_key_create(&thread_key, detach_all));
	return atomic_load(&have_key);
}

/* The library may be unloaded, after the last space was destroyed, while threads go on. */
__attribute__((destructor)) static void delete_key(void)
{
	if (atomic_exchange(&have_key, false))
		pthread_key_delete(thread_key);
}

/*
 * The table
 */

static size_t slot_of(uint64_t id, unsigned int bits)
{
	return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* The entry of id, or an empty one. */
static struct mm__remembered *find_slot(struct mm__remembered *slots, unsigned int bits,
					uint64_t id)
{
	size_t mask = ((size_t)1 << bits) - 1;
	size_t i = slot_of(id, bits);

	while (slots[i].id && slots[i].id != id)
		i = (i + 1) & mask;
	return &slots[i];
}

/* With the attach lock: makes room for one more. */
static bool rebuild(struct mm__thread *thread)
{
	struct mm__remembered *slots;
	unsigned int bits = 3;
	size_t count = 0;

	for (const struct mm__cpu *cpu = thread->cpus; cpu; cpu = cpu->next_of_thread)
		count++;
	/* After this, at least half as many come in as there are, before it is done again. */
	while ((size_t)1 << bits < 3 * (count + 1))
		bits++;
	slots = mm__allocate_zeroed(((size_t)1 << bits) * sizeof(*slots));
	if (!slots)
		return false;
	for (struct mm__cpu *cpu = thread->cpus; cpu; cpu = cpu->next_of_thread)
		*find_slot(slots, bits, cpu->mm->id) = (struct mm__remembered){ cpu->mm->id, cpu };
	mm__free(thread->slots);
	thread->slots = slots;
	thread->bits = bits;
	thread->used = count;
	return true;
}

static bool has_room(const struct mm__thread *thread)
{
	return thread->slots && thread->used < (size_t)1 << (thread->bits - 1);
}

static struct mm__cpu *find_cpu(struct mm__thread *thread, uint64_t id)
{
	return thread && thread->slots ? find_slot(thread->slots, thread->bits, id)->cpu : NULL;
}

/*
 * Attaching. The attach lock is held.
 */

/* Has detach_all() called when the calling thread ends. */
static bool set_thread(struct mm__thread *thread)
{
	int saved = errno;
	bool done = !pthread_setspecific(thread_key, thread);

	errno = saved;
	return done;
}

/* Makes the calling thread known. False: no memory. */
static bool begin_thread(void)
{
	struct mm__thread *thread;

	if (self)
		return true;
	if (!make_key())
		return false;
	thread = mm__allocate(_Alignof(struct mm__thread), sizeof(*thread));
	if (!thread)
		return false;
	memset(thread, 0, sizeof(*thread));
	if (!set_thread(thread)) {
		mm__free(thread);
		return false;
	}
	mm__rcu_begin_thread(&thread->rcu);
	self = thread;
	return true;
}

/*
 * Numbers. The lock of the cpus is held.
 */

/* Makes room for as many numbers as there are. */
static bool grow(struct mm__cpus *cpus)
{
	uint32_t size = cpus->size ? 2 * cpus->size : MM__CPUS_IN_FIRST;
	unsigned int part = mm__cpu_part(cpus->size + 1);
	_Atomic(struct mm__cpu *) *cpu;
	uint16_t *numbers;

	if (cpus->size == MAX_CPUS)
		return false;
	if (size > MAX_CPUS)
		size = MAX_CPUS;
	numbers = mm__reallocate(cpus->free_numbers, size, sizeof(*numbers));
	if (!numbers)
		return false;
	cpus->free_numbers = numbers;
	cpu = mm__allocate_zeroed((size - cpus->size) * sizeof(*cpu));
	if (!cpu)
		return false;
	/* release: pairs with the acquire in mm__cpu_of() */
	atomic_store_explicit(&cpus->part[part], cpu, memory_order_release);
	/* The least is the first to be taken. */
	for (uint32_t i = size; i > cpus->size; i--)
		numbers[cpus->nr_free++] = (uint16_t)i;
	cpus->size = size;
	return true;
}

/* All zero, as a thread that ends leaves it. */
static struct mm__cpu *new_cpu(struct mm *mm, uint32_t number)
{
	struct mm__cpu *cpu = mm__allocate(_Alignof(struct mm__cpu), sizeof(*cpu));

	if (!cpu)
		return NULL;
	memset(cpu, 0, sizeof(*cpu));
	if (pthread_mutex_init(&cpu->stop_lock, NULL)) {
		mm__free(cpu);
		return NULL;
	}
	cpu->number = number;
	cpu->mm = mm;
	return cpu;
}

static void publish(struct mm__cpus *cpus, struct mm__cpu *cpu)
{
	unsigned int part = mm__cpu_part(cpu->number);
	/* relaxed: it changes under the lock only */
	_Atomic(struct mm__cpu *) *first =
		atomic_load_explicit(&cpus->part[part], memory_order_relaxed);

	/* release: pairs with the acquire in mm__cpu_of() */
	atomic_store_explicit(&first[cpu->number - 1 - mm__cpus_before(part)], cpu,
			      memory_order_release);
}

/* The cpu of a free number, which is new, or of a thread that has ended. */
static struct mm__cpu *find_free(struct mm *mm)
{
	struct mm__cpus *cpus = &mm->cpus;
	struct mm__cpu *cpu;
	uint32_t number;

	if (!cpus->nr_free && !grow(cpus))
		return NULL;
	number = cpus->free_numbers[cpus->nr_free - 1];
	cpu = mm__cpu_of(cpus, number);
	if (!cpu) {
		cpu = new_cpu(mm, number);
		if (cpu)
			publish(cpus, cpu);
	}
	return cpu;
}

static struct mm__cpu *take_free(struct mm *mm)
{
	struct mm__cpu *cpu;

	mm__mutex_lock(&mm->cpus.lock, MM__ORDER_CPUS);
	cpu = find_free(mm);
	if (cpu) {
		mm->cpus.nr_free--;
		cpu->used = true;
	}
	mm__mutex_unlock(&mm->cpus.lock, MM__ORDER_CPUS);
	return cpu;
}

static void free_cpus(struct mm__cpus *cpus)
{
	for (uint32_t number = 1; number <= cpus->size; number++) {
		struct mm__cpu *cpu = mm__cpu_of(cpus, number);

		if (cpu)
			pthread_mutex_destroy(&cpu->stop_lock);
		mm__free(cpu);
	}
	/* relaxed: no other thread is there any more */
	for (unsigned int part = 0; part < MM__CPU_PARTS; part++)
		mm__free(atomic_load_explicit(&cpus->part[part], memory_order_relaxed));
	mm__free(cpus->free_numbers);
	pthread_mutex_destroy(&cpus->lock);
}

/*
 * A thread's cpus. The attach lock is held.
 */

static void link_to_thread(struct mm__cpu *cpu, struct mm__thread *thread)
{
	cpu->next_of_thread = thread->cpus;
	cpu->link_of_thread = &thread->cpus;
	if (cpu->next_of_thread)
		cpu->next_of_thread->link_of_thread = &cpu->next_of_thread;
	thread->cpus = cpu;
}

static void link_to_pool(struct mm__cpu *cpu, struct mm__frames *pool)
{
	cpu->next_of_pool = pool->cpus;
	cpu->link_of_pool = &pool->cpus;
	if (cpu->next_of_pool)
		cpu->next_of_pool->link_of_pool = &cpu->next_of_pool;
	pool->cpus = cpu;
}

/* For a thread, or for none. NULL: no memory, or too many threads. */
static struct mm__cpu *make_cpu(struct mm__thread *thread, struct mm *mm)
{
	struct mm__cpu *cpu = take_free(mm);

	if (!cpu)
		return NULL;
	if (thread)
		link_to_thread(cpu, thread);
	link_to_pool(cpu, mm->frames);
	return cpu;
}

static struct mm__cpu *attach(struct mm *mm, uint64_t id)
{
	struct mm__cpu *cpu;

	if (!begin_thread() || (!has_room(self) && !rebuild(self)))
		return NULL;
	cpu = make_cpu(self, mm);
	if (cpu) {
		*find_slot(self->slots, self->bits, id) = (struct mm__remembered){ id, cpu };
		self->used++;
	}
	return cpu;
}

/*
 * The lock is not held.
 */

struct mm__cpu *mm__cpu_attach(struct mm *mm, uint64_t id)
{
	struct mm__cpu *cpu = find_cpu(self, id);

	if (!cpu) {
		mm__check_copy(mm);
		lock_attach();
		cpu = attach(mm, id);
		unlock_attach();
	}
	if (cpu)
		mm__remembered[id % MM__REMEMBERED] = (struct mm__remembered){ id, cpu };
	return cpu;
}

bool mm__thread_attach(void)
{
	bool begun;

	lock_attach();
	begun = begin_thread();
	unlock_attach();
	return begun;
}

/*
 * Where the numbers of this copy of the library begin. Two copies are a page apart or more, so that no
 * number of one is a number of the other before one of them has made 2^28 spaces. Until then, a thread
 * finds no cpu of its own for a space of the other copy, and comes to mm__check_copy().
 */
static uint64_t first_id(void)
{
	return (uint64_t)(uintptr_t)&mmrange__copy << 16;
}

int mm__cpus_init(struct mm *mm)
{
	static _Atomic(uint64_t) nr_made;

	if (pthread_mutex_init(&mm->cpus.lock, NULL))
		return ENOMEM;
	mm->copy = &mmrange__copy;
	mm->id = first_id() + atomic_fetch_add_explicit(&nr_made, 1, memory_order_relaxed);
	lock_attach();
	mm->own_cpu = mm__children_handled() ? make_cpu(NULL, mm) : NULL;
	unlock_attach();
	if (mm->own_cpu)
		return 0;
	free_cpus(&mm->cpus);
	return ENOMEM;
}

/*
 * Detaching
 */

static void unlink_cpu(struct mm__cpu *cpu)
{
	if (cpu->link_of_thread) {
		*cpu->link_of_thread = cpu->next_of_thread;
		if (cpu->next_of_thread)
			cpu->next_of_thread->link_of_thread = cpu->link_of_thread;
	}
	*cpu->link_of_pool = cpu->next_of_pool;
	if (cpu->next_of_pool)
		cpu->next_of_pool->link_of_pool = cpu->link_of_pool;
	cpu->link_of_thread = NULL;
}

/* The next thread finds all zero that is a thread's own. Others may flush the cpu meanwhile. */
static void clear(struct mm__cpu *cpu)
{
	const size_t first = offsetof(struct mm__cpu, fenced_entries);

	mm__mutex_lock(&cpu->stop_lock, MM__ORDER_STOP);
	memset((char *)cpu + first, 0, offsetof(struct mm__cpu, stop_lock) - first);
	mm__mutex_unlock(&cpu->stop_lock, MM__ORDER_STOP);
}

static void give_back(struct mm__cpu *cpu)
{
	struct mm__cpus *cpus = &cpu->mm->cpus;

	mm__mutex_lock(&cpus->lock, MM__ORDER_CPUS);
	for (unsigned int i = 0; i < MM__NR_EVENTS; i++)
		cpus->past[i] += atomic_load_explicit(&cpu->events[i], memory_order_relaxed);
	clear(cpu);
	cpu->used = false;
	cpus->free_numbers[cpus->nr_free++] = (uint16_t)cpu->number;
	mm__mutex_unlock(&cpus->lock, MM__ORDER_CPUS);
}

/* The attach lock is held. */
static void end_cpu(struct mm__cpu *cpu)
{
	mm__check(!cpu->held, "a thread ends, or its space, that holds a range");
	mm__tables_unkept(&cpu->mm->page_table, cpu);
	mm__room_end_cpu(cpu);
	unlink_cpu(cpu);
	mm__frames_lock(cpu->mm->frames);
	mm__frame_cache_empty(cpu->mm->frames, &cpu->cache);
	mm__frames_unlock(cpu->mm->frames);
	give_back(cpu);
}

/* Ends one of the thread's cpus, if it has any. Others can use the lock between two. */
static bool end_one(struct mm__thread *thread)
{
	bool found;

	lock_attach();
	found = thread->cpus;
	if (found)
		end_cpu(thread->cpus);
	unlock_attach();
	return found;
}

/* The thread ends. */
static void detach_all(void *memory)
{
	struct mm__thread *thread = memory;

	memset(mm__remembered, 0, sizeof(mm__remembered));
	while (end_one(thread))
		;
	mm__rcu_end_thread(&thread->rcu);
	self = NULL;
	mm__free(thread->slots);
	mm__free(thread);
}

void mm__cpus_destroy(struct mm *mm)
{
	lock_attach();
	for (uint32_t number = 1; number <= mm->cpus.size; number++) {
		struct mm__cpu *cpu = mm__cpu_of(&mm->cpus, number);

		if (cpu && cpu->used)
			end_cpu(cpu);
	}
	unlock_attach();
	free_cpus(&mm->cpus);
}

/*
 * fork(2)
 */

void mm__threads_before_fork(void)
{
	pthread_mutex_lock(&mm__attach_lock);
}

void mm__threads_after_fork(bool child)
{
	if (child && self) {
		/* The spaces are the parent's; their locks may be held by threads that are gone. */
		memset(mm__remembered, 0, sizeof(mm__remembered));
		self->cpus = NULL;
		mm__free(self->slots);
		self->slots = NULL;
	}
	pthread_mutex_unlock(&mm__attach_lock);
}
