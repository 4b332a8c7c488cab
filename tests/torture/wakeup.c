/* SPDX-License-Identifier: MIT */
/*
 * No wake-up is lost, and none goes to memory that no longer belongs to the lock. The outcome of
 * each test: it ends. A lost wake-up leaves a thread asleep, and the watchdog reports it.
 */
#include "actors.h"
#include "leaves.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { RING = 8, WALKERS = 6, CROWD = 8, MANY = 100 /* more than one batch of wake-ups */ };

struct walker {
	struct range_lock *lock;
	uint64_t *counts; /* plain, one per slot of the ring */
	unsigned int at;
	unsigned int steps;
	pthread_t thread;
};

/* Goes round the ring hand over hand: takes the next slot before it releases its present one. */
static void *walk(void *arg)
{
	struct walker *walker = arg;
	struct range_hold ranges[2];
	unsigned int at = walker->at;

	CHECK_EQ(range_lock(walker->lock, &ranges[0], at, at + 1, RANGE_WRITE), 0);
	for (unsigned int i = 0; i < walker->steps; i++) {
		at = (at + 1) % RING;
		CHECK_EQ(range_lock(walker->lock, &ranges[(i + 1) % 2], at, at + 1, RANGE_WRITE),
			 0);
		range_unlock(walker->lock, &ranges[i % 2]);
		walker->counts[at]++;
	}
	range_unlock(walker->lock, &ranges[walker->steps % 2]);
	return NULL;
}

static void walk_round_a_ring(enum range_fairness fairness, uint32_t max_leaves)
{
	struct walker walkers[WALKERS];
	uint64_t counts[RING] = { 0 }, sum = 0;
	struct range_lock lock;

	init_lock(&lock, fairness, max_leaves);
	for (unsigned int i = 0; i < WALKERS; i++) {
		walkers[i].lock = &lock;
		walkers[i].counts = counts;
		walkers[i].at = i;
		walkers[i].steps = test_scale(5000);
		walkers[i].thread = thread_start(walk, &walkers[i]);
	}
	for (unsigned int i = 0; i < WALKERS; i++)
		thread_join(walkers[i].thread);
	for (unsigned int i = 0; i < RING; i++)
		sum += counts[i];
	CHECK_EQ(sum, (uint64_t)WALKERS * test_scale(5000));
	check_quiet_and_destroy(&lock);
}

/*
 * Almost as many walkers as slots: nearly every step waits for another walker. Each wake-up comes
 * from one thread only, so one lost wake-up stops all walkers. Pitfall 4.
 */
TEST(wakeup, lock_coupling_round_a_ring)
{
	for (int fair = 0; fair < 2; fair++) {
		walk_round_a_ring(fairnesses[fair], 1);
		walk_round_a_ring(fairnesses[fair], 1024);
	}
}

struct player {
	struct range_lock *lock;
	uint64_t start;
	unsigned int rounds;
	uint64_t state;
	uint64_t *count; /* plain */
	pthread_t thread;
};

static void *play(void *arg)
{
	struct player *player = arg;
	struct range_hold range;

	for (unsigned int i = 0; i < player->rounds; i++) {
		CHECK_EQ(range_lock(player->lock, &range, player->start, player->start + 2,
				    RANGE_WRITE),
			 0);
		++*player->count;
		for (uint64_t n = test_random_below(&player->state, 64); n > 0; n--)
			atomic_signal_fence(memory_order_seq_cst);
		range_unlock(player->lock, &range);
	}
	return NULL;
}

/*
 * The ranges of two threads overlap in one key. The release of one thread meets the acquisition of
 * the other at every point. Pitfall 1.
 */
TEST(wakeup, a_release_races_with_a_conflicting_acquisition)
{
	uint64_t state = test_seed("wakeup/a_release_races_with_a_conflicting_acquisition");

	for (int fair = 0; fair < 2; fair++) {
		unsigned int rounds = test_scale(fair ? 50000 : 300000);
		struct player players[2];
		struct range_lock lock;
		uint64_t count = 0;

		init_lock(&lock, fairnesses[fair], 1024);
		for (unsigned int i = 0; i < 2; i++) {
			players[i].lock = &lock;
			players[i].start = i;
			players[i].rounds = rounds;
			players[i].state = test_random(&state);
			players[i].count = &count;
			players[i].thread = thread_start(play, &players[i]);
		}
		for (unsigned int i = 0; i < 2; i++)
			thread_join(players[i].thread);
		CHECK_EQ(count, 2 * rounds);
		check_quiet_and_destroy(&lock);
	}
}

/* All threads wait for one release, and none releases its range before all hold theirs. */
static void check_held_together(enum range_fairness fairness, enum range_mode mode)
{
	static struct actor actors[MANY];
	struct range_lock lock;
	struct range_hold held;

	init_lock(&lock, fairness, 8);
	take(&lock, &held, FULL, RANGE_WRITE);
	for (unsigned int i = 0; i < MANY; i++)
		actor_queue(&actors[i], &lock, i, mode == RANGE_READ ? MANY : i + 1, mode);
	check_valid(&lock);
	range_unlock(&lock, &held);
	for (unsigned int i = 0; i < MANY; i++)
		actor_await(&actors[i]);
	check_valid(&lock);
	for (unsigned int i = 0; i < MANY; i++)
		CHECK_EQ(actor_finish(&actors[i]), 0);
	CHECK_EQ(lock_stats(&lock).waits, MANY);
	check_quiet_and_destroy(&lock);
}

TEST(wakeup, all_waiters_that_one_release_frees_hold_at_the_same_time)
{
	unsigned int rounds = test_scale(20);

	for (unsigned int round = 0; round < rounds; round++) {
		for (int fair = 0; fair < 2; fair++) {
			check_held_together(fairnesses[fair], RANGE_READ);
			check_held_together(fairnesses[fair], RANGE_WRITE);
		}
	}
}

/*
 * A release wakes one waiter, whose deadline passes at the same moment. If the waiter gives up, it
 * must pass the wake-up on to the next waiter, which has no deadline. No other thread would wake
 * that waiter. Pitfall 4.
 */
TEST(wakeup, a_wake_up_survives_a_timeout)
{
	unsigned int rounds = test_scale(1000), gave_up = 0, granted = 0;
	uint64_t state = test_seed("wakeup/a_wake_up_survives_a_timeout");

	for (unsigned int round = 0; round < rounds; round++) {
		struct range_lock lock;
		struct actor quitters[2], patient;
		struct range_hold held;
		uint64_t release_at;

		init_lock(&lock, fairnesses[round % 2], 8);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		release_at = now_ns() + 300000;
		for (unsigned int i = 0; i < 2; i++) {
			/* Timers fire 50 us late: the default timer slack of Linux. */
			uint64_t deadline = release_at - 100000 + test_random_below(&state, 120000);
			uint64_t now = now_ns();

			actor_start_timed(&quitters[i], &lock, i, 10, RANGE_WRITE,
					  deadline > now ? deadline - now : 0);
		}
		actor_start(&patient, &lock, 0, 10, round / 2 % 2 ? RANGE_READ : RANGE_WRITE);
		while (now_ns() < release_at)
			sched_yield();
		range_unlock(&lock, &held);
		for (unsigned int i = 0; i < 2; i++) {
			int result = actor_finish(&quitters[i]);

			CHECK(result == 0 || result == ETIMEDOUT);
			if (result)
				gave_up++;
			else
				granted++;
		}
		CHECK_EQ(actor_finish(&patient), 0);
		check_quiet_and_destroy(&lock);
	}
	fprintf(stderr, "%u gave up, %u granted\n", gave_up, granted);
}

struct member {
	struct range_lock *lock;
	uint64_t state;
	uint64_t *counts; /* plain */
	uint64_t writes;
	bool patient;
	unsigned int rounds;
	pthread_t thread;
};

/* Timeouts are about as long as the range is held; some members wait without a deadline. */
static void *take_part(void *arg)
{
	struct member *member = arg;
	struct range_hold range;

	for (unsigned int i = 0; i < member->rounds; i++) {
		uint64_t start = test_random_below(&member->state, 4);
		uint64_t end = start + 1 + test_random_below(&member->state, 4 - start);
		struct timespec deadline =
			time_after(CLOCK_MONOTONIC, test_random_below(&member->state, 100000));
		int result = range_timedlock(member->lock, &range, start, end, RANGE_WRITE,
					     CLOCK_MONOTONIC, member->patient ? NULL : &deadline);

		if (result) {
			CHECK(result == ETIMEDOUT && !member->patient);
			continue;
		}
		for (uint64_t k = start; k < end; k++)
			member->counts[k]++;
		member->writes += end - start;
		spin_ns(test_random_below(&member->state, 20000));
		range_unlock(member->lock, &range);
	}
	return NULL;
}

TEST(wakeup, timeouts_race_with_grants)
{
	uint64_t state = test_seed("wakeup/timeouts_race_with_grants");

	for (int fair = 0; fair < 2; fair++) {
		struct member members[CROWD];
		uint64_t counts[4] = { 0 }, sum = 0;
		struct range_lock lock;

		init_lock(&lock, fairnesses[fair], 8);
		for (unsigned int i = 0; i < CROWD; i++) {
			members[i].lock = &lock;
			members[i].state = test_random(&state);
			members[i].counts = counts;
			members[i].writes = 0;
			members[i].patient = i % 4 == 0;
			members[i].rounds = test_scale(5000);
			members[i].thread = thread_start(take_part, &members[i]);
		}
		for (unsigned int i = 0; i < CROWD; i++) {
			thread_join(members[i].thread);
			sum += members[i].writes;
		}
		CHECK_EQ(sum, counts[0] + counts[1] + counts[2] + counts[3]);
		check_quiet_and_destroy(&lock);
	}
}

/*
 * Threads split the leaf under waiters (low stays in the left part, high goes to the right part),
 * and merge the parts again and then wait behind these waiters.
 */
TEST(wakeup, waiters_are_woken_across_splits_and_merges)
{
	unsigned int rounds = test_scale(50);

	for (unsigned int round = 0; round < 2 * rounds; round++) {
		struct range_lock lock;
		struct range_hold low, high;
		struct actor behind_low, behind_high, wide, quitter;
		bool high_first = round / 2 % 2;

		init_lock(&lock, fairnesses[round % 2], 1024);
		take(&lock, &low, 0, 2, RANGE_WRITE);
		take(&lock, &high, 300, 302, RANGE_WRITE);
		actor_queue(&behind_low, &lock, 1, 3, RANGE_WRITE);
		actor_queue(&behind_high, &lock, 301, 303, RANGE_READ);
		split_leaf(&lock, 200);
		split_leaf(&lock, 100);
		split_leaf(&lock, 110);
		make_far_leaves(&lock);
		check_valid(&lock);
		actor_queue_timed(&quitter, &lock, 301, 310, RANGE_WRITE, round % 5 * 100000);
		actor_queue(&wide, &lock, 0, 400, RANGE_WRITE);
		actor_let_go(&quitter);
		actor_let_go(&wide);
		/* In a FIFO lock the thread claims all leaves. */
		if (fairnesses[round % 2] == RANGE_FAIRNESS_BARGING)
			merge_leaf(&lock, 110);
		check_valid(&lock);
		range_unlock(&lock, high_first ? &high : &low);
		check_valid(&lock);
		actor_await(high_first ? &behind_high : &behind_low);
		CHECK(!actor_holds(&wide));
		range_unlock(&lock, high_first ? &low : &high);
		check_valid(&lock);
		CHECK_EQ(actor_finish(&behind_low), 0);
		CHECK_EQ(actor_finish(&behind_high), 0);
		actor_finish(&quitter);
		CHECK_EQ(actor_finish(&wide), 0);
		check_quiet_and_destroy(&lock);
	}
}

struct guest {
	struct range_lock *lock;
	uint64_t state;
	unsigned int rounds;
	pthread_t thread;
};

/*
 * Each acquisition uses a page of its own, which no thread can read or write once the call has
 * returned.
 */
static void *come_and_go(void *arg)
{
	enum { PAGES = 16 };
	struct guest *guest = arg;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, PAGES * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pages != MAP_FAILED);
	for (unsigned int i = 0; i < guest->rounds; i++) {
		char *here = pages + i % PAGES * page;
		struct range_hold *range = (struct range_hold *)(void *)here;
		uint64_t start = test_random_below(&guest->state, 8);
		uint64_t kind = test_random_below(&guest->state, 4);
		struct timespec deadline =
			time_after(CLOCK_MONOTONIC, test_random_below(&guest->state, 60000));
		enum range_mode mode = kind / 2 ? RANGE_WRITE : RANGE_READ;
		int result;

		CHECK_EQ(mprotect(here, page, PROT_READ | PROT_WRITE), 0);
		if (kind == 0)
			result = range_trylock(guest->lock, range, start, start + 2, mode);
		else
			result = range_timedlock(guest->lock, range, start, start + 2, mode,
						 CLOCK_MONOTONIC, kind == 1 ? NULL : &deadline);
		if (!result) {
			if (kind != 3)
				sched_yield();
			range_unlock(guest->lock, range);
		}
		/* The memory could hold another lock now. */
		memset(here, 0xa5, page);
		CHECK_EQ(mprotect(here, page, PROT_NONE), 0);
	}
	CHECK_EQ(munmap(pages, PAGES * page), 0);
	return NULL;
}

/*
 * Pitfalls 3 and 5: a thread that touches a range after a failed try, a timeout or an unlock has
 * returned crashes.
 */
TEST(wakeup, no_thread_touches_a_range_after_the_call_has_returned)
{
	uint64_t state = test_seed("wakeup/no_thread_touches_a_range_after_the_call_has_returned");

	for (int fair = 0; fair < 2; fair++) {
		struct guest guests[CROWD];
		struct range_lock lock;

		init_lock(&lock, fairnesses[fair], 4);
		for (unsigned int i = 0; i < CROWD; i++) {
			guests[i].lock = &lock;
			guests[i].state = test_random(&state);
			guests[i].rounds = test_scale(5000);
			guests[i].thread = thread_start(come_and_go, &guests[i]);
		}
		for (unsigned int i = 0; i < CROWD; i++)
			thread_join(guests[i].thread);
		check_quiet_and_destroy(&lock);
	}
}

struct heir {
	struct range_lock *lock;
	struct range_hold range;
};

static void *destroy_after_the_last_release(void *arg)
{
	struct heir *heir = arg;

	CHECK_EQ(range_lock(heir->lock, &heir->range, FULL, RANGE_WRITE), 0);
	range_unlock(heir->lock, &heir->range);
	CHECK_EQ(range_lock_destroy(heir->lock), 0);
	CHECK_EQ(munmap(heir->lock, sizeof *heir->lock), 0);
	return NULL;
}

/*
 * The contract allows this: the thread whose release lets the other thread in is still on its way
 * out of range_unlock().
 */
TEST(wakeup, a_lock_may_be_destroyed_and_unmapped_while_the_last_unlock_returns)
{
	unsigned int rounds = test_scale(2000);

	for (unsigned int round = 0; round < rounds; round++) {
		struct heir heir;
		struct range_hold range;
		pthread_t thread;

		heir.lock = mmap(NULL, sizeof *heir.lock, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(heir.lock != MAP_FAILED);
		init_lock(heir.lock, fairnesses[round % 2], 4);
		if (round % 16 == 0)
			CHECK(split_by_turns(heir.lock, 10, 20, 100000));
		take(heir.lock, &range, 10, 30, RANGE_READ);
		thread = thread_start(destroy_after_the_last_release, &heir);
		if (round % 4)
			AWAIT(lock_stats(heir.lock).waits > 0);
		range_unlock(heir.lock, &range);
		thread_join(thread);
	}
}
