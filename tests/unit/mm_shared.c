/* SPDX-License-Identifier: MIT */
/*
 * Shared anonymous memory: each mapping has a file of its own, which lives as long as any part is
 * mapped.
 */
#include "mm/attach.h"
#include "mm/frame_supply.h"
#include "spaces.h"
#include "threads.h"

static int remap(struct mm *mm, unsigned int from, uint64_t old, uint64_t new, unsigned int to)
{
	uint64_t addr;

	return mm_mremap(mm, AT(from), PAGES(old), PAGES(new), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			 AT(to), &addr);
}

TEST(mm_shared, can_be_seen_twice)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		map_as(mm, 0, 4, RW, SHARED);
		CHECK_EQ(poke(mm, AT(1), 5), 0);
		CHECK_EQ(remap(mm, 1, 0, 2, 10), 0);
		CHECK_VMAS(mm, "0-4:rw-s 10-12:rw-s");
		CHECK_EQ(peek(mm, AT(10)), 5);
		CHECK_EQ(poke(mm, AT(11), 6), 0);
		CHECK_EQ(peek(mm, AT(2)), 6);
		CHECK_EQ(stats_of(mm).frames, 2);
		/* One of the two mappings goes. */
		CHECK_EQ(mm_munmap(mm, AT(0), PAGES(4)), 0);
		CHECK_EQ(peek(mm, AT(10)), 5);
		CHECK_EQ(peek(mm, AT(11)), 6);
		end_space(mm);
	}
}

TEST(mm_shared, without_a_new_address_the_second_is_put_where_there_is_room)
{
	struct mm *mm = new_space();
	uint64_t addr;

	map_as(mm, 0, 2, RW, SHARED);
	CHECK_EQ(poke(mm, AT(1), 5), 0);
	CHECK_EQ(mm_mremap(mm, AT(0), 0, PAGES(2), MM_MREMAP_MAYMOVE, 0, &addr), 0);
	CHECK(addr != AT(0));
	CHECK_EQ(peek(mm, addr + PAGES(1)), 5);
	CHECK_EQ(mm_mremap(mm, AT(0), 0, PAGES(2), 0, 0, &addr), ENOMEM);
	end_space(mm);
}

TEST(mm_shared, private_memory_cannot_be_seen_twice)
{
	struct mm *mm = new_space();
	uint64_t addr;

	map(mm, 0, 2, RW);
	CHECK_EQ(remap(mm, 0, 0, 2, 10), EINVAL);
	CHECK_EQ(mm_mremap(mm, AT(0), 0, PAGES(2), MM_MREMAP_MAYMOVE, 0, &addr), EINVAL);
	CHECK_VMAS(mm, "0-2:rw-p");
	end_space(mm);
}

TEST(mm_shared, there_is_nothing_beyond_the_size_it_had_at_first)
{
	struct mm *mm = new_space();
	uint64_t addr;

	map_as(mm, 0, 2, RW, SHARED);
	CHECK_EQ(poke(mm, AT(1), 5), 0);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(2), PAGES(4), 0, 0, &addr), 0);
	CHECK_EQ(peek(mm, AT(1)), 5);
	CHECK_EQ(peek(mm, AT(2)), -MM_BUS_ADRERR);
	CHECK_EQ(poke(mm, AT(3), 1), -MM_BUS_ADRERR);
	CHECK_EQ(remap(mm, 1, 0, 3, 10), 0);
	CHECK_EQ(peek(mm, AT(10)), 5);
	CHECK_EQ(peek(mm, AT(11)), -MM_BUS_ADRERR);
	CHECK_EQ(stats_of(mm).frames, 1);
	end_space(mm);
}

TEST(mm_shared, keeps_the_pages_that_a_shrinking_mapping_loses)
{
	struct mm *mm = new_space();
	uint64_t addr;

	map_as(mm, 0, 3, RW, SHARED);
	CHECK_EQ(poke(mm, AT(2), 5), 0);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(3), PAGES(1), 0, 0, &addr), 0);
	CHECK_EQ(peek(mm, AT(2)), -MM_SEGV_MAPERR);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(1), PAGES(3), 0, 0, &addr), 0);
	CHECK_EQ(peek(mm, AT(2)), 5);
	CHECK_EQ(peek(mm, AT(1)), 0);
	end_space(mm);
}

TEST(mm_shared, its_pages_are_freed_with_the_last_mapping)
{
	struct mm *mm = new_space(), *child;

	map_as(mm, 0, 4, RW, SHARED);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(4)), 0);
	mm__rcu_barrier();
	CHECK_EQ(stats_of(child).frames, 4);
	CHECK_EQ(mm_munmap(child, AT(1), PAGES(3)), 0);
	mm__rcu_barrier();
	CHECK_EQ(stats_of(child).frames, 4);
	CHECK_EQ(mm_munmap(child, AT(0), PAGES(1)), 0);
	mm__rcu_barrier();
	CHECK_EQ(stats_of(child).frames, 0);
	CHECK_EQ(stats_of(mm).frames, 0);
	end_space(child);
	end_space(mm);
}

TEST(mm_shared, unmapped_memory_makes_room_for_other_mappings)
{
	struct mm *mm = new_space_of_pages(4);

	for (unsigned int round = 0; round < 3; round++) {
		map_as(mm, 0, 4, RW, SHARED);
		for (unsigned int i = 0; i < 4; i++)
			CHECK_EQ(poke(mm, AT(i), 1), 0);
		map(mm, 8, 1, RW);
		CHECK_EQ(mm_write(mm, AT(8), "x", 1, NULL), ENOMEM);
		/* The memory leaves the space at once, and is freed some time later. */
		CHECK_EQ(mm_munmap(mm, AT(0), PAGES(4)), 0);
		CHECK_EQ(poke(mm, AT(8), 1), 0);
		CHECK_EQ(mm_munmap(mm, AT(8), PAGES(1)), 0);
	}
	end_space(mm);
}

TEST(mm_shared, without_pages_it_says_so)
{
	struct mm *mm = new_space_of_pages(2);

	map_as(mm, 0, 3, RW, SHARED);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(1), 2), 0);
	CHECK_EQ(mm_write(mm, AT(2), "x", 1, NULL), ENOMEM);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
	/* The pages are kept. */
	CHECK_EQ(mm_write(mm, AT(2), "x", 1, NULL), ENOMEM);
	CHECK_EQ(peek(mm, AT(1)), 2);
	end_space(mm);
}

/*
 * Memory is freed when no reader may look at it any more
 */

struct reader {
	pthread_t thread;
	sem_t inside;
	sem_t leave;
};

static void *read_until_told(void *arg)
{
	struct reader *reader = arg;

	CHECK(mm__os_thread_attach());
	mm__rcu_read_lock();
	sem_post(&reader->inside);
	sem_await(&reader->leave);
	mm__rcu_read_unlock();
	return NULL;
}

static void enter(struct reader *reader)
{
	CHECK_EQ(sem_init(&reader->inside, 0, 0), 0);
	CHECK_EQ(sem_init(&reader->leave, 0, 0), 0);
	reader->thread = thread_start(read_until_told, reader);
	sem_await(&reader->inside);
}

static void leave(struct reader *reader)
{
	sem_post(&reader->leave);
	thread_join(reader->thread);
}

static void map_many(struct mm *mm, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		map_as(mm, 2 * i, 1, i % 2 ? RW : R, SHARED);
		if (i % 2)
			CHECK_EQ(poke(mm, AT(2 * i), 1), 0);
	}
}

TEST(mm_shared, a_space_that_ends_does_not_wait_for_readers_elsewhere)
{
	struct mm *mm = new_space(), *child;
	struct reader reader;

	enter(&reader);
	map_many(mm, 500);
	CHECK_EQ(mm_fork(mm, &child), 0);
	mm_destroy(mm);
	CHECK_EQ(stats_of(child).frames, 250);
	mm_destroy(child);
	leave(&reader);
}

static void *destroy(void *mm)
{
	mm_destroy(mm);
	return NULL;
}

/* The frames come from a pool of the space. */
TEST(mm_shared, a_space_that_ends_waits_for_its_unmapped_memory)
{
	struct mm *mm = new_space();
	struct reader reader;
	pthread_t thread;

	map_many(mm, 10);
	enter(&reader);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(20)), 0);
	CHECK_EQ(stats_of(mm).frames, 5);
	thread = thread_start(destroy, mm);
	leave(&reader);
	thread_join(thread);
}

#define ROUNDS 2000u

static void churn_once(struct mm *mm)
{
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(4), RW, SHARED, -1, 0, &addr), 0);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(poke(mm, addr + PAGES(i), 1), 0);
	CHECK_EQ(mm_munmap(mm, addr, PAGES(4)), 0);
}

static atomic_uint churned;

static void *churn(void *mm)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		churn_once(mm);
		atomic_fetch_add(&churned, 1);
	}
	return NULL;
}

TEST(mm_shared, unmapped_memory_holds_a_bounded_number_of_frames)
{
	struct mm *mm = new_space();
	struct reader reader;
	pthread_t thread;
	unsigned int rounds;

	/* Without readers: at most a batch is pending. */
	for (unsigned int i = 0; i < 200; i++) {
		churn_once(mm);
		CHECK(mm__frames_used(mm->frames) <= 64 + 4);
	}
	mm__rcu_barrier();
	/* With a reader: as much as may be pending. Then the thread waits. */
	enter(&reader);
	thread = thread_start(churn, mm);
	do {
		rounds = atomic_load(&churned);
		for (unsigned int i = 0; i < 1000; i++)
			sched_yield();
	} while (rounds < 500 || rounds != atomic_load(&churned));
	CHECK(rounds < ROUNDS);
	CHECK(mm__frames_used(mm->frames) <= 4096 + 4);
	leave(&reader);
	thread_join(thread);
	CHECK_EQ(atomic_load(&churned), ROUNDS);
	mm__rcu_barrier();
	CHECK_EQ(stats_of(mm).frames, 0);
	end_space(mm);
}
