/* SPDX-License-Identifier: MIT */
/*
 * The area tree against an array that says for each key which mapping it belongs to. Keys are few,
 * so that gaps close and open all the time, and mappings are many, so that the tree has several
 * levels.
 */
#include "mm/area_node.h"
#include "mm/area_tree.h"
#include "mm/rcu.h"
#include "test.h"

#include <string.h>

#define KEYS 3000u

static struct mm__area_tree tree;
static struct mm__area_budget budget;
static struct mm__area_budget full; /* before the change */
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

/* Lists have what would be found one after the other. */
static void check_lists(uint64_t key)
{
	struct mm__area_list list = { .count = 0 };

	for (unsigned int i = 0; i < 3 * MM__AREA_LIST; i++) {
		struct mm__mapping m, found;
		bool more = mm__area_list_next(&tree, &list, key, &m);

		CHECK_EQ(more, mm__area_tree_find(&tree, key, &found));
		if (!more)
			return;
		CHECK(m.start == found.start && m.end == found.end && m.area == found.area);
		key = m.end;
	}
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
	mm__area_tree_insert(&tree, &budget, &m);
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
	mm__area_tree_set(&tree, &budget, old.start, &m);
	set_owner(&m, m.start + 1);
}

static void erase_at(uint64_t key)
{
	struct mm__mapping m = { 0, 0, NULL };

	mm__area_tree_find(&tree, key, &m);
	set_owner(&m, 0);
	mm__area_tree_erase(&tree, &budget, m.start);
}

/* Takes out all mappings around a key, up to the bounds of the outermost or somewhat beyond. */
static void erase_range_at(uint64_t key, uint64_t *seed)
{
	uint64_t start = key - test_random_below(seed, (key < 400 ? key : 400) + 1);
	uint64_t end = key + 1 + test_random_below(seed, KEYS - key < 400 ? KEYS - key : 400);
	uint64_t n = 0;

	/* None may stick out. */
	while (start && owner[start] && owner[start] == owner[start - 1])
		start--;
	while (end < KEYS && owner[end] && owner[end] == owner[end - 1])
		end++;
	for (uint64_t i = start; i < end; i++)
		n += owner[i] == i + 1;
	memset(&owner[start], 0, (end - start) * sizeof(owner[0]));
	mm__area_tree_erase_range(&tree, &budget, start, end, n);
}

/*
 * What a change has retired is enough for the budget to be full again, but for an insertion. The nodes
 * are used again: nobody reads.
 */
static void refill(struct mm__area_tree *of, const struct mm__area_needs *needs)
{
	struct mm__area_spares spares;

	memset(&spares, 0, sizeof(spares));
	mm__area_tree_reuse(&budget, needs, mm__area_tree_take_retired(of), &spares);
	mm__area_tree_refill(of, &budget, needs, &spares);
	CHECK_EQ(budget.changes, full.changes);
	CHECK(budget.nodes[0] >= full.nodes[0] && budget.nodes[1] >= full.nodes[1]);
}

static void step(uint64_t *seed, uint64_t growth)
{
	uint64_t key = test_random_below(seed, KEYS);
	bool later = test_random_below(seed, 2);
	struct mm__area_needs needs = { !later, later, KEYS };
	uint64_t before = tree.count;

	CHECK_EQ(mm__area_tree_reserve(&tree, &budget, &needs), 0);
	full = budget;
	if (!owner[key]) {
		if (test_random_below(seed, 10) < growth)
			insert_at(key, 1 + test_random_below(seed, 4));
	} else if (test_random_below(seed, 10) >= growth) {
		erase_at(key);
	} else if (test_random_below(seed, 1000) == 0) {
		erase_range_at(key, seed);
	} else if (test_random_below(seed, 4) == 0) {
		change_at(key, seed);
	}
	if (later && tree.count <= before)
		refill(&tree, &needs);
	mm__area_tree_release(&tree, &budget);
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
			uint64_t count = tree.count ? tree.count - 1 : 0;

			step(&seed, growth);
			/* Always while it is small, else now and then. */
			if (tree.count < 64 || tree.count < count)
				check_tree();
			check_find(test_random_below(&seed, KEYS + 10) % KEYS);
			if (i % 16)
				continue;
			check_lists(low);
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

/* As many mappings as give the tree four levels, of which ranges of any size go. */
#define MANY 20000u

static uint64_t erase_some(struct mm__area_tree *many, bool *present, uint64_t *seed)
{
	struct mm__area_needs needs = { .later = 1, .most = MANY };
	uint64_t size = test_random_below(seed, 2) ? MANY / 2 : 300;
	uint64_t start = test_random_below(seed, MANY);
	uint64_t end = start + 1 + test_random_below(seed, size);
	uint64_t n = 0;

	if (end > MANY)
		end = MANY;
	for (uint64_t i = start; i < end; i++)
		n += present[i];
	if (!n)
		return 0;
	memset(present + start, 0, (end - start) * sizeof(*present));
	CHECK_EQ(mm__area_tree_reserve(many, &budget, &needs), 0);
	full = budget;
	mm__area_tree_erase_range(many, &budget, start * 2, end * 2, n);
	refill(many, &needs);
	mm__area_tree_release(many, &budget);
	mm__rcu_free(mm__area_tree_take_retired(many));
	return n;
}

static void insert_some(struct mm__area_tree *many, bool *present, uint64_t *seed)
{
	struct mm__area_needs needs = { .now = 1 };
	uint64_t first = test_random_below(seed, MANY);
	uint64_t step_size = test_random_below(seed, 2) ? 1 : 7919;

	for (uint64_t n = test_random_below(seed, MANY), i = first; n--;
	     i = (i + step_size) % MANY) {
		struct mm__mapping m = { i * 2, i * 2 + 1, new_area() };

		if (present[i])
			continue;
		present[i] = true;
		CHECK_EQ(mm__area_tree_reserve(many, &budget, &needs), 0);
		mm__area_tree_insert(many, &budget, &m);
		mm__area_tree_release(many, &budget);
		mm__rcu_free(mm__area_tree_take_retired(many));
	}
}

TEST(mm_area_tree, ranges_of_any_size_can_be_erased)
{
	static struct mm__area_tree many;
	static bool present[MANY];
	uint64_t seed = test_seed("mm_area_tree_ranges");
	const char *what = "";
	uint64_t erased = 0;

	for (unsigned int i = 0; i < test_scale(400); i++) {
		struct mm__mapping m;

		if (i % 8 == 0)
			insert_some(&many, present, &seed);
		erased += erase_some(&many, present, &seed);
		if (!mm__area_tree_valid(&many, &what))
			test_fail(__FILE__, __LINE__, "%s", what);
		for (uint64_t j = 0; j < MANY; j += 1 + test_random_below(&seed, 3))
			CHECK_EQ(mm__area_tree_at(&many, j * 2, &m), present[j]);
	}
	CHECK(erased > 1000);
	mm__rcu_barrier();
	mm__area_tree_destroy(&many);
}
