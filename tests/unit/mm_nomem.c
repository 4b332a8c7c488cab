/* SPDX-License-Identifier: MIT */
/*
 * Every operation, with each of the allocations it makes refused in turn: it says so, and has
 * changed nothing. The linker lets the library's calls of malloc() and posix_memalign() end here,
 * and those of calloc(), which a compiler may make of malloc() and memset().
 */
#include "spaces.h"

#include <stdbool.h>

static bool limited;
static unsigned int grants;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
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
