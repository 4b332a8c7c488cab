/* SPDX-License-Identifier: MIT */
#include "exec_vmas.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>

int exec_pieces_add(struct exec_pieces *pieces, uint64_t start, uint64_t end, int access)
{
	if (pieces->count == pieces->capacity) {
		size_t capacity = pieces->capacity ? pieces->capacity * 2 : 64;
		struct exec_piece *more = NULL;

		if (capacity <= SIZE_MAX / sizeof *more)
			more = realloc(pieces->pieces, capacity * sizeof *more);
		if (!more)
			return ENOMEM;
		pieces->pieces = more;
		pieces->capacity = capacity;
	}
	pieces->pieces[pieces->count++] = (struct exec_piece){ start, end, (uint8_t)access };
	return 0;
}

void exec_pieces_destroy(struct exec_pieces *pieces)
{
	free(pieces->pieces);
	*pieces = (struct exec_pieces){ 0 };
}

/* By start; of two with the same start, the piece with fewer known accesses first. */
static int by_start(const void *left, const void *right)
{
	const struct exec_piece *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->access > b->access) - (a->access < b->access);
}

/* Makes one piece of two accesses to one page. */
static void combine(struct exec_pieces *pieces)
{
	struct exec_piece *list = pieces->pieces;
	size_t n = 0;

	for (size_t i = 0; i < pieces->count; i++) {
		if (n && list[i].access && list[n - 1].access && list[i].start == list[n - 1].start)
			list[n - 1].access |= list[i].access;
		else
			list[n++] = list[i];
	}
	pieces->count = n;
}

static int prot_of(int access)
{
	int prot = MM_PROT_READ;

	if (access & MM_PROT_WRITE)
		prot |= MM_PROT_WRITE;
	if (access & MM_PROT_EXEC || !(access & MM_PROT_WRITE))
		prot |= MM_PROT_EXEC;
	return prot;
}

static int set_vma(struct span_map *vmas, const struct exec_piece *vma)
{
	return span_map_set(vmas, vma->start, vma->end, (uint64_t)prot_of(vma->access));
}

/* Whether a piece belongs to the mapping that has reached up to end. */
static bool is_near(uint64_t end, const struct exec_piece *piece, const struct span_map *mapped)
{
	if (piece->start <= end)
		return true;
	return piece->start - end < EXEC_VMA_GAP && !span_map_overlaps(mapped, end, piece->start);
}

int exec_pieces_group(struct exec_pieces *pieces, const struct span_map *mapped,
		      struct span_map *vmas)
{
	struct exec_piece vma = { 0 };
	int error = 0;

	if (pieces->count == 0)
		return 0;
	qsort(pieces->pieces, pieces->count, sizeof *pieces->pieces, by_start);
	combine(pieces);
	for (size_t i = 0; i < pieces->count && !error; i++) {
		const struct exec_piece *piece = &pieces->pieces[i];
		uint64_t end = vma.end;

		if (vma.end && !is_near(vma.end, piece, mapped)) {
			error = set_vma(vmas, &vma);
			vma = *piece;
			continue;
		}
		if (vma.access && piece->access && prot_of(vma.access) != prot_of(piece->access)) {
			vma.end = piece->start;
			error = set_vma(vmas, &vma);
			vma = *piece;
		} else if (!vma.end) {
			vma = *piece;
		} else {
			vma.access |= piece->access;
		}
		vma.end = piece->end > end ? piece->end : end;
	}
	return error ? error : set_vma(vmas, &vma);
}
