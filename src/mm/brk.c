/* SPDX-License-Identifier: MIT */
/*
 * mm_brk(). The range that the thread must hold depends on the end of the heap, which another
 * thread may change before the thread holds the range. The thread therefore looks at the end again.
 * If the end has changed, the thread starts anew.
 *
 * The end is one word, which no lock protects. It changes in two ways:
 *
 *	BRK-A  within its last page: by a compare-and-swap, whatever other threads hold;
 *	BRK-B  to another page: in an edit of the pages between the two ends, which the thread holds
 *	       for writing.
 *
 * Claim: two changes by BRK-B from the same page exclude each other, although one thread may hold
 * the pages above that page and the other the pages below. Each edit has the end of this page at an
 * end of its range. So both lock the border node of this address, see BORDER-C and BORDER-D in
 * vma_border.h; or the VMA tree lock, if the tree has no border node. The second edit finds another
 * end than it began with, and its thread starts anew. A change by BRK-A may come between the last
 * look of a change by BRK-B and its store. It then took effect just before the look: the page of
 * the end, on which the edit depends, is the same.
 *
 * So each call takes effect at one moment: at its swap, at its store, or, if it changes nothing, at
 * its last look.
 *
 *	[BRK-W] VMAs change, then the end, release     [BRK-R] load the end, acquire, then VMAs
 *
 * A thread that reads the new end of a heap that has grown therefore finds the heap there.
 *
 * Linux keeps a page free behind the heap and, in front of a stack, the stack's gap. A mapping in
 * that page would begin at the end of the edit's range, and so be in its border node. The border
 * node may have no mapping above the heap, and end within the gap of a possible stack. If the space
 * may then have stacks, the thread looks for the next mapping with the VMA tree lock. That does not
 * keep other threads from mapping a stack in another border node meanwhile. mm_brk() may miss a
 * stack that is mapped while it runs. Both orders are right, because a thread may map a stack less
 * than its gap above a heap. A thread that grows a stack holds the whole space, so the end of the
 * heap stays while that thread looks at the gap.
 */
#include "brk.h"

#include "attach.h"
#include "hold.h"
#include "page.h"
#include "pages.h"
#include "room.h"
#include "stack.h"
#include "vma_memory.h"
#include "vmas.h"

#include <errno.h>

static const struct mm__vma_kind heap = { MM_PROT_READ | MM_PROT_WRITE,
					  MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, NULL, 0 };

uint64_t mm__brk(const struct mm *mm)
{
	/* acquire [BRK-R]: pairs with [BRK-W] */
	return atomic_load_explicit(&mm->brk, memory_order_acquire);
}

/*
 * These two functions are called in an edit, and return whether they changed the heap.
 */

static bool grow_heap(struct mm__edit *edit, uint64_t old_end, uint64_t new_end)
{
	if (!mm__room_for_vmas(edit->thread, 0) || mm__edit_reserve(edit, 0, 1))
		return false;
	mm__vmas_put(edit, old_end, new_end, &heap);
	return true;
}

static bool shrink_heap(struct mm__edit *edit, struct mm__cut *cut)
{
	return !mm__range_free(edit, cut->start, cut->end) && !mm__vmas_remove(edit, cut);
}

/* [BRK-A]: the last page stays the same, so the thread need not hold a range. */
static int move_in_page(struct mm *mm, uint64_t old, uint64_t brk, uint64_t *now)
{
	*now = old;
	if (!atomic_compare_exchange_strong_explicit(&mm->brk, now, brk, memory_order_acq_rel,
						     memory_order_acquire))
		return EAGAIN;
	*now = brk;
	return 0;
}

/*
 * Begins the edit. Returns false if the heap is to grow and another border node, which the edit
 * does not see, forbids it.
 */
static bool begin_edit(struct mm__edit *edit, struct mm__thread *thread, uint64_t old_end,
		       uint64_t new_end)
{
	uint64_t start = mm__min(old_end, new_end);
	uint64_t end = mm__max(old_end, new_end);
	bool may_grow;

	mm__edit_begin(edit, thread, start, end, new_end < old_end);
	if (new_end < old_end || !edit->tree.border ||
	    mm__place_is_decided(edit, old_end, new_end + MM_PAGE_SIZE))
		return true;
	mm__edit_end(edit);
	mm__tree_lock_prepared(thread, 0, 1);
	may_grow = mm__place_free(thread->mm, old_end, new_end + MM_PAGE_SIZE);
	mm__edit_in_tree_lock(edit, thread, start, end, false);
	return may_grow;
}

/*
 * The ends are those of whole pages. Linux keeps a page free behind the heap, and the gap of a
 * stack.
 */
static bool resize_heap(struct mm__edit *edit, uint64_t old_end, uint64_t new_end,
			struct mm__cut *cut)
{
	if (new_end < old_end)
		return shrink_heap(edit, cut);
	return mm__place_still_free(edit, old_end, new_end + MM_PAGE_SIZE) &&
	       grow_heap(edit, old_end, new_end);
}

/* [BRK-B]: the caller holds the range between the two ends. */
static int move_held(struct mm__thread *thread, uint64_t old, uint64_t brk, uint64_t *now)
{
	struct mm *mm = thread->mm;
	uint64_t old_end = mm__page_align(old);
	uint64_t new_end = mm__page_align(brk);
	struct mm__cut cut = mm__cut_of(new_end, mm__max(old_end, new_end));
	struct mm__garbage *removed;
	struct mm__edit edit;
	bool moved = false;
	bool may_grow;
	int error = 0;

	may_grow = begin_edit(&edit, thread, old_end, new_end);
	if (new_end < old_end)
		mm__vmas_mark_all(&edit, &cut);
	if (mm__brk(mm) != old) {
		mm__vmas_keep(&cut);
		error = EAGAIN;
	} else if (may_grow && resize_heap(&edit, old_end, new_end, &cut)) {
		/* release [BRK-W]: pairs with [BRK-R] */
		atomic_store_explicit(&mm->brk, brk, memory_order_release);
		moved = true;
	}
	*now = moved ? brk : mm__brk(mm);
	removed = mm__edit_end_removed(&edit);
	if (moved && new_end < old_end)
		mm__pages_zap(mm, thread, new_end, old_end);
	mm__vmas_free(removed);
	return error;
}

/*
 * Moves the end from old, unless another thread has moved it: then returns EAGAIN. Stores the end
 * afterwards in *now.
 */
static int move_end(struct mm__thread *thread, uint64_t old, uint64_t brk, uint64_t *now)
{
	uint64_t old_end = mm__page_align(old);
	uint64_t new_end = mm__page_align(brk);
	struct mm__hold hold;
	int error;

	if (new_end == old_end)
		return move_in_page(thread->mm, old, brk, now);
	error = mm__hold_write(thread, &hold, mm__min(old_end, new_end), mm__max(old_end, new_end));
	if (error)
		return error;
	error = move_held(thread, old, brk, now);
	mm__release(thread, &hold);
	return error;
}

int mm_brk(struct mm *mm, uint64_t brk, uint64_t *result)
{
	struct mm__thread *thread = mm__this_thread(mm);
	int error = 0;
	uint64_t now;

	if (!thread)
		return ENOMEM;
	now = mm__brk(mm);
	if (brk >= mm->attr.brk_start && brk <= MM_ADDR_MAX) {
		do
			error = move_end(thread, now, brk, &now);
		while (error == EAGAIN);
	}
	if (!error)
		*result = now;
	return error;
}
