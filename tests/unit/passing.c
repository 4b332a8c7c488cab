/* SPDX-License-Identifier: MIT */
/*
 * Newcomers pass waiters by the fast path while one waiter is woken and has not run yet. The
 * waiters here have no thread, so that they do not run before the test lets them.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/fast_path.h"
#include "range_lock/forest.h"
#include "range_lock/lock.h"
#include "range_lock/wait.h"
#include "range_lock/waiters.h"
#include "range_lock/wake.h"

#include <errno.h>

/* More than enough for a thread to have locked the leaf once: see fast_path.c. */
enum { PASSES = 200 };

/* A lock in whose first leaf two writers of [0, 10) wait, of which the first is woken. */
struct scene {
	struct range_lock lock;
	struct range__leaf *leaf;
	struct range__hold woken;
	struct range__hold waiting;
};

static struct range__set alone = { .n = 1 };

static void enqueue(struct scene *s, struct range__hold *range, uint8_t starving)
{
	*range = (struct range__hold){ .start = 0, .end = 10, .mode = RANGE_WRITE };
	range->starving = starving;
	range->arrival = mmrange__now();
	range->leaf[0] = range->leaf[1] = s->leaf;
	range->set = &alone;
	range__leaf_lock(s->leaf);
	range__leaf_enqueue(s->leaf, range);
	range__leaf_unlock(s->leaf, NULL);
}

static void let_starve_after(struct scene *s, uint64_t ns)
{
	range__lock(&s->lock)->starvation_more_ns = ns - RANGE__DEFAULT_STARVATION;
}

static void set_scene(struct scene *s, uint64_t starvation_ns)
{
	struct range_hold held;

	init_lock(&s->lock, RANGE_FAIRNESS_BARGING, 1);
	let_starve_after(s, starvation_ns);
	s->leaf = leaf_at(&s->lock, 0);
	take(&s->lock, &held, 0, 10, RANGE_WRITE);
	enqueue(s, &s->woken, 0);
	enqueue(s, &s->waiting, 0);
	range_unlock(&s->lock, &held);
	CHECK_EQ(atomic_load(&s->woken.state), RANGE_WOKEN);
	CHECK_EQ(atomic_load(&s->waiting.state), RANGE_WAITING);
	check_valid(&s->lock);
}

/* A waiter gives up. */
static void give_up(struct scene *s, struct range__hold *range)
{
	struct range__wakes wakes = { .n = 0 };

	range__leaf_lock(s->leaf);
	range__leaf_dequeue(s->leaf, range);
	range__wake(range__lock(&s->lock), s->leaf, range->start, range->end, &wakes);
	range__leaf_unlock(s->leaf, &wakes);
	check_valid(&s->lock);
}

static uint64_t word(struct scene *s)
{
	return atomic_load(&s->leaf->word);
}

static bool is_empty_with_waiters(uint64_t word)
{
	return (word & WORD_TAG) == WORD_EMPTY && (word & WORD_EMPTY_WAITERS);
}

static void end_scene(struct scene *s)
{
	give_up(s, &s->woken);
	CHECK_EQ(atomic_load(&s->waiting.state), RANGE_WOKEN);
	give_up(s, &s->waiting);
	CHECK_EQ(word(s) & (WORD_TAG | WORD_EMPTY_WAITERS), WORD_EMPTY);
	check_quiet_and_destroy(&s->lock);
}

TEST(passing, newcomers_pass_by_the_fast_path_and_wake_no_waiter)
{
	struct range_hold newcomer;
	struct scene s;
	uint64_t before;

	set_scene(&s, UINT64_MAX);
	before = word(&s);
	CHECK(is_empty_with_waiters(before));
	range__barges = 0;
	for (int i = 0; i < 10; i++) {
		take(&s.lock, &newcomer, 5, 15, i % 2 ? RANGE_READ : RANGE_WRITE);
		CHECK_EQ(word(&s) & WORD_TAG, WORD_SINGLE);
		range_unlock(&s.lock, &newcomer);
		CHECK_EQ(word(&s), before);
	}
	CHECK_EQ(atomic_load(&s.waiting.state), RANGE_WAITING);
	end_scene(&s);
}

/* A woken waiter looks again while a newcomer holds. The newcomer's release wakes it again. */
TEST(passing, a_newcomer_that_blocks_a_woken_waiter_wakes_it_again)
{
	struct range__wakes wakes = { .n = 0 };
	struct range_hold newcomer;
	struct scene s;

	set_scene(&s, UINT64_MAX);
	range__barges = 0;
	take(&s.lock, &newcomer, 5, 15, RANGE_WRITE);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_SINGLE);
	range__leaf_lock(s.leaf);
	CHECK(range__leaf_blocks(range__lock(&s.lock), s.leaf, &s.woken));
	range__leaf_wait_again(s.leaf, &s.woken);
	range__wake(range__lock(&s.lock), s.leaf, 0, 10, &wakes);
	range__leaf_unlock(s.leaf, &wakes);
	CHECK_EQ(atomic_load(&s.woken.state), RANGE_WAITING);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_TREE);
	check_valid(&s.lock);
	range_unlock(&s.lock, &newcomer);
	CHECK_EQ(atomic_load(&s.woken.state), RANGE_WOKEN);
	CHECK(is_empty_with_waiters(word(&s)));
	end_scene(&s);
}

/* A newcomer finds the held range, also if the leaf has been locked and unlocked in between. */
TEST(passing, no_newcomer_passes_a_held_range)
{
	struct range_hold newcomer, other;
	struct scene s;

	set_scene(&s, UINT64_MAX);
	range__barges = 0;
	take(&s.lock, &newcomer, 5, 15, RANGE_WRITE);
	check_valid(&s.lock);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_TREE);
	CHECK_EQ(range_trylock(&s.lock, &other, 10, 20, RANGE_READ), EBUSY);
	range_unlock(&s.lock, &newcomer);
	CHECK(is_empty_with_waiters(word(&s)));
	end_scene(&s);
}

TEST(passing, no_newcomer_passes_a_starving_waiter)
{
	struct range_hold newcomer;
	struct scene s;
	struct range__hold starving;

	set_scene(&s, UINT64_MAX);
	enqueue(&s, &starving, 1);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_TREE);
	CHECK_EQ(range_trylock(&s.lock, &newcomer, 5, 15, RANGE_WRITE), EBUSY);
	take(&s.lock, &newcomer, 10, 15, RANGE_WRITE);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_TREE);
	range_unlock(&s.lock, &newcomer);
	give_up(&s, &starving);
	CHECK(is_empty_with_waiters(word(&s)));
	end_scene(&s);
}

/* Although the woken waiter never gets to run. */
TEST(passing, the_oldest_waiter_becomes_starving_after_a_bounded_number_of_passes)
{
	struct range_hold newcomer;
	struct scene s;
	int n = 0;

	set_scene(&s, UINT64_MAX);
	let_starve_after(&s, 0);
	range__barges = 0;
	while (range_trylock(&s.lock, &newcomer, 5, 15, RANGE_WRITE) == 0) {
		CHECK(n++ < PASSES);
		range_unlock(&s.lock, &newcomer);
		check_valid(&s.lock);
	}
	CHECK(n > 1);
	CHECK(s.woken.starving);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_TREE);
	end_scene(&s);
}

/* Whatever else the thread does in other leaves in the meantime. */
TEST(passing, locking_elsewhere_does_not_allow_more_passes)
{
	struct range_lock other = RANGE_LOCK_INITIALIZER;
	struct range_hold newcomer, held, refused;
	struct scene s;
	int n = 0;

	take(&other, &held, 0, 10, RANGE_WRITE);
	set_scene(&s, UINT64_MAX);
	let_starve_after(&s, 0);
	range__barges = 0;
	while (range_trylock(&s.lock, &newcomer, 5, 15, RANGE_WRITE) == 0) {
		CHECK(n++ < PASSES);
		range_unlock(&s.lock, &newcomer);
		CHECK_EQ(range_trylock(&other, &refused, 0, 10, RANGE_READ), EBUSY);
	}
	CHECK(s.woken.starving);
	end_scene(&s);
	range_unlock(&other, &held);
	check_quiet_and_destroy(&other);
}

TEST(passing, with_fifo_no_newcomer_passes_a_waiter)
{
	struct range_hold held, newcomer;
	struct range__hold waiting;
	struct scene s;

	init_lock(&s.lock, RANGE_FAIRNESS_FIFO, 1);
	s.leaf = leaf_at(&s.lock, 0);
	take(&s.lock, &held, 0, 10, RANGE_WRITE);
	enqueue(&s, &waiting, 1);
	range_unlock(&s.lock, &held);
	CHECK_EQ(atomic_load(&waiting.state), RANGE_WOKEN);
	CHECK_EQ(word(&s) & WORD_TAG, WORD_TREE);
	CHECK_EQ(range_trylock(&s.lock, &newcomer, 5, 15, RANGE_WRITE), EBUSY);
	give_up(&s, &waiting);
	check_quiet_and_destroy(&s.lock);
}
