/* SPDX-License-Identifier: MIT */
/*
 * A thread that the index misleads each time it looks for a key. It then asks under lock->mutex,
 * where the index is exact. This program corrects the index there: the linker wraps the call.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"

#include <errno.h>

uint32_t __real_range__index_search(struct range__forest *forest, uint64_t key);
uint32_t __wrap_range__index_search(struct range__forest *forest, uint64_t key);

static struct range_lock lock;
static struct range_hold held[2];
static struct actor waiter;

/* The entry that is wrong, and its correct value. */
static uint32_t entry;
static struct range__leaf *right;
static unsigned int corrections;

/* The library calls it under lock->mutex. */
uint32_t __wrap_range__index_search(struct range__forest *forest, uint64_t key)
{
	if (right) {
		range__index_set(forest, entry, range__index_lo(forest, entry), right);
		right = NULL;
		corrections++;
	}
	return __real_range__index_search(forest, key);
}

/* As while another thread splits or merges leaves. */
static void mislead(uint64_t key)
{
	struct range__forest *forest = forest_of(&lock);

	entry = range__index_search(forest, key);
	right = range__index_leaf(forest, entry);
	range__index_set(forest, entry, range__index_lo(forest, entry),
			 range__index_leaf(forest, entry ? entry - 1 : 1));
}

static void begin(void)
{
	uint64_t self = mmrange__self();

	corrections = 0;
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
	make_leaves(&lock, 10);
	mmrange__thread = self;
	take(&lock, &held[0], 5, 6, RANGE_WRITE);
	take(&lock, &held[1], 55, 56, RANGE_WRITE);
	actor_queue(&waiter, &lock, 55, 56, RANGE_READ);
}

static void end(int result)
{
	CHECK_EQ(corrections, 1);
	range_unlock(&lock, &held[0]);
	range_unlock(&lock, &held[1]);
	CHECK_EQ(actor_finish(&waiter), result);
	check_quiet_and_destroy(&lock);
}

static int count(const struct range_info *info, void *n)
{
	const struct range_hold *const expected[] = { &held[0], &held[1], &waiter.range };

	CHECK(info->range == expected[(*(unsigned int *)n)++]);
	return 0;
}

TEST(walk_stale_index, each_leaf_is_shown)
{
	static const uint64_t keys[] = { 0, 50, UINT64_MAX - 1 };

	for (unsigned int i = 0; i < 3; i++) {
		unsigned int n = 0;

		begin();
		mislead(keys[i]);
		CHECK_EQ(range_lock_foreach(&lock, count, &n), 0);
		CHECK_EQ(n, 3);
		end(0);
	}
}

TEST(walk_stale_index, a_waiter_is_canceled)
{
	begin();
	mislead(55);
	CHECK_EQ(range_cancel(&lock, &waiter.range), 0);
	end(ECANCELED);
}

TEST(walk_stale_index, a_held_range_is_extended)
{
	begin();
	/* The leaf in which it was acquired has other keys by now. */
	range__hold(&held[0])->leaf[0] = range__index_leaf(forest_of(&lock), 1);
	mislead(5);
	CHECK_EQ(range_tryextend(&lock, &held[0], 5, 8), 0);
	CHECK_EQ(held[0].end, 8);
	CHECK(is_free(&lock, 8, 9, RANGE_WRITE) && !is_free(&lock, 7, 8, RANGE_READ));
	end(0);
}
