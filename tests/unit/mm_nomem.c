/* SPDX-License-Identifier: MIT */
/*
 * The test refuses each allocation of every operation in turn, alone or with all that follow. The
 * operation then reports the failure and has changed nothing. The linker redirects the library's
 * calls of malloc(), calloc(), realloc(), posix_memalign(), pthread_setspecific(), mmap() and the
 * functions that make locks to this file.
 */
#include "files.h"
#include "mm/space.h"
#include "threads.h"

#include <stdbool.h>
#include <sys/mman.h>

static bool limited;
static bool once; /* refuses one allocation only */
static unsigned int grants, refusals;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __real_posix_memalign(void **result, size_t align, size_t size);
int __wrap_posix_memalign(void **result, size_t align, size_t size);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __real_pthread_rwlock_init(pthread_rwlock_t *rwlock, const pthread_rwlockattr_t *attr);
int __wrap_pthread_rwlock_init(pthread_rwlock_t *rwlock, const pthread_rwlockattr_t *attr);
int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);

void *__real_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);

static bool refused(void)
{
	if (!limited || grants--)
		return false;
	refusals++;
	if (once)
		limited = false;
	else
		grants = 0;
	return true;
}

/* As these functions do. The library must keep the caller's errno all the same. */
static bool refused_with_errno(void)
{
	bool is_refused = refused();

	if (is_refused)
		errno = ENOMEM;
	return is_refused;
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	return refused_with_errno() ? ENOMEM : __real_pthread_setspecific(key, value);
}

void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return refused_with_errno() ? MAP_FAILED
				    : __real_mmap(addr, length, prot, flags, fd, offset);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
	return refused() ? ENOMEM : __real_pthread_mutex_init(mutex, attr);
}

int __wrap_pthread_rwlock_init(pthread_rwlock_t *rwlock, const pthread_rwlockattr_t *attr)
{
	return refused() ? ENOMEM : __real_pthread_rwlock_init(rwlock, attr);
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	return refused() ? ENOMEM : __real_pthread_cond_init(cond, attr);
}

void *__wrap_malloc(size_t size)
{
	return refused_with_errno() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused_with_errno() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return refused_with_errno() ? NULL : __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **result, size_t align, size_t size)
{
	return refused_with_errno() ? ENOMEM : __real_posix_memalign(result, align, size);
}

/* Three VMAs, the first with pages, and a heap; hardly any reserve for more. */
static struct mm *prepare(void)
{
	struct mm_attr attr;
	struct mm *mm;
	uint64_t brk;

	/* Frees the files of earlier spaces. */
	mm__rcu_barrier();
	mm_attr_init(&attr);
	attr.brk_start = AT(100);
	mm = new_space_with(&attr);
	map(mm, 0, 8, RW);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(poke(mm, AT(i), (int)i + 1), 0);
	for (unsigned int i = 0; i < 14; i++)
		map(mm, 10 + 2 * i, 1, R);
	CHECK_EQ(mm_brk(mm, AT(102), &brk), 0);
	while (mm__rcu_self->kept) {
		struct mm__garbage *memory = mm__rcu_self->kept;

		mm__rcu_self->kept = memory->next;
		free(memory);
	}
	mm__rcu_self->nr_kept = 0;
	return mm;
}

#define BEFORE                                                                                     \
	"0-8:rw-p 10-11:r--p 12-13:r--p 14-15:r--p 16-17:r--p 18-19:r--p 20-21:r--p "              \
	"22-23:r--p 24-25:r--p 26-27:r--p 28-29:r--p 30-31:r--p 32-33:r--p 34-35:r--p "            \
	"36-37:r--p 100-102:rw-p"

static void check_unchanged(struct mm *mm)
{
	CHECK_VMAS(mm, BEFORE);
	CHECK_EQ(stats_of(mm).pages, 8);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(peek(mm, AT(i)), (int)i + 1);
	check_space(mm);
}

static int limit(struct mm *mm, int (*run)(struct mm *mm), unsigned int allocations)
{
	int error;

	grants = allocations;
	refusals = 0;
	limited = true;
	errno = 4242;
	error = run(mm);
	limited = false;
	CHECK_EQ(errno, 4242);
	return error;
}

/* Returns the number of allocations that the operation needs. */
static unsigned int refuse_each(int (*run)(struct mm *mm))
{
	for (unsigned int n = 0;; n++) {
		struct mm *mm = prepare();
		int error = limit(mm, run, n);

		if (error) {
			CHECK_EQ(error, ENOMEM);
			check_unchanged(mm);
			CHECK_EQ(run(mm), 0);
		}
		end_space(mm);
		if (!error)
			return n;
	}
}

static int do_mmap(struct mm *mm)
{
	return try_map(mm, 0, PAGES(3), PRIVATE);
}

static int do_mmap_fixed(struct mm *mm)
{
	return try_map(mm, AT(1), PAGES(1), PRIVATE | MM_MAP_NORESERVE | MM_MAP_FIXED);
}

static int do_munmap(struct mm *mm)
{
	return mm_munmap(mm, AT(1), PAGES(1));
}

static int do_mprotect(struct mm *mm)
{
	return mm_mprotect(mm, AT(1), PAGES(1), R);
}

static int do_mremap(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(1), PAGES(1), PAGES(2), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(5),
			 &result);
}

static int do_mremap_far(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(1), PAGES(1), PAGES(2), MM_MREMAP_MAYMOVE, 0, &result);
}

static int do_mremap_shrink(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(1), PAGES(2), PAGES(1), 0, 0, &result);
}

static int do_brk(struct mm *mm)
{
	uint64_t result;

	CHECK_EQ(mm_brk(mm, AT(104), &result), 0);
	return result == AT(104) ? 0 : ENOMEM;
}

static int do_fault(struct mm *mm)
{
	return mm_fault(mm, AT(10), R, NULL);
}

TEST(mm_nomem, an_operation_that_gets_no_memory_changes_nothing)
{
	unsigned int needed = 0;

	needed += refuse_each(do_mmap);
	needed += refuse_each(do_mmap_fixed);
	needed += refuse_each(do_munmap);
	needed += refuse_each(do_mprotect);
	needed += refuse_each(do_mremap);
	needed += refuse_each(do_mremap_shrink);
	needed += refuse_each(do_brk);
	/* With fewer, the test would test nothing. */
	CHECK(needed >= 5);
	/* The tables at the new place. */
	CHECK(refuse_each(do_mremap_far) >= 3);
	CHECK_EQ(refuse_each(do_fault), 0);
}

static int do_first_fault(struct mm *mm)
{
	return mm_fault(mm, AT(0), R, NULL);
}

TEST(mm_nomem, a_fault_that_gets_no_memory_can_be_repeated)
{
	/* Three tables and a chunk of frames. */
	for (unsigned int n = 0; n < 4; n++) {
		struct mm *mm = new_space();

		map(mm, 0, 1, RW);
		CHECK_EQ(limit(mm, do_first_fault, n), ENOMEM);
		CHECK_EQ(stats_of(mm).pages, 0);
		CHECK_EQ(stats_of(mm).faults_failed, 1);
		check_space(mm);
		CHECK_EQ(limit(mm, do_first_fault, 4 - n), 0);
		CHECK_EQ(peek(mm, AT(0)), 0);
		end_space(mm);
	}
}

static int do_create(struct mm *mm)
{
	struct mm *new;
	int error = mm_create(&new, NULL);

	(void)mm;
	if (!error)
		mm_destroy(new);
	return error;
}

TEST(mm_nomem, no_space_is_made_without_memory)
{
	unsigned int n = 0;

	while (limit(NULL, do_create, n))
		n++;
	CHECK(n >= 1);
}

/*
 * Forks
 */

static struct mm *child;

static int do_fork(struct mm *mm)
{
	return mm_fork(mm, &child);
}

TEST(mm_nomem, a_fork_that_gets_no_memory_leaves_no_child)
{
	unsigned int n = 0;
	int error;

	do {
		struct mm *mm = prepare();
		uint64_t frames = stats_of(mm).frames;

		child = NULL;
		error = limit(mm, do_fork, n++);
		if (error) {
			CHECK_EQ(error, ENOMEM);
			CHECK(!child);
			check_unchanged(mm);
			/* No other space has the frames, so the writes make no copies. */
			for (unsigned int i = 0; i < 8; i++)
				CHECK_EQ(poke(mm, AT(i), (int)i + 1), 0);
			CHECK_EQ(stats_of(mm).frames, frames);
			CHECK_EQ(do_fork(mm), 0);
		}
		check_unchanged(mm);
		check_unchanged(child);
		CHECK_EQ(stats_of(mm).frames, frames);
		end_space(child);
		end_space(mm);
	} while (error);
	/*
	 * The space, its own thread structure, the table of threads, three page tables, VMAs and
	 * nodes.
	 */
	CHECK(n > 8);
}

/* The page's table is the last memory that the fork allocates. */
TEST(mm_nomem, a_child_has_all_pages)
{
	unsigned int n = 0;
	int error;

	do {
		struct mm *mm = new_space();

		map(mm, 0, 1, RW);
		CHECK_EQ(poke(mm, AT(0), 5), 0);
		child = NULL;
		error = limit(mm, do_fork, n++);
		if (error) {
			CHECK_EQ(error, ENOMEM);
		} else {
			CHECK_EQ(peek(child, AT(0)), 5);
			end_space(child);
		}
		CHECK_EQ(peek(mm, AT(0)), 5);
		end_space(mm);
	} while (error);
	CHECK(n > 5);
}

static int do_move_tables(struct mm *mm)
{
	uint64_t addr;

	return mm_mremap(mm, AT(0), PAGES(4 * 512), PAGES(4 * 512),
			 MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(100 * 512), &addr);
}

TEST(mm_nomem, a_move_of_several_tables_loses_no_page)
{
	unsigned int n = 0;
	int error;

	do {
		struct mm *mm = new_space();

		map(mm, 0, 4 * 512, RW);
		for (unsigned int i = 0; i < 4; i++)
			CHECK_EQ(poke(mm, AT(512 * i), (int)i + 1), 0);
		error = limit(mm, do_move_tables, n++);
		CHECK(!error || error == ENOMEM);
		for (unsigned int i = 0; i < 4; i++)
			CHECK_EQ(peek(mm, AT(512 * (error ? i : 100 + i))), i + 1);
		end_space(mm);
	} while (error);
	CHECK(n > 4);
}

/*
 * Files
 */

static int fd;

static int do_map_file(struct mm *mm)
{
	uint64_t addr;

	return mm_mmap(mm, AT(50), PAGES(2), RW, MM_MAP_SHARED | MM_MAP_FIXED, fd, 0, &addr);
}

/* The mapping may become writable later, even if the system refuses all memory then. */
static int do_map_to_read(struct mm *mm)
{
	uint64_t addr;
	int error = mm_mmap(mm, AT(50), PAGES(2), R, MM_MAP_SHARED | MM_MAP_FIXED, fd, 0, &addr);

	if (!error) {
		limited = false;
		CHECK_EQ(mm_mprotect(mm, AT(50), PAGES(2), RW | X), 0);
	}
	return error;
}

static int do_map_shared(struct mm *mm)
{
	return try_map(mm, AT(50), PAGES(2), SHARED | MM_MAP_FIXED);
}

static int next_fd(void)
{
	int next = dup(fd);

	CHECK(next >= 0);
	close(next);
	return next;
}

TEST(mm_nomem, a_mapping_of_a_file_that_gets_no_memory_keeps_nothing_of_it)
{
	int next;

	fd = new_file(PAGES(2));
	next = next_fd();
	CHECK(refuse_each(do_map_file) >= 1);
	CHECK(refuse_each(do_map_to_read) >= 1);
	CHECK(refuse_each(do_map_shared) >= 1);
	mm__rcu_barrier();
	CHECK_EQ(next_fd(), next);
	close(fd);
}

static int do_read_file(struct mm *mm)
{
	return mm_fault(mm, AT(50), R, NULL);
}

static int do_write_file(struct mm *mm)
{
	return mm_fault(mm, AT(50), W, NULL);
}

static int do_map_and_grow(struct mm *mm)
{
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, AT(600), PAGES(2), RW, MM_MAP_SHARED | MM_MAP_FIXED, fd, 0, &addr), 0);
	return mm_mremap(mm, AT(600), PAGES(2), PAGES(300), 0, 0, &addr);
}

/* The access lies beyond the mapped part of the file, so the file has to be mapped again. */
static int do_write_beyond(struct mm *mm)
{
	return mm_fault(mm, AT(600 + 200), W, NULL);
}

/* A fault needs at least so many allocations. */
static void refuse_each_page(int (*map_it)(struct mm *mm), int (*fault)(struct mm *mm),
			     unsigned int needed)
{
	unsigned int n = 0;
	int error;

	do {
		struct mm *mm = prepare();

		CHECK_EQ(map_it(mm), 0);
		error = limit(mm, fault, n++);
		CHECK(!error || error == ENOMEM);
		CHECK_EQ(stats_of(mm).pages, error ? 8 : 9);
		check_space(mm);
		CHECK_EQ(fault(mm), 0);
		CHECK_EQ(stats_of(mm).pages, 9);
		end_space(mm);
	} while (error);
	CHECK(n > needed);
}

TEST(mm_nomem, a_page_that_gets_no_memory_can_be_used_later)
{
	fd = new_file(PAGES(400));
	/* The system provides the pages of files. */
	refuse_each_page(do_map_file, do_read_file, 0);
	refuse_each_page(do_map_file, do_write_file, 0);
	refuse_each_page(do_map_shared, do_write_file, 1);
	if (can_map_again(fd))
		refuse_each_page(do_map_and_grow, do_write_beyond, 1);
	close(fd);
}

/*
 * Calls that change one VMA after the other
 */

static int do_mlock(struct mm *mm)
{
	return mm_mlock(mm, AT(1), PAGES(1));
}

static int do_mlock_far(struct mm *mm)
{
	return mm_mlock(mm, AT(5000), PAGES(2));
}

static int do_populate_far(struct mm *mm)
{
	return mm_madvise(mm, AT(5000), PAGES(2), MM_MADV_POPULATE_WRITE);
}

static int do_grow_stack(struct mm *mm)
{
	return mm_fault(mm, AT(4000), W, NULL);
}

TEST(mm_nomem, locking_that_gets_no_memory_changes_nothing)
{
	CHECK(refuse_each(do_mlock) >= 1);
}

/* Makes pages present one after the other, where there is no table yet. */
static void refuse_each_far(int (*run)(struct mm *mm), int error_of_pages)
{
	unsigned int n = 0;
	int error;

	do {
		struct mm *mm = prepare();
		uint64_t pages;

		map_as(mm, 5000, 2, RW, PRIVATE | MM_MAP_GROWSDOWN);
		error = limit(mm, run, n++);
		CHECK(!error || error == ENOMEM || error == error_of_pages);
		check_space(mm);
		pages = stats_of(mm).pages;
		CHECK_EQ(stats_of(mm).frames, pages);
		CHECK_EQ(run(mm), 0);
		CHECK(stats_of(mm).pages > (error ? pages : 8));
		check_space(mm);
		end_space(mm);
	} while (error);
	CHECK(n > 1);
}

TEST(mm_nomem, pages_that_get_no_memory_come_later)
{
	refuse_each_far(do_mlock_far, EAGAIN);
	refuse_each_far(do_populate_far, ENOMEM);
	refuse_each_far(do_grow_stack, ENOMEM);
}

/*
 * Threads
 */

enum { PARKED = 6 };

static sem_t parked, go;
static struct mm *shared_space;
static unsigned int allocations;
static int thread_error;
static bool again; /* the thread fails, and tries again */

static void *park(void *mm)
{
	CHECK_EQ(peek(mm, AT(0)), 1);
	sem_post(&parked);
	sem_await(&go);
	return NULL;
}

static int do_read(struct mm *mm)
{
	unsigned char byte = 0;
	int error = mm_read(mm, AT(0), &byte, 1, NULL);

	CHECK_EQ(byte, error ? 0 : 1);
	return error;
}

static void *begin(void *arg)
{
	(void)arg;
	thread_error = limit(shared_space, do_read, allocations);
	CHECK(!thread_error || thread_error == ENOMEM);
	if (again)
		CHECK_EQ(do_read(shared_space), 0);
	return NULL;
}

/* Returns the number of allocations that the first use of the space needs. */
static unsigned int begin_each(void)
{
	allocations = 0;
	do {
		thread_join(thread_start(begin, NULL));
		check_unchanged(shared_space);
		allocations++;
	} while (thread_error);
	return allocations - 1;
}

TEST(mm_nomem, a_thread_that_gets_no_memory_can_begin_later)
{
	pthread_t threads[PARKED];

	shared_space = prepare();
	CHECK_EQ(sem_init(&parked, 0, 0), 0);
	CHECK_EQ(sem_init(&go, 0, 0), 0);
	/* With this thread and the space's own, the table of threads is full. */
	for (unsigned int i = 0; i < PARKED; i++) {
		threads[i] = thread_start(park, shared_space);
		sem_await(&parked);
	}
	/*
	 * The structure of the thread, its destructor, its table of spaces, a larger table of
	 * threads, its number, and its structure in the space. The next thread does not need the
	 * first three.
	 */
	again = false;
	CHECK_EQ(begin_each(), 6);
	again = true;
	CHECK_EQ(begin_each(), 3);
	for (unsigned int i = 0; i < PARKED; i++)
		sem_post(&go);
	for (unsigned int i = 0; i < PARKED; i++)
		thread_join(threads[i]);
	end_space(shared_space);
}

/*
 * Every operation, on memory of every kind, as the first call of a thread: the test refuses each of
 * the allocations alone, or with all that come after it.
 */

#define RICH                                                                                       \
	"0-8:rw-p 10-14:rw-s 20-24:rw-s 30-34:rw-p 40-41:r--p 42-43:r--p 44-45:r--p 46-47:r--p "   \
	"48-49:r--p 50-51:r--p 52-53:r--p 54-55:r--p 56-57:r--p 58-59:r--p "                       \
	"100-102:rw-p 2000-2002:rw-p"

static struct mm *relative;

/* Private pages that need a copy, shared pages, pages of a file, and a stack. */
static struct mm *prepare_rich(void)
{
	struct mm_attr attr;
	struct mm *mm;
	uint64_t brk;

	mm__rcu_barrier();
	mm_attr_init(&attr);
	attr.brk_start = AT(100);
	mm = new_space_with(&attr);
	map(mm, 0, 8, RW);
	map_as(mm, 10, 4, RW, SHARED);
	map_file_at(mm, 20, 4, RW, MM_MAP_SHARED, fd, 0);
	map_file_at(mm, 30, 4, RW, MM_MAP_PRIVATE, fd, 0);
	for (unsigned int i = 0; i < 10; i++)
		map(mm, 40 + 2 * i, 1, R);
	map_as(mm, 2000, 2, RW, PRIVATE | MM_MAP_GROWSDOWN);
	CHECK_EQ(mm_brk(mm, AT(102), &brk), 0);
	for (unsigned int i = 0; i < 36; i += 10)
		for (unsigned int page = 0; page < 2; page++)
			CHECK_EQ(poke(mm, AT(i + page), (int)(i + page + 1)), 0);
	CHECK_EQ(mm_fork(mm, &relative), 0);
	return mm;
}

static void check_rich(struct mm *mm)
{
	CHECK_VMAS(mm, RICH);
	check_space(mm);
	for (unsigned int i = 0; i < 36; i += 10)
		for (unsigned int page = 0; page < 2; page++)
			CHECK_EQ(peek(mm, AT(i + page)), (int)(i + page + 1));
	CHECK_EQ(peek(mm, AT(23)), file_pattern(PAGES(3)));
	CHECK_EQ(peek(mm, AT(33)), file_pattern(PAGES(3)));
}

static uint64_t rich_result;
static unsigned char rich_bytes[2 * 4096];

#define RICH_MMAP(addr, flags, fd) mm_mmap(mm, addr, PAGES(2), RW, flags, fd, 0, &rich_result)
#define RICH_MREMAP(at, old_pages, new_pages, flags, to)                                           \
	mm_mremap(mm, AT(at), PAGES(old_pages), PAGES(new_pages), flags, AT(to), &rich_result)
#define RICH_CALL(name, expression)                                                                \
	static int name(struct mm *mm)                                                             \
	{                                                                                          \
		return expression;                                                                 \
	}

RICH_CALL(rich_map, RICH_MMAP(0, PRIVATE, -1))
RICH_CALL(rich_map_shared, RICH_MMAP(0, SHARED, -1))
RICH_CALL(rich_map_file, RICH_MMAP(0, MM_MAP_SHARED, fd))
RICH_CALL(rich_map_file_private, RICH_MMAP(0, MM_MAP_PRIVATE, fd))
RICH_CALL(rich_map_populated, RICH_MMAP(AT(5000), SHARED | MM_MAP_POPULATE, -1))
RICH_CALL(rich_map_over, RICH_MMAP(AT(1), PRIVATE | MM_MAP_FIXED | MM_MAP_NORESERVE, -1))
RICH_CALL(rich_map_over_shared, RICH_MMAP(AT(11), SHARED | MM_MAP_FIXED, -1))
RICH_CALL(rich_map_over_file, RICH_MMAP(AT(21), MM_MAP_SHARED | MM_MAP_FIXED, fd))
RICH_CALL(rich_unmap, mm_munmap(mm, AT(1), PAGES(2)))
RICH_CALL(rich_unmap_shared, mm_munmap(mm, AT(11), PAGES(1)))
RICH_CALL(rich_unmap_file, mm_munmap(mm, AT(21), PAGES(1)))
RICH_CALL(rich_protect, mm_mprotect(mm, AT(1), PAGES(2), R))
RICH_CALL(rich_protect_shared, mm_mprotect(mm, AT(11), PAGES(1), R))
RICH_CALL(rich_protect_file, mm_mprotect(mm, AT(21), PAGES(1), NONE))
RICH_CALL(rich_grow, RICH_MREMAP(30, 4, 6, 0, 0))
RICH_CALL(rich_shrink, RICH_MREMAP(0, 8, 4, 0, 0))
RICH_CALL(rich_shrink_shared, RICH_MREMAP(10, 4, 1, 0, 0))
RICH_CALL(rich_move, RICH_MREMAP(0, 8, 1000, MM_MREMAP_MAYMOVE, 0))
RICH_CALL(rich_move_shared, RICH_MREMAP(10, 2, 2, MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, 5000))
RICH_CALL(rich_move_over_file, RICH_MREMAP(0, 2, 2, MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, 21))
RICH_CALL(rich_move_file, RICH_MREMAP(21, 2, 2, MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, 6))
RICH_CALL(rich_drop, mm_madvise(mm, AT(2), PAGES(4), MM_MADV_DONTNEED))
RICH_CALL(rich_populate, mm_madvise(mm, AT(0), PAGES(8), MM_MADV_POPULATE_WRITE))
RICH_CALL(rich_populate_shared, mm_madvise(mm, AT(10), PAGES(4), MM_MADV_POPULATE_WRITE))
RICH_CALL(rich_populate_file, mm_madvise(mm, AT(20), PAGES(4), MM_MADV_POPULATE_READ))
RICH_CALL(rich_lock, mm_mlock(mm, AT(1), PAGES(2)))
RICH_CALL(rich_lock_shared, mm_mlock(mm, AT(11), PAGES(2)))
RICH_CALL(rich_unlock, mm_munlock(mm, AT(0), PAGES(8)))
RICH_CALL(rich_sync, mm_msync(mm, AT(20), PAGES(4), MM_MS_SYNC))
RICH_CALL(rich_core, mm_mincore(mm, AT(0), PAGES(8), rich_bytes))
RICH_CALL(rich_fault, mm_fault(mm, AT(4), R, NULL))
RICH_CALL(rich_fault_shared, mm_fault(mm, AT(13), W, NULL))
RICH_CALL(rich_fault_file, mm_fault(mm, AT(22), W, NULL))
RICH_CALL(rich_fault_heap, mm_fault(mm, AT(101), W, NULL))
RICH_CALL(rich_copy, mm_fault(mm, AT(0), W, NULL))
RICH_CALL(rich_copy_file, mm_fault(mm, AT(32), W, NULL))
RICH_CALL(rich_read, mm_read(mm, AT(3), rich_bytes, sizeof(rich_bytes), NULL))
RICH_CALL(rich_write, mm_write(mm, AT(4), rich_bytes, sizeof(rich_bytes), NULL))
RICH_CALL(rich_stack, mm_fault(mm, AT(1999), W, NULL))
RICH_CALL(rich_stats, mm_get_stats(mm, &(struct mm_stats){ 0 }, sizeof(struct mm_stats)))
RICH_CALL(rich_validate, mm_validate(mm, (char *)rich_bytes, sizeof(rich_bytes)))

static int rich_brk(struct mm *mm)
{
	uint64_t end = AT(102);
	int error = mm_brk(mm, AT(104), &end);

	if (error)
		return error;
	return end == AT(104) ? 0 : ENOMEM;
}

static int rich_fork(struct mm *mm)
{
	int error = mm_fork(mm, &child);

	if (!error)
		mm_destroy(child);
	return error;
}

static int rich_hold(struct mm *mm)
{
	struct mm_hold hold;
	int error = mm_lock_range(mm, &hold, AT(0), AT(4), RANGE_WRITE);

	if (!error)
		mm_unlock_range(mm, &hold);
	return error;
}

static int rich_hold_coarse(struct mm *mm)
{
	int error = mm_write_lock(mm);

	if (!error)
		mm_write_unlock(mm);
	return error;
}

static int (*const rich_calls[])(struct mm *) = {
	rich_map,
	rich_map_shared,
	rich_map_file,
	rich_map_file_private,
	rich_map_populated,
	rich_map_over,
	rich_map_over_shared,
	rich_map_over_file,
	rich_unmap,
	rich_unmap_shared,
	rich_unmap_file,
	rich_protect,
	rich_protect_shared,
	rich_protect_file,
	rich_grow,
	rich_shrink,
	rich_shrink_shared,
	rich_move,
	rich_move_shared,
	rich_move_over_file,
	rich_move_file,
	rich_drop,
	rich_populate,
	rich_populate_shared,
	rich_populate_file,
	rich_lock,
	rich_lock_shared,
	rich_unlock,
	rich_sync,
	rich_core,
	rich_fault,
	rich_fault_shared,
	rich_fault_file,
	rich_fault_heap,
	rich_copy,
	rich_copy_file,
	rich_read,
	rich_write,
	rich_stack,
	rich_stats,
	rich_validate,
	rich_brk,
	rich_fork,
	rich_hold,
	rich_hold_coarse,
	do_create,
};

static int (*rich_call)(struct mm *mm);

static void *call_limited(void *mm)
{
	thread_error = limit(mm, rich_call, allocations);
	return NULL;
}

/* Returns whether it refused an allocation. */
static bool refuse_one(void)
{
	struct mm *mm = prepare_rich();

	thread_join(thread_start(call_limited, mm));
	CHECK(!thread_error || (refusals && (thread_error == ENOMEM || thread_error == EAGAIN)));
	/* As in Linux, a stack may have grown although it then gets no page. */
	if (thread_error == ENOMEM && rich_call != rich_stack)
		check_rich(mm);
	check_space(mm);
	check_space(relative);
	/* With memory, the call succeeds. */
	if (thread_error)
		CHECK_EQ(rich_call(mm), 0);
	end_space(mm);
	end_space(relative);
	return refusals;
}

static int count_vma(const struct mm_area *vma, void *arg)
{
	CHECK_EQ(vma->start, AT(1));
	++*(unsigned int *)arg;
	return 0;
}

static void *look_without_memory(void *arg)
{
	struct mm_stats stats;
	unsigned int count = 0;

	once = false;
	grants = 0;
	limited = true;
	CHECK_EQ(mm_for_each_area(arg, count_vma, &count), 0);
	CHECK_EQ(mm_get_stats(arg, &stats, sizeof(stats)), 0);
	limited = false;
	CHECK_EQ(count, 1);
	CHECK_EQ(stats.areas, 1);
	return NULL;
}

TEST(mm_nomem, a_thread_that_gets_no_memory_can_look_at_a_space)
{
	struct mm *mm = new_space();

	map(mm, 1, 1, RW);
	thread_join(thread_start(look_without_memory, mm));
	end_space(mm);
}

TEST(mm_nomem, every_operation_stays_whole_without_any_of_its_allocations)
{
	fd = new_file(PAGES(4));
	for (unsigned int i = 0; i < sizeof(rich_calls) / sizeof(rich_calls[0]); i++) {
		rich_call = rich_calls[i];
		for (unsigned int n = 0; n < 2; n++) {
			once = n;
			for (allocations = 0; refuse_one(); allocations++)
				;
			/*
			 * At least the thread's own allocations, where the call needs the thread's
			 * structure.
			 */
			CHECK(allocations >= 2 || rich_call == rich_validate ||
			      rich_call == rich_stats);
		}
	}
	once = false;
	close(fd);
}
