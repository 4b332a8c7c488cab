/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of the address space: short names for pages, accesses, and a notation for the
 * mappings, in the form of /proc/self/maps.
 */
#ifndef TESTS_SPACES_H
#define TESTS_SPACES_H

#include "test.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <string.h>

#define BASE     UINT64_C(0x100000000000)
#define PAGES(n) ((uint64_t)(n)*MM_PAGE_SIZE)
#define AT(n)    (BASE + PAGES(n))

#define NONE MM_PROT_NONE
#define R    MM_PROT_READ
#define W    MM_PROT_WRITE
#define X    MM_PROT_EXEC
#define RW   (R | W)

#define PRIVATE (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS)
#define SHARED  (MM_MAP_SHARED | MM_MAP_ANONYMOUS)

static const enum mm_locking lockings[] = { MM_LOCKING_RANGE, MM_LOCKING_COARSE, MM_LOCKING_RWLOCK,
					    MM_LOCKING_SPECULATIVE };
#define NR_LOCKINGS (sizeof(lockings) / sizeof(lockings[0]))

static inline struct mm *new_space_with(const struct mm_attr *attr)
{
	struct mm *mm = NULL;

	CHECK_EQ(mm_create(&mm, attr), 0);
	return mm;
}

static inline struct mm *new_space(void)
{
	return new_space_with(NULL);
}

static inline struct mm *new_space_locking(enum mm_locking locking)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.locking = locking;
	return new_space_with(&attr);
}

static inline struct mm *new_space_of_vmas(uint64_t max_vmas)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.max_areas = max_vmas;
	return new_space_with(&attr);
}

static inline struct mm *new_space_of_pages(uint64_t max_pages)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.max_pages = max_pages;
	return new_space_with(&attr);
}

static inline void check_space(struct mm *mm)
{
	char message[128] = "";

	if (mm_validate(mm, message, sizeof(message)))
		test_fail(__FILE__, __LINE__, "not valid: %s", message);
}

/*
 * The last line of most tests: checks that every invariant holds, and that no page is left once
 * everything is unmapped.
 */
static inline void end_space(struct mm *mm)
{
	struct mm_stats stats;

	check_space(mm);
	CHECK_EQ(mm_munmap(mm, 0, MM_ADDR_MAX), 0);
	check_space(mm);
	mm_get_stats(mm, &stats, sizeof(stats));
	CHECK_EQ(stats.areas, 0);
	CHECK_EQ(stats.pages, 0);
	mm_destroy(mm);
}

static inline struct mm_stats stats_of(struct mm *mm)
{
	struct mm_stats stats;

	mm_get_stats(mm, &stats, sizeof(stats));
	return stats;
}

/* How often threads have locked the VMA tree. */
static inline uint64_t lock_holds(struct mm *mm)
{
	struct mm_stats stats = stats_of(mm);
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MM_NR_HOLD_TIMES; i++)
		sum += stats.hold_times[i];
	return sum;
}

/* Maps n pages at page first. */
static inline void map_as(struct mm *mm, unsigned int first, unsigned int n, int prot, int flags)
{
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, AT(first), PAGES(n), prot, flags | MM_MAP_FIXED, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(first));
}

static inline void map(struct mm *mm, unsigned int first, unsigned int n, int prot)
{
	map_as(mm, first, n, prot, PRIVATE);
}

/* mm_mmap() of private memory; ignores the address that it returns. */
static inline int try_map(struct mm *mm, uint64_t addr, uint64_t length, int flags)
{
	uint64_t result;

	return mm_mmap(mm, addr, length, RW, flags, -1, 0, &result);
}

/* The byte at addr, or minus the error that prevents reading it. */
static inline int peek(struct mm *mm, uint64_t addr)
{
	struct mm_siginfo info = { 0, MM_SEGV_MAPERR };
	unsigned char byte;
	int error = mm_read(mm, addr, &byte, 1, &info);

	CHECK(!error || error == EFAULT);
	if (error)
		CHECK_EQ(info.addr, addr);
	return error ? -(int)info.code : byte;
}

/* Writes a byte. Returns 0, or minus the error that prevents it. */
static inline int poke(struct mm *mm, uint64_t addr, int value)
{
	struct mm_siginfo info = { 0, MM_SEGV_MAPERR };
	unsigned char byte = (unsigned char)value;
	int error = mm_write(mm, addr, &byte, 1, &info);

	CHECK(!error || error == EFAULT);
	if (error)
		CHECK_EQ(info.addr, addr);
	return error ? -(int)info.code : 0;
}

struct vma_text {
	char text[1024];
	size_t length;
};

static inline int append_vma(const struct mm_area *vma, void *arg)
{
	struct vma_text *out = arg;
	const char *space = out->length ? " " : "";
	int n;

	n = snprintf(out->text + out->length, sizeof(out->text) - out->length,
		     "%s%" PRIu64 "-%" PRIu64 ":%c%c%c%c", space, (vma->start - BASE) / PAGES(1),
		     (vma->end - BASE) / PAGES(1), vma->prot & R ? 'r' : '-',
		     vma->prot & W ? 'w' : '-', vma->prot & X ? 'x' : '-',
		     vma->flags & MM_MAP_SHARED ? 's' : 'p');
	out->length += (size_t)n;
	CHECK(out->length < sizeof(out->text));
	return 0;
}

/* The VMAs match a text such as "0-4:rw-p 6-8:r--s", in pages from BASE. */
#define CHECK_VMAS(mm, expected)                                                                   \
	do {                                                                                       \
		struct vma_text text_ = { "", 0 };                                                 \
		mm_for_each_area(mm, append_vma, &text_);                                          \
		if (strcmp(text_.text, expected))                                                  \
			test_fail(__FILE__, __LINE__, "VMAs are \"%s\", not \"%s\"", text_.text,   \
				  expected);                                                       \
	} while (0)

#endif
