/* SPDX-License-Identifier: MIT */
#include "vma_border.h"

/* Locks a second border node, by [BORDER-E]. */
bool mm__border_try_acquire(struct border *border)
{
	if (!mm__table_lock_try(&border->lock))
		return false;
	mm__order_take(MM__ORDER_BORDER, 0, 1);
	return true;
}

bool mm__border_is_locked(const struct mm__vma_tree *tree, const struct border *border)
{
	const struct border *locked = tree->locked;

	while (locked && locked != border)
		locked = locked->next_locked;
	return locked;
}

void mm__border_lock(struct mm__vma_tree *tree, struct border *border)
{
	if (mm__border_is_locked(tree, border))
		return;
	if (!tree->locked)
		mm__order_take(MM__ORDER_BORDER, 1, 0);
	mm__table_lock_take(&border->lock);
	border->next_locked = tree->locked;
	tree->locked = border;
}

void mm__border_forget(struct mm__vma_tree *tree, struct border *border)
{
	struct border **link = &tree->locked;

	while (*link != border)
		link = &(*link)->next_locked;
	*link = border->next_locked;
	if (!tree->locked)
		mm__order_drop(MM__ORDER_BORDER);
}

void mm__border_take_over(struct mm__vma_tree *tree, struct border *copy, struct border *border)
{
	mm__border_lock(tree, border);
	copy->sparse = border->sparse;
	copy->writer = border->writer;
	copy->low = border->low;
	copy->high = border->high;
	copy->recorded = border->recorded;
	copy->last_start = border->last_start;
	copy->last_end = border->last_end;
	copy->too_strained = border->too_strained;
	copy->seen = border->seen;
	copy->seen_at = border->seen_at;
}

void mm__border_retire(struct mm__vma_tree *tree, struct border *border)
{
	mm__border_lock(tree, border);
	border->dead = true;
}

void mm__border_set_keys(const struct mm__vma_tree *tree, struct border *border, uint64_t low,
			 uint64_t high)
{
	border->low = low;
	border->high = high;
	/* A root has no parent that bounds it. */
	if (mm__root(tree) == &border->node)
		border->recorded = mm__no_bounds;
}

/* Finds the keys of the border node by an address that leads to it. */
static void find_keys(const struct mm__vma_tree *tree, struct border *border)
{
	uint64_t inside[3] = { border->node.count ? mm__border_start(border, 0) : border->low,
			       border->low, border->high ? border->high - 1 : 0 };
	uint64_t low, high;

	for (unsigned int i = 0; i < 3; i++) {
		if (mm__border_of(tree, inside[i], &low, &high) == border) {
			mm__border_set_keys(tree, border, low, high);
			return;
		}
	}
	mm__border_set_keys(tree, border, 0, 0);
}

void mm__border_unlock_all(struct mm__vma_tree *tree)
{
	if (!tree->locked)
		return;
	for (struct border *border = tree->locked; border && tree->reshaped;
	     border = border->next_locked)
		if (!border->dead)
			find_keys(tree, border);
	tree->reshaped = false;
	mm__rcu_read_lock();
	while (tree->locked) {
		struct border *border = tree->locked;

		tree->locked = border->next_locked;
		mm__table_lock_drop(&border->lock);
	}
	mm__rcu_read_unlock();
	mm__order_drop(MM__ORDER_BORDER);
}
