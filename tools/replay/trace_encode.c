/* SPDX-License-Identifier: MIT */
#include "trace_coding.h"
#include "trace_format.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct buffer {
	unsigned char *data;
	size_t size;
	size_t capacity;
	bool failed; /* for want of memory; then further bytes are dropped */
};

static void put_byte(struct buffer *out, unsigned int byte)
{
	if (out->size == out->capacity) {
		size_t capacity = out->capacity ? out->capacity * 2 : 4096;
		unsigned char *data =
			capacity > out->capacity ? realloc(out->data, capacity) : NULL;

		if (!data) {
			out->failed = true;
			out->size = 0;
			return;
		}
		out->data = data;
		out->capacity = capacity;
	}
	out->data[out->size++] = (unsigned char)byte;
}

static void put_number(struct buffer *out, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		put_byte(out, (unsigned int)(number & 0x7f) | 0x80);
	put_byte(out, (unsigned int)number);
}

/* The signed distance between two numbers below 2^63. */
static void put_distance(struct buffer *out, uint64_t from, uint64_t to)
{
	put_number(out, to >= from ? (to - from) << 1 : ((from - to) << 1) - 1);
}

static void put_fault(struct buffer *out, unsigned int head, uint32_t thread,
		      const struct trace_op *op, struct trace_cursor *cursor)
{
	uint64_t page = op->addr >> MM_PAGE_SHIFT, offset = op->addr % MM_PAGE_SIZE;

	if (page == cursor->page + 1)
		head |= RECORD_NEXT_PAGE;
	if (offset == cursor->offset)
		head |= RECORD_SAME_OFFSET;
	put_byte(out, head);
	if (head & RECORD_THREAD)
		put_number(out, thread);
	if (!(head & RECORD_NEXT_PAGE))
		put_distance(out, cursor->page, page);
	if (!(head & RECORD_SAME_OFFSET))
		put_number(out, offset);
	*cursor = (struct trace_cursor){ page, offset };
}

static void put_mapping(struct buffer *out, const struct trace_op *op, struct trace_cursor *cursor)
{
	uint64_t page = op->addr >> MM_PAGE_SHIFT;

	put_distance(out, cursor->page, page);
	put_number(out, op->length >> MM_PAGE_SHIFT);
	if (op->kind == TRACE_MMAP || op->kind == TRACE_MPROTECT)
		put_number(out, op->prot);
	if (op->kind == TRACE_MMAP || op->kind == TRACE_MADVISE)
		put_number(out, op->flags);
	if (op->kind == TRACE_MREMAP) {
		put_distance(out, page, op->new_addr >> MM_PAGE_SHIFT);
		put_number(out, op->new_length >> MM_PAGE_SHIFT);
	}
	cursor->page = page;
}

static void put_op(struct buffer *out, const struct trace *trace, size_t i,
		   struct trace_cursor *cursors)
{
	const struct trace_op *op = &trace->ops[i];
	uint32_t before = i ? trace->ops[i - 1].thread : 0;
	unsigned int head = op->kind | (op->thread != before ? RECORD_THREAD : 0u);

	if (trace_is_fault(op)) {
		put_fault(out, head, op->thread, op, &cursors[op->thread]);
		return;
	}
	put_byte(out, head);
	if (head & RECORD_THREAD)
		put_number(out, op->thread);
	if (op->kind == TRACE_BRK)
		put_number(out, op->addr ? 1 + op->addr - trace->brk_start : 0);
	else
		put_mapping(out, op, &cursors[op->thread]);
}

/* Whether a reader would accept the trace, and whether its brk calls fit together. */
static bool is_valid(const struct trace *trace)
{
	uint64_t brk = trace->brk_start;
	size_t length = strlen(trace->name);

	if (trace->threads == 0 || trace->threads > TRACE_MAX_THREADS || brk % MM_PAGE_SIZE ||
	    brk >= MM_ADDR_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (trace->name[i] < ' ' || trace->name[i] > '~')
			return false;
	for (size_t i = 0; i < trace->count; i++) {
		const struct trace_op *op = &trace->ops[i];

		if (trace_op_check(trace, op))
			return false;
		if (op->kind != TRACE_BRK)
			continue;
		if (op->new_length != brk || op->new_addr != (op->addr ? op->addr : brk))
			return false;
		brk = op->new_addr;
	}
	return true;
}

int trace_encode(const struct trace *trace, unsigned char **data, size_t *size)
{
	struct buffer out = { 0 };
	struct trace_cursor *cursors;
	uint64_t sum;

	if (!is_valid(trace))
		return EINVAL;
	cursors = calloc(trace->threads, sizeof *cursors);
	if (!cursors)
		return ENOMEM;
	for (size_t i = 0; i < TRACE_MAGIC_SIZE; i++)
		put_byte(&out, (unsigned char)TRACE_MAGIC[i]);
	put_number(&out, TRACE_VERSION);
	put_number(&out, strlen(trace->name));
	for (const char *c = trace->name; *c; c++)
		put_byte(&out, (unsigned char)*c);
	put_number(&out, trace->threads);
	put_number(&out, trace->brk_start >> MM_PAGE_SHIFT);
	put_number(&out, trace->count);
	for (size_t i = 0; i < trace->count; i++)
		put_op(&out, trace, i, cursors);
	free(cursors);
	sum = trace_checksum(out.data, out.size);
	for (unsigned int i = 0; i < TRACE_CHECKSUM_SIZE; i++)
		put_byte(&out, (unsigned int)(sum >> (8 * i)) & 0xff);
	if (out.failed) {
		free(out.data);
		return ENOMEM;
	}
	*data = out.data;
	*size = out.size;
	return 0;
}
