/* SPDX-License-Identifier: MIT */
#include "mm_calls.h"

#include <stddef.h>

enum { READ_WRITE = MM_PROT_READ | MM_PROT_WRITE };

static uint64_t end_of(const struct call *call)
{
	return call->start + call->length;
}

/* The second place of calls that need two. */
static uint64_t middle_of(const struct call *call)
{
	return call->start + call->length / 2;
}

static bool nothing(struct call *call)
{
	(void)call;
	return true;
}

static bool map_length(struct call *call, uint64_t length)
{
	uint64_t addr;

	return mm_mmap(call->mm, call->start, length, READ_WRITE,
		       MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED | call->flags, -1, 0,
		       &addr) == 0;
}

static bool map(struct call *call)
{
	return map_length(call, call->length);
}

static bool unmap(struct call *call)
{
	return mm_munmap(call->mm, call->start, call->length) == 0;
}

static bool advise(struct call *call, int advice)
{
	return mm_madvise(call->mm, call->start, call->length, advice) == 0;
}

static bool populate(struct call *call)
{
	return advise(call, MM_MADV_POPULATE_WRITE);
}

static bool discard(struct call *call)
{
	return advise(call, MM_MADV_DONTNEED);
}

static bool map_present(struct call *call)
{
	return map(call) && populate(call);
}

static bool protect(struct call *call)
{
	return mm_mprotect(call->mm, call->start, call->length, MM_PROT_READ) == 0;
}

static bool unprotect(struct call *call)
{
	return mm_mprotect(call->mm, call->start, call->length, READ_WRITE) == 0;
}

static bool fault(struct call *call)
{
	return mm_fault(call->mm, call->start, MM_PROT_WRITE, NULL) == 0;
}

static bool write_byte(struct call *call)
{
	static const char byte = 1;

	return mm_write(call->mm, call->start, &byte, 1, NULL) == 0;
}

static bool read_byte(struct call *call)
{
	char byte;

	return mm_read(call->mm, call->start, &byte, 1, NULL) == 0;
}

static bool map_half(struct call *call)
{
	return map_length(call, call->length / 2);
}

static bool resize(struct call *call, uint64_t old_length, uint64_t length)
{
	uint64_t addr;

	return mm_mremap(call->mm, call->start, old_length, length, 0, 0, &addr) == 0;
}

static bool grow(struct call *call)
{
	return resize(call, call->length / 2, call->length);
}

static bool shrink(struct call *call)
{
	return resize(call, call->length, call->length / 2);
}

static bool move_half(struct call *call, uint64_t from, uint64_t to)
{
	uint64_t half = call->length / 2;
	uint64_t addr;

	return mm_mremap(call->mm, from, half, half, MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, to,
			 &addr) == 0;
}

static bool move(struct call *call)
{
	return move_half(call, call->start, middle_of(call));
}

static bool move_back(struct call *call)
{
	return move_half(call, middle_of(call), call->start);
}

static bool map_half_present(struct call *call)
{
	return map_half(call) && fault(call);
}

static bool look(struct call *call)
{
	return mm_mincore(call->mm, call->start, call->length, call->present) == 0;
}

static bool sync_pages(struct call *call)
{
	return mm_msync(call->mm, call->start, call->length, MM_MS_ASYNC) == 0;
}

static bool lock(struct call *call)
{
	return mm_mlock(call->mm, call->start, call->length) == 0;
}

static bool unlock(struct call *call)
{
	return mm_munlock(call->mm, call->start, call->length) == 0;
}

static bool move_heap(struct call *call, uint64_t end)
{
	uint64_t result;

	return mm_brk(call->mm, end, &result) == 0 && result == end;
}

/* mm_brk() also requires that the page behind the heap is free. */
static bool grow_heap(struct call *call)
{
	return move_heap(call, end_of(call) - MM_PAGE_SIZE);
}

static bool shrink_heap(struct call *call)
{
	return move_heap(call, call->start);
}

static bool hold(struct call *call, enum range_mode mode)
{
	if (mm_lock_range(call->mm, &call->hold, call->start, end_of(call), mode) != 0)
		return false;
	mm_unlock_range(call->mm, &call->hold);
	return true;
}

static bool hold_read(struct call *call)
{
	return hold(call, RANGE_READ);
}

static bool hold_write(struct call *call)
{
	return hold(call, RANGE_WRITE);
}

#define ALL (MAPPING | PRESENCE | BYTES)

const struct function functions[] = {
	{ "mm_mmap(free)", NULL, 4, 0, 0, ALL, nothing, { nothing, map, unmap } },
	{ "mm_mmap(over)", NULL, 4, 0, 0, ALL, map, { populate, map, nothing } },
	{ "mm_munmap", NULL, 4, 0, 0, ALL, map, { populate, unmap, map } },
	{ "mm_mprotect", NULL, 4, 0, 0, MAPPING, map, { populate, protect, unprotect } },
	{ "mm_fault(absent)", NULL, 1, MAPPING, PRESENCE, 0, map, { discard, fault, nothing } },
	{ "mm_fault(present)",
	  NULL,
	  1,
	  MAPPING | PRESENCE,
	  0,
	  0,
	  map_present,
	  { nothing, fault, nothing } },
	{ "mm_write(absent)",
	  NULL,
	  1,
	  MAPPING,
	  PRESENCE,
	  BYTES,
	  map,
	  { discard, write_byte, nothing } },
	{ "mm_write(present)",
	  NULL,
	  1,
	  MAPPING | PRESENCE,
	  0,
	  BYTES,
	  map_present,
	  { nothing, write_byte, nothing } },
	{ "mm_read(present)", NULL, 1, ALL, 0, 0, map_present, { nothing, read_byte, nothing } },
	{ "mm_madvise(dontneed)",
	  NULL,
	  4,
	  MAPPING,
	  0,
	  PRESENCE | BYTES,
	  map,
	  { populate, discard, nothing } },
	{ "mm_madvise(populate)",
	  NULL,
	  4,
	  MAPPING,
	  PRESENCE,
	  0,
	  map,
	  { discard, populate, nothing } },
	{ "mm_mremap(grow)", NULL, 4, 0, 0, ALL, map_half, { nothing, grow, shrink } },
	{ "mm_mremap(move)", NULL, 4, 0, 0, ALL, map_half_present, { nothing, move, move_back } },
	{ "mm_mincore",
	  NULL,
	  4,
	  MAPPING | PRESENCE,
	  0,
	  0,
	  map_present,
	  { nothing, look, nothing } },
	{ "mm_msync", NULL, 4, MAPPING | BYTES, 0, 0, map, { nothing, sync_pages, nothing } },
	{ "mm_mlock", NULL, 4, 0, PRESENCE, MAPPING, map, { nothing, lock, unlock } },
	{ "mm_munlock", NULL, 4, 0, 0, MAPPING, map, { lock, unlock, nothing } },
	{ "mm_brk", NULL, 4, 0, 0, ALL | HEAP, nothing, { nothing, grow_heap, shrink_heap } },
	/* Each of the two also calls mm_unlock_range(). */
	{ "mm_lock_range(read)", NULL, 4, MAPPING, 0, 0, nothing, { nothing, hold_read, nothing } },
	{ "mm_lock_range(write)",
	  NULL,
	  4,
	  0,
	  0,
	  MAPPING,
	  nothing,
	  { nothing, hold_write, nothing } },
	{ .name = "mm_mmap(anywhere)", .whole = "looks for the highest gap" },
	{ .name = "mm_mremap(anywhere)", .whole = "looks for the highest gap" },
	{ .name = "mm_fork", .whole = "copies everything" },
	{ .name = "mm_validate", .whole = "checks everything" },
	{ .name = "mm_get_stats", .whole = "adds up what all threads have counted" },
	{ .name = "mm_for_each_area", .whole = "lists all VMAs" },
	{ .name = "mm_read_lock", .whole = "locks everything" },
	{ .name = "mm_write_lock", .whole = "locks everything" },
};

const unsigned int nr_functions = sizeof(functions) / sizeof(functions[0]);

bool function_maps(const struct function *function)
{
	return function->settle && function->writes & MAPPING && function->steps.call != hold_write;
}

bool functions_conflict(const struct function *a, const struct function *b, bool share_pages)
{
	unsigned int shared = share_pages ? ALL | HEAP : HEAP;
	unsigned int a_uses = a->reads | a->adds | a->writes;
	unsigned int b_uses = b->reads | b->adds | b->writes;
	unsigned int clash = (a->writes & b_uses) | (b->writes & a_uses) | (a->adds & b->reads) |
			     (b->adds & a->reads);

	return clash & shared;
}
