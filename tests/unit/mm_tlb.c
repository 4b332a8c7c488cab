/* SPDX-License-Identifier: MIT */
/*
 * What a thread has in its TLB is taken from it before the operation of another returns. The thread
 * is parked outside of all functions meanwhile: so it has not noticed anything by itself, and what
 * it sees next is what the operation has left in its TLB.
 */
#include "mm/internal.h"
#include "spaces.h"
#include "threads.h"

/* A thread that does one access when it is told to. */
struct reader {
	struct mm *mm;
	pthread_t thread;
	sem_t go;
	sem_t done;
	bool over;
	uint64_t addr;
	int value; /* to write; -1: read */
	int result;
};

static void *serve_accesses(void *arg)
{
	struct reader *r = arg;

	for (;;) {
		sem_await(&r->go);
		if (r->over)
			return NULL;
		r->result = r->value < 0 ? peek(r->mm, r->addr) : poke(r->mm, r->addr, r->value);
		sem_post(&r->done);
	}
}

static void start(struct reader *r, struct mm *mm)
{
	*r = (struct reader){ .mm = mm };
	CHECK_EQ(sem_init(&r->go, 0, 0), 0);
	CHECK_EQ(sem_init(&r->done, 0, 0), 0);
	r->thread = thread_start(serve_accesses, r);
}

static void end(struct reader *r)
{
	r->over = true;
	sem_post(&r->go);
	thread_join(r->thread);
}

static int access_by(struct reader *r, uint64_t addr, int value)
{
	r->addr = addr;
	r->value = value;
	sem_post(&r->go);
	sem_await(&r->done);
	return r->result;
}

static int peek_by(struct reader *r, uint64_t addr)
{
	return access_by(r, addr, -1);
}

/* Two threads have the same pages in their TLBs, and a third has nothing to do with them. */
struct scene {
	struct mm *mm;
	struct reader reader[3];
};

#define WARM 4u

static void warm(struct scene *s)
{
	for (unsigned int i = 0; i < WARM; i++) {
		CHECK_EQ(poke(s->mm, AT(i), (int)i + 1), 0);
		for (unsigned int k = 0; k < 2; k++) {
			CHECK_EQ(access_by(&s->reader[k], AT(i), (int)i + 1), 0);
			CHECK_EQ(peek_by(&s->reader[k], AT(i)), (int)i + 1);
		}
	}
	/* What is there needs no fault any more. */
	for (unsigned int i = 0; i < WARM; i++) {
		uint64_t faults = stats_of(s->mm).faults;

		CHECK_EQ(peek_by(&s->reader[1], AT(i)), (int)i + 1);
		CHECK_EQ(stats_of(s->mm).faults, faults);
	}
}

static struct scene *new_scene(enum mm_locking locking, int flags)
{
	static struct scene scene;

	scene.mm = new_space_locking(locking);
	map_as(scene.mm, 0, WARM, RW, flags);
	for (unsigned int k = 0; k < 3; k++)
		start(&scene.reader[k], scene.mm);
	CHECK_EQ(peek_by(&scene.reader[2], AT(99)), -MM_SEGV_MAPERR);
	warm(&scene);
	return &scene;
}

static void end_scene(struct scene *s)
{
	for (unsigned int k = 0; k < 3; k++)
		end(&s->reader[k]);
	end_space(s->mm);
}

TEST(mm_tlb, unmapped_pages_are_gone_for_all_threads)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);

		CHECK_EQ(mm_munmap(s->mm, AT(1), PAGES(2)), 0);
		for (unsigned int k = 0; k < 3; k++) {
			CHECK_EQ(peek_by(&s->reader[k], AT(0)), 1);
			CHECK_EQ(peek_by(&s->reader[k], AT(1)), -MM_SEGV_MAPERR);
			CHECK_EQ(access_by(&s->reader[k], AT(2), 9), -MM_SEGV_MAPERR);
			CHECK_EQ(peek_by(&s->reader[k], AT(3)), 4);
		}
		end_scene(s);
	}
}

TEST(mm_tlb, replaced_pages_are_gone_for_all_threads)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);

		map(s->mm, 0, 2, RW);
		for (unsigned int k = 0; k < 3; k++)
			CHECK_EQ(peek_by(&s->reader[k], AT(k % 2)), 0);
		CHECK_EQ(access_by(&s->reader[0], AT(1), 7), 0);
		CHECK_EQ(peek(s->mm, AT(1)), 7);
		end_scene(s);
	}
}

TEST(mm_tlb, protections_hold_for_all_threads)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);

		CHECK_EQ(mm_mprotect(s->mm, AT(0), PAGES(2), R), 0);
		for (unsigned int k = 0; k < 2; k++) {
			CHECK_EQ(access_by(&s->reader[k], AT(0), 9), -MM_SEGV_ACCERR);
			CHECK_EQ(peek_by(&s->reader[k], AT(1)), 2);
			CHECK_EQ(access_by(&s->reader[k], AT(1), 9), -MM_SEGV_ACCERR);
			CHECK_EQ(access_by(&s->reader[k], AT(2), 3), 0);
		}
		CHECK_EQ(mm_mprotect(s->mm, AT(0), PAGES(4), NONE), 0);
		for (unsigned int k = 0; k < 2; k++)
			for (unsigned int page = 0; page < WARM; page++)
				CHECK_EQ(peek_by(&s->reader[k], AT(page)), -MM_SEGV_ACCERR);
		CHECK_EQ(mm_mprotect(s->mm, AT(0), PAGES(4), RW), 0);
		CHECK_EQ(access_by(&s->reader[1], AT(0), 5), 0);
		CHECK_EQ(peek_by(&s->reader[0], AT(0)), 5);
		end_scene(s);
	}
}

TEST(mm_tlb, moved_pages_are_gone_from_where_they_were)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);
		uint64_t addr;

		CHECK_EQ(mm_mremap(s->mm, AT(0), PAGES(2), PAGES(2), 3, AT(2), &addr), 0);
		for (unsigned int k = 0; k < 2; k++) {
			CHECK_EQ(peek_by(&s->reader[k], AT(0)), -MM_SEGV_MAPERR);
			CHECK_EQ(access_by(&s->reader[k], AT(1), 9), -MM_SEGV_MAPERR);
			CHECK_EQ(peek_by(&s->reader[k], AT(2)), 1);
			CHECK_EQ(peek_by(&s->reader[k], AT(3)), 2);
		}
		CHECK_EQ(access_by(&s->reader[0], AT(2), 9), 0);
		CHECK_EQ(peek_by(&s->reader[1], AT(2)), 9);
		/* Shrunk. */
		CHECK_EQ(mm_mremap(s->mm, AT(2), PAGES(2), PAGES(1), 0, 0, &addr), 0);
		CHECK_EQ(peek_by(&s->reader[1], AT(3)), -MM_SEGV_MAPERR);
		end_scene(s);
	}
}

TEST(mm_tlb, pages_that_are_not_needed_are_zeroes_for_all_threads)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);

		CHECK_EQ(mm_madvise(s->mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
		for (unsigned int k = 0; k < 2; k++)
			for (unsigned int page = 0; page < WARM; page++)
				CHECK_EQ(peek_by(&s->reader[k], AT(page)),
					 page < 2 ? 0 : (int)page + 1);
		CHECK_EQ(access_by(&s->reader[0], AT(0), 9), 0);
		CHECK_EQ(peek_by(&s->reader[1], AT(0)), 9);
		end_scene(s);
	}
}

TEST(mm_tlb, the_heap_that_is_given_back_is_gone_for_all_threads)
{
	struct scene *s = new_scene(MM_LOCKING_SPECULATIVE, PRIVATE);
	uint64_t start, end;

	CHECK_EQ(mm_brk(s->mm, 0, &start), 0);
	CHECK_EQ(mm_brk(s->mm, start + PAGES(2), &end), 0);
	for (unsigned int k = 0; k < 2; k++)
		CHECK_EQ(access_by(&s->reader[k], start + PAGES(1), 5), 0);
	CHECK_EQ(mm_brk(s->mm, start + PAGES(1), &end), 0);
	for (unsigned int k = 0; k < 2; k++)
		CHECK_EQ(peek_by(&s->reader[k], start + PAGES(1)), -MM_SEGV_MAPERR);
	end_scene(s);
}

TEST(mm_tlb, no_thread_writes_to_what_is_shared_with_a_child)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);
		struct mm *child;

		CHECK_EQ(mm_fork(s->mm, &child), 0);
		CHECK_EQ(access_by(&s->reader[0], AT(0), 100), 0);
		/* The other thread has the old page in its TLB, which it may read no more. */
		CHECK_EQ(peek_by(&s->reader[1], AT(0)), 100);
		CHECK_EQ(access_by(&s->reader[1], AT(0), 101), 0);
		CHECK_EQ(access_by(&s->reader[1], AT(3), 103), 0);
		CHECK_EQ(peek_by(&s->reader[0], AT(0)), 101);
		CHECK_EQ(peek_by(&s->reader[0], AT(3)), 103);
		for (unsigned int page = 0; page < WARM; page++)
			CHECK_EQ(peek(child, AT(page)), (int)page + 1);
		CHECK_EQ(poke(child, AT(1), 50), 0);
		CHECK_EQ(peek_by(&s->reader[0], AT(1)), 2);
		mm_destroy(child);
		end_scene(s);
	}
}

TEST(mm_tlb, a_copy_is_seen_by_those_who_have_read_what_was_there)
{
	struct scene *s = new_scene(MM_LOCKING_SPECULATIVE, PRIVATE);
	struct mm *child;

	CHECK_EQ(mm_fork(s->mm, &child), 0);
	for (unsigned int k = 0; k < 3; k++)
		for (unsigned int page = 0; page < WARM; page++)
			CHECK_EQ(peek_by(&s->reader[k], AT(page)), (int)page + 1);
	for (unsigned int page = 0; page < WARM; page++) {
		CHECK_EQ(access_by(&s->reader[page % 3], AT(page), 60 + (int)page), 0);
		for (unsigned int k = 0; k < 3; k++)
			CHECK_EQ(peek_by(&s->reader[k], AT(page)), 60 + (int)page);
	}
	mm_destroy(child);
	end_scene(s);
}

TEST(mm_tlb, shared_pages_are_taken_away_too)
{
	struct scene *s = new_scene(MM_LOCKING_SPECULATIVE, SHARED);

	CHECK_EQ(mm_mprotect(s->mm, AT(1), PAGES(1), R), 0);
	CHECK_EQ(access_by(&s->reader[0], AT(1), 9), -MM_SEGV_ACCERR);
	CHECK_EQ(mm_munmap(s->mm, AT(0), PAGES(1)), 0);
	for (unsigned int k = 0; k < 2; k++)
		CHECK_EQ(peek_by(&s->reader[k], AT(0)), -MM_SEGV_MAPERR);
	CHECK_EQ(peek_by(&s->reader[1], AT(3)), 4);
	end_scene(s);
}

#define MANY 20u

/* Each thread is the only one who has its page: all have to be stopped for what is one table. */
TEST(mm_tlb, what_many_threads_have_is_taken_from_each)
{
	static struct reader many[MANY];
	struct mm *mm = new_space();

	map(mm, 0, MANY, RW);
	for (unsigned int i = 0; i < MANY; i++) {
		start(&many[i], mm);
		CHECK_EQ(access_by(&many[i], AT(i), (int)i), 0);
	}
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(MANY), R), 0);
	for (unsigned int i = 0; i < MANY; i++)
		CHECK_EQ(access_by(&many[i], AT(i), 99), -MM_SEGV_ACCERR);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(MANY), MM_MADV_DONTNEED), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		CHECK_EQ(peek_by(&many[i], AT(i)), 0);
		end(&many[i]);
	}
	end_space(mm);
}

TEST(mm_tlb, pages_that_share_a_slot_do_not_mix)
{
	struct mm *mm = new_space();

	map(mm, 0, 4 * MM__TLB_ENTRIES, RW);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 4; i++)
			CHECK_EQ(poke(mm, AT(i * MM__TLB_ENTRIES), (int)(i + round)), 0);
		for (unsigned int i = 0; i < 4; i++)
			CHECK_EQ(peek(mm, AT(i * MM__TLB_ENTRIES)), (int)(i + round));
	}
	end_space(mm);
}

/* The number of a thread that has ended is another's, who has nothing of the first in its TLB. */
TEST(mm_tlb, who_gets_the_number_of_a_thread_that_ended_sees_what_is_there_now)
{
	struct mm *mm = new_space();
	struct reader reader;

	map(mm, 0, 1, RW);
	for (unsigned int i = 0; i < 5; i++) {
		start(&reader, mm);
		CHECK_EQ(access_by(&reader, AT(0), (int)i + 1), 0);
		end(&reader);
		start(&reader, mm);
		CHECK_EQ(peek_by(&reader, AT(0)), (int)i + 1);
		CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
		CHECK_EQ(peek_by(&reader, AT(0)), 0);
		end(&reader);
	}
	/* The space's own, this thread's, and those of the one or the other. */
	CHECK(mm->cpus.size <= 8);
	end_space(mm);
}
