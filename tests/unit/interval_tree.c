/* SPDX-License-Identifier: MIT */
/*
 * The interval tree against brute force: an array of ranges, each with a mark that says which tree
 * contains it.
 */
#include "test.h"

#include "range_lock/interval_tree.h"

#include <stdbool.h>
#include <string.h>

enum { POOL = 96, MAX_QUEUE = 4096 };

/* Each range is in no tree (0) or in roots[where - 1], by either of its nodes. */
struct model {
	struct range__hold pool[POOL];
	int where[POOL];
	struct range__node *node[POOL];
	struct range__node *roots[2];
	uint64_t state;
};

static void set_range(struct range__hold *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	/* The tree must ignore all other fields. */
	memset(range, 0xa5, sizeof *range);
	range->start = start;
	range->end = end;
	range->mode = mode;
}

/* Inserts the range by its first node, and returns the node. */
static struct range__node *put(struct range__node **root, struct range__hold *range)
{
	range__tree_insert(root, range, 0);
	return &range->node[0];
}

static void take_out(struct range__node **root, struct range__hold *range)
{
	range__tree_erase(root, &range->node[0]);
}

/* NULL for NULL. */
static struct range__hold *hold_of(const struct range__node *node)
{
	return node ? range__hold_of(node) : NULL;
}

static struct range__hold *overlap(struct range__node *root, uint64_t start, uint64_t end,
				   bool writers_only)
{
	return hold_of(range__tree_overlap(root, start, end, writers_only));
}

static struct range__hold *first(struct range__node *root, uint64_t start, uint64_t end)
{
	return hold_of(range__tree_first(root, start, end));
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

static bool overlaps(const struct range__hold *range, uint64_t start, uint64_t end)
{
	/* Deliberately not range__overlap(): compares the last key of each, inclusive. */
	return range->start <= end - 1 && start <= range->end - 1;
}

static void check_overlap(struct model *model, int tree, uint64_t start, uint64_t end, bool writers)
{
	struct range__hold *found = overlap(model->roots[tree - 1], start, end, writers);
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

/* Whether the range is at (start, place) or later in the order. */
static bool comes_from(const struct range__hold *range, uint64_t start,
		       const struct range__hold *place)
{
	return range->start > start || (range->start == start && range >= place);
}

static void check_walk(struct model *model, int tree, uint64_t start, uint64_t end)
{
	struct range__node *node = range__tree_first(model->roots[tree - 1], start, end);
	bool seen[POOL] = { false };
	const struct range__hold *last = NULL;

	for (; node; node = range__tree_next(node, start, end)) {
		struct range__hold *found = range__hold_of(node);
		long i = found - model->pool;

		CHECK_EQ(model->where[i], tree);
		CHECK(node == model->node[i]);
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

/* The walk from the first range at (from, place) or later visits all later ranges. */
static void check_from(struct model *model, int tree, uint64_t from)
{
	struct range__hold *place = &model->pool[test_random_below(&model->state, POOL)];
	struct range__node *found =
		range__tree_from(model->roots[tree - 1], from, (uintptr_t)place);
	int expected = 0, n = 0;

	for (int i = 0; i < POOL; i++)
		expected += model->where[i] == tree && comes_from(&model->pool[i], from, place);
	for (; found; found = range__tree_next(found, 0, UINT64_MAX), n++)
		CHECK(comes_from(range__hold_of(found), from, place));
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
	model->node[i] = &model->pool[i].node[test_random_below(&model->state, 2)];
	range__tree_insert(&model->roots[tree - 1], &model->pool[i],
			   model->node[i] == &model->pool[i].node[1]);
	model->where[i] = tree;
}

static void erase(struct model *model, int i)
{
	range__tree_erase(&model->roots[model->where[i] - 1], model->node[i]);
	/* The memory is the caller's again: the tree must not read it. */
	memset(&model->pool[i], 0x5a, sizeof model->pool[i]);
	model->where[i] = 0;
}

/* Inserts a free range or erases one, in either tree, below or above the point. */
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

/* Moves the ranges at or above the point from the second tree back into the first, one by one. */
static void move_back(struct model *model)
{
	for (int i = 0; i < POOL; i++)
		if (model->where[i] == 2) {
			range__tree_erase(&model->roots[1], model->node[i]);
			range__tree_insert(&model->roots[0], &model->pool[i],
					   model->node[i] == &model->pool[i].node[1]);
			model->where[i] = 1;
		}
}

TEST(interval_tree, split_agrees_with_brute_force)
{
	static struct model model;
	unsigned int rounds = test_scale(4000);

	model.state = test_seed("interval_tree/split_agrees_with_brute_force");
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
		move_back(&model);
		CHECK(!model.roots[1]);
		check_all(&model);
	}
}

TEST(interval_tree, split_works_on_empty_and_one_sided_trees)
{
	struct range__hold both[2];
	struct range__node *root = NULL, *right = NULL;

	range__tree_split(&root, 5, &right);
	CHECK(!root && !right);

	set_range(&both[0], 5, 6, RANGE_READ);
	put(&root, &both[0]);
	range__tree_split(&root, 5, &right);
	CHECK(!root && right == &both[0].node[0]);
	CHECK(range__tree_valid(right));
	root = NULL;
	range__tree_split(&right, 6, &root);
	CHECK(right == &both[0].node[0] && !root);

	/* Equal starts, in the order of addresses. */
	set_range(&both[1], 5, 6, RANGE_WRITE);
	put(&right, &both[1]);
	CHECK(range__tree_valid(right));
	range__tree_split(&right, 5, &root);
	CHECK(!right);
	CHECK(range__tree_valid(root));
	CHECK(overlap(root, 5, 6, true) == &both[1]);
	CHECK(range__tree_from(root, 5, 0) == &both[0].node[0]);
	CHECK(range__tree_from(root, 5, (uintptr_t)&both[1]) == &both[1].node[0]);
}

/* As for a range that spans two leaves. */
TEST(interval_tree, one_range_is_in_two_trees_by_its_two_nodes)
{
	struct range__hold across, others[2];
	struct range__node *roots[2] = { NULL, NULL };

	set_range(&across, 5, 25, RANGE_WRITE);
	set_range(&others[0], 0, 1, RANGE_READ);
	set_range(&others[1], 30, 31, RANGE_READ);
	for (unsigned int i = 0; i < 2; i++) {
		put(&roots[i], &others[i]);
		range__tree_insert(&roots[i], &across, i);
	}
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(range__tree_valid(roots[i]));
		CHECK(range__tree_overlap(roots[i], 10, 11, true) == &across.node[i]);
		CHECK(range__hold_of(&across.node[i]) == &across);
	}
	across.end = 26;
	across.mode = RANGE_READ;
	for (unsigned int i = 0; i < 2; i++) {
		range__tree_update(&roots[i], &across.node[i]);
		CHECK(range__tree_valid(roots[i]));
		CHECK(!range__tree_overlap(roots[i], 10, 11, true));
		CHECK(range__tree_overlap(roots[i], 25, 26, false) == &across.node[i]);
	}
	range__tree_erase(&roots[0], &across.node[0]);
	CHECK(range__tree_valid(roots[0]) && range__tree_valid(roots[1]));
	CHECK(!overlap(roots[0], 10, 11, false));
	CHECK(overlap(roots[1], 10, 11, false) == &across);
	range__tree_erase(&roots[1], &across.node[1]);
	CHECK(!overlap(roots[1], 10, 11, false));
}

TEST(interval_tree, the_tree_distinguishes_equal_ranges)
{
	struct range__hold ranges[33];
	struct range__node *root = NULL;
	size_t n = sizeof ranges / sizeof *ranges;

	for (size_t i = 0; i < n; i++) {
		set_range(&ranges[i], 7, 9, i == 20 ? RANGE_WRITE : RANGE_READ);
		put(&root, &ranges[i]);
		CHECK(range__tree_valid(root));
	}
	CHECK(overlap(root, 0, UINT64_MAX, true) == &ranges[20]);
	take_out(&root, &ranges[20]);
	CHECK(range__tree_valid(root));
	CHECK(!range__tree_overlap(root, 0, UINT64_MAX, true));
	for (size_t i = 0; i < n; i++) {
		size_t left = 0;

		if (i != 20)
			take_out(&root, &ranges[i]);
		CHECK(range__tree_valid(root));
		for (struct range__node *r = range__tree_first(root, 7, 8); r;
		     r = range__tree_next(r, 7, 8))
			left++;
		CHECK_EQ(left, i < 20 ? n - i - 2 : n - i - 1);
	}
	CHECK(!root);
}

/* Pitfall 10: `>` for `>=` at half-open ends. */
TEST(interval_tree, adjacent_ranges_do_not_overlap)
{
	struct range__hold range;
	struct range__node *root = NULL;

	set_range(&range, 10, 20, RANGE_WRITE);
	put(&root, &range);
	CHECK(!range__tree_overlap(root, 9, 10, false));
	CHECK(!range__tree_overlap(root, 20, 21, false));
	CHECK(!range__tree_overlap(root, 9, 10, true));
	CHECK(!range__tree_overlap(root, 20, 21, true));
	CHECK(!range__tree_first(root, 0, 10));
	CHECK(!range__tree_first(root, 20, UINT64_MAX));
	CHECK(overlap(root, 9, 11, false) == &range);
	CHECK(overlap(root, 19, 20, true) == &range);
	CHECK(first(root, 0, 11) == &range);
	CHECK(first(root, 19, UINT64_MAX) == &range);
	CHECK(range__overlap(&range, 19, 20) && range__overlap(&range, 10, 11));
	CHECK(!range__overlap(&range, 20, 21) && !range__overlap(&range, 9, 10));
}

TEST(interval_tree, the_extremes_of_the_key_space_work)
{
	struct range__hold all, low, high;
	struct range__node *root = NULL;

	set_range(&all, 0, UINT64_MAX, RANGE_READ);
	set_range(&low, 0, 1, RANGE_WRITE);
	set_range(&high, UINT64_MAX - 1, UINT64_MAX, RANGE_WRITE);
	put(&root, &high);
	put(&root, &all);
	put(&root, &low);
	CHECK(range__tree_valid(root));
	CHECK(overlap(root, 0, 1, true) == &low);
	CHECK(overlap(root, UINT64_MAX - 1, UINT64_MAX, true) == &high);
	CHECK(!range__tree_overlap(root, 1, UINT64_MAX - 1, true));
	CHECK(overlap(root, 1, UINT64_MAX - 1, false) == &all);
	take_out(&root, &all);
	CHECK(!range__tree_overlap(root, 1, UINT64_MAX - 1, false));
	CHECK(first(root, 1, UINT64_MAX) == &high);
	CHECK(first(root, 0, UINT64_MAX) == &low);
	CHECK(hold_of(range__tree_next(&low.node[0], 0, UINT64_MAX)) == &high);
	CHECK(!range__tree_next(&high.node[0], 0, UINT64_MAX));
}

/*
 * The tree must find a long range that starts far to the left of many short ones, and must forget
 * it once it is erased.
 */
TEST(interval_tree, the_greatest_ends_follow_every_change)
{
	static struct range__hold ranges[MAX_QUEUE];
	struct range__node *root = NULL;
	int n = (int)test_scale(MAX_QUEUE);

	for (int i = 0; i < n; i++) {
		uint64_t start = (uint64_t)i * 2;

		set_range(&ranges[i], start, i % 64 ? start + 1 : start + 1000, RANGE_WRITE);
		put(&root, &ranges[i]);
	}
	CHECK(range__tree_valid(root));
	for (int i = 0; i < n; i += 64) {
		uint64_t gap = (uint64_t)i * 2 + 63;

		CHECK(range__tree_overlap(root, gap, gap + 1, true));
		take_out(&root, &ranges[i]);
		CHECK(range__tree_valid(root));
		/* The long ones before it are erased already. */
		CHECK(!range__tree_overlap(root, gap, gap + 1, false));
	}
}

static struct range__node *three(struct range__hold ranges[3])
{
	struct range__node *root = NULL;

	for (unsigned int i = 0; i < 3; i++) {
		set_range(&ranges[i], i * 10, i * 10 + 5, i ? RANGE_READ : RANGE_WRITE);
		put(&root, &ranges[i]);
	}
	CHECK(range__tree_valid(root));
	CHECK(root == &ranges[1].node[0]);
	return root;
}

TEST(interval_tree, the_validator_sees_every_kind_of_damage)
{
	struct range__hold ranges[3];
	struct range__node *root;

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
	ranges[0].node[0].parent = &ranges[2].node[0];
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	root->parent = &ranges[0].node[0];
	CHECK(!range__tree_valid(root));
	root = three(ranges);
	root->height++;
	CHECK(!range__tree_valid(root));
}
