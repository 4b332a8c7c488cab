/* SPDX-License-Identifier: MIT */
/*
 * vma_path - the way from the root of a vma_tree to a border node, as a writer with the VMA tree
 * lock changes it. vma_node.h describes the nodes, vma_border.h how a border node
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
#ifndef MM_VMA_PATH_H
#define MM_VMA_PATH_H

#include "vma_node.h"

/*
 * The root has two slots or more, other nodes 21: a tree with more levels has more border nodes
 * than addresses.
 */
#define MAX_LEVELS 16u

struct path {
	unsigned int levels;
	unsigned int owned; /* levels, from the border node up, whose nodes are private copies */
	struct mm__vma_node *node[MAX_LEVELS];
	unsigned int index[MAX_LEVELS]; /* of the child below */
};

/* Finds the way to the border node of addr. The tree is not empty. */
void mm__path_descend(const struct mm__vma_tree *tree, uint64_t addr, struct path *path);

/* Makes private copies of the path's nodes up to this level. */
struct mm__vma_node *mm__path_own(struct mm__vma_tree *tree, struct path *path, unsigned int level);

/*
 * Publishes the private nodes of the path to readers. The writer changes none of them after that.
 */
void mm__path_publish(struct mm__vma_tree *tree, struct path *path);

/*
 * Records the sum of the node below this level. Returns false if no sum changed, here or further
 * up.
 */
bool mm__path_update_sum(struct path *path, unsigned int level);

/*
 * Whether a change with the lock moves no key and no slot to another border node, so that it may be
 * made in the border node itself. The path leads to the border node.
 */
bool mm__path_keeps_keys(const struct path *path, uint64_t start, uint64_t end);

/*
 * For [TREE-B]: moves the keys on both sides of the border node apart, so that [start, end) lies
 * between them. The range has nothing of another border node.
 */
void mm__path_make_way(struct mm__vma_tree *tree, struct path *path, uint64_t start, uint64_t end);

/*
 * Makes room for slot *i of *node, which is private. If the node is full, moves some of its slots
 * to a new node on its right, and returns that node with the key between the two. Then *node and *i
 * are the node and the slot that have the room, never the first slot of the new node.
 */
struct mm__vma_node *mm__make_room(struct mm__vma_tree *tree, struct mm__vma_node **node,
				   unsigned int *i, uint64_t *key);

/* Makes a root without children above an empty path. */
void mm__path_begin(struct mm__vma_tree *tree, struct path *path);

/*
 * Records the sums above the path's border node, and takes a new node, on the right of the border
 * node, into the tree. right is NULL if there is none.
 */
void mm__path_climb(struct mm__vma_tree *tree, struct path *path, struct mm__vma_node *right,
		    uint64_t key);

/*
 * With the lock: begins an edit in place of the path's border node, which is locked together with
 * the tree. The second function ends an edit after which there may be more room than before.
 */
struct mm__vma_edit mm__path_edit_border(struct mm__vma_tree *tree, const struct path *path);
void mm__path_border_edited(struct path *path, struct mm__vma_edit *edit);

#endif
