/* SPDX-License-Identifier: MIT */
/*
 * The view of an address space from outside: its VMAs and its statistics.
 */
#include "attach.h"
#include "frame_supply.h"
#include "page.h"
#include "room.h"
#include "tree_lock.h"
#include "vma.h"

#include <errno.h>
#include <string.h>

#define PUBLIC_FLAGS (MM_MAP_SHARED | MM_MAP_PRIVATE | MM_MAP_ANONYMOUS)

/* The next VMA that ends above addr. */
static bool find_next(struct mm *mm, struct mm__thread *thread, uint64_t addr,
		      struct mm_area *result)
{
	struct mm__mapping m;
	bool found;

	mm__tree_lock(mm);
	found = mm__vma_tree_find(&mm->vmas, addr, &m);
	if (found) {
		/*
		 * The VMA may have grown since the caller saw its first part. That part is left
		 * out.
		 */
		result->start = mm__max(m.start, addr);
		result->end = m.end;
		result->prot = mm__vma_prot(m.vma);
		result->flags = mm__vma_flags(m.vma) & PUBLIC_FLAGS;
	}
	mm__tree_unlock(mm, thread);
	return found;
}

static bool next_vma(struct mm *mm, uint64_t addr, struct mm_area *result)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__rcu_thread stand_in;
	bool registered = mm__rcu_self;
	bool found;

	/* A thread without memory to use the space can still look at it. */
	if (!registered)
		mm__rcu_begin_thread(&stand_in);
	found = find_next(mm, thread, addr, result);
	if (!registered)
		mm__rcu_end_thread(&stand_in);
	return found;
}

int mm_for_each_area(struct mm *mm, int (*visit)(const struct mm_area *vma, void *arg), void *arg)
{
	struct mm_area vma = { 0, 0, 0, 0 };

	while (next_vma(mm, vma.end, &vma)) {
		int result = visit(&vma, arg);

		if (result)
			return result;
	}
	return 0;
}

const char *mm_fallback_name(enum mm_fallback reason)
{
	static const char *const names[MM_NR_FALLBACKS] = {
		[MM_FALLBACK_NO_AREA] = "no_area",   [MM_FALLBACK_ACCESS] = "access",
		[MM_FALLBACK_CHANGING] = "changing", [MM_FALLBACK_NO_TABLE] = "no_table",
		[MM_FALLBACK_NO_FRAME] = "no_frame", [MM_FALLBACK_NO_PAGE] = "no_page",
		[MM_FALLBACK_FLUSH] = "flush",       [MM_FALLBACK_CHANGED] = "changed",
		[MM_FALLBACK_TABLE] = "table",       [MM_FALLBACK_ENTRY] = "entry",
	};

	return (unsigned int)reason < MM_NR_FALLBACKS ? names[reason] : NULL;
}

static void get_lock_stats(struct mm *mm, struct mm_stats *stats)
{
	struct range_lock_stats lock;

	range_lock_stats(&mm->range_lock, &lock);
	stats->lock_leaves = lock.leaves;
	stats->lock_splits = lock.splits;
	stats->lock_merges = lock.merges;
	stats->lock_waits = lock.waits;
}

static void get_faults(const uint64_t *events, struct mm_stats *stats)
{
	stats->faults = events[MM__SERVED_SPECULATIVE] + events[MM__SERVED_RANGED] +
			events[MM__SERVED_COARSE];
	stats->faults_present = events[MM__FAULT_PRESENT];
	stats->faults_failed = events[MM__FAULT_FAILED];
	/* Each fault is minor, present or failed. */
	stats->faults_minor = stats->faults - stats->faults_present - stats->faults_failed;
	stats->faults_speculative = events[MM__SERVED_SPECULATIVE];
	stats->faults_ranged = events[MM__SERVED_RANGED];
	stats->faults_coarse = events[MM__SERVED_COARSE];
	memcpy(stats->fallbacks, events + MM__FALLBACK, sizeof(stats->fallbacks));
	memcpy(stats->hold_times, events + MM__HOLD_TIME, sizeof(stats->hold_times));
}

static void read_stats(struct mm *mm, struct mm_stats *stats)
{
	uint64_t events[MM__NR_EVENTS];

	mm__check_copy(mm);
	/* Objects whose grace period is over count as freed. */
	mm__rcu_poll();
	stats->areas = mm__nr_vmas(mm);
	mm__events(mm, events);
	stats->pages = events[MM__PAGE_IN] - events[MM__PAGE_OUT];
	stats->tables = events[MM__TABLE_MADE] - events[MM__TABLE_FREED];
	stats->frames = mm__frames_used(mm->frames);
	get_faults(events, stats);
	get_lock_stats(mm, stats);
}

/*
 * The caller's structure may be that of an older or a newer header. Each version begins with all
 * fields of the version before.
 */
int mm_get_stats(struct mm *mm, struct mm_stats *stats, size_t size)
{
	struct mm_stats all;

	if (!size || size % sizeof(uint64_t))
		return EINVAL;
	read_stats(mm, &all);
	if (size <= sizeof(all)) {
		memcpy(stats, &all, size);
	} else {
		memcpy(stats, &all, sizeof(all));
		memset((char *)stats + sizeof(all), 0, size - sizeof(all));
	}
	return 0;
}
