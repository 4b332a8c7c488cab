/* SPDX-License-Identifier: MIT */
#include "mm_reasons.h"

#include <string.h>

/* Whether the calls of the pair are these, in any order. */
static bool are(const struct pair *pair, bool (*one)(const struct function *function),
		bool (*other)(const struct function *function))
{
	return (one(pair->function[0]) && other(pair->function[1])) ||
	       (one(pair->function[1]) && other(pair->function[0]));
}

static bool any(const struct function *function)
{
	(void)function;
	return true;
}

/* Whether it puts entries into page tables, or takes them out: only what is present has one. */
static bool changes_entries(const struct function *function)
{
	static const char *const without[] = { "mm_mmap(free)", "mm_mremap(grow)", "mm_brk",
					       "mm_lock_range(write)" };
	unsigned int i;

	for (i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		if (strcmp(function->name, without[i]) == 0)
			return false;
	return function->adds || function->writes & (MAPPING | PRESENCE);
}

/* mm_write() and mm_read() of what is present find it in the thread's TLB, and look at no entry. */
static bool uses_entries(const struct function *function)
{
	return changes_entries(function) || strcmp(function->name, "mm_fault(present)") == 0 ||
	       strcmp(function->name, "mm_mincore") == 0;
}

static bool drops_frames(const struct function *function)
{
	return changes_entries(function) && function->writes & PRESENCE;
}

/* With mm_lock_range() it looks at no area, and a fault finds its area without a lock. */
static bool locks_areas(const struct function *function)
{
	return function_maps(function) || strncmp(function->name, "mm_madvise", 10) == 0 ||
	       strcmp(function->name, "mm_mincore") == 0 || strcmp(function->name, "mm_msync") == 0;
}

static bool one_page_table(const struct pair *pair)
{
	return pair->relation != FAR && pair->relation != NEAR_TABLES &&
	       pair->relation != ADJACENT_TABLES;
}

static bool share_a_table(const struct pair *pair)
{
	return one_page_table(pair) && are(pair, changes_entries, changes_entries);
}

static bool share_a_line(const struct pair *pair)
{
	return pair->relation >= OVERLAPPING && are(pair, changes_entries, uses_entries);
}

static bool both_drop_frames(const struct pair *pair)
{
	return are(pair, drops_frames, drops_frames);
}

static bool both_lock_areas(const struct pair *pair)
{
	return are(pair, locks_areas, locks_areas);
}

static bool read_a_leaf(const struct pair *pair)
{
	return are(pair, function_maps, any);
}

const struct reason reasons[] = {
	{ "one page table", "its lock is held, and its entries are counted, while one changes",
	  share_a_table },
	{ "one line of a page table", "it has eight entries: one is changed, and another one read",
	  share_a_line },
	{ "the mm lock", "areas change, and all but faults look them up, with it held",
	  both_lock_areas },
	{ "one leaf of areas",
	  "it is copied when an area in it changes, and read by faults beside it", read_a_leaf },
	{ "neighbouring frames",
	  "the counts of two frames share a line, and threads come to have one of the two each",
	  both_drop_frames },
};

const unsigned int nr_reasons = sizeof(reasons) / sizeof(reasons[0]);

unsigned int reason_of(const struct pair *pair)
{
	unsigned int i;

	for (i = 0; i < nr_reasons && !reasons[i].applies(pair); i++)
		;
	return i;
}
