/* SPDX-License-Identifier: MIT */
/*
 * Erasing a range of a vma_tree: any number of mappings at the cost of one. See vma_path.h for the
 * invariants of all changes.
 *
 * Two ways lead from the root to both ends of the range. On each level, the writer removes the
 * nodes between the two ways, with their whole subtrees. It puts the slots that remain on both
 * sides, and the new nodes of the level below, into one new node, or into two if they are too many
 * for one. Above the node where the two ways part, a level may need no new node: if the level below
 * has one new node, which is full enough, that node takes its predecessor's place in a node that
 * readers see.
 *
 * New nodes that use too few slots (TREE-E) are then joined with a sibling, or take some of its
 * slots, from the top to the bottom. So their parent is always full enough to have a sibling for
 * them, and to lose a child.
 *
 * A level takes two nodes at most, and the root one: two new ones, or a new one and the copy of its
 * sibling.
 */
#include "vma_erase.h"

#include "vma_border.h"
#include "vma_edit.h"
#include "vma_lifetime.h"
#include "vma_path.h"
#include "vma_spares.h"

/* The new nodes of a level. */
struct seam {
	struct mm__vma_node *node[2];
	unsigned int count;
	uint64_t key; /* the key between the two */
};

/*
 * The slots that remain on a level: those of left before end_left, those of the seam below, those
 * of right from first_right on.
 */
struct remains {
	struct mm__vma_node *left;
	unsigned int end_left;
	struct mm__vma_node *right; /* may be the same node as left */
	unsigned int first_right;
};

struct builder {
	struct mm__vma_tree *tree;
	unsigned int level;
	unsigned int quota; /* slots for each node */
	struct seam seam;
};

/* Returns the node for the next slot, which will be its last slot, *i. */
static struct mm__vma_node *add_slot(struct builder *b, uint64_t key, unsigned int *i)
{
	struct seam *seam = &b->seam;
	struct mm__vma_node *node = seam->count ? seam->node[seam->count - 1] : NULL;

	if (!node || node->count == b->quota) {
		node = mm__vma_node_take(b->tree, b->level);
		seam->node[seam->count++] = node;
		seam->key = key;
	}
	*i = node->count++;
	return node;
}

static void add_mappings(struct builder *b, const struct border *from, unsigned int first,
			 unsigned int end)
{
	for (; first < end; first++) {
		unsigned int i;
		struct border *to = mm__border(add_slot(b, mm__border_start(from, first), &i));
		struct mm__mapping m;

		mm__border_get(from, first, &m);
		mm__border_put(to, i, &m);
	}
}

static void add_child(struct builder *b, uint64_t key, struct mm__vma_node *child,
		      const struct sum *sum)
{
	unsigned int i;
	struct interior *to = mm__interior(add_slot(b, key, &i));

	if (i)
		to->key[i - 1] = key;
	mm__set_child(&to->node, i, child);
	to->sum[i] = *sum;
}

static void add_children(struct builder *b, const struct interior *from, unsigned int first,
			 unsigned int end)
{
	for (; first < end; first++)
		add_child(b, first ? from->key[first - 1] : 0, mm__child(&from->node, first),
			  &from->sum[first]);
}

static void add_seam(struct builder *b, uint64_t key, const struct seam *below)
{
	for (unsigned int i = 0; i < below->count; i++) {
		struct sum sum = mm__node_sum(below->node[i]);

		if (b->level == 1)
			mm__border(below->node[i])->recorded = sum;
		add_child(b, i ? below->key : key, below->node[i], &sum);
	}
}

/* Retires the nodes that the remains come from, and the nodes between the two ways. */
static void retire_remains(struct mm__vma_tree *tree, const struct remains *r, bool interior)
{
	unsigned int end = r->left->count;

	if (!interior) {
		mm__vma_node_retire(tree, r->left, 0, 0);
		if (r->right != r->left)
			mm__vma_node_retire(tree, r->right, 0, 0);
		return;
	}
	if (r->right == r->left)
		end = r->first_right - 1;
	else
		mm__vma_node_retire(tree, r->right, 0, r->first_right - 1);
	mm__vma_node_retire(tree, r->left, r->end_left + 1, end);
}

/* Makes the new nodes of a level, of its remains and of the seam below. */
static void build_level(struct mm__vma_tree *tree, unsigned int level, const struct remains *r,
			struct seam *seam)
{
	unsigned int all =
		r->end_left + (level ? seam->count : 0) + (r->right->count - r->first_right);
	struct builder b = { .tree = tree, .level = level, .quota = all };

	if (all > mm__slots(r->left))
		b.quota = (all + 1) / 2;
	if (level) {
		const struct interior *left = mm__interior(r->left);

		add_children(&b, left, 0, r->end_left);
		add_seam(&b, r->end_left ? left->key[r->end_left - 1] : 0, seam);
		add_children(&b, mm__interior(r->right), r->first_right, r->right->count);
	} else {
		add_mappings(&b, mm__border(r->left), 0, r->end_left);
		add_mappings(&b, mm__border(r->right), r->first_right, r->right->count);
	}
	retire_remains(tree, r, level);
	*seam = b.seam;
}

static struct remains remains_of(struct mm__vma_tree *tree, const struct path *left,
				 const struct path *right, unsigned int level, uint64_t start,
				 uint64_t end)
{
	struct remains r = { left->node[level], left->index[level], right->node[level],
			     right->index[level] + 1 };

	if (!level) {
		mm__border_lock(tree, mm__border(r.left));
		mm__border_lock(tree, mm__border(r.right));
		r.end_left = start ? mm__begun(mm__border(r.left), start - 1) : 0;
		r.first_right = end ? mm__begun(mm__border(r.right), end - 1) : 0;
	}
	return r;
}

/*
 * The node below this level uses too few slots: joins it with a sibling, or moves some of the
 * sibling's slots to it. A joined node keeps some room, so that the next insertion does not divide
 * it again.
 */
static void refill_node(struct mm__vma_tree *tree, struct path *path, unsigned int level)
{
	struct mm__vma_node *parent = mm__path_own(tree, path, level);
	unsigned int i = path->index[level];
	unsigned int l = i ? i - 1 : 0;
	unsigned int other = i ? i - 1 : 1;
	struct mm__vma_node *left, *right;
	unsigned int all;
	uint64_t *key = &mm__interior(parent)->key[l];

	mm__set_child(parent, other, mm__vma_node_replace(tree, mm__child(parent, other)));
	left = mm__child(parent, l);
	right = mm__child(parent, l + 1);
	all = left->count + right->count;
	if (all <= mm__slots(left) / 4 * 3 + 1) {
		mm__shift_left(left, right, right->count, key);
		mm__close_slots(parent, l + 1, 1);
		mm__vma_node_give(tree, right);
		path->node[level - 1] = left;
		path->index[level] = l;
	} else {
		if (left->count < right->count)
			mm__shift_left(left, right, all / 2 - left->count, key);
		else
			mm__shift_right(left, right, all / 2 - right->count, key);
		mm__record_sum(parent, l + 1, right);
	}
	mm__record_sum(parent, l, left);
}

/* Removes a new root that has one child. */
static void drop_roots(struct mm__vma_tree *tree, struct path *path)
{
	while (path->levels > 1 && path->owned == path->levels) {
		struct mm__vma_node *root = path->node[path->levels - 1];

		if (root->count > 1)
			return;
		path->owned = --path->levels;
		path->node[path->levels - 1] = mm__child(root, 0);
		mm__vma_node_give(tree, root);
	}
}

/*
 * Refills, for [TREE-E], the new nodes that use too few slots, from the highest one down the way to
 * start. Such a node is the only new one of its level, and the way to start leads through it.
 */
static void refill_down(struct mm__vma_tree *tree, struct path *path, const bool *low,
			uint64_t start)
{
	unsigned int level;

	drop_roots(tree, path);
	for (level = path->owned; level-- > 1;) {
		struct mm__vma_node *node;

		if (level >= path->levels)
			continue;
		node = path->node[level];
		path->index[level] = mm__route(mm__interior(node), start);
		path->node[level - 1] = mm__child(node, path->index[level]);
		if (!low[level - 1])
			continue;
		refill_node(tree, path, level);
		path->index[level] = mm__route(mm__interior(node), start);
		path->node[level - 1] = mm__child(node, path->index[level]);
		drop_roots(tree, path);
	}
}

/*
 * The least number of slots for a new node. One more, if its own child may still be joined with
 * another.
 */
static unsigned int wanted_slots(const struct mm__vma_node *node, bool low_below)
{
	return mm__least(node) + (low_below ? 1 : 0);
}

/*
 * Builds the new nodes from the border nodes up. Returns the number of levels that have new nodes.
 * Sets low[] for each level whose only new node uses too few slots.
 */
static unsigned int build_up(struct mm__vma_tree *tree, struct path *left, struct path *right,
			     uint64_t start, uint64_t end, bool *low)
{
	struct seam seam = { .count = 0 };
	unsigned int level = 0;

	/* Until the two ways meet, and the node where they meet needs no other change. */
	do {
		struct remains r = remains_of(tree, left, right, level, start, end);

		build_level(tree, level, &r, &seam);
		left->node[level] = seam.count ? seam.node[0] : NULL;
		low[level] =
			seam.count == 1 &&
			seam.node[0]->count < wanted_slots(seam.node[0], level && low[level - 1]);
		level++;
	} while (level < left->levels &&
		 (seam.count != 1 || low[level - 1] || left->node[level] != right->node[level] ||
		  left->index[level] != right->index[level]));
	return level;
}

/* Erases no mapping if end is start, but refills the border node there if it has too few. */
static void erase_nodes(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	struct mm__vma_tree *tree = edit->tree;
	struct path path, right;
	bool low[MAX_LEVELS];

	mm__path_descend(tree, start, &path);
	mm__path_descend(tree, end > start ? end - 1 : start, &right);
	path.owned = build_up(tree, &path, &right, start, end, low);
	if (path.owned == path.levels && !path.node[path.levels - 1])
		path.owned = path.levels = 0;
	refill_down(tree, &path, low, start);
	/* The refilling has recorded the sums of border nodes. Those above may be out of date. */
	for (unsigned int level = path.owned < 2 ? path.owned : 2; level && level < path.levels;
	     level++) {
		if (!mm__path_update_sum(&path, level))
			break;
	}
	mm__path_publish(tree, &path);
}

void mm__vma_tree_erase_range(struct mm__vma_edit *edit, uint64_t start, uint64_t end, uint64_t n)
{
	struct mm__vma_tree *tree = edit->tree;
	struct mm__vma_edit in_place;
	struct border *border;
	struct path path;
	uint64_t low, high;

	if (edit->border) {
		mm__border_erase(edit, start, end);
		return;
	}
	mm__vma_change(tree, edit->budget);
	border = mm__border_of(tree, start, &low, &high);
	mm__border_lock(tree, border);
	if (end > high || (!border->sparse && border->node.count < n + mm__least(&border->node))) {
		erase_nodes(edit, start, end);
		return;
	}
	/* The mappings that remain are enough for a border node. */
	mm__path_descend(tree, start, &path);
	in_place = mm__path_edit_border(tree, &path);
	mm__border_erase(&in_place, start, end);
	mm__path_border_edited(&path, &in_place);
}

void mm__vma_tree_remove_borders(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	mm__vma_change(edit->tree, edit->budget);
	erase_nodes(edit, start, end);
}

void mm__vma_tree_refill(struct mm__vma_edit *edit, uint64_t addr)
{
	mm__vma_change(edit->tree, edit->budget);
	erase_nodes(edit, addr, addr);
}
