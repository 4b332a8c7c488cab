/* SPDX-License-Identifier: MIT */
/*
 * What threads may do while range_lock_foreach() calls its function. The function itself may call
 * any function of the lock, and so may other threads for which the function waits.
 */
#include "actors.h"
#include "dummy_waiter.h"
#include "leaves.h"

#include "platform/platform.h"
#include "range_lock/find.h"
#include "range_lock/forest.h"
#include "range_lock/short_lock.h"

#include <errno.h>
#include <string.h>

/* More than two batches of the walk can show. */
enum { MANY = 300 };

static struct range_lock lock;

static void check_held(struct range_lock *where, uint64_t start, uint64_t end)
{
	struct range_hold range;

	CHECK_EQ(range_lock(where, &range, start, end, RANGE_WRITE), 0);
	range_unlock(where, &range);
	CHECK_EQ(range_lock(where, &range, start, end, RANGE_READ), 0);
	range_unlock(where, &range);
}

/* Calls every function, on keys from base to base + 100, which are free. */
static void call_all(struct range_lock *where, uint64_t base)
{
	struct timespec soon = time_after(CLOCK_MONOTONIC, SECOND);
	struct range_hold range, upper;
	struct range_lock_times times;
	struct range_info info;
	struct range_request requests[] = { { &range, base, base + 40, RANGE_WRITE },
					    { &upper, base + 50, base + 90, RANGE_READ } };

	check_held(where, base, base + 1);
	check_held(where, base, base + 100);
	CHECK_EQ(range_lock_many(where, requests, 2), 0);
	range_unlock(where, &range);
	range_unlock(where, &upper);
	CHECK_EQ(range_timedlock(where, &range, base + 10, base + 60, RANGE_WRITE, CLOCK_MONOTONIC,
				 &soon),
		 0);
	CHECK_EQ(range_tryextend(where, &range, base, base + 100), 0);
	CHECK_EQ(range_split(where, &range, base + 50, &upper), 0);
	CHECK_EQ(range_shrink(where, &upper, base + 60, base + 70), 0);
	range_downgrade(where, &range);
	CHECK_EQ(range_tryupgrade(where, &range), 0);
	CHECK(!is_free(where, base, base + 1, RANGE_READ));
	CHECK(range_is_held(where, base, base + 50, RANGE_WRITE));
	CHECK_EQ(range_lock_conflict(where, base, base + 70, RANGE_READ, &info), 0);
	CHECK_EQ(range_cancel(where, &range), ESRCH);
	range_downgrade(where, &range);
	CHECK_EQ(range_upgrade(where, &range), 0);
	range_downgrade(where, &range);
	CHECK_EQ(range_timedupgrade(where, &range, CLOCK_MONOTONIC, &soon), 0);
	CHECK_EQ(range_tryextend(where, &range, base, base + 60), 0);
	CHECK_EQ(range_join(where, &range, &upper), 0);
	range_unlock(where, &range);
	CHECK(lock_stats(where).leaves >= 1);
	CHECK_EQ(range_lock_get_times(where, &times), EINVAL);
	CHECK_EQ(range_lock_dump(where, stdout), 0);
}

static int count_one(const struct range_info *info, void *arg)
{
	(void)info;
	++*(unsigned int *)arg;
	return 0;
}

static unsigned int count(struct range_lock *where)
{
	unsigned int n = 0;

	CHECK_EQ(range_lock_foreach(where, count_one, &n), 0);
	return n;
}

/* A lock with leaves at 10, 20, ..., in which [0, 1) and [55, 56) are held and waited for. */
static struct range_hold held[2];
static struct actor waiters[2];

static void begin(enum range_fairness fairness)
{
	uint64_t self = mmrange__self();

	init_lock(&lock, fairness, 64);
	make_leaves(&lock, 10);
	mmrange__thread = self;
	for (int i = 0; i < 2; i++) {
		take(&lock, &held[i], i ? 55 : 0, i ? 56 : 1, RANGE_WRITE);
		actor_queue(&waiters[i], &lock, i ? 55 : 0, i ? 56 : 1, RANGE_WRITE);
	}
}

static void end(int result)
{
	check_valid(&lock);
	for (int i = 0; i < 2; i++) {
		range_unlock(&lock, &held[i]);
		CHECK_EQ(actor_finish(&waiters[i]), result);
	}
	check_quiet_and_destroy(&lock);
}

/*
 * In the leaf of the shown range, in other leaves, over several leaves, and over all leaves before
 * the held one.
 */
static void *use_everywhere(void *arg)
{
	uint64_t end_of_first = 9;

	(void)arg;
	check_held(&lock, 1, end_of_first);
	check_held(&lock, 1, 55);
	call_all(&lock, 1000);
	check_held(&lock, 56, UINT64_MAX);
	CHECK(is_free(&lock, 20, 50, RANGE_WRITE));
	CHECK(!is_free(&lock, 20, 60, RANGE_WRITE));
	CHECK_EQ(count(&lock), 4);
	return NULL;
}

static int wait_for_a_thread(const struct range_info *info, void *arg)
{
	(void)info;
	thread_join(thread_start(use_everywhere, NULL));
	++*(unsigned int *)arg;
	return 0;
}

TEST(foreach_calls, other_threads_use_every_part_of_the_lock_while_the_function_runs)
{
	for (int fair = 0; fair < 2; fair++) {
		unsigned int calls = 0;

		begin(fairnesses[fair]);
		CHECK_EQ(range_lock_foreach(&lock, wait_for_a_thread, &calls), 0);
		CHECK_EQ(calls, 4);
		end(0);
	}
}

static int use_all(const struct range_info *info, void *arg)
{
	struct range_lock other = RANGE_LOCK_INITIALIZER;

	(void)info;
	use_everywhere(NULL);
	call_all(&other, 0);
	CHECK_EQ(range_lock_destroy(&other), 0);
	++*(unsigned int *)arg;
	return 0;
}

TEST(foreach_calls, the_function_calls_every_other_function)
{
	for (int fair = 0; fair < 2; fair++) {
		unsigned int calls = 0;

		begin(fairnesses[fair]);
		CHECK_EQ(range_lock_foreach(&lock, use_all, &calls), 0);
		CHECK_EQ(calls, 4);
		end(0);
	}
}

static void *cancel_range(void *arg)
{
	CHECK_EQ(range_cancel(&lock, arg), 0);
	return NULL;
}

/* Another thread cancels the waits in the leaf of the shown range, and in a later leaf. */
static int have_all_canceled(const struct range_info *info, void *arg)
{
	unsigned int *calls = arg;

	if (++*calls == 1)
		for (int i = 0; i < 2; i++) {
			thread_join(thread_start(cancel_range, &waiters[i].range));
			AWAIT(atomic_load(&waiters[i].state) == ACTOR_FAILED);
		}
	else
		CHECK(info->range == &held[1] || info->range == &waiters[0].range);
	return 0;
}

TEST(foreach_calls, another_thread_cancels_while_the_function_runs)
{
	unsigned int calls = 0;

	begin(RANGE_FAIRNESS_BARGING);
	CHECK_EQ(range_lock_foreach(&lock, have_all_canceled, &calls), 0);
	CHECK_EQ(calls, 3);
	end(ECANCELED);
}

static int cancel_if_it_waits(const struct range_info *info, void *arg)
{
	(void)arg;
	if (info->state != RANGE_STATE_HELD)
		range_cancel(&lock, info->range);
	return 0;
}

TEST(foreach_calls, the_function_ends_every_wait)
{
	for (int fair = 0; fair < 2; fair++) {
		begin(fairnesses[fair]);
		CHECK_EQ(range_lock_foreach(&lock, cancel_if_it_waits, NULL), 0);
		CHECK_EQ(count(&lock), 2);
		end(ECANCELED);
	}
}

static atomic_bool closed;
static atomic_uint at_work;

/* Waits again and again, at one key of each of three leaves, until the program ends. */
static void *work_until_closed(void *arg)
{
	struct range_hold range;

	while (!atomic_load(&closed)) {
		int result = range_lock(&lock, &range, *(uint64_t *)arg, *(uint64_t *)arg + 1,
					RANGE_WRITE);

		CHECK(result == 0 || result == ECANCELED);
		if (!result)
			range_unlock(&lock, &range);
	}
	atomic_fetch_sub(&at_work, 1);
	return NULL;
}

/* As the header says: the program tells the threads first, and repeats the walk. */
TEST(foreach_calls, a_shutdown_ends_every_wait_of_threads_that_wait_again)
{
	enum { THREADS = 9 };
	static uint64_t keys[] = { 0, 55, 1000 };
	pthread_t threads[THREADS];
	struct range_hold third;

	begin(RANGE_FAIRNESS_BARGING);
	take(&lock, &third, 1000, 1001, RANGE_READ);
	atomic_store(&closed, false);
	atomic_store(&at_work, THREADS);
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_start(work_until_closed, &keys[i % 3]);
	AWAIT(count(&lock) >= 3 + 2 + THREADS / 2);
	atomic_store(&closed, true);
	while (atomic_load(&at_work) > 0)
		CHECK_EQ(range_lock_foreach(&lock, cancel_if_it_waits, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	range_unlock(&lock, &third);
	end(ECANCELED);
}

/* How often each of many ranges was shown. */
static struct range_hold many[MANY];
static unsigned int shown[MANY];
static unsigned int nr_shown;

static void note(const struct range_info *info)
{
	size_t i = (size_t)(info->range - many);

	CHECK(i < MANY && info->range == &many[i]);
	shown[i]++;
	nr_shown++;
}

/*
 * At the first range, in the middle of a batch, and at the last range of a batch, releases every
 * other range.
 */
static int note_and_release(const struct range_info *info, void *arg)
{
	unsigned int *step = arg;

	note(info);
	CHECK_EQ(info->state, RANGE_STATE_HELD);
	if (nr_shown == 1 || nr_shown == 30 || nr_shown == 64) {
		for (unsigned int i = *step; i < MANY; i += 8)
			range_unlock(&lock, &many[i]);
		*step += 2;
	}
	return 0;
}

TEST(foreach_calls, hundreds_of_readers_with_one_start_are_each_shown_once_while_others_leave)
{
	unsigned int step = 1;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	memset(shown, 0, sizeof shown);
	nr_shown = 0;
	/* Not in the order of their addresses. */
	for (unsigned int i = 0; i < MANY; i++) {
		unsigned int k = i * 7 % MANY;

		take(&lock, &many[k], 5, 6 + k % 3, RANGE_READ);
	}
	CHECK_EQ(range_lock_foreach(&lock, note_and_release, &step), 0);
	CHECK_EQ(step, 7);
	for (unsigned int i = 0; i < MANY; i++) {
		bool stays = i % 8 != 1 && i % 8 != 3 && i % 8 != 5;

		CHECK(shown[i] <= 1 && (shown[i] == 1 || !stays));
		if (stays)
			range_unlock(&lock, &many[i]);
	}
	check_quiet_and_destroy(&lock);
}

/* The sets of the waiters that queue() makes. */
static struct range__set sets[MANY];

/* Queues an element of many[]. */
static void queue(struct range_hold *range, uint64_t start, uint64_t arrival)
{
	queue_dummy_waiter(&lock, range, &sets[range - many], start, start + 1, arrival);
}

static uint64_t arrival_of(struct range_hold *range)
{
	return range__hold(range)->arrival;
}

/* Cancels some waits that were shown and some that were not. */
static int note_and_cancel(const struct range_info *info, void *arg)
{
	struct range_hold *last = *(struct range_hold **)arg;

	if (info->state == RANGE_STATE_HELD)
		return 0;
	note(info);
	if (last)
		CHECK(arrival_of(last) < arrival_of(info->range) ||
		      (arrival_of(last) == arrival_of(info->range) && last < info->range));
	*(struct range_hold **)arg = info->range;
	if (nr_shown == 10 || nr_shown == 64 || nr_shown == 100)
		for (size_t i = nr_shown % 7 + 1; i < MANY; i += 7)
			CHECK_EQ(range_cancel(&lock, &many[i]), 0);
	return 0;
}

TEST(foreach_calls, hundreds_of_waiters_are_shown_once_by_arrival_while_others_are_canceled)
{
	struct range_hold *last = NULL;
	struct range_hold all;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	memset(shown, 0, sizeof shown);
	nr_shown = 0;
	take(&lock, &all, 0, 1000, RANGE_READ);
	/* Some arrive at the same time. */
	for (unsigned int i = 0; i < MANY; i++)
		queue(&many[i * 7 % MANY], i * 3 % 1000, 1 + i / 10);
	CHECK_EQ(range_lock_foreach(&lock, note_and_cancel, &last), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		int result = range_cancel(&lock, &many[i]);

		CHECK(shown[i] <= 1 && (result || shown[i] == 1));
	}
	range_unlock(&lock, &all);
	check_quiet_and_destroy(&lock);
}

/* Cancels the shown wait, which begins again at once, as often as a walk may go on. */
static int wait_again(const struct range_info *info, void *arg)
{
	unsigned int *calls = arg;

	if (info->state == RANGE_STATE_HELD)
		return 0;
	CHECK_EQ(range_cancel(&lock, info->range), 0);
	queue(info->range, info->start, mmrange__now());
	return ++*calls > 10 * MANY;
}

TEST(foreach_calls, a_walk_ends_although_waiters_come_again_and_again)
{
	unsigned int calls = 0;
	struct range_hold all;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	take(&lock, &all, 0, 1000, RANGE_READ);
	for (unsigned int i = 0; i < MANY; i++)
		queue(&many[i], i, mmrange__now());
	CHECK_EQ(range_lock_foreach(&lock, wait_again, &calls), 0);
	CHECK_EQ(calls, MANY);
	for (unsigned int i = 0; i < MANY; i++)
		CHECK_EQ(range_cancel(&lock, &many[i]), 0);
	range_unlock(&lock, &all);
	check_quiet_and_destroy(&lock);
}

/* Releases the shown range, and acquires it again beyond all others, as threads that append do. */
static int append(const struct range_info *info, void *arg)
{
	unsigned int *calls = arg;
	uint64_t start = MANY + *calls;

	range_unlock(&lock, info->range);
	take(&lock, info->range, start, start + 1, RANGE_WRITE);
	return ++*calls > 10 * MANY;
}

TEST(foreach_calls, a_walk_ends_although_ranges_beyond_the_others_come_again_and_again)
{
	unsigned int calls = 0;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < MANY; i++)
		take(&lock, &many[i], i, i + 1, RANGE_WRITE);
	CHECK_EQ(range_lock_foreach(&lock, append, &calls), 0);
	CHECK_EQ(calls, MANY);
	for (unsigned int i = 0; i < MANY; i++)
		range_unlock(&lock, &many[i]);
	check_quiet_and_destroy(&lock);
}

/* This thread itself holds lock->mutex. */
TEST(foreach_calls, walks_do_not_wait_for_the_mutex_of_merges)
{
	begin(RANGE_FAIRNESS_BARGING);
	range__short_lock(&range__lock(&lock)->mutex);
	CHECK_EQ(count(&lock), 4);
	CHECK_EQ(range_cancel(&lock, &waiters[1].range), 0);
	CHECK_EQ(range_cancel(&lock, &waiters[1].range), ESRCH);
	CHECK_EQ(range_cancel(&lock, &waiters[0].range), 0);
	range__short_unlock(&range__lock(&lock)->mutex);
	end(ECANCELED);
}

TEST(foreach_calls, statistics_lock_no_leaf)
{
	struct range_lock_stats stats;

	begin(RANGE_FAIRNESS_BARGING);
	for (uint64_t key = 0; key < 100; key += 10) {
		struct range__leaf *leaf = range__find_and_lock(range__lock(&lock), key, NULL);

		stats = lock_stats(&lock);
		CHECK_EQ(stats.waits, 2);
		range__leaf_unlock(leaf, NULL);
	}
	end(0);
}

/* A leaf is merged into the one before and split again: each event is counted once. */
TEST(foreach_calls, statistics_count_each_wait_and_each_bias_once_after_splits_and_merges)
{
	struct range_lock_stats before;
	struct range_hold all;

	begin(RANGE_FAIRNESS_BARGING);
	make_biased(&lock, 25);
	make_far_leaves(&lock);
	before = lock_stats(&lock);
	CHECK_EQ(before.waits, 2);
	CHECK(before.biases >= 1);
	for (int i = 0; i < 2; i++) {
		range_unlock(&lock, &held[i]);
		CHECK_EQ(actor_finish(&waiters[i]), 0);
	}
	for (int i = 0; i < 10; i++) {
		take(&lock, &all, FULL, RANGE_WRITE);
		CHECK_EQ(lock_stats(&lock).waits, 2);
		CHECK_EQ(lock_stats(&lock).biases, before.biases);
		range_unlock(&lock, &all);
		merge_leaf(&lock, 20);
		split_leaf(&lock, 20);
	}
	CHECK_EQ(lock_stats(&lock).waits, 2);
	CHECK_EQ(lock_stats(&lock).biases, before.biases);
	CHECK(lock_stats(&lock).merges > before.merges);
	check_quiet_and_destroy(&lock);
}

static bool came_back;

static int write_something(const struct range_info *info, void *arg)
{
	int end = *(int *)arg;

	CHECK_EQ(write(end, &info->start, sizeof info->start), sizeof info->start);
	pthread_testcancel();
	return 0;
}

static void *show_with_cancellation_pending(void *arg)
{
	pthread_cancel(pthread_self());
	CHECK_EQ(range_lock_foreach(&lock, write_something, arg), 0);
	came_back = true;
	pthread_testcancel();
	return NULL;
}

TEST(foreach_calls, a_thread_is_not_canceled_in_the_function)
{
	int ends[2];
	pthread_t thread;
	void *result;

	CHECK_EQ(pipe(ends), 0);
	begin(RANGE_FAIRNESS_BARGING);
	came_back = false;
	thread = thread_start(show_with_cancellation_pending, &ends[1]);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED && came_back);
	for (int i = 0; i < 4; i++) {
		uint64_t start;

		CHECK_EQ(read(ends[0], &start, sizeof start), sizeof start);
		CHECK_EQ(start, i < 2 ? 0 : 55);
	}
	close(ends[0]);
	close(ends[1]);
	use_everywhere(NULL);
	end(0);
}
