/* SPDX-License-Identifier: MIT */
/*
 * Walks through the lock while leaves merge and split under them. The linker wraps the call with
 * which a walk leaves a leaf. At one of these moments the program splits a leaf or merges two, and
 * at a later one, or after the walk, it does another change. It tries all places and all pairs of
 * moments.
 */
#include "leaves.h"

#include <errno.h>

/*
 * Places at which one range is held and another one waits, each in a leaf with an empty leaf behind
 * it.
 */
enum { PLACES = 3, FAR_LEAVES = 3, LOOKS = 2 * PLACES + FAR_LEAVES };

void __real_range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);
void __wrap_range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);

/*
 * One plan: at unlock number `first` of the walk, a change to the leaf of a place; and at unlock
 * number `second`, a change that partly undoes it.
 */
enum what {
	BEHIND, /* the empty leaf behind the place's leaf is merged into it, and split off again */
	BEFORE, /* it is split before its ranges; then the part split off is merged into the leaf
		   before */
	NR_WHAT
};

struct plan {
	enum what what;
	unsigned int place;
	unsigned int first, second;
};

static struct range_lock lock;
static struct range_hold held[PLACES];
static struct actor waiters[PLACES];
static struct plan plan;
static unsigned int unlocks, done, moves_under_walks;
/* Whether this thread walks: the waiters unlock leaves, too. */
static MMRANGE__THREAD_LOCAL bool walking;

static uint64_t key_in(unsigned int place)
{
	return 20 * place + 25;
}

static void do_first(void)
{
	if (plan.what == BEHIND)
		merge_leaf(&lock, key_in(plan.place) + 10);
	else
		split_leaf(&lock, key_in(plan.place) - 2);
}

static void do_second(void)
{
	if (plan.what == BEHIND)
		split_leaf(&lock, key_in(plan.place) + 5);
	else
		merge_leaf(&lock, key_in(plan.place) - 4);
}

static void do_next(void)
{
	if (done++ == 0)
		do_first();
	else
		do_second();
}

void __wrap_range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes)
{
	__real_range__leaf_unlock(leaf, wakes);
	if (!walking)
		return;
	walking = false;
	unlocks++;
	if (unlocks == plan.first || unlocks == plan.second) {
		do_next();
		moves_under_walks++;
	}
	walking = true;
}

static void begin(void)
{
	uint64_t self = mmrange__self();
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.starvation_ns = UINT64_MAX; /* no waiter holds the others back */
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	make_far_leaves(&lock);
	for (uint64_t key = 10 * (2 * PLACES + 1); key > 10; key -= 10)
		split_leaf(&lock, key);
	mmrange__thread = self;
	for (unsigned int i = 0; i < PLACES; i++)
		take(&lock, &held[i], key_in(i), key_in(i) + 1, RANGE_READ);
}

static void begin_wait(unsigned int i)
{
	actor_queue(&waiters[i], &lock, key_in(i), key_in(i) + 1, RANGE_WRITE);
}

static void begin_walk(void)
{
	unlocks = done = 0;
	walking = true;
}

static void end_walk(void)
{
	walking = false;
	while (done < 2)
		do_next();
}

static void end(void)
{
	for (unsigned int i = 0; i < PLACES; i++)
		range_unlock(&lock, &held[i]);
}

/* Runs a test for each plan, on a new lock each time, since locks adapt to their load. */
static void for_each_plan(void (*run)(void))
{
	moves_under_walks = 0;
	for (plan.what = 0; plan.what < NR_WHAT; plan.what++)
		for (plan.place = 0; plan.place < PLACES; plan.place++)
			for (plan.first = 1; plan.first <= LOOKS; plan.first++)
				for (plan.second = plan.first + 1; plan.second <= LOOKS + 1;
				     plan.second++) {
					begin();
					run();
					check_quiet_and_destroy(&lock);
				}
	CHECK(moves_under_walks > 60);
}

static int count(const struct range_info *info, void *arg)
{
	unsigned int *shown = arg;

	for (unsigned int i = 0; i < PLACES; i++) {
		shown[i] += info->range == &held[i];
		shown[PLACES + i] += info->range == &waiters[i].range;
	}
	return 0;
}

static void show(void)
{
	unsigned int shown[2 * PLACES] = { 0 };

	for (unsigned int i = 0; i < PLACES; i++)
		begin_wait(i);
	begin_walk();
	CHECK_EQ(range_lock_foreach(&lock, count, shown), 0);
	end_walk();
	for (unsigned int i = 0; i < 2 * PLACES; i++)
		CHECK_EQ(shown[i], 1);
	end();
	for (unsigned int i = 0; i < PLACES; i++)
		CHECK_EQ(actor_finish(&waiters[i]), 0);
}

TEST(walk_moves, what_stays_is_shown_once)
{
	for_each_plan(show);
}

static void cancel(void)
{
	for (unsigned int i = 0; i < PLACES; i++)
		begin_wait(i);
	begin_walk();
	CHECK_EQ(range_cancel(&lock, &waiters[plan.place].range), 0);
	end_walk();
	for (unsigned int i = 0; i < PLACES; i++)
		if (i != plan.place)
			CHECK_EQ(range_cancel(&lock, &waiters[i].range), 0);
	for (unsigned int i = 0; i < PLACES; i++)
		CHECK_EQ(actor_finish(&waiters[i]), ECANCELED);
	end();
}

TEST(walk_moves, a_waiter_is_canceled_wherever_it_moves)
{
	for_each_plan(cancel);
}
