/* SPDX-License-Identifier: MIT */
/* The result of an operation on one of the two sides. */
#ifndef TESTS_ORACLE_RECORD_H
#define TESTS_ORACLE_RECORD_H

#include "op.h"

#define MAX_VMAS (3 * MAX_OPS)

/* The part of a VMA that is in the window. */
struct vma {
	uint16_t start; /* in pages from the start of the window */
	uint16_t end;
	uint8_t prot;
	bool shared;
	bool anonymous;
	/* From the kernel only: */
	uint64_t offset;
	uint64_t inode;
	uint64_t vm_flags; /* all but those of the protection, and VM_ACCOUNT; if the kernel's side
			      read them */
};

struct vmas {
	unsigned int count;
	bool vm_flags_known;
	bool at_limit; /* an operation that failed at the limit may have split VMAs */
	struct vma vma[MAX_VMAS];
};

/* The state of a page that OP_SCAN or OP_MINCORE found. */
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
	bool skipped; /* the space did not exist; or see README.md */
	int error;
	uint64_t result;
	int fault_code;
	uint64_t fault_addr;
	uint64_t hash; /* a hash of all bytes read */
	uint8_t pages[NR_WATCHED];
	struct vmas vmas; /* after the operation; the last member, as it is large */
};

/* One side of a comparison, in shared memory, because a process of its own writes it. */
struct side {
	struct record records[MAX_OPS];
	unsigned int reached; /* the operation in progress */
	bool finished;
	const char *
		unable; /* a constant string: why the sequence cannot run on this system; or NULL */
	char errors[256]; /* messages of a process that has not finished */
};

/* Empties all records. */
void side_clear(struct side *side);

/* Returns the index of the VMA of a page of the window, or vmas->count if there is none. */
unsigned int vmas_find(const struct vmas *vmas, uint64_t page);

bool vmas_look_the_same(const struct vma *a, const struct vma *b);

/*
 * Whether two VMAs of the kernel differ in nothing visible. Linux keeps such VMAs apart for reasons
 * of its own; the simulated space merges them.
 */
bool vma_continues(const struct vmas *kernel, const struct vma *left, const struct vma *right);

#endif
