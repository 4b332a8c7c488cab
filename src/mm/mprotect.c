/* SPDX-License-Identifier: MIT */
/*
 * mm_mprotect(): area by area, up to the first hole, as in Linux.
 *
 * Where there are too many areas Linux may leave an area split although its protection was not
 * changed; here it is left whole.
 */
#include "internal.h"

#include <errno.h>

int mm__areas_added(const struct mm *mm, const struct mm__mapping *m, uint64_t start, uint64_t end,
		    const struct mm__area_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	int added = (m->start < start) + (end < m->end);

	added -= mm__area_tree_at(&mm->areas, start - 1, &left) && mm__same_kind(left.area, kind);
	added -= mm__area_tree_at(&mm->areas, end, &right) && mm__same_kind(right.area, kind);
	return added;
}

/* What is to be done about the pages of an area. */
struct change {
	bool pages;  /* they are to be changed before the area is settled */
	bool copies; /* they are locked, and can now be written to: before they are, as in Linux */
};

/*
 * Changes the area at *addr, as far as it lies below end, and says in *addr how far that was. With
 * the mm lock held.
 */
static int protect_area(struct mm *mm, struct mm__budget *budget, uint64_t *addr, uint64_t end,
			int prot, struct change *change)
{
	struct mm__area_kind kind;
	struct mm__mapping m;
	uint64_t start = *addr;
	int added;

	if (!mm__area_tree_at(&mm->areas, start, &m))
		return ENOMEM;
	*addr = mm__min(m.end, end);
	kind = mm__kind_of(m.area);
	if ((prot & MM_PROT_WRITE && kind.flags & MM__AREA_NO_WRITE) ||
	    (prot & MM_PROT_EXEC && kind.flags & MM__AREA_NO_EXEC))
		return EACCES;
	if (kind.prot == prot)
		return 0;
	change->copies = kind.flags & MM__AREA_LOCKED && kind.flags & MM_MAP_PRIVATE &&
			 prot & ~kind.prot & MM_PROT_WRITE;
	kind.prot = prot;
	added = mm__areas_added(mm, &m, start, *addr, &kind);
	if ((added > 0 && !mm__room_for_areas(mm, (uint64_t)added)) ||
	    mm__areas_reserve(mm, budget, 1, 1, 1))
		return ENOMEM;
	mm__areas_cut_one(mm, budget, start, *addr);
	mm__areas_put_changing(mm, budget, start, *addr, &kind);
	change->pages = true;
	return 0;
}

static int protect_next(struct mm__cpu *cpu, uint64_t *addr, uint64_t end, int prot)
{
	struct mm *mm = cpu->mm;
	uint64_t start = *addr;
	struct change change = { false, false };
	struct mm__budget budget;
	int error;

	mm__lock_prepared(mm);
	error = protect_area(mm, &budget, addr, end, prot, &change);
	mm__unlock(mm, cpu);
	if (!change.pages)
		return error;
	mm__pages_protect(mm, cpu, start, *addr, prot);
	mm__lock(mm);
	mm__areas_settle(mm, &budget, start);
	mm__areas_release(mm, &budget);
	mm__unlock(mm, cpu);
	if (change.copies)
		mm__populate_held(cpu, start, *addr, MM_PROT_WRITE);
	return 0;
}

int mm_mprotect(struct mm *mm, uint64_t addr, uint64_t length, int prot)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	struct mm__hold hold;
	uint64_t end;
	int error;

	if (!mm__page_aligned(addr))
		return EINVAL;
	if (!length)
		return 0;
	end = addr + mm__page_align(length);
	if (end <= addr)
		return ENOMEM;
	if (prot & ~MM__PROT_ALL)
		return EINVAL;
	error = cpu ? mm__hold_write(cpu, &hold, addr, end) : ENOMEM;
	if (error)
		return error;
	while (addr < end && !error)
		error = protect_next(cpu, &addr, end, prot);
	mm__release(cpu, &hold);
	return error;
}
