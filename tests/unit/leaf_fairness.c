/* SPDX-License-Identifier: MIT */
/*
 * Activity in one part of a leaf does not delay waiters in another part. Waiters become starving
 * in turn, whichever other waiters starve, and a thread can lock the leaf while another thread
 * comes and goes by the fast path.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/set.h"
#include "range_lock/waiters.h"

#include <errno.h>

/* Longer than a test takes, and shorter than the uptime of the machine. */
static const uint64_t LONG = 10 * SECOND;

/* The lock of the leaves here: no acquisition claims in it. */
static struct range__lock no_lock;
static struct range__set alone = { .n = 1 };

static void make_leaf(struct range__leaf *leaf)
{
	range__leaf_init(leaf);
	atomic_store(&leaf->not_hi, 0);
}

static struct range__hold writer(uint64_t start, uint64_t end)
{
	return (struct range__hold){ .start = start, .end = end, .mode = RANGE_WRITE };
}

static void hold(struct range__leaf *leaf, struct range__hold *range)
{
	range->arrival = UINT64_MAX;
	range__leaf_lock(leaf);
	CHECK(!range__leaf_blocks(&no_lock, leaf, range));
	range__leaf_hold_and_unlock(leaf, range);
}

/* Queues a waiter that arrived age nanoseconds ago. */
static void queue(struct range__leaf *leaf, struct range__hold *range, uint64_t age)
{
	*range = writer(range->start, range->end);
	range->arrival = UINT64_MAX;
	range->set = &alone;
	range__leaf_lock(leaf);
	CHECK(range__leaf_blocks(&no_lock, leaf, range));
	range->arrival = mmrange__now() - age;
	range__leaf_enqueue(leaf, range);
	range__leaf_unlock(leaf, NULL);
}

static void let_go(struct range__leaf *leaf, struct range__hold *range, uint64_t bound)
{
	struct range__wakes wakes = { .n = 0 };

	range__leaf_lock(leaf);
	range__leaf_erase(leaf, range);
	range__leaf_promote(&no_lock, leaf, bound, &wakes);
	range__leaf_wake(&no_lock, leaf, range->start, range->end, &wakes);
	CHECK(range__leaf_valid(&no_lock, leaf));
	range__leaf_unlock(leaf, &wakes);
}

/* Whether a newcomer would have to wait for the range. */
static bool blocks(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	struct range__hold newcomer = writer(start, end);
	bool result;

	newcomer.arrival = UINT64_MAX;
	range__leaf_lock(leaf);
	result = range__leaf_blocks(&no_lock, leaf, &newcomer);
	range__leaf_unlock(leaf, NULL);
	return result;
}

static void look_and_hold(struct range__leaf *leaf, struct range__hold *range)
{
	CHECK_EQ(atomic_load(&range->state), RANGE_WOKEN);
	range__leaf_lock(leaf);
	CHECK(!range__leaf_blocks(&no_lock, leaf, range));
	range__leaf_dequeue(leaf, range);
	range__leaf_hold_and_unlock(leaf, range);
}

TEST(leaf_fairness, a_starving_waiter_that_cannot_go_on_does_not_keep_others_from_starving)
{
	struct range__hold low = writer(0, 5), low_too = writer(5, 10), low_waiter = writer(0, 10);
	struct range__hold high = writer(50, 51), high_waiter = high;
	struct range__leaf leaf;

	make_leaf(&leaf);
	hold(&leaf, &low);
	hold(&leaf, &low_too);
	queue(&leaf, &low_waiter, LONG);
	let_go(&leaf, &low_too, 0);
	CHECK(low_waiter.starving);

	/* That waiter waits for low, which is held for long. */
	hold(&leaf, &high);
	queue(&leaf, &high_waiter, LONG);
	CHECK(blocks(&leaf, 50, 51));
	let_go(&leaf, &high, 0);
	CHECK(high_waiter.starving);
	CHECK(blocks(&leaf, 50, 51));
	look_and_hold(&leaf, &high_waiter);
	CHECK_EQ(leaf.nr_starving, 1);

	let_go(&leaf, &high_waiter, 0);
	let_go(&leaf, &low, 0);
	look_and_hold(&leaf, &low_waiter);
	let_go(&leaf, &low_waiter, 0);
	CHECK(range__leaf_vacant(&leaf));
}

TEST(leaf_fairness, the_oldest_waiter_of_the_leaf_starves_first_whichever_range_is_released)
{
	struct range__hold low = writer(0, 10), low_waiter = low, high = writer(50, 51);
	struct range__hold first = high, second = high;
	struct range__leaf leaf;

	make_leaf(&leaf);
	hold(&leaf, &low);
	hold(&leaf, &high);
	queue(&leaf, &low_waiter, 3 * LONG);
	queue(&leaf, &first, 2 * LONG);
	queue(&leaf, &second, LONG + LONG / 2);
	leaf.fair_at = mmrange__now() - 2 * LONG;
	let_go(&leaf, &high, LONG);
	CHECK(low_waiter.starving && !first.starving && !second.starving);
	/* It goes on waiting; the next turn goes to the next waiter in the order of arrival. */
	leaf.fair_at = mmrange__now() - 2 * LONG;
	look_and_hold(&leaf, &first);
	let_go(&leaf, &first, LONG);
	CHECK(second.starving);
}

TEST(leaf_fairness, no_waiter_starves_before_the_bound_and_no_two_within_it)
{
	struct range__hold held[4], waiters[2];
	struct range__leaf leaf;

	make_leaf(&leaf);
	for (uint64_t i = 0; i < 4; i++) {
		held[i] = writer(i * 10, i * 10 + 1);
		hold(&leaf, &held[i]);
	}
	waiters[0] = held[0];
	waiters[1] = held[1];
	leaf.fair_at = mmrange__now() - 2 * LONG;
	queue(&leaf, &waiters[0], LONG / 2);
	let_go(&leaf, &held[2], LONG);
	CHECK_EQ(leaf.nr_starving, 0);
	waiters[0].arrival -= 2 * LONG;
	queue(&leaf, &waiters[1], 2 * LONG);
	let_go(&leaf, &held[3], LONG);
	CHECK(waiters[0].starving);
	let_go(&leaf, &held[1], LONG);
	CHECK(!waiters[1].starving);
	CHECK_EQ(leaf.nr_starving, 1);
}

TEST(leaf_fairness, a_failed_search_for_the_next_waiter_is_not_repeated_before_the_bound)
{
	struct range__hold low = writer(0, 10), high[2] = { writer(50, 51), writer(60, 61) };
	struct range__hold first = low, second = low;
	struct range__leaf leaf;

	make_leaf(&leaf);
	hold(&leaf, &low);
	hold(&leaf, &high[0]);
	hold(&leaf, &high[1]);
	queue(&leaf, &first, 3 * LONG);
	queue(&leaf, &second, 3 * LONG);
	leaf.fair_at = mmrange__now() - 2 * LONG;
	let_go(&leaf, &high[0], LONG);
	CHECK(first.starving && !second.starving);
	/* The second waiter is behind the first, and there is no other. */
	leaf.fair_at = mmrange__now() - 2 * LONG;
	let_go(&leaf, &high[1], LONG);
	CHECK(!second.starving);
	CHECK(mmrange__now() - leaf.fair_at < LONG);
}

static bool newcomer_gets(struct range_lock *lock, struct range_hold *range, uint64_t key)
{
	return range_trylock(lock, range, key, key + 1, RANGE_READ) == 0;
}

/*
 * Readers never leave a gap for the waiting writer. Returns how many readers were granted after
 * the writer arrived; the last one, readers[passes % 2], is still held.
 */
static unsigned int passes_of(struct range_lock *lock, uint64_t key, struct actor *waiter,
			      struct range_hold readers[2])
{
	unsigned int passes = 0;

	CHECK(newcomer_gets(lock, &readers[0], key));
	actor_queue(waiter, lock, key, key + 1, RANGE_WRITE);
	while (passes < 1000 && newcomer_gets(lock, &readers[(passes + 1) % 2], key)) {
		range_unlock(lock, &readers[passes % 2]);
		passes++;
	}
	return passes;
}

TEST(leaf_fairness, in_a_leaf_with_a_starving_waiter_newcomers_do_not_pass_another_endlessly)
{
	struct range_hold low[2], high[2];
	struct actor low_waiter, high_waiter;
	struct range_lock_attr attr;
	struct range_lock lock;
	unsigned int low_passes, high_passes;

	range_lock_attr_init(&attr);
	attr.max_leaves = 1;
	attr.starvation_ns = 1;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	low_passes = passes_of(&lock, 0, &low_waiter, low);
	/* The waiter is starving now, and has to wait for a reader. */
	CHECK(low_passes < 1000);
	high_passes = passes_of(&lock, 50, &high_waiter, high);
	CHECK(high_passes < 1000);
	CHECK(!actor_holds(&low_waiter) && !actor_holds(&high_waiter));
	range_unlock(&lock, &high[high_passes % 2]);
	actor_await(&high_waiter);
	CHECK(!actor_holds(&low_waiter));
	range_unlock(&lock, &low[low_passes % 2]);
	CHECK_EQ(actor_finish(&low_waiter), 0);
	CHECK_EQ(actor_finish(&high_waiter), 0);
	check_quiet_and_destroy(&lock);
}

struct hammer {
	struct range_lock *lock;
	atomic_bool over;
	atomic_ulong blows;
};

static void *run_hammer(void *arg)
{
	struct hammer *hammer = arg;
	struct range_hold range;

	while (!atomic_load(&hammer->over)) {
		CHECK_EQ(range_lock(hammer->lock, &range, 0, 1, RANGE_WRITE), 0);
		range_unlock(hammer->lock, &range);
		atomic_fetch_add(&hammer->blows, 1);
	}
	return NULL;
}

TEST(leaf_fairness, another_thread_can_lock_a_leaf_that_one_thread_hammers_by_the_fast_path)
{
	unsigned int rounds = test_scale(200000);

	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct hammer hammer = { .lock = &lock };
		struct range_hold range;
		pthread_t thread;

		init_lock(&lock, fairnesses[fair], 1);
		thread = thread_start(run_hammer, &hammer);
		AWAIT(atomic_load(&hammer.blows) > 0);
		/* Until both threads have done their rounds. */
		for (unsigned int i = 0; i < rounds || atomic_load(&hammer.blows) < rounds; i++) {
			CHECK_EQ(acquire_somehow((int)(i % 3), &lock, &range, 5, 6, RANGE_WRITE),
				 0);
			range_unlock(&lock, &range);
			/* Locks the leaf, not by a fast path. */
			if (i % 64 == 0)
				check_valid(&lock);
		}
		atomic_store(&hammer.over, true);
		thread_join(thread);
		CHECK_EQ(lock_stats(&lock).waits, 0);
		check_quiet_and_destroy(&lock);
	}
}
