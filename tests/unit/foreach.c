/* SPDX-License-Identifier: MIT */
/* The ranges that range_lock_foreach() shows. */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"

#include <string.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

enum { MOST = 64 };

struct seen {
	struct range_info info[MOST];
	unsigned int n;
	unsigned int stop_after;
};

static int note(const struct range_info *info, void *arg)
{
	struct seen *seen = arg;

	CHECK(seen->n < MOST);
	seen->info[seen->n++] = *info;
	return seen->n == seen->stop_after ? 42 : 0;
}

static struct seen look(struct range_lock *lock)
{
	struct seen seen = { .n = 0 };

	CHECK_EQ(range_lock_foreach(lock, note, &seen), 0);
	return seen;
}

static void check_info(const struct range_info *info, const struct range_hold *range,
		       uint64_t start, uint64_t end, enum range_mode mode, enum range_state state)
{
	CHECK(info->range == range);
	CHECK_EQ(info->start, start);
	CHECK_EQ(info->end, end);
	CHECK_EQ(info->mode, mode);
	CHECK_EQ(info->state, state);
}

TEST(foreach, a_lock_that_is_not_in_use_shows_nothing)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	CHECK_EQ(look(&lock).n, 0);
	take(&lock, &range, 0, 10, RANGE_WRITE);
	CHECK_EQ(look(&lock).n, 1);
	range_unlock(&lock, &range);
	CHECK_EQ(look(&lock).n, 0);
	check_quiet_and_destroy(&lock);
}

TEST(foreach, held_ranges_are_shown_by_start_then_waiters_by_arrival)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_lock_attr attr;
		struct actor first, second;
		struct range_hold low, high;
		struct seen seen;

		range_lock_attr_init(&attr);
		attr.fairness = fairnesses[fair];
		attr.starvation_ns = UINT64_MAX;
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		take(&lock, &high, 20, 30, RANGE_WRITE);
		take(&lock, &low, 0, 10, RANGE_READ);
		actor_queue(&first, &lock, 25, 26, RANGE_READ);
		actor_queue(&second, &lock, 5, 6, RANGE_WRITE);
		seen = look(&lock);
		CHECK_EQ(seen.n, 4);
		check_info(&seen.info[0], &low, 0, 10, RANGE_READ, RANGE_STATE_HELD);
		check_info(&seen.info[1], &high, 20, 30, RANGE_WRITE, RANGE_STATE_HELD);
		check_info(&seen.info[2], &first.range, 25, 26, RANGE_READ,
			   fair ? RANGE_STATE_STARVING : RANGE_STATE_WAITING);
		check_info(&seen.info[3], &second.range, 5, 6, RANGE_WRITE,
			   fair ? RANGE_STATE_STARVING : RANGE_STATE_WAITING);
		range_unlock(&lock, &low);
		actor_await(&second);
		seen = look(&lock);
		CHECK_EQ(seen.n, 3);
		check_info(&seen.info[0], &second.range, 5, 6, RANGE_WRITE, RANGE_STATE_HELD);
		range_unlock(&lock, &high);
		CHECK_EQ(actor_finish(&first), 0);
		CHECK_EQ(actor_finish(&second), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(foreach, a_barging_waiter_is_shown_as_starving_once_it_starves)
{
	struct range_lock lock;
	struct range_lock_attr attr;
	struct range_hold held;
	struct actor waiter;

	range_lock_attr_init(&attr);
	attr.starvation_ns = 1;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	take(&lock, &held, 0, 10, RANGE_READ);
	actor_queue(&waiter, &lock, 0, 20, RANGE_WRITE);
	/* Each release in its leaf may make the waiter starving. */
	AWAIT(!is_free(&lock, 10, 20, RANGE_READ));
	CHECK_EQ(look(&lock).info[1].state, RANGE_STATE_STARVING);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}

TEST(foreach, a_range_that_was_changed_while_held_is_shown_in_its_new_state)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold low, high;
	struct seen seen;

	take(&lock, &low, 0, 100, RANGE_WRITE);
	CHECK_EQ(range_split(&lock, &low, 50, &high), 0);
	range_downgrade(&lock, &low);
	CHECK_EQ(range_shrink(&lock, &high, 60, 70), 0);
	seen = look(&lock);
	CHECK_EQ(seen.n, 2);
	check_info(&seen.info[0], &low, 0, 50, RANGE_READ, RANGE_STATE_HELD);
	check_info(&seen.info[1], &high, 60, 70, RANGE_WRITE, RANGE_STATE_HELD);
	CHECK_EQ(seen.info[0].thread, seen.info[1].thread);
	range_unlock(&lock, &low);
	range_unlock(&lock, &high);
	check_quiet_and_destroy(&lock);
}

TEST(foreach, leaves_are_shown_in_the_order_of_their_keys)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold ranges[8];
	struct seen seen;

	CHECK(split_by_turns(&lock, 0, 1000, 100000));
	CHECK(split_by_turns(&lock, 2000, 5000, 100000));
	CHECK(lock_stats(&lock).leaves >= 3);
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int k = i * 5 % 8;

		take(&lock, &ranges[k], 1000 * k, 1000 * k + 1, k % 2 ? RANGE_READ : RANGE_WRITE);
	}
	seen = look(&lock);
	CHECK_EQ(seen.n, 8);
	for (unsigned int k = 0; k < 8; k++)
		check_info(&seen.info[k], &ranges[k], 1000 * k, 1000 * k + 1,
			   k % 2 ? RANGE_READ : RANGE_WRITE, RANGE_STATE_HELD);
	for (unsigned int k = 0; k < 8; k++)
		range_unlock(&lock, &ranges[k]);
	check_quiet_and_destroy(&lock);
}

TEST(foreach, the_walk_ends_when_the_function_returns_nonzero)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct seen seen;
	struct range_hold held[2];
	struct actor waiter;

	take(&lock, &held[0], 0, 10, RANGE_WRITE);
	take(&lock, &held[1], 10, 20, RANGE_WRITE);
	actor_queue(&waiter, &lock, 0, 10, RANGE_WRITE);
	for (unsigned int last = 1; last <= 3; last++) {
		memset(&seen, 0, sizeof seen);
		seen.stop_after = last;
		CHECK_EQ(range_lock_foreach(&lock, note, &seen), 42);
		CHECK_EQ(seen.n, last);
		/* No leaf stays locked. */
		check_valid(&lock);
	}
	range_unlock(&lock, &held[0]);
	range_unlock(&lock, &held[1]);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}

/* The number by which range_lock_foreach() must show the calling thread. */
static uint32_t me(void)
{
#ifdef __linux__
	/* The library may be built for POSIX on Linux, too. */
	uint32_t tid = (uint32_t)syscall(SYS_gettid);

	if (mmrange__system_thread(tid + 1) == tid)
		return tid;
#endif
	return (uint32_t)mmrange__self();
}

struct one_range {
	struct range_lock *lock;
	struct range_hold range;
	uint32_t thread;
};

static void *hold(void *arg)
{
	struct one_range *one = arg;

	one->thread = me();
	take(one->lock, &one->range, 5, 6, RANGE_WRITE);
	return NULL;
}

TEST(foreach, a_range_is_shown_with_the_thread_that_acquired_it)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct one_range other = { .lock = &lock }, mine = { .lock = &lock };
	struct seen seen;

	thread_join(thread_start(hold, &other));
	take(&lock, &mine.range, 10, 20, RANGE_READ);
	seen = look(&lock);
	CHECK_EQ(seen.n, 2);
	CHECK_EQ(seen.info[0].thread, other.thread);
	CHECK_EQ(seen.info[1].thread, me());
	CHECK(other.thread != me());
	range_unlock(&lock, &mine.range);
	range_unlock(&lock, &other.range);
	check_quiet_and_destroy(&lock);
}

/* The ranges of each thread are disjoint, and of a shape that a torn one would not have. */
static void *come_and_go(void *arg)
{
	struct one_range *one = arg;

	for (unsigned int i = 0; i < test_scale(50000); i++) {
		uint64_t start = 1000 * (uint64_t)one->thread + i % 500;

		CHECK_EQ(range_lock(one->lock, &one->range, start, start + 7, RANGE_WRITE), 0);
		range_unlock(one->lock, &one->range);
	}
	return NULL;
}

static int check_shape(const struct range_info *info, void *arg)
{
	uint64_t *last = arg;

	CHECK_EQ(info->end - info->start, 7);
	CHECK(info->start % 1000 < 500);
	CHECK_EQ(info->state, RANGE_STATE_HELD);
	/* In order, and never two ranges of one thread at a time in a place. */
	CHECK(info->start >= *last);
	*last = info->end;
	return 0;
}

TEST(foreach, no_torn_range_is_shown_while_ranges_come_and_go)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct one_range ones[3];
	pthread_t threads[3];

	for (unsigned int i = 0; i < 3; i++) {
		ones[i].lock = &lock;
		ones[i].thread = i;
		threads[i] = thread_start(come_and_go, &ones[i]);
	}
	for (unsigned int i = 0; i < test_scale(2000); i++) {
		uint64_t last = 0;

		CHECK_EQ(range_lock_foreach(&lock, check_shape, &last), 0);
	}
	for (unsigned int i = 0; i < 3; i++)
		thread_join(threads[i]);
	check_quiet_and_destroy(&lock);
}
