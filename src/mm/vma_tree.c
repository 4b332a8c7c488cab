/* SPDX-License-Identifier: MIT */
/*
 * Changing a tree with its lock. vma_node.h describes the nodes, vma_border.c how a border node
 * changes in place. If a change moves no key, and no mapping to another border node, the writer
 * makes it in the border node itself, whose lock it takes, too. For any other change the writer
 * copies the nodes to change, from the border node up to the highest one. It publishes all copies
 * by one store: into the parent of the highest, or into the root.
 *
 * Invariants, for all threads:
 *
 *	TREE-A  The level and the keys of an interior node that readers can reach never change.
 *	TREE-B  A mapping lies between the keys between which its border node lies. So one way leads
 *	        from a node to the mapping at an address, by keys alone. If a mapping would cross
 *	        the key between two border nodes, the writer moves that key, in a copy of the node
 *	        that has it and of all nodes below it on the way to the border node.
 *	TREE-C  A mapping moves to another border node, or a node to another parent, only in copies:
 *	        of both border nodes or parents, of all nodes between them and their lowest common
 *	        ancestor, and of that ancestor.
 *	TREE-D  A node that was replaced never changes again. It is not freed while a thread that
 *	        may have found it is in a read section.
 *
 * Invariants for a writer with the lock, between changes:
 *
 *	TREE-E  Each node but the root uses at least a third of its slots. Border nodes may use
 *	        fewer if they are marked as sparse, or if an edit in place has emptied them and
 *	        mm__vma_tree_tidy() has not seen them yet. A root that is no border node has at
 *	        least two children.
 *	TREE-F  The sum of a slot bounds the mappings below it: the first mapping begins at lo or
 *	        below, the last one ends at hi or above, and each free stretch is no longer than
 *	        gap, or lies below lo, or lies above hi. If lo is above hi, there may be no mapping.
 *	        A border node also records its bounds itself, so that an edit in place keeps to
 *	        them.
 *
 * Why a reader misses no mapping that exists during the whole search: let a node be on the way to
 * an address, with the mapping there below it. By TREE-A and TREE-B the reader goes on to the right
 * child. While the node is part of the tree, the mapping stays below the same slot, by TREE-C. So
 * the mapping is below the child that the reader loads. If the node has been replaced, by TREE-D
 * the reader loads a child of the time of the replacement. That child had the mapping then. It
 * keeps the mapping as long as it is part of the tree elsewhere, by TREE-C, and after that, by
 * TREE-D. A border node has the mapping in each state that a reader may see of it, because an edit
 * in place is one step for readers.
 *
 *	what is written first             release             acquire             then read
 *	a private node and all below it   [TREE-W1] a child   [TREE-R1] a child   that node
 *	the same                          [TREE-W2] the root  [TREE-R2] the root  that node
 *	a VMA, by the caller              BORDER-L5,          BORDER-L2,          through m->vma
 *	                                  TREE-W1, TREE-W2    TREE-R1, TREE-R2
 *
 * rcu.h guarantees that no reader looks at a node when it is freed. The counts of spares and levels
 * are hints for a thread that looks without the lock, so they are relaxed.
 */
#include "vma_path.h"

/* How long a border node stays sparse while no thread changes it. */
#define COLD_NS UINT64_C(100000000)

/* How many border nodes a look passes over in search of a sparse one. */
#define PASSED 32u

/* After a division fails, the strain for the next attempt doubles, up to this. */
#define MOST_STRAIN (UINT32_C(1) << 20)

void mm__path_descend(const struct mm__vma_tree *tree, uint64_t addr, struct path *path)
{
	struct mm__vma_node *node = mm__root(tree);

	path->levels = node->level + 1;
	path->owned = 0;
	path->index[0] = 0;
	for (unsigned int level = node->level; level; level--) {
		path->node[level] = node;
		path->index[level] = mm__route(mm__interior(node), addr);
		node = mm__child(node, path->index[level]);
	}
	path->node[0] = node;
}

struct mm__vma_node *mm__path_own(struct mm__vma_tree *tree, struct path *path, unsigned int level)
{
	for (; path->owned <= level; path->owned++) {
		unsigned int l = path->owned;

		path->node[l] = mm__vma_node_replace(tree, path->node[l]);
		if (l)
			mm__set_child(path->node[l], path->index[l], path->node[l - 1]);
	}
	return path->node[level];
}

void mm__path_publish(struct mm__vma_tree *tree, struct path *path)
{
	struct mm__vma_node *top = path->levels ? path->node[path->owned - 1] : NULL;

	tree->reshaped = true;
	atomic_store_explicit(&tree->levels, path->levels, memory_order_relaxed);
	if (path->owned < path->levels) {
		struct interior *parent = mm__interior(path->node[path->owned]);

		/* release [TREE-W1]: pairs with [TREE-R1] in descend() */
		atomic_store_explicit(&parent->child[path->index[path->owned]], top,
				      memory_order_release);
	} else {
		/* release [TREE-W2]: pairs with [TREE-R2] in mm__root() */
		atomic_store_explicit(&tree->root, top, memory_order_release);
	}
}

bool mm__path_update_sum(struct path *path, unsigned int level)
{
	struct sum *sum = &mm__interior(path->node[level])->sum[path->index[level]];
	struct sum old = *sum;

	mm__record_sum(path->node[level], path->index[level], path->node[level - 1]);
	return level < path->owned || old.lo != sum->lo || old.hi != sum->hi || old.gap != sum->gap;
}

void mm__put_child(struct mm__vma_node *node, unsigned int i, uint64_t key,
		   struct mm__vma_node *child)
{
	if (i)
		mm__interior(node)->key[i - 1] = key;
	mm__set_child(node, i, child);
	mm__record_sum(node, i, child);
}

/*
 * For [TREE-B]: moves the keys on both sides of the border node apart, so that [start, end) lies
 * between them. The range has nothing of another border node. Each key is in the lowest node that
 * has a slot on that side.
 */
static void make_way(struct mm__vma_tree *tree, struct path *path, uint64_t start, uint64_t end)
{
	bool below = false, above = false;

	for (unsigned int level = 1; level < path->levels && !(below && above); level++) {
		unsigned int i = path->index[level];
		const uint64_t *key = mm__interior(path->node[level])->key;

		if (i && !below) {
			below = true;
			if (key[i - 1] > start)
				mm__interior(mm__path_own(tree, path, level))->key[i - 1] = start;
		}
		key = mm__interior(path->node[level])->key;
		if (i + 1 < path->node[level]->count && !above) {
			above = true;
			if (key[i] < end)
				mm__interior(mm__path_own(tree, path, level))->key[i] = end;
		}
	}
}

/*
 * Makes room for slot *i of *node, which is private. If the node is full, moves some of its slots
 * to a new node on its right, and returns that node with the key between the two. Then *node and *i
 * are the node and the slot that have the room, never the first slot of the new node. Half of the
 * slots move. If the caller adds a slot at an end, it is likely to add more there, so the node at
 * the other side stays as full as allowed.
 */
static struct mm__vma_node *make_room(struct mm__vma_tree *tree, struct mm__vma_node **node,
				      unsigned int *i, uint64_t *key)
{
	struct mm__vma_node *left = *node;
	struct mm__vma_node *right = NULL;
	unsigned int slots = left->count;
	unsigned int keep = slots / 2;

	if (slots >= mm__full(left)) {
		if (*i == slots)
			keep = slots - mm__least(left) + 1;
		else if (*i <= (left->level ? 1u : 0u))
			keep = mm__least(left) - 1;
		right = mm__vma_node_take(tree, left->level);
		mm__shift_right(left, right, slots - keep, key);
		if (*i > keep) {
			*node = right;
			*i -= keep;
		}
	}
	mm__open_slot(*node, *i);
	return right;
}

/* Makes a new root above the old one, and above its new neighbour if there is one. */
static void add_root(struct mm__vma_tree *tree, struct path *path, uint64_t key,
		     struct mm__vma_node *right)
{
	struct mm__vma_node *root = mm__vma_node_take(tree, path->levels);

	if (right) {
		root->count = 2;
		mm__put_child(root, 0, 0, path->node[path->levels - 1]);
		mm__put_child(root, 1, key, right);
	}
	path->node[path->levels++] = root;
	path->owned = path->levels;
}

/*
 * Takes a new node, on the right of the path's border node, into the tree. right is NULL if there
 * is none.
 */
static void climb(struct mm__vma_tree *tree, struct path *path, struct mm__vma_node *right,
		  uint64_t key)
{
	for (unsigned int level = 1; level < path->levels; level++) {
		struct mm__vma_node *new = right;
		struct mm__vma_node *node;
		uint64_t new_key = key;
		unsigned int i;

		if (new)
			mm__path_own(tree, path, level);
		if (!mm__path_update_sum(path, level))
			break;
		if (!new)
			continue;
		node = path->node[level];
		i = path->index[level] + 1;
		right = make_room(tree, &node, &i, &key);
		mm__put_child(node, i, new_key, new);
	}
	if (right)
		add_root(tree, path, key, right);
}

/*
 * Whether a change with the lock moves no key and no slot to another border node, so that it may be
 * made in the border node itself. The path leads to the border node.
 */
static bool keeps_keys(const struct path *path, uint64_t start, uint64_t end)
{
	bool below = false, above = false;

	for (unsigned int level = 1; level < path->levels && !(below && above); level++) {
		unsigned int i = path->index[level];
		const uint64_t *key = mm__interior(path->node[level])->key;

		if (i && !below) {
			below = true;
			if (key[i - 1] > start)
				return false;
		}
		if (i + 1 < path->node[level]->count && !above) {
			above = true;
			if (key[i] < end)
				return false;
		}
	}
	return true;
}

struct mm__vma_edit mm__path_edit_border(struct mm__vma_tree *tree, const struct path *path)
{
	mm__border_lock(tree, mm__border(path->node[0]));
	return (struct mm__vma_edit){ .tree = tree, .border = mm__border(path->node[0]) };
}

void mm__path_border_edited(struct path *path, struct mm__vma_edit *edit)
{
	mm__border_end_change(edit);
	for (unsigned int level = 1; level < path->levels; level++) {
		if (!mm__path_update_sum(path, level))
			break;
	}
}

/*
 * Returns false if the border node is full, or a key has to move. The bounds need not become
 * narrower.
 */
static bool insert_in_border(struct mm__vma_tree *tree, struct path *path,
			     const struct mm__mapping *m)
{
	struct mm__vma_edit edit = mm__path_edit_border(tree, path);

	if (edit.border->node.count >= mm__full(&edit.border->node) ||
	    !keeps_keys(path, m->start, m->end))
		return false;
	mm__border_insert(&edit, m);
	mm__border_end_change(&edit);
	return true;
}

static bool set_in_border(struct mm__vma_tree *tree, struct path *path, uint64_t start,
			  const struct mm__mapping *m)
{
	struct mm__vma_edit edit = mm__path_edit_border(tree, path);

	if (!keeps_keys(path, m->start, m->end))
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
		add_root(tree, &path, 0, NULL);
	} else {
		mm__path_descend(tree, m->start, &path);
		if (insert_in_border(tree, &path, m))
			return;
	}
	node = mm__path_own(tree, &path, 0);
	make_way(tree, &path, m->start, m->end);
	i = mm__begun(mm__border(node), m->start);
	right = make_room(tree, &node, &i, &key);
	mm__border_put(mm__border(node), i, m);
	climb(tree, &path, right, key);
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
	make_way(tree, &path, m->start, m->end);
	mm__border_put(mm__border(border), mm__begun(mm__border(border), start) - 1, m);
	climb(tree, &path, NULL, 0);
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

/*
 * Tidying
 */

/* Divides the border node at a key that lies inside no mapping. Both parts may stay sparse. */
static void divide(struct mm__vma_edit *edit, uint64_t key, uint64_t now)
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
	climb(tree, &path, right, key);
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
		divide(edit, key, now);
	else if (can_divide(edit->tree, key + 1))
		divide(edit, key + 1, now);
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

struct mm__garbage *mm__vma_tree_take_retired(struct mm__vma_tree *tree)
{
	struct mm__garbage *retired = tree->retired;

	tree->retired = NULL;
	return retired;
}
