/* SPDX-License-Identifier: MIT */
/* Scenes in which the lock does not order two accesses: no report is a race that was missed. */
#include "host.h"

#include <errno.h>
#include <string.h>

#define ALL 0, UINT64_MAX

static void access_data_between(uint64_t start, uint64_t end)
{
	struct range_hold range;

	CHECK(range_lock(&lock, &range, start, end, RANGE_WRITE) == 0);
	data++;
	range_unlock(&lock, &range);
}

static void writes(void)
{
	access_data_between(0, 100);
	end_stage(0);
}

static void forgets_to_lock(void)
{
	await_stage(1);
	data++;
}

/* The data belongs to what it has released. */
static void shrinks_too_far(void)
{
	struct range_hold range;

	CHECK(range_lock(&lock, &range, 0, 100, RANGE_WRITE) == 0);
	CHECK(range_shrink(&lock, &range, 0, 50) == 0);
	data++;
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &range);
}

static void releases_upper_part(void)
{
	struct range_hold lower, upper;

	CHECK(range_lock(&lock, &lower, 0, 100, RANGE_WRITE) == 0);
	CHECK(range_split(&lock, &lower, 50, &upper) == 0);
	range_unlock(&lock, &upper);
	data++;
	range_unlock(&lock, &lower);
	end_stage(0);
}

static void writes_after_downgrade(void)
{
	struct range_hold range;

	CHECK(range_lock(&lock, &range, 0, 100, RANGE_WRITE) == 0);
	range_downgrade(&lock, &range);
	data++;
	range_unlock(&lock, &range);
	end_stage(0);
}

static void reads_50_60(void)
{
	struct range_hold range;

	await_stage(1);
	CHECK(range_lock(&lock, &range, 50, 60, RANGE_READ) == 0);
	CHECK(data == 1);
	range_unlock(&lock, &range);
}

static void writes_50_60(void)
{
	await_stage(1);
	access_data_between(50, 60);
	end_stage(1);
}

static void extends_not_far_enough(void)
{
	struct range_hold range;

	await_stage(1);
	CHECK(range_lock(&lock, &range, 200, 210, RANGE_WRITE) == 0);
	CHECK(range_tryextend(&lock, &range, 100, 300) == 0);
	data++;
	range_unlock(&lock, &range);
}

/* What does not get the range learns nothing of its holder. */
static void holds(void)
{
	struct range_hold range;

	CHECK(range_lock(&lock, &range, 0, 100, RANGE_WRITE) == 0);
	data++;
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &range);
}

static void is_refused(void)
{
	struct range_hold range;

	await_stage(1);
	CHECK(range_trylock(&lock, &range, 50, 60, RANGE_WRITE) == EBUSY);
	data++;
	end_stage(1);
}

static void uses_another_lock(void)
{
	static struct range_lock other = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	await_stage(1);
	CHECK(range_lock(&other, &range, 0, 100, RANGE_WRITE) == 0);
	data++;
	range_unlock(&other, &range);
}

static void locks_a_set_around(void)
{
	struct range_hold ranges[2];
	struct range_request requests[] = {
		{ &ranges[0], 0, 10, RANGE_WRITE },
		{ &ranges[1], 20, 30, RANGE_WRITE },
	};

	CHECK(range_lock_many(&lock, requests, 2) == 0);
	data++;
	for (int i = 0; i < 2; i++)
		range_unlock(&lock, &ranges[i]);
	end_stage(0);
}

static void writes_between_the_set(void)
{
	await_stage(1);
	access_data_between(10, 20);
}

/* Races in what the library calls back. */
static struct range_hold requested;

static void writes_when_granted(int error, void *arg)
{
	(void)arg;
	CHECK(error == 0);
	data++;
	range_unlock(&lock, &requested);
}

static void makes_way(void)
{
	struct range_hold range;

	CHECK(range_lock(&lock, &range, 0, 100, RANGE_WRITE) == 0);
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &range);
}

static void requests_and_writes(void)
{
	await_stage(1);
	CHECK(range_lock_async(&lock, &requested, 0, 100, RANGE_WRITE, writes_when_granted, NULL) ==
	      EINPROGRESS);
	data++;
	end_stage(1);
}

static int counts_in_data(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	data++;
	return 0;
}

static void walks(void)
{
	await_stage(1);
	CHECK(range_lock_foreach(&lock, counts_in_data, NULL) == 0);
	end_stage(1);
}

#define WRITES RANGE_WRITE, true

const struct scene racing_scenes[] = {
	{ "ranges_apart", .pair = { { 0, 10, WRITES }, { 20, 30, WRITES } } },
	{ "ranges_apart_in_reverse", .pair = { { 20, 30, WRITES }, { 0, 10, WRITES } } },
	{ "adjacent_ranges", .pair = { { 0, 4, WRITES }, { 4, 8, WRITES } } },
	{ "adjacent_keys", .pair = { { 6, 7, WRITES }, { 7, 8, WRITES } } },
	{ "adjacent_halves",
	  .pair = { { 0, UINT64_C(1) << 63, WRITES }, { UINT64_C(1) << 63, UINT64_MAX, WRITES } } },
	{ "writing_readers", .pair = { { 0, 10, RANGE_READ, true }, { 0, 10, RANGE_READ, true } } },
	{ "no_lock", .thread = { writes, forgets_to_lock } },
	{ "another_lock", .thread = { writes, uses_another_lock } },
	{ "shrunk_range", .thread = { shrinks_too_far, writes_50_60 } },
	{ "upper_part", .thread = { releases_upper_part, writes_50_60 } },
	{ "downgraded_range", .thread = { writes_after_downgrade, reads_50_60 } },
	{ "extended_range", .thread = { writes, extends_not_far_enough } },
	{ "refused_trylock", .thread = { holds, is_refused } },
	{ "set_around", .thread = { locks_a_set_around, writes_between_the_set } },
	{ "callback_race", .thread = { makes_way, requests_and_writes } },
	{ "foreach_race", .thread = { holds, walks } },
	{ .name = NULL },
};
