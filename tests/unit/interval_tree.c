/* SPDX-License-Identifier: MIT */
/*
 * The interval tree against brute force: an array of ranges, each with a mark that tells which tree
 * it is in.
 */
#include "test.h"

#include "range_lock/interval_tree.h"

#include <stdbool.h>
#include <string.h>

enum { POOL = 96, MAX_QUEUE = 4096 };

/* Each range is in no tree (0) or in roots[where - 1]. */
struct model {
	struct range_hold pool[POOL];
	int where[POOL];
	struct range_hold *roots[2];
	uint64_t state;
};

static void set_range(struct range_hold *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	/* Whatever else is in there must not matter. */
	memset(range, 0xa5, sizeof *range);
	range->start = start;
	range->end = end;
	range->mode = (uint8_t)mode;
}

/* Keys that collide often: a few small ones, and the extremes. */
static uint64_t random_key(struct model *model)
{
	switch (test_random_below(&model->state, 8)) {
	case 0:
		return test_random_below(&model->state, 3);
	case 1:
		return UINT64_MAX - test_random_below(&model->state, 3);
	default:
		return test_random_below(&model->state, 48);
	}
}

static void random_bounds(struct model *model, uint64_t *start, uint64_t *end)
{
	uint64_t a, b;

	do {
		a = random_key(model);
		b = test_random_below(&model->state, 2) ? random_key(model) : a + 1;
	} while (a == b);
	*start = a < b ? a : b;
	*end = a < b ? b : a;
}

static enum range_mode random_mode(struct model *model)
{
	return test_random_below(&model->state, 3) ? RANGE_READ : RANGE_WRITE;
}

static bool overlaps(const struct range_hold *range, uint64_t start, uint64_t end)
{
	/* On purpose not range__overlap(): the last key of each, inclusive. */
	return range->start <= end - 1 && start <= range->end - 1;
}

static void check_overlap(struct model *model, int tree, uint64_t start, uint64_t end, bool writers)
{
	struct range_hold *found = range__tree_overlap(model->roots[tree - 1], start, end, writers);
	bool expected = false;

	for (int i = 0; i < POOL; i++)
		if (model->where[i] == tree && overlaps(&model->pool[i], start, end) &&
		    (!writers || model->pool[i].mode == RANGE_WRITE))
			expected = true;
	CHECK_EQ(found != NULL, expected);
	if (!found)
		return;
	CHECK_EQ(model->where[found - model->pool], tree);
	CHECK(overlaps(found, start, end));
	CHECK(!writers || found->mode == RANGE_WRITE);
}

/* Whether the range comes, in order, at (start, place) or later. */
static bool comes_from(const struct range_hold *range, uint64_t start,
		       const struct range_hold *place)
{
	return range->start > start || (range->start == start && range >= place);
}

static void check_walk(struct model *model, int tree, uint64_t start, uint64_t end)
{
	struct range_hold *found = range__tree_first(model->roots[tree - 1], start, end);
	bool seen[POOL] = { false };
	const struct range_hold *last = NULL;

	for (; found; found = range__tree_next(found, start, end)) {
		long i = found - model->pool;

		CHECK_EQ(model->where[i], tree);
		CHECK(overlaps(found, start, end));
		CHECK(!last || comes_from(found, last->start, last));
		CHECK(!seen[i]);
		seen[i] = true;
		last = found;
	}
	for (int i = 0; i < POOL; i++)
		if (model->where[i] == tree && overlaps(&model->pool[i], start, end))
			CHECK(seen[i]);
}

/* From the first in order that comes there, or later, the walk comes to all of these. */
static void check_from(struct model *model, int tree, uint64_t from)
{
	struct range_hold *place = &model->pool[test_random_below(&model->state, POOL)];
	struct range_hold *found = range__tree_from(model->roots[tree - 1], from, (uintptr_t)place);
	int expected = 0, n = 0;

	for (int i = 0; i < POOL; i++)
		expected += model->where[i] == tree && comes_from(&model->pool[i], from, place);
	for (; found; found = range__tree_next(found, 0, UINT64_MAX), n++)
		CHECK(comes_from(found, from, place));
	CHECK_EQ(n, expected);
}

static void check_all(struct model *model)
{
	for (int tree = 1; tree <= 2; tree++) {
		uint64_t start, end;

		CHECK(range__tree_valid(model->roots[tree - 1]));
		random_bounds(model, &start, &end);
		check_overlap(model, tree, start, end, false);
		check_overlap(model, tree, start, end, true);
		check_walk(model, tree, start, end);
		check_from(model, tree, start);
	}
	check_walk(model, 1, 0, UINT64_MAX);
	check_walk(model, 2, 0, UINT64_MAX);
}

static void insert(struct model *model, int i, int tree, uint64_t start, uint64_t end)
{
	set_range(&model->pool[i], start, end, random_mode(model));
	range__tree_insert(&model->roots[tree - 1], &model->pool[i]);
	model->where[i] = tree;
}

static void erase(struct model *model, int i)
{
	range__tree_erase(&model->roots[model->where[i] - 1], &model->pool[i]);
	/* It is the caller's again: the tree must not look at it. */
	memset(&model->pool[i], 0x5a, sizeof model->pool[i]);
	model->where[i] = 0;
}

/* Inserts a free range or erases one that is in, from either tree below or above the point. */
static void random_change(struct model *model, uint64_t point, bool both)
{
	int i = (int)test_random_below(&model->state, POOL);
	uint64_t start, end;

	if (model->where[i]) {
		erase(model, i);
		return;
	}
	random_bounds(model, &start, &end);
	insert(model, i, both && start >= point ? 2 : 1, start, end);
}

TEST(interval_tree, insert_and_erase_agree_with_brute_force)
{
	static struct model model;
	unsigned int steps = test_scale(20000);

	model.state = test_seed("interval_tree/insert_and_erase_agree_with_brute_force");
	for (unsigned int i = 0; i < steps; i++) {
		random_change(&model, 0, false);
		check_all(&model);
	}
	for (int i = 0; i < POOL; i++) {
		if (model.where[i])
			erase(&model, i);
		check_all(&model);
	}
	CHECK(!model.roots[0]);
}

TEST(interval_tree, split_and_join_agree_with_brute_force)
{
	static struct model model;
	unsigned int rounds = test_scale(4000);

	model.state = test_seed("interval_tree/split_and_join_agree_with_brute_force");
	for (unsigned int round = 0; round < rounds; round++) {
		uint64_t point = random_key(&model);

		for (int i = 0; i < 8; i++)
			random_change(&model, 0, false);
		range__tree_split(&model.roots[0], point, &model.roots[1]);
		for (int i = 0; i < POOL; i++)
			if (model.where[i] && model.pool[i].start >= point)
				model.where[i] = 2;
		check_all(&model);
		for (int i = 0; i < 8; i++) {
			random_change(&model, point, true);
			check_all(&model);
		}
		range__tree_join(&model.roots[0], model.roots[1]);
		model.roots[1] = NULL;
		for (int i = 0; i < POOL; i++)
			if (model.where[i] == 2)
				model.where[i] = 1;
		check_all(&model);
	}
}

TEST(interval_tree, split_and_join_work_on_empty_and_one_sided_trees)
{
	struct range_hold both[2], *root = NULL, *right = NULL;

	range__tree_split(&root, 5, &right);
	CHECK(!root && !right);
	range__tree_join(&root, NULL);
	CHECK(!root);

	set_range(&both[0], 5, 6, RANGE_READ);
	range__tree_insert(&root, &both[0]);
	range__tree_split(&root, 5, &right);
	CHECK(!root && right == &both[0]);
	CHECK(range__tree_valid(right));
	range__tree_join(&root, right);
	CHECK(root == &both[0]);
	right = NULL;
	range__tree_split(&root, 6, &right);
	CHECK(root == &both[0] && !right);
	range__tree_join(&root, NULL);
	CHECK(root == &both[0]);

	/* Equal starts may come together from both sides, in the order of addresses. */
	set_range(&both[1], 5, 6, RANGE_WRITE);
	range__tree_insert(&right, &both[1]);
	range__tree_join(&root, right);
	CHECK(range__tree_valid(root));
	right = NULL;
	range__tree_split(&root, 5, &right);
	CHECK(!root);
	CHECK(range__tree_valid(right));
	CHECK(range__tree_overlap(right, 5, 6, true) == &both[1]);
	CHECK(range__tree_from(right, 5, 0) == &both[0]);
	CHECK(range__tree_from(right, 5, (uintptr_t)&both[1]) == &both[1]);
}

TEST(interval_tree, equal_ranges_are_kept_apart)
{
	struct range_hold ranges[33];
	struct range_hold *root = NULL;
	size_t n = sizeof ranges / sizeof *ranges;

	for (size_t i = 0; i < n; i++) {
		set_range(&ranges[i], 7, 9, i == 20 ? RANGE_WRITE : RANGE_READ);
		range__tree_insert(&root, &ranges[i]);
		CHECK(range__tree_valid(root));
	}
	CHECK(range__tree_overlap(root, 0, UINT64_MAX, true) == &ranges[20]);
	range__tree_erase(&root, &ranges[20]);
	CHECK(range__tree_valid(root));
	CHECK(!range__tree_overlap(root, 0, UINT64_MAX, true));
	for (size_t i = 0; i < n; i++) {
		size_t left = 0;

		if (i != 20)
			range__tree_erase(&root, &ranges[i]);
		CHECK(range__tree_valid(root));
		for (struct range_hold *r = range__tree_first(root, 7, 8); r;
		     r = range__tree_next(r, 7, 8))
			left++;
		CHECK_EQ(left, i < 20 ? n - i - 2 : n - i - 1);
	}
	CHECK(!root);
}

/* Pitfall 10: `>` for `>=` at half-open ends. */
TEST(interval_tree, adjacent_ranges_do_not_overlap)
{
	struct range_hold range, *root = NULL;

	set_range(&range, 10, 20, RANGE_WRITE);
	range__tree_insert(&root, &range);
	CHECK(!range__tree_overlap(root, 9, 10, false));
	CHECK(!range__tree_overlap(root, 20, 21, false));
	CHECK(!range__tree_overlap(root, 9, 10, true));
	CHECK(!range__tree_overlap(root, 20, 21, true));
	CHECK(!range__tree_first(root, 0, 10));
	CHECK(!range__tree_first(root, 20, UINT64_MAX));
	CHECK(range__tree_overlap(root, 9, 11, false) == &range);
	CHECK(range__tree_overlap(root, 19, 20, true) == &range);
	CHECK(range__tree_first(root, 0, 11) == &range);
	CHECK(range__tree_first(root, 19, UINT64_MAX) == &range);
	CHECK(range__overlap(&range, 19, 20) && range__overlap(&range, 10, 11));
	CHECK(!range__overlap(&range, 20, 21) && !range__overlap(&range, 9, 10));
}

TEST(interval_tree, the_extremes_of_the_key_space_work)
{
	struct range_hold all, low, high, *root = NULL;

	set_range(&all, 0, UINT64_MAX, RANGE_READ);
	set_range(&low, 0, 1, RANGE_WRITE);
	set_range(&high, UINT64_MAX - 1, UINT64_MAX, RANGE_WRITE);
	range__tree_insert(&root, &high);
	range__tree_insert(&root, &all);
	range__tree_insert(&root, &low);
	CHECK(range__tree_valid(root));
	CHECK(range__tree_overlap(root, 0, 1, true) == &low);
	CHECK(range__tree_overlap(root, UINT64_MAX - 1, UINT64_MAX, true) == &high);
	CHECK(!range__tree_overlap(root, 1, UINT64_MAX - 1, true));
	CHECK(range__tree_overlap(root, 1, UINT64_MAX - 1, false) == &all);
	range__tree_erase(&root, &all);
	CHECK(!range__tree_overlap(root, 1, UINT64_MAX - 1, false));
	CHECK(range__tree_first(root, 1, UINT64_MAX) == &high);
	CHECK(range__tree_first(root, 0, UINT64_MAX) == &low);
	CHECK(range__tree_next(&low, 0, UINT64_MAX) == &high);
	CHECK(!range__tree_next(&high, 0, UINT64_MAX));
}

/*
 * A long range that starts far to the left must be seen behind many short ones, and forgotten when
 * it goes.
 */
TEST(interval_tree, the_greatest_ends_follow_every_change)
{
	static struct range_hold ranges[MAX_QUEUE];
	struct range_hold *root = NULL;
	int n = (int)test_scale(MAX_QUEUE);

	for (int i = 0; i < n; i++) {
		uint64_t start = (uint64_t)i * 2;

		set_range(&ranges[i], start, i % 64 ? start + 1 : start + 1000, RANGE_WRITE);
		range__tree_insert(&root, &ranges[i]);
	}
	CHECK(range__tree_valid(root));
	for (int i = 0; i < n; i += 64) {
		uint64_t gap = (uint64_t)i * 2 + 63;

		CHECK(range__tree_overlap(root, gap, gap + 1, true));
		range__tree_erase(&root, &ranges[i]);
		CHECK(range__tree_valid(root));
		/* The long ones before it are gone already. */
		CHECK(!range__tree_overlap(root, gap, gap + 1, false));
	}
}

static struct range_hold *three(struct range_hold ranges[3])
{
	struct range_hold *root = NULL;

	for (unsigned int i = 0; i < 3; i++) {
		set_range(&ranges[i], i * 10, i * 10 + 5, i ? RANGE_READ : RANGE_WRITE);
		range__tree_insert(&root, &ranges[i]);
	}
	CHECK(range__tree_valid(root));
	CHECK(root == &ranges[1]);
	return root;
}

TEST(interval_tree, the_validator_sees_every_kind_of_damage)
{
	struct range_hold ranges[3], *root;

	root = three(ranges);
	root->max_end++;
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	root->max_write_end--;
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	ranges[2].start = 9;
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	ranges[0].parent = &ranges[2];
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	root->parent = &ranges[0];
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	root->height++;
	CHECK(!range__tree_valid(root));
}
