/* SPDX-License-Identifier: MIT */
/*
 * mm_mmap(). Results and errors, and their order, as in Linux's do_mmap() and mmap_region().
 *
 * A mapping at a place of the caller's holds that range from the beginning. Otherwise a place is
 * looked for under the mm lock, and its range is tried there and then. If that fails, somebody is
 * still at work on it, such as an munmap() that has yet to free the pages: then the range is waited
 * for without the mm lock, and the place is looked for again, as it may be taken by now.
 */
#include "internal.h"

#include <errno.h>

#define FIXED (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)
/* The flags that tell areas apart. */
#define AREA_FLAGS                                                                                 \
	(MM_MAP_SHARED | MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_NORESERVE | MM_MAP_STACK)
#define ALL_FLAGS (AREA_FLAGS | FIXED)

static bool flags_valid(int flags)
{
	int type = flags & (MM_MAP_SHARED | MM_MAP_PRIVATE);

	return !(flags & ~ALL_FLAGS) && (type == MM_MAP_SHARED || type == MM_MAP_PRIVATE);
}

/* Linux checks these before it looks at the length. */
static int check_file(int flags, int fd, uint64_t offset)
{
	if (!mm__page_aligned(offset))
		return EINVAL;
	if (flags & MM_MAP_ANONYMOUS)
		return 0;
	return fd < 0 ? EBADF : ENODEV;
}

static int check_fixed(uint64_t addr, uint64_t length)
{
	if (addr > MM_ADDR_MAX - length)
		return ENOMEM;
	if (!mm__page_aligned(addr))
		return EINVAL;
	return addr < MM_ADDR_MIN ? EPERM : 0;
}

/* Puts the area in, at a place that is held for writing. With the mm lock held. */
static int put(struct mm *mm, struct mm__area *area)
{
	unsigned int adds = mm__cut_adds(mm, area->start, area->end);

	if ((adds && !mm__room_for_areas(mm, adds)) || mm__areas_reserve(mm, 2))
		return ENOMEM;
	if (area->flags & MM_MAP_SHARED)
		area->object = ++mm->last_object;
	mm__areas_cut(mm, area->start, area->end);
	mm__areas_put(mm, area);
	return 0;
}

/* With the mm lock held. */
static int put_fixed(struct mm *mm, struct mm__area *area, int flags)
{
	if (!mm__room_for_areas(mm, 0))
		return ENOMEM;
	if ((flags & MM_MAP_FIXED_NOREPLACE) && !mm__range_free(mm, area->start, area->end))
		return EEXIST;
	return flags_valid(flags) ? put(mm, area) : EINVAL;
}

static int map_fixed(struct mm *mm, struct mm__area *area, int flags)
{
	struct mm__hold hold;
	int error;

	mm__hold_write(mm, &hold, area->start, area->end);
	mm__lock(mm);
	error = put_fixed(mm, area, flags);
	mm__unlock(mm);
	if (!error)
		mm__pages_zap(&mm->page_table, area->start, area->end);
	mm__release(mm, &hold);
	return error;
}

/*
 * Sets the bounds of the area to where it can go, near hint if that is not 0. With the mm lock
 * held.
 */
static int find_place(const struct mm *mm, struct mm__area *area, uint64_t hint, uint64_t length)
{
	uint64_t addr = mm__page_start(hint);

	if (addr)
		addr = mm__max(addr, MM_ADDR_MIN);
	if (!addr || addr > MM_ADDR_MAX - length || !mm__range_free(mm, addr, addr + length)) {
		if (!mm__area_tree_highest_gap(&mm->areas, length, MM_ADDR_MIN, MM_ADDR_MAX, &addr))
			return ENOMEM;
	}
	area->start = addr;
	area->end = addr + length;
	return 0;
}

/* The errors that do not depend on the place, and then the place. With the mm lock held. */
static int prepare_anywhere(const struct mm *mm, struct mm__area *area, int flags, uint64_t hint,
			    uint64_t length)
{
	int error = mm__room_for_areas(mm, 0) ? 0 : ENOMEM;

	if (!error)
		error = find_place(mm, area, hint, length);
	if (!error && !flags_valid(flags))
		error = EINVAL;
	return error;
}

static int map_anywhere(struct mm *mm, struct mm__area *area, int flags, uint64_t hint,
			uint64_t length)
{
	struct mm__hold hold;
	bool held = false;
	int error;

	mm__lock(mm);
	while (!(error = prepare_anywhere(mm, area, flags, hint, length))) {
		if (held && mm__hold_covers(&hold, area->start, area->end))
			break;
		if (!held && mm__hold_trywrite(mm, &hold, area->start, area->end)) {
			held = true;
			break;
		}
		mm__unlock(mm);
		if (held)
			mm__release(mm, &hold);
		mm__hold_write(mm, &hold, area->start, area->end);
		held = true;
		mm__lock(mm);
	}
	if (!error)
		error = put(mm, area);
	mm__unlock(mm);
	if (held)
		mm__release(mm, &hold);
	return error;
}

int mm_mmap(struct mm *mm, uint64_t addr, uint64_t length, int prot, int flags, int fd,
	    uint64_t offset, uint64_t *result)
{
	struct mm__area area = { .prot = prot & MM__PROT_ALL, .flags = flags & AREA_FLAGS };
	int error = check_file(flags, fd, offset);

	if (error)
		return error;
	if (!length)
		return EINVAL;
	length = mm__page_align(length);
	if (!length || length > MM_ADDR_MAX)
		return ENOMEM;
	if (flags & FIXED) {
		error = check_fixed(addr, length);
		if (error)
			return error;
		area.start = addr;
		area.end = addr + length;
		error = map_fixed(mm, &area, flags);
	} else {
		error = map_anywhere(mm, &area, flags, addr, length);
	}
	if (!error)
		*result = area.start;
	return error;
}
