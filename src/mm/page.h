/* SPDX-License-Identifier: MIT */
/* page - arithmetic with addresses and pages. */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdint.h>

#define MM__PROT_ALL (MM_PROT_READ | MM_PROT_WRITE | MM_PROT_EXEC)

/* Rounds up to whole pages; 0 if that wraps. */
static inline uint64_t mm__page_align(uint64_t length)
{
	return (length + MM_PAGE_SIZE - 1) & ~(MM_PAGE_SIZE - 1);
}

static inline uint64_t mm__page_start(uint64_t addr)
{
	return addr & ~(MM_PAGE_SIZE - 1);
}

static inline bool mm__page_aligned(uint64_t addr)
{
	return !(addr & (MM_PAGE_SIZE - 1));
}

static inline uint64_t mm__min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t mm__max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
