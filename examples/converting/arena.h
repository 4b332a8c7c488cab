/* SPDX-License-Identifier: MIT */
/*
 * An arena of regions in one address space: what CONVERTING.md converts, step by step.
 *
 * A region has a slot of its own: a window of addresses, and a record beside the address space. A
 * thread opens one, grows it, fills its pages, and seals it. Until then the region is its owner's
 * alone. Afterwards it never changes, and any thread may check or release it.
 *
 * program.c is what uses the arena, and code of it that is never converted. stepN.c are the same
 * functions after step N; they differ in what they lock.
 */
#ifndef EXAMPLES_CONVERTING_ARENA_H
#define EXAMPLES_CONVERTING_ARENA_H

#include <mmrange/mm.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS      64u
#define SLOT_SIZE  (UINT64_C(512) * MM_PAGE_SIZE)
#define ARENA_BASE UINT64_C(0x10000000000)

enum region_state { REGION_FREE, REGION_OPEN, REGION_SEALED };

/* The record of a region: to be right whenever its mapping is. */
struct region {
	enum region_state state;
	uint64_t pages;
	uint64_t sum; /* of all bytes, once it is sealed */
};

struct arena {
	struct mm *mm;
	struct region regions[SLOTS];
	/* Of all regions. Belongs to no slot, so as of step 2 no lock is its own: hence atomic. */
	_Atomic(uint64_t) pages;
};

/*
 * stepN.c
 */

extern const enum mm_locking arena_locking;

/* Maps so many pages. false: the slot is not free. */
bool region_open(struct arena *arena, unsigned int slot, uint64_t pages);

/* By the owner. */
void region_grow(struct arena *arena, unsigned int slot, uint64_t pages);
void region_fill(struct arena *arena, unsigned int slot, uint64_t stamp);
void region_seal(struct arena *arena, unsigned int slot);

/* false: it is sealed, and something has changed it. */
bool region_check(struct arena *arena, unsigned int slot);

/* false: it is not sealed. */
bool region_release(struct arena *arena, unsigned int slot);

/*
 * What all steps share. It locks nothing.
 */

static inline void must(int error)
{
	if (!error)
		return;
	fprintf(stderr, "error %d where none can be\n", error);
	abort();
}

static inline uint64_t slot_start(unsigned int slot)
{
	return ARENA_BASE + slot * SLOT_SIZE;
}

static inline void map_pages(struct mm *mm, uint64_t addr, uint64_t pages)
{
	uint64_t result;

	must(mm_mmap(mm, addr, pages * MM_PAGE_SIZE, MM_PROT_READ | MM_PROT_WRITE,
		     MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE, -1, 0, &result));
}

#define PAGE_WORDS (MM_PAGE_SIZE / sizeof(uint64_t))

/* Each access is a page fault where the page is not present yet. */
static inline void fill_pages(struct mm *mm, uint64_t addr, uint64_t pages, uint64_t stamp)
{
	uint64_t words[PAGE_WORDS];

	for (uint64_t page = 0; page < pages; page++) {
		for (unsigned int i = 0; i < PAGE_WORDS; i++)
			words[i] = stamp + page * PAGE_WORDS + i;
		must(mm_write(mm, addr + page * MM_PAGE_SIZE, words, sizeof(words), NULL));
	}
}

static inline uint64_t sum_pages(struct mm *mm, uint64_t addr, uint64_t pages)
{
	uint64_t words[PAGE_WORDS], sum = 0;

	for (uint64_t page = 0; page < pages; page++) {
		must(mm_read(mm, addr + page * MM_PAGE_SIZE, words, sizeof(words), NULL));
		for (unsigned int i = 0; i < PAGE_WORDS; i++)
			sum = sum * 31 + words[i];
	}
	return sum;
}

#endif
