/* SPDX-License-Identifier: MIT */
/*
 * A window of an address space as an array of pages, and a driver that does random operations on
 * both and compares results, errors, VMAs, and each byte that it reads.
 *
 * The window may end at MM_ADDR_MAX: then the driver also makes mappings without an address, and a
 * page limit and a VMA limit can be set. A window elsewhere may share its space with windows that
 * other threads use at the same time.
 */
#ifndef TESTS_SPACE_MODEL_H
#define TESTS_SPACE_MODEL_H

#include "spaces.h"

#include <stdbool.h>

#define MODEL_PAGES        192u
#define MODEL_OBJECT_PAGES 64u

struct model_page {
	bool mapped;
	bool present;
	unsigned char value; /* of all its bytes, if the page is private */
	int prot;
	int flags;
	uint64_t object; /* the number of the shared object, from 1 */
	uint64_t offset; /* in pages */
};

/* Shared memory: it keeps its contents as long as a page of it is mapped. */
struct model_object {
	unsigned int size;
	bool touched[MODEL_OBJECT_PAGES];
	unsigned char value[MODEL_OBJECT_PAGES];
};

struct model {
	struct mm *mm;
	uint64_t base;
	uint64_t seed;
	struct model_object object[MODEL_PAGES]; /* as many as can be mapped */
	/* The window ends at MM_ADDR_MAX, and no other window is in the space. */
	bool whole;
	uint64_t max_areas;
	uint64_t max_pages;
	uint64_t brk_start;
	uint64_t brk;
	struct model_page page[MODEL_PAGES];
};

/* Whether two neighbouring pages belong to one VMA. */
bool model_same_vma(const struct model_page *left, const struct model_page *right);

/* Does one random operation on both and compares the results. */
void model_step(struct model *model);

/* Compares the VMAs, and every byte of every readable page. */
void model_check(struct model *model);

#endif
