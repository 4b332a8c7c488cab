/* SPDX-License-Identifier: MIT */
/*
 * The reader of trace files. The bytes may be arbitrary. The reader checks every number before it
 * uses it. It checks a count against the bytes that are left, of which each record has at least
 * one, before it allocates memory.
 */
#include "trace_coding.h"
#include "trace_format.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct decoder {
	const unsigned char *next;
	const unsigned char *end;
	struct trace *trace;
	struct trace_cursor *cursors;
	uint32_t thread;
	uint64_t brk;
	const char *fault; /* the first error; after it, all reads return 0 */
};

static void fault(struct decoder *in, const char *what)
{
	if (!in->fault)
		in->fault = what;
	in->next = in->end;
}

static unsigned int get_byte(struct decoder *in)
{
	if (in->next == in->end) {
		fault(in, "it ends too early");
		return 0;
	}
	return *in->next++;
}

static uint64_t get_number(struct decoder *in)
{
	uint64_t number = 0;

	for (unsigned int shift = 0; shift < 63; shift += 7) {
		unsigned int byte = get_byte(in);

		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return in->fault ? 0 : number;
	}
	fault(in, "a number that is too large");
	return 0;
}

/* A page or a number of pages: bounded, so that sums of two and their addresses do not overflow. */
static uint64_t get_pages(struct decoder *in)
{
	uint64_t pages = get_number(in);

	if (pages <= MM_ADDR_MAX >> MM_PAGE_SHIFT)
		return pages;
	fault(in, "an address out of range");
	return 0;
}

static uint64_t get_page_from(struct decoder *in, uint64_t from)
{
	uint64_t code = get_number(in), distance = (code >> 1) + (code & 1), page;

	page = code & 1 ? from - distance : from + distance;
	if (code & 1 ? distance <= from : page <= MM_ADDR_MAX >> MM_PAGE_SHIFT)
		return page;
	fault(in, "an address out of range");
	return 0;
}

static uint32_t get_small(struct decoder *in, uint32_t max, const char *what)
{
	uint64_t number = get_number(in);

	if (number <= max)
		return (uint32_t)number;
	fault(in, what);
	return 0;
}

static void get_fault(struct decoder *in, unsigned int head, struct trace_op *op,
		      struct trace_cursor *cursor)
{
	if (head & RECORD_NEXT_PAGE)
		cursor->page++;
	else
		cursor->page = get_page_from(in, cursor->page);
	if (!(head & RECORD_SAME_OFFSET))
		cursor->offset = get_small(in, MM_PAGE_SIZE - 1, "an offset beyond its page");
	op->addr = (cursor->page << MM_PAGE_SHIFT) + cursor->offset;
}

static void get_mapping(struct decoder *in, struct trace_op *op, struct trace_cursor *cursor)
{
	cursor->page = get_page_from(in, cursor->page);
	op->addr = cursor->page << MM_PAGE_SHIFT;
	op->length = get_pages(in) << MM_PAGE_SHIFT;
	if (op->kind == TRACE_MMAP || op->kind == TRACE_MPROTECT)
		op->prot = (uint8_t)get_small(in, 7, "a protection that does not exist");
	if (op->kind == TRACE_MMAP || op->kind == TRACE_MADVISE)
		op->flags = get_small(in, INT32_MAX, "flags that do not exist");
	if (op->kind == TRACE_MREMAP) {
		op->new_addr = get_page_from(in, cursor->page) << MM_PAGE_SHIFT;
		op->new_length = get_pages(in) << MM_PAGE_SHIFT;
	}
}

static void get_brk(struct decoder *in, struct trace_op *op)
{
	uint64_t code = get_number(in);

	if (code > MM_ADDR_MAX) {
		fault(in, "an end of the heap out of range");
		return;
	}
	op->addr = code ? in->trace->brk_start + code - 1 : 0;
	op->new_length = in->brk;
	op->new_addr = op->addr ? op->addr : in->brk;
	in->brk = op->new_addr;
}

static void get_op(struct decoder *in, struct trace_op *op)
{
	unsigned int head = get_byte(in);
	const char *wrong;

	*op = (struct trace_op){ .kind = head & RECORD_KIND };
	if (op->kind >= TRACE_KINDS)
		fault(in, "an operation of no known kind");
	if (head & RECORD_UNUSED ||
	    (!trace_is_fault(op) && head & (RECORD_NEXT_PAGE | RECORD_SAME_OFFSET)))
		fault(in, "a record with unknown bits");
	if (head & RECORD_THREAD)
		in->thread = get_small(in, in->trace->threads - 1, "a thread that does not exist");
	op->thread = in->thread;
	if (trace_is_fault(op))
		get_fault(in, head, op, &in->cursors[in->thread]);
	else if (op->kind == TRACE_BRK)
		get_brk(in, op);
	else
		get_mapping(in, op, &in->cursors[in->thread]);
	wrong = in->fault ? NULL : trace_op_check(in->trace, op);
	if (wrong)
		fault(in, wrong);
}

static void get_header(struct decoder *in)
{
	struct trace *trace = in->trace;
	uint32_t length;
	uint64_t count;

	if (get_number(in) != TRACE_VERSION)
		fault(in, "a version that this program does not know");
	length = get_small(in, TRACE_NAME_SIZE - 1, "a name that is too long");
	for (uint32_t i = 0; i < length; i++) {
		trace->name[i] = (char)get_byte(in);
		if (trace->name[i] < ' ' || trace->name[i] > '~')
			fault(in, "a name that cannot be printed");
	}
	trace->threads = get_small(in, TRACE_MAX_THREADS, "too many threads");
	if (trace->threads == 0)
		fault(in, "no threads");
	trace->brk_start = get_pages(in) << MM_PAGE_SHIFT;
	count = get_number(in);
	if (count > (uint64_t)(in->end - in->next))
		fault(in, "more operations than it has room for");
	trace->count = in->fault ? 0 : (size_t)count;
}

/* Header and operations. An error is in in->fault, or ENOMEM. */
static int get_trace(struct decoder *in)
{
	struct trace *trace = in->trace;

	get_header(in);
	if (in->fault)
		return 0;
	in->brk = trace->brk_start;
	in->cursors = calloc(trace->threads, sizeof *in->cursors);
	if (trace->count < SIZE_MAX / sizeof *trace->ops)
		trace->ops = malloc((trace->count + 1) * sizeof *trace->ops);
	if (!in->cursors || !trace->ops)
		return ENOMEM;
	for (size_t i = 0; i < trace->count && !in->fault; i++)
		get_op(in, &trace->ops[i]);
	if (in->next != in->end)
		fault(in, "bytes after its end");
	return 0;
}

static uint64_t get_checksum(const unsigned char *data)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < TRACE_CHECKSUM_SIZE; i++)
		sum |= (uint64_t)data[i] << (8 * i);
	return sum;
}

int trace_decode(struct trace *trace, const unsigned char *data, size_t size, char *message,
		 size_t message_size)
{
	struct decoder in = { .trace = trace };
	int error = 0;

	*trace = (struct trace){ 0 };
	if (size < TRACE_MAGIC_SIZE || memcmp(data, TRACE_MAGIC, TRACE_MAGIC_SIZE) != 0) {
		in.fault = "it is not a trace file";
	} else if (size < TRACE_MAGIC_SIZE + TRACE_CHECKSUM_SIZE ||
		   get_checksum(data + size - TRACE_CHECKSUM_SIZE) !=
			   trace_checksum(data, size - TRACE_CHECKSUM_SIZE)) {
		in.fault = "it is damaged or cut: its checksum is wrong";
	} else {
		in.next = data + TRACE_MAGIC_SIZE;
		in.end = data + size - TRACE_CHECKSUM_SIZE;
		error = get_trace(&in);
	}
	free(in.cursors);
	if (in.fault)
		error = EINVAL;
	if (!error)
		return 0;
	trace_destroy(trace);
	snprintf(message, message_size, "%s", in.fault ? in.fault : "no memory for it");
	return error;
}
