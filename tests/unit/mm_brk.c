/* SPDX-License-Identifier: MIT */
#include "spaces.h"
#include "threads.h"

static struct mm *new_heap(void)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.brk_start = AT(0);
	attr.max_areas = 3;
	return new_space_with(&attr);
}

static uint64_t move_brk(struct mm *mm, uint64_t brk)
{
	uint64_t result = 1;

	CHECK_EQ(mm_brk(mm, brk, &result), 0);
	return result;
}

TEST(mm_brk, the_heap_begins_empty)
{
	struct mm_attr attr;
	struct mm *mm = new_space();

	mm_attr_init(&attr);
	CHECK_EQ(move_brk(mm, 0), attr.brk_start);
	CHECK_VMAS(mm, "");
	end_space(mm);
}

TEST(mm_brk, the_heap_grows_and_shrinks_by_pages_and_the_end_moves_by_bytes)
{
	struct mm *mm = new_heap();

	CHECK_EQ(move_brk(mm, AT(0) + 1), AT(0) + 1);
	CHECK_VMAS(mm, "0-1:rw-p");
	CHECK_EQ(move_brk(mm, AT(0) + 100), AT(0) + 100);
	CHECK_VMAS(mm, "0-1:rw-p");
	CHECK_EQ(move_brk(mm, AT(3)), AT(3));
	CHECK_VMAS(mm, "0-3:rw-p");
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(2), 1), 0);
	CHECK_EQ(move_brk(mm, AT(1) + 1), AT(1) + 1);
	CHECK_VMAS(mm, "0-2:rw-p");
	CHECK_EQ(stats_of(mm).pages, 1);
	CHECK_EQ(move_brk(mm, AT(3)), AT(3));
	CHECK_EQ(peek(mm, AT(2)), 0);
	CHECK_EQ(move_brk(mm, AT(0)), AT(0));
	CHECK_VMAS(mm, "");
	end_space(mm);
}

TEST(mm_brk, the_end_stays_where_it_cannot_be_moved)
{
	struct mm *mm = new_heap();

	CHECK_EQ(move_brk(mm, AT(2)), AT(2));
	CHECK_EQ(move_brk(mm, AT(0) - 1), AT(2));
	CHECK_EQ(move_brk(mm, MM_ADDR_MAX + 1), AT(2));
	CHECK_EQ(move_brk(mm, UINT64_MAX), AT(2));
	CHECK_VMAS(mm, "0-2:rw-p");
	end_space(mm);
}

TEST(mm_brk, a_page_stays_free_between_the_heap_and_the_next_vma)
{
	struct mm *mm = new_heap();

	map(mm, 4, 1, R);
	CHECK_EQ(move_brk(mm, AT(4)), AT(0));
	CHECK_EQ(move_brk(mm, AT(3) + 1), AT(0));
	CHECK_EQ(move_brk(mm, AT(3)), AT(3));
	CHECK_VMAS(mm, "0-3:rw-p 4-5:r--p");
	end_space(mm);
}

TEST(mm_brk, changes_of_the_heap_by_the_caller_are_respected)
{
	struct mm *mm = new_heap();

	CHECK_EQ(move_brk(mm, AT(4)), AT(4));
	CHECK_EQ(mm_munmap(mm, AT(2), PAGES(2)), 0);
	CHECK_EQ(move_brk(mm, AT(2)), AT(4));
	CHECK_EQ(move_brk(mm, AT(3)), AT(4));
	map(mm, 3, 1, R);
	CHECK_EQ(move_brk(mm, AT(1)), AT(1));
	CHECK_VMAS(mm, "0-1:rw-p");
	end_space(mm);
}

TEST(mm_brk, too_many_vmas_keep_the_heap_from_growing)
{
	struct mm *mm = new_heap();

	for (unsigned int i = 0; i < 4; i++)
		map(mm, 10 + 2 * i, 1, R);
	CHECK_EQ(move_brk(mm, AT(1)), AT(0));
	CHECK_EQ(mm_munmap(mm, AT(10), PAGES(1)), 0);
	CHECK_EQ(move_brk(mm, AT(1)), AT(1));
	end_space(mm);
}

TEST(mm_brk, a_heap_in_one_border_node_takes_no_lock_of_the_space)
{
	struct mm *mm = new_heap();
	uint64_t before;

	CHECK_EQ(move_brk(mm, AT(1)), AT(1));
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	before = lock_holds(mm);
	for (unsigned int i = 1; i < 10; i++) {
		CHECK_EQ(move_brk(mm, AT(i) + i), AT(i) + i);
		CHECK_EQ(move_brk(mm, 0), AT(i) + i);
		CHECK_EQ(move_brk(mm, AT(i) + 2 * i), AT(i) + 2 * i);
	}
	CHECK_EQ(move_brk(mm, AT(2)), AT(2));
	CHECK_EQ(lock_holds(mm), before);
	CHECK_VMAS(mm, "0-2:rw-p");
	end_space(mm);
}

/* The stack may be in the border node of the heap, or in another one. */
TEST(mm_brk, a_heap_keeps_the_gap_of_a_stack_that_any_number_of_vmas_are_near)
{
	for (unsigned int n = 0; n < 40; n++) {
		struct mm_attr attr;
		struct mm *mm;

		mm_attr_init(&attr);
		attr.brk_start = AT(100);
		mm = new_space_with(&attr);
		for (unsigned int i = 0; i < n; i++)
			map(mm, 2 * i, 1, RW);
		map_as(mm, 400, 1, RW, PRIVATE | MM_MAP_GROWSDOWN);
		for (unsigned int i = 0; i < n; i++)
			map(mm, 402 + 2 * i, 1, RW);
		CHECK_EQ(move_brk(mm, AT(144)), AT(100));
		CHECK_EQ(move_brk(mm, AT(143)), AT(143));
		CHECK_EQ(mm_munmap(mm, AT(400), PAGES(1)), 0);
		if (n) {
			CHECK_EQ(move_brk(mm, AT(402)), AT(143));
			CHECK_EQ(move_brk(mm, AT(401)), AT(401));
		}
		end_space(mm);
	}
}

#define MOVERS 3u

static struct mm *shared;

static void *move_end(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(20000); i++) {
		uint64_t brk = AT(0) + test_random_below(&seed, 6 * MM_PAGE_SIZE);

		/* Any value can be set, so this call returns the end that the others left. */
		CHECK_EQ(move_brk(shared, brk), brk);
	}
	return NULL;
}

TEST(mm_brk, threads_that_move_the_end_leave_a_heap_without_holes)
{
	uint64_t seed = test_seed("mm_brk");
	uint64_t seeds[MOVERS];
	pthread_t threads[MOVERS];
	uint64_t end;

	shared = new_heap();
	map(shared, 10, 1, R);
	for (unsigned int i = 0; i < MOVERS; i++) {
		seeds[i] = test_random(&seed);
		threads[i] = thread_start(move_end, &seeds[i]);
	}
	for (unsigned int i = 0; i < MOVERS; i++)
		thread_join(threads[i]);
	end = move_brk(shared, 0);
	CHECK_EQ(move_brk(shared, AT(7)), AT(7));
	CHECK_VMAS(shared, "0-7:rw-p 10-11:r--p");
	CHECK(end >= AT(0) && end < AT(6));
	end_space(shared);
}
