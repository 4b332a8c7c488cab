/* SPDX-License-Identifier: MIT */
/* mm_get_stats() for programs whose headers are older or newer than the library. */
#include "spaces.h"

#include <errno.h>
#include <string.h>

#define NR_COUNTERS (sizeof(struct mm_stats) / sizeof(uint64_t))
#define NR_LARGER   (NR_COUNTERS + 3)
#define UNTOUCHED   UINT64_C(0x5555555555555555)

/* The structure of a newer header. The library knows the first NR_COUNTERS counters. */
union larger {
	struct mm_stats stats;
	uint64_t counter[NR_LARGER + 1];
};

static void begin(struct mm **mm, union larger *larger)
{
	CHECK_EQ(mm_create(mm, NULL), 0);
	map_as(*mm, 0, 3, RW, PRIVATE);
	memset(larger, 0x55, sizeof(*larger));
}

TEST(mm_stats_size, a_smaller_structure_gets_its_first_counters)
{
	struct mm *mm;
	union larger whole, part;

	begin(&mm, &whole);
	CHECK_EQ(mm_get_stats(mm, &whole.stats, sizeof(whole.stats)), 0);
	CHECK_EQ(whole.stats.areas, 1);
	CHECK_EQ(whole.stats.lock_leaves, 1);
	CHECK(whole.counter[NR_COUNTERS] == UNTOUCHED);
	for (size_t n = 1; n < NR_COUNTERS; n++) {
		memset(&part, 0x55, sizeof(part));
		CHECK_EQ(mm_get_stats(mm, &part.stats, n * sizeof(uint64_t)), 0);
		CHECK_EQ(part.stats.areas, 1);
		for (size_t i = n; i < NR_COUNTERS; i++)
			CHECK(part.counter[i] == UNTOUCHED);
	}
	end_space(mm);
}

TEST(mm_stats_size, a_larger_structure_ends_in_zeroes)
{
	struct mm *mm;
	union larger larger;

	begin(&mm, &larger);
	CHECK_EQ(mm_get_stats(mm, &larger.stats, NR_LARGER * sizeof(uint64_t)), 0);
	CHECK_EQ(larger.stats.areas, 1);
	CHECK_EQ(larger.stats.lock_leaves, 1);
	for (size_t i = NR_COUNTERS; i < NR_LARGER; i++)
		CHECK_EQ(larger.counter[i], 0);
	CHECK(larger.counter[NR_LARGER] == UNTOUCHED);
	end_space(mm);
}

TEST(mm_stats_size, a_size_that_is_none_is_refused)
{
	static const size_t sizes[] = {
		0, 1, 7, 9, sizeof(struct mm_stats) - 1, sizeof(struct mm_stats) + 4
	};
	struct mm *mm;
	union larger larger;

	begin(&mm, &larger);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		CHECK_EQ(mm_get_stats(mm, &larger.stats, sizes[i]), EINVAL);
	for (size_t i = 0; i <= NR_LARGER; i++)
		CHECK(larger.counter[i] == UNTOUCHED);
	end_space(mm);
}
