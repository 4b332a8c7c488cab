/* SPDX-License-Identifier: MIT */
/*
 * Walks through the lock while leaves merge and come apart under them. The linker wraps the call
 * with which a walk leaves a leaf: at one of these moments this program makes leaves into one, by a
 * range that spans them, and at a later one, or after the walk, it releases that range. It tries all
 * spans and all pairs of moments.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"

#include <errno.h>

enum { LEAVES = 4 };

void __real_range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);
void __wrap_range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);

/* One plan: the leaves from first to last become one after a number of unlocks, and so on. */
struct plan {
	unsigned int first, last;
	unsigned int merge, part;
};

static struct range_lock lock;
static struct range_hold held[LEAVES], spanning;
static struct actor waiters[LEAVES];
static struct plan plan;
static bool merged;
static unsigned int unlocks;
/* Of this thread: the waiters leave leaves, too. */
static MMRANGE__THREAD_LOCAL bool walking;

/* In each leaf a reader holds a key that a writer waits for. Other readers come and go. */
static uint64_t key_in(unsigned int leaf)
{
	return 10 * leaf + 5;
}

static void merge(void)
{
	take(&lock, &spanning, key_in(plan.first), key_in(plan.last) + 1, RANGE_READ);
	merged = true;
}

static void part(void)
{
	range_unlock(&lock, &spanning);
	merged = false;
}

void __wrap_range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes)
{
	__real_range__leaf_unlock(leaf, wakes);
	if (!walking)
		return;
	walking = false;
	unlocks++;
	if (unlocks == plan.merge)
		merge();
	else if (merged && unlocks == plan.part)
		part();
	walking = true;
}

static void begin(void)
{
	uint64_t self = mmrange__self();
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.starvation_ns = UINT64_MAX; /* no waiter keeps the span out */
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	make_leaves(&lock, LEAVES);
	mmrange__thread = self;
	for (unsigned int i = 0; i < LEAVES; i++)
		take(&lock, &held[i], key_in(i), key_in(i) + 1, RANGE_READ);
}

static void begin_wait(unsigned int i)
{
	actor_queue(&waiters[i], &lock, key_in(i), key_in(i) + 1, RANGE_WRITE);
}

static void begin_walk(void)
{
	unlocks = 0;
	walking = true;
}

static void end_walk(void)
{
	walking = false;
	if (merged)
		part();
}

static void end(void)
{
	for (unsigned int i = 0; i < LEAVES; i++)
		range_unlock(&lock, &held[i]);
}

/* Runs a test for each plan. The lock adapts to what it sees, so each has a new one. */
static void for_each_plan(void (*run)(void))
{
	uint64_t merges = 0, splits = 0;

	for (plan.first = 0; plan.first < LEAVES; plan.first++)
		for (plan.last = plan.first + 1; plan.last < LEAVES; plan.last++)
			for (plan.merge = 1; plan.merge <= LEAVES; plan.merge++)
				for (plan.part = plan.merge + 1; plan.part <= LEAVES + 1;
				     plan.part++) {
					struct range_lock_stats stats;

					begin();
					merges -= lock_stats(&lock).merges;
					splits -= lock_stats(&lock).splits;
					run();
					stats = lock_stats(&lock);
					merges += stats.merges;
					splits += stats.splits;
					check_quiet_and_destroy(&lock);
				}
	/* Most plans came about: the leaves have been made into one, and have come apart. */
	CHECK(merges > 60);
	CHECK(splits > 60);
}

static int count(const struct range_info *info, void *arg)
{
	unsigned int *shown = arg;

	for (unsigned int i = 0; i < LEAVES; i++) {
		shown[i] += info->range == &held[i];
		shown[LEAVES + i] += info->range == &waiters[i].range;
	}
	return 0;
}

static void show(void)
{
	unsigned int shown[2 * LEAVES] = { 0 };

	for (unsigned int i = 0; i < LEAVES; i++)
		begin_wait(i);
	begin_walk();
	CHECK_EQ(range_lock_foreach(&lock, count, shown), 0);
	end_walk();
	for (unsigned int i = 0; i < 2 * LEAVES; i++)
		CHECK_EQ(shown[i], 1);
	end();
	for (unsigned int i = 0; i < LEAVES; i++)
		CHECK_EQ(actor_finish(&waiters[i]), 0);
}

TEST(walk_moves, what_stays_is_shown_once)
{
	for_each_plan(show);
}

static void cancel(void)
{
	for (unsigned int i = 0; i < LEAVES; i++) {
		begin_wait(i);
		begin_walk();
		CHECK_EQ(range_cancel(&lock, &waiters[i].range), 0);
		end_walk();
		CHECK_EQ(actor_finish(&waiters[i]), ECANCELED);
	}
	end();
}

TEST(walk_moves, a_waiter_is_canceled_wherever_it_moves)
{
	for_each_plan(cancel);
}
