/* SPDX-License-Identifier: MIT */
/*
 * Step 1: what changes neither mappings nor records holds the coarse lock for reading only:
 * filling, which is the owner's alone, and checking.
 */
#include "arena.h"

const enum mm_locking arena_locking = MM_LOCKING_RANGE;

bool region_open(struct arena *arena, unsigned int slot, uint64_t pages)
{
	struct region *region = &arena->regions[slot];
	bool free;

	must(mm_write_lock(arena->mm));
	free = region->state == REGION_FREE;
	if (free) {
		map_pages(arena->mm, slot_start(slot), pages);
		*region = (struct region){ REGION_OPEN, pages, 0 };
		arena->pages += pages;
	}
	mm_write_unlock(arena->mm);
	return free;
}

void region_grow(struct arena *arena, unsigned int slot, uint64_t pages)
{
	struct region *region = &arena->regions[slot];

	must(mm_write_lock(arena->mm));
	map_pages(arena->mm, slot_start(slot) + region->pages * MM_PAGE_SIZE, pages);
	region->pages += pages;
	arena->pages += pages;
	mm_write_unlock(arena->mm);
}

void region_fill(struct arena *arena, unsigned int slot, uint64_t stamp)
{
	must(mm_read_lock(arena->mm));
	fill_pages(arena->mm, slot_start(slot), arena->regions[slot].pages, stamp);
	mm_read_unlock(arena->mm);
}

void region_seal(struct arena *arena, unsigned int slot)
{
	struct region *region = &arena->regions[slot];

	must(mm_write_lock(arena->mm));
	region->sum = sum_pages(arena->mm, slot_start(slot), region->pages);
	must(mm_mprotect(arena->mm, slot_start(slot), region->pages * MM_PAGE_SIZE, MM_PROT_READ));
	region->state = REGION_SEALED;
	mm_write_unlock(arena->mm);
}

bool region_check(struct arena *arena, unsigned int slot)
{
	const struct region *region = &arena->regions[slot];
	bool right = true;

	must(mm_read_lock(arena->mm));
	if (region->state == REGION_SEALED)
		right = sum_pages(arena->mm, slot_start(slot), region->pages) == region->sum;
	mm_read_unlock(arena->mm);
	return right;
}

bool region_release(struct arena *arena, unsigned int slot)
{
	struct region *region = &arena->regions[slot];
	bool sealed;

	must(mm_write_lock(arena->mm));
	sealed = region->state == REGION_SEALED;
	if (sealed) {
		must(mm_munmap(arena->mm, slot_start(slot), region->pages * MM_PAGE_SIZE));
		arena->pages -= region->pages;
		*region = (struct region){ REGION_FREE, 0, 0 };
	}
	mm_write_unlock(arena->mm);
	return sealed;
}
