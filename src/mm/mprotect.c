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

/* Where locked pages are to be copied that can now be written to: before they are, as in Linux. */
struct span {
	uint64_t start;
	uint64_t end;
};

/*
 * Changes the area at *addr, as far as it lies below end, and says in *addr how far that was. With
 * the mm lock held. *changing: its pages are to be changed before it is settled.
 */
static int protect_area(struct mm *mm, uint64_t *addr, uint64_t end, int prot, bool *changing,
			struct span *copies)
{
	struct mm__area_kind kind;
	struct mm__mapping m;
	uint64_t start = *addr;
	int added;

	if (!mm__area_tree_at(&mm->areas, start, &m))
		return ENOMEM;
	*addr = mm__min(m.end, end);
	kind = mm__kind_of(m.area);
	if (prot & MM_PROT_WRITE && kind.flags & MM__AREA_NO_WRITE)
		return EACCES;
	if (kind.prot == prot)
		return 0;
	if (kind.flags & MM__AREA_LOCKED && kind.flags & MM_MAP_PRIVATE &&
	    prot & ~kind.prot & MM_PROT_WRITE) {
		copies->start = mm__min(copies->start, start);
		copies->end = *addr;
	}
	kind.prot = prot;
	added = mm__areas_added(mm, &m, start, *addr, &kind);
	if ((added > 0 && !mm__room_for_areas(mm, (uint64_t)added)) ||
	    mm__areas_reserve(mm, start, *addr, 2))
		return ENOMEM;
	mm__areas_cut(mm, start, *addr);
	mm__areas_put_changing(mm, start, *addr, &kind);
	*changing = true;
	return 0;
}

static int protect_next(struct mm__cpu *cpu, uint64_t *addr, uint64_t end, int prot,
			struct span *copies)
{
	struct mm *mm = cpu->mm;
	uint64_t start = *addr;
	bool changing = false;
	int error;

	mm__lock_prepared(mm);
	error = protect_area(mm, addr, end, prot, &changing, copies);
	mm__unlock(mm, cpu);
	if (!changing)
		return error;
	mm__pages_protect(mm, cpu, start, *addr, prot);
	mm__lock(mm);
	mm__areas_settle(mm, start);
	mm__unlock(mm, cpu);
	return 0;
}

int mm_mprotect(struct mm *mm, uint64_t addr, uint64_t length, int prot)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	struct mm__hold hold;
	struct span copies = { UINT64_MAX, 0 };
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
		error = protect_next(cpu, &addr, end, prot, &copies);
	mm__release(cpu, &hold);
	if (copies.start < copies.end)
		(void)mm__populate_locked(cpu, copies.start, copies.end, true);
	return error;
}
