/* SPDX-License-Identifier: MIT */
/*
 * The compact trace file: a program's operations on its address space, in an order in which they
 * can be replayed.
 *
 * Numbers are unsigned LEB128 varints (seven bits a byte, low ones first, bit 7 of a byte: more
 * follow), so that the file is the same on every machine; "signed" ones are zigzag coded: 0, -1, 1,
 * -2 as 0, 1, 2, 3.
 *
 *	8 bytes   "mmtrace\n"
 *	varint    version: 1
 *	varint    length of the program's name, then its bytes; at most 63, printable ASCII
 *	varint    threads: at least 1
 *	varint    first page of the heap (brk_start / 4096)
 *	varint    operations
 *	records   one per operation, in an order in which one thread can do all of them
 *	8 bytes   FNV-1a, 64 bits, of all bytes before; low byte first
 *
 * A record begins with a byte: the kind in bits 0-3 (enum trace_kind), then
 *	bit 4     another thread than that of the record before: the thread's number follows as a
 *	          varint (the thread before the first record is 0)
 *	bit 5     faults only: on the page after the thread's last one; otherwise a signed varint
 *	          follows: the distance in pages from there (the first one counts from page 0)
 *	bit 6     faults only: at the same offset in its page as the thread's last fault (0
 *	          before the first); otherwise a varint with the offset follows
 * Records that are not faults have bits 5-7 clear, faults bit 7. After the thread's number come
 *	mmap      page (signed distance), pages, prot, flags as MM_MAP_.. (always fixed,
 *	          in one of the two ways)
 *	munmap    page (signed distance), pages
 *	mprotect  page (signed distance), pages, prot
 *	mremap    page (signed distance), pages, new page (signed distance from the old one),
 *	          new pages
 *	madvise   page (signed distance), pages, advice as MM_MADV_..
 *	brk       0 to ask, otherwise 1 + distance in bytes from the start of the heap
 * For the next record, the page, or the first of the pages, is the thread's last one. brk does not
 * change that.
 *
 * A trace does not keep times, addresses of instructions, and the files behind mappings (they
 * become private anonymous mappings of the same protection).
 */
#ifndef REPLAY_TRACE_FORMAT_H
#define REPLAY_TRACE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_MAGIC       "mmtrace\n"
#define TRACE_MAGIC_SIZE  8
#define TRACE_VERSION     1
#define TRACE_NAME_SIZE   64
#define TRACE_MAX_THREADS 4096
#define TRACE_MAX_FILE    (UINT32_C(1) << 28)

/* The values are those in the file. */
enum trace_kind {
	TRACE_READ,  /* a fault of a read */
	TRACE_WRITE, /* .. of a write */
	TRACE_EXEC,  /* .. of an instruction fetch */
	TRACE_MMAP,
	TRACE_MUNMAP,
	TRACE_MPROTECT,
	TRACE_MREMAP,
	TRACE_MADVISE,
	TRACE_BRK,
	TRACE_KINDS
};

/*
 * One operation. Addresses and lengths are in bytes. Except for faults and brk, they are multiples
 * of a page.
 */
struct trace_op {
	uint64_t addr;       /* brk: the requested end, 0 for a question */
	uint64_t length;     /* 0 for faults and brk */
	uint64_t new_addr;   /* mremap: the result; brk: the end of the heap afterwards */
	uint64_t new_length; /* mremap; brk: the end of the heap before */
	uint32_t thread;     /* from 0, in the order of the first appearance */
	uint32_t flags;      /* mmap: MM_MAP_..; madvise: MM_MADV_.. */
	uint8_t kind;        /* enum trace_kind */
	uint8_t prot;        /* mmap, mprotect */
};

struct trace {
	char name[TRACE_NAME_SIZE];
	uint64_t brk_start; /* 0 if there is no brk */
	uint32_t threads;
	size_t count;
	struct trace_op *ops; /* from malloc() */
};

static inline bool trace_is_fault(const struct trace_op *op)
{
	return op->kind <= TRACE_EXEC;
}

/* "mmap", "write fault" .. */
const char *trace_kind_name(enum trace_kind kind);

/* A half-open span of pages. */
struct trace_pages {
	uint64_t start;
	uint64_t end;
};

/* The first page that begins at or behind an address. */
uint64_t trace_page_after(uint64_t addr);

/*
 * The page number that stands for the end of the heap, which every brk changes or asks for. It is
 * beyond all pages, so that brk calls overlap each other, but make no other operations overlap.
 */
#define TRACE_BRK_PAGE UINT64_C(0x1000000000000)

/*
 * The pages that an operation changes, or on which its outcome depends. Returns how many of the two
 * spans there are.
 */
unsigned int trace_op_pages(const struct trace_op *op, struct trace_pages pages[2]);

/*
 * Describes the error in an operation of a trace in a sentence; NULL if there is none. Readers and
 * writers require that there is none.
 */
const char *trace_op_check(const struct trace *trace, const struct trace_op *op);

/*
 * Codes a trace into *data, from malloc(). 0; EINVAL an operation, or a count, is invalid; ENOMEM.
 */
int trace_encode(const struct trace *trace, unsigned char **data, size_t *size);

/*
 * Decodes a file's bytes, which may be arbitrary. Allocates at most a multiple of size. 0; EINVAL
 * with a sentence on the first error in message; ENOMEM. On error *trace is all zeroes.
 */
int trace_decode(struct trace *trace, const unsigned char *data, size_t size, char *message,
		 size_t message_size);

/*
 * The same with a file. On error the sentence in message names the file. The function removes a
 * half-written file.
 */
int trace_read(struct trace *trace, const char *path, char *message, size_t message_size);
int trace_write(const struct trace *trace, const char *path, char *message, size_t message_size);

void trace_destroy(struct trace *trace);

#endif
