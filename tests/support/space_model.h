/* SPDX-License-Identifier: MIT */
/*
 * A window of an address space as an array of pages, and a driver that does random operations to
 * both and compares results, errors, VMAs, and each byte that is read.
 *
 * The window may end at MM_ADDR_MAX: then mappings without an address are made too, and a page
 * limit and a VMA limit can be set. A window elsewhere may share its space with others, which
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
	unsigned char value; /* of all its bytes, if it is private */
	int prot;
	int flags;
	uint64_t object; /* of shared memory: its number, from 1 */
	uint64_t offset; /* in pages */
};

/* Shared memory: it keeps what was written to it as long as a page of it is mapped. */
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
	/* The window ends at MM_ADDR_MAX, and has the space for itself. */
	bool whole;
	uint64_t max_areas;
	uint64_t max_pages;
	uint64_t brk_start;
	uint64_t brk;
	struct model_page page[MODEL_PAGES];
};

/* Whether two neighbouring pages belong to one VMA. */
bool model_same_vma(const struct model_page *left, const struct model_page *right);

/* Does one random operation and compares what comes of it. */
void model_step(struct model *model);

/* Compares the VMAs, and every byte of every page that can be read. */
void model_check(struct model *model);

#endif
