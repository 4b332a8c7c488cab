/* SPDX-License-Identifier: MIT */
/*
 * Operations over many areas, with each allocation refused, and with all refused from one on: they
 * succeed, or say ENOMEM and have changed nothing. The linker lets the library's allocations end here.
 */
#include "mm/internal.h"
#include "spaces.h"

#include <stdlib.h>

/* More than one hold of the mm lock looks at; a tree of three levels. */
#define NR_AREAS 150u

static bool limited;
static bool only_one;         /* is refused, and not those after it */
static unsigned int grants;   /* before the first that is refused */
static unsigned int attempts; /* allocations asked for */

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
	unsigned int i = attempts;

	if (!limited)
		return false;
	attempts++;
	return only_one ? i == grants : i >= grants;
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

/*
 * The space before: two rows of areas of two pages, of which each third page has a byte, and a heap
 * of many areas.
 */
#define ROW    (2 * NR_AREAS)
#define TARGET (4 * ROW)
#define HEAP   (8 * ROW)

static void map_row(struct mm *mm, unsigned int first)
{
	map(mm, first, ROW, RW);
	for (unsigned int i = 0; i < ROW; i += 3)
		CHECK_EQ(poke(mm, AT(first + i), (int)i % 251 + 1), 0);
	for (unsigned int i = 1; i < NR_AREAS; i += 2)
		CHECK_EQ(mm_mprotect(mm, AT(first + 2 * i), PAGES(2), R), 0);
}

/* No spare is left, so that all that is reserved has to be allocated. */
static void drop_spares(struct mm *mm)
{
	for (int inner = 0; inner < 2; inner++) {
		struct mm__garbage *spare;

		while ((spare = mm->areas.spares.first[inner])) {
			mm->areas.spares.first[inner] = spare->next;
			free(spare);
		}
		atomic_store(&mm->areas.spares.count[inner], 0);
	}
	while (mm->spare_areas) {
		struct mm__area *area = mm->spare_areas;

		mm->spare_areas = (struct mm__area *)area->garbage.next;
		free(area);
	}
	atomic_store(&mm->nr_spare_areas, 0);
}

static struct mm *prepare(void)
{
	struct mm_attr attr;
	struct mm *mm;
	uint64_t brk;

	mm_attr_init(&attr);
	attr.brk_start = AT(HEAP);
	mm = new_space_with(&attr);
	map_row(mm, 0);
	map_row(mm, TARGET);
	CHECK_EQ(mm_brk(mm, AT(HEAP + ROW), &brk), 0);
	for (unsigned int i = 1; i < NR_AREAS; i += 2)
		CHECK_EQ(mm_mprotect(mm, AT(HEAP + 2 * i), PAGES(2), R), 0);
	drop_spares(mm);
	return mm;
}

static int check_next(const struct mm_area *area, void *arg)
{
	unsigned int *next = arg; /* its number */
	unsigned int i = *next % NR_AREAS;
	unsigned int row = *next / NR_AREAS;
	uint64_t start = AT((row == 0 ? 0 : row == 1 ? TARGET : HEAP) + 2 * i);

	CHECK_EQ(area->start, start);
	CHECK_EQ(area->end, start + PAGES(2));
	CHECK_EQ(area->prot, i % 2 ? R : RW);
	++*next;
	return 0;
}

static void check_row(struct mm *mm, unsigned int first)
{
	for (unsigned int i = 0; i < ROW; i += 3)
		CHECK_EQ(peek(mm, AT(first + i)), (int)i % 251 + 1);
}

static void check_unchanged(struct mm *mm)
{
	unsigned int next = 0;

	CHECK_EQ(mm_for_each_area(mm, check_next, &next), 0);
	CHECK_EQ(next, 3 * NR_AREAS);
	CHECK_EQ(stats_of(mm).pages, 2 * ((ROW + 2) / 3));
	check_row(mm, 0);
	check_row(mm, TARGET);
	check_space(mm);
}

static int limit(struct mm *mm, int (*run)(struct mm *mm), unsigned int n)
{
	int error;

	grants = n;
	attempts = 0;
	limited = true;
	error = run(mm);
	limited = false;
	return error;
}

static void end_quietly(struct mm *mm)
{
	check_space(mm);
	mm_destroy(mm);
}

/* Returns how many allocations the operation asks for. */
static unsigned int refuse_each(int (*run)(struct mm *mm))
{
	for (unsigned int n = 0;; n++) {
		struct mm *mm = prepare();
		int error = limit(mm, run, n);
		bool all_granted = attempts <= n;

		CHECK(!error || error == ENOMEM);
		CHECK(!all_granted || !error);
		if (error) {
			check_unchanged(mm);
			/* And it can be repeated. */
			CHECK_EQ(run(mm), 0);
		}
		end_quietly(mm);
		if (all_granted)
			return n;
	}
}

static void refuse_all_ways(int (*run)(struct mm *mm), unsigned int least)
{
	only_one = false;
	CHECK(refuse_each(run) >= least);
	only_one = true;
	CHECK(refuse_each(run) >= least);
}

static int do_munmap(struct mm *mm)
{
	return mm_munmap(mm, AT(1), PAGES(ROW - 2));
}

static int do_map_fixed(struct mm *mm)
{
	return try_map(mm, AT(1), PAGES(ROW - 2), PRIVATE | MM_MAP_NORESERVE | MM_MAP_FIXED);
}

static int do_mremap(struct mm *mm)
{
	uint64_t result;

	/* Moves a page, drops many areas behind it, and replaces many. */
	return mm_mremap(mm, AT(1), PAGES(ROW / 2), PAGES(1), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			 AT(TARGET + 1), &result);
}

static int do_mremap_grow(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(0), PAGES(2), PAGES(ROW), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			 AT(TARGET), &result);
}

static int do_shrink(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(0), PAGES(ROW - 1), PAGES(1), 0, 0, &result);
}

static int do_brk(struct mm *mm)
{
	uint64_t result;

	CHECK_EQ(mm_brk(mm, AT(HEAP + 1), &result), 0);
	return result == AT(HEAP + 1) ? 0 : ENOMEM;
}

static int do_fork(struct mm *mm)
{
	struct mm *child;
	int error = mm_fork(mm, &child);

	if (!error)
		mm_destroy(child);
	return error;
}

TEST(mm_nomem_many, munmap_changes_all_or_nothing)
{
	refuse_all_ways(do_munmap, 8);
}

TEST(mm_nomem_many, a_fixed_mapping_changes_all_or_nothing)
{
	refuse_all_ways(do_map_fixed, 8);
}

TEST(mm_nomem_many, mremap_changes_all_or_nothing)
{
	refuse_all_ways(do_mremap, 8);
	refuse_all_ways(do_mremap_grow, 8);
	refuse_all_ways(do_shrink, 8);
}

TEST(mm_nomem_many, brk_changes_all_or_nothing)
{
	refuse_all_ways(do_brk, 8);
}

TEST(mm_nomem_many, fork_makes_a_child_or_changes_nothing)
{
	refuse_all_ways(do_fork, 8);
}
