/* SPDX-License-Identifier: MIT */
/*
 * exec_vmas - the mappings from before the first recorded operation: the program's and the dynamic
 * linker's segments, the stack, the vdso. No system call reports them; the converter guesses them
 * from later operations on them.
 *
 * Pages that are less than EXEC_VMA_GAP apart count as one mapping, unless a system call maps a
 * page between them. A written page is mapped rw-; a page whose instructions are fetched, or that
 * is only read, r-x; a page with both rwx. Pages without any known access are as the pages before
 * them.
 */
#ifndef REPLAY_EXEC_VMAS_H
#define REPLAY_EXEC_VMAS_H

#include "span_map.h"

#define EXEC_VMA_GAP 256 /* in pages */

/* The known accesses to some pages, as MM_PROT_.. */
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

/* Adds accesses to pages [start, end). 0 or ENOMEM. */
int exec_pieces_add(struct exec_pieces *pieces, uint64_t start, uint64_t end, int access);

/*
 * Makes VMAs of the pieces: pages to protections. It leaves gaps alone in which mapped has a page.
 * 0 or ENOMEM.
 */
int exec_pieces_group(struct exec_pieces *pieces, const struct span_map *mapped,
		      struct span_map *vmas);

void exec_pieces_destroy(struct exec_pieces *pieces);

#endif
