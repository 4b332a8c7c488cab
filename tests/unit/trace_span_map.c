/* SPDX-License-Identifier: MIT */
/* The span map against an array with an element for each number. */
#include "span_map.h"
#include "test.h"

#include <string.h>

#define NUMBERS 64

static uint64_t expected[NUMBERS]; /* 0: not in the map */

static void check_same(const struct span_map *map)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct span *span = &map->spans[i];

		CHECK(span->start < span->end);
		CHECK(i == 0 || span[-1].end <= span->start);
		CHECK(i == 0 || span[-1].end < span->start || span[-1].value != span->value);
	}
	for (uint64_t n = 0; n < NUMBERS; n++) {
		const struct span *span = span_map_find(map, n);

		CHECK_EQ(span ? span->value : 0, expected[n]);
	}
}

static void check_queries(const struct span_map *map, uint64_t start, uint64_t end)
{
	bool any = false, all = true;

	for (uint64_t n = start; n < end; n++) {
		any = any || expected[n];
		all = all && expected[n];
	}
	CHECK_EQ(span_map_overlaps(map, start, end), any);
	CHECK_EQ(span_map_covers(map, start, end), all);
}

TEST(span_map, agrees_with_an_array)
{
	uint64_t seed = test_seed("span_map");
	struct span_map map = { 0 };

	for (int i = 0; i < 20000; i++) {
		uint64_t start = test_random_below(&seed, NUMBERS),
			 end = test_random_below(&seed, NUMBERS) + 1;
		uint64_t value = test_random_below(&seed, 4);

		if (start >= end)
			continue;
		CHECK_EQ(value ? span_map_set(&map, start, end, value)
			       : span_map_erase(&map, start, end),
			 0);
		for (uint64_t n = start; n < end; n++)
			expected[n] = value;
		check_same(&map);
		check_queries(&map, test_random_below(&seed, start + 1), end);
	}
	span_map_destroy(&map);
}
