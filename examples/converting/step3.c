/* SPDX-License-Identifier: MIT */
/*
 * Step 3: ranges are held for the arena's own data only: where a record is read or changed,
 * together with the mapping that it describes. Filling changes no record, so it locks nothing: its
 * page faults lock their pages by themselves.
 */
#include "arena.h"

const enum mm_locking arena_locking = MM_LOCKING_RANGE;

static void lock_slot(struct arena *arena, struct mm_hold *hold, unsigned int slot,
		      enum range_mode mode)
{
	must(mm_lock_range(arena->mm, hold, slot_start(slot), slot_start(slot) + SLOT_SIZE, mode));
}

bool region_open(struct arena *arena, unsigned int slot, uint64_t pages)
{
	struct region *region = &arena->regions[slot];
	bool free;
	struct mm_hold hold;

	lock_slot(arena, &hold, slot, RANGE_WRITE);
	free = region->state == REGION_FREE;
	if (free) {
		map_pages(arena->mm, slot_start(slot), pages);
		*region = (struct region){ REGION_OPEN, pages, 0 };
		arena->pages += pages;
	}
	mm_unlock_range(arena->mm, &hold);
	return free;
}

void region_grow(struct arena *arena, unsigned int slot, uint64_t pages)
{
	struct region *region = &arena->regions[slot];
	struct mm_hold hold;

	lock_slot(arena, &hold, slot, RANGE_WRITE);
	map_pages(arena->mm, slot_start(slot) + region->pages * MM_PAGE_SIZE, pages);
	region->pages += pages;
	arena->pages += pages;
	mm_unlock_range(arena->mm, &hold);
}

void region_fill(struct arena *arena, unsigned int slot, uint64_t stamp)
{
	/* Only the owner changes the number of pages, and that is the caller. */
	fill_pages(arena->mm, slot_start(slot), arena->regions[slot].pages, stamp);
}

void region_seal(struct arena *arena, unsigned int slot)
{
	struct region *region = &arena->regions[slot];
	uint64_t sum = sum_pages(arena->mm, slot_start(slot), region->pages);
	struct mm_hold hold;

	lock_slot(arena, &hold, slot, RANGE_WRITE);
	must(mm_mprotect(arena->mm, slot_start(slot), region->pages * MM_PAGE_SIZE, MM_PROT_READ));
	region->sum = sum;
	region->state = REGION_SEALED;
	mm_unlock_range(arena->mm, &hold);
}

bool region_check(struct arena *arena, unsigned int slot)
{
	const struct region *region = &arena->regions[slot];
	bool right = true;
	struct mm_hold hold;

	lock_slot(arena, &hold, slot, RANGE_READ);
	if (region->state == REGION_SEALED)
		right = sum_pages(arena->mm, slot_start(slot), region->pages) == region->sum;
	mm_unlock_range(arena->mm, &hold);
	return right;
}

bool region_release(struct arena *arena, unsigned int slot)
{
	struct region *region = &arena->regions[slot];
	bool sealed;
	struct mm_hold hold;

	lock_slot(arena, &hold, slot, RANGE_WRITE);
	sealed = region->state == REGION_SEALED;
	if (sealed) {
		must(mm_munmap(arena->mm, slot_start(slot), region->pages * MM_PAGE_SIZE));
		arena->pages -= region->pages;
		*region = (struct region){ REGION_FREE, 0, 0 };
	}
	mm_unlock_range(arena->mm, &hold);
	return sealed;
}
