/* SPDX-License-Identifier: MIT */
/*
 * range_lock_foreach() while ranges come and go, and leaves split and merge. The walk shows each
 * range that stays exactly once, and any other range at most once in its life. It shows held ranges
 * in the order of their starts. First one thread does all of this, from the function that the walk
 * calls, so that a seed repeats the run. Then many threads do.
 *
 * Places are eight keys apart. Ranges that stay lie in the first four keys of a place; leaves split
 * between places.
 */
#include "actors.h"
#include "dummy_waiter.h"

#include "platform/platform.h"
#include "range_lock/forest.h"

#include <errno.h>
#include <string.h>

enum { PLACES = 24, STAY = 180, COME = 60 };

#define END ((uint64_t)PLACES * 8)

enum life { GONE, HELD, WAITS };

struct one {
	struct range_hold range;
	struct range__set set;
	enum life life;
	bool stays;
	bool spent; /* it has ended during this walk: the walk may show its previous life */
	unsigned int shown;
};

struct world {
	struct range_lock lock;
	struct one ones[STAY + COME];
	uint64_t seed;
	uint64_t last_start;
	unsigned int calm; /* one call in this many changes something */
};

static uint64_t below(struct world *world, uint64_t limit)
{
	return test_random_below(&world->seed, limit);
}

/*
 * A waiter without a thread. It waits for a reader that stays in its place. Some also wait for the
 * reader of the next place: leaves split between the two.
 */
static void queue(struct world *world, struct one *one, uint64_t start)
{
	uint64_t end = start + (below(world, 4) ? 1 : 9);

	queue_dummy_waiter(&world->lock, &one->range, &one->set, start, end,
			   below(world, 8) ? mmrange__now() : 5);
}

static void begin_wait(struct world *world, struct one *one)
{
	/* Each place has a reader that stays on its first key. */
	queue(world, one, 8 * below(world, PLACES));
	one->life = WAITS;
}

static void try_to_hold(struct world *world, struct one *one)
{
	uint64_t start = below(world, END), end = start + 1 + below(world, 4);

	if (below(world, 8) == 0) {
		start = below(world, 2) ? 0 : start;
		end = below(world, 2) ? UINT64_MAX : start + 1 + below(world, END);
	}
	if (!range_trylock(&world->lock, &one->range, start, end,
			   below(world, 4) ? RANGE_READ : RANGE_WRITE))
		one->life = HELD;
}

static void end_life(struct world *world, struct one *one)
{
	if (one->life == WAITS)
		CHECK_EQ(range_cancel(&world->lock, &one->range), 0);
	else
		range_unlock(&world->lock, &one->range);
	one->life = GONE;
	one->spent = true;
}

/* Two threads take turns, so that the leaf is split between their keys. */
static void split_somewhere(struct world *world)
{
	uint64_t a = 8 * below(world, PLACES) + 5, b = 8 * below(world, PLACES) + 6;
	struct range_hold range;

	make_impatient(&world->lock);
	for (unsigned int i = 0; i < 6; i++) {
		uint64_t key = i % 2 ? b : a;

		play_thread(i % 2);
		if (!range_trylock(&world->lock, &range, key, key + 1, RANGE_READ))
			range_unlock(&world->lock, &range);
	}
}

static void merge_somewhere(struct world *world)
{
	uint64_t start = below(world, END), end = start + 1 + below(world, END);

	struct range_hold range;

	if (!range_trylock(&world->lock, &range, start, end, RANGE_READ))
		range_unlock(&world->lock, &range);
}

static void do_something(struct world *world)
{
	struct one *one = &world->ones[STAY + below(world, COME)];

	play_thread((unsigned int)below(world, 3));
	switch (below(world, 4)) {
	case 0:
		split_somewhere(world);
		break;
	case 1:
		merge_somewhere(world);
		break;
	default:
		if (one->life != GONE)
			end_life(world, one);
		else if (one->spent)
			return;
		else if (below(world, 2))
			begin_wait(world, one);
		else
			try_to_hold(world, one);
	}
}

static struct one *one_of(struct world *world, const struct range_hold *range)
{
	size_t i = (size_t)((const char *)range - (const char *)world->ones) / sizeof *world->ones;

	CHECK(i < STAY + COME && range == &world->ones[i].range);
	return &world->ones[i];
}

static void note(struct world *world, const struct range_info *info)
{
	struct one *one = one_of(world, info->range);

	one->shown++;
	if (one->stays) {
		CHECK_EQ(info->start, one->range.start);
		CHECK_EQ(info->end, one->range.end);
		CHECK_EQ(info->state == RANGE_STATE_HELD, one->life == HELD);
	}
	if (info->state != RANGE_STATE_HELD)
		return;
	CHECK(info->start >= world->last_start);
	world->last_start = info->start;
}

static int note_and_do(const struct range_info *info, void *arg)
{
	struct world *world = arg;

	note(world, info);
	CHECK(one_of(world, info->range)->shown <= 1);
	while (below(world, world->calm) == 0)
		do_something(world);
	return 0;
}

/* The first PLACES hold the first keys; each of the rest holds or waits. */
static void populate(struct world *world)
{
	for (unsigned int i = 0; i < STAY; i++) {
		struct one *one = &world->ones[i];
		uint64_t place = 8 * (i < PLACES ? i : below(world, PLACES));

		one->stays = true;
		if (i < PLACES || below(world, 2)) {
			uint64_t start = i < PLACES ? 0 : below(world, 3);

			take(&world->lock, &one->range, place + start,
			     place + start + 1 + below(world, 4 - start), RANGE_READ);
			one->life = HELD;
		} else {
			queue(world, one, place);
			one->life = WAITS;
		}
	}
}

static void init(struct world *world, uint32_t max_leaves)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.max_leaves = max_leaves;
	attr.starvation_ns = UINT64_MAX;
	CHECK_EQ(range_lock_init(&world->lock, &attr), 0);
	populate(world);
}

static void begin_walk(struct world *world)
{
	world->last_start = 0;
	for (unsigned int i = 0; i < STAY + COME; i++) {
		world->ones[i].shown = 0;
		world->ones[i].spent = false;
	}
}

static void check_walk(struct world *world)
{
	for (unsigned int i = 0; i < STAY; i++)
		if (world->ones[i].shown != 1)
			test_fail(__FILE__, __LINE__,
				  "range %u, [%" PRIu64 ", %" PRIu64 "), %s, was shown %u times", i,
				  world->ones[i].range.start, world->ones[i].range.end,
				  world->ones[i].life == HELD ? "held" : "waiting",
				  world->ones[i].shown);
}

static void end(struct world *world)
{
	/* Waiters go first: they have no threads that would end their waits. */
	for (int life = WAITS; life > GONE; life--)
		for (unsigned int i = 0; i < STAY + COME; i++)
			if (world->ones[i].life == (enum life)life)
				end_life(world, &world->ones[i]);
	check_quiet_and_destroy(&world->lock);
}

TEST(foreach_random, the_walk_shows_each_range_that_stays_once_whatever_its_function_does)
{
	uint64_t seed =
		test_seed("foreach_random/"
			  "the_walk_shows_each_range_that_stays_once_whatever_its_function_does");
	uint64_t self = mmrange__self(), splits = 0, merges = 0;

	for (unsigned int round = 0; round < test_scale(400); round++) {
		static struct world world;

		memset(&world, 0, sizeof world);
		world.seed = test_random(&seed);
		init(&world, 1 + round % 40);
		for (unsigned int walk = 0; walk < 10; walk++) {
			world.calm = 2 + (unsigned int)below(&world, 40);
			begin_walk(&world);
			CHECK_EQ(range_lock_foreach(&world.lock, note_and_do, &world), 0);
			check_walk(&world);
			check_valid(&world.lock);
		}
		splits += lock_stats(&world.lock).splits;
		merges += lock_stats(&world.lock).merges;
		end(&world);
	}
	mmrange__thread = self;
	fprintf(stderr, "%" PRIu64 " splits, %" PRIu64 " merges\n", splits, merges);
	CHECK(splits > 0 && merges > 0);
}

/* Readers and writers of random ranges, which never wait. */
struct stormer {
	struct range_lock *lock;
	uint64_t seed;
	atomic_bool *over;
	pthread_t thread;
};

static void *storm(void *arg)
{
	struct stormer *me = arg;

	while (!atomic_load(me->over)) {
		uint64_t start = test_random_below(&me->seed, END);
		bool wide = test_random_below(&me->seed, 8) == 0;
		uint64_t end = start + 1 + test_random_below(&me->seed, wide ? END : 2);
		struct range_hold range;

		if (!range_trylock(me->lock, &range, start, end,
				   test_random_below(&me->seed, 3) ? RANGE_READ : RANGE_WRITE))
			range_unlock(me->lock, &range);
	}
	return NULL;
}

/* Ranges of the storm's threads are not part of this world. */
static int note_what_stays(const struct range_info *info, void *arg)
{
	struct world *world = arg;
	uintptr_t at = (uintptr_t)info->range, ones = (uintptr_t)world->ones;

	if (ones <= at && at < ones + sizeof world->ones)
		note(world, info);
	return 0;
}

TEST(foreach_random, the_walk_shows_and_cancels_each_range_that_stays_once_in_a_storm)
{
	enum { THREADS = 4 };
	uint64_t seed = test_seed(
		"foreach_random/the_walk_shows_and_cancels_each_range_that_stays_once_in_a_storm");
	static struct world world;
	struct stormer stormers[THREADS];
	struct range_lock_stats stats = { 0 };
	atomic_bool over;

	memset(&world, 0, sizeof world);
	world.seed = test_random(&seed);
	init(&world, 64);
	atomic_init(&over, false);
	for (int i = 0; i < THREADS; i++) {
		stormers[i] = (struct stormer){ &world.lock, test_random(&seed), &over, 0 };
		stormers[i].thread = thread_start(storm, &stormers[i]);
	}
	/* On a busy machine, the threads of the storm may begin late. */
	for (unsigned int walk = 0; walk < test_scale(5000) || !stats.splits || !stats.merges;
	     walk++) {
		struct one *one = &world.ones[STAY + walk % COME];

		if (walk % 8 == 0)
			make_impatient(&world.lock);
		begin_wait(&world, one);
		begin_walk(&world);
		CHECK_EQ(range_lock_foreach(&world.lock, note_what_stays, &world), 0);
		check_walk(&world);
		CHECK_EQ(one->shown, 1);
		end_life(&world, one);
		stats = lock_stats(&world.lock);
	}
	atomic_store(&over, true);
	for (int i = 0; i < THREADS; i++)
		thread_join(stormers[i].thread);
	fprintf(stderr, "%" PRIu64 " splits, %" PRIu64 " merges\n", stats.splits, stats.merges);
	end(&world);
}
