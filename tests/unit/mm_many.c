/* SPDX-License-Identifier: MIT */
/*
 * Operations on many VMAs: they need the memory of a few changes, however many VMAs there are, and
 * change a bounded number of VMAs in each hold of the VMA tree lock. The linker redirects the
 * library's allocations to this file, which adds up all that a call allocates, whether the call
 * frees it again or not.
 */
#include "spaces.h"

#include <stdbool.h>
#include <stdlib.h>

#define MOST_BYTES UINT64_C(1048576)
/* MM__VMAS_AT_ONCE, and the VMAs that an operation looks at in addition in one hold of the lock. */
#define AT_ONCE 32u

static bool counting;
static bool refusing; /* refuses allocations beyond MOST_BYTES */
static uint64_t allocated;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __real_posix_memalign(void **result, size_t align, size_t size);
int __wrap_posix_memalign(void **result, size_t align, size_t size);

/* Returns whether the call has allocated too much. */
static bool count(size_t size)
{
	if (refusing && allocated + size > MOST_BYTES)
		return true;
	allocated += counting ? size : 0;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return count(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return count(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return count(size) ? NULL : __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **result, size_t align, size_t size)
{
	return count(size) ? ENOMEM : __real_posix_memalign(result, align, size);
}

/*
 * n VMAs of two pages each at page first. With an odd start and end, an operation on all pages but
 * the first and the last splits two of them.
 */
static void map_many(struct mm *mm, unsigned int first, unsigned int n)
{
	map(mm, first, 2 * n, RW);
	for (unsigned int i = 1; i < n; i += 2)
		CHECK_EQ(mm_mprotect(mm, AT(first + 2 * i), PAGES(2), R), 0);
}

static struct mm *new_big_space(void)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.max_areas = UINT64_MAX;
	attr.brk_start = BASE;
	return new_space_with(&attr);
}

static struct mm *mm;
static unsigned int nr_areas;
static uint64_t holds_before;

static void begin(void)
{
	nr_areas = (unsigned int)test_scale(65000) & ~1u;
	mm = new_big_space();
}

static void begin_call(void)
{
	holds_before = lock_holds(mm);
	refusing = false;
	allocated = 0;
	counting = true;
}

/* For a call that also succeeds with less memory than it would allocate. */
static void begin_refusing(void)
{
	begin_call();
	refusing = true;
}

/* looked_at: the number of VMAs that the call has to look at with the lock. */
static void end_call(uint64_t looked_at)
{
	counting = refusing = false;
	if (allocated > MOST_BYTES)
		test_fail(__FILE__, __LINE__, "%" PRIu64 " bytes were allocated", allocated);
	/* A hold looks at AT_ONCE VMAs at most. Fewer holds would be longer ones. */
	CHECK(lock_holds(mm) - holds_before >= looked_at / AT_ONCE);
	check_space(mm);
}

TEST(mm_many, munmap_takes_little_memory_for_many_vmas)
{
	begin();
	map_many(mm, 0, nr_areas);
	begin_call();
	CHECK_EQ(mm_munmap(mm, AT(1), PAGES(2 * nr_areas - 2)), 0);
	end_call(nr_areas);
	CHECK_EQ(stats_of(mm).areas, 2);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(peek(mm, AT(1)), -MM_SEGV_MAPERR);
	CHECK_EQ(peek(mm, AT(2 * nr_areas - 1)), 0);
	end_space(mm);
}

TEST(mm_many, a_fixed_mapping_takes_little_memory_to_replace_many_vmas)
{
	begin();
	map_many(mm, 0, nr_areas);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(4), 2), 0);
	begin_call();
	map_as(mm, 1, 2 * nr_areas - 2, RW, PRIVATE | MM_MAP_NORESERVE);
	end_call(nr_areas);
	CHECK_EQ(stats_of(mm).areas, 3);
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(peek(mm, AT(4)), 0);
	end_space(mm);
}

TEST(mm_many, mremap_takes_little_memory_to_replace_and_to_drop_many_vmas)
{
	unsigned int pages, target;
	uint64_t result;

	begin();
	pages = 2 * nr_areas;
	target = 3 * pages;
	map(mm, 0, pages, RW);
	map_many(mm, pages, nr_areas);
	map_many(mm, target, nr_areas);
	CHECK_EQ(poke(mm, AT(7), 7), 0);
	begin_call();
	/* Each of the four ends splits a VMA. */
	CHECK_EQ(mm_mremap(mm, AT(1), PAGES(2 * pages - 2), PAGES(pages - 2),
			   MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(target + 1), &result),
		 0);
	end_call(2 * (uint64_t)nr_areas);
	CHECK_EQ(peek(mm, AT(target + 7)), 7);
	CHECK_EQ(peek(mm, AT(7)), -MM_SEGV_MAPERR);
	/* The first page at the target has the kind of the moved page. */
	CHECK_EQ(stats_of(mm).areas, 4);
	end_space(mm);
}

TEST(mm_many, mremap_takes_little_memory_to_shrink_over_many_vmas)
{
	uint64_t result;

	begin();
	map_many(mm, 0, nr_areas);
	begin_call();
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(2 * nr_areas - 1), PAGES(1), 0, 0, &result), 0);
	end_call(nr_areas);
	CHECK_EQ(stats_of(mm).areas, 2);
	end_space(mm);
}

TEST(mm_many, brk_takes_little_memory_to_shrink_over_many_vmas)
{
	uint64_t result;

	begin();
	CHECK_EQ(mm_brk(mm, AT(2 * nr_areas), &result), 0);
	for (unsigned int i = 1; i < nr_areas; i += 2)
		CHECK_EQ(mm_mprotect(mm, AT(2 * i), PAGES(2), R), 0);
	begin_call();
	CHECK_EQ(mm_brk(mm, AT(1), &result), 0);
	end_call(nr_areas);
	CHECK_EQ(result, AT(1));
	CHECK_VMAS(mm, "0-1:rw-p");
	end_space(mm);
}

TEST(mm_many, mprotect_does_with_little_memory_for_many_vmas)
{
	begin();
	map_many(mm, 0, nr_areas);
	begin_refusing();
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(2 * nr_areas - 2), NONE), 0);
	end_call(2 * (uint64_t)nr_areas);
	CHECK_EQ(stats_of(mm).areas, 3);
	end_space(mm);
}

/* Every other VMA is locked. VMAs without access have no pages. */
TEST(mm_many, munlock_does_with_little_memory_for_many_vmas)
{
	begin();
	map(mm, 0, 2 * nr_areas, NONE);
	for (unsigned int i = 1; i < nr_areas; i += 2)
		CHECK_EQ(mm_mlock(mm, AT(2 * i), PAGES(2)), ENOMEM);
	CHECK_EQ(stats_of(mm).areas, nr_areas);
	begin_refusing();
	CHECK_EQ(mm_munlock(mm, AT(1), PAGES(2 * nr_areas - 2)), 0);
	end_call(2 * (uint64_t)nr_areas);
	CHECK_EQ(stats_of(mm).areas, 2);
	end_space(mm);
}

TEST(mm_many, mincore_does_without_the_lock)
{
	unsigned char *vec;

	begin();
	map_many(mm, 0, nr_areas);
	vec = malloc(2 * nr_areas);
	CHECK(vec);
	begin_call();
	CHECK_EQ(mm_mincore(mm, AT(0), PAGES(2 * nr_areas), vec), 0);
	end_call(0);
	CHECK_EQ(lock_holds(mm), holds_before);
	free(vec);
	end_space(mm);
}
