/* SPDX-License-Identifier: MIT */
/* The linker redirects the library's calls of msync(2) to this file. */
#include "files.h"

#include <sys/mman.h>

static unsigned int calls;
static size_t stored; /* bytes, by all calls */
static int next_error;

int __real_msync(void *addr, size_t length, int flags);
int __wrap_msync(void *addr, size_t length, int flags);

int __wrap_msync(void *addr, size_t length, int flags)
{
	int error = next_error;

	CHECK_EQ(flags, MS_SYNC);
	calls++;
	stored += length;
	next_error = 0;
	if (!error)
		return __real_msync(addr, length, flags);
	errno = error;
	return -1;
}

/* The library has two mappings of the file, of which the newer one has the pages. */
TEST(mm_msync, stores_pages_below_those_that_were_mapped_first)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	CHECK_EQ(ftruncate(fd, PAGES(100001)), 0);
	map_file_at(mm, 10, 1, RW, MM_MAP_SHARED, fd, 100000);
	map_file_at(mm, 0, 1, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(poke(mm, AT(0), 200), 0);
	calls = 0;
	stored = 0;
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(1), MM_MS_SYNC), 0);
	CHECK_EQ(calls, 1);
	CHECK_EQ(stored, PAGES(1));
	end_space(mm);
	close(fd);
}

TEST(mm_msync, tells_the_system_to_store_the_part_of_each_file)
{
	struct mm *mm = new_space(), *child;
	int fd = new_file(PAGES(100)), other = new_file(PAGES(100));

	calls = 0;
	stored = 0;
	map_file_at(mm, 0, 100, RW, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 100, 50, RW, MM_MAP_SHARED, other, 50);
	map_file_at(mm, 150, 50, RW, MM_MAP_PRIVATE, other, 0);
	map(mm, 200, 50, RW);
	for (unsigned int page = 0; page < 250; page++)
		CHECK_EQ(poke(mm, AT(page), 200), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(250), MM_MS_ASYNC), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(250), 0), 0);
	CHECK_EQ(calls, 0);
	CHECK_EQ(mm_msync(mm, AT(90), PAGES(140), MM_MS_SYNC), 0);
	CHECK_EQ(calls, 2);
	CHECK_EQ(stored, PAGES(10 + 50));
	/* Mappings end without a wait for the storing of pages. */
	CHECK_EQ(mm_fork(mm, &child), 0);
	mm_destroy(child);
	end_space(mm);
	CHECK_EQ(calls, 2);
	close(other);
	close(fd);
}

TEST(mm_msync, reports_an_error_of_the_file)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(2));

	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(poke(mm, AT(0), 200), 0);
	next_error = EIO;
	errno = 7777;
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_SYNC), EIO);
	CHECK_EQ(errno, 7777);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_SYNC), 0);
	end_space(mm);
	close(fd);
}

/* The file has each byte as soon as it is written, and keeps it. */
TEST(mm_msync, stores_nothing_that_the_file_does_not_have_already)
{
	static const int kinds[] = { 0, MM_MS_SYNC, MM_MS_ASYNC, MM_MS_SYNC | MM_MS_INVALIDATE };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct mm *mm = new_space();
		int fd = new_file(PAGES(3));

		map_file_at(mm, 0, 3, RW, MM_MAP_SHARED, fd, 0);
		for (unsigned int page = 0; page < 3; page++)
			CHECK_EQ(poke(mm, AT(page) + 5, 200 + (int)page), 0);
		CHECK_EQ(mm_msync(mm, AT(1), PAGES(1), kinds[i]), 0);
		CHECK_EQ(byte_in_file(fd, PAGES(1) + 5), 201);
		CHECK_EQ(byte_in_file(fd, 6), file_pattern(6));
		CHECK_EQ(mm_msync(mm, AT(0), PAGES(3), kinds[i]), 0);
		CHECK_EQ(byte_in_file(fd, 5), 200);
		CHECK_EQ(byte_in_file(fd, PAGES(2) + 5), 202);
		/* The next msync() stores later writes. */
		CHECK_EQ(poke(mm, AT(1) + 5, 210), 0);
		CHECK_EQ(mm_msync(mm, AT(1), 1, kinds[i]), 0);
		CHECK_EQ(byte_in_file(fd, PAGES(1) + 5), 210);
		end_space(mm);
		close(fd);
	}
}

TEST(mm_msync, a_hole_is_an_error_after_the_rest_has_been_done)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(3));

	map_file_at(mm, 0, 3, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(mm_munmap(mm, AT(1), PAGES(1)), 0);
	CHECK_EQ(poke(mm, AT(0), 200), 0);
	CHECK_EQ(poke(mm, AT(2), 201), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(3), MM_MS_SYNC), ENOMEM);
	CHECK_EQ(byte_in_file(fd, 0), 200);
	CHECK_EQ(byte_in_file(fd, PAGES(2)), 201);
	CHECK_EQ(mm_msync(mm, AT(2), PAGES(2), MM_MS_SYNC), ENOMEM);
	CHECK_EQ(mm_msync(mm, AT(7), PAGES(2), MM_MS_SYNC), ENOMEM);
	end_space(mm);
	close(fd);
}

TEST(mm_msync, memory_without_a_file_has_nothing_to_write)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	map_as(mm, 2, 2, RW, SHARED);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(poke(mm, AT(i), (int)i + 1), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(4), MM_MS_SYNC), 0);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(peek(mm, AT(i)), (int)i + 1);
	end_space(mm);
}

TEST(mm_msync, bad_calls_are_refused)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_msync(mm, AT(0) + 1, PAGES(1), MM_MS_SYNC), EINVAL);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(1), MM_MS_SYNC | MM_MS_ASYNC), EINVAL);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(1), 8), EINVAL);
	CHECK_EQ(mm_msync(mm, AT(0), 0, MM_MS_SYNC), 0);
	CHECK_EQ(mm_msync(mm, AT(9), 0, MM_MS_SYNC), 0);
	CHECK_EQ(mm_msync(mm, AT(0), UINT64_MAX - AT(0), MM_MS_SYNC), ENOMEM);
	end_space(mm);
}

TEST(mm_msync, locked_vmas_are_not_invalidated)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_mlock(mm, AT(1), PAGES(1)), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_SYNC), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(1), MM_MS_INVALIDATE), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_INVALIDATE), EBUSY);
	CHECK_EQ(mm_munlock(mm, AT(1), PAGES(1)), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_INVALIDATE), 0);
	end_space(mm);
}
