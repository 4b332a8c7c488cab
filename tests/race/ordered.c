/* SPDX-License-Identifier: MIT */
/* Scenes in which the lock orders all accesses: a report is false. */
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL 0, UINT64_MAX

static void lock_range(struct range_hold *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	CHECK(range_lock(&lock, range, start, end, mode) == 0);
}

/* Where the library had what other threads looked at. */
__attribute__((noinline)) static void use_stack(void)
{
	volatile char bytes[4096];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = 1;
}

/* What thread 1 of many scenes does. */
static void writer_of_50_60(void)
{
	struct range_hold range;

	await_stage(1);
	lock_range(&range, 50, 60, RANGE_WRITE);
	data++;
	range_unlock(&lock, &range);
	end_stage(1);
}

/* The rest stays held meanwhile. */
static void shrinks(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_WRITE);
	data++;
	CHECK(range_shrink(&lock, &range, 0, 50) == 0);
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &range);
}

static void splits(void)
{
	struct range_hold lower, upper;

	lock_range(&lower, 0, 100, RANGE_WRITE);
	data++;
	CHECK(range_split(&lock, &lower, 50, &upper) == 0);
	range_unlock(&lock, &upper);
	memset(&upper, 0, sizeof upper);
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &lower);
}

static void joins(void)
{
	struct range_hold lower, upper;

	lock_range(&lower, 0, 50, RANGE_WRITE);
	lock_range(&upper, 50, 100, RANGE_WRITE);
	data++;
	CHECK(range_join(&lock, &lower, &upper) == 0);
	memset(&upper, 0, sizeof upper);
	range_unlock(&lock, &lower);
	end_stage(0);
}

static void downgrades(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_WRITE);
	data++;
	range_downgrade(&lock, &range);
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &range);
}

static void reads_beside(void)
{
	struct range_hold range;

	await_stage(1);
	lock_range(&range, 50, 60, RANGE_READ);
	CHECK(data == 1);
	range_unlock(&lock, &range);
	end_stage(1);
}

static void reads(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_READ);
	CHECK(data == 0);
	range_unlock(&lock, &range);
	end_stage(0);
}

static void tries_to_upgrade(void)
{
	struct range_hold range;

	await_stage(1);
	lock_range(&range, 50, 60, RANGE_READ);
	CHECK(range_tryupgrade(&lock, &range) == 0);
	data++;
	range_unlock(&lock, &range);
}

static void upgrades(void)
{
	struct range_hold range;

	await_stage(1);
	lock_range(&range, 50, 60, RANGE_READ);
	CHECK(range_upgrade(&lock, &range) == 0);
	use_stack();
	data++;
	range_unlock(&lock, &range);
}

static void reads_until_one_waits(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_READ);
	end_stage(0);
	await_waits(1);
	CHECK(data == 0);
	range_unlock(&lock, &range);
}

static void writes(void)
{
	struct range_hold range;

	lock_range(&range, 0, 40, RANGE_WRITE);
	data++;
	range_unlock(&lock, &range);
	end_stage(0);
}

static void extends(void)
{
	struct range_hold range;

	await_stage(1);
	lock_range(&range, 50, 60, RANGE_WRITE);
	CHECK(range_tryextend(&lock, &range, 30, 70) == 0);
	data++;
	range_unlock(&lock, &range);
}

static void tries(void)
{
	struct range_hold range;

	await_stage(1);
	CHECK(range_trylock(&lock, &range, 30, 50, RANGE_WRITE) == 0);
	data++;
	range_unlock(&lock, &range);
}

static void has_a_deadline(void)
{
	const struct timespec past = { 0, 0 };
	struct range_hold range;

	await_stage(1);
	CHECK(range_timedlock(&lock, &range, 30, 50, RANGE_WRITE, CLOCK_MONOTONIC, &past) == 0);
	data++;
	range_unlock(&lock, &range);
}

static void locks_a_set(uint64_t first, uint64_t second, bool only_tries)
{
	struct range_hold ranges[2];
	struct range_request requests[] = {
		{ &ranges[1], second, second + 10, RANGE_WRITE },
		{ &ranges[0], first, first + 10, RANGE_WRITE },
	};

	if (only_tries)
		CHECK(range_trylock_many(&lock, requests, 2) == 0);
	else
		CHECK(range_lock_many(&lock, requests, 2) == 0);
	memset(requests, 0, sizeof requests);
	use_stack();
	data++;
	range_unlock(&lock, &ranges[1]);
	range_unlock(&lock, &ranges[0]);
	memset(ranges, 0, sizeof ranges);
}

static void first_set(void)
{
	locks_a_set(0, 100, false);
	end_stage(0);
}

static void second_set(void)
{
	await_stage(1);
	locks_a_set(105, 200, false);
}

static void holds_until_one_waits(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_WRITE);
	end_stage(0);
	await_waits(1);
	data++;
	range_unlock(&lock, &range);
}

static void waiting_set(void)
{
	await_stage(1);
	locks_a_set(50, 200, false);
}

static void waiting_writer(void)
{
	struct range_hold range;

	await_stage(1);
	lock_range(&range, 50, 60, RANGE_WRITE);
	use_stack();
	data++;
	range_unlock(&lock, &range);
}

static void tries_second_set(void)
{
	await_stage(1);
	locks_a_set(105, 200, true);
}

/* With many reads, a leaf becomes biased where no detector watches. */
static void reads_often(void)
{
	struct range_hold range;

	for (int i = 0; i < 2000; i++) {
		lock_range(&range, 50, 60, RANGE_READ);
		CHECK(data == 0);
		range_unlock(&lock, &range);
	}
	end_stage(0);
}

static void holds_meanwhile(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_WRITE);
	end_stage(0);
	await_stage(2);
	range_unlock(&lock, &range);
}

/* Questions order nothing, and are no race. */
static int looks_on(const struct range_info *info, void *arg)
{
	(void)arg;
	CHECK(info->state == RANGE_STATE_HELD && info->end == 100);
	return 0;
}

static void asks(void)
{
	struct range_info info;
	FILE *null = fopen("/dev/null", "w");

	CHECK(null);
	await_stage(1);
	CHECK(!range_is_held(&lock, 0, 1, RANGE_READ));
	CHECK(range_lock_conflict(&lock, 50, 60, RANGE_READ, &info) == 0 && info.end == 100);
	CHECK(range_lock_foreach(&lock, looks_on, NULL) == 0);
	CHECK(range_lock_dump(&lock, null) == 0);
	use_stack();
	fclose(null);
	end_stage(1);
}

/* A canceled thread learns what the thread that canceled it had done. */
static struct range_hold waiting;

static void is_canceled(void)
{
	await_stage(1);
	CHECK(range_lock(&lock, &waiting, 50, 60, RANGE_WRITE) == ECANCELED);
	use_stack();
	CHECK(data == 1);
	memset(&waiting, 0, sizeof waiting);
	end_stage(1);
}

static void cancels(void)
{
	await_waits(1);
	data++;
	while (range_cancel(&lock, &waiting) != 0)
		;
}

static void closes(void)
{
	await_waits(1);
	data++;
	range_lock_close(&lock);
}

/* The callback comes in thread 0, and learns what thread 1 did before it made the request. */
static struct job {
	struct range_hold range;
	long argument;
} job;

static void granted(int error, void *arg)
{
	struct job *mine = arg;

	CHECK(error == 0);
	data += mine->argument;
	range_unlock(&lock, &mine->range);
	memset(mine, 0, sizeof *mine);
}

static void makes_way(void)
{
	struct range_hold range;

	lock_range(&range, 0, 100, RANGE_WRITE);
	end_stage(0);
	await_stage(2);
	data++;
	range_unlock(&lock, &range);
	CHECK(job.argument == 0);
	end_stage(2);
}

static void requests(void)
{
	await_stage(1);
	job.argument = 5;
	CHECK(range_lock_async(&lock, &job.range, 50, 60, RANGE_WRITE, granted, &job) ==
	      EINPROGRESS);
	end_stage(1);
}

static void writer_after_callback(void)
{
	struct range_hold range;

	await_stage(3);
	lock_range(&range, ALL, RANGE_WRITE);
	CHECK(data == 6);
	range_unlock(&lock, &range);
}

/*
 * The hooks of a lock need no lock of their own: here two threads call them, whose ranges do not
 * overlap. The last thread that holds a range may destroy the lock, and use its memory again.
 */
enum {
	POINTS = 40, /* more than the leaves that one call of the hook is for */
	VISITS = 8,  /* to each point by each thread, until the lock has split a leaf there */
};

static long nr_blocks;

static void *count_and_allocate(size_t size, size_t align, void *arg)
{
	++*(long *)arg;
	return aligned_alloc(align, (size + align - 1) / align * align);
}

static void count_and_free(void *memory, size_t size, void *arg)
{
	--*(long *)arg;
	memset(memory, 0, size);
	free(memory);
}

static void init_with_hooks(void)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.alloc = count_and_allocate;
	attr.free = count_and_free;
	attr.arg = &nr_blocks;
	CHECK(range_lock_init(&lock, &attr) == 0);
}

/*
 * The threads take turns next to each point. The first one to come splits the leaf, unless the
 * detector makes it so slow that the lock adapts in another way.
 */
static void visit_points(unsigned int thread)
{
	struct range_hold range;

	for (unsigned int i = 0; i < POINTS * VISITS; i++) {
		unsigned int point = i / VISITS;
		unsigned int first = point >= POINTS / 2;
		unsigned int turn = 2 * i + (thread != first);
		uint64_t start = 1000 * (point + 1) - (thread != first);

		await_stage(turn);
		lock_range(&range, start, start + 1, RANGE_WRITE);
		range_unlock(&lock, &range);
		end_stage(turn);
	}
}

static void has_hooks(void)
{
	visit_points(0);
}

static void destroys(void)
{
	struct range_lock_stats stats;
	struct range_hold range;

	visit_points(1);
	await_stage(2 * POINTS * VISITS);
	lock_range(&range, ALL, RANGE_WRITE);
	range_unlock(&lock, &range);
	range_lock_stats(&lock, &stats);
	CHECK(stats.splits > 0 && nr_blocks > 0);
	CHECK(range_lock_destroy(&lock) == 0 && nr_blocks == 0);
	memset(&lock, 0, sizeof lock);
}

/* Without turns: all of the lock's paths, with what other threads happen to do. */
enum { SLOTS = 64, STORM = 400 };

static long slots[SLOTS];

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

static void use_slots(unsigned int *state)
{
	uint64_t start = next_random(state) % SLOTS;
	uint64_t end = start + 1 + next_random(state) % (SLOTS - start);
	enum range_mode mode = next_random(state) % 4 ? RANGE_READ : RANGE_WRITE;
	struct range_hold range;

	lock_range(&range, start, end, mode);
	for (uint64_t i = start; i < end; i++)
		if (mode == RANGE_WRITE)
			slots[i]++;
		else
			CHECK(slots[i] >= 0);
	range_unlock(&lock, &range);
	memset(&range, 0, sizeof range);
}

static void storms(void)
{
	static unsigned int seeds[SCENE_THREADS];
	struct range_hold range;
	unsigned int state;

	/* Each thread has another seed. */
	lock_range(&range, ALL, RANGE_WRITE);
	state = ++seeds[0];
	range_unlock(&lock, &range);
	for (int i = 0; i < STORM; i++)
		use_slots(&state);
}

#define READS  RANGE_READ, false
#define WRITES RANGE_WRITE, true

const struct scene ordered_scenes[] = {
	{ "equal_ranges", .pair = { { 7, 8, WRITES }, { 7, 8, WRITES } } },
	{ "range_in_range", .pair = { { 0, 100, WRITES }, { 50, 60, WRITES } } },
	{ "range_around_range", .pair = { { 50, 60, WRITES }, { 0, 100, WRITES } } },
	{ "range_over_edge", .pair = { { 3, 1001, WRITES }, { 1000, 5555, WRITES } } },
	{ "range_over_lower_edge", .pair = { { 1000, 5555, WRITES }, { 3, 1001, WRITES } } },
	{ "full_range_first", .pair = { { ALL, WRITES }, { UINT64_MAX - 1, UINT64_MAX, WRITES } } },
	{ "full_range_last", .pair = { { 0, 1, WRITES }, { ALL, WRITES } } },
	{ "end_of_keys",
	  .pair = { { UINT64_MAX - 2, UINT64_MAX, WRITES }, { 5, UINT64_MAX, WRITES } } },
	{ "middle_of_keys", .pair = { { (UINT64_C(1) << 63) - 1, (UINT64_C(1) << 63) + 1, WRITES },
				      { UINT64_C(1) << 63, UINT64_MAX - 1, WRITES } } },
	{ "reader_after_writer", .pair = { { 0, 100, WRITES }, { 50, 60, READS } } },
	{ "writer_after_reader", .pair = { { 50, 60, READS }, { 0, 100, WRITES } } },
	{ "readers", .pair = { { 0, 100, READS }, { 50, 60, READS } } },
	{ "shrink", .thread = { shrinks, writer_of_50_60 } },
	{ "split", .thread = { splits, writer_of_50_60 } },
	{ "join", .thread = { joins, writer_of_50_60 } },
	{ "questions", .thread = { holds_meanwhile, asks } },
	{ "downgrade", .thread = { downgrades, reads_beside } },
	{ "tryupgrade", .thread = { reads, tries_to_upgrade } },
	{ "upgrade", .thread = { reads, upgrades } },
	{ "upgrade_that_waits", .thread = { reads_until_one_waits, upgrades } },
	{ "extend", .thread = { writes, extends } },
	{ "trylock", .thread = { writes, tries } },
	{ "timedlock", .thread = { writes, has_a_deadline } },
	{ "sets", .thread = { first_set, second_set } },
	{ "waiting_set", .thread = { holds_until_one_waits, waiting_set } },
	{ "waiting_writer", .thread = { holds_until_one_waits, waiting_writer } },
	{ "trylock_many", .thread = { first_set, tries_second_set } },
	{ "many_reads", .thread = { reads_often, writer_of_50_60 } },
	{ "cancel", .thread = { holds_meanwhile, is_canceled, cancels } },
	{ "close", .thread = { holds_meanwhile, is_canceled, closes } },
	{ "callback", .thread = { makes_way, requests, writer_after_callback } },
	{ "hooks", .thread = { has_hooks, destroys }, .prepare = init_with_hooks },
	{ "storm", .thread = { storms, storms, storms } },
	{ .name = NULL },
};
