/* SPDX-License-Identifier: MIT */
/*
 * When garbage is freed. A grace period ends when every reader that was in a section at its
 * beginning has left it. The test decides which threads are in a section, so it knows which objects
 * mm__rcu_poll() frees.
 *
 * A thread that has to wait backs off. The linker redirects these calls to this file, so the test
 * sees that a thread waits. Counting calls of sched_yield() would not show that: on a busy machine
 * the thread may only not have run.
 */
#include "mm/attach.h"
#include "mm/backoff.h"
#include "threads.h"

#include <sys/wait.h>

/* As in rcu.c. */
#define BATCH 256u
#define LIMIT 16384u

/* For the thread that a test watches. */
static _Thread_local bool watched;
static atomic_uint backoffs;

void __real_mm__backoff(struct mm__backoff *backoff);
void __wrap_mm__backoff(struct mm__backoff *backoff);

void __wrap_mm__backoff(struct mm__backoff *backoff)
{
	if (watched)
		atomic_fetch_add(&backoffs, 1);
	__real_mm__backoff(backoff);
}

static pthread_t start_watched(void *(*run)(void *), void *arg)
{
	atomic_store(&backoffs, 0);
	return thread_start(run, arg);
}

/* The caller must also check whether the thread has finished without waiting. */
static bool backs_off(void)
{
	return atomic_load(&backoffs) > 0;
}

struct object {
	struct mm__garbage garbage;
	atomic_uint *freed;
	struct object *another; /* which its function gives to RCU */
	sem_t *begun;           /* or NULL: it does not wait */
	sem_t *go_on;
};

static void free_object(struct mm__garbage *garbage)
{
	struct object *object = (struct object *)garbage;

	if (object->begun) {
		sem_post(object->begun);
		sem_await(object->go_on);
	}
	if (object->another)
		mm__rcu_free(&object->another->garbage);
	if (object->freed)
		atomic_fetch_add(object->freed, 1);
	free(object);
}

static struct object *new_object(atomic_uint *freed)
{
	struct object *object = calloc(1, sizeof(*object));

	CHECK(object);
	object->garbage.free = free_object;
	object->freed = freed;
	return object;
}

static void give(unsigned int n, atomic_uint *freed)
{
	for (unsigned int i = 0; i < n; i++)
		mm__rcu_free(&new_object(freed)->garbage);
}

/* Enters a read section when the test tells it to. */
struct reader {
	pthread_t thread;
	bool ends;
	sem_t next;
	sem_t done;
};

static void await_next(struct reader *reader)
{
	sem_post(&reader->done);
	sem_await(&reader->next);
}

static void *read_until_told(void *arg)
{
	struct reader *reader = arg;

	CHECK(mm__os_thread_attach());
	await_next(reader);
	while (!reader->ends) {
		mm__rcu_read_lock();
		/* Only the outer section counts. */
		mm__rcu_read_lock();
		mm__rcu_read_unlock();
		await_next(reader);
		mm__rcu_read_unlock();
		await_next(reader);
	}
	return NULL;
}

static void step(struct reader *reader)
{
	sem_post(&reader->next);
	sem_await(&reader->done);
}

static void enter(struct reader *reader)
{
	reader->ends = false;
	CHECK_EQ(sem_init(&reader->next, 0, 0), 0);
	CHECK_EQ(sem_init(&reader->done, 0, 0), 0);
	reader->thread = thread_start(read_until_told, reader);
	sem_await(&reader->done);
	step(reader);
}

static void leave_and_enter(struct reader *reader)
{
	step(reader);
	step(reader);
}

static void leave(struct reader *reader)
{
	step(reader);
	reader->ends = true;
	sem_post(&reader->next);
	thread_join(reader->thread);
}

TEST(mm_rcu, nothing_is_freed_when_there_is_nothing_to_free)
{
	mm__rcu_free(NULL);
	mm__rcu_defer(NULL, 1);
	mm__rcu_throttle();
	mm__rcu_poll();
	mm__rcu_barrier();
}

static void poll_often(void)
{
	for (unsigned int i = 0; i < 100; i++)
		mm__rcu_poll();
}

TEST(mm_rcu, an_object_that_a_reader_may_have_found_is_not_freed_before_it_leaves)
{
	atomic_uint freed = 0;
	struct reader reader;

	CHECK(mm__os_thread_attach());
	enter(&reader);
	give(3 * BATCH, &freed);
	poll_often();
	CHECK_EQ(atomic_load(&freed), 0);
	leave(&reader);
	poll_often();
	CHECK_EQ(atomic_load(&freed), 3 * BATCH);
}

TEST(mm_rcu, a_period_does_not_wait_for_a_reader_that_came_later)
{
	struct reader first, second, third;
	atomic_uint freed = 0;

	CHECK(mm__os_thread_attach());
	enter(&first);
	enter(&second);
	give(1, &freed);
	mm__rcu_poll();
	enter(&third);
	leave_and_enter(&second);
	leave(&first);
	mm__rcu_poll();
	CHECK_EQ(atomic_load(&freed), 1);
	/* These two readers entered before this object was given. */
	give(1, &freed);
	poll_often();
	CHECK_EQ(atomic_load(&freed), 1);
	leave(&second);
	poll_often();
	CHECK_EQ(atomic_load(&freed), 1);
	leave(&third);
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&freed), 2);
}

TEST(mm_rcu, objects_given_during_a_period_wait_for_the_next)
{
	struct reader first, second;
	atomic_uint early = 0, late = 0;

	CHECK(mm__os_thread_attach());
	enter(&first);
	give(1, &early);
	mm__rcu_poll();
	enter(&second);
	give(1, &late);
	leave(&first);
	poll_often();
	CHECK_EQ(atomic_load(&early), 1);
	CHECK_EQ(atomic_load(&late), 0);
	leave(&second);
	poll_often();
	CHECK_EQ(atomic_load(&late), 1);
}

struct late_giver {
	atomic_uint freed;
	sem_t go;
	sem_t done;
};

static void *give_late(void *arg)
{
	struct late_giver *giver = arg;

	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < 2; i++) {
		sem_await(&giver->go);
		if (!i)
			give(1, &giver->freed);
		poll_often();
		sem_post(&giver->done);
	}
	return NULL;
}

static void go_on(struct late_giver *giver)
{
	sem_post(&giver->go);
	sem_await(&giver->done);
}

TEST(mm_rcu, objects_given_by_another_thread_during_a_period_wait_for_the_next)
{
	struct late_giver giver = { .freed = 0 };
	struct reader first, second;
	atomic_uint early = 0;
	pthread_t thread;

	CHECK(mm__os_thread_attach());
	CHECK_EQ(sem_init(&giver.go, 0, 0), 0);
	CHECK_EQ(sem_init(&giver.done, 0, 0), 0);
	thread = thread_start(give_late, &giver);
	enter(&first);
	give(1, &early);
	mm__rcu_poll();
	/* In the period that the early reader delays. */
	enter(&second);
	go_on(&giver);
	leave(&first);
	poll_often();
	CHECK_EQ(atomic_load(&early), 1);
	go_on(&giver);
	CHECK_EQ(atomic_load(&giver.freed), 0);
	leave(&second);
	thread_join(thread);
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&giver.freed), 1);
}

TEST(mm_rcu, without_readers_a_full_batch_is_freed_at_once)
{
	atomic_uint freed = 0;

	CHECK(mm__os_thread_attach());
	mm__rcu_barrier();
	give(BATCH - 1, &freed);
	CHECK_EQ(atomic_load(&freed), 0);
	give(1, &freed);
	CHECK_EQ(atomic_load(&freed), BATCH);
}

/* Threads that are registered and in no read section. */
static struct reader others[200];

static void register_others(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		enter(&others[i]);
		step(&others[i]);
	}
}

static void end_others(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		step(&others[i]);
		leave(&others[i]);
	}
}

/*
 * A look at the threads reads one line of each. The next look frees the objects that were given
 * before this one.
 */
static void check_batch(unsigned int threads, unsigned int batch)
{
	atomic_uint freed = 0;

	register_others(threads - 1);
	mm__rcu_barrier();
	for (unsigned int i = 0; i < 3; i++) {
		give(batch - 1, &freed);
		CHECK_EQ(atomic_load(&freed), i ? (i - 1) * batch : 0);
		give(1, &freed);
		CHECK_EQ(atomic_load(&freed), i * batch);
	}
	mm__rcu_poll();
	CHECK_EQ(atomic_load(&freed), 3 * batch);
	end_others(threads - 1);
}

TEST(mm_rcu, a_batch_grows_with_the_number_of_threads)
{
	CHECK(mm__os_thread_attach());
	check_batch(9, 288);
	check_batch(20, 640);
	check_batch(200, 4096);
}

struct sharer {
	atomic_uint freed;
	unsigned int batch;
	sem_t go;
	sem_t done;
};

static void *give_batches(void *arg)
{
	struct sharer *sharer = arg;

	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < 5; i++) {
		sem_await(&sharer->go);
		give(sharer->batch, &sharer->freed);
		sem_post(&sharer->done);
	}
	/* When a thread ends, its objects are freed at once. */
	sem_await(&sharer->go);
	return NULL;
}

/* A period begins with a heavy fence, which interrupts all threads. */
TEST(mm_rcu, many_threads_share_grace_periods)
{
	enum { SHARERS = 4, MORE = 16 };
	static struct sharer sharers[SHARERS];
	pthread_t threads[SHARERS];
	uint64_t epoch;

	CHECK(mm__os_thread_attach());
	register_others(MORE);
	for (unsigned int i = 0; i < SHARERS; i++) {
		sharers[i].batch = 32 * (1 + MORE + SHARERS);
		CHECK_EQ(sem_init(&sharers[i].go, 0, 0), 0);
		CHECK_EQ(sem_init(&sharers[i].done, 0, 0), 0);
		threads[i] = thread_start(give_batches, &sharers[i]);
	}
	for (unsigned int k = 0; k < 5; k++) {
		epoch = atomic_load(&mm__rcu_epoch.now);
		for (unsigned int i = 0; i < SHARERS; i++) {
			sem_post(&sharers[i].go);
			sem_await(&sharers[i].done);
		}
		CHECK_EQ(atomic_load(&mm__rcu_epoch.now), epoch + (k ? 1 : 0));
	}
	for (unsigned int i = 0; i < SHARERS; i++) {
		CHECK(atomic_load(&sharers[i].freed) >= 3 * sharers[i].batch);
		sem_post(&sharers[i].go);
		thread_join(threads[i]);
	}
	mm__rcu_barrier();
	for (unsigned int i = 0; i < SHARERS; i++)
		CHECK_EQ(atomic_load(&sharers[i].freed), 5 * sharers[i].batch);
	end_others(MORE);
}

/* Any of the readers may be the last one. */
TEST(mm_rcu, readers_may_leave_in_any_order)
{
	static const unsigned int order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						  { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < 6; i++) {
		struct reader readers[3];
		atomic_uint freed = 0;

		for (unsigned int k = 0; k < 3; k++)
			enter(&readers[k]);
		give(1, &freed);
		for (unsigned int k = 0; k < 3; k++) {
			poll_often();
			CHECK_EQ(atomic_load(&freed), 0);
			/* The first reader ends its thread, too; the other threads stay. */
			if (k)
				step(&readers[order[i][k]]);
			else
				leave(&readers[order[i][k]]);
		}
		poll_often();
		CHECK_EQ(atomic_load(&freed), 1);
		for (unsigned int k = 1; k < 3; k++) {
			step(&readers[order[i][k]]);
			leave(&readers[order[i][k]]);
		}
	}
}

TEST(mm_rcu, heavy_objects_fill_a_batch_sooner)
{
	atomic_uint freed = 0;

	CHECK(mm__os_thread_attach());
	mm__rcu_barrier();
	mm__rcu_defer(&new_object(&freed)->garbage, BATCH * MM__RCU_OBJECT);
	CHECK_EQ(atomic_load(&freed), 0);
	mm__rcu_throttle();
	CHECK_EQ(atomic_load(&freed), 1);
}

static void *give_too_much(void *arg)
{
	atomic_uint *counts = arg;

	watched = true;
	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < 2 * LIMIT; i++) {
		atomic_fetch_add(&counts[0], 1);
		give(1, &counts[1]);
	}
	return NULL;
}

TEST(mm_rcu, a_thread_waits_when_too_much_is_pending)
{
	atomic_uint counts[2] = { 0, 0 }; /* given, freed */
	struct reader reader;
	pthread_t thread;

	enter(&reader);
	thread = start_watched(give_too_much, counts);
	AWAIT(backs_off() || atomic_load(&counts[0]) > LIMIT + BATCH);
	CHECK(atomic_load(&counts[0]) >= LIMIT);
	CHECK(atomic_load(&counts[0]) <= LIMIT + BATCH);
	CHECK_EQ(atomic_load(&counts[1]), 0);
	leave(&reader);
	thread_join(thread);
	CHECK_EQ(atomic_load(&counts[0]), 2 * LIMIT);
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&counts[1]), 2 * LIMIT);
}

/* The reader would wait for itself. */
TEST(mm_rcu, a_reader_gives_away_without_waiting)
{
	atomic_uint freed = 0;

	CHECK(mm__os_thread_attach());
	mm__rcu_barrier();
	mm__rcu_read_lock();
	give(2 * LIMIT, &freed);
	CHECK_EQ(atomic_load(&freed), 0);
	mm__rcu_read_unlock();
	give(1, &freed);
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&freed), 2 * LIMIT + 1);
}

TEST(mm_rcu, a_function_of_garbage_may_give_away_more)
{
	struct object *first = NULL;
	atomic_uint freed = 0;

	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < 3 * BATCH; i++) {
		struct object *object = new_object(&freed);

		object->another = first;
		first = object;
	}
	mm__rcu_free(&first->garbage);
	for (unsigned int i = 1; i <= 3 * BATCH; i++) {
		mm__rcu_barrier();
		CHECK_EQ(atomic_load(&freed), i);
	}
}

/*
 * Other threads
 */

struct giver {
	atomic_uint *freed;
	sem_t given;
	sem_t end;
};

static void *give_and_wait(void *arg)
{
	struct giver *giver = arg;

	CHECK(mm__os_thread_attach());
	give(3, giver->freed);
	sem_post(&giver->given);
	sem_await(&giver->end);
	return NULL;
}

TEST(mm_rcu, a_barrier_frees_the_objects_of_other_threads)
{
	atomic_uint freed = 0;
	struct giver giver = { .freed = &freed };
	pthread_t threads[4];

	CHECK_EQ(sem_init(&giver.given, 0, 0), 0);
	CHECK_EQ(sem_init(&giver.end, 0, 0), 0);
	for (unsigned int i = 0; i < 4; i++) {
		threads[i] = thread_start(give_and_wait, &giver);
		sem_await(&giver.given);
	}
	CHECK_EQ(atomic_load(&freed), 0);
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&freed), 12);
	for (unsigned int i = 0; i < 4; i++)
		sem_post(&giver.end);
	for (unsigned int i = 0; i < 4; i++)
		thread_join(threads[i]);
}

static void *free_one(void *object)
{
	CHECK(mm__os_thread_attach());
	mm__rcu_free(object);
	mm__rcu_poll();
	return NULL;
}

static void *wait_for_all(void *arg)
{
	watched = true;
	mm__rcu_barrier();
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

TEST(mm_rcu, a_barrier_waits_for_threads_that_are_freeing)
{
	struct object *object = new_object(NULL);
	atomic_bool through = false;
	pthread_t freer, waiter;
	sem_t begun, go_on;

	CHECK_EQ(sem_init(&begun, 0, 0), 0);
	CHECK_EQ(sem_init(&go_on, 0, 0), 0);
	object->begun = &begun;
	object->go_on = &go_on;
	freer = thread_start(free_one, object);
	sem_await(&begun);
	waiter = start_watched(wait_for_all, &through);
	AWAIT(backs_off() || atomic_load(&through));
	CHECK(!atomic_load(&through));
	sem_post(&go_on);
	thread_join(waiter);
	thread_join(freer);
}

static void *wait_for_readers(void *done)
{
	watched = true;
	mm__rcu_wait();
	atomic_store((atomic_bool *)done, true);
	return NULL;
}

TEST(mm_rcu, a_wait_ends_when_the_readers_that_were_there_have_left)
{
	struct reader first, second;
	atomic_bool done = false;
	pthread_t thread;
	uint64_t epoch = atomic_load(&mm__rcu_epoch.now);

	enter(&first);
	thread = start_watched(wait_for_readers, &done);
	/* The period has begun, so this object comes too late for it. */
	AWAIT(atomic_load(&mm__rcu_epoch.now) != epoch);
	enter(&second);
	AWAIT(backs_off() || atomic_load(&done));
	CHECK(!atomic_load(&done));
	leave(&first);
	AWAIT(atomic_load(&done));
	thread_join(thread);
	leave(&second);
}

static void *give_and_end(void *freed)
{
	CHECK(mm__os_thread_attach());
	give(10, freed);
	return NULL;
}

TEST(mm_rcu, objects_of_ended_threads_do_not_pile_up)
{
	atomic_uint freed = 0;
	unsigned int threads = test_scale(300);

	for (unsigned int i = 0; i < threads; i++)
		thread_join(thread_start(give_and_end, &freed));
	CHECK_EQ(atomic_load(&freed), 10 * threads);
}

static void *give_unregistered(void *freed)
{
	give(10, freed);
	CHECK(!mm__rcu_self);
	return NULL;
}

TEST(mm_rcu, a_thread_that_does_not_read_may_give_away)
{
	atomic_uint freed = 0;

	thread_join(thread_start(give_unregistered, &freed));
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&freed), 10);
}

/*
 * All together. Each slot has an object that records whether it was freed.
 */

enum { SLOTS = 4, SWAPPERS = 2, READERS = 2, ALIVE = 0x600d, DEAD = 0xdead };

struct value {
	struct mm__garbage garbage;
	unsigned int state; /* plain: ThreadSanitizer sees a free that comes too early */
	struct value *next_dead;
};

static _Atomic(struct value *) slots[SLOTS];
static _Atomic(struct value *) dead; /* kept to the end, so that its state can be read */
static atomic_bool stop;

static void free_value(struct mm__garbage *garbage)
{
	struct value *value = (struct value *)garbage;

	CHECK_EQ(value->state, ALIVE);
	value->state = DEAD;
	value->next_dead = atomic_load(&dead);
	while (!atomic_compare_exchange_weak(&dead, &value->next_dead, value))
		;
}

static void free_dead(void)
{
	struct value *value = atomic_load(&dead);

	while (value) {
		struct value *next = value->next_dead;

		free(value);
		value = next;
	}
}

static struct value *new_value(void)
{
	struct value *value = calloc(1, sizeof(*value));

	CHECK(value);
	value->garbage.free = free_value;
	value->state = ALIVE;
	return value;
}

static void *swap_values(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < test_scale(300000); i++) {
		uint64_t at = test_random_below(&seed, SLOTS);
		struct value *old = atomic_exchange(&slots[at], new_value());

		mm__rcu_free(&old->garbage);
		if (!test_random_below(&seed, 500))
			mm__rcu_barrier();
	}
	return NULL;
}

static void *read_values(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	CHECK(mm__os_thread_attach());
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct value *value;

		mm__rcu_read_lock();
		/* acquire: pairs with the exchange */
		value = atomic_load_explicit(&slots[test_random_below(&seed, SLOTS)],
					     memory_order_acquire);
		CHECK_EQ(value->state, ALIVE);
		if (!test_random_below(&seed, 64))
			sched_yield();
		CHECK_EQ(value->state, ALIVE);
		mm__rcu_read_unlock();
	}
	return NULL;
}

TEST(mm_rcu, readers_never_find_a_freed_object)
{
	pthread_t threads[SWAPPERS + READERS];
	uint64_t seed = test_seed("mm_rcu");

	for (unsigned int i = 0; i < SLOTS; i++)
		atomic_store(&slots[i], new_value());
	for (uintptr_t i = 0; i < SWAPPERS + READERS; i++)
		threads[i] = thread_start(i < SWAPPERS ? swap_values : read_values,
					  (void *)(uintptr_t)test_random(&seed));
	for (unsigned int i = 0; i < SWAPPERS; i++)
		thread_join(threads[i]);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < READERS; i++)
		thread_join(threads[SWAPPERS + i]);
	for (unsigned int i = 0; i < SLOTS; i++)
		mm__rcu_free(&atomic_load(&slots[i])->garbage);
	mm__rcu_barrier();
	free_dead();
}

/*
 * fork(2)
 */

/* The child does not have this reader, and must not wait for it. */
static void fork_beside_a_reader(void)
{
	atomic_uint freed = 0;
	struct reader reader;
	int status;
	pid_t child;

	enter(&reader);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		alarm(5);
		give(2, &freed);
		mm__rcu_barrier();
		_exit(atomic_load(&freed) == 2 ? 0 : 1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	leave(&reader);
}

TEST(mm_rcu, a_child_frees_without_the_readers_of_its_parent)
{
	atomic_uint freed = 0;

	fork_beside_a_reader();
	CHECK(mm__os_thread_attach());
	fork_beside_a_reader();
	/* Objects that the parent gave before the fork belong to the parent. */
	give(1, &freed);
	fork_beside_a_reader();
	CHECK_EQ(atomic_load(&freed), 0);
	mm__rcu_barrier();
	CHECK_EQ(atomic_load(&freed), 1);
}
