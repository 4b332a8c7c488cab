/* SPDX-License-Identifier: MIT */
/*
 * The area tree against an array that says for each key which mapping it belongs to. Keys are few,
 * so that gaps close and open all the time, and mappings are many, so that the tree has several
 * levels.
 */
#include "mm/area_tree.h"
#include "mm/rcu.h"
#include "test.h"

#include <string.h>

#define KEYS 3000u

static struct mm__area_tree tree;
static uint64_t owner[KEYS];           /* the start of the mapping, plus 1; 0: free */
static struct mm__area *area_of[KEYS]; /* of the mapping that starts there */

/* The tree does not look at areas. Each change makes a new one. */
static struct mm__area *new_area(void)
{
	static uintptr_t last;

	return (struct mm__area *)++last;
}

static void check_find(uint64_t key)
{
	struct mm__mapping m, same;
	bool found = mm__area_tree_find(&tree, key, &m);
	uint64_t i = key;

	CHECK_EQ(mm__area_tree_at(&tree, key, &same), owner[key] != 0);
	while (i < KEYS && !owner[i])
		i++;
	CHECK_EQ(found, i < KEYS);
	if (!found)
		return;
	CHECK_EQ(m.start, owner[i] - 1);
	CHECK(m.area == area_of[m.start]);
	CHECK(m.start == i || i == key);
	CHECK(owner[m.end - 1] == owner[i] && (m.end == KEYS || owner[m.end] != owner[i]));
	if (i == key)
		CHECK(same.start == m.start && same.end == m.end && same.area == m.area);
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

static void check_lowest_gap(uint64_t length, uint64_t low, uint64_t high)
{
	uint64_t addr = 0;
	bool found = mm__area_tree_lowest_gap(&tree, length, low, high, &addr);
	uint64_t run = 0;

	for (uint64_t i = low; i < high && run < length; i++) {
		run = owner[i] ? 0 : run + 1;
		if (run == length) {
			CHECK(found);
			CHECK_EQ(addr, i + 1 - length);
		}
	}
	CHECK_EQ(found, run == length);
}

static void set_owner(const struct mm__mapping *m, uint64_t value)
{
	for (uint64_t i = m->start; i < m->end; i++)
		owner[i] = value;
	area_of[m->start] = m->area;
}

static void insert_at(uint64_t key, uint64_t length)
{
	struct mm__mapping m = { key, key, new_area() };

	while (m.end < KEYS && m.end < key + length && !owner[m.end])
		m.end++;
	mm__area_tree_insert(&tree, &m);
	set_owner(&m, m.start + 1);
}

/* Gives the mapping of a key new bounds, anywhere between its neighbours. */
static void change_at(uint64_t key, uint64_t *seed)
{
	struct mm__mapping old = { 0, 0, NULL }, m = { 0, 0, new_area() };
	uint64_t lo, hi;

	mm__area_tree_find(&tree, key, &old);
	lo = old.start;
	hi = old.end;
	while (lo && !owner[lo - 1])
		lo--;
	while (hi < KEYS && !owner[hi])
		hi++;
	set_owner(&old, 0);
	m.start = lo + test_random_below(seed, hi - lo);
	m.end = m.start + 1 + test_random_below(seed, hi - m.start);
	mm__area_tree_set(&tree, old.start, &m);
	set_owner(&m, m.start + 1);
}

static void erase_at(uint64_t key)
{
	struct mm__mapping m = { 0, 0, NULL };

	mm__area_tree_find(&tree, key, &m);
	set_owner(&m, 0);
	mm__area_tree_erase(&tree, m.start);
}

static void step(uint64_t *seed, uint64_t growth)
{
	uint64_t key = test_random_below(seed, KEYS);

	CHECK_EQ(mm__area_tree_reserve(&tree, 1), 0);
	if (!owner[key]) {
		if (test_random_below(seed, 10) < growth)
			insert_at(key, 1 + test_random_below(seed, 4));
	} else if (test_random_below(seed, 10) >= growth) {
		erase_at(key);
	} else if (test_random_below(seed, 4) == 0) {
		change_at(key, seed);
	}
	mm__rcu_free(mm__area_tree_take_retired(&tree));
}

static void check_tree(void)
{
	const char *what = "";

	if (!mm__area_tree_valid(&tree, &what))
		test_fail(__FILE__, __LINE__, "%s", what);
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
			/* Always while it is small, else now and then. */
			if (tree.count < 64)
				check_tree();
			check_find(test_random_below(&seed, KEYS + 10) % KEYS);
			if (i % 16)
				continue;
			check_gap(1 + test_random_below(&seed, 40), 0, KEYS);
			check_lowest_gap(1 + test_random_below(&seed, 40), low, KEYS);
			check_lowest_gap(1 + test_random_below(&seed, 10), 0, low);
			check_gap(1 + test_random_below(&seed, 10), low,
				  low + 1 + test_random_below(&seed, KEYS - low));
			if (i % 256 == 0)
				check_tree();
		}
	}
	mm__area_tree_destroy(&tree);
}
