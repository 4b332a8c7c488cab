/* SPDX-License-Identifier: MIT */
/* Mappings of files. The linker redirects the library's calls of mmap(2) to this file. */
#include "files.h"
#include "mm/space.h"

#include <sys/mman.h>

static bool no_exec; /* as on a file system that is mounted with noexec */
static int replacement =
	-1; /* the file that another thread puts at a descriptor while the library maps a window */

void *__real_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);

void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (replacement >= 0 && fd >= 0 && length > MM_PAGE_SIZE)
		CHECK_EQ(dup2(replacement, fd), fd);
	if (!no_exec || fd < 0 || !(prot & PROT_EXEC))
		return __real_mmap(addr, length, prot, flags, fd, offset);
	errno = EPERM;
	return MAP_FAILED;
}

static int try_map_file(struct mm *mm, uint64_t length, int prot, int flags, int fd,
			uint64_t offset)
{
	uint64_t addr;

	return mm_mmap(mm, 0, length, prot, flags, fd, offset, &addr);
}

TEST(mm_file, shows_the_contents_of_the_file)
{
	int fd = new_file(PAGES(3) + 100);

	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		map_file_at(mm, 0, 3, R, MM_MAP_SHARED, fd, 0);
		map_file_at(mm, 10, 3, RW, MM_MAP_PRIVATE, fd, 1);
		for (uint64_t at = 0; at < PAGES(3); at += 77) {
			CHECK_EQ(peek(mm, AT(0) + at), file_pattern(at));
			if (at < PAGES(2) + 100)
				CHECK_EQ(peek(mm, AT(10) + at), file_pattern(PAGES(1) + at));
		}
		/* The last page is empty behind the end of the file. */
		CHECK_EQ(peek(mm, AT(12) + 99), file_pattern(PAGES(3) + 99));
		CHECK_EQ(peek(mm, AT(12) + 100), 0);
		CHECK_EQ(peek(mm, AT(13) - 1), 0);
		end_space(mm);
	}
	close(fd);
}

TEST(mm_file, bytes_written_to_a_private_mapping_stay_there)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(2)), reader = reopen(fd, O_RDONLY);

	map_file_at(mm, 0, 2, RW, MM_MAP_PRIVATE, reader, 0);
	map_file_at(mm, 10, 2, RW, MM_MAP_PRIVATE, fd, 0);
	/* Once after a read, and once without. */
	CHECK_EQ(peek(mm, AT(0)), file_pattern(0));
	CHECK_EQ(poke(mm, AT(0), 200), 0);
	CHECK_EQ(poke(mm, AT(1), 201), 0);
	CHECK_EQ(peek(mm, AT(0)), 200);
	CHECK_EQ(peek(mm, AT(0) + 1), file_pattern(1));
	CHECK_EQ(peek(mm, AT(1)), 201);
	CHECK_EQ(peek(mm, AT(1) + 1), file_pattern(PAGES(1) + 1));
	CHECK_EQ(peek(mm, AT(10)), file_pattern(0));
	CHECK_EQ(peek(mm, AT(11)), file_pattern(PAGES(1)));
	/* The space drops its copies, and the pages show the file again. */
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
	CHECK_EQ(peek(mm, AT(0)), file_pattern(0));
	CHECK_EQ(poke(mm, AT(0), 202), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_SYNC), 0);
	end_space(mm);
	CHECK_EQ(byte_in_file(fd, 0), file_pattern(0));
	CHECK_EQ(byte_in_file(fd, PAGES(1)), file_pattern(PAGES(1)));
	close(reader);
	close(fd);
}

TEST(mm_file, bytes_written_to_a_shared_mapping_are_seen_in_all_others)
{
	struct mm *mm = new_space(), *other = new_space();
	int fd = new_file(PAGES(2)), again = reopen(fd, O_RDWR);

	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 10, 1, RW, MM_MAP_SHARED, again, 1);
	map_file_at(other, 5, 2, RW, MM_MAP_SHARED, again, 0);
	map_file_at(other, 15, 2, RW, MM_MAP_PRIVATE, again, 0);
	CHECK_EQ(peek(other, AT(6)), file_pattern(PAGES(1)));
	CHECK_EQ(poke(mm, AT(1), 200), 0);
	CHECK_EQ(peek(mm, AT(10)), 200);
	CHECK_EQ(peek(other, AT(6)), 200);
	/* A private page without a copy shows the write, too. */
	CHECK_EQ(peek(other, AT(16)), 200);
	CHECK_EQ(poke(other, AT(16), 201), 0);
	CHECK_EQ(peek(mm, AT(1)), 200);
	CHECK_EQ(poke(other, AT(6) + 1, 202), 0);
	CHECK_EQ(peek(mm, AT(10) + 1), 202);
	/* The mappings need no descriptors any more. */
	close(again);
	CHECK_EQ(poke(mm, AT(0), 203), 0);
	end_space(mm);
	CHECK_EQ(peek(other, AT(5)), 203);
	end_space(other);
	CHECK_EQ(byte_in_file(fd, 0), 203);
	CHECK_EQ(byte_in_file(fd, PAGES(1)), 200);
	CHECK_EQ(byte_in_file(fd, PAGES(1) + 1), 202);
	close(fd);
}

TEST(mm_file, writes_reach_the_file_at_munmap_at_its_replacement_and_at_the_end)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(4) + 10);
	uint64_t addr;

	map_file_at(mm, 0, 5, RW, MM_MAP_SHARED, fd, 0);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_EQ(poke(mm, AT(i), 200 + (int)i), 0);
	CHECK_EQ(poke(mm, AT(4) + 10, 7), 0);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(1)), 0);
	CHECK_EQ(byte_in_file(fd, 0), 200);
	map(mm, 1, 1, RW);
	CHECK_EQ(byte_in_file(fd, PAGES(1)), 201);
	map(mm, 20, 1, RW);
	CHECK_EQ(mm_mremap(mm, AT(20), PAGES(1), PAGES(1), 3, AT(2), &addr), 0);
	CHECK_EQ(byte_in_file(fd, PAGES(2)), 202);
	mm_destroy(mm);
	CHECK_EQ(byte_in_file(fd, PAGES(3)), 203);
	CHECK_EQ(byte_in_file(fd, PAGES(4)), 204);
	CHECK_EQ(byte_in_file(fd, PAGES(4) + 9), file_pattern(PAGES(4) + 9));
	/* The file has not become longer. */
	CHECK_EQ(byte_in_file(fd, PAGES(4) + 10), -1);
	close(fd);
}

TEST(mm_file, there_is_nothing_beyond_its_last_page)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1) + 1);

	map_file_at(mm, 0, 4, RW, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 10, 4, RW, MM_MAP_PRIVATE, fd, 0);
	for (unsigned int first = 0; first <= 10; first += 10) {
		CHECK_EQ(peek(mm, AT(first + 1) + 1), 0);
		CHECK_EQ(peek(mm, AT(first + 2)), -MM_BUS_ADRERR);
		CHECK_EQ(poke(mm, AT(first + 3), 1), -MM_BUS_ADRERR);
		CHECK_EQ(mm_fault(mm, AT(first + 2), W, NULL), EFAULT);
	}
	CHECK_EQ(stats_of(mm).pages, 2);
	/* The file grows, and its pages can be accessed. */
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(3)), 0);
	CHECK_EQ(peek(mm, AT(2)), 0);
	CHECK_EQ(poke(mm, AT(12), 1), 0);
	CHECK_EQ(peek(mm, AT(3)), -MM_BUS_ADRERR);
	end_space(mm);
	close(fd);
}

TEST(mm_file, errors_are_those_of_mmap)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1)), ends[2];
	int reader = reopen(fd, O_RDONLY), writer = reopen(fd, O_WRONLY);

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_PRIVATE, -1, 0), EBADF);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_PRIVATE, 999, 0), EBADF);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_PRIVATE, ends[0], 0), ENODEV);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_SHARED, ends[0], 0), ENODEV);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_PRIVATE, writer, 0), EACCES);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_SHARED, writer, 0), EACCES);
	CHECK_EQ(try_map_file(mm, PAGES(1), RW, MM_MAP_SHARED, reader, 0), EACCES);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_SHARED, reader, 1), EINVAL);
	CHECK_EQ(try_map_file(mm, 0, R, MM_MAP_SHARED, reader, 0), EINVAL);
	CHECK_EQ(try_map_file(mm, PAGES(2), R, MM_MAP_SHARED, fd, UINT64_MAX & ~(PAGES(1) - 1)),
		 EOVERFLOW);
	/* A stack of a file: EINVAL. An unsuitable descriptor is reported first. */
	CHECK_EQ(try_map_file(mm, PAGES(1), RW, MM_MAP_PRIVATE | MM_MAP_GROWSDOWN, fd, 0), EINVAL);
	CHECK_EQ(try_map_file(mm, PAGES(1), RW, MM_MAP_SHARED | MM_MAP_GROWSDOWN, fd, 0), EINVAL);
	CHECK_EQ(try_map_file(mm, PAGES(1), RW, MM_MAP_SHARED | MM_MAP_GROWSDOWN, reader, 0),
		 EACCES);
	CHECK_EQ(try_map_file(mm, PAGES(1), R, MM_MAP_PRIVATE | MM_MAP_GROWSDOWN, writer, 0),
		 EACCES);
	CHECK_VMAS(mm, "");
	CHECK_EQ(try_map_file(mm, PAGES(1), RW, MM_MAP_PRIVATE, reader, 0), 0);
	end_space(mm);
	close(ends[0]);
	close(ends[1]);
	close(reader);
	close(writer);
	close(fd);
}

/* Another file takes the place of fd during the call. */
static void check_replaced(int flags)
{
	struct mm *mm = new_space();
	int file = new_file(PAGES(1)), other = new_file(PAGES(1)), fd = dup(file);

	CHECK_EQ(pwrite(other, "o", 1, 0), 1);
	replacement = other;
	CHECK_EQ(try_map_file(mm, PAGES(1), R, flags, fd, 0), EBADF);
	replacement = -1;
	CHECK_VMAS(mm, "");
	map_file_at(mm, 0, 1, R, flags, file, 0);
	CHECK_EQ(peek(mm, AT(0)), file_pattern(0));
	map_file_at(mm, 2, 1, R, flags, fd, 0);
	CHECK_EQ(peek(mm, AT(2)), 'o');
	end_space(mm);
	close(file);
	close(other);
	close(fd);
}

TEST(mm_file, a_descriptor_that_becomes_another_file_during_the_call_is_refused)
{
	check_replaced(MM_MAP_SHARED);
	check_replaced(MM_MAP_PRIVATE);
}

TEST(mm_file, a_shared_mapping_of_a_read_only_descriptor_never_becomes_writable)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1)), reader = reopen(fd, O_RDONLY);

	map_file_at(mm, 0, 1, R, MM_MAP_SHARED, reader, 0);
	map_file_at(mm, 2, 1, R, MM_MAP_PRIVATE, reader, 0);
	map_file_at(mm, 4, 1, R, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), RW), EACCES);
	CHECK_EQ(poke(mm, AT(0), 1), -MM_SEGV_ACCERR);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R | X), 0);
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), RW), 0);
	CHECK_EQ(poke(mm, AT(2), 1), 0);
	CHECK_EQ(mm_mprotect(mm, AT(4), PAGES(1), RW), 0);
	CHECK_EQ(poke(mm, AT(4), 100), 0);
	CHECK_EQ(peek(mm, AT(0)), 100);
	end_space(mm);
	CHECK_EQ(byte_in_file(fd, 0), 100);
	close(reader);
	close(fd);
}

TEST(mm_file, a_mapping_of_a_noexec_file_never_becomes_executable)
{
	static const int types[] = { MM_MAP_SHARED, MM_MAP_PRIVATE };
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	for (unsigned int i = 0; i < 2; i++) {
		no_exec = true;
		CHECK_EQ(try_map_file(mm, PAGES(1), R | X, types[i], fd, 0), EPERM);
		map_file_at(mm, 0, 1, R, types[i], fd, 0);
		no_exec = false;
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R | X), EACCES);
		CHECK_EQ(mm_fault(mm, AT(0), X, NULL), EFAULT);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), RW), 0);
		map_file_at(mm, 0, 1, R, types[i], fd, 0);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R | X), 0);
		CHECK_EQ(mm_fault(mm, AT(0), X, NULL), 0);
	}
	end_space(mm);
	close(fd);
}

TEST(mm_file, parts_that_continue_each_other_merge)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(8)), other = new_file(PAGES(8));

	map_file_at(mm, 0, 2, R, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 2, 2, R, MM_MAP_SHARED, fd, 2);
	map_file_at(mm, 4, 2, R, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 6, 2, R, MM_MAP_SHARED, other, 2);
	CHECK_VMAS(mm, "0-4:r--s 4-6:r--s 6-8:r--s");
	CHECK_EQ(peek(mm, AT(3)), file_pattern(PAGES(3)));
	CHECK_EQ(peek(mm, AT(4)), file_pattern(PAGES(0)));
	end_space(mm);
	close(other);
	close(fd);
}

TEST(mm_file, moves_take_the_place_in_the_file_along)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(8));
	uint64_t addr;

	map_file_at(mm, 0, 4, RW, MM_MAP_SHARED, fd, 2);
	map_file_at(mm, 10, 4, RW, MM_MAP_PRIVATE, fd, 2);
	CHECK_EQ(poke(mm, AT(11), 200), 0);
	CHECK_EQ(mm_mremap(mm, AT(1), PAGES(2), PAGES(3), 3, AT(21), &addr), 0);
	CHECK_EQ(mm_mremap(mm, AT(11), PAGES(2), PAGES(4), 3, AT(31), &addr), 0);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(peek(mm, AT(21 + i)), file_pattern(PAGES(3 + i)));
	CHECK_EQ(peek(mm, AT(31)), 200);
	for (unsigned int i = 1; i < 4; i++)
		CHECK_EQ(peek(mm, AT(31 + i)), file_pattern(PAGES(3 + i)));
	CHECK_EQ(poke(mm, AT(23), 201), 0);
	CHECK_EQ(mm_munmap(mm, AT(23), PAGES(1)), 0);
	CHECK_EQ(byte_in_file(fd, PAGES(5)), 201);
	end_space(mm);
	close(fd);
}

TEST(mm_file, no_frame_of_the_space_is_left)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(4));

	map_file_at(mm, 0, 4, RW, MM_MAP_PRIVATE, fd, 0);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(peek(mm, AT(i)), file_pattern(PAGES(i)));
	/* The frames belong to the file. */
	CHECK_EQ(stats_of(mm).frames, 0);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(3), 1), 0);
	CHECK_EQ(stats_of(mm).frames, 2);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(4)), 0);
	CHECK_EQ(stats_of(mm).frames, 0);
	end_space(mm);
	close(fd);
}
