/* SPDX-License-Identifier: MIT */
/* Figures from the counters of an address space. */
#ifndef REPLAY_REPLAY_STATS_H
#define REPLAY_REPLAY_STATS_H

#include <mmrange/mm.h>

/* Leaves in *stats the events since before; values of the present stay. */
void stats_since(struct mm_stats *stats, const struct mm_stats *before);

/*
 * The number of faults without those that fell back only because there was no page table yet: a
 * fault cannot install a page in a table that does not exist.
 */
uint64_t stats_in_tables(const struct mm_stats *stats);

/*
 * The share of these faults that were served without a lock:
 *
 *	faults_speculative / (faults - fallbacks[MM_FALLBACK_NO_TABLE])
 *
 * 0 if there were none.
 */
double stats_speculative_share(const struct mm_stats *stats);

/*
 * The time in nanoseconds that this percentage of the holds of the VMA tree lock did not exceed,
 * rounded up to the end of its interval; 0 if there were no holds.
 */
uint64_t stats_hold_time(const struct mm_stats *stats, unsigned int per_cent);

#endif
