/* SPDX-License-Identifier: MIT */
/*
 * snapshot - the visible state of an address space: its VMAs with their protections, the present
 * pages, and the bytes in them. Two replays of one trace must end with equal snapshots.
 */
#ifndef REPLAY_SNAPSHOT_H
#define REPLAY_SNAPSHOT_H

#include <mmrange/mm.h>

#include <stddef.h>
#include <stdint.h>

/* Eight bytes that are not all zero, at an address that is a multiple of eight. */
struct snapshot_word {
	uint64_t addr;
	unsigned char bytes[8];
};

/* All lists ascend. */
struct snapshot {
	struct mm_area *vmas;
	size_t vma_count;
	size_t vma_capacity;
	uint64_t *pages; /* addresses */
	size_t page_count;
	size_t page_capacity;
	struct snapshot_word *words;
	size_t word_count;
	size_t word_capacity;
};

/*
 * Validates an address space and takes its snapshot. To read pages that are not readable, it
 * changes their protection; do not use the address space afterwards. 0; ENOMEM; EINVAL: the address
 * space is broken, and message describes how.
 *
 * Requires: no other thread uses the address space, as for mm_validate().
 */
int snapshot_take(struct snapshot *snapshot, struct mm *mm, char *message, size_t size);

/*
 * 0; EINVAL: the snapshots differ, and message names the first difference, VMAs before pages before
 * bytes.
 */
int snapshot_compare(const struct snapshot *expected, const struct snapshot *actual, char *message,
		     size_t size);

void snapshot_destroy(struct snapshot *snapshot);

#endif
