/* SPDX-License-Identifier: MIT */
/* Acquiring several ranges in one step. */
#include "actors.h"
#include "test.h"

#include "platform/platform.h"

#include <errno.h>
#include <stdlib.h>

static struct range_request want(struct range_hold *range, uint64_t start, uint64_t end,
				 enum range_mode mode)
{
	return (struct range_request){ range, start, end, mode };
}

static void unlock_all(struct range_lock *lock, const struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		range_unlock(lock, requests[i].range);
}

TEST(many, all_ranges_are_held_each_in_its_mode_and_no_key_between_them)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold r[3];
	struct range_request requests[3] = {
		want(&r[0], 50, 60, RANGE_WRITE),
		want(&r[1], 0, 10, RANGE_READ),
		want(&r[2], 10, 11, RANGE_WRITE),
	};

	CHECK_EQ(range_lock_many(&lock, requests, 3), 0);
	CHECK(requests[0].start == 0 && requests[1].start == 10 && requests[2].start == 50);
	CHECK(r[0].start == 50 && r[1].start == 0 && r[2].start == 10);
	CHECK(is_free(&lock, 0, 10, RANGE_READ) && !is_free(&lock, 9, 10, RANGE_WRITE));
	CHECK(!is_free(&lock, 10, 11, RANGE_READ) && is_free(&lock, 11, 50, RANGE_WRITE));
	CHECK(!is_free(&lock, 50, 51, RANGE_READ) && is_free(&lock, 60, 70, RANGE_WRITE));
	unlock_all(&lock, requests, 3);
	check_quiet_and_destroy(&lock);
}

TEST(many, invalid_requests_hold_no_range)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold a, b;
	struct range_request one = want(&a, 0, 10, RANGE_READ);
	struct range_request bad[][2] = {
		{ one, want(&b, 9, 12, RANGE_READ) },
		{ want(&b, 5, 6, RANGE_WRITE), one },
		{ one, want(&b, 20, 20, RANGE_READ) },
		{ one, want(&b, 21, 20, RANGE_READ) },
		{ one, want(&b, 20, 21, (enum range_mode)7) },
	};

	CHECK_EQ(range_lock_many(&lock, &one, 0), EINVAL);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_EQ(range_lock_many(&lock, bad[i], 2), EINVAL);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	}
	check_quiet_and_destroy(&lock);
}

struct job {
	struct range_lock *lock;
	atomic_bool done;
};

static void *lock_two(void *arg)
{
	struct job *job = arg;
	struct range_hold a, b;
	struct range_request requests[2] = {
		want(&a, 0, 10, RANGE_WRITE),
		want(&b, 20, 30, RANGE_READ),
	};

	CHECK_EQ(range_lock_many(job->lock, requests, 2), 0);
	CHECK(a.start == 0 && a.end == 10 && a.mode == RANGE_WRITE);
	CHECK(b.start == 20 && b.end == 30 && b.mode == RANGE_READ);
	atomic_store(&job->done, true);
	unlock_all(job->lock, requests, 2);
	return NULL;
}

static void await_waits(struct range_lock *lock, uint64_t waits)
{
	while (lock_stats(lock).waits < waits)
		sched_yield();
}

struct census {
	unsigned int held;
	unsigned int starving;
	unsigned int waiting; /* and not starving */
};

static int count_one(const struct range_info *info, void *arg)
{
	struct census *census = arg;

	census->held += info->state == RANGE_STATE_HELD;
	census->starving += info->state == RANGE_STATE_STARVING;
	census->waiting += info->state == RANGE_STATE_WAITING;
	return 0;
}

static struct census census_of(struct range_lock *lock)
{
	struct census census = { 0 };

	CHECK_EQ(range_lock_foreach(lock, count_one, &census), 0);
	return census;
}

TEST(many, a_set_holds_no_range_while_it_waits)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock lock;
		struct job job = { .lock = &lock };
		struct range_hold high;
		struct census census;
		pthread_t thread;

		init_lock(&lock, fairnesses[i], 16);
		take(&lock, &high, 25, 40, RANGE_WRITE);
		thread = thread_start(lock_two, &job);
		await_waits(&lock, 1);
		census = census_of(&lock);
		CHECK_EQ(census.held, 1);
		/* The walk shows both ranges, although the set is in a queue with one of them. */
		CHECK_EQ(census.waiting + census.starving, 2);
		CHECK_EQ(is_free(&lock, 0, 10, RANGE_WRITE), i == 0);
		CHECK(is_free(&lock, 10, 20, RANGE_WRITE));
		CHECK(!atomic_load(&job.done));
		check_valid(&lock);
		range_unlock(&lock, &high);
		thread_join(thread);
		check_quiet_and_destroy(&lock);
	}
}

/* FIFO: a newcomer passes the set in none of its ranges, and may pass it between them. */
TEST(many, in_a_fifo_lock_a_set_is_granted_before_later_requests)
{
	for (uint32_t leaves = 1; leaves <= 16; leaves += 15) {
		struct range_lock lock;
		struct job job = { .lock = &lock };
		struct range_hold low, between;
		struct actor later[2];
		pthread_t thread;

		init_lock(&lock, RANGE_FAIRNESS_FIFO, leaves);
		if (leaves > 1)
			make_leaves(&lock, 4);
		take(&lock, &low, 5, 6, RANGE_READ);
		thread = thread_start(lock_two, &job);
		await_waits(&lock, 1);
		actor_queue(&later[0], &lock, 9, 12, RANGE_READ);
		actor_queue(&later[1], &lock, 29, 31, RANGE_WRITE);
		take(&lock, &between, 12, 20, RANGE_WRITE);
		check_valid(&lock);
		CHECK(!atomic_load(&job.done));
		range_unlock(&lock, &low);
		thread_join(thread);
		for (int i = 0; i < 2; i++) {
			actor_await(&later[i]);
			CHECK_EQ(actor_finish(&later[i]), 0);
		}
		range_unlock(&lock, &between);
		check_quiet_and_destroy(&lock);
	}
}

/*
 * A set that has waited for long enough claims all its ranges, and gets them although one of them
 * is always held.
 */
TEST(many, a_set_becomes_starving_in_all_its_ranges)
{
	for (uint32_t leaves = 1; leaves <= 16; leaves += 15) {
		struct range_lock lock;
		struct job job = { .lock = &lock };
		struct range_lock_attr attr;
		struct range_hold low, high;
		pthread_t thread;

		range_lock_attr_init(&attr);
		attr.max_leaves = leaves;
		attr.starvation_ns = 0;
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		if (leaves > 1)
			make_leaves(&lock, 4);
		take(&lock, &low, 5, 6, RANGE_WRITE);
		thread = thread_start(lock_two, &job);
		AWAIT(census_of(&lock).waiting == 2);
		take(&lock, &high, 25, 26, RANGE_WRITE);
		range_unlock(&lock, &low);
		AWAIT(census_of(&lock).starving == 2);
		check_valid(&lock);
		CHECK(!is_free(&lock, 0, 1, RANGE_READ) && !is_free(&lock, 9, 10, RANGE_WRITE));
		/* The set wants [20, 30) for reading. */
		CHECK(!is_free(&lock, 20, 21, RANGE_WRITE) && is_free(&lock, 20, 21, RANGE_READ));
		CHECK(is_free(&lock, 10, 20, RANGE_WRITE) && is_free(&lock, 30, 40, RANGE_WRITE));
		CHECK(!atomic_load(&job.done));
		range_unlock(&lock, &high);
		thread_join(thread);
		check_quiet_and_destroy(&lock);
	}
}

struct three {
	struct range_lock *lock;
	struct range_hold ranges[3];
	int result;
};

static void *lock_three(void *arg)
{
	struct three *three = arg;
	struct range_request requests[3] = {
		want(&three->ranges[0], 0, 10, RANGE_WRITE),
		want(&three->ranges[1], 20, 30, RANGE_WRITE),
		want(&three->ranges[2], 40, 50, RANGE_WRITE),
	};

	three->result = range_lock_many(three->lock, requests, 3);
	if (!three->result)
		unlock_all(three->lock, requests, 3);
	return NULL;
}

/* Neither do ranges of the set that come before the one that is taken. */
TEST(many, a_set_of_three_ranges_holds_none_while_it_waits_for_any)
{
	for (uint64_t taken = 0; taken < 3; taken++) {
		struct range_lock lock;
		struct three three = { .lock = &lock };
		struct range_lock_attr attr;
		struct range_hold held;
		pthread_t thread;

		/* A waiter that became starving would hold newcomers back. */
		range_lock_attr_init(&attr);
		attr.starvation_ns = UINT64_MAX;
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		take(&lock, &held, 20 * taken + 5, 20 * taken + 6, RANGE_READ);
		thread = thread_start(lock_three, &three);
		await_waits(&lock, 1);
		for (uint64_t i = 0; i < 3; i++)
			CHECK(is_free(&lock, 20 * i, 20 * i + 5, RANGE_WRITE));
		CHECK(is_free(&lock, 10, 20, RANGE_WRITE) && is_free(&lock, 30, 40, RANGE_WRITE));
		range_unlock(&lock, &held);
		thread_join(thread);
		CHECK_EQ(three.result, 0);
		check_quiet_and_destroy(&lock);
	}
}

/* Whichever range of the set the caller names, and whichever of them is taken. */
TEST(many, canceling_any_range_of_a_set_ends_its_wait)
{
	for (unsigned int i = 0; i < 2 * 2 * 3 * 3; i++) {
		unsigned int taken = i % 3, named = i / 3 % 3;
		struct range_lock lock;
		struct three three = { .lock = &lock };
		struct range_hold held;
		struct actor behind;
		pthread_t thread;

		init_lock(&lock, fairnesses[i / 9 % 2], i / 18 ? 16 : 1);
		if (i / 18)
			make_leaves(&lock, 6);
		take(&lock, &held, 20 * taken + 5, 20 * taken + 6, RANGE_READ);
		thread = thread_start(lock_three, &three);
		AWAIT(census_of(&lock).starving + census_of(&lock).waiting == 3);
		/*
		 * Only a FIFO lock makes this reader wait for the set, and not at the range that
		 * the set waits for.
		 */
		actor_start(&behind, &lock, 20 * (2 - named), 20 * (2 - named) + 1, RANGE_READ);
		CHECK_EQ(range_cancel(&lock, &three.ranges[named]), 0);
		thread_join(thread);
		CHECK_EQ(three.result, ECANCELED);
		for (unsigned int k = 0; k < 3; k++)
			CHECK_EQ(range_cancel(&lock, &three.ranges[k]), ESRCH);
		actor_await(&behind);
		CHECK_EQ(actor_finish(&behind), 0);
		check_valid(&lock);
		range_unlock(&lock, &held);
		check_quiet_and_destroy(&lock);
	}
}

/* Two ends that are always busy, and the keys between them. */
enum { LAST_KEY = 999, CALLS = 300 };

/*
 * The threads' ranges are here, and not on their stacks. A thread that wakes a waiter may use the
 * waiter's address after the waiter has returned, and valgrind does not know that this is harmless.
 */
struct ends {
	struct range_lock lock;
	struct range_hold far;
	struct range_hold at_ends[2], own, a, b;
	atomic_uint calls;
	atomic_bool over;
};

static void *keep_an_end_busy(void *arg)
{
	struct ends *ends = arg;
	static atomic_uint next;
	unsigned int end = atomic_fetch_add(&next, 1) % 2;
	uint64_t key = end ? LAST_KEY : 0;
	struct range_hold *range = &ends->at_ends[end];

	while (!atomic_load(&ends->over)) {
		CHECK_EQ(range_lock(&ends->lock, range, key, key + 1, RANGE_WRITE), 0);
		spin_ns(2000);
		range_unlock(&ends->lock, range);
	}
	return NULL;
}

/* The thread itself holds a range between them. */
static void *lock_both_ends(void *arg)
{
	struct ends *ends = arg;
	struct range_request requests[2] = {
		want(&ends->b, LAST_KEY, LAST_KEY + 1, RANGE_WRITE),
		want(&ends->a, 0, 1, RANGE_WRITE),
	};

	CHECK_EQ(range_lock(&ends->lock, &ends->own, 500, 501, RANGE_WRITE), 0);
	for (unsigned int i = 0; i < CALLS; i++) {
		CHECK_EQ(range_lock_many(&ends->lock, requests, 2), 0);
		unlock_all(&ends->lock, requests, 2);
		atomic_fetch_add(&ends->calls, 1);
	}
	range_unlock(&ends->lock, &ends->own);
	atomic_store(&ends->over, true);
	return NULL;
}

static void use_what_lies_between(struct ends *ends)
{
	struct range_hold range;

	while (!atomic_load(&ends->over)) {
		take(&ends->lock, &range, 200, 201, RANGE_WRITE);
		range_unlock(&ends->lock, &range);
	}
}

/*
 * Neither a range of this thread between them nor one of another thread matters, and no thread
 * waits there for the set.
 */
TEST(many, ranges_between_those_of_a_set_do_not_matter)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct ends ends;
		pthread_t threads[3];

		init_lock(&ends.lock, fairnesses[i % 2], i / 2 ? 1024 : 1);
		atomic_init(&ends.calls, 0);
		atomic_init(&ends.over, false);
		take(&ends.lock, &ends.far, 600, 700, RANGE_READ);
		for (int t = 0; t < 3; t++)
			threads[t] = thread_start(t < 2 ? keep_an_end_busy : lock_both_ends, &ends);
		use_what_lies_between(&ends);
		for (int t = 0; t < 3; t++)
			thread_join(threads[t]);
		CHECK_EQ(atomic_load(&ends.calls), CALLS);
		range_unlock(&ends.lock, &ends.far);
		check_quiet_and_destroy(&ends.lock);
	}
}

TEST(many, try_takes_all_or_nothing_and_does_not_wait)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct range_lock lock;
		struct range_hold r[3], held;
		struct range_request requests[3] = {
			want(&r[0], 40, 50, RANGE_WRITE),
			want(&r[1], 0, 10, RANGE_READ),
			want(&r[2], 20, 30, RANGE_WRITE),
		};

		init_lock(&lock, fairnesses[i % 2], 16);
		if (i / 2)
			make_leaves(&lock, 6);
		for (uint64_t key = 0; key < 60; key += 20) {
			take(&lock, &held, key, key + 1, RANGE_WRITE);
			CHECK_EQ(range_trylock_many(&lock, requests, 3), EBUSY);
			CHECK_EQ(census_of(&lock).held, 1);
			range_unlock(&lock, &held);
		}
		take(&lock, &held, 0, 20, RANGE_READ);
		CHECK_EQ(range_trylock_many(&lock, requests, 3), 0);
		CHECK_EQ(requests[0].start, 0);
		CHECK_EQ(census_of(&lock).held, 4);
		CHECK(!is_free(&lock, 49, 50, RANGE_READ) && is_free(&lock, 5, 6, RANGE_READ));
		unlock_all(&lock, requests, 3);
		range_unlock(&lock, &held);
		CHECK_EQ(lock_stats(&lock).waits, 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(many, try_does_not_pass_a_fifo_waiter)
{
	struct range_lock lock;
	struct range_hold held, r[2];
	struct range_request requests[2] = { want(&r[0], 0, 5, RANGE_READ),
					     want(&r[1], 20, 30, RANGE_READ) };
	struct actor waiter;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 16);
	take(&lock, &held, 20, 21, RANGE_READ);
	actor_queue(&waiter, &lock, 15, 25, RANGE_WRITE);
	CHECK_EQ(range_trylock_many(&lock, requests, 2), EBUSY);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&waiter), 0);
	CHECK_EQ(range_trylock_many(&lock, requests, 2), 0);
	unlock_all(&lock, requests, 2);
	check_quiet_and_destroy(&lock);
}

TEST(many, a_deadline_ends_the_wait_of_a_set_with_no_range_held)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

	for (unsigned int i = 0; i < 8; i++) {
		clockid_t clock = clocks[i % 2];
		struct timespec deadline = time_after(clock, i / 4 ? 2000000 : 0);
		struct range_lock lock;
		struct range_hold r[2];
		struct range_request requests[2] = { want(&r[0], 20, 30, RANGE_READ),
						     want(&r[1], 0, 5, RANGE_WRITE) };
		struct actor holder;

		init_lock(&lock, fairnesses[i / 2 % 2], 16);
		actor_start(&holder, &lock, 25, 26, RANGE_WRITE);
		actor_await(&holder);
		CHECK_EQ(range_timedlock_many(&lock, requests, 2, clock, &deadline), ETIMEDOUT);
		CHECK_EQ(census_of(&lock).held, 1);
		CHECK_EQ(census_of(&lock).starving + census_of(&lock).waiting, 0);
		CHECK(is_free(&lock, 0, 25, RANGE_WRITE));
		check_valid(&lock);
		CHECK_EQ(actor_finish(&holder), 0);
		/* The deadline has passed, and no range conflicts. */
		CHECK_EQ(range_timedlock_many(&lock, requests, 2, clock, &deadline), 0);
		CHECK_EQ(census_of(&lock).held, 2);
		unlock_all(&lock, requests, 2);
		CHECK_EQ(range_timedlock_many(&lock, requests, 2, clock, NULL), 0);
		unlock_all(&lock, requests, 2);
		check_quiet_and_destroy(&lock);
	}
}

TEST(many, try_and_timed_forms_refuse_invalid_requests)
{
	static const struct timespec bad_time = { 0, 1000000000 }, past = { 1, 0 };
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold a, b;
	struct range_request ok[2] = { want(&a, 0, 5, RANGE_READ), want(&b, 5, 6, RANGE_READ) };
	struct range_request bad[2] = { want(&a, 0, 6, RANGE_READ), want(&b, 5, 6, RANGE_READ) };

	CHECK_EQ(range_trylock_many(&lock, bad, 2), EINVAL);
	CHECK_EQ(range_trylock_many(&lock, ok, 0), EINVAL);
	CHECK_EQ(range_timedlock_many(&lock, bad, 2, CLOCK_MONOTONIC, &past), EINVAL);
	CHECK_EQ(range_timedlock_many(&lock, ok, 0, CLOCK_MONOTONIC, &past), EINVAL);
	CHECK_EQ(range_timedlock_many(&lock, ok, 2, CLOCK_MONOTONIC, &bad_time), EINVAL);
	CHECK_EQ(range_timedlock_many(&lock, ok, 2, CLOCK_PROCESS_CPUTIME_ID, &past), EINVAL);
	check_quiet_and_destroy(&lock);
}

struct setter {
	struct range_lock *lock;
	unsigned int n; /* number of rounds */
	bool descending;
};

/* Every second key of [0, 20), in one order or the other, beside single ranges in the gaps. */
static void *lock_in_some_order(void *arg)
{
	struct setter *setter = arg;

	for (unsigned int round = 0; round < setter->n; round++) {
		struct range_hold ranges[10];
		struct range_request requests[10];

		for (uint64_t i = 0; i < 10; i++) {
			uint64_t key = 2 * (setter->descending ? 9 - i : i);

			requests[i] = want(&ranges[i], key, key + 1 + round % 2, RANGE_WRITE);
		}
		CHECK_EQ(range_lock_many(setter->lock, requests, 10), 0);
		unlock_all(setter->lock, requests, 10);
	}
	return NULL;
}

TEST(many, opposite_orders_do_not_deadlock)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct range_lock lock;
		struct setter setters[4];
		pthread_t threads[4];

		init_lock(&lock, fairnesses[i % 2], i / 2 ? 64 : 1);
		for (unsigned int t = 0; t < 4; t++) {
			setters[t] = (struct setter){ &lock, test_scale(500), t % 2 };
			threads[t] = thread_start(lock_in_some_order, &setters[t]);
		}
		for (unsigned int t = 0; t < 4; t++)
			thread_join(threads[t]);
		check_quiet_and_destroy(&lock);
	}
}

/*
 * A range of a set may span leaves, begin in the leaf in which the one before ends, or share one.
 */
TEST(many, ranges_may_lie_in_leaves_in_any_way)
{
	static const uint64_t bounds[][2] = { { 3, 5 },   { 5, 10 },  { 10, 20 },
					      { 25, 55 }, { 57, 58 }, { 59, 60 } };
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold ranges[6];
	struct range_request requests[6];

	make_leaves(&lock, 8);
	for (unsigned int subset = 1; subset < 64; subset++) {
		size_t n = 0;

		for (unsigned int i = 0; i < 6; i++)
			if (subset & 1u << i) {
				requests[n] = want(&ranges[i], bounds[i][0], bounds[i][1],
						   i % 2 ? RANGE_READ : RANGE_WRITE);
				n++;
			}
		CHECK_EQ(range_lock_many(&lock, requests, n), 0);
		check_valid(&lock);
		for (unsigned int i = 0; i < 6; i++) {
			bool held = subset & 1u << i;

			CHECK_EQ(is_free(&lock, bounds[i][0], bounds[i][1], RANGE_WRITE), !held);
			CHECK_EQ(is_free(&lock, bounds[i][1] - 1, bounds[i][1], RANGE_READ),
				 !held || i % 2);
		}
		CHECK(is_free(&lock, 20, 25, RANGE_WRITE) && is_free(&lock, 60, 61, RANGE_WRITE));
		unlock_all(&lock, requests, n);
	}
	CHECK_EQ(lock_stats(&lock).waits, 0);
	check_quiet_and_destroy(&lock);
}

/*
 * Threads that collide although their sets do not overlap split leaves like other threads, for some
 * memory.
 */
TEST(many, leaves_split_where_sets_collide)
{
	uint64_t self = mmrange__self();
	struct range_lock_attr attr;
	struct memory_books books;
	struct range_lock lock;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		unsigned int before = atomic_load(&books.allocations);
		struct range_hold ranges[2];
		struct range_request requests[2] = {
			want(&ranges[0], 100 * (i % 2), 100 * (i % 2) + 1, RANGE_WRITE),
			want(&ranges[1], 100 * (i % 2) + 10, 100 * (i % 2) + 11, RANGE_WRITE),
		};

		play_thread(i % 2);
		CHECK_EQ(range_lock_many(&lock, requests, 2), 0);
		CHECK(atomic_load(&books.allocations) - before <= 4);
		CHECK_EQ(census_of(&lock).held, 2);
		unlock_all(&lock, requests, 2);
	}
	mmrange__thread = self;
	CHECK(leaf_at(&lock, 5) != leaf_at(&lock, 105));
	CHECK(lock_stats(&lock).leaves <= 8);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}

enum order { RISING, FALLING, ORGAN_PIPE, SHUFFLED, NR_ORDERS };

static uint64_t nth(enum order order, uint64_t i, uint64_t n)
{
	switch (order) {
	case RISING:
		return i;
	case FALLING:
		return n - 1 - i;
	case ORGAN_PIPE:
		return i < n / 2 ? 2 * i : 2 * (n - 1 - i) + 1;
	default:
		/* n has no factor in common with this prime. */
		return i * UINT64_C(2654435761) % n;
	}
}

/* The last ones overlap, so that only the sorting takes time. In O(n^2) it would take hours. */
TEST(many, a_million_requests_are_sorted_in_n_log_n)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	uint64_t n = test_scale(1000000);
	struct range_request *requests = malloc(n * sizeof *requests);
	struct range_hold range;

	CHECK(requests);
	for (enum order order = 0; order < NR_ORDERS; order++) {
		for (uint64_t i = 0; i < n; i++) {
			uint64_t key = nth(order, i, n);

			requests[i] = want(&range, key, key == n - 2 ? n : key + 1, RANGE_WRITE);
		}
		CHECK_EQ(range_lock_many(&lock, requests, n), EINVAL);
		for (uint64_t i = 0; i < n; i++)
			CHECK_EQ(requests[i].start, i);
	}
	free(requests);
	check_quiet_and_destroy(&lock);
}

TEST(many, thousands_of_ranges_are_taken_and_waited_for)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	uint64_t n = test_scale(20000);
	struct range_request *requests = malloc(n * sizeof *requests);
	struct range_hold *ranges = malloc(n * sizeof *ranges);
	struct timespec soon;
	struct actor holder;

	CHECK(requests && ranges);
	make_leaves(&lock, 16);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t key = 3 * nth(SHUFFLED, i, n);

		requests[i] = want(&ranges[i], key, key + 2, RANGE_WRITE);
	}
	CHECK_EQ(range_lock_many(&lock, requests, n), 0);
	CHECK_EQ(census_of(&lock).held, n);
	unlock_all(&lock, requests, n);
	actor_start(&holder, &lock, 3 * n - 2, 3 * n - 1, RANGE_READ);
	actor_await(&holder);
	soon = time_after(CLOCK_MONOTONIC, 1000000);
	CHECK_EQ(range_timedlock_many(&lock, requests, n, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
	CHECK_EQ(census_of(&lock).held, 1);
	CHECK_EQ(actor_finish(&holder), 0);
	free(requests);
	free(ranges);
	check_quiet_and_destroy(&lock);
}
