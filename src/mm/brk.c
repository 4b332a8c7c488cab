/* SPDX-License-Identifier: MIT */
/*
 * mm_brk(). What has to be held depends on where the heap ends, which another thread may change
 * before it is held: so that is looked at again, and if it has changed, all starts anew.
 */
#include "internal.h"

#define HEAP_PROT  (MM_PROT_READ | MM_PROT_WRITE)
#define HEAP_FLAGS (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS)

/*
 * The functions that follow are called with the mm lock held. They say whether the heap could be
 * changed.
 */

static bool grow(struct mm *mm, uint64_t old_end, uint64_t new_end)
{
	struct mm__area area = { old_end, new_end, HEAP_PROT, HEAP_FLAGS, 0, 0 };

	/* Linux keeps a page free between the heap and what follows. */
	if (!mm__range_free(mm, old_end, new_end + MM_PAGE_SIZE) || !mm__room_for_areas(mm, 0) ||
	    mm__areas_reserve(mm, 1))
		return false;
	mm__areas_put(mm, &area);
	return true;
}

static bool shrink(struct mm *mm, uint64_t old_end, uint64_t new_end)
{
	unsigned int adds = mm__cut_adds(mm, new_end, old_end);

	if (mm__range_free(mm, new_end, old_end) || (adds && !mm__room_for_areas(mm, adds)) ||
	    mm__areas_reserve(mm, adds))
		return false;
	mm__areas_cut(mm, new_end, old_end);
	return true;
}

/* Both ends are those of whole pages. */
static bool resize(struct mm *mm, uint64_t old_end, uint64_t new_end)
{
	if (new_end == old_end)
		return true;
	return new_end > old_end ? grow(mm, old_end, new_end) : shrink(mm, old_end, new_end);
}

/*
 * Moves the end from old, if it is there still; *now is where it is afterwards. Says whether it was
 * there.
 */
static bool move_end(struct mm *mm, uint64_t old, uint64_t brk, uint64_t *now)
{
	uint64_t old_end = mm__page_align(old);
	uint64_t new_end = mm__page_align(brk);
	struct mm__hold hold;
	bool same;
	bool moved = false;

	/* Where the last page stays the same, nothing needs to be held. */
	if (new_end != old_end)
		mm__hold_write(mm, &hold, mm__min(old_end, new_end), mm__max(old_end, new_end));
	mm__lock(mm);
	same = mm->brk == old;
	if (same && resize(mm, old_end, new_end)) {
		mm->brk = brk;
		moved = true;
	}
	*now = mm->brk;
	mm__unlock(mm);
	if (moved && new_end < old_end)
		mm__pages_zap(&mm->page_table, new_end, old_end);
	if (new_end != old_end)
		mm__release(mm, &hold);
	return same;
}

int mm_brk(struct mm *mm, uint64_t brk, uint64_t *result)
{
	uint64_t now;

	mm__lock(mm);
	now = mm->brk;
	mm__unlock(mm);
	if (brk >= mm->attr.brk_start && brk <= MM_ADDR_MAX) {
		while (!move_end(mm, now, brk, &now))
			;
	}
	*result = now;
	return 0;
}
