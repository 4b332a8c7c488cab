/* SPDX-License-Identifier: MIT */
/*
 * errno belongs to the caller: no function changes it, whether the function succeeds or fails. That
 * includes the first call of a thread, for which the library allocates memory.
 */
#include "files.h"
#include "threads.h"

#include <stdbool.h>

enum { SENTINEL = 4242, SHARED_AT = 8, FILE_AT = 16, COW_AT = 24, HOLE = 40 };

static struct mm *mm;
static int file, read_only;
static uint64_t result;
static struct mm_siginfo info;
static struct mm_hold hold;
static unsigned char bytes[8192];

struct call {
	int (*run)(void);
	int expected;
	const char *what;
};

/* For functions without a result. */
#define RUN(call) ((call), 0)

static int visit(const struct mm_area *vma, void *arg)
{
	(void)vma;
	(void)arg;
	return 0;
}

#define MMAP(addr, prot, flags, fd) mm_mmap(mm, addr, PAGES(2), prot, flags, fd, 0, &result)
#define CALL(name, expression)                                                                     \
	static int name(void)                                                                      \
	{                                                                                          \
		return expression;                                                                 \
	}

CALL(map_private, MMAP(0, RW, PRIVATE, -1))
CALL(map_populated, MMAP(0, RW, PRIVATE | MM_MAP_POPULATE, -1))
CALL(map_shared, MMAP(0, RW, SHARED | MM_MAP_POPULATE, -1))
CALL(map_fixed, MMAP(AT(1), R, PRIVATE | MM_MAP_FIXED, -1))
CALL(map_file_shared, MMAP(0, RW, MM_MAP_SHARED, file))
CALL(map_file_private, MMAP(0, RW, MM_MAP_PRIVATE | MM_MAP_POPULATE, file))
CALL(map_no_flags, MMAP(0, RW, MM_MAP_ANONYMOUS, -1))
CALL(map_no_replace, MMAP(AT(0), RW, PRIVATE | MM_MAP_FIXED_NOREPLACE, -1))
CALL(map_bad_descriptor, MMAP(0, RW, MM_MAP_SHARED, -1))
CALL(map_file_not_writable, MMAP(0, RW, MM_MAP_SHARED, read_only))
CALL(map_too_far, mm_mmap(mm, 0, MM_ADDR_MAX + PAGES(1), R, PRIVATE, -1, 0, &result))
CALL(unmap, mm_munmap(mm, AT(0), PAGES(1)))
CALL(unmap_shared, mm_munmap(mm, AT(SHARED_AT), PAGES(4)))
CALL(unmap_file, mm_munmap(mm, AT(FILE_AT), PAGES(2)))
CALL(unmap_all, mm_munmap(mm, 0, MM_ADDR_MAX))
CALL(unmap_unaligned, mm_munmap(mm, AT(0) + 1, PAGES(1)))
CALL(protect, mm_mprotect(mm, AT(1), PAGES(1), R))
CALL(protect_hole, mm_mprotect(mm, AT(HOLE), PAGES(1), R))
CALL(protect_file, mm_mprotect(mm, AT(FILE_AT), PAGES(1), NONE))
CALL(remap_grow, mm_mremap(mm, AT(0), PAGES(4), PAGES(6), 0, 0, &result))
CALL(remap_shrink, mm_mremap(mm, AT(0), PAGES(4), PAGES(2), 0, 0, &result))
CALL(remap_move, mm_mremap(mm, AT(0), PAGES(4), PAGES(100), MM_MREMAP_MAYMOVE, 0, &result))
CALL(remap_fixed, mm_mremap(mm, AT(0), PAGES(2), PAGES(2), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			    AT(SHARED_AT), &result))
CALL(remap_hole, mm_mremap(mm, AT(HOLE), PAGES(1), PAGES(2), 0, 0, &result))
CALL(drop_pages, mm_madvise(mm, AT(0), PAGES(4), MM_MADV_DONTNEED))
CALL(populate_read, mm_madvise(mm, AT(COW_AT), PAGES(2), MM_MADV_POPULATE_READ))
CALL(populate_write, mm_madvise(mm, AT(SHARED_AT), PAGES(4), MM_MADV_POPULATE_WRITE))
CALL(advise_hole, mm_madvise(mm, AT(HOLE), PAGES(1), MM_MADV_DONTNEED))
CALL(advise_nothing, mm_madvise(mm, AT(0), PAGES(1), 12345))
CALL(grow_heap, mm_brk(mm, UINT64_C(0x555555576000), &result))
CALL(ask_heap, mm_brk(mm, 0, &result))
CALL(read_page, mm_read(mm, AT(0), bytes, sizeof(bytes), &info))
CALL(read_file, mm_read(mm, AT(FILE_AT), bytes, sizeof(bytes), &info))
CALL(read_hole, mm_read(mm, AT(HOLE), bytes, 1, &info))
CALL(read_file_beyond, mm_read(mm, AT(FILE_AT + 2), bytes, 1, &info))
CALL(write_page, mm_write(mm, AT(0), bytes, sizeof(bytes), &info))
CALL(write_file, mm_write(mm, AT(FILE_AT), bytes, sizeof(bytes), &info))
CALL(write_copy, mm_write(mm, AT(COW_AT), bytes, sizeof(bytes), &info))
CALL(write_read_only, mm_write(mm, AT(32), bytes, 1, &info))
CALL(fault, mm_fault(mm, AT(SHARED_AT), W, &info))
CALL(fault_hole, mm_fault(mm, AT(HOLE), R, &info))
CALL(core, mm_mincore(mm, AT(0), PAGES(4), bytes))
CALL(core_hole, mm_mincore(mm, AT(HOLE), PAGES(1), bytes))
CALL(each_vma, mm_for_each_area(mm, visit, NULL))
CALL(sync_file, mm_msync(mm, AT(FILE_AT), PAGES(2), MM_MS_SYNC))
CALL(sync_hole, mm_msync(mm, AT(HOLE), PAGES(1), MM_MS_SYNC))
CALL(sync_both, mm_msync(mm, AT(0), PAGES(1), MM_MS_SYNC | MM_MS_ASYNC))
CALL(lock_pages, mm_mlock(mm, AT(0), PAGES(4)))
CALL(lock_hole, mm_mlock(mm, AT(HOLE), PAGES(1)))
CALL(unlock_pages, mm_munlock(mm, AT(0), PAGES(4)))
CALL(unlock_hole, mm_munlock(mm, AT(HOLE), PAGES(1)))
CALL(validate, mm_validate(mm, (char *)bytes, sizeof(bytes)))
CALL(create_wrong, mm_create(&mm, &(struct mm_attr){ .brk_start = 1 }))

static int get_stats(void)
{
	struct mm_stats stats;

	return mm_get_stats(mm, &stats, sizeof(stats));
}

static int hold_range(void)
{
	int error = mm_lock_range(mm, &hold, AT(0), AT(2), RANGE_WRITE);

	return error ? error : RUN(mm_unlock_range(mm, &hold));
}

static int hold_empty(void)
{
	return mm_lock_range(mm, &hold, AT(2), AT(2), RANGE_WRITE);
}

static int hold_coarse(void)
{
	int error = mm_read_lock(mm);

	if (!error)
		mm_read_unlock(mm);
	if (!error)
		error = mm_write_lock(mm);
	return error ? error : RUN(mm_write_unlock(mm));
}

static int create_and_destroy(void)
{
	struct mm *another;
	int error = mm_create(&another, NULL);

	return error ? error : RUN(mm_destroy(another));
}

static int fork_and_destroy(void)
{
	struct mm *copy;
	int error = mm_fork(mm, &copy);

	return error ? error : RUN(mm_destroy(copy));
}

#define ENTRY(name, expected)                                                                      \
	{                                                                                          \
		name, expected, #name                                                              \
	}

static const struct call calls[] = {
	ENTRY(map_private, 0),
	ENTRY(map_populated, 0),
	ENTRY(map_shared, 0),
	ENTRY(map_fixed, 0),
	ENTRY(map_file_shared, 0),
	ENTRY(map_file_private, 0),
	ENTRY(map_no_flags, EINVAL),
	ENTRY(map_no_replace, EEXIST),
	ENTRY(map_bad_descriptor, EBADF),
	ENTRY(map_file_not_writable, EACCES),
	ENTRY(map_too_far, ENOMEM),
	ENTRY(unmap, 0),
	ENTRY(unmap_shared, 0),
	ENTRY(unmap_file, 0),
	ENTRY(unmap_all, 0),
	ENTRY(unmap_unaligned, EINVAL),
	ENTRY(protect, 0),
	ENTRY(protect_hole, ENOMEM),
	ENTRY(protect_file, 0),
	ENTRY(remap_grow, 0),
	ENTRY(remap_shrink, 0),
	ENTRY(remap_move, 0),
	ENTRY(remap_fixed, 0),
	ENTRY(remap_hole, EFAULT),
	ENTRY(drop_pages, 0),
	ENTRY(populate_read, 0),
	ENTRY(populate_write, 0),
	ENTRY(advise_hole, ENOMEM),
	ENTRY(advise_nothing, EINVAL),
	ENTRY(grow_heap, 0),
	ENTRY(ask_heap, 0),
	ENTRY(read_page, 0),
	ENTRY(read_file, 0),
	ENTRY(read_hole, EFAULT),
	ENTRY(read_file_beyond, EFAULT),
	ENTRY(write_page, 0),
	ENTRY(write_file, 0),
	ENTRY(write_copy, 0),
	ENTRY(write_read_only, EFAULT),
	ENTRY(fault, 0),
	ENTRY(fault_hole, EFAULT),
	ENTRY(core, 0),
	ENTRY(core_hole, ENOMEM),
	ENTRY(each_vma, 0),
	ENTRY(sync_file, 0),
	ENTRY(sync_hole, ENOMEM),
	ENTRY(sync_both, EINVAL),
	ENTRY(lock_pages, 0),
	ENTRY(lock_hole, ENOMEM),
	ENTRY(unlock_pages, 0),
	ENTRY(unlock_hole, ENOMEM),
	ENTRY(validate, 0),
	ENTRY(create_wrong, EINVAL),
	ENTRY(get_stats, 0),
	ENTRY(hold_range, 0),
	ENTRY(hold_empty, EINVAL),
	ENTRY(hold_coarse, 0),
	ENTRY(create_and_destroy, 0),
	ENTRY(fork_and_destroy, 0),
};

static void *run(void *arg)
{
	const struct call *call = arg;
	/* The first call of the thread, and a later one. The first may cause the second to fail. */
	for (unsigned int round = 0; round < 2; round++) {
		int got;

		errno = SENTINEL;
		got = call->run();
		if (errno != SENTINEL)
			test_fail(__FILE__, __LINE__, "%s: errno is %d", call->what, errno);
		if (!round && got != call->expected)
			test_fail(__FILE__, __LINE__, "%s: %d", call->what, got);
	}
	return NULL;
}

/* Private, shared and file pages, a copy that a relative shares, and pages that were only read. */
static struct mm *prepare(void)
{
	struct mm *relative;

	mm = new_space();
	map(mm, 0, 4, RW);
	map_as(mm, SHARED_AT, 4, RW, SHARED);
	map_file_at(mm, FILE_AT, 3, RW, MM_MAP_SHARED, file, 0);
	map(mm, COW_AT, 2, RW);
	map(mm, 32, 1, R);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(SHARED_AT + 1), 1), 0);
	CHECK_EQ(poke(mm, AT(COW_AT), 1), 0);
	CHECK_EQ(mm_fork(mm, &relative), 0);
	return relative;
}

TEST(mm_errno, is_left_alone)
{
	file = new_file(PAGES(2));
	read_only = reopen(file, O_RDONLY);
	for (unsigned int i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct mm *relative = prepare();
		struct call call = calls[i];

		thread_join(thread_start(run, &call));
		errno = SENTINEL;
		mm_destroy(mm);
		mm_destroy(relative);
		CHECK_EQ(errno, SENTINEL);
	}
	close(read_only);
	close(file);
}

/* A thread may end a space although it has used none. */
static void *destroy(void *arg)
{
	errno = SENTINEL;
	mm_destroy(arg);
	CHECK_EQ(errno, SENTINEL);
	return NULL;
}

TEST(mm_errno, is_left_alone_by_the_end_of_a_space)
{
	struct mm *relative;

	file = new_file(PAGES(2));
	relative = prepare();
	thread_join(thread_start(destroy, mm));
	thread_join(thread_start(destroy, relative));
	close(file);
}
