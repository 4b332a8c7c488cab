/* SPDX-License-Identifier: MIT */
#include "vma_edit.h"

#include "vma_border.h"
#include "vma_bounds.h"
#include "vma_read.h"

void mm__vma_edit_also(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	/* [BORDER-D]. No key leads beyond UINT64_MAX - 1. */
	const uint64_t addr[4] = { start ? start - 1 : 0, start, end - 1,
				   end < UINT64_MAX ? end : end - 1 };
	uint64_t low = 0, high = 0;

	for (unsigned int i = 0; i < 4; i++) {
		struct border *border;

		/* The border node of the address before has this one, too. */
		if (addr[i] >= low && addr[i] < high)
			continue;
		border = mm__border_of(edit->tree, addr[i], &low, &high);
		if (!border)
			return;
		mm__border_lock(edit->tree, border);
		/* Since the last edit with the lock, keys may have moved away from it. */
		mm__border_set_keys(edit->tree, border, low, high);
	}
}

void mm__vma_edit_locked(struct mm__vma_edit *edit, struct mm__vma_tree *tree,
			 struct mm__vma_budget *budget, uint64_t start, uint64_t end)
{
	edit->tree = tree;
	edit->border = NULL;
	edit->begun = false;
	edit->budget = budget;
	mm__vma_edit_also(edit, start, end);
}

static bool fits_border(const struct border *border, uint64_t start, uint64_t end)
{
	return (start > border->low || (!start && !border->low && border->high)) &&
	       end < border->high && border->node.count + BORDER_RESERVE <= BORDER_SLOTS;
}

bool mm__vma_edit_includes(struct mm__vma_edit *edit, uint64_t start, uint64_t end, bool unmaps)
{
	bool here = fits_border(edit->border, start, end);

	edit->widens = here && unmaps && !mm__border_may_unmap(edit->border, start, end);
	if (!here || edit->widens)
		return false;
	edit->start = start < edit->start ? start : edit->start;
	edit->end = end > edit->end ? end : edit->end;
	return true;
}

uint64_t mm__vma_edit_reach(const struct mm__vma_edit *edit)
{
	return edit->border->high;
}

unsigned int mm__vma_edit_room(const struct mm__vma_edit *edit)
{
	return BORDER_SLOTS - edit->border->node.count;
}

/*
 * Returns a key between two ranges that do not touch: just below the most aligned address there.
 * The places of other threads begin or end at such an address, and by [BORDER-C] must not touch a
 * key. If there is room, each range keeps as much of it beside the key as it is long, because its
 * thread may well use the addresses next to it. Returns 0 if there is no key.
 */
static uint64_t key_between(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
	uint64_t below = end, last = other_start - 1;
	uint64_t room_below = end - start, room_above = other_end - other_start;
	uint64_t aligned;

	if (start > other_start)
		return key_between(other_start, other_end, start, end);
	if (end >= other_start || below >= last)
		return 0;
	if (room_below < last - below && room_above < last - below - room_below) {
		below += room_below;
		last -= room_above;
	}
	aligned = last & ~((UINT64_C(1) << (63 - __builtin_clzll(below ^ last))) - 1);
	return aligned - 1 > below ? aligned - 1 : aligned;
}

static void note_writer(struct mm__vma_edit *edit)
{
	struct border *border = edit->border;

	if (border->writer == edit->writer) {
		border->strain -= border->strain ? 1 : 0;
		/* A part of the range that it changed before: the end of a move, for example. */
		if (edit->start >= border->last_start && edit->end <= border->last_end)
			return;
	} else if (border->writer) {
		uint64_t key =
			key_between(edit->start, edit->end, border->last_start, border->last_end);

		border->strain += key ? MM__STRAIN_STEP : 0;
		if (key && border->strain >= border->too_strained) {
			border->strain = 0;
			edit->tidy = key;
			edit->divides = true;
		}
	}
	border->writer = (uint16_t)edit->writer;
	border->last_start = edit->start;
	border->last_end = edit->end;
}

uint64_t mm__vma_tree_key_beside(const struct mm__vma_tree *tree, uint64_t addr, uint32_t writer)
{
	struct border *border = mm__border_descend(tree, addr);
	struct mm__mapping m;
	uint64_t key = 0;

	if (!border)
		return 0;
	mm__border_acquire(border, 0);
	if (!border->dead && border->writer && border->writer != writer &&
	    mm__border_at(border, addr, &m))
		key = key_between(m.start, m.end, border->last_start, border->last_end);
	mm__border_release(border);
	return key;
}

/* The border node is locked. Unlocks it if the edit cannot begin. */
static bool begin_in_place(struct mm__vma_edit *edit, uint64_t start, uint64_t end, uint32_t writer,
			   bool unmaps)
{
	edit->start = start;
	edit->end = end;
	edit->writer = writer;
	if (mm__vma_edit_includes(edit, start, end, unmaps))
		return true;
	note_writer(edit);
	mm__border_release(edit->border);
	edit->border = NULL;
	return false;
}

bool mm__vma_edit_in_place(struct mm__vma_edit *edit, struct mm__vma_tree *tree, uint64_t start,
			   uint64_t end, uint32_t writer, bool unmaps)
{
	struct border *border;

	while ((border = mm__border_descend(tree, start))) {
		mm__border_acquire(border, 0);
		if (!border->dead)
			break;
		mm__border_release(border);
	}
	if (!border)
		return false;
	*edit = (struct mm__vma_edit){ .tree = tree, .border = border };
	return begin_in_place(edit, start, end, writer, unmaps);
}

bool mm__vma_edit_second(struct mm__vma_edit *edit, const struct mm__vma_edit *first,
			 uint64_t start, uint64_t end, uint32_t writer, bool unmaps)
{
	struct border *border = mm__border_descend(first->tree, start);

	*edit = (struct mm__vma_edit){ .tree = first->tree };
	if (border == first->border)
		return false;
	/* A dead border node was locked until a moment ago. */
	edit->busy = !mm__border_try_acquire(border);
	if (!edit->busy && border->dead) {
		edit->busy = true;
		mm__border_release(border);
	}
	if (edit->busy)
		return false;
	edit->border = border;
	return begin_in_place(edit, start, end, writer, unmaps);
}

static bool is_root(const struct border *border)
{
	return !border->low && border->high == UINT64_MAX;
}

/* [BORDER-L4], before the first slot changes */
static void begin_change(struct mm__vma_edit *edit)
{
	uint64_t seq = atomic_load_explicit(&edit->border->seq, memory_order_relaxed);

	if (edit->begun)
		return;
	edit->begun = true;
	/* relaxed: the stores of slots are releases, which keep this store before them */
	atomic_store_explicit(&edit->border->seq, seq + 1, memory_order_relaxed);
}

void mm__border_end_change(struct mm__vma_edit *edit)
{
	uint64_t seq = atomic_load_explicit(&edit->border->seq, memory_order_relaxed);

	/* release [BORDER-L6]: pairs with [BORDER-L1] */
	if (edit->begun)
		atomic_store_explicit(&edit->border->seq, seq + 1, memory_order_release);
}

static void end_in_place(struct mm__vma_edit *edit)
{
	struct border *border = edit->border;

	mm__border_end_change(edit);
	note_writer(edit);
	/*
	 * Not while threads change the border node in turn: it is then to be divided rather than
	 * joined.
	 */
	if (edit->begun && !edit->tidy && !border->sparse && !border->strain && !is_root(border) &&
	    border->node.count < mm__least(&border->node))
		edit->tidy = border->low + 1;
	mm__border_release(border);
}

void mm__vma_edit_end(struct mm__vma_edit *edit)
{
	if (edit->border)
		end_in_place(edit);
	else
		mm__border_unlock_all(edit->tree);
}

void mm__border_insert(struct mm__vma_edit *edit, const struct mm__mapping *m)
{
	unsigned int i = mm__begun(edit->border, m->start);

	begin_change(edit);
	mm__open_slot(&edit->border->node, i);
	mm__border_put(edit->border, i, m);
}

void mm__border_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m)
{
	unsigned int i = mm__begun(edit->border, start) - 1;

	begin_change(edit);
	mm__border_put(edit->border, i, m);
}

void mm__border_erase(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	unsigned int first = start ? mm__begun(edit->border, start - 1) : 0;
	unsigned int n = mm__begun(edit->border, end - 1) - first;

	if (!n)
		return;
	begin_change(edit);
	mm__close_slots(&edit->border->node, first, n);
}

bool mm__vma_edit_at(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return edit->border ? mm__border_at(edit->border, addr, m)
			    : mm__vma_tree_at(edit->tree, addr, m);
}

bool mm__vma_edit_find(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return edit->border ? mm__border_look(edit->border, addr, true, m)
			    : mm__vma_tree_find(edit->tree, addr, m);
}

bool mm__vma_edit_list(const struct mm__vma_edit *edit, uint64_t addr, struct mm__vma_list *list)
{
	if (!edit->border)
		return mm__vma_tree_list(edit->tree, addr, list);
	mm__border_list_locked(edit->border, addr, list);
	return list->count;
}
