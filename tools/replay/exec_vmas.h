/* SPDX-License-Identifier: MIT */
/*
 * exec_vmas - the mappings that were there before the first recorded operation: the program's and
 * the dynamic linker's segments, the stack, the vdso. No system call tells of them; they are
 * guessed from what is done to them.
 *
 * Pages that are less than EXEC_VMA_GAP apart are taken for one mapping, unless a system call maps
 * something between them. A page that is written is mapped rw-, one whose instructions are fetched
 * or that is only read r-x, one for both rwx; pages of which nothing is known are as those before
 * them.
 */
#ifndef REPLAY_EXEC_VMAS_H
#define REPLAY_EXEC_VMAS_H

#include "span_map.h"

#define EXEC_VMA_GAP 256 /* in pages */

/* What is known of some pages: the accesses to them, as MM_PROT_.. */
struct exec_piece {
	uint64_t start;
	uint64_t end;
	uint8_t access;
};

struct exec_pieces {
	struct exec_piece *pieces;
	size_t count;
	size_t capacity;
};

/* Adds what is known of pages [start, end). 0 or ENOMEM. */
int exec_pieces_add(struct exec_pieces *pieces, uint64_t start, uint64_t end, int access);

/*
 * Makes VMAs of the pieces: pages to protections. Gaps in which mapped has something are left
 * alone.
 * 0 or ENOMEM.
 */
int exec_pieces_group(struct exec_pieces *pieces, const struct span_map *mapped,
		      struct span_map *vmas);

void exec_pieces_destroy(struct exec_pieces *pieces);

#endif
