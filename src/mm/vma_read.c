/* SPDX-License-Identifier: MIT */
#include "vma_read.h"

#include "vma_border.h"

/* Attempts to read before the reader locks the border node. */
#define READ_TRIES 64u

static bool read_begin(const struct border *border, uint64_t *seq)
{
	/* acquire [BORDER-L1]: pairs with [BORDER-L6] */
	*seq = atomic_load_explicit(&border->seq, memory_order_acquire);
	return !(*seq & 1);
}

static bool read_valid(const struct border *border, uint64_t seq)
{
	/* relaxed [BORDER-L3]: the acquire loads of the slots keep this load behind them */
	return atomic_load_explicit(&border->seq, memory_order_relaxed) == seq;
}

/* Finds the mapping that contains addr; or, if next is set, the first one that ends above addr. */
bool mm__border_look(const struct border *border, uint64_t addr, bool next, struct mm__mapping *m)
{
	unsigned int i;

	if (!next)
		return mm__border_at(border, addr, m);
	i = mm__border_find(border, addr);
	if (i == BORDER_SLOTS || mm__border_start(border, i) == UINT64_MAX)
		return false;
	mm__border_get(border, i, m);
	return true;
}

static bool look_locked(const struct border *border, uint64_t addr, bool next,
			struct mm__mapping *m)
{
	bool found;

	mm__rcu_read_lock();
	mm__border_acquire((struct border *)border, 0);
	found = mm__border_look(border, addr, next, m);
	mm__border_release((struct border *)border);
	mm__rcu_read_unlock();
	return found;
}

/* As mm__border_look(), but at one moment. Returns false if a writer changed the border node
 * meanwhile. */
static inline bool read_once(const struct border *border, uint64_t addr, bool next,
			     struct mm__mapping *m, uint64_t *seq, bool *found)
{
	if (!read_begin(border, seq))
		return false;
	*found = mm__border_look(border, addr, next, m);
	return read_valid(border, *seq);
}

/* Stores the count in *seq, unless it has to lock the border node. */
static bool read_border(const struct border *border, uint64_t addr, bool next,
			struct mm__mapping *m, uint64_t *seq)
{
	for (unsigned int tries = READ_TRIES; tries; tries--) {
		bool found;

		if (read_once(border, addr, next, m, seq, &found))
			return found;
		mmrange__relax();
	}
	return look_locked(border, addr, next, m);
}

bool mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	const struct border *border = addr != UINT64_MAX ? mm__border_descend(tree, addr) : NULL;
	uint64_t seq;

	return border && read_border(border, addr, false, m, &seq);
}

static inline void note_look(struct mm__vma_look *look, const struct border *border, uint64_t addr,
			     uint64_t seq)
{
	look->addr = addr;
	if (look->border == border && look->seq == seq) {
		look->strain -= look->strain ? 1 : 0;
		return;
	}
	if (look->border != border)
		look->strain = look->passed = 0;
	else
		look->strain += MM__STRAIN_STEP;
	look->border = border;
	look->seq = seq;
}

__attribute__((noinline)) static bool look_again(const struct border *border, uint64_t addr,
						 struct mm__mapping *m, struct mm__vma_look *look)
{
	uint64_t seq;
	bool found = read_border(border, addr, false, m, &seq);

	if (found)
		note_look(look, border, addr, seq);
	return found;
}

/*
 * In the usual case no writer is in the border node. That case needs no stack, because this
 * function decides how fast a fault is.
 */
bool mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
		       struct mm__vma_look *look)
{
	const struct border *border = addr != UINT64_MAX ? mm__border_descend(tree, addr) : NULL;
	uint64_t seq;
	bool found;

	if (!border)
		return false;
	if (!read_once(border, addr, false, m, &seq, &found))
		return look_again(border, addr, m, look);
	if (found)
		note_look(look, border, addr, seq);
	return found;
}

bool mm__vma_tree_find(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	while (addr != UINT64_MAX) {
		uint64_t low, high, seq;
		const struct border *border = mm__border_of(tree, addr, &low, &high);

		if (!border)
			return false;
		if (read_border(border, addr, true, m, &seq))
			return true;
		addr = high;
	}
	return false;
}

_Static_assert(MM__VMA_LIST >= BORDER_SLOTS, "a list has room for a border node");

void mm__border_list_locked(const struct border *border, uint64_t addr, struct mm__vma_list *list)
{
	list->count = list->next = 0;
	for (unsigned int i = mm__border_find(border, addr); i < BORDER_SLOTS; i++) {
		mm__border_get(border, i, &list->m[list->count]);
		if (list->m[list->count].start == UINT64_MAX)
			return;
		list->count++;
	}
}

void mm__border_list(const struct border *border, uint64_t addr, struct mm__vma_list *list)
{
	for (unsigned int tries = READ_TRIES; tries; tries--) {
		uint64_t seq;

		if (read_begin(border, &seq)) {
			mm__border_list_locked(border, addr, list);
			if (read_valid(border, seq))
				return;
		}
		mmrange__relax();
	}
	mm__rcu_read_lock();
	mm__border_acquire((struct border *)border, 0);
	mm__border_list_locked(border, addr, list);
	mm__border_release((struct border *)border);
	mm__rcu_read_unlock();
}

bool mm__vma_tree_list(const struct mm__vma_tree *tree, uint64_t addr, struct mm__vma_list *list)
{
	list->count = list->next = 0;
	while (addr != UINT64_MAX) {
		uint64_t low, high;
		const struct border *border = mm__border_of(tree, addr, &low, &high);

		if (!border)
			return false;
		mm__border_list(border, addr, list);
		if (list->count)
			return true;
		addr = high;
	}
	return false;
}
