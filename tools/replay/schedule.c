/* SPDX-License-Identifier: MIT */
#include "schedule.h"
#include "assign.h"
#include "clocks.h"
#include "recent.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The state of the walk through the trace. */
struct scheduler {
	struct schedule *schedule;
	const struct trace *trace;
	uint32_t *thread;       /* by thread of the trace: thread of the replay */
	uint32_t *sequence;     /* by operation: how many its thread has done, with this one */
	uint32_t *clock;        /* by operation: the number of its clock */
	uint32_t *done;         /* by thread: operations so far */
	uint32_t *thread_clock; /* by thread: the clock of its last operation */
	uint32_t *elements;     /* of the clock of the current operation */
	uint32_t *latest;       /* by thread: the latest operation to wait for, + 1; or 0 */
	uint32_t *candidates;   /* these operations */
	uint32_t candidate_count;
	uint32_t self; /* the thread of the current operation */
	size_t dependency_count;
	size_t dependency_capacity;
	struct clocks clocks;
	struct recent recent;
};

static uint32_t thread_of(const struct scheduler *s, uint32_t op)
{
	return s->thread[s->trace->ops[op].thread];
}

/*
 * Visits an operation that must come before the current one: of each thread, only the latest
 * counts.
 */
static void add_candidate(uint32_t op, void *arg)
{
	struct scheduler *s = arg;
	uint32_t thread = thread_of(s, op);

	if (thread != s->self && s->latest[thread] < op + 1)
		s->latest[thread] = op + 1;
}

static int descending(const void *left, const void *right)
{
	const uint32_t *a = left, *b = right;

	return (*a < *b) - (*a > *b);
}

static void collect_candidates(struct scheduler *s, const struct trace_op *op)
{
	struct trace_pages pages[2];
	unsigned int n = trace_op_pages(op, pages);
	uint32_t change;

	memset(s->latest, 0, s->schedule->threads * sizeof *s->latest);
	s->candidate_count = 0;
	if (trace_is_fault(op)) {
		change = recent_change(&s->recent, pages[0].start);
		if (change)
			add_candidate(change - 1, s);
	} else {
		for (unsigned int i = 0; i < n; i++)
			recent_visit(&s->recent, pages[i], add_candidate, s);
	}
	for (uint32_t i = 0; i < s->schedule->threads; i++)
		if (s->latest[i])
			s->candidates[s->candidate_count++] = s->latest[i] - 1;
	qsort(s->candidates, s->candidate_count, sizeof *s->candidates, descending);
}

static int add_dependency(struct scheduler *s, uint32_t on)
{
	struct schedule *schedule = s->schedule;

	if (s->dependency_count == s->dependency_capacity) {
		size_t capacity = s->dependency_capacity ? s->dependency_capacity * 2 : 1024;
		struct dependency *more = realloc(schedule->dependencies, capacity * sizeof *more);

		if (!more)
			return ENOMEM;
		schedule->dependencies = more;
		s->dependency_capacity = capacity;
	}
	schedule->dependencies[s->dependency_count++] =
		(struct dependency){ thread_of(s, on), s->sequence[on] };
	schedule->awaited[on] = true;
	return 0;
}

/* Goes from the latest candidate to the earliest: only a later one can imply an earlier one. */
static int reduce(struct scheduler *s, uint32_t op)
{
	uint32_t before = s->thread_clock[s->self];
	uint32_t threads = s->schedule->threads;
	bool changed = false;

	s->clock[op] = before;
	if (!s->candidate_count)
		return 0;
	memcpy(s->elements, clocks_get(&s->clocks, before), threads * sizeof *s->elements);
	for (uint32_t i = 0; i < s->candidate_count; i++) {
		uint32_t on = s->candidates[i], thread = thread_of(s, on);

		if (s->elements[thread] >= s->sequence[on])
			continue;
		if (add_dependency(s, on))
			return ENOMEM;
		clocks_merge(&s->clocks, s->clock[on], s->elements);
		s->elements[thread] = s->sequence[on];
		changed = true;
	}
	return changed ? clocks_add(&s->clocks, s->elements, before, &s->clock[op]) : 0;
}

static int note(struct scheduler *s, uint32_t i, const struct trace_op *op)
{
	struct trace_pages pages[2];
	unsigned int n = trace_op_pages(op, pages);
	int error = 0;

	if (trace_is_fault(op))
		recent_note_fault(&s->recent, pages[0].start, i);
	else
		for (unsigned int k = 0; k < n && !error; k++)
			error = recent_note_change(&s->recent, pages[k], i);
	return error;
}

static int schedule_op(struct scheduler *s, uint32_t i)
{
	const struct trace_op *op = &s->trace->ops[i];
	struct schedule *schedule = s->schedule;
	int error;

	s->self = thread_of(s, i);
	s->sequence[i] = ++s->done[s->self];
	schedule->first_dependency[i] = (uint32_t)s->dependency_count;
	if (trace_is_fault(op))
		schedule->epoch[i] = recent_change(&s->recent, op->addr >> MM_PAGE_SHIFT);
	collect_candidates(s, op);
	error = reduce(s, i);
	s->thread_clock[s->self] = s->clock[i];
	return error ? error : note(s, i, op);
}

/* Sorts the operations by thread, with the number of each thread's operations. */
static void fill_order(struct scheduler *s)
{
	struct schedule *schedule = s->schedule;

	for (uint32_t i = 0; i < schedule->threads; i++)
		schedule->first_op[i + 1] = schedule->first_op[i] + s->done[i];
	for (uint32_t i = 0; i < s->trace->count; i++)
		schedule->order[schedule->first_op[thread_of(s, i)] + s->sequence[i] - 1] = i;
}

static int allocate(struct scheduler *s)
{
	struct schedule *schedule = s->schedule;
	size_t ops = s->trace->count + 1, threads = (size_t)schedule->threads + 1;

	schedule->first_op = calloc(threads, sizeof *schedule->first_op);
	schedule->order = calloc(ops, sizeof *schedule->order);
	schedule->first_dependency = calloc(ops, sizeof *schedule->first_dependency);
	schedule->awaited = calloc(ops, sizeof *schedule->awaited);
	schedule->epoch = calloc(ops, sizeof *schedule->epoch);
	s->thread = calloc(s->trace->threads, sizeof *s->thread);
	s->sequence = calloc(ops, sizeof *s->sequence);
	s->clock = calloc(ops, sizeof *s->clock);
	s->done = calloc(threads, sizeof *s->done);
	s->thread_clock = calloc(threads, sizeof *s->thread_clock);
	s->elements = calloc(threads, sizeof *s->elements);
	s->latest = calloc(threads, sizeof *s->latest);
	s->candidates = calloc(threads, sizeof *s->candidates);
	if (!schedule->first_op || !schedule->order || !schedule->first_dependency ||
	    !schedule->awaited || !schedule->epoch || !s->thread || !s->sequence || !s->clock ||
	    !s->done || !s->thread_clock || !s->elements || !s->latest || !s->candidates)
		return ENOMEM;
	if (clocks_init(&s->clocks, schedule->threads, CLOCKS_MAX_BYTES))
		return ENOMEM;
	return recent_init(&s->recent, s->trace);
}

static void release(struct scheduler *s)
{
	free(s->thread);
	free(s->sequence);
	free(s->clock);
	free(s->done);
	free(s->thread_clock);
	free(s->elements);
	free(s->latest);
	free(s->candidates);
	clocks_destroy(&s->clocks);
	recent_destroy(&s->recent);
}

int schedule_create(struct schedule *schedule, const struct trace *trace, uint32_t threads)
{
	struct scheduler s = { .schedule = schedule, .trace = trace };
	int error;

	*schedule = (struct schedule){ 0 };
	schedule->threads = threads && threads < trace->threads ? threads : trace->threads;
	error = allocate(&s);
	if (!error)
		error = threads ? assign_threads(trace, schedule->threads, s.thread) : 0;
	if (!threads)
		for (uint32_t i = 0; s.thread && i < trace->threads; i++)
			s.thread[i] = i;
	for (uint32_t i = 0; i < trace->count && !error; i++)
		error = schedule_op(&s, i);
	if (!error) {
		schedule->first_dependency[trace->count] = (uint32_t)s.dependency_count;
		fill_order(&s);
	}
	release(&s);
	if (error)
		schedule_destroy(schedule);
	return error;
}

void schedule_destroy(struct schedule *schedule)
{
	free(schedule->first_op);
	free(schedule->order);
	free(schedule->first_dependency);
	free(schedule->dependencies);
	free(schedule->awaited);
	free(schedule->epoch);
	*schedule = (struct schedule){ 0 };
}
