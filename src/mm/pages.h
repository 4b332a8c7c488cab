/* SPDX-License-Identifier: MIT */
/*
 * pages - operations on all pages of a range. A frame loses the reference of its entry only when no
 * TLB has the entry any more. The operations first change the entries, or lock them to change them.
 * Then they interrupt the threads that may have the entries in their TLBs, to flush those. Then
 * they drop the frames.
 *
 * The caller is in no RCU read section, and holds no lock below the range lock.
 */
#ifndef MM_PAGES_H
#define MM_PAGES_H

#include "space.h"
#include "tlb.h"

struct mm;

/* Takes out all pages of [start, end). */
void mm__pages_zap(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end);

/*
 * Takes from the pages in [start, end) the accesses that prot does not allow. Accesses that prot
 * newly allows are left to faults.
 */
void mm__pages_protect(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end,
		       int prot);

/* Pinned tables, which stay even while they are empty. */
struct mm__pins {
	uint64_t *table; /* an address in each table */
	unsigned int count;
	unsigned int size;
};

/*
 * Moves all pages of [from, from + length) to [to, to + length), where there are none, while no
 * thread can fault at either place. No thread sees a page at the new place while any thread sees
 * one at the old place. The prepare function makes and pins the tables that the move needs, so that
 * the move cannot fail. It returns 0 or ENOMEM, and may be called again. Whatever it returns, the
 * caller passes pins to mm__pages_unpin() in the end.
 */
int mm__pages_prepare_move(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins,
			   uint64_t from, uint64_t to, uint64_t length);
void mm__pages_move(struct mm *mm, struct mm__thread *thread, uint64_t from, uint64_t to,
		    uint64_t length);
void mm__pages_unpin(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins);

/*
 * Maps the pages of [start, end) into the child, too, and removes write access from both. *set: the
 * threads whose TLBs the caller has to flush. Until the flush, no thread may fault in the range. No
 * thread uses the child yet. 0 or ENOMEM.
 */
int mm__pages_share(struct mm *mm, struct mm__thread *child_thread, uint64_t start, uint64_t end,
		    struct mm__thread_set *set);

#endif
