/* SPDX-License-Identifier: MIT */
/*
 * The converter goes through the recording twice. The first pass uses a model that guesses exec's
 * mappings, and groups them (exec_vmas.h). The second pass maps them first. Then each operation
 * goes into the trace if the model allows it, or is counted as dropped.
 */
#include "convert.h"
#include "calls.h"
#include "vma_model.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct converter {
	const struct recording *recording;
	bool guessing; /* the first pass */
	struct vma_model model;
	bool *done;        /* by record: the system call already has its place */
	size_t *in_flight; /* enters with an exit still to come */
	size_t in_flight_count;
	size_t in_flight_capacity;
	struct span_map threads; /* from tid to the number in the trace */
	struct trace *trace;
	size_t capacity;
	struct drops *drops;
	struct conversion *conversion;
};

static void drop(struct converter *c, enum drop reason, unsigned int kind)
{
	if (!c->guessing)
		c->drops->count[reason][kind]++;
}

/* The thread's number in the trace, or TRACE_MAX_THREADS if there are that many already. */
static int thread_number(struct converter *c, uint32_t tid, uint32_t *number)
{
	const struct span *span = span_map_find(&c->threads, tid);

	*number = span ? (uint32_t)span->value : c->trace->threads;
	if (span || *number == TRACE_MAX_THREADS)
		return 0;
	if (span_map_set(&c->threads, tid, (uint64_t)tid + 1, *number))
		return ENOMEM;
	c->trace->threads++;
	return 0;
}

/* Puts an operation into the trace; the first pass has no trace. */
static int emit(struct converter *c, uint32_t tid, struct trace_op op)
{
	struct trace *trace = c->trace;

	if (c->guessing)
		return 0;
	if (thread_number(c, tid, &op.thread))
		return ENOMEM;
	if (trace->count == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 1024;
		struct trace_op *ops = NULL;

		if (capacity <= SIZE_MAX / sizeof *ops)
			ops = realloc(trace->ops, capacity * sizeof *ops);
		if (!ops)
			return ENOMEM;
		trace->ops = ops;
		c->capacity = capacity;
	}
	trace->ops[trace->count++] = op;
	return 0;
}

/* Gives an operation its place in the order, if it can succeed there. */
static int apply(struct converter *c, uint32_t tid, const struct trace_op *op)
{
	static const enum drop reasons[] = {
		[MODEL_UNMAPPED] = DROP_UNMAPPED,
		[MODEL_ACCESS] = DROP_ACCESS,
		[MODEL_HEAP] = DROP_HEAP,
	};
	uint32_t number;
	enum model_result result;

	if (!c->guessing && thread_number(c, tid, &number))
		return ENOMEM;
	if (!c->guessing && number == TRACE_MAX_THREADS) {
		drop(c, DROP_THREADS, op->kind);
		return 0;
	}
	result = vma_model_apply(&c->model, op);
	if (result == MODEL_NO_MEMORY)
		return ENOMEM;
	if (result == MODEL_DONE)
		return emit(c, tid, *op);
	drop(c, reasons[result], op->kind);
	return 0;
}

static int enter_flight(struct converter *c, size_t i)
{
	if (c->in_flight_count == c->in_flight_capacity) {
		size_t capacity = c->in_flight_capacity ? c->in_flight_capacity * 2 : 64;
		size_t *in_flight = realloc(c->in_flight, capacity * sizeof *in_flight);

		if (!in_flight)
			return ENOMEM;
		c->in_flight = in_flight;
		c->in_flight_capacity = capacity;
	}
	c->in_flight[c->in_flight_count++] = i;
	return 0;
}

static void leave_flight(struct converter *c, size_t i)
{
	for (size_t k = 0; k < c->in_flight_count; k++) {
		if (c->in_flight[k] == i) {
			c->in_flight[k] = c->in_flight[--c->in_flight_count];
			return;
		}
	}
}

static int apply_call(struct converter *c, size_t enter);

/*
 * Moves system calls of other threads forward that have entered, and without which op cannot have
 * happened.
 */
static int draw_forward(struct converter *c, const struct trace_op *op,
			bool (*helps)(const struct trace_op *, const struct trace_op *))
{
	for (size_t k = 0; k < c->in_flight_count; k++) {
		size_t i = c->in_flight[k];
		struct trace_op other;
		enum drop reason;
		int error;

		if (c->done[i] || !call_to_op(c->recording, i, &c->model, &other, &reason) ||
		    !helps(&other, op))
			continue;
		if (!c->guessing)
			c->conversion->early++;
		error = apply_call(c, i);
		if (error)
			return error;
	}
	return 0;
}

/* Whether an operation makes room for a mapping. */
static bool makes_room(const struct trace_op *op, const struct trace_op *mapping)
{
	uint64_t start = op->addr, end = op->addr + op->length;

	if (op->kind == TRACE_BRK && op->new_addr < op->new_length) {
		start = op->new_addr;
		end = op->new_length;
	} else if (op->kind != TRACE_MUNMAP && op->kind != TRACE_MREMAP) {
		return false;
	}
	return start < mapping->addr + mapping->length && mapping->addr < end;
}

static bool is_free(const struct converter *c, const struct trace_op *op)
{
	struct trace_pages pages[2];

	trace_op_pages(op, pages);
	return !span_map_overlaps(&c->model.vmas, pages[0].start, pages[0].end);
}

/*
 * A mapping goes to its recorded place. A place that the kernel chose was free, so it must be free
 * in the replay, too. If the model has a mapping there even so, the guess of exec's mappings was
 * too large, and the new mapping replaces the guessed one.
 */
static int prepare_mmap(struct converter *c, struct trace_op *op)
{
	int error = 0;

	if (op->flags & MM_MAP_FIXED || is_free(c, op))
		return 0;
	error = draw_forward(c, op, makes_room);
	if (!error && !is_free(c, op)) {
		op->flags ^= MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE;
		if (!c->guessing)
			c->conversion->replaced++;
	}
	return error;
}

/* Gives a system call its place in the order: here. */
static int apply_call(struct converter *c, size_t enter)
{
	const struct record *record = &c->recording->records[enter];
	enum drop reason;
	struct trace_op op;
	int error = 0;

	c->done[enter] = true;
	if (!call_to_op(c->recording, enter, &c->model, &op, &reason)) {
		drop(c, reason, drop_kind_of_syscall(record->syscall));
		return 0;
	}
	if (op.kind == TRACE_MMAP)
		error = prepare_mmap(c, &op);
	if (op.kind == TRACE_MMAP && call_maps_file(record) && !c->guessing)
		c->conversion->files++;
	return error ? error : apply(c, record->tid, &op);
}

static int take_enter(struct converter *c, size_t i)
{
	const struct record *record = &c->recording->records[i];

	if (record->partner == RECORD_ALONE) {
		drop(c, DROP_NO_EXIT, drop_kind_of_syscall(record->syscall));
		return 0;
	}
	if (record->syscall == PERF_MUNMAP || record->syscall == PERF_MADVISE)
		return apply_call(c, i);
	return enter_flight(c, i);
}

static int take_exit(struct converter *c, size_t i)
{
	size_t enter = c->recording->records[i].partner;

	if (enter == RECORD_ALONE)
		return 0;
	leave_flight(c, enter);
	return c->done[enter] ? 0 : apply_call(c, enter);
}

static int take_fault(struct converter *c, const struct record *record)
{
	struct trace_op op = { .addr = record->args[0],
			       .kind = (uint8_t)drop_kind_of_fault(record->args[1]) };
	int error;

	if (op.addr < MM_ADDR_MIN || op.addr >= MM_ADDR_MAX) {
		drop(c, DROP_RANGE, op.kind);
		return 0;
	}
	if (!vma_model_allows(&c->model, &op)) {
		error = draw_forward(c, &op, vma_model_helps);
		if (error)
			return error;
	}
	return apply(c, record->tid, &op);
}

static int take_all(struct converter *c)
{
	int error = 0;

	memset(c->done, 0, c->recording->count * sizeof *c->done);
	c->in_flight_count = 0;
	for (size_t i = 0; i < c->recording->count && !error; i++) {
		const struct record *record = &c->recording->records[i];

		if (record->type == PERF_ENTER)
			error = take_enter(c, i);
		else if (record->type == PERF_EXIT)
			error = take_exit(c, i);
		else
			error = take_fault(c, record);
	}
	return error;
}

/* The first pass: finds the mappings of exec. */
static int guess_exec_vmas(struct converter *c, struct span_map *vmas)
{
	int error;

	c->guessing = true;
	vma_model_init(&c->model, true, c->trace->brk_start);
	error = take_all(c);
	if (!error)
		error = exec_pieces_group(&c->model.pieces, &c->model.mapped, vmas);
	vma_model_destroy(&c->model);
	return error;
}

/* The second pass. Exec's mappings are operations of the program's first thread. */
static int make_trace(struct converter *c, const struct span_map *vmas)
{
	int error = 0;

	c->guessing = false;
	vma_model_init(&c->model, false, c->trace->brk_start);
	for (size_t i = 0; i < vmas->count && !error; i++) {
		const struct span *vma = &vmas->spans[i];
		struct trace_op op = {
			.addr = vma->start << MM_PAGE_SHIFT,
			.length = (vma->end - vma->start) << MM_PAGE_SHIFT,
			.flags = MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE,
			.kind = TRACE_MMAP,
			.prot = (uint8_t)vma->value,
		};

		c->conversion->exec_vmas++;
		c->conversion->exec_pages += vma->end - vma->start;
		error = apply(c, c->recording->records[0].tid, &op);
	}
	if (!error)
		error = take_all(c);
	vma_model_destroy(&c->model);
	return error;
}

int convert(const struct recording *recording, struct trace *trace, struct drops *drops,
	    struct conversion *conversion)
{
	struct converter c = {
		.recording = recording, .trace = trace, .drops = drops, .conversion = conversion
	};
	struct span_map vmas = { 0 };
	int error = ENOMEM;

	*trace = (struct trace){ .brk_start = call_brk_start(recording) };
	*conversion = (struct conversion){ 0 };
	memcpy(trace->name, recording->program, sizeof trace->name);
	c.done = malloc(recording->count * sizeof *c.done);
	if (c.done)
		error = guess_exec_vmas(&c, &vmas);
	if (!error)
		error = make_trace(&c, &vmas);
	span_map_destroy(&vmas);
	span_map_destroy(&c.threads);
	free(c.in_flight);
	free(c.done);
	if (error)
		trace_destroy(trace);
	return error;
}
