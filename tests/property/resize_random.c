/* SPDX-License-Identifier: MIT */
/*
 * Random operations on held ranges, by one thread, against a model that has an entry per key: its
 * number of readers, and whether it has a writer. Without waiters, the model determines exactly
 * which operations succeed.
 */
#include "actors.h"
#include "test.h"

#include "platform/platform.h"
#include "range_lock/layout.h"

#include <errno.h>
#include <stdbool.h>

enum { KEYS = 64, RANGES = 24 };

struct world {
	struct range_lock lock;
	struct range_hold ranges[RANGES];
	bool held[RANGES];
	unsigned int readers[KEYS];
	bool written[KEYS];
	uint64_t seed;
};

static uint64_t below(struct world *world, uint64_t limit)
{
	return test_random_below(&world->seed, limit);
}

/* Whether [start, end) is free beside the held ranges. */
static bool can_have(const struct world *world, uint64_t start, uint64_t end, enum range_mode mode)
{
	for (uint64_t key = start; key < end; key++)
		if (world->written[key] || (mode == RANGE_WRITE && world->readers[key]))
			return false;
	return true;
}

static void add(struct world *world, uint64_t start, uint64_t end, enum range_mode mode)
{
	for (uint64_t key = start; key < end; key++) {
		if (mode == RANGE_WRITE)
			world->written[key] = true;
		else
			world->readers[key]++;
	}
}

static void drop(struct world *world, uint64_t start, uint64_t end, enum range_mode mode)
{
	for (uint64_t key = start; key < end; key++) {
		if (mode == RANGE_WRITE)
			world->written[key] = false;
		else
			world->readers[key]--;
	}
}

static void random_bounds(struct world *world, uint64_t lo, uint64_t hi, uint64_t *start,
			  uint64_t *end)
{
	*start = lo + below(world, hi - lo);
	*end = *start + 1 + below(world, hi - *start);
}

static void try_lock(struct world *world, unsigned int i)
{
	enum range_mode mode = below(world, 2) ? RANGE_READ : RANGE_WRITE;
	uint64_t start, end;
	bool expected;

	random_bounds(world, 0, below(world, 3) ? 8 : KEYS, &start, &end);
	expected = can_have(world, start, end, mode);
	CHECK_EQ(range_trylock(&world->lock, &world->ranges[i], start, end, (enum range_mode)mode),
		 expected ? 0 : EBUSY);
	if (expected)
		add(world, start, end, mode);
	world->held[i] = expected;
}

static void unlock(struct world *world, unsigned int i)
{
	struct range_hold *r = &world->ranges[i];

	drop(world, r->start, r->end, r->mode);
	range_unlock(&world->lock, r);
	world->held[i] = false;
}

static void change_mode(struct world *world, unsigned int i)
{
	struct range_hold *r = &world->ranges[i];
	uint64_t start = r->start, end = r->end;
	enum range_mode mode = r->mode;
	bool expected;

	drop(world, start, end, mode);
	if (mode == RANGE_WRITE) {
		range_downgrade(&world->lock, r);
		mode = RANGE_READ;
	} else {
		expected = can_have(world, start, end, RANGE_WRITE);
		CHECK_EQ(range_tryupgrade(&world->lock, r), expected ? 0 : EBUSY);
		if (expected)
			mode = RANGE_WRITE;
	}
	CHECK_EQ(r->mode, mode);
	add(world, start, end, mode);
}

static void shrink(struct world *world, unsigned int i)
{
	struct range_hold *r = &world->ranges[i];
	uint64_t start, end;

	random_bounds(world, r->start, r->end, &start, &end);
	drop(world, r->start, r->end, r->mode);
	CHECK_EQ(range_shrink(&world->lock, r, start, end), 0);
	add(world, start, end, r->mode);
}

static void extend(struct world *world, unsigned int i)
{
	struct range_hold *r = &world->ranges[i];
	uint64_t start = below(world, r->start + 1);
	uint64_t end = r->end + below(world, KEYS - r->end + 1);
	bool expected =
		can_have(world, start, r->start, r->mode) && can_have(world, r->end, end, r->mode);

	drop(world, r->start, r->end, r->mode);
	CHECK_EQ(range_tryextend(&world->lock, r, start, end), expected ? 0 : EBUSY);
	if (expected)
		CHECK(r->start == start && r->end == end);
	add(world, r->start, r->end, r->mode);
}

static void split(struct world *world, unsigned int i)
{
	struct range_hold *r = &world->ranges[i];
	unsigned int other = (unsigned int)below(world, RANGES);

	if (world->held[other] || r->end - r->start < 2)
		return;
	CHECK_EQ(range_split(&world->lock, r, r->start + 1 + below(world, r->end - r->start - 1),
			     &world->ranges[other]),
		 0);
	world->held[other] = true;
}

/* With any other held range: the result says whether the two fit. */
static void join(struct world *world, unsigned int i)
{
	struct range_hold *lower = &world->ranges[i];
	uint64_t start = lower->start;

	for (unsigned int other = 0; other < RANGES; other++) {
		struct range_hold *upper = &world->ranges[other];
		bool meet = lower->end == upper->start && lower->mode == upper->mode, fit;
		uint64_t end = lower->end;
		int error;

		if (!world->held[other])
			continue;
		error = range_join(&world->lock, lower, upper);
		/* Now both have been recorded, if they meet, with their owners. */
		fit = meet &&
		      mmrange__same_thread(range__hold(lower)->owner, range__hold(upper)->owner);
		CHECK_EQ(error, fit ? 0 : EINVAL);
		CHECK(lower->start == start && lower->end == (fit ? upper->end : end));
		if (fit)
			world->held[other] = false;
	}
}

static void step(struct world *world)
{
	unsigned int i = (unsigned int)below(world, RANGES);

	/* As if three threads took turns, so that the lock splits. */
	mmrange__thread = 1 + below(world, 3);
	if (!world->held[i]) {
		try_lock(world, i);
		return;
	}
	switch (below(world, 7)) {
	case 0:
		change_mode(world, i);
		break;
	case 1:
		shrink(world, i);
		break;
	case 2:
		extend(world, i);
		break;
	case 3:
		split(world, i);
		break;
	case 4:
		join(world, i);
		break;
	default:
		unlock(world, i);
	}
}

TEST(resize_random, operations_on_held_ranges_agree_with_the_model)
{
	uint64_t seed = test_seed("resize_random");
	uint64_t self = mmrange__self();
	uint64_t splits = 0;

	for (unsigned int round = 0; round < test_scale(200); round++) {
		struct world world = { .seed = test_random(&seed) };

		init_lock(&world.lock, fairnesses[round % 2], 1 + round % 64);
		for (unsigned int n = 0; n < 2000; n++) {
			if (n % 64 == 0)
				make_impatient(&world.lock);
			step(&world);
			if (n % 16 == 0)
				check_valid(&world.lock);
		}
		for (unsigned int i = 0; i < RANGES; i++)
			if (world.held[i])
				unlock(&world, i);
		splits += lock_stats(&world.lock).splits;
		check_quiet_and_destroy(&world.lock);
	}
	mmrange__thread = self;
	CHECK(splits > 0);
}
