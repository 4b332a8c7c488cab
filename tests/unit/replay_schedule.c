/* SPDX-License-Identifier: MIT */
/*
 * Dependencies against brute force over all pairs of operations: every needed one, and no other.
 */
#include "assign.h"
#include "clocks.h"
#include "schedule.h"
#include "test.h"

#include <mmrange/mm.h>

#include <string.h>

#define OPS   160
#define PAGES 12

static struct trace_op ops[OPS];
static bool before[OPS][OPS]; /* before[i][j]: the schedule completes i before j begins */
static uint32_t thread_of[OPS];

/* The trace need not be valid: only its pages and threads matter. */
static struct trace random_trace(uint64_t *seed, uint32_t threads)
{
	uint64_t brk = MM_ADDR_MIN;

	for (size_t i = 0; i < OPS; i++) {
		uint64_t page = test_random_below(seed, PAGES),
			 pages = 1 + test_random_below(seed, PAGES - page);
		struct trace_op *op = &ops[i];

		*op = (struct trace_op){ .thread = (uint32_t)test_random_below(seed, threads),
					 .addr = MM_ADDR_MIN + page * MM_PAGE_SIZE };
		switch (test_random_below(seed, 12)) {
		case 0:
			op->kind = TRACE_MREMAP;
			op->length = MM_PAGE_SIZE;
			op->new_addr = MM_ADDR_MIN + test_random_below(seed, PAGES) * MM_PAGE_SIZE;
			op->new_length = MM_PAGE_SIZE;
			break;
		case 1:
			op->kind = TRACE_BRK;
			op->new_length = brk;
			op->new_addr = brk =
				MM_ADDR_MIN + test_random_below(seed, PAGES * MM_PAGE_SIZE);
			break;
		case 2:
		case 3:
			op->kind = TRACE_MUNMAP;
			op->length = pages * MM_PAGE_SIZE;
			break;
		default:
			op->kind = TRACE_WRITE;
			break;
		}
	}
	return (struct trace){ "", MM_ADDR_MIN, threads, OPS, ops };
}

static bool conflict(const struct trace_op *a, const struct trace_op *b)
{
	struct trace_pages x[2], y[2];
	unsigned int n = trace_op_pages(a, x), m = trace_op_pages(b, y);

	if (trace_is_fault(a) && trace_is_fault(b))
		return false;
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < m; k++)
			if (x[i].start < y[k].end && y[k].start < x[i].end)
				return true;
	return false;
}

static void fill_threads(const struct schedule *schedule)
{
	for (uint32_t t = 0; t < schedule->threads; t++)
		for (uint32_t k = schedule->first_op[t]; k < schedule->first_op[t + 1]; k++)
			thread_of[schedule->order[k]] = t;
}

/* The operation that a dependency waits for. */
static uint32_t op_of(const struct schedule *schedule, const struct dependency *on)
{
	return schedule->order[schedule->first_op[on->thread] + on->count - 1];
}

static void come_before(uint32_t i, uint32_t j)
{
	before[i][j] = true;
	for (uint32_t k = 0; k < i; k++)
		before[k][j] = before[k][j] || before[k][i];
}

/* All operations before j by the order of its thread, and by its dependencies but one. */
static void close_without(const struct schedule *schedule, uint32_t j, uint32_t left_out)
{
	for (uint32_t i = 0; i < j; i++)
		before[i][j] = false;
	for (uint32_t i = 0; i < j; i++)
		if (thread_of[i] == thread_of[j])
			come_before(i, j);
	for (uint32_t d = schedule->first_dependency[j]; d < schedule->first_dependency[j + 1]; d++)
		if (d != left_out)
			come_before(op_of(schedule, &schedule->dependencies[d]), j);
}

static void check_dependencies(const struct schedule *schedule, uint32_t j)
{
	for (uint32_t d = schedule->first_dependency[j]; d < schedule->first_dependency[j + 1];
	     d++) {
		uint32_t i = op_of(schedule, &schedule->dependencies[d]);

		CHECK(i < j && thread_of[i] != thread_of[j]);
		CHECK(conflict(&ops[i], &ops[j]));
		CHECK(schedule->awaited[i]);
		close_without(schedule, j, d);
		CHECK(!before[i][j]); /* the others do not imply it */
	}
	close_without(schedule, j, UINT32_MAX);
	for (uint32_t i = 0; i < j; i++)
		if (conflict(&ops[i], &ops[j]))
			CHECK(before[i][j]);
}

/* The last change of a fault's page, + 1. */
static uint32_t epoch_of(uint32_t j)
{
	for (uint32_t i = j; i-- > 0;)
		if (conflict(&ops[i], &ops[j]))
			return i + 1;
	return 0;
}

static void check_schedule(const struct trace *trace, uint32_t threads)
{
	struct schedule schedule;

	CHECK_EQ(schedule_create(&schedule, trace, threads), 0);
	memset(before, 0, sizeof before);
	fill_threads(&schedule);
	for (uint32_t j = 0; j < OPS; j++) {
		check_dependencies(&schedule, j);
		if (trace_is_fault(&ops[j]))
			CHECK_EQ(schedule.epoch[j], epoch_of(j));
	}
	for (uint32_t t = 0; t < schedule.threads; t++)
		for (uint32_t k = schedule.first_op[t] + 1; k < schedule.first_op[t + 1]; k++)
			CHECK(schedule.order[k - 1] < schedule.order[k]);
	schedule_destroy(&schedule);
}

TEST(schedule, has_the_dependencies_that_brute_force_finds)
{
	uint64_t seed = test_seed("schedule");

	for (int round = 0; round < 60; round++) {
		struct trace trace = random_trace(&seed, 1 + (uint32_t)test_random_below(&seed, 8));

		check_schedule(&trace, 0);
		check_schedule(&trace, 1 + (uint32_t)test_random_below(&seed, 4));
	}
}

TEST(schedule, faults_of_different_threads_on_one_page_do_not_wait)
{
	struct trace_op faults[] = {
		{ .kind = TRACE_WRITE, .addr = MM_ADDR_MIN },
		{ .kind = TRACE_WRITE, .addr = MM_ADDR_MIN, .thread = 1 },
	};
	struct trace trace = { "", 0, 2, 2, faults };
	struct schedule schedule;

	CHECK_EQ(schedule_create(&schedule, &trace, 0), 0);
	CHECK_EQ(schedule.first_dependency[2], 0);
	schedule_destroy(&schedule);
}

TEST(schedule, calls_of_brk_are_ordered_though_they_change_different_pages)
{
	struct trace_op calls[] = {
		{ .kind = TRACE_BRK, .new_length = 0x20000, .new_addr = 0x30000 },
		{ .kind = TRACE_BRK, .new_length = 0x30000, .new_addr = 0x40000, .thread = 1 },
		{ .kind = TRACE_BRK, .new_length = 0x40000, .new_addr = 0x40000, .thread = 2 },
	};
	struct trace trace = { "", 0x20000, 3, 3, calls };
	struct schedule schedule;

	CHECK_EQ(schedule_create(&schedule, &trace, 0), 0);
	CHECK_EQ(schedule.first_dependency[3], 2);
	schedule_destroy(&schedule);
}

TEST(schedule, an_empty_trace_has_one)
{
	struct trace trace = { "", 0, 1, 0, NULL };
	struct schedule schedule;

	CHECK_EQ(schedule_create(&schedule, &trace, 0), 0);
	CHECK_EQ(schedule.threads, 1);
	CHECK_EQ(schedule.first_op[1], 0);
	schedule_destroy(&schedule);
}

TEST(schedule, fewer_threads_share_the_work_evenly)
{
	static struct trace_op faults[16];
	struct trace trace = { "", 0, 4, 16, faults };
	uint32_t to[4];

	/* 8, 4, 2 and 2 operations: the busiest thread alone, the others together. */
	for (size_t i = 0; i < 16; i++)
		faults[i] = (struct trace_op){ .kind = TRACE_READ,
					       .addr = MM_ADDR_MIN,
					       .thread = i < 2    ? 0u
							 : i < 10 ? 1u
							 : i < 14 ? 2u
								  : 3u };
	CHECK_EQ(assign_threads(&trace, 2, to), 0);
	CHECK(to[0] == to[2] && to[2] == to[3] && to[1] != to[0]);
}

TEST(clocks, that_find_no_room_fall_back_on_an_older_one)
{
	struct clocks clocks;
	uint32_t elements[2] = { 1, 2 }, clock;

	CHECK_EQ(clocks_init(&clocks, 2, 2 * sizeof elements), 0);
	CHECK_EQ(clocks_add(&clocks, elements, 0, &clock), 0);
	CHECK_EQ(clock, 1);
	CHECK_EQ(clocks_get(&clocks, 1)[1], 2);
	CHECK_EQ(clocks_add(&clocks, elements, 1, &clock), 0);
	CHECK_EQ(clock, 1);
	clocks_destroy(&clocks);
}
