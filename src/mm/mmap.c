/* SPDX-License-Identifier: MIT */
/*
 * mm_mmap(). Results and errors, and their order, are those of Linux's do_mmap() and mmap_region().
 *
 * If the caller has chosen the place, the thread holds its range from the beginning. Otherwise the
 * thread looks for a place under the VMA tree lock, and tries to hold its range at once. If that
 * fails, another thread is still at work on the range, such as an munmap() that has yet to free the
 * pages. The thread then waits for the range without the VMA tree lock, and looks for a place
 * again, because the place may be taken by now. A thread that maps at a place of its caller does
 * not take the VMA tree lock, so the place may be taken even in between.
 */
#include "attach.h"
#include "fault.h"
#include "file.h"
#include "hold.h"
#include "inode.h"
#include "page.h"
#include "pages.h"
#include "place.h"
#include "room.h"
#include "stack.h"
#include "tree_lock.h"
#include "vma_memory.h"
#include "vmas.h"

#include <errno.h>
#include <sys/stat.h>

#define FIXED     (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)
#define ALL_FLAGS (MM__VMA_FLAGS | FIXED | MM_MAP_POPULATE)

/* The mapping to make. */
struct mapping {
	uint64_t start;
	uint64_t end;
	int fd;
	struct stat status; /* of the file */
	uint64_t file_offset;
	int flags;                /* MM_MAP_..., all of them */
	uint64_t greatest_offset; /* of a byte */
	int error;                /* of the file; Linux checks it after the place */
	struct mm__vma_kind kind;
};

static bool flags_valid(int flags)
{
	int type = flags & (MM_MAP_SHARED | MM_MAP_PRIVATE);

	return !(flags & ~ALL_FLAGS) && (type == MM_MAP_SHARED || type == MM_MAP_PRIVATE) &&
	       !(type == MM_MAP_SHARED && flags & MM_MAP_GROWSDOWN && flags & MM_MAP_ANONYMOUS);
}

/* The errors that do not depend on the place, in Linux's order. */
static int check_mapping(const struct mapping *map)
{
	if (map->error == EOVERFLOW)
		return map->error;
	return flags_valid(map->flags) ? map->error : EINVAL;
}

/* Linux checks these before the length. */
static int check_file(struct mapping *map, uint64_t offset)
{
	int error;

	if (!mm__page_aligned(offset))
		return EINVAL;
	if (map->flags & MM_MAP_ANONYMOUS)
		return 0;
	map->file_offset = offset;
	error = mm__file_status(map->fd, &map->status);
	if (!error && S_ISREG(map->status.st_mode))
		map->greatest_offset = INT64_MAX;
	return error;
}

/* There is no error so far. Returns only ENOMEM; any other error comes later, from map->error. */
static int open_file(struct mapping *map, uint64_t length)
{
	uint64_t first = map->file_offset >> MM_PAGE_SHIFT;
	int may = 0;
	int error = mm__inode_open(map->fd, &map->status, map->kind.prot, map->flags, first,
				   first + (length >> MM_PAGE_SHIFT), &map->kind.inode, &may);

	if (error == ENOMEM)
		return error;
	map->error = error;
	if (!error && !(may & MM_PROT_WRITE))
		map->kind.flags |= MM__VMA_NO_WRITE;
	if (!error && !(may & MM_PROT_EXEC))
		map->kind.flags |= MM__VMA_NO_EXEC;
	return 0;
}

/* Each mapping of shared anonymous memory is a file of its own. */
static int open_shared(struct mm *mm, struct mapping *map, uint64_t length)
{
	if (!(map->flags & MM_MAP_SHARED))
		return 0;
	return mm__inode_anonymous(mm->frames, length >> MM_PAGE_SHIFT, &map->kind.inode);
}

/*
 * Opens the memory that the mapping shows, unless there is an error already. Returns 0 or ENOMEM.
 */
static int open_inode(struct mm *mm, struct mapping *map, uint64_t length)
{
	if (map->error || !flags_valid(map->flags))
		return 0;
	return map->flags & MM_MAP_ANONYMOUS ? open_shared(mm, map, length)
					     : open_file(map, length);
}

/* Linux counts the VMAs before it checks the place. */
static int check_fixed(struct mm__thread *thread, uint64_t addr, uint64_t length)
{
	if (addr > MM_ADDR_MAX - length)
		return ENOMEM;
	if (mm__page_aligned(addr) && addr >= MM_ADDR_MIN)
		return 0;
	if (!mm__room_now(thread, 0))
		return ENOMEM;
	return mm__page_aligned(addr) ? EPERM : EINVAL;
}

static void choose_place(struct mapping *map, uint64_t start, uint64_t length)
{
	map->start = start;
	map->end = start + length;
	if (map->kind.inode)
		map->kind.offset = map->file_offset - start;
}

/*
 * Maps at the caller's place. Sets *replaces if it replaced a mapping. The pages of that mapping
 * are to be taken out before mm__vmas_merge_changed().
 */
static int put_fixed(struct mm__edit *edit, const struct mapping *map, struct mm__cut *cut,
		     bool *replaces)
{
	unsigned int adds = mm__cut_adds(edit, map->start, map->end);
	int error;

	if (!mm__room_for_vmas(edit->thread, 0))
		return ENOMEM;
	*replaces = !mm__range_free(edit, map->start, map->end);
	if (map->flags & MM_MAP_FIXED_NOREPLACE && *replaces)
		return EEXIST;
	error = check_mapping(map);
	if (error)
		return error;
	if ((adds && !mm__room_for_vmas(edit->thread, adds)) ||
	    mm__edit_reserve(edit, *replaces, 1))
		return ENOMEM;
	if (!*replaces) {
		mm__vmas_put(edit, map->start, map->end, &map->kind);
		return 0;
	}
	mm__vmas_cut(edit, cut);
	mm__vmas_put_changing(edit, map->start, map->end, &map->kind);
	return 0;
}

static int map_held(struct mm__thread *thread, const struct mapping *map)
{
	struct mm__cut cut = mm__cut_of(map->start, map->end);
	struct mm__garbage *removed;
	struct mm__edit edit;
	bool replaces = false;
	int error;

	mm__edit_begin(&edit, thread, map->start, map->end, false);
	if (!(map->flags & MM_MAP_FIXED_NOREPLACE))
		mm__vmas_mark_all(&edit, &cut);
	error = put_fixed(&edit, map, &cut, &replaces);
	removed = mm__edit_end_removed(&edit);
	if (error) {
		mm__vmas_keep(&cut);
	} else if (replaces) {
		mm__pages_zap(thread->mm, thread, map->start, map->end);
		mm__vmas_merge_changed(thread, map->start, map->end, NULL);
	}
	mm__vmas_free(removed);
	return error;
}

static int map_fixed(struct mm__thread *thread, const struct mapping *map)
{
	struct mm__hold hold;
	int error = mm__hold_write(thread, &hold, map->start, map->end);

	if (error)
		return error;
	error = map_held(thread, map);
	mm__release(thread, &hold);
	return error;
}

/*
 * Sets the bounds of the VMA to a free place, near hint if that is not 0. The caller holds the VMA
 * tree lock.
 */
static int find_place(struct mm *mm, struct mapping *map, uint64_t hint, uint64_t length)
{
	uint64_t addr = mm__page_start(hint);

	if (addr)
		addr = mm__max(addr, MM_ADDR_MIN);
	if ((!addr || addr > MM_ADDR_MAX - length || !mm__place_free(mm, addr, addr + length)) &&
	    !mm__find_place(mm, length, &addr))
		return ENOMEM;
	choose_place(map, addr, length);
	return 0;
}

/* All errors except for want of memory, and the place. The caller holds the VMA tree lock. */
static int prepare_anywhere(struct mm__thread *thread, struct mapping *map, uint64_t hint,
			    uint64_t length)
{
	int error = mm__room_for_vmas(thread, 0) ? 0 : ENOMEM;

	if (!error)
		error = find_place(thread->mm, map, hint, length);
	return error ? error : check_mapping(map);
}

/*
 * Finds a place and holds it. Returns with the VMA tree lock held; on error, without the range.
 * EDEADLK: the thread already holds part of the place for reading.
 */
static int hold_place(struct mm__thread *thread, struct mm__hold *hold, struct mapping *map,
		      uint64_t hint, uint64_t length)
{
	struct mm *mm = thread->mm;
	bool held = false;
	int error;

	mm__tree_lock_prepared(thread, 0, 1);
	while (!(error = prepare_anywhere(thread, map, hint, length))) {
		if (held && mm__hold_covers(hold, map->start, map->end))
			return 0;
		if (!held) {
			error = mm__hold_trywrite(thread, hold, map->start, map->end);
			if (error != EBUSY)
				return error;
		}
		mm__tree_unlock_prepared(thread);
		if (held)
			mm__release(thread, hold);
		held = false;
		error = mm__hold_write(thread, hold, map->start, map->end);
		mm__tree_lock_prepared(thread, 0, 1);
		if (error)
			return error;
		held = true;
	}
	if (held) {
		mm__tree_unlock(mm, thread);
		mm__release(thread, hold);
		mm__tree_lock(mm);
	}
	return error;
}

/*
 * Maps at the place, which is held. Called with the VMA tree lock, which it drops. Returns EAGAIN
 * if another thread has mapped there first.
 */
static int put_anywhere(struct mm__thread *thread, const struct mapping *map)
{
	struct mm__edit edit;
	int error = 0;

	mm__edit_in_tree_lock(&edit, thread, map->start, map->end, false);
	if (!mm__range_free(&edit, map->start, map->end))
		error = EAGAIN;
	else if (mm__edit_reserve(&edit, 0, 1))
		error = ENOMEM;
	else
		mm__vmas_put(&edit, map->start, map->end, &map->kind);
	mm__edit_end(&edit);
	return error;
}

static int map_anywhere(struct mm__thread *thread, struct mapping *map, uint64_t hint,
			uint64_t length)
{
	struct mm__hold hold;
	int error;

	do {
		error = hold_place(thread, &hold, map, hint, length);
		if (error) {
			mm__tree_unlock_prepared(thread);
			return error;
		}
		error = put_anywhere(thread, map);
		mm__release(thread, &hold);
	} while (error == EAGAIN);
	return error;
}

/*
 * Maps in the thread's own place. Returns EAGAIN if that has no room, or another thread has taken
 * the room.
 */
static int map_in_own_place(struct mm__thread *thread, struct mapping *map, uint64_t length)
{
	struct mm__hold hold;
	struct mm__edit edit;
	uint64_t addr;
	int error;

	/* Whatever fails here, map_anywhere() finds the errors again, in Linux's order. */
	if (check_mapping(map) || !mm__find_own_place(thread, length, &addr) ||
	    mm__hold_write(thread, &hold, addr, addr + length))
		return EAGAIN;
	choose_place(map, addr, length);
	mm__edit_begin(&edit, thread, map->start, map->end, false);
	if (!mm__room_for_vmas(thread, 0) || !mm__place_still_free(&edit, map->start, map->end))
		error = EAGAIN;
	else
		error = mm__edit_reserve(&edit, 0, 1);
	if (!error)
		mm__vmas_put(&edit, map->start, map->end, &map->kind);
	mm__edit_end(&edit);
	mm__release(thread, &hold);
	return error;
}

static int map_without_place(struct mm__thread *thread, struct mapping *map, uint64_t hint,
			     uint64_t length)
{
	int error = EAGAIN;

	if (thread->mm->attr.placement == MM_PLACEMENT_THREAD && !mm__page_start(hint))
		error = map_in_own_place(thread, map, length);
	return error == EAGAIN ? map_anywhere(thread, map, hint, length) : error;
}

static int map_somewhere(struct mm__thread *thread, struct mapping *map, uint64_t addr,
			 uint64_t length)
{
	int error;

	length = mm__page_align(length);
	if (!length || length > MM_ADDR_MAX)
		return ENOMEM;
	if (map->file_offset >> MM_PAGE_SHIFT > (map->greatest_offset - length) >> MM_PAGE_SHIFT)
		map->error = EOVERFLOW;
	error = open_inode(thread->mm, map, length);
	if (error)
		return error;
	if (map->flags & MM_MAP_GROWSDOWN)
		mm__note_stack(thread->mm);
	if (!(map->flags & FIXED))
		return map_without_place(thread, map, addr, length);
	error = check_fixed(thread, addr, length);
	if (error)
		return error;
	choose_place(map, addr, length);
	return map_fixed(thread, map);
}

static void populate_mapping(struct mm__thread *thread, const struct mapping *map)
{
	bool write = map->kind.prot & MM_PROT_WRITE && map->flags & MM_MAP_PRIVATE;

	/* A page that cannot be made present now is made present, or fails, at its first access. */
	(void)mm__populate(thread, map->start, map->end, write ? MM_PROT_WRITE : MM_PROT_READ);
}

int mm_mmap(struct mm *mm, uint64_t addr, uint64_t length, int prot, int flags, int fd,
	    uint64_t offset, uint64_t *result)
{
	struct mapping map = { .fd = fd,
			       .flags = flags,
			       .greatest_offset = UINT64_MAX,
			       .kind = { .prot = prot & MM__PROT_ALL,
					 .flags = flags & MM__VMA_FLAGS } };
	struct mm__thread *thread = mm__this_thread(mm);
	int error = thread ? check_file(&map, offset) : ENOMEM;

	if (error)
		return error;
	error = length ? map_somewhere(thread, &map, addr, length) : EINVAL;
	if (!error && flags & MM_MAP_POPULATE)
		populate_mapping(thread, &map);
	/*
	 * The VMAs have references of their own. After an error this reference may be the last one.
	 */
	if (map.kind.inode) {
		mm__inode_put(map.kind.inode);
		mm__rcu_throttle();
	}
	if (!error)
		*result = map.start;
	return error;
}
