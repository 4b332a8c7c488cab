/* SPDX-License-Identifier: MIT */
/*
 * Dividing a border node that several threads use, and joining border nodes that have become almost
 * empty.
 */
#include "vma_border.h"
#include "vma_erase.h"
#include "vma_lifetime.h"
#include "vma_path.h"
#include "vma_spares.h"

/* How long a border node stays sparse while no thread changes it. */
#define COLD_NS UINT64_C(100000000)

/* How many border nodes a look passes over in search of a sparse one. */
#define PASSED 32u

/* After a division fails, the strain for the next attempt doubles, up to this. */
#define MOST_STRAIN (UINT32_C(1) << 20)

/* Divides the border node at a key that lies inside no mapping. Both parts may stay sparse. */
static void divide_at(struct mm__vma_edit *edit, uint64_t key, uint64_t now)
{
	struct mm__vma_tree *tree = edit->tree;
	struct mm__vma_node *left, *right;
	struct path path;
	unsigned int i;

	mm__vma_change(tree, edit->budget);
	mm__path_descend(tree, key, &path);
	left = mm__path_own(tree, &path, 0);
	i = mm__begun(mm__border(left), key - 1);
	right = mm__vma_node_take(tree, 0);
	mm__border(right)->low = key;
	mm__border(right)->high = mm__border(left)->high;
	mm__border(left)->sparse = mm__border(right)->sparse = true;
	mm__border(left)->too_strained = MM__STRAIN_SPLIT;
	mm__border(left)->seen = mm__border(right)->seen = 0;
	mm__border(left)->seen_at = mm__border(right)->seen_at = now;
	if (i < left->count)
		mm__shift_right(left, right, left->count - i, &(uint64_t){ 0 });
	mm__path_climb(tree, &path, right, key);
	mm__path_publish(tree, &path);
}

static bool can_divide(const struct mm__vma_tree *tree, uint64_t key)
{
	struct mm__mapping m;
	uint64_t low, high;

	mm__border_of(tree, key, &low, &high);
	return key > low && !(mm__vma_tree_at(tree, key, &m) && m.start < key);
}

static bool too_few(const struct mm__vma_tree *tree, const struct border *border)
{
	return !border->sparse && border->node.count < mm__least(&border->node) &&
	       &border->node != mm__root(tree);
}

/* The next sparse border node, or one a few border nodes further on. *low leads to it. */
static struct border *next_sparse(struct mm__vma_tree *tree, uint64_t *low)
{
	struct border *border = NULL;

	for (unsigned int i = 0; i < PASSED && (!border || !border->sparse); i++) {
		border = mm__border_of(tree, tree->next_look, low, &tree->next_look);
		if (tree->next_look == UINT64_MAX)
			tree->next_look = 0;
	}
	return border;
}

/*
 * Ends the sparse state of the next border node if no thread has changed it for some time since a
 * look.
 */
static void look_at_next(struct mm__vma_edit *edit, uint64_t now)
{
	struct mm__vma_tree *tree = edit->tree;
	uint64_t low;
	struct border *border = next_sparse(tree, &low);
	uint64_t seq;

	mm__border_lock(tree, border);
	/* relaxed: it changes only under the lock of the border node */
	seq = atomic_load_explicit(&border->seq, memory_order_relaxed);
	if (border->seen != seq || !border->seen_at) {
		border->seen = seq;
		border->seen_at = now;
	} else if (now - border->seen_at >= COLD_NS) {
		border->sparse = false;
	}
	if (too_few(tree, border))
		mm__vma_tree_refill(edit, low);
}

/*
 * low is the key below the border node. If it is the key itself, another thread has divided there
 * already.
 */
static void divide_or_not(struct mm__vma_edit *edit, struct border *border, uint64_t key,
			  uint64_t low, uint64_t now)
{
	if (key <= low)
		return;
	/* Beside the most aligned address; or there, if one mapping ends where another begins. */
	if (can_divide(edit->tree, key))
		divide_at(edit, key, now);
	else if (can_divide(edit->tree, key + 1))
		divide_at(edit, key + 1, now);
	else if (border->too_strained < MOST_STRAIN)
		border->too_strained *= 2;
}

void mm__vma_tree_tidy(struct mm__vma_edit *edit, uint64_t addr, bool divides, uint64_t now)
{
	struct mm__vma_tree *tree = edit->tree;
	uint64_t low, high;
	struct border *border = mm__border_of(tree, addr, &low, &high);

	if (!border)
		return;
	mm__border_lock(tree, border);
	if (divides)
		divide_or_not(edit, border, addr, low, now);
	else if (too_few(tree, border))
		mm__vma_tree_refill(edit, low);
	for (unsigned int i = 1; i < MM__TIDY_CHANGES && mm__root(tree); i++)
		look_at_next(edit, now);
}
