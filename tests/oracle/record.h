/* SPDX-License-Identifier: MIT */
/* What an operation did, on one of the two sides. */
#ifndef TESTS_ORACLE_RECORD_H
#define TESTS_ORACLE_RECORD_H

#include "op.h"

#define MAX_VMAS (3 * MAX_OPS)

/* A VMA, as far as it is in the window. */
struct vma {
	uint16_t start; /* in pages from the start of the window */
	uint16_t end;
	uint8_t prot;
	bool shared;
	bool anonymous;
	/* In the kernel only: */
	uint64_t offset;
	uint64_t inode;
	uint64_t vm_flags; /* all but those of the protection, and VM_ACCOUNT; if they were read */
};

struct vmas {
	unsigned int count;
	bool vm_flags_known;
	bool at_limit; /* what failed at the limit may have split some */
	struct vma vma[MAX_VMAS];
};

/* Of a page: what OP_SCAN found there, or OP_MINCORE. */
enum {
	PAGE_READ,
	PAGE_MAPERR,
	PAGE_ACCERR,
	PAGE_ADRERR,
	PAGE_ABSENT,
	PAGE_PRESENT,
	PAGE_UNMAPPED,
	PAGE_LEFT_OUT
};

struct record {
	bool skipped; /* the space was not there; or see README.md */
	int error;
	uint64_t result;
	int fault_code;
	uint64_t fault_addr;
	uint64_t hash; /* of all bytes read */
	uint8_t pages[NR_WATCHED];
	struct vmas vmas; /* afterwards; last, as it is large */
};

/* One side of a comparison. Written by a process of its own, so it is in shared memory. */
struct side {
	struct record records[MAX_OPS];
	unsigned int reached; /* the operation in progress */
	bool finished;
	const char *unable; /* why the sequence cannot be run here: a constant; or NULL */
	char errors[256];   /* what a process that has not finished has said */
};

/* Empties all records. */
void side_clear(struct side *side);

/* The index of the VMA of a page of the window. VMAs->count if there is none. */
unsigned int vmas_find(const struct vmas *vmas, uint64_t page);

bool vmas_look_the_same(const struct vma *a, const struct vma *b);

/*
 * Whether two VMAs in the kernel are one for all that can be seen: Linux keeps such VMAs apart
 * for reasons of its own, the simulated space does not.
 */
bool vmas_go_on(const struct vmas *kernel, const struct vma *left, const struct vma *right);

#endif
