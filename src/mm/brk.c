/* SPDX-License-Identifier: MIT */
/*
 * mm_brk(). What has to be held depends on where the heap ends, which another thread may change
 * before it is held: so that is looked at again, and if it has changed, all starts anew.
 */
#include "internal.h"

#include <errno.h>

static const struct mm__area_kind heap = { MM_PROT_READ | MM_PROT_WRITE,
					   MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, NULL, 0 };

/*
 * The functions that follow are called with the mm lock held. They say whether the heap could be
 * changed.
 */

static bool grow(struct mm__edit *edit, uint64_t old_end, uint64_t new_end)
{
	if (!mm__room_for_areas(edit->cpu, 0) || mm__edit_reserve(edit, 0, 1))
		return false;
	mm__areas_put(edit, old_end, new_end, &heap);
	return true;
}

static bool shrink(struct mm__edit *edit, struct mm__cut *cut)
{
	return !mm__range_free(edit, cut->start, cut->end) && !mm__areas_remove(edit, cut);
}

/* Both ends are those of whole pages. */
static bool resize(struct mm__edit *edit, uint64_t old_end, uint64_t new_end, struct mm__cut *cut)
{
	return new_end > old_end ? grow(edit, old_end, new_end) : shrink(edit, cut);
}

/* Linux keeps a page free between the heap and what follows, and the gap of a stack. With the mm lock. */
static bool may_grow(const struct mm *mm, uint64_t old_end, uint64_t new_end)
{
	return new_end < old_end || mm__place_free(mm, old_end, new_end + MM_PAGE_SIZE);
}

/* Where the last page stays the same, nothing needs to be held. */
static int move_in_page(struct mm__cpu *cpu, uint64_t old, uint64_t brk, uint64_t *now)
{
	bool is_old;

	mm__lock(cpu->mm);
	is_old = cpu->mm->brk == old;
	if (is_old)
		cpu->mm->brk = brk;
	*now = cpu->mm->brk;
	mm__unlock(cpu->mm, cpu);
	return is_old ? 0 : EAGAIN;
}

/* With the range between the two ends. */
static int move_held(struct mm__cpu *cpu, uint64_t old, uint64_t brk, uint64_t *now)
{
	struct mm *mm = cpu->mm;
	uint64_t old_end = mm__page_align(old);
	uint64_t new_end = mm__page_align(brk);
	struct mm__cut cut = mm__cut_of(new_end, mm__max(old_end, new_end));
	struct mm__garbage *removed;
	struct mm__edit edit;
	bool moved = false;
	bool may;
	int error = 0;

	mm__lock_prepared(cpu, 1, 1);
	may = may_grow(mm, old_end, new_end);
	mm__edit_in_mm_lock(&edit, cpu, mm__min(old_end, new_end), mm__max(old_end, new_end),
			    new_end < old_end);
	if (new_end < old_end)
		mm__areas_mark_all(&edit, &cut);
	if (mm->brk != old) {
		mm__areas_keep(&cut);
		error = EAGAIN;
	} else if (may && resize(&edit, old_end, new_end, &cut)) {
		mm->brk = brk;
		moved = true;
	}
	*now = mm->brk;
	removed = mm__edit_end_removed(&edit);
	if (moved && new_end < old_end)
		mm__pages_zap(mm, cpu, new_end, old_end);
	mm__areas_free(removed);
	return error;
}

/*
 * Moves the end from old, if it is there still; *now is where it is afterwards. EAGAIN: it was not
 * there.
 */
static int move_end(struct mm__cpu *cpu, uint64_t old, uint64_t brk, uint64_t *now)
{
	uint64_t old_end = mm__page_align(old);
	uint64_t new_end = mm__page_align(brk);
	struct mm__hold hold;
	int error;

	if (new_end == old_end)
		return move_in_page(cpu, old, brk, now);
	error = mm__hold_write(cpu, &hold, mm__min(old_end, new_end), mm__max(old_end, new_end));
	if (error)
		return error;
	error = move_held(cpu, old, brk, now);
	mm__release(cpu, &hold);
	return error;
}

int mm_brk(struct mm *mm, uint64_t brk, uint64_t *result)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	int error = 0;
	uint64_t now;

	if (!cpu)
		return ENOMEM;
	mm__lock(mm);
	now = mm->brk;
	mm__unlock(mm, cpu);
	if (brk >= mm->attr.brk_start && brk <= MM_ADDR_MAX) {
		do
			error = move_end(cpu, now, brk, &now);
		while (error == EAGAIN);
	}
	if (!error)
		*result = now;
	return error;
}
