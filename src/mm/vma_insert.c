/* SPDX-License-Identifier: MIT */
/*
 * Inserting a mapping into a vma_tree, and replacing one. See vma_path.h for the invariants of all
 * changes.
 */
#include "vma_edit.h"
#include "vma_erase.h"
#include "vma_path.h"
#include "vma_spares.h"

/*
 * Returns false if the border node is full, or a key has to move. The bounds need not become
 * narrower.
 */
static bool insert_in_border(struct mm__vma_tree *tree, struct path *path,
			     const struct mm__mapping *m)
{
	struct mm__vma_edit edit = mm__path_edit_border(tree, path);

	if (edit.border->node.count >= mm__full(&edit.border->node) ||
	    !mm__path_keeps_keys(path, m->start, m->end))
		return false;
	mm__border_insert(&edit, m);
	mm__border_end_change(&edit);
	return true;
}

static bool set_in_border(struct mm__vma_tree *tree, struct path *path, uint64_t start,
			  const struct mm__mapping *m)
{
	struct mm__vma_edit edit = mm__path_edit_border(tree, path);

	if (!mm__path_keeps_keys(path, m->start, m->end))
		return false;
	mm__border_set(&edit, start, m);
	mm__path_border_edited(path, &edit);
	return true;
}

void mm__vma_tree_insert(struct mm__vma_edit *edit, const struct mm__mapping *m)
{
	struct mm__vma_tree *tree = edit->tree;
	struct path path = { .levels = 0 };
	struct mm__vma_node *node, *right;
	uint64_t key = 0;
	unsigned int i;

	if (edit->border) {
		mm__border_insert(edit, m);
		return;
	}
	mm__vma_change(tree, edit->budget);
	if (!mm__root(tree)) {
		mm__path_begin(tree, &path);
	} else {
		mm__path_descend(tree, m->start, &path);
		if (insert_in_border(tree, &path, m))
			return;
	}
	node = mm__path_own(tree, &path, 0);
	mm__path_make_way(tree, &path, m->start, m->end);
	i = mm__begun(mm__border(node), m->start);
	right = mm__make_room(tree, &node, &i, &key);
	mm__border_put(mm__border(node), i, m);
	mm__path_climb(tree, &path, right, key);
	mm__path_publish(tree, &path);
}

void mm__vma_tree_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m)
{
	struct mm__vma_tree *tree = edit->tree;
	struct path path;
	struct mm__vma_node *border;

	if (edit->border) {
		mm__border_set(edit, start, m);
		return;
	}
	mm__vma_change(tree, edit->budget);
	mm__path_descend(tree, start, &path);
	if (set_in_border(tree, &path, start, m))
		return;
	border = mm__path_own(tree, &path, 0);
	mm__path_make_way(tree, &path, m->start, m->end);
	mm__border_put(mm__border(border), mm__begun(mm__border(border), start) - 1, m);
	mm__path_climb(tree, &path, NULL, 0);
	mm__path_publish(tree, &path);
}

void mm__vma_tree_clear(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	uint64_t low, high;

	if (edit->border || !mm__border_of(edit->tree, start, &low, &high))
		return;
	/*
	 * A mapping that grows over the range could leave nothing to a border node that has nothing
	 * else.
	 */
	if (end > high || (end == high && start == low))
		mm__vma_tree_remove_borders(edit, start, end);
}
