/* SPDX-License-Identifier: MIT */
/* Files for tests that map them. They have no name, so that a test leaves no file behind. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include "spaces.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

/* The byte of the file at an offset. */
static inline int file_pattern(uint64_t offset)
{
	return 1 + (int)(offset % 251);
}

/* A file of size bytes, open for reading and writing. */
static inline int new_file(uint64_t size)
{
	char path[] = "/tmp/mm_file.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQ(unlink(path), 0);
	for (uint64_t offset = 0; offset < size;) {
		unsigned char bytes[4096];
		size_t n = 0;

		for (; n < sizeof(bytes) && offset < size; n++)
			bytes[n] = (unsigned char)file_pattern(offset++);
		CHECK_EQ(write(fd, bytes, n), n);
	}
	return fd;
}

/* Another descriptor of the file, with other access rights. */
static inline int reopen(int fd, int flags)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags);
	CHECK(again >= 0);
	return again;
}

/* The byte at an offset of the file itself; -1: the file ends before. */
static inline int byte_in_file(int fd, uint64_t offset)
{
	unsigned char byte;
	ssize_t n = pread(fd, &byte, 1, (off_t)offset);

	CHECK(n >= 0);
	return n ? byte : -1;
}

/*
 * Whether the system's mremap() can map a file again, for mappings that grow. If not, prints that.
 */
static inline bool can_map_again(int fd)
{
	struct mm *mm = new_space();
	uint64_t addr;
	int error;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), R, MM_MAP_PRIVATE, fd, 0, &addr), 0);
	CHECK_EQ(mm_mremap(mm, addr, PAGES(1), PAGES(500), MM_MREMAP_MAYMOVE, 0, &addr), 0);
	error = mm_fault(mm, addr + PAGES(200), R, NULL);
	mm_destroy(mm);
	if (error == ENOMEM)
		puts("skipped: the system has no mremap() that maps a file again");
	return error != ENOMEM;
}

/* Maps n pages of the file, from its page `of` on, at page first. */
static inline void map_file_at(struct mm *mm, unsigned int first, unsigned int n, int prot,
			       int flags, int fd, unsigned int page)
{
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, AT(first), PAGES(n), prot, flags | MM_MAP_FIXED, fd, PAGES(page),
			 &addr),
		 0);
}

#endif
