/* SPDX-License-Identifier: MIT */
/* What a lock with counters counts of holds and waits, and what it does not. */
#include "actors.h"
#include "forks.h"
#include "instructions.h"

#include "range_lock/times.h"

#include <errno.h>
#include <string.h>

static struct range_lock lock;
static struct range_lock_counters counters;

static void init_counting(struct range_lock *where, struct range_lock_counters *which,
			  enum range_fairness fairness)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	CHECK(!attr.counters);
	attr.fairness = fairness;
	attr.counters = which;
	CHECK_EQ(range_lock_init(where, &attr), 0);
}

static struct range_lock_times times_of(struct range_lock *where)
{
	struct range_lock_times times;

	CHECK_EQ(range_lock_get_times(where, &times), 0);
	return times;
}

/* The lock belongs to this copy of the library from now on, so that the fast path serves it. */
static void begin(enum range_fairness fairness)
{
	memset(&counters, 0, sizeof counters);
	init_counting(&lock, &counters, fairness);
	CHECK_EQ(times_of(&lock).mode[RANGE_READ].holds, 0);
}

static void check_counts(enum range_mode mode, uint64_t holds, uint64_t waits)
{
	struct range_mode_times times = times_of(&lock).mode[mode];

	CHECK_EQ(times.holds, holds);
	CHECK_EQ(times.waits, waits);
	CHECK(times.longest_ns <= times.total_ns);
	CHECK_EQ(times.total_ns > 0, waits > 0);
	CHECK_EQ(times.longest_ns > 0, waits > 0);
}

TEST(times, waits_and_holds_are_counted_by_mode_when_the_waits_have_ended)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_hold held;
		struct actor readers[2], writer;

		begin(fairnesses[fair]);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		actor_queue(&readers[0], &lock, 0, 3, RANGE_READ);
		actor_queue(&readers[1], &lock, 3, 5, RANGE_READ);
		actor_queue(&writer, &lock, 5, 15, RANGE_WRITE);
		check_counts(RANGE_READ, 0, 0);
		check_counts(RANGE_WRITE, 0, 0);
		range_unlock(&lock, &held);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(actor_finish(&readers[i]), 0);
		CHECK_EQ(actor_finish(&writer), 0);
		check_counts(RANGE_READ, 2, 2);
		check_counts(RANGE_WRITE, 1, 1);
		check_quiet_and_destroy(&lock);
	}
}

TEST(times, a_wait_is_as_long_as_the_thread_waits)
{
	struct range_hold held;
	struct actor waiter;
	struct range_mode_times times;
	uint64_t before, queued, released, after;

	begin(RANGE_FAIRNESS_BARGING);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	before = now_ns();
	actor_queue(&waiter, &lock, 0, 10, RANGE_READ);
	queued = now_ns();
	spin_ns(SECOND / 200);
	released = now_ns();
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&waiter), 0);
	after = now_ns();
	times = times_of(&lock).mode[RANGE_READ];
	CHECK(released - queued <= times.total_ns && times.total_ns <= after - before);
	CHECK_EQ(times.longest_ns, times.total_ns);
	check_quiet_and_destroy(&lock);
}

TEST(times, a_wait_that_fails_counts_and_its_hold_does_not)
{
	struct range_hold held, range;
	struct actor waiter;
	struct timespec soon;

	begin(RANGE_FAIRNESS_BARGING);
	actor_start(&waiter, &lock, 0, 10, RANGE_WRITE);
	actor_await(&waiter);
	soon = time_after(CLOCK_MONOTONIC, SECOND / 1000);
	CHECK_EQ(range_timedlock(&lock, &range, 5, 6, RANGE_WRITE, CLOCK_MONOTONIC, &soon),
		 ETIMEDOUT);
	check_counts(RANGE_WRITE, 0, 1);
	CHECK_EQ(actor_finish(&waiter), 0);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	actor_queue(&waiter, &lock, 9, 10, RANGE_READ);
	CHECK_EQ(range_cancel(&lock, &waiter.range), 0);
	CHECK_EQ(actor_finish(&waiter), ECANCELED);
	check_counts(RANGE_READ, 0, 1);
	check_counts(RANGE_WRITE, 0, 1);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

TEST(times, an_attempt_that_fails_is_no_wait)
{
	struct range_hold held, range;

	begin(RANGE_FAIRNESS_BARGING);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_trylock(&lock, &range, 5, 6, RANGE_WRITE), EBUSY);
	check_counts(RANGE_WRITE, 0, 0);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

/* The first use of a lock needs the slow path. */
TEST(times, the_slow_path_counts_a_hold_without_a_wait_and_the_fast_path_counts_nothing)
{
	struct range_hold held;

	memset(&counters, 0, sizeof counters);
	init_counting(&lock, &counters, RANGE_FAIRNESS_BARGING);
	for (int i = 0; i < 10; i++) {
		take(&lock, &held, 0, 10, RANGE_WRITE);
		check_counts(RANGE_WRITE, 1, 0);
		range_unlock(&lock, &held);
	}
	check_quiet_and_destroy(&lock);
}

static void *acquire_two(void *arg)
{
	struct actor *actor = arg;
	struct range_hold other;
	struct range_request requests[] = { { &actor->range, 0, 10, RANGE_READ },
					    { &other, 20, 30, actor->mode } };

	actor->result = range_lock_many(&lock, requests, 2);
	range_unlock(&lock, &actor->range);
	range_unlock(&lock, &other);
	return NULL;
}

TEST(times, several_ranges_count_as_one_acquisition_for_writing_if_one_range_is)
{
	struct range_hold held;
	struct actor actor = { .result = -1 };
	pthread_t thread;

	begin(RANGE_FAIRNESS_FIFO);
	for (unsigned int mode = RANGE_READ; mode <= RANGE_WRITE; mode++) {
		take(&lock, &held, 5, 6, RANGE_WRITE);
		actor.mode = (enum range_mode)mode;
		thread = thread_start(acquire_two, &actor);
		AWAIT(lock_stats(&lock).waits == mode + 1);
		range_unlock(&lock, &held);
		thread_join(thread);
		CHECK_EQ(actor.result, 0);
		check_counts(RANGE_READ, 1, 1);
		check_counts(RANGE_WRITE, mode, mode);
	}
	check_quiet_and_destroy(&lock);
}

/* Threads with any numbers. */
TEST(times, total_is_the_sum_and_longest_the_maximum_over_all_threads)
{
	uint64_t self = mmrange__self(), sum = 0;
	struct range_mode_times times;

	begin(RANGE_FAIRNESS_BARGING);
	for (unsigned int thread = 1; thread <= 100; thread++) {
		uint64_t ns = thread == 37 ? 5000 : thread;

		play_thread(thread);
		range__times_add_wait(&counters, RANGE_WRITE, ns);
		range__times_add_wait(&counters, RANGE_WRITE, 0);
		sum += ns;
	}
	mmrange__thread = self;
	times = times_of(&lock).mode[RANGE_WRITE];
	CHECK_EQ(times.waits, 200);
	CHECK_EQ(times.total_ns, sum);
	CHECK_EQ(times.longest_ns, 5000);
	CHECK_EQ(times_of(&lock).mode[RANGE_READ].waits, 0);
	check_quiet_and_destroy(&lock);
}

enum { THREADS = 4 };

static void *contend(void *arg)
{
	unsigned int rounds = test_scale(2000);
	struct range_hold range;

	(void)arg;
	for (unsigned int i = 0; i < rounds; i++) {
		CHECK_EQ(range_lock(&lock, &range, 0, 10, i % 4 ? RANGE_WRITE : RANGE_READ), 0);
		if (i % 16 == 0)
			sched_yield();
		range_unlock(&lock, &range);
	}
	return NULL;
}

TEST(times, no_wait_is_lost_when_threads_count_at_the_same_time)
{
	pthread_t threads[THREADS];
	struct range_lock_times times;

	begin(RANGE_FAIRNESS_BARGING);
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(contend, NULL);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	times = times_of(&lock);
	CHECK_EQ(times.mode[RANGE_READ].waits + times.mode[RANGE_WRITE].waits,
		 lock_stats(&lock).waits);
	for (int mode = RANGE_READ; mode <= RANGE_WRITE; mode++)
		CHECK(times.mode[mode].waits <= times.mode[mode].holds);
	check_quiet_and_destroy(&lock);
}

/* At any address that is a multiple of 8, with all threads' numbers, and with other locks. */
TEST(times, counters_may_lie_anywhere_and_belong_to_several_locks)
{
	enum { SPARE = 16 };
	static uint64_t memory[sizeof counters / 8 + 2 * SPARE];
	uint64_t self = mmrange__self();
	struct range_lock other;

	for (size_t i = 0; i < SPARE; i++) {
		struct range_lock_counters *at = (void *)&memory[i];

		memset(memory, 0, sizeof memory);
		init_counting(&lock, at, RANGE_FAIRNESS_BARGING);
		init_counting(&other, at, RANGE_FAIRNESS_FIFO);
		for (unsigned int thread = 1; thread <= 32; thread++) {
			play_thread(thread);
			range__times_add_wait(at, RANGE_READ, 1);
			range__times_add_wait(at, RANGE_WRITE, 2);
		}
		mmrange__thread = self;
		for (size_t k = 0; k < sizeof memory / 8; k++)
			CHECK(!memory[k] || (i <= k && k < i + sizeof counters / 8));
		CHECK_EQ(times_of(&lock).mode[RANGE_READ].total_ns, 32);
		CHECK_EQ(times_of(&other).mode[RANGE_WRITE].total_ns, 64);
		check_quiet_and_destroy(&other);
		check_quiet_and_destroy(&lock);
	}
}

TEST(times, a_lock_without_counters_has_no_times)
{
	struct range_lock plain = RANGE_LOCK_INITIALIZER;
	struct range_lock_times times, same;

	memset(&times, 0x5a, sizeof times);
	same = times;
	CHECK_EQ(range_lock_get_times(&plain, &times), EINVAL);
	CHECK_EQ(memcmp(&times, &same, sizeof times), 0);
	check_quiet_and_destroy(&plain);
}

static struct range_hold inherited;

static void wait_in_child(void *arg)
{
	struct actor waiter;

	(void)arg;
	range_lock_child(&lock);
	CHECK_EQ(times_of(&lock).mode[RANGE_WRITE].total_ns, 7);
	take(&lock, &inherited, 0, 10, RANGE_WRITE);
	actor_queue(&waiter, &lock, 0, 10, RANGE_WRITE);
	range_unlock(&lock, &inherited);
	CHECK_EQ(actor_finish(&waiter), 0);
	CHECK_EQ(times_of(&lock).mode[RANGE_WRITE].waits, 2);
	check_quiet_and_destroy(&lock);
}

TEST(times, the_lock_of_a_child_goes_on_counting)
{
	begin(RANGE_FAIRNESS_BARGING);
	range__times_add_wait(&counters, RANGE_WRITE, 7);
	take(&lock, &inherited, 0, 10, RANGE_WRITE);
	check_in_child(wait_in_child, NULL);
	CHECK_EQ(times_of(&lock).mode[RANGE_WRITE].waits, 1);
	range_unlock(&lock, &inherited);
	check_quiet_and_destroy(&lock);
}

static void lock_and_unlock(void *arg)
{
	struct range_hold range;

	(void)!range_lock(arg, &range, 0, 10, RANGE_WRITE);
	range_unlock(arg, &range);
}

TEST(times, counters_cost_the_fast_path_no_instruction)
{
	struct range_lock plain;
	uint64_t with, without;

	if (!can_count_instructions())
		return;
	begin(RANGE_FAIRNESS_BARGING);
	init_lock(&plain, RANGE_FAIRNESS_BARGING, 1024);
	with = count_instructions(lock_and_unlock, &lock).all;
	without = count_instructions(lock_and_unlock, &plain).all;
	printf("%" PRIu64 " instructions with counters, %" PRIu64 " without\n", with, without);
	CHECK_EQ(with, without);
	check_counts(RANGE_WRITE, 0, 0);
	check_quiet_and_destroy(&plain);
	check_quiet_and_destroy(&lock);
}
