/* SPDX-License-Identifier: MIT */
/*
 * The area tree against an array that says for each key which area it belongs to. Keys are few, so
 * that gaps close and open all the time, and areas are many, so that the tree has several levels.
 */
#include "mm/area_tree.h"
#include "test.h"

#include <string.h>

#define KEYS 3000u

static struct mm__area_tree tree;
static uint64_t owner[KEYS]; /* the start of the area, plus 1; 0: free */

static void check_find(uint64_t key)
{
	const struct mm__area *area = mm__area_tree_find(&tree, key);
	uint64_t i = key;

	while (i < KEYS && !owner[i])
		i++;
	if (i == KEYS) {
		CHECK(!area);
		return;
	}
	CHECK(area);
	CHECK_EQ(area->start, owner[i] - 1);
	CHECK_EQ(area->offset, area->start * 2);
	CHECK(area->start == i || i == key);
	CHECK(owner[area->end - 1] == owner[i] &&
	      (area->end == KEYS || owner[area->end] != owner[i]));
}

static void check_gap(uint64_t length, uint64_t low, uint64_t high)
{
	uint64_t addr = 0;
	bool found = mm__area_tree_highest_gap(&tree, length, low, high, &addr);
	uint64_t run = 0;

	for (uint64_t i = high; i-- > low && run < length;) {
		run = owner[i] ? 0 : run + 1;
		if (run == length) {
			CHECK(found);
			CHECK_EQ(addr, i);
		}
	}
	CHECK_EQ(found, run == length);
}

static void set_owner(uint64_t start, uint64_t end, uint64_t value)
{
	for (uint64_t i = start; i < end; i++)
		owner[i] = value;
}

static void insert_at(uint64_t key, uint64_t length)
{
	struct mm__area area = { .start = key, .end = key, .offset = key * 2 };

	while (area.end < KEYS && area.end < key + length && !owner[area.end])
		area.end++;
	if (area.end == key)
		return;
	CHECK_EQ(mm__area_tree_reserve(&tree, 1), 0);
	mm__area_tree_insert(&tree, &area);
	set_owner(area.start, area.end, area.start + 1);
}

/* Gives the area of a key new bounds, anywhere between its neighbours. */
static void change_at(uint64_t key, uint64_t *seed)
{
	const struct mm__area *old = mm__area_tree_find(&tree, key);
	uint64_t lo = old->start, hi = old->end;
	struct mm__area area = *old;

	while (lo && !owner[lo - 1])
		lo--;
	while (hi < KEYS && !owner[hi])
		hi++;
	set_owner(old->start, old->end, 0);
	area.start = lo + test_random_below(seed, hi - lo);
	area.end = area.start + 1 + test_random_below(seed, hi - area.start);
	area.offset = area.start * 2;
	mm__area_tree_change(&tree, old->start, &area);
	set_owner(area.start, area.end, area.start + 1);
}

static void step(uint64_t *seed, uint64_t growth)
{
	uint64_t key = test_random_below(seed, KEYS);
	uint64_t start;

	if (!owner[key]) {
		if (test_random_below(seed, 10) < growth)
			insert_at(key, 1 + test_random_below(seed, 4));
		return;
	}
	if (test_random_below(seed, 10) >= growth) {
		start = owner[key] - 1;
		set_owner(start, mm__area_tree_find(&tree, key)->end, 0);
		mm__area_tree_erase(&tree, start);
	} else if (test_random_below(seed, 4) == 0) {
		change_at(key, seed);
	}
}

TEST(mm_area_tree, random_changes_leave_it_as_an_array_would_be)
{
	uint64_t seed = test_seed("mm_area_tree_random");

	for (unsigned int round = 0; round < 30; round++) {
		/* Grow, hold, shrink. */
		uint64_t growth = round % 3 == 0 ? 9 : round % 3 == 1 ? 5 : 1;

		for (unsigned int i = 0; i < test_scale(60000); i++) {
			uint64_t low = test_random_below(&seed, KEYS);

			step(&seed, growth);
			check_find(test_random_below(&seed, KEYS + 10) % KEYS);
			if (i % 16)
				continue;
			check_gap(1 + test_random_below(&seed, 40), 0, KEYS);
			check_gap(1 + test_random_below(&seed, 10), low,
				  low + 1 + test_random_below(&seed, KEYS - low));
			if (i % 256 == 0) {
				const char *what = "";

				if (!mm__area_tree_valid(&tree, &what))
					test_fail(__FILE__, __LINE__, "%s", what);
			}
		}
	}
	mm__area_tree_destroy(&tree);
}
