/* SPDX-License-Identifier: MIT */
#ifndef MM_FAULT_H
#define MM_FAULT_H

#include "space.h"

/* mm_fault() for valid arguments. */
int mm__fault(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * The same for a page that is not in the thread's TLB: looks into the page table first, and puts
 * the entry that it found, or that the fault made, into the TLB. Another thread may flush the entry
 * at once.
 */
int mm__tlb_fill(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * For an access through this entry of the thread's TLB which found that the file does not have the
 * page any more. Fills *info and returns EFAULT. If the page was a private copy, drops the copy.
 */
int mm__file_ended(struct mm__thread *thread, uint64_t addr, uint64_t entry,
		   struct mm_siginfo *info);

/* Makes the pages of [start, end) present, up to the first that fails. */
int mm__populate(struct mm__thread *thread, uint64_t start, uint64_t end, int access);

/* The same for an operation that holds the range for writing. Grows no stack. */
void mm__populate_held(struct mm__thread *thread, uint64_t start, uint64_t end, int access);

#endif
