/* SPDX-License-Identifier: MIT */
/*
 * Every operation, with each of the allocations it makes refused in turn: it says so, and has
 * changed nothing. The linker lets the library's calls of malloc(), calloc(), realloc() and
 * posix_memalign() end here.
 */
#include "files.h"
#include "mm/rcu.h"
#include "threads.h"

#include <stdbool.h>

static bool limited;
static unsigned int grants;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __real_posix_memalign(void **result, size_t align, size_t size);
int __wrap_posix_memalign(void **result, size_t align, size_t size);

static bool refused(void)
{
	return limited && (!grants || !grants--);
}

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return refused() ? NULL : __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **result, size_t align, size_t size)
{
	return refused() ? ENOMEM : __real_posix_memalign(result, align, size);
}

/* Three areas, the first with pages, and a heap; nearly nothing is reserved for more. */
static struct mm *prepare(void)
{
	struct mm_attr attr;
	struct mm *mm;
	uint64_t brk;

	/* Files of the space before this one are forgotten. */
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
	return mm;
}

#define BEFORE                                                                                     \
	"0-8:rw-p 10-11:r--p 12-13:r--p 14-15:r--p 16-17:r--p 18-19:r--p 20-21:r--p "              \
	"22-23:r--p 24-25:r--p 26-27:r--p 28-29:r--p 30-31:r--p 32-33:r--p 34-35:r--p "            \
	"36-37:r--p 100-102:rw-p"

static void check_unchanged(struct mm *mm)
{
	CHECK_AREAS(mm, BEFORE);
	CHECK_EQ(stats_of(mm).pages, 8);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(peek(mm, AT(i)), (int)i + 1);
	check_space(mm);
}

static int limit(struct mm *mm, int (*run)(struct mm *mm), unsigned int allocations)
{
	int error;

	grants = allocations;
	limited = true;
	error = run(mm);
	limited = false;
	return error;
}

/* Returns how many allocations the operation needs. */
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
	/* Or else nothing was tested. */
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
			/* Nobody else has its frames: no copy is made. */
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
	/* The space, its cpu and the table of those, three tables, areas and nodes. */
	CHECK(n > 8);
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

/* A fault needs so many allocations, at least. */
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
	/* The system has the pages of files. */
	refuse_each_page(do_map_file, do_read_file, 0);
	refuse_each_page(do_map_file, do_write_file, 0);
	refuse_each_page(do_map_shared, do_write_file, 1);
	close(fd);
}

/*
 * What changes more and more
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

/* Makes pages present where there is no table yet, one after the other. */
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
static bool again; /* the thread, after it failed */

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

/* Returns how many allocations the first use of the space needs. */
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
	/* With this one and the space's own, as many as there is room for at first. */
	for (unsigned int i = 0; i < PARKED; i++) {
		threads[i] = thread_start(park, shared_space);
		sem_await(&parked);
	}
	/* The thread, its table of spaces, its cpu, and room for one more with its number. */
	again = false;
	CHECK_EQ(begin_each(), 5);
	again = true;
	CHECK_EQ(begin_each(), 3);
	for (unsigned int i = 0; i < PARKED; i++)
		sem_post(&go);
	for (unsigned int i = 0; i < PARKED; i++)
		thread_join(threads[i]);
	end_space(shared_space);
}
