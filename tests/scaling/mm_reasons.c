/* SPDX-License-Identifier: MIT */
#include "mm_reasons.h"

#include <string.h>

/* Whether one of the two calls is of one kind, and the other call of the other kind. */
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

/*
 * Whether the call installs or removes entries of page tables. Only pages that are present have
 * one.
 */
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

/* mm_write() and mm_read() find a present page in the thread's TLB, and read no entry. */
static bool uses_entries(const struct function *function)
{
	return changes_entries(function) || strcmp(function->name, "mm_fault(present)") == 0 ||
	       strcmp(function->name, "mm_mincore") == 0;
}

static bool share_a_line(const struct pair *pair)
{
	return pair->relation >= OVERLAPPING && are(pair, changes_entries, uses_entries);
}

static bool moves(const struct function *function)
{
	return strcmp(function->name, "mm_mremap(move)") == 0;
}

static bool both_move(const struct pair *pair)
{
	return pair->relation != FAR && moves(pair->function[0]) && moves(pair->function[1]);
}

static bool touch(const struct pair *pair)
{
	return pair->relation >= ADJACENT_TABLES && are(pair, function_maps, any);
}

const struct reason reasons[] = {
	{ "one line of a page table",
	  "one call changes an entry, and the other one uses that or another of the eight in the "
	  "line",
	  share_a_line },
	{ "neighbours",
	  "ranges that touch are in one border node of VMAs, as the VMAs may have to become one",
	  touch },
	{ "two moves", "each pins the tables of its target, with the lock of the table above",
	  both_move },
};

const unsigned int nr_reasons = sizeof(reasons) / sizeof(reasons[0]);

unsigned int reason_of(const struct pair *pair)
{
	unsigned int i;

	for (i = 0; i < nr_reasons && !reasons[i].applies(pair); i++)
		;
	return i;
}
