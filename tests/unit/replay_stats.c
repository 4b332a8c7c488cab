/* SPDX-License-Identifier: MIT */
#include "replay_stats.h"
#include "test.h"

#include <string.h>

TEST(replay_stats, of_faults_exclude_faults_without_a_table)
{
	struct mm_stats stats = { .faults = 1000 };

	CHECK(stats_speculative_share(&stats) == 0);
	stats.faults_speculative = 891;
	stats.faults_ranged = 109;
	stats.fallbacks[MM_FALLBACK_NO_TABLE] = 100;
	stats.fallbacks[MM_FALLBACK_NO_FRAME] = 9;
	CHECK_EQ(stats_in_tables(&stats), 900);
	CHECK(stats_speculative_share(&stats) == 0.99);
}

TEST(replay_stats, without_faults_in_tables_have_no_share)
{
	struct mm_stats stats = { .faults = 5 };

	stats.fallbacks[MM_FALLBACK_NO_TABLE] = 5;
	CHECK(stats_speculative_share(&stats) == 0);
}

TEST(replay_stats, of_hold_times_are_cut_where_so_many_per_cent_are_below)
{
	struct mm_stats stats = { 0 };

	CHECK_EQ(stats_hold_time(&stats, 99), 0);
	stats.hold_times[3] = 99;
	CHECK_EQ(stats_hold_time(&stats, 99), mm_hold_time_end(3));
	stats.hold_times[70] = 1;
	CHECK_EQ(stats_hold_time(&stats, 99), mm_hold_time_end(3));
	stats.hold_times[70] = 2;
	CHECK_EQ(stats_hold_time(&stats, 99), mm_hold_time_end(70));
	CHECK_EQ(stats_hold_time(&stats, 50), mm_hold_time_end(3));
}

TEST(replay_stats, since_another_moment_count_only_later_events)
{
	struct mm_stats before, after;

	memset(&before, 0, sizeof before);
	before.faults = before.faults_ranged = before.faults_minor = 7;
	before.fallbacks[MM_FALLBACK_ENTRY] = 3;
	before.hold_times[MM_NR_HOLD_TIMES - 1] = 2;
	before.lock_waits = 1;
	before.areas = before.pages = 50;
	after = before;
	after.faults += 4;
	after.faults_ranged += 4;
	after.fallbacks[MM_FALLBACK_ENTRY] += 5;
	after.hold_times[MM_NR_HOLD_TIMES - 1] += 6;
	after.pages = 40;
	stats_since(&after, &before);
	CHECK_EQ(after.faults, 4);
	CHECK_EQ(after.faults_ranged, 4);
	CHECK_EQ(after.faults_minor, 0);
	CHECK_EQ(after.fallbacks[MM_FALLBACK_ENTRY], 5);
	CHECK_EQ(after.hold_times[MM_NR_HOLD_TIMES - 1], 6);
	CHECK_EQ(after.lock_waits, 0);
	CHECK_EQ(after.areas, 50);
	CHECK_EQ(after.pages, 40);
}
