/* SPDX-License-Identifier: MIT */
/*
 * pages - what operations do to all the pages of a range. Frames lose their reference only when no
 * TLB has them any more: entries are changed, or locked to be changed, then the threads that may have them
 * are stopped to flush them, then the frames are dropped.
 *
 * None of it in an RCU read section, or with a lock below the range lock held.
 */
#ifndef MM_PAGES_H
#define MM_PAGES_H

#include "page_table.h"

struct mm;

/* Takes all pages of [start, end) out. */
void mm__pages_zap(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end);

/*
 * Makes the pages that are present in [start, end) allow no more than what prot allows; what more
 * it allows than before, faults find out.
 */
void mm__pages_protect(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end, int prot);

/* Tables that stay although they may be empty. */
struct mm__pins {
	uint64_t *table; /* an address in each */
	unsigned int count;
	unsigned int size;
};

/*
 * Moves all pages of [from, from + length) to [to, to + length), where there are none, while nobody
 * can fault at either place. None is seen at the new place as long as one is at the old. prepare makes and pins the tables that this needs, so that it cannot
 * fail: 0 or ENOMEM. It may be called again; what it has pinned is for mm__pages_unpin() in any case.
 */
int mm__pages_prepare_move(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins, uint64_t from,
			   uint64_t to, uint64_t length);
void mm__pages_move(struct mm *mm, struct mm__thread *thread, uint64_t from, uint64_t to,
		    uint64_t length);
void mm__pages_unpin(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins);

/*
 * Maps the pages of [start, end) into the child, too, and lets neither write to them. What threads have
 * in their TLBs has to be flushed by the caller, which *set says; until then, nobody may fault there.
 * Nobody uses the child yet. 0 or ENOMEM.
 */
int mm__pages_share(struct mm *mm, struct mm__thread *child_thread, uint64_t start, uint64_t end,
		    struct mm__thread_set *set);

#endif
