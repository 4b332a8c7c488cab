/* SPDX-License-Identifier: MIT */
#include "replay_stats.h"

void stats_since(struct mm_stats *stats, const struct mm_stats *before)
{
	stats->faults -= before->faults;
	stats->faults_minor -= before->faults_minor;
	stats->faults_present -= before->faults_present;
	stats->faults_failed -= before->faults_failed;
	stats->faults_speculative -= before->faults_speculative;
	stats->faults_ranged -= before->faults_ranged;
	stats->faults_coarse -= before->faults_coarse;
	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++)
		stats->fallbacks[i] -= before->fallbacks[i];
	for (unsigned int i = 0; i < MM_NR_HOLD_TIMES; i++)
		stats->hold_times[i] -= before->hold_times[i];
	stats->lock_splits -= before->lock_splits;
	stats->lock_merges -= before->lock_merges;
	stats->lock_waits -= before->lock_waits;
}

uint64_t stats_in_tables(const struct mm_stats *stats)
{
	return stats->faults - stats->fallbacks[MM_FALLBACK_NO_TABLE];
}

double stats_speculative_share(const struct mm_stats *stats)
{
	uint64_t in_tables = stats_in_tables(stats);

	return in_tables ? (double)stats->faults_speculative / (double)in_tables : 0;
}

uint64_t stats_hold_time(const struct mm_stats *stats, unsigned int per_cent)
{
	uint64_t all = 0, sum = 0;

	for (unsigned int i = 0; i < MM_NR_HOLD_TIMES; i++)
		all += stats->hold_times[i];
	for (unsigned int i = 0; i < MM_NR_HOLD_TIMES && all; i++) {
		sum += stats->hold_times[i];
		if (sum * 100 >= all * per_cent)
			return mm_hold_time_end(i);
	}
	return 0;
}
