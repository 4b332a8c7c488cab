/* SPDX-License-Identifier: MIT */
/*
 * MM_PLACEMENT_THREAD: the place of mappings without an address.
 */
#include "mm/space.h"
#include "spaces.h"
#include "threads.h"

#define PLACE (UINT64_C(1) << 36)

static struct mm *new_space_of_places(void)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	CHECK_EQ(attr.placement, MM_PLACEMENT_LINUX);
	attr.placement = MM_PLACEMENT_THREAD;
	return new_space_with(&attr);
}

static uint64_t map_anywhere(struct mm *mm, uint64_t length, int prot, int flags)
{
	uint64_t addr = 0;

	CHECK_EQ(mm_mmap(mm, 0, length, prot, flags, -1, 0, &addr), 0);
	return addr;
}

TEST(mm_placement, an_unknown_one_is_refused)
{
	struct mm_attr attr;
	struct mm *mm;

	mm_attr_init(&attr);
	attr.placement = (enum mm_placement)2;
	CHECK_EQ(mm_create(&mm, &attr), EINVAL);
}

struct mapper {
	struct mm *mm;
	uint64_t addr;
	uint64_t holds;
};

static void *map_and_unmap(void *arg)
{
	struct mapper *mapper = arg;
	uint64_t before;

	for (unsigned int i = 0; i < 100; i++) {
		mapper->addr = map_anywhere(mapper->mm, PAGES(4), RW, PRIVATE);
		CHECK_EQ(mm_munmap(mapper->mm, mapper->addr, PAGES(4)), 0);
	}
	before = lock_holds(mapper->mm);
	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t addr = map_anywhere(mapper->mm, PAGES(4), RW, PRIVATE);

		CHECK_EQ(addr / PLACE, mapper->addr / PLACE);
		CHECK_EQ(mm_munmap(mapper->mm, addr, PAGES(4)), 0);
	}
	mapper->holds = lock_holds(mapper->mm) - before;
	mapper->addr = map_anywhere(mapper->mm, PAGES(4), RW, PRIVATE);
	return NULL;
}

TEST(mm_placement, each_thread_has_its_own_without_the_tree_lock)
{
	struct mm *mm = new_space_of_places();
	struct mapper mappers[3];

	for (unsigned int i = 0; i < 3; i++) {
		mappers[i] = (struct mapper){ mm, 0, 0 };
		/*
		 * A new thread reuses the number of a thread that has ended, so each number is one
		 * of the first.
		 */
		map_and_unmap(&mappers[i]);
		thread_join(thread_start(map_and_unmap, &mappers[i]));
		CHECK_EQ(mappers[i].holds, 0);
	}
	CHECK(mappers[0].addr / PLACE != map_anywhere(mm, PAGES(1), RW, PRIVATE) / PLACE);
	end_space(mm);
}

TEST(mm_placement, threads_map_side_by_side)
{
	struct mm *mm = new_space_of_places();
	struct mapper mappers[4];
	pthread_t threads[4];
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 4; i++) {
		mappers[i] = (struct mapper){ mm, 0, 0 };
		threads[i] = thread_start(map_and_unmap, &mappers[i]);
	}
	for (unsigned int i = 0; i < 4; i++) {
		thread_join(threads[i]);
		sum += mappers[i].holds;
	}
	/* A thread may have ended before another one began, which then has the same place. */
	for (unsigned int i = 0; i < 4; i++)
		for (unsigned int j = 0; j < i; j++)
			CHECK(mappers[i].addr != mappers[j].addr);
	/* Each thread sees VMAs of other threads while border nodes are divided. */
	CHECK(sum < 4000);
	end_space(mm);
}

/* VMAs of kinds that do not merge: more than a border node has room for. */
TEST(mm_placement, a_place_may_have_any_number_of_vmas)
{
	struct mm *mm = new_space_of_places();
	uint64_t first = map_anywhere(mm, PAGES(1), RW, PRIVATE);

	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t addr = map_anywhere(mm, PAGES(1 + i % 3), i % 2 ? R : RW, PRIVATE);

		CHECK_EQ(addr / PLACE, first / PLACE);
	}
	CHECK(stats_of(mm).areas >= 900);
	end_space(mm);
}

TEST(mm_placement, a_mapping_that_does_not_fit_goes_where_linux_would_put_it)
{
	struct mm *mm = new_space_of_places();
	uint64_t addr = map_anywhere(mm, 3 * PLACE, NONE, PRIVATE);
	uint64_t own;

	CHECK_EQ(addr + 3 * PLACE, MM_ADDR_MAX);
	/* The thread's own place is full now. */
	own = map_anywhere(mm, PAGES(1), RW, PRIVATE);
	CHECK_EQ(own, addr - PAGES(1));
	end_space(mm);
}

TEST(mm_placement, a_stack_keeps_its_gap)
{
	struct mm *mm = new_space_of_places();
	uint64_t first = map_anywhere(mm, PAGES(4), RW, PRIVATE);
	uint64_t addr;

	CHECK_EQ(mm_munmap(mm, first, PAGES(4)), 0);
	CHECK_EQ(mm_mmap(mm, first - MM_STACK_GAP, PAGES(2), RW,
			 PRIVATE | MM_MAP_FIXED | MM_MAP_GROWSDOWN, -1, 0, &addr),
		 0);
	for (unsigned int i = 0; i < 40; i++) {
		addr = map_anywhere(mm, PAGES(64), i % 2 ? R : RW, PRIVATE);
		CHECK(addr >= first - MM_STACK_GAP + PAGES(2) ||
		      addr + PAGES(64) <= first - 2 * MM_STACK_GAP);
	}
	end_space(mm);
}

TEST(mm_placement, a_hint_and_errors_are_as_without)
{
	struct mm *mm = new_space_of_places();
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, AT(7), PAGES(1), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(7));
	CHECK_EQ(mm_mmap(mm, 0, 0, RW, PRIVATE, -1, 0, &addr), EINVAL);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, MM_MAP_ANONYMOUS, -1, 0, &addr), EINVAL);
	CHECK_EQ(mm_mmap(mm, 0, MM_ADDR_MAX, RW, PRIVATE, -1, 0, &addr), ENOMEM);
	end_space(mm);
}

static void *hold_and_map(void *arg)
{
	struct mm *mm = arg;
	struct mm_hold hold;
	uint64_t addr = map_anywhere(mm, PAGES(1), RW, PRIVATE);

	/* The thread itself holds the range that the search finds, for reading. */
	CHECK_EQ(mm_lock_range(mm, &hold, addr - PAGES(64), addr, RANGE_READ), 0);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, PRIVATE, -1, 0, &addr) == 0, true);
	mm_unlock_range(mm, &hold);
	return NULL;
}

TEST(mm_placement, a_place_that_the_thread_holds_is_left_out)
{
	struct mm *mm = new_space_of_places();

	thread_join(thread_start(hold_and_map, mm));
	end_space(mm);
}
