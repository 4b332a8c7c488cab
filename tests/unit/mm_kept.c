/* SPDX-License-Identifier: MIT */
/*
 * Threads keep the memory of VMAs, and reuse it. A thread that maps and unmaps in turn allocates
 * none. A thread that only unmaps VMAs of others keeps a bounded number. A thread that ends frees
 * the memory that it has kept. The linker redirects the library's allocations to this file.
 */
#include "forks.h"
#include "mm/space.h"
#include "spaces.h"
#include "threads.h"

#include <stdlib.h>

/* As in vma_memory.c, with few threads. */
#define KEPT 2048u
#define MANY 6000u
/* The distance from all that map_many() maps. */
#define APART 1000000u

static _Atomic(unsigned int) allocated;
static _Atomic(unsigned int) freed;

int __real_posix_memalign(void **result, size_t align, size_t size);
int __wrap_posix_memalign(void **result, size_t align, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

int __wrap_posix_memalign(void **result, size_t align, size_t size)
{
	atomic_fetch_add(&allocated, 1);
	return __real_posix_memalign(result, align, size);
}

void __wrap_free(void *memory)
{
	atomic_fetch_add(&freed, 1);
	__real_free(memory);
}

static unsigned int kept(void)
{
	return mm__rcu_self->nr_kept;
}

static void unmap(struct mm *mm, unsigned int page, unsigned int n)
{
	CHECK_EQ(mm_munmap(mm, AT(page), PAGES(n)), 0);
}

/* Maps pages that are not adjacent to each other. */
static void map_many(struct mm *mm)
{
	for (unsigned int i = 0; i < MANY; i++)
		map(mm, 2 * i, 1, RW);
}

static void unmap_many(struct mm *mm)
{
	for (unsigned int i = 0; i < MANY; i++) {
		unmap(mm, 2 * i, 1);
		CHECK(kept() <= KEPT);
	}
}

static void map_and_unmap(struct mm *mm, unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		map(mm, APART, 1, RW);
		unmap(mm, APART, 1);
	}
}

/* Beside a VMA that stays, as in most programs. */
static void check_steady(enum mm_locking locking)
{
	struct mm *mm = new_space_locking(locking);
	unsigned int before;

	map(mm, 0, 1, RW);
	map_and_unmap(mm, 2000);
	before = atomic_load(&allocated);
	map_and_unmap(mm, 5000);
	CHECK_EQ(atomic_load(&allocated), before);
	end_space(mm);
}

TEST(mm_kept, a_thread_that_maps_and_unmaps_allocates_no_memory)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++)
		check_steady(lockings[i]);
}

enum { CROWD = 24 };

struct crowd {
	struct mm *mm;
	pthread_barrier_t barrier;
};

static void *be_there(void *arg)
{
	struct crowd *crowd = arg;

	map(crowd->mm, 10, 1, RW);
	pthread_barrier_wait(&crowd->barrier);
	pthread_barrier_wait(&crowd->barrier);
	return NULL;
}

/* Among many threads a thread may keep more. */
TEST(mm_kept, a_thread_that_maps_and_unmaps_among_many_threads_allocates_no_memory)
{
	struct crowd crowd = { .mm = new_space() };
	pthread_t threads[CROWD];
	unsigned int before;

	map(crowd.mm, 0, 1, RW);
	CHECK_EQ(pthread_barrier_init(&crowd.barrier, NULL, CROWD + 1), 0);
	for (unsigned int i = 0; i < CROWD; i++)
		threads[i] = thread_start(be_there, &crowd);
	pthread_barrier_wait(&crowd.barrier);
	map_and_unmap(crowd.mm, 15000);
	before = atomic_load(&allocated);
	map_and_unmap(crowd.mm, 15000);
	CHECK_EQ(atomic_load(&allocated), before);
	map_many(crowd.mm);
	unmap(crowd.mm, 0, 2 * MANY);
	mm__rcu_barrier();
	CHECK_EQ(kept(), 1024 + 128 * (CROWD + 1));
	pthread_barrier_wait(&crowd.barrier);
	for (unsigned int i = 0; i < CROWD; i++)
		thread_join(threads[i]);
	pthread_barrier_destroy(&crowd.barrier);
	end_space(crowd.mm);
}

/* The thread protects a part of a VMA, which divides the VMA, and undoes that, which merges it. */
TEST(mm_kept, a_thread_that_divides_and_merges_allocates_no_vmas)
{
	struct mm *mm = new_space();
	unsigned int before = 0;

	map(mm, 0, 3, RW);
	for (unsigned int i = 0; i < 7000; i++) {
		if (i == 2000)
			before = atomic_load(&allocated);
		CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), R), 0);
		CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), RW), 0);
	}
	CHECK_EQ(atomic_load(&allocated), before);
	CHECK_VMAS(mm, "0-3:rw-p");
	end_space(mm);
}

static unsigned int kept_at_end;

static void *unmap_all(void *arg)
{
	unmap_many(arg);
	/* This thread frees all that is pending. */
	mm__rcu_barrier();
	kept_at_end = kept();
	CHECK(kept_at_end <= KEPT);
	atomic_store(&freed, 0);
	return NULL;
}

TEST(mm_kept, a_thread_that_only_unmaps_keeps_a_bounded_number)
{
	struct mm *mm = new_space();

	for (unsigned int round = 0; round < 3; round++) {
		map_many(mm);
		thread_join(thread_start(unmap_all, mm));
		/* The thread frees the memory that it kept when it ends. */
		CHECK_EQ(kept_at_end, KEPT);
		CHECK(atomic_load(&freed) >= KEPT);
	}
	end_space(mm);
}

/* Frees many VMAs at once. */
TEST(mm_kept, a_call_that_frees_many_vmas_keeps_a_bounded_number)
{
	struct mm *mm = new_space();

	map_many(mm);
	unmap(mm, 0, 2 * MANY);
	mm__rcu_barrier();
	CHECK_EQ(kept(), KEPT);
	end_space(mm);
	CHECK(kept() <= KEPT);
}

/* The thread that ends the space has used no space, and frees memory all the same. */
static void *destroy(void *arg)
{
	CHECK(!mm__rcu_self);
	mm_destroy(arg);
	CHECK(!mm__rcu_self);
	return NULL;
}

TEST(mm_kept, a_thread_that_used_no_space_keeps_nothing)
{
	struct mm *mm = new_space();

	map_many(mm);
	unmap(mm, 0, MANY);
	thread_join(thread_start(destroy, mm));
}

/* The child owns the memory that its thread kept in the parent. */
static void use_in_child(void *arg)
{
	struct mm *mm = new_space();

	(void)arg;
	map_and_unmap(mm, 2000);
	end_space(mm);
}

TEST(mm_kept, a_child_uses_the_memory_that_the_thread_has_kept)
{
	struct mm *mm = new_space();
	unsigned int before;

	map_and_unmap(mm, 2000);
	before = kept();
	CHECK(before);
	check_in_child(use_in_child, NULL);
	CHECK_EQ(kept(), before);
	map_and_unmap(mm, 2000);
	end_space(mm);
}
