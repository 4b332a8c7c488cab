/* SPDX-License-Identifier: MIT */
/*
 * Threads use a lock in every way while the process forks again and again. Wherever they were, the
 * lock is as new in the child, and locks that they did not use are unchanged.
 */
#include "actors.h"
#include "forks.h"

#include "platform/platform.h"
#include "range_lock/lock.h"

#include <string.h>

enum { THREADS = 6, KEYS = 2000 };

static struct range_lock lock;
/* One key, for which threads wait all the time; and the lock of the thread that forks. */
static struct range_lock narrow = RANGE_LOCK_INITIALIZER, mine = RANGE_LOCK_INITIALIZER;
static struct range_hold mine_held;
static struct memory_books books;
static atomic_bool over;

struct worker {
	pthread_t thread;
	uint64_t seed;
};

static void acquire_and_release(uint64_t *seed)
{
	uint64_t start = test_random_below(seed, KEYS);
	uint64_t size = test_random_below(seed, 64) ? 1 + test_random_below(seed, 8) : KEYS;
	enum range_mode mode = test_random_below(seed, 2) ? RANGE_READ : RANGE_WRITE;
	struct timespec soon = time_after(CLOCK_MONOTONIC, test_random_below(seed, 20000));
	struct range_hold range;
	int error;

	if (test_random_below(seed, 4) == 0)
		error = range_timedlock(&lock, &range, start, start + size, mode, CLOCK_MONOTONIC,
					&soon);
	else
		error = range_lock(&lock, &range, start, start + size, mode);
	if (!error)
		range_unlock(&lock, &range);
	else
		CHECK_EQ(error, ETIMEDOUT);
}

/* Most of these waits park, which briefly locks the places where threads park. */
static void wait_for_a_moment(uint64_t *seed)
{
	static const struct timespec past = { 1, 0 };
	struct range_hold range;

	if (range_timedlock(&narrow, &range, 0, 1, RANGE_WRITE, CLOCK_MONOTONIC, &past))
		return;
	for (volatile uint64_t i = test_random_below(seed, 2000); i > 0; i--)
		;
	range_unlock(&narrow, &range);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&over)) {
		for (int i = 0; i < 64; i++)
			acquire_and_release(&worker->seed);
		for (int i = 0; i < 4; i++)
			wait_for_a_moment(&worker->seed);
		make_impatient(&lock);
	}
	return NULL;
}

/* One block may have been on its way from the hook into the lock, see range_lock_child(). */
static void check_memory_but_one_block(void)
{
	if (!range__lock(&lock)->alloc)
		return;
	CHECK(atomic_load(&books.allocations) - atomic_load(&books.frees) <= 1);
	if (atomic_load(&books.allocations) == atomic_load(&books.frees))
		CHECK_EQ(atomic_load(&books.live), 0);
}

/* No thread that the child lacks keeps the places where threads park locked. */
static void unpark_everywhere(void)
{
	static _Atomic(uint64_t) words[4096];

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		mmrange__unpark(&words[i], true);
}

/* Nor the places where the checked build looks ranges up. */
static void lock_with_many_ranges(void)
{
	static struct range_hold ranges[2000];

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		CHECK_EQ(range_lock(&lock, &ranges[i], i, i + 1, RANGE_WRITE), 0);
		range_unlock(&lock, &ranges[i]);
	}
}

/* Waits at many addresses for a range that the child's only thread holds, until a deadline. */
static void wait_everywhere(struct range_lock *own)
{
	static const struct timespec past = { 1, 0 };
	static struct range_hold ranges[64];

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		CHECK_EQ(range_timedlock(own, &ranges[i], 0, 1, RANGE_READ, CLOCK_MONOTONIC, &past),
			 checked_build ? EDEADLK : ETIMEDOUT);
}

/* Before range_lock_child(), which these locks do not need. */
static void use_own_locks(void)
{
	struct range_lock fresh = RANGE_LOCK_INITIALIZER;
	struct range_hold held;

	take(&fresh, &held, 0, 1, RANGE_WRITE);
	wait_everywhere(&fresh);
	range_unlock(&fresh, &held);
	make_biased(&fresh, 0);
	check_quiet_and_destroy(&fresh);
	wait_everywhere(&mine);
	range_unlock(&mine, &mine_held);
	check_quiet_and_destroy(&mine);
}

static void use(void *arg)
{
	struct range_hold range[3];

	(void)arg;
	use_own_locks();
	range_lock_child(&lock);
	unpark_everywhere();
	lock_with_many_ranges();
	check_memory_but_one_block();
	CHECK_EQ(range_lock(&lock, &range[0], FULL, RANGE_WRITE), 0);
	CHECK_EQ(range_trylock(&lock, &range[1], 5, 6, RANGE_READ), EBUSY);
	range_unlock(&lock, &range[0]);
	for (uint64_t i = 0; i < 3; i++)
		CHECK_EQ(range_lock(&lock, &range[i], i, i + 1, RANGE_WRITE), 0);
	for (uint64_t i = 0; i < 3; i++)
		range_unlock(&lock, &range[i]);
	check_quiet_and_destroy(&lock);
	check_memory_but_one_block();
}

static void torture(const char *test, const struct range_lock_attr *attr)
{
	struct worker workers[THREADS];
	uint64_t seed = test_seed(test);

	CHECK_EQ(range_lock_init(&lock, attr), 0);
	atomic_store(&over, false);
	take(&mine, &mine_held, 0, 10, RANGE_WRITE);
	for (int i = 0; i < THREADS; i++) {
		workers[i].seed = test_random(&seed);
		workers[i].thread = thread_start(work, &workers[i]);
	}
	for (unsigned int i = 0; i < test_scale(200); i++) {
		check_in_child(use, NULL);
		sched_yield();
	}
	/* Without splits the test would check little. */
	AWAIT(lock_stats(&lock).splits > 100 || attr->max_leaves == 1);
	atomic_store(&over, true);
	for (int i = 0; i < THREADS; i++)
		thread_join(workers[i].thread);
	range_unlock(&mine, &mine_held);
	check_quiet_and_destroy(&lock);
}

TEST(fork_torture, one_leaf)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.max_leaves = 1;
	torture("fork_torture/one_leaf", &attr);
}

TEST(fork_torture, many_leaves)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	torture("fork_torture/many_leaves", &attr);
}

TEST(fork_torture, many_leaves_in_memory_from_the_caller_s_hooks)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, UINT32_MAX);
	torture("fork_torture/many_leaves_in_memory_from_the_caller_s_hooks", &attr);
	check_memory_balanced(&books);
}
