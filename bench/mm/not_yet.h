/* SPDX-License-Identifier: MIT */
/*
 * not_yet - what of mm.h the library does not do yet: the benchmarks that need it are left out. The
 * modes in coherence/run.sh and smoke_test.sh go with it.
 */
#ifndef BENCH_MM_NOT_YET_H
#define BENCH_MM_NOT_YET_H

#define MM_HAS_SPECULATIVE 0 /* MM_LOCKING_SPECULATIVE */
#define MM_HAS_FILES       0 /* mm_mmap() of a file */
#define MM_HAS_COARSE      0 /* mm_write_lock() */
#define MM_HAS_HOLD_TIMES  0 /* mm_hold_time_end() */

#endif
