/* SPDX-License-Identifier: MIT */
#include "recent.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>

static int by_number(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* The index of the first page that is not below page. */
static size_t search(const struct recent *recent, uint64_t page)
{
	size_t low = 0, high = recent->page_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (recent->pages[middle] >= page)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void collect_pages(struct recent *recent, const struct trace *trace)
{
	size_t all = 0, n = 0;

	for (size_t i = 0; i < trace->count; i++)
		if (trace_is_fault(&trace->ops[i]))
			recent->pages[all++] = trace->ops[i].addr >> MM_PAGE_SHIFT;
	qsort(recent->pages, all, sizeof *recent->pages, by_number);
	for (size_t i = 0; i < all; i++)
		if (!n || recent->pages[i] != recent->pages[n - 1])
			recent->pages[n++] = recent->pages[i];
	recent->page_count = n;
}

int recent_init(struct recent *recent, const struct trace *trace)
{
	size_t n = trace->count + 1;

	*recent = (struct recent){ 0 };
	recent->pages = calloc(n, sizeof *recent->pages);
	recent->last_fault = calloc(n, sizeof *recent->last_fault);
	recent->fault_before = calloc(n, sizeof *recent->fault_before);
	recent->some = calloc(n / 64 + 1, sizeof *recent->some);
	if (!recent->pages || !recent->last_fault || !recent->fault_before || !recent->some) {
		recent_destroy(recent);
		return ENOMEM;
	}
	collect_pages(recent, trace);
	return 0;
}

void recent_destroy(struct recent *recent)
{
	span_map_destroy(&recent->changes);
	free(recent->pages);
	free(recent->last_fault);
	free(recent->fault_before);
	free(recent->some);
	*recent = (struct recent){ 0 };
}

uint32_t recent_change(const struct recent *recent, uint64_t page)
{
	const struct span *span = span_map_find(&recent->changes, page);

	return span ? (uint32_t)span->value + 1 : 0;
}

/* The next page from index i on, below end, that has faults; page_count if there is none. */
static size_t next_with_faults(const struct recent *recent, size_t i, uint64_t end)
{
	while (i < recent->page_count && recent->pages[i] < end) {
		uint64_t bits = recent->some[i / 64] >> (i % 64);

		if (bits & 1)
			return i;
		i = bits ? i + 1 : (i / 64 + 1) * 64;
	}
	return recent->page_count;
}

void recent_visit(const struct recent *recent, struct trace_pages pages,
		  void (*visit)(uint32_t op, void *arg), void *arg)
{
	size_t i = span_map_search(&recent->changes, pages.start);

	for (; i < recent->changes.count && recent->changes.spans[i].start < pages.end; i++)
		visit((uint32_t)recent->changes.spans[i].value, arg);
	for (i = next_with_faults(recent, search(recent, pages.start), pages.end);
	     i < recent->page_count; i = next_with_faults(recent, i + 1, pages.end))
		for (uint32_t fault = recent->last_fault[i]; fault;
		     fault = recent->fault_before[fault - 1])
			visit(fault - 1, arg);
}

void recent_note_fault(struct recent *recent, uint64_t page, uint32_t op)
{
	size_t i = search(recent, page);

	recent->fault_before[op] = recent->last_fault[i];
	recent->last_fault[i] = op + 1;
	recent->some[i / 64] |= UINT64_C(1) << (i % 64);
}

int recent_note_change(struct recent *recent, struct trace_pages pages, uint32_t op)
{
	size_t i = search(recent, pages.start);

	while ((i = next_with_faults(recent, i, pages.end)) < recent->page_count) {
		recent->last_fault[i] = 0;
		recent->some[i / 64] &= ~(UINT64_C(1) << (i % 64));
	}
	return span_map_set(&recent->changes, pages.start, pages.end, op);
}
