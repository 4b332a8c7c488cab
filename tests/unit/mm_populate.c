/* SPDX-License-Identifier: MIT */
/* MM_MAP_POPULATE, MM_MADV_POPULATE_READ and MM_MADV_POPULATE_WRITE. */
#include "files.h"
#include "threads.h"

#include <stdbool.h>

#define READ  MM_MADV_POPULATE_READ
#define WRITE MM_MADV_POPULATE_WRITE

/* Whether an access needs no fault. */
static bool is_ready(struct mm *mm, uint64_t addr, int access)
{
	uint64_t present = stats_of(mm).faults_present;

	CHECK_EQ(mm_fault(mm, addr, access, NULL), 0);
	return stats_of(mm).faults_present == present + 1;
}

TEST(mm_populate, a_mapping_can_be_made_present_at_once)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		map_as(mm, 0, 4, RW, PRIVATE | MM_MAP_POPULATE);
		CHECK_EQ(stats_of(mm).pages, 4);
		CHECK(is_ready(mm, AT(3), W));
		map_as(mm, 10, 4, R, PRIVATE | MM_MAP_POPULATE);
		CHECK_EQ(stats_of(mm).pages, 8);
		map_as(mm, 20, 4, RW, SHARED | MM_MAP_POPULATE);
		CHECK_EQ(stats_of(mm).pages, 12);
		/* The flag does not belong to the VMA, so the VMA merges. */
		map(mm, 4, 1, RW);
		CHECK_VMAS(mm, "0-5:rw-p 10-14:r--p 20-24:rw-s");
		end_space(mm);
	}
}

TEST(mm_populate, a_mapping_is_made_whether_or_not_its_pages_can_be)
{
	struct mm *mm = new_space_of_pages(2);
	int fd = new_file(PAGES(1));

	map_as(mm, 0, 4, RW, PRIVATE | MM_MAP_POPULATE);
	CHECK_VMAS(mm, "0-4:rw-p");
	CHECK_EQ(stats_of(mm).pages, 2);
	map_as(mm, 8, 4, NONE, PRIVATE | MM_MAP_POPULATE);
	map_file_at(mm, 12, 2, R, MM_MAP_SHARED | MM_MAP_POPULATE, fd, 0);
	CHECK_EQ(stats_of(mm).pages, 3);
	CHECK_VMAS(mm, "0-4:rw-p 8-12:---p 12-14:r--s");
	end_space(mm);
	close(fd);
}

TEST(mm_populate, private_writable_pages_are_copied_at_once)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	map_file_at(mm, 0, 1, RW, MM_MAP_PRIVATE | MM_MAP_POPULATE, fd, 0);
	CHECK_EQ(stats_of(mm).frames, 1);
	CHECK(is_ready(mm, AT(0), W));
	map_file_at(mm, 1, 1, R, MM_MAP_PRIVATE | MM_MAP_POPULATE, fd, 0);
	map_file_at(mm, 2, 1, RW, MM_MAP_SHARED | MM_MAP_POPULATE, fd, 0);
	CHECK_EQ(stats_of(mm).pages, 3);
	CHECK_EQ(stats_of(mm).frames, 1);
	end_space(mm);
	close(fd);
}

TEST(mm_populate, for_reading_and_for_writing)
{
	struct mm *mm = new_space(), *child;

	map(mm, 0, 4, RW);
	CHECK_EQ(mm_madvise(mm, AT(1), PAGES(2), READ), 0);
	CHECK_EQ(stats_of(mm).pages, 2);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(4), WRITE), 0);
	CHECK_EQ(stats_of(mm).pages, 4);
	CHECK(is_ready(mm, AT(1), W));
	/* Present pages stay. */
	CHECK_EQ(poke(mm, AT(1), 7), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(4), WRITE), 0);
	CHECK_EQ(peek(mm, AT(1)), 7);
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(mm_madvise(child, AT(0), PAGES(4), READ), 0);
	CHECK_EQ(stats_of(mm).frames, 4);
	CHECK_EQ(mm_madvise(child, AT(0), PAGES(4), WRITE), 0);
	CHECK_EQ(stats_of(mm).frames, 8);
	CHECK_EQ(peek(child, AT(1)), 7);
	end_space(child);
	end_space(mm);
}

TEST(mm_populate, pages_of_files)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(3));

	map_file_at(mm, 0, 3, RW, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 10, 3, RW, MM_MAP_PRIVATE, fd, 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(3), READ), 0);
	CHECK_EQ(mm_madvise(mm, AT(10), PAGES(3), WRITE), 0);
	CHECK_EQ(stats_of(mm).pages, 6);
	CHECK_EQ(stats_of(mm).frames, 3);
	CHECK_EQ(peek(mm, AT(12)), file_pattern(PAGES(2)));
	map_file_at(mm, 20, 3, RW, MM_MAP_SHARED, fd, 1);
	CHECK_EQ(mm_madvise(mm, AT(20), PAGES(3), READ), EFAULT);
	CHECK_EQ(stats_of(mm).pages, 8);
	end_space(mm);
	close(fd);
}

TEST(mm_populate, errors_are_those_of_madvise)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	map(mm, 2, 2, R);
	map(mm, 4, 1, NONE);
	map(mm, 6, 1, RW);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(4), WRITE), EINVAL);
	CHECK_EQ(stats_of(mm).pages, 2);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(5), READ), EINVAL);
	CHECK_EQ(stats_of(mm).pages, 4);
	CHECK_EQ(mm_madvise(mm, AT(5), PAGES(2), READ), ENOMEM);
	CHECK_EQ(mm_madvise(mm, AT(6), PAGES(2), READ), ENOMEM);
	CHECK_EQ(stats_of(mm).pages, 5);
	CHECK_EQ(mm_madvise(mm, AT(0) + 1, PAGES(1), READ), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), 0, WRITE), 0);
	CHECK_EQ(mm_madvise(mm, AT(9), 0, WRITE), 0);
	end_space(mm);
}

TEST(mm_populate, without_pages_it_says_so)
{
	struct mm *mm = new_space_of_pages(2);

	map(mm, 0, 3, RW);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(3), WRITE), ENOMEM);
	CHECK_EQ(stats_of(mm).pages, 2);
	end_space(mm);
}

static atomic_bool over;

static void *map_again(void *mm)
{
	for (unsigned int i = 0; i < test_scale(10000); i++)
		map(mm, 0, 8, RW);
	atomic_store(&over, true);
	return NULL;
}

/*
 * A thread that makes pages present holds no range for which a fault would wait behind a thread
 * that maps.
 */
TEST(mm_populate, goes_on_while_others_map)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);
		pthread_t thread;

		map(mm, 0, 8, RW);
		atomic_store(&over, false);
		thread = thread_start(map_again, mm);
		for (unsigned int k = 0; !atomic_load(&over); k++)
			CHECK_EQ(mm_madvise(mm, AT(0), PAGES(8), k % 2 ? READ : WRITE), 0);
		thread_join(thread);
		CHECK_EQ(stats_of(mm).areas, 1);
		end_space(mm);
	}
}
