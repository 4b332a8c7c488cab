/* SPDX-License-Identifier: MIT */
/*
 * Promises that every function of mm.h makes: it leaves errno alone, it writes results only on
 * success, and its constants have the values of Linux. CONTRACT.md lists the tests of all other
 * promises.
 */
#include "files.h"
#include "threads.h"

#include <sys/mman.h>

enum { OTHER = 4711 }; /* no function sets errno to this */

#define CHECK_ERRNO(call)                                                                          \
	do {                                                                                       \
		errno = OTHER;                                                                     \
		call;                                                                              \
		CHECK_EQ(errno, OTHER);                                                            \
	} while (0)
#define CHECK_RESULT(call, result) CHECK_ERRNO(CHECK_EQ(call, result))

static int map_at(struct mm *mm, unsigned int page, int flags, int fd)
{
	uint64_t addr;

	return mm_mmap(mm, AT(page), PAGES(4), RW, flags | MM_MAP_FIXED, fd, 0, &addr);
}

static void map_and_use(struct mm *mm, int file, int read_only, int directory)
{
	uint64_t addr;
	char byte;

	CHECK_RESULT(map_at(mm, 0, PRIVATE, -1), 0);
	CHECK_RESULT(map_at(mm, 4, MM_MAP_SHARED, file), 0);
	CHECK_RESULT(map_at(mm, 8, SHARED | MM_MAP_POPULATE, -1), 0);
	CHECK_RESULT(map_at(mm, 12, MM_MAP_PRIVATE, -1), EBADF);
	CHECK_RESULT(map_at(mm, 12, MM_MAP_PRIVATE, 1 << 20), EBADF);
	CHECK_RESULT(map_at(mm, 12, MM_MAP_PRIVATE, directory), ENODEV);
	CHECK_RESULT(map_at(mm, 12, MM_MAP_SHARED, read_only), EACCES);
	CHECK_RESULT(mm_mmap(mm, 0, 0, RW, PRIVATE, -1, 0, &addr), EINVAL);
	CHECK_RESULT(mm_read(mm, AT(0), &byte, 1, NULL), 0);
	CHECK_RESULT(mm_write(mm, AT(0), "x", 1, NULL), 0);
	CHECK_RESULT(mm_write(mm, AT(5), "x", 1, NULL), 0);
	CHECK_RESULT(mm_read(mm, AT(7), &byte, 1, NULL), EFAULT); /* beyond the end of the file */
	CHECK_RESULT(mm_read(mm, AT(20), &byte, 1, NULL), EFAULT);
	CHECK_RESULT(mm_fault(mm, AT(1), W, NULL), 0);
	CHECK_RESULT(mm_fault(mm, AT(20), W, NULL), EFAULT);
	CHECK_RESULT(mm_fault(mm, AT(1), 0, NULL), EINVAL);
}

static int see_vma(const struct mm_area *vma, void *arg)
{
	(void)vma, (void)arg;
	return 0;
}

static void ask(struct mm *mm)
{
	unsigned char present[12];
	struct mm_stats stats;

	CHECK_RESULT(mm_mincore(mm, AT(0), PAGES(12), present), 0);
	CHECK_RESULT(mm_mincore(mm, AT(0), PAGES(13), present), ENOMEM);
	CHECK_RESULT(mm_for_each_area(mm, see_vma, NULL), 0);
	CHECK_RESULT(mm_get_stats(mm, &stats, sizeof(stats)), 0);
	CHECK_RESULT(mm_get_stats(mm, &stats, 0), EINVAL);
	CHECK_RESULT(mm_validate(mm, NULL, 0), 0);
	CHECK_ERRNO((void)mm_fallback_name(MM_FALLBACK_TABLE));
	CHECK_ERRNO((void)mm_hold_time_end(3));
}

static void change(struct mm *mm)
{
	uint64_t addr;

	CHECK_RESULT(mm_mprotect(mm, AT(0), PAGES(2), R), 0);
	CHECK_RESULT(mm_mprotect(mm, AT(0), PAGES(13), R), ENOMEM);
	CHECK_RESULT(mm_mprotect(mm, AT(0), PAGES(12), RW), 0);
	CHECK_RESULT(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_RESULT(mm_madvise(mm, AT(4), PAGES(4), MM_MADV_POPULATE_READ), EFAULT);
	CHECK_RESULT(mm_madvise(mm, AT(0), PAGES(1), 4711), EINVAL);
	CHECK_RESULT(mm_mlock(mm, AT(0), PAGES(2)), 0);
	CHECK_RESULT(mm_mlock(mm, AT(20), PAGES(2)), ENOMEM);
	CHECK_RESULT(mm_munlock(mm, AT(0), PAGES(2)), 0);
	CHECK_RESULT(mm_msync(mm, AT(4), PAGES(4), MM_MS_SYNC), 0);
	CHECK_RESULT(mm_msync(mm, AT(4), PAGES(4), 0x100), EINVAL);
	CHECK_RESULT(mm_mremap(mm, AT(2), PAGES(2), PAGES(3), MM_MREMAP_MAYMOVE, 0, &addr), 0);
	CHECK_RESULT(mm_mremap(mm, AT(20), PAGES(2), PAGES(3), 0, 0, &addr), EFAULT);
	CHECK_RESULT(mm_brk(mm, 0, &addr), 0);
	CHECK_RESULT(mm_brk(mm, addr + PAGES(3), &addr), 0);
	CHECK_RESULT(mm_munmap(mm, AT(0), PAGES(1)), 0);
	CHECK_RESULT(mm_munmap(mm, AT(0), 0), EINVAL);
}

static void lock_some(struct mm *mm)
{
	struct mm_hold hold, none;

	CHECK_RESULT(mm_lock_range(mm, &hold, AT(4), AT(6), RANGE_READ), 0);
	CHECK_RESULT(mm_lock_range(mm, &none, AT(5), AT(7), RANGE_READ), EDEADLK);
	CHECK_RESULT(mm_lock_range(mm, &none, AT(5), AT(5), RANGE_READ), EINVAL);
	CHECK_RESULT(mm_munmap(mm, AT(5), PAGES(1)), EDEADLK);
	CHECK_ERRNO(mm_unlock_range(mm, &hold));
	CHECK_RESULT(mm_read_lock(mm), 0);
	CHECK_RESULT(mm_write_lock(mm), EDEADLK);
	CHECK_ERRNO(mm_read_unlock(mm));
	CHECK_RESULT(mm_write_lock(mm), 0);
	CHECK_ERRNO(mm_write_unlock(mm));
}

/* Runs in a thread of its own, because a thread's first calls can take other paths. */
static void *use_all(void *arg)
{
	int file = new_file(PAGES(3)), read_only = reopen(file, O_RDONLY);
	int directory = open("/", O_RDONLY);
	struct mm_attr attr;
	struct mm *mm, *child;

	CHECK_ERRNO(mm_attr_init(&attr));
	attr.max_areas = 0;
	attr.locking = (enum mm_locking)4;
	CHECK_RESULT(mm_create(&mm, &attr), EINVAL);
	mm_attr_init(&attr);
	attr.locking = *(enum mm_locking *)arg;
	CHECK_RESULT(mm_create(&mm, &attr), 0);
	map_and_use(mm, file, read_only, directory);
	ask(mm);
	change(mm);
	lock_some(mm);
	CHECK_RESULT(mm_fork(mm, &child), 0);
	CHECK_RESULT(mm_write(child, AT(5), "y", 1, NULL), 0);
	CHECK_ERRNO(mm_destroy(child));
	CHECK_RESULT(mm_munmap(mm, 0, MM_ADDR_MAX), 0);
	CHECK_ERRNO(mm_destroy(mm));
	close(directory);
	close(read_only);
	close(file);
	return NULL;
}

TEST(mm_contract, no_function_changes_errno)
{
	enum { THREADS = 16 }; /* each of them is new to the library */
	pthread_t threads[THREADS];

	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		enum mm_locking locking = lockings[i];

		for (int k = 0; k < THREADS; k++)
			threads[k] = thread_start(use_all, &locking);
		for (int k = 0; k < THREADS; k++)
			thread_join(threads[k]);
	}
}

TEST(mm_contract, results_are_written_only_on_success)
{
	struct mm *mm = new_space(), *none = mm;
	struct mm_siginfo info = { 4711, MM_BUS_ADRERR };
	struct mm_attr attr;
	unsigned char present[2] = { 7, 7 };
	struct mm_hold hold;
	uint64_t addr = 4711;
	char byte = 7;

	map(mm, 0, 2, R);
	CHECK_EQ(mm_mmap(mm, 0, 0, RW, PRIVATE, -1, 0, &addr), EINVAL);
	CHECK_EQ(mm_mmap(mm, 0, UINT64_MAX, RW, PRIVATE, -1, 0, &addr), ENOMEM);
	CHECK_EQ(mm_mmap(mm, AT(0), PAGES(1), RW, PRIVATE | MM_MAP_FIXED_NOREPLACE, -1, 0, &addr),
		 EEXIST);
	CHECK_EQ(mm_mremap(mm, AT(5), PAGES(1), PAGES(2), 0, 0, &addr), EFAULT);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(1), PAGES(2), 0, 0, &addr), ENOMEM);
	CHECK_EQ(addr, 4711);
	mm_attr_init(&attr);
	attr.locking = (enum mm_locking)4;
	CHECK_EQ(mm_create(&none, &attr), EINVAL);
	CHECK(none == mm);
	/* Only EFAULT writes info. */
	CHECK_EQ(mm_fault(mm, AT(0), 0, &info), EINVAL);
	CHECK_EQ(mm_fault(mm, AT(0), R, &info), 0);
	CHECK_EQ(mm_read(mm, AT(1), &byte, 1, &info), 0);
	CHECK(info.addr == 4711 && info.code == MM_BUS_ADRERR);
	CHECK_EQ(byte, 0);
	CHECK_EQ(mm_lock_range(mm, &hold, AT(1), AT(3), RANGE_WRITE), 0);
	CHECK_EQ(mm_mincore(mm, AT(0), PAGES(2), present), EDEADLK);
	CHECK(present[0] == 7 && present[1] == 7);
	mm_unlock_range(mm, &hold);
	CHECK_EQ(mm_write(mm, AT(1), &byte, 1, &info), EFAULT);
	CHECK(info.addr == AT(1) && info.code == MM_SEGV_ACCERR);
	end_space(mm);
}

/* Every error that leaves all VMAs and all bytes unchanged. */
TEST(mm_contract, an_error_changes_nothing)
{
	static const char *const before = "0-2:rw-p 2-3:r--p 5-8:rw-s";
	struct mm *mm = new_space();
	uint64_t addr, pages;

	map(mm, 0, 2, RW);
	map(mm, 2, 1, R);
	map_as(mm, 5, 3, RW, SHARED);
	CHECK_EQ(poke(mm, AT(1), 11), 0);
	CHECK_EQ(poke(mm, AT(6), 16), 0);
	pages = stats_of(mm).pages;
	CHECK_EQ(mm_munmap(mm, AT(0) + 1, PAGES(8)), EINVAL);
	CHECK_EQ(mm_munmap(mm, AT(0), UINT64_MAX - AT(0)), EINVAL);
	CHECK_EQ(mm_munmap(mm, AT(0), 0), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(0) + 1, PAGES(8), R), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), 0x1000), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(3), PAGES(1), R), ENOMEM);
	CHECK_EQ(mm_mmap(mm, AT(0) + 1, PAGES(1), R, PRIVATE | MM_MAP_FIXED, -1, 0, &addr), EINVAL);
	CHECK_EQ(mm_mmap(mm, AT(0), PAGES(8), R, MM_MAP_PRIVATE | MM_MAP_FIXED, -1, 0, &addr),
		 EBADF);
	CHECK_EQ(mm_mmap(mm, MM_ADDR_MAX, PAGES(1), R, PRIVATE | MM_MAP_FIXED, -1, 0, &addr),
		 ENOMEM);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), R, PRIVATE | MM_MAP_FIXED, -1, 0, &addr), EPERM);
	CHECK_EQ(mm_mremap(mm, AT(0) + 1, PAGES(2), PAGES(1), 0, 0, &addr), EINVAL);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(3), PAGES(4), MM_MREMAP_MAYMOVE, 0, &addr), EFAULT);
	CHECK_EQ(mm_mremap(mm, AT(5), PAGES(2), PAGES(2), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			   AT(6), &addr),
		 EINVAL);
	CHECK_EQ(mm_mremap(mm, AT(5), PAGES(2), PAGES(2), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, 0,
			   &addr),
		 EPERM);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(2), PAGES(4), 0, 0, &addr), ENOMEM);
	CHECK_EQ(mm_madvise(mm, AT(0) + 1, PAGES(1), MM_MADV_DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), 4711), EINVAL);
	CHECK_EQ(mm_msync(mm, AT(0), PAGES(1), MM_MS_SYNC | MM_MS_ASYNC), EINVAL);
	CHECK_EQ(mm_mlock(mm, AT(1), UINT64_MAX - AT(1)), EINVAL);
	CHECK_VMAS(mm, before);
	CHECK_EQ(peek(mm, AT(1)), 11);
	CHECK_EQ(peek(mm, AT(6)), 16);
	CHECK_EQ(stats_of(mm).pages, pages);
	end_space(mm);
}

/* As mm.h promises. Not all systems have all of these constants. */
TEST(mm_contract, constants_are_those_of_linux)
{
	CHECK_EQ(MM_PAGE_SIZE, 4096);
	CHECK_EQ(MM_PROT_NONE, PROT_NONE);
	CHECK_EQ(MM_PROT_READ, PROT_READ);
	CHECK_EQ(MM_PROT_WRITE, PROT_WRITE);
	CHECK_EQ(MM_PROT_EXEC, PROT_EXEC);
	CHECK_EQ(MM_MAP_SHARED, MAP_SHARED);
	CHECK_EQ(MM_MAP_PRIVATE, MAP_PRIVATE);
	CHECK_EQ(MM_MAP_FIXED, MAP_FIXED);
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__) || defined(__riscv))
	CHECK_EQ(MM_MAP_ANONYMOUS, MAP_ANONYMOUS);
	CHECK_EQ(MM_MAP_GROWSDOWN, MAP_GROWSDOWN);
	CHECK_EQ(MM_MAP_NORESERVE, MAP_NORESERVE);
	CHECK_EQ(MM_MAP_POPULATE, MAP_POPULATE);
	CHECK_EQ(MM_MAP_STACK, MAP_STACK);
	CHECK_EQ(MM_MADV_DONTNEED, MADV_DONTNEED);
	CHECK_EQ(MM_MS_ASYNC, MS_ASYNC);
	CHECK_EQ(MM_MS_INVALIDATE, MS_INVALIDATE);
	CHECK_EQ(MM_MS_SYNC, MS_SYNC);
#ifdef MAP_FIXED_NOREPLACE
	CHECK_EQ(MM_MAP_FIXED_NOREPLACE, MAP_FIXED_NOREPLACE);
#endif
#ifdef MREMAP_MAYMOVE
	CHECK_EQ(MM_MREMAP_MAYMOVE, MREMAP_MAYMOVE);
	CHECK_EQ(MM_MREMAP_FIXED, MREMAP_FIXED);
#endif
#ifdef MADV_POPULATE_READ
	CHECK_EQ(MM_MADV_POPULATE_READ, MADV_POPULATE_READ);
	CHECK_EQ(MM_MADV_POPULATE_WRITE, MADV_POPULATE_WRITE);
#endif
#endif
}
