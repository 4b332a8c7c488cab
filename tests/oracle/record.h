/* SPDX-License-Identifier: MIT */
/* What an operation did, on one of the two sides. */
#ifndef TESTS_ORACLE_RECORD_H
#define TESTS_ORACLE_RECORD_H

#include "op.h"

/* An area, as far as it is in the window. */
struct area {
	uint8_t start; /* in pages from the start of the window */
	uint8_t end;
	uint8_t prot;
	bool shared;
	bool anonymous;
	/* The kernel's VmFlags without those of the protection and VM_ACCOUNT, if they were read. */
	uint64_t vm_flags;
};

struct areas {
	unsigned int count;
	bool vm_flags_known;
	struct area area[WINDOW_PAGES];
};

/* Of a page: what OP_SCAN found there, or OP_MINCORE. */
enum { PAGE_READ, PAGE_MAPERR, PAGE_ACCERR, PAGE_ADRERR, PAGE_ABSENT, PAGE_PRESENT, PAGE_UNMAPPED };

struct record {
	bool skipped; /* the space was not there; or see README.md */
	int error;
	uint64_t result;
	int fault_code;
	uint64_t fault_addr;
	uint64_t hash; /* of all bytes read */
	uint8_t pages[WINDOW_PAGES];
	struct areas areas; /* afterwards */
};

/* The index of the area of a page of the window. areas->count if there is none. */
static inline unsigned int areas_find(const struct areas *areas, uint64_t page)
{
	unsigned int i = 0;

	while (i < areas->count && (areas->area[i].end <= page || areas->area[i].start > page))
		i++;
	return i;
}

#endif
