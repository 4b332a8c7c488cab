/* SPDX-License-Identifier: MIT */
/* What can be told from the counters of an address space. */
#ifndef REPLAY_REPLAY_STATS_H
#define REPLAY_REPLAY_STATS_H

#include <mmrange/mm.h>

/* Leaves in *stats what has happened since before; what is now stays. */
void stats_since(struct mm_stats *stats, const struct mm_stats *before);

/*
 * Faults that fell back for no other reason than that there was no page table yet are left out:
 * nothing can be installed in a table that does not exist.
 */
uint64_t stats_in_tables(const struct mm_stats *stats);

/*
 * The share of those that was served without a lock:
 *
 *	faults_speculative / (faults - fallbacks[MM_FALLBACK_NO_TABLE])
 *
 * 0 if there were none.
 */
double stats_speculative_share(const struct mm_stats *stats);

/*
 * What so many per cent of the holds of the VMA tree lock did not exceed, in nanoseconds, rounded up
 * to what is counted apart; 0 if there were none.
 */
uint64_t stats_hold_time(const struct mm_stats *stats, unsigned int per_cent);

#endif
