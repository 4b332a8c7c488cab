/* SPDX-License-Identifier: MIT */
/*
 * An operation on memory, which both Linux and the simulated space carry out.
 *
 * The sides are compared in a window of the address space. Everything around the window is occupied
 * on both sides, so an operation that looks for a place finds one in the window or nowhere. In the
 * kernel the window lies at another address; operations and records use the addresses of the
 * simulated space.
 *
 * An operation does not depend on the results of earlier ones, so any of them can be left out.
 */
#ifndef TESTS_ORACLE_OP_H
#define TESTS_ORACLE_OP_H

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdio.h>

#define SMALL_WINDOW 64u   /* pages; the windows of most sequences */
#define LARGE_WINDOW 4096u /* pages; twice the maximum size of a stack */
/* The middle of a small window is where tables of all levels but the topmost end. */
#define WINDOW_START ((UINT64_C(1) << 40) - SMALL_WINDOW / 2 * MM_PAGE_SIZE)

#define NR_SPACES  3 /* one, and its children by mm_fork() */
#define MAX_OPS    256
#define NR_WATCHED 64 /* pages that OP_SCAN and OP_MINCORE look at */
#define MAX_ACCESS (4 * MM_PAGE_SIZE)
#define NO_LIMIT   UINT32_MAX

enum op_kind {
	OP_MMAP,
	OP_MUNMAP,
	OP_MPROTECT,
	OP_MREMAP,
	OP_MADVISE,
	OP_BRK,
	OP_READ,
	OP_WRITE,
	OP_SCAN,    /* reads every watched page */
	OP_MINCORE, /* as OP_SCAN, and then asks mincore() for each watched page by itself */
	OP_MSYNC,
	OP_MLOCK,
	OP_MUNLOCK,
	OP_TRUNCATE, /* sets the length of a file to `length` bytes */
	OP_PWRITE,   /* write(2) to a file */
	OP_PREAD,
	OP_FORK, /* makes the space `other` */
	OP_EXIT,
	NR_OP_KINDS,
	/* Besides operations, the simulated side can be made to forget: */
	FORGET_LIMIT = NR_OP_KINDS, /* the limit on the number of VMAs */
	FORGET_STACKS,              /* MM_MAP_GROWSDOWN */
	FORGET_SEALS,               /* seals of files */
	FORGET_NOTHING
};

/* Features that operations may use, or-ed. */
enum feature {
	FEATURE_FILES = 1,
	FEATURE_FORK = 2,
	FEATURE_MSYNC = 4,
	FEATURE_MLOCK = 8,
	FEATURE_POPULATE = 16,
	FEATURE_SHARED_RESIZE = 32, /* mremap() of shared memory, also with old_length 0 */
	FEATURE_STACK = 64,         /* MAP_STACK keeps VMAs apart */
	FEATURE_GROWSDOWN = 128,
	FEATURE_SIZES = 256,  /* system calls that change the size or the contents of files */
	FEATURE_SEALS = 512,  /* sealed files */
	FEATURE_LIMIT = 1024, /* a limit on the number of VMAs */
	FEATURE_LARGE = 2048, /* large windows */
	FEATURE_MLOCK_LARGE = 4096,
	FEATURE_ALL = 8191
};

/* The kind of operation that a sequence has more of than others. */
enum mode { MODE_PLAIN, MODE_FILES, MODE_LOCKED, MODE_STACKS, MODE_LARGE, MODE_LIMIT, NR_MODES };

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
	int flags;          /* or the advice of madvise() */
	unsigned int file;  /* the index of a file of files.h */
	bool vm_flags;      /* also compares VmFlags afterwards, which takes longer */
	unsigned char data; /* the data to write */
};

struct sequence {
	enum mode mode;
	unsigned int locking;             /* any number */
	unsigned int features;            /* the features that the sequence uses */
	unsigned int pages;               /* of the window */
	uint32_t limit;                   /* of VMAs in the window; NO_LIMIT: none */
	unsigned int watched[NR_WATCHED]; /* pages of the window */
	/* The simulated side skips operations of this kind, and claims to have done them. */
	enum op_kind forgotten;
	unsigned int count;
	struct op ops[MAX_OPS];
};

static inline uint64_t window_size(const struct sequence *sequence)
{
	return sequence->pages * MM_PAGE_SIZE;
}

static inline uint64_t window_end(const struct sequence *sequence)
{
	return WINDOW_START + window_size(sequence);
}

const char *op_name(enum op_kind kind);
const char *mode_name(enum mode mode);

/* Prints it as a call, without the end of the line. */
void op_print(FILE *out, const struct op *op);

/* Prints an address as the operations do: relative to the window, if it lies in the window. */
void op_print_addr(FILE *out, uint64_t addr);

/* The byte that a write stores at its start plus i. */
static inline unsigned char op_byte(const struct op *op, uint64_t i)
{
	return (unsigned char)(op->data + i * 7 + (i >> 8));
}

/* Adds bytes to a hash, which begins with 0. */
static inline uint64_t op_hash(uint64_t hash, uint64_t data)
{
	hash = (hash ^ data ^ 0x9e37) * UINT64_C(0xbf58476d1ce4e5b9);
	return hash ^ (hash >> 29);
}

#endif
