/* SPDX-License-Identifier: MIT */
/* mm_mincore() reports which pages are present, with the errors of Linux. */
#include "test.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <string.h>

#define BASE  (UINT64_C(0x40000000) - 2 * MM_PAGE_SIZE) /* in two page tables */
#define FIXED (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED)

static struct mm *make(enum mm_locking locking)
{
	struct mm_attr attr;
	uint64_t addr;
	struct mm *mm;

	mm_attr_init(&attr);
	attr.locking = locking;
	CHECK_EQ(mm_create(&mm, &attr), 0);
	CHECK_EQ(mm_mmap(mm, BASE, 4 * MM_PAGE_SIZE, 3, FIXED, -1, 0, &addr), 0);
	CHECK_EQ(mm_mprotect(mm, BASE + 2 * MM_PAGE_SIZE, MM_PAGE_SIZE, MM_PROT_READ), 0);
	CHECK_EQ(mm_write(mm, BASE + MM_PAGE_SIZE, "x", 1, NULL), 0);
	CHECK_EQ(mm_fault(mm, BASE + 2 * MM_PAGE_SIZE, MM_PROT_READ, NULL), 0);
	return mm;
}

TEST(mincore, says_which_pages_are_present)
{
	for (int locking = MM_LOCKING_RANGE; locking <= MM_LOCKING_RWLOCK; locking++) {
		struct mm *mm = make((enum mm_locking)locking);
		unsigned char vec[5] = { 7, 7, 7, 7, 7 };

		CHECK_EQ(mm_mincore(mm, BASE, 4 * MM_PAGE_SIZE, vec), 0);
		CHECK(!memcmp(vec, "\0\1\1\0\7", 5));
		CHECK_EQ(mm_mincore(mm, BASE + MM_PAGE_SIZE, 1, vec + 4), 0);
		CHECK_EQ(vec[4], 1);
		CHECK_EQ(mm_madvise(mm, BASE, 2 * MM_PAGE_SIZE, MM_MADV_DONTNEED), 0);
		CHECK_EQ(mm_mincore(mm, BASE, 4 * MM_PAGE_SIZE, vec), 0);
		CHECK(!memcmp(vec, "\0\0\1\0", 4));
		mm_destroy(mm);
	}
}

TEST(mincore, refuses_the_arguments_that_linux_refuses_and_leaves_the_result_alone)
{
	struct mm *mm = make(MM_LOCKING_RANGE);
	unsigned char vec[8] = { 7, 7, 7, 7, 7, 7, 7, 7 };

	CHECK_EQ(mm_mincore(mm, BASE + 1, MM_PAGE_SIZE, vec), EINVAL);
	CHECK_EQ(mm_mincore(mm, BASE, 0, vec), 0);
	CHECK_EQ(mm_mincore(mm, BASE, 4 * MM_PAGE_SIZE + 1, vec), ENOMEM);
	CHECK_EQ(mm_mincore(mm, BASE - MM_PAGE_SIZE, 2 * MM_PAGE_SIZE, vec), ENOMEM);
	CHECK_EQ(mm_mincore(mm, MM_ADDR_MAX, MM_PAGE_SIZE, vec), ENOMEM);
	CHECK_EQ(mm_mincore(mm, BASE, UINT64_MAX, vec), ENOMEM);
	CHECK_EQ(mm_munmap(mm, BASE + MM_PAGE_SIZE, MM_PAGE_SIZE), 0);
	CHECK_EQ(mm_mincore(mm, BASE, 4 * MM_PAGE_SIZE, vec), ENOMEM);
	CHECK(!memcmp(vec, "\7\7\7\7\7\7\7\7", 8));
	mm_destroy(mm);
}
