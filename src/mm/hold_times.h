/* SPDX-License-Identifier: MIT */
/* hold_times - the histogram of the times for which threads hold the VMA tree lock. */
#ifndef MM_HOLD_TIMES_H
#define MM_HOLD_TIMES_H

#include <mmrange/mm.h>

#include <stdint.h>

/* The index in hold_times[] of struct mm_stats for so many nanoseconds. */
unsigned int mm__hold_time_index(uint64_t ns);

#endif
