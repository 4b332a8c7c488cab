/* SPDX-License-Identifier: MIT */
/*
 * snapshot - all that can be seen of an address space: its VMAs with their protections, the pages
 * that are present, and the bytes in them. Two replays of one trace must end with equal ones.
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
 * Validates an address space and takes its snapshot. To read pages that cannot be read, it changes
 * their protection, so that the address space is of no use afterwards.
 * 0; ENOMEM; EINVAL: it is broken, and message says how.
 *
 * Requires: a quiet moment, as mm_validate().
 */
int snapshot_take(struct snapshot *snapshot, struct mm *mm, char *message, size_t size);

/*
 * 0; EINVAL: they differ, and message names the first difference, VMAs before pages before bytes.
 */
int snapshot_compare(const struct snapshot *expected, const struct snapshot *actual, char *message,
		     size_t size);

void snapshot_destroy(struct snapshot *snapshot);

#endif
