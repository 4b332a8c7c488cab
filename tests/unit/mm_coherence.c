/* SPDX-License-Identifier: MIT */
/*
 * A mapping shows the contents of the file, whatever write(2) and ftruncate(2) do to the file
 * meanwhile and afterwards.
 */
#define _GNU_SOURCE /* memfd_create() */
#include "files.h"
#include "forks.h"
#include "mm/space.h"

#include <sys/mman.h>
#include <sys/resource.h>

static void write_byte(int fd, uint64_t offset, int value)
{
	unsigned char byte = (unsigned char)value;

	CHECK_EQ(pwrite(fd, &byte, 1, (off_t)offset), 1);
}

TEST(mm_coherence, write_and_mappings_see_each_other)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);
		int fd = new_file(PAGES(2));

		map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
		map_file_at(mm, 10, 2, RW, MM_MAP_PRIVATE, fd, 0);
		for (int value = 200; value < 210; value++) {
			write_byte(fd, 5, value);
			CHECK_EQ(peek(mm, AT(0) + 5), value);
			CHECK_EQ(peek(mm, AT(10) + 5), value);
			CHECK_EQ(poke(mm, AT(1) + 6, value), 0);
			CHECK_EQ(byte_in_file(fd, PAGES(1) + 6), value);
			CHECK_EQ(peek(mm, AT(11) + 6), value);
		}
		/* A private copy of a page does not show later writes to the file. */
		CHECK_EQ(poke(mm, AT(10) + 6, 1), 0);
		write_byte(fd, 5, 100);
		CHECK_EQ(peek(mm, AT(10) + 5), 209);
		CHECK_EQ(peek(mm, AT(0) + 5), 100);
		end_space(mm);
		close(fd);
	}
}

/* Unmaps, replaces, moves over or destroys the mapping. The caller then writes to the file. */
static struct mm *unmap_in_a_way(struct mm *mm, unsigned int way)
{
	struct mm *child;
	uint64_t addr;

	switch (way) {
	case 0:
		CHECK_EQ(mm_munmap(mm, AT(0), PAGES(8)), 0);
		break;
	case 1:
		map(mm, 0, 8, RW);
		break;
	case 2:
		map(mm, 20, 8, RW);
		CHECK_EQ(mm_mremap(mm, AT(20), PAGES(8), PAGES(8),
				   MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(0), &addr),
			 0);
		break;
	case 3:
		CHECK_EQ(mm_msync(mm, AT(0), PAGES(8), MM_MS_SYNC), 0);
		CHECK_EQ(mm_fork(mm, &child), 0);
		CHECK_EQ(mm_munmap(mm, AT(0), PAGES(8)), 0);
		mm_destroy(child);
		break;
	default:
		mm_destroy(mm);
		mm = new_space();
	}
	return mm;
}

TEST(mm_coherence, bytes_written_to_the_file_after_munmap_stay)
{
	unsigned int rounds = test_scale(40);
	struct mm *mm = new_space();

	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int way = 0; way < 5; way++) {
			int fd = new_file(PAGES(8));

			map_file_at(mm, 0, 8, RW, MM_MAP_SHARED, fd, 0);
			for (unsigned int page = 0; page < 8; page++)
				CHECK_EQ(poke(mm, AT(page), 200), 0);
			mm = unmap_in_a_way(mm, way);
			write_byte(fd, PAGES(7), 201);
			/*
			 * If the library wrote pages back late, it would have written them by now.
			 */
			CHECK_EQ(mm_munmap(mm, 0, MM_ADDR_MAX), 0);
			CHECK_EQ(byte_in_file(fd, PAGES(7)), 201);
			for (unsigned int page = 0; page < 7; page++)
				CHECK_EQ(byte_in_file(fd, PAGES(page)), 200);
			close(fd);
		}
	}
	end_space(mm);
}

/*
 * Sizes
 */

TEST(mm_coherence, touched_pages_behind_the_end_of_a_file_that_shrinks_are_not_there)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);
		int fd = new_file(PAGES(4));

		map_file_at(mm, 0, 4, RW, MM_MAP_SHARED, fd, 0);
		map_file_at(mm, 10, 4, RW, MM_MAP_PRIVATE, fd, 0);
		map_file_at(mm, 20, 4, RW, MM_MAP_PRIVATE, fd, 0);
		for (unsigned int page = 0; page < 3; page++) {
			CHECK_EQ(poke(mm, AT(page), 200), 0);
			CHECK_EQ(peek(mm, AT(10 + page)), 200);
			CHECK_EQ(poke(mm, AT(20 + page), 201), 0);
		}
		CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
		for (unsigned int first = 0; first <= 20; first += 10) {
			CHECK_EQ(peek(mm, AT(first)), first < 20 ? 200 : 201);
			for (unsigned int page = first + 1; page < first + 4; page++) {
				CHECK_EQ(peek(mm, AT(page)), -MM_BUS_ADRERR);
				CHECK_EQ(poke(mm, AT(page), 1), -MM_BUS_ADRERR);
				CHECK_EQ(mm_fault(mm, AT(page), R, NULL), EFAULT);
				CHECK_EQ(mm_fault(mm, AT(page), W, NULL), EFAULT);
			}
			CHECK_EQ(mm_madvise(mm, AT(first), PAGES(4), MM_MADV_POPULATE_READ),
				 EFAULT);
		}
		check_space(mm);
		/*
		 * The new part of the file is zeroes. So are private mappings of it, whose copies
		 * are gone.
		 */
		CHECK_EQ(ftruncate(fd, (off_t)PAGES(4)), 0);
		for (unsigned int first = 0; first <= 20; first += 10) {
			CHECK_EQ(peek(mm, AT(first)), first < 20 ? 200 : 201);
			for (unsigned int page = first + 1; page < first + 4; page++)
				CHECK_EQ(peek(mm, AT(page)), 0);
		}
		CHECK_EQ(poke(mm, AT(2), 202), 0);
		CHECK_EQ(peek(mm, AT(22)), 202);
		end_space(mm);
		close(fd);
	}
}

TEST(mm_coherence, a_copy_that_is_found_behind_the_end_by_an_access_does_not_come_back)
{
	for (unsigned int write = 0; write <= 1; write++) {
		struct mm *mm = new_space(), *child;
		int fd = new_file(PAGES(2));

		map_file_at(mm, 0, 2, RW, MM_MAP_PRIVATE, fd, 0);
		CHECK_EQ(poke(mm, AT(1), 200), 0);
		/* Both spaces have the copy, and neither may write to it. */
		CHECK_EQ(mm_fork(mm, &child), 0);
		CHECK_EQ(peek(child, AT(1)), 200);
		CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
		CHECK_EQ(write ? poke(mm, AT(1), 1) : peek(mm, AT(1)), -MM_BUS_ADRERR);
		CHECK_EQ(write ? poke(child, AT(1), 1) : peek(child, AT(1)), -MM_BUS_ADRERR);
		check_space(mm);
		check_space(child);
		CHECK_EQ(stats_of(mm).frames, 0);
		CHECK_EQ(ftruncate(fd, (off_t)PAGES(2)), 0);
		CHECK_EQ(peek(mm, AT(1)), 0);
		CHECK_EQ(peek(child, AT(1)), 0);
		end_space(child);
		end_space(mm);
		close(fd);
	}
}

TEST(mm_coherence, more_copies_than_a_tlb_has_room_for_are_used)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	CHECK_EQ(ftruncate(fd, (off_t)PAGES(200)), 0);
	map_file_at(mm, 0, 200, RW, MM_MAP_PRIVATE, fd, 0);
	for (int round = 0; round < 3; round++)
		for (unsigned int page = 0; page < 200; page++) {
			CHECK_EQ(poke(mm, AT(page) + 1, 1 + round), 0);
			CHECK_EQ(peek(mm, AT(199 - page) + 1), page < 100 ? round : 1 + round);
		}
	end_space(mm);
	close(fd);
}

TEST(mm_coherence, a_copy_moves_and_stays_a_copy)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(2));
	uint64_t addr;

	map_file_at(mm, 0, 2, RW, MM_MAP_PRIVATE, fd, 0);
	CHECK_EQ(poke(mm, AT(1), 200), 0);
	CHECK_EQ(mm_mremap(mm, AT(1), PAGES(1), PAGES(1), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			   AT(9), &addr),
		 0);
	CHECK_EQ(mm_mprotect(mm, AT(9), PAGES(1), R), 0);
	CHECK_EQ(peek(mm, AT(9)), 200);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
	CHECK_EQ(peek(mm, AT(9)), -MM_BUS_ADRERR);
	CHECK_EQ(mm_mprotect(mm, AT(9), PAGES(1), RW), 0);
	CHECK_EQ(poke(mm, AT(9), 1), -MM_BUS_ADRERR);
	end_space(mm);
	close(fd);
}

TEST(mm_coherence, an_access_over_the_end_says_where_the_end_is)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(3));
	unsigned char bytes[2 * MM_PAGE_SIZE];
	struct mm_siginfo info;

	map_file_at(mm, 0, 3, RW, MM_MAP_SHARED, fd, 0);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(mm_read(mm, AT(0) + 100, bytes, sizeof(bytes), NULL), 0);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(mm_read(mm, AT(0) + 100, bytes, sizeof(bytes), &info), EFAULT);
	CHECK_EQ(info.addr, AT(1));
	CHECK_EQ(info.code, MM_BUS_ADRERR);
	for (unsigned int i = 0; i < MM_PAGE_SIZE - 100; i++)
		CHECK_EQ(bytes[i], file_pattern(100 + i));
	CHECK_EQ(mm_read(mm, AT(1) + 100, bytes, sizeof(bytes), &info), EFAULT);
	CHECK_EQ(info.addr, AT(1) + 100);
	memset(bytes, 7, sizeof(bytes));
	CHECK_EQ(mm_write(mm, AT(0) + 100, bytes, sizeof(bytes), &info), EFAULT);
	CHECK_EQ(info.addr, AT(1));
	CHECK_EQ(byte_in_file(fd, PAGES(1) - 1), 7);
	CHECK_EQ(byte_in_file(fd, PAGES(1)), -1);
	end_space(mm);
	close(fd);
}

TEST(mm_coherence, a_mapping_grows_beyond_the_mapped_part_of_the_file)
{
	static const int types[] = { MM_MAP_SHARED, MM_MAP_PRIVATE };

	for (unsigned int i = 0; i < 2; i++) {
		struct mm *mm = new_space();
		int fd = new_file(PAGES(1)), result;
		uint64_t addr;

		CHECK_EQ(ftruncate(fd, (off_t)PAGES(2000)), 0);
		write_byte(fd, PAGES(1500), 200);
		map_file_at(mm, 0, 1, RW, types[i], fd, 0);
		CHECK_EQ(peek(mm, AT(0)), file_pattern(0));
		CHECK_EQ(mm_mremap(mm, AT(0), PAGES(1), PAGES(3000), 0, 0, &addr), 0);
		result = mm_fault(mm, AT(1500), R, NULL);
		if (result == ENOMEM) {
			puts("skipped: the system has no mremap() that maps a file again");
		} else {
			CHECK_EQ(peek(mm, AT(1500)), 200);
			CHECK_EQ(poke(mm, AT(1999), 201), 0);
			CHECK_EQ(byte_in_file(fd, PAGES(1999)), i ? 0 : 201);
			CHECK_EQ(peek(mm, AT(2000)), -MM_BUS_ADRERR);
		}
		end_space(mm);
		close(fd);
	}
}

/*
 * Descriptors
 */

/* Checks that another process finds the file locked. */
static void check_locked(void *arg)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	CHECK_EQ(fcntl(*(int *)arg, F_GETLK, &lock), 0);
	CHECK_EQ(lock.l_type, F_WRLCK);
}

TEST(mm_coherence, the_record_locks_of_the_process_are_kept)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct mm *mm = new_space(), *child;
	int fd = new_file(PAGES(2));

	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 5, 2, RW, MM_MAP_PRIVATE, fd, 0);
	check_in_child(check_locked, &fd);
	CHECK_EQ(poke(mm, AT(0), 200), 0);
	CHECK_EQ(poke(mm, AT(5), 200), 0);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(2), MM_MS_SYNC), 0);
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(10)), 0);
	mm_destroy(child);
	check_in_child(check_locked, &fd);
	end_space(mm);
	check_in_child(check_locked, &fd);
	close(fd);
}

TEST(mm_coherence, no_descriptor_is_needed_but_the_callers)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(2)), next = dup(fd);
	struct rlimit limit, none_left;

	CHECK_EQ(close(next), 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none_left = limit;
	none_left.rlim_cur = (rlim_t)fd + 1;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(poke(mm, AT(1), 200), 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_EQ(dup(0), fd);
	CHECK_EQ(dup(0), next);
	close(fd);
	close(next);
	end_space(mm);
}

TEST(mm_coherence, errno_is_left_alone)
{
	struct mm *mm = new_space(), *child;
	int fd = new_file(PAGES(2)), reader = reopen(fd, O_RDONLY);
	uint64_t addr;

	errno = 7777;
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), R, MM_MAP_PRIVATE, -1, 0, &addr), EBADF);
	CHECK_EQ(errno, 7777);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, MM_MAP_SHARED, reader, 0, &addr), EACCES);
	CHECK_EQ(errno, 7777);
	map_file_at(mm, 0, 3, R, MM_MAP_SHARED, reader, 0);
	map_file_at(mm, 5, 3, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(errno, 7777);
	CHECK_EQ(poke(mm, AT(5), 200), 0);
	CHECK_EQ(peek(mm, AT(7)), -MM_BUS_ADRERR);
	CHECK_EQ(mm_msync(mm, AT(5), PAGES(3), MM_MS_SYNC), 0);
	CHECK_EQ(mm_mremap(mm, AT(5), PAGES(3), PAGES(500), MM_MREMAP_MAYMOVE, 0, &addr), 0);
	/* EFAULT, or ENOMEM if the system cannot map the page. */
	CHECK(mm_fault(mm, addr + PAGES(400), R, NULL));
	CHECK_EQ(mm_fork(mm, &child), 0);
	mm_destroy(child);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(3)), 0);
	CHECK_EQ(errno, 7777);
	end_space(mm);
	CHECK_EQ(errno, 7777);
	close(reader);
	close(fd);
}

/* In the child of a process that has the file mapped. */
static void map_in_child(void *arg)
{
	struct mm *mm = new_space();
	int fd = *(int *)arg;

	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(peek(mm, AT(0)), 200);
	CHECK_EQ(poke(mm, AT(1), 201), 0);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
	CHECK_EQ(peek(mm, AT(1)), -MM_BUS_ADRERR);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(2)), 0);
	CHECK_EQ(poke(mm, AT(1), 202), 0);
	end_space(mm);
}

TEST(mm_coherence, the_child_of_fork_maps_the_file_on_its_own)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(2));

	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(poke(mm, AT(0), 200), 0);
	check_in_child(map_in_child, &fd);
	CHECK_EQ(peek(mm, AT(1)), 202);
	end_space(mm);
	close(fd);
}

/*
 * Seals
 */

#ifdef MFD_ALLOW_SEALING
static int new_memfd(int seals)
{
	int fd = memfd_create("mm_coherence", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(2)), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The error of mmap(2) itself. */
static int linux_error(int fd, int prot, int flags)
{
	void *mapped = mmap(NULL, PAGES(1), prot, flags, fd, 0);

	if (mapped == MAP_FAILED)
		return errno;
	CHECK_EQ(munmap(mapped, PAGES(1)), 0);
	return 0;
}

static int mm_error(struct mm *mm, int fd, int prot, int flags)
{
	uint64_t addr = AT(0);
	int error = mm_mmap(mm, AT(0), PAGES(1), prot, flags, fd, 0, &addr);

	if (!error)
		CHECK_EQ(mm_munmap(mm, addr, PAGES(1)), 0);
	return error;
}

TEST(mm_coherence, sealed_files_are_mapped_as_linux_maps_them)
{
	static const int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_WRITE,
#ifdef F_SEAL_FUTURE_WRITE
				     F_SEAL_FUTURE_WRITE
#endif
	};
	struct mm *mm = new_space();

	for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
		int fd = new_memfd(seals[i]);
		bool sealed = i >= 2;

		for (int prot = 0; prot < 8; prot++) {
			CHECK_EQ(mm_error(mm, fd, prot, MM_MAP_SHARED),
				 linux_error(fd, prot, MAP_SHARED));
			CHECK_EQ(mm_error(mm, fd, prot, MM_MAP_PRIVATE),
				 linux_error(fd, prot, MAP_PRIVATE));
		}
		if (!linux_error(fd, PROT_READ, MAP_SHARED)) {
			map_file_at(mm, 0, 1, R, MM_MAP_SHARED, fd, 0);
			CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), RW), sealed ? EACCES : 0);
			CHECK_EQ(poke(mm, AT(0), 1), sealed ? -MM_SEGV_ACCERR : 0);
		}
		map_file_at(mm, 1, 1, RW, MM_MAP_PRIVATE, fd, 0);
		CHECK_EQ(poke(mm, AT(1), 2), 0);
		CHECK_EQ(mm_munmap(mm, AT(0), PAGES(2)), 0);
		close(fd);
	}
	end_space(mm);
}

TEST(mm_coherence, a_file_can_be_sealed_once_no_shared_mapping_can_write_to_it)
{
	struct mm *mm = new_space();
	int fd = new_memfd(F_SEAL_GROW);

	map_file_at(mm, 0, 2, R, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 5, 2, RW, MM_MAP_PRIVATE, fd, 0);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(poke(mm, AT(5), 1), 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) && errno == EBUSY);
	/* By the time that mm_munmap() returns, not some time later. */
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_EQ(peek(mm, AT(5)), 1);
	CHECK_EQ(peek(mm, AT(6)), 0);
	end_space(mm);
	close(fd);
}

/* The read-only mapping that replaces a file's mapping until the grace period is over. */
static void unmap_without_data(void *arg)
{
	const struct rlimit none = { 0, 0 };
	struct mm *mm = new_space();
	int fd = *(int *)arg;
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(1000), RW, MM_MAP_SHARED, fd, 0, &addr), 0);
	CHECK_EQ(poke(mm, addr, 200), 0);
	CHECK_EQ(setrlimit(RLIMIT_DATA, &none), 0);
	CHECK_EQ(mm_munmap(mm, addr, PAGES(1000)), 0);
	/* The file can be sealed once its mapping has ended. */
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST(mm_coherence, a_mapping_ends_at_once_where_the_process_may_have_no_more_data)
{
	int fd = new_memfd(0);

	if (test_scale(10) < 10) {
		puts("skipped: a sanitizer needs data of its own");
	} else {
		check_in_child(unmap_without_data, &fd);
		CHECK_EQ(byte_in_file(fd, 0), 200);
	}
	close(fd);
}
#endif

/*
 * Cost
 */

/* A process has no addresses for so many mappings, unless the library unmaps them in time. */
TEST(mm_coherence, large_mappings_come_and_go)
{
	unsigned int rounds = test_scale(400);
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t addr;
		int error = mm_mmap(mm, 0, UINT64_C(1) << 40, RW, MM_MAP_SHARED, fd, 0, &addr);

		if (!i && error == ENOMEM) {
			puts("skipped: a process has no TiB of addresses here");
			break;
		}
		CHECK_EQ(error, 0);
		CHECK_EQ(peek(mm, addr + 1), file_pattern(1));
		CHECK_EQ(mm_munmap(mm, addr, UINT64_C(1) << 40), 0);
	}
	end_space(mm);
	close(fd);
}

/* A call that fails unmaps the file again: a process has addresses for few of these mappings. */
TEST(mm_coherence, large_mappings_that_fail_leave_room)
{
	unsigned int rounds = test_scale(400);
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	CHECK_EQ(try_map(mm, AT(0), UINT64_C(1) << 40, PRIVATE | MM_MAP_FIXED), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t addr;
		int error = mm_mmap(mm, AT(0), UINT64_C(1) << 40, RW,
				    MM_MAP_SHARED | MM_MAP_FIXED_NOREPLACE, fd, 0, &addr);

		if (!i && error == ENOMEM) {
			puts("skipped: a process has no TiB of addresses here");
			break;
		}
		CHECK_EQ(error, EEXIST);
		/* The program can map the file, too. */
		if (i % 40 == 39) {
			void *own = mmap(NULL, PAGES(100), PROT_READ, MAP_SHARED, fd, 0);

			CHECK(own != MAP_FAILED);
			CHECK_EQ(munmap(own, PAGES(100)), 0);
		}
	}
	end_space(mm);
	close(fd);
}

/* Too little to be freed at once: a call that lacks room waits for the grace period. */
static void *map_much(void *arg)
{
	uint64_t addr;
	int fd = *(int *)arg;
	struct mm *mm = new_space();

	for (unsigned int i = 0; i < 2; i++) {
		CHECK_EQ(mm_mmap(mm, 0, PAGES(1 << 16), RW, MM_MAP_SHARED, fd, 0, &addr), 0);
		CHECK_EQ(mm_munmap(mm, addr, PAGES(1 << 16)), 0);
	}
	mm_destroy(mm);
	return NULL;
}

/*
 * The size of the process's address space in pages of the system, or 0 if the system does not
 * report it.
 */
static unsigned long long size_of_process(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long size = 0;

	if (file && fscanf(file, "%llu", &size) != 1)
		size = 0;
	if (file)
		fclose(file);
	return size;
}

static void map_with_little_room(void *arg)
{
	struct mm *mm = new_space();
	struct rlimit limit;
	unsigned long long size;
	uint64_t addr;

	/* Allocates the thread's structures. */
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, MM_MAP_SHARED, *(int *)arg, 0, &addr), 0);
	CHECK_EQ(mm_munmap(mm, addr, PAGES(1)), 0);
	mm__rcu_barrier();
	size = size_of_process();
	if (!size) {
		puts("skipped: the system does not say how large the process is");
		mm_destroy(mm);
		return;
	}
	CHECK_EQ(getrlimit(RLIMIT_AS, &limit), 0);
	/* Room for one mapping of 256 MiB, and not for two. */
	limit.rlim_cur =
		(rlim_t)(size * (unsigned long long)sysconf(_SC_PAGESIZE) + (384ULL << 20));
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	map_much(arg);
	mm_destroy(mm);
}

TEST(mm_coherence, a_file_is_mapped_into_the_room_of_one_that_was_unmapped)
{
	int fd = new_file(PAGES(1));

	if (test_scale(10) < 10)
		puts("skipped: a sanitizer takes addresses as it likes");
	else
		check_in_child(map_with_little_room, &fd);
	close(fd);
}

/* Memory that the library allocated for the pages would show as frames. */
TEST(mm_coherence, pages_of_a_file_have_no_frames)
{
	struct mm *mm = new_space(), *child;
	int fd = new_file(PAGES(1));

	CHECK_EQ(ftruncate(fd, (off_t)PAGES(2000)), 0);
	map_file_at(mm, 0, 2000, RW, MM_MAP_SHARED, fd, 0);
	for (unsigned int page = 0; page < 2000; page++)
		CHECK_EQ(poke(mm, AT(page), 1), 0);
	CHECK_EQ(stats_of(mm).frames, 0);
	CHECK_EQ(stats_of(mm).pages, 2000);
	/* A child has none of the pages until it uses them. */
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(stats_of(child).pages, 0);
	CHECK_EQ(stats_of(child).tables, 1);
	CHECK_EQ(peek(child, AT(7)), 1);
	CHECK_EQ(stats_of(child).frames, 0);
	mm_destroy(child);
	end_space(mm);
	close(fd);
}
