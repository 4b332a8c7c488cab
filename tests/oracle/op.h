/* SPDX-License-Identifier: MIT */
/*
 * An operation on memory, which Linux and the simulated space both carry out.
 *
 * What is compared is a window of the address space: everything around it is taken on both sides,
 * so that what looks for a place finds it in the window or nowhere. The window lies elsewhere in
 * the kernel; addresses in operations and records are those of the simulated space.
 *
 * Operations do not depend on what earlier ones said, so that any of them can be left out.
 */
#ifndef TESTS_ORACLE_OP_H
#define TESTS_ORACLE_OP_H

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdio.h>

#define WINDOW_PAGES 64
#define WINDOW_SIZE  (WINDOW_PAGES * MM_PAGE_SIZE)
/* Its middle is where tables of all levels but the topmost end. */
#define WINDOW_START ((UINT64_C(1) << 40) - WINDOW_SIZE / 2)
#define WINDOW_END   (WINDOW_START + WINDOW_SIZE)

#define NR_SPACES 3 /* one, and what mm_fork() makes of it */
#define MAX_OPS   256

enum op_kind {
	OP_MMAP,
	OP_MUNMAP,
	OP_MPROTECT,
	OP_MREMAP,
	OP_MADVISE,
	OP_BRK,
	OP_READ,
	OP_WRITE,
	OP_SCAN,    /* reads every page of the window */
	OP_MINCORE, /* and then asks for every single page of the window */
	OP_MSYNC,
	OP_MLOCK,
	OP_MUNLOCK,
	OP_FORK, /* to the space `other` */
	OP_EXIT,
	NR_OP_KINDS
};

/* What operations may make use of, or-ed. */
enum feature {
	FEATURE_FILES = 1,
	FEATURE_FORK = 2,
	FEATURE_MSYNC = 4,
	FEATURE_MLOCK = 8,
	FEATURE_POPULATE = 16,
	FEATURE_SHARED_RESIZE = 32, /* mremap() of shared memory, also with old_length 0 */
	FEATURE_STACK = 64,         /* MAP_STACK keeps areas apart */
	FEATURE_ALL = 127
};

struct op {
	enum op_kind kind;
	unsigned int space;
	unsigned int other;
	uint64_t addr;
	uint64_t length;
	uint64_t new_length;
	uint64_t new_addr;
	uint64_t offset;
	int prot;
	int flags;          /* also the advice of madvise() */
	unsigned int file;  /* which of files.h */
	bool vm_flags;      /* whether VmFlags are compared afterwards, too: that takes longer */
	unsigned char data; /* what is written */
};

struct sequence {
	unsigned int locking;  /* any number */
	unsigned int features; /* that the simulated space has */
	/* What the simulated side only claims to have done; NR_OP_KINDS: nothing. */
	enum op_kind forgotten;
	unsigned int count;
	struct op ops[MAX_OPS];
};

const char *op_name(enum op_kind kind);

/* As a call, without the end of the line. */
void op_print(FILE *out, const struct op *op);

/* An address as the operations have it: relative to the window, if it is in there. */
void op_print_addr(FILE *out, uint64_t addr);

/* The byte that a write puts at its start plus i. */
static inline unsigned char op_byte(const struct op *op, uint64_t i)
{
	return (unsigned char)(op->data + i * 7 + (i >> 8));
}

/* A hash of bytes, one after the other; begins with 0. */
static inline uint64_t op_hash(uint64_t hash, uint64_t data)
{
	hash = (hash ^ data ^ 0x9e37) * UINT64_C(0xbf58476d1ce4e5b9);
	return hash ^ (hash >> 29);
}

#endif
