/* SPDX-License-Identifier: MIT */
/*
 * detector - tells a race detector what it cannot see in a library that is not instrumented:
 * ThreadSanitizer, if the program has it, and Helgrind and DRD, if the library was built where
 * Valgrind's headers are. The library looks for them once, before main(). Without one of them, the
 * only trace of all this is a branch where an operation is slow anyway.
 *
 * A detector orders threads by objects that the library names by tags. Two tags may stand for the
 * same object: then the detector may miss a race, but reports none that does not exist. Tags that
 * are close to each other need less memory than others.
 */
#ifndef PLATFORM_DETECTOR_H
#define PLATFORM_DETECTOR_H

#include "platform.h"

/* Whether a race detector watches the process: for mmrange__watched(). */
extern MMRANGE__LOCAL bool mmrange__detector_found;

static inline bool mmrange__watched(void)
{
	return __builtin_expect(mmrange__detector_found, false);
}

/* The functions below are to be called only if mmrange__watched(). */

/*
 * All that the thread has done happens before what another thread does after a later
 * mmrange__detector_acquire() with the same tag. The caller orders the two calls.
 */
void mmrange__detector_release(uint64_t tag);
void mmrange__detector_acquire(uint64_t tag);

/*
 * Between the two, the detector reports no race of the calling thread's own accesses: it does not
 * understand the order that atomic operations make, or that futex() makes.
 */
void mmrange__detector_hush(void);
void mmrange__detector_listen(void);

/*
 * The memory is the calling thread's from now on, and the detector forgets who accessed it: the
 * library gives it back to the caller.
 */
void mmrange__detector_forget(const void *memory, size_t size);

#endif
