/* SPDX-License-Identifier: MIT */
/*
 * The checked build's registry of the ranges in use: its cost, and its state in a child of fork().
 */
#include "actors.h"
#include "forks.h"

#include "range_lock/checked.h"

#include <sys/mman.h>

#ifndef MMRANGE_CHECKED

TEST(checked_registry, skipped)
{
	puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
}

#else

static struct range_lock lock;

/* How many ranges the registry passes to acquire and release n of them, at equal distances. */
static uint64_t steps_of(unsigned int n, size_t distance)
{
	size_t size = n * distance;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before = range__checked_steps;

	CHECK(memory != MAP_FAILED);
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < n; i++)
		take(&lock, (void *)(memory + i * distance), i, i + 1, RANGE_WRITE);
	for (unsigned int i = 0; i < n; i++)
		range_unlock(&lock, (void *)(memory + (n - 1 - i) * distance));
	check_quiet_and_destroy(&lock);
	CHECK_EQ(munmap(memory, size), 0);
	return range__checked_steps - before;
}

TEST(checked_registry, a_million_ranges_cost_a_few_steps_each)
{
	unsigned int n = test_scale(1000000);

	CHECK(steps_of(n, sizeof(struct range_hold)) <= 16 * n);
	/* As for ranges on the stacks of threads. */
	CHECK(steps_of(test_scale(10000), 65536) <= 16 * test_scale(10000));
}

static struct range_lock forked, own;
static struct range_hold held;
static atomic_bool over;

/* Uses the registry of ranges and that of waits. */
static void *hammer(void *arg)
{
	struct range_hold a, b;

	while (!atomic_load(&over)) {
		CHECK_EQ(range_lock(&forked, &a, 0, 1, RANGE_WRITE), 0);
		CHECK_EQ(range_trylock(&forked, &b, 1, 2 + (uint64_t)(uintptr_t)arg, RANGE_READ),
			 0);
		range_unlock(&forked, &a);
		range_unlock(&forked, &b);
	}
	return NULL;
}

/* Locks of the child's own, and one that no other thread used, without range_lock_child(). */
static void use_locks(void *arg)
{
	static struct range_hold ranges[4096];

	(void)arg;
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < 4096; i++)
		take(&lock, &ranges[i], i, i + 1, RANGE_WRITE);
	CHECK_EQ(range_lock(&lock, &held, 0, 1, RANGE_WRITE), EDEADLK);
	for (unsigned int i = 0; i < 4096; i++)
		range_unlock(&lock, &ranges[i]);
	check_quiet_and_destroy(&lock);
}

static void use_own(void *arg)
{
	struct range_hold range;

	(void)arg;
	CHECK_EQ(range_lock(&own, &range, 0, 1, RANGE_READ), EDEADLK);
	range_unlock(&own, &held);
	CHECK(!range__checked_holds(mmrange__self()));
	check_quiet_and_destroy(&own);
	use_locks(NULL);
}

TEST(checked_registry, children_of_a_process_whose_threads_use_the_registry_go_on)
{
	pthread_t threads[4];

	init_lock(&forked, RANGE_FAIRNESS_BARGING, 1);
	init_lock(&own, RANGE_FAIRNESS_BARGING, 1);
	take(&own, &held, 0, 10, RANGE_WRITE);
	atomic_store(&over, false);
	for (uintptr_t i = 0; i < 4; i++)
		threads[i] = thread_start(hammer, (void *)i);
	for (unsigned int i = 0; i < test_scale(300); i++)
		check_in_child(use_own, NULL);
	atomic_store(&over, true);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	range_unlock(&own, &held);
	check_quiet_and_destroy(&own);
	check_quiet_and_destroy(&forked);
}

/* A thread that is about to unlock the mutex of a part of the registry stops there. */
static _Thread_local bool stops;
static sem_t stopped, go_on;

/* The linker redirects pthread_mutex_unlock() to these, by --wrap. */
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (stops) {
		stops = false;
		sem_post(&stopped);
		sem_await(&go_on);
	}
	return __real_pthread_mutex_unlock(mutex);
}

static void *release_slowly(void *arg)
{
	stops = true;
	range_unlock(&forked, arg);
	return NULL;
}

static void *shrink_slowly(void *arg)
{
	stops = true;
	CHECK_EQ(range_shrink(&forked, arg, 1, 2), 0);
	return NULL;
}

static void check_child_beside(void *(*act)(void *range), struct range_hold *range)
{
	pthread_t thread = thread_start(act, range);

	sem_await(&stopped);
	check_in_child(use_locks, NULL);
	sem_post(&go_on);
	thread_join(thread);
}

TEST(checked_registry, children_of_a_process_with_a_thread_that_acquires_no_range_go_on)
{
	struct range_hold range;

	CHECK(sem_init(&stopped, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
	init_lock(&forked, RANGE_FAIRNESS_BARGING, 1);
	take(&forked, &range, 0, 10, RANGE_WRITE);
	check_child_beside(shrink_slowly, &range);
	check_child_beside(release_slowly, &range);
	check_quiet_and_destroy(&forked);
}

static void *release(void *arg)
{
	range_unlock(&lock, arg);
	return NULL;
}

TEST(checked_registry, a_range_that_another_thread_released_is_not_held)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	CHECK(range__checked_holds(mmrange__self()));
	thread_join(thread_start(release, &held));
	CHECK(!range__checked_holds(mmrange__self()));
	check_quiet_and_destroy(&lock);
}

#endif
