/* SPDX-License-Identifier: MIT */
/*
 * An operation removes entries from the TLBs of other threads before it returns. Meanwhile the
 * other thread is parked outside of all functions. So it has not noticed anything by itself, and
 * its next access shows the entries that the operation left in its TLB.
 */
#include "mm/attach.h"
#include "mm/interrupt.h"
#include "mm/tlb.h"
#include "spaces.h"
#include "threads.h"

/* A thread that does one access each time the test tells it to. */
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

/* Two threads have the same pages in their TLBs; a third thread has none of them. */
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
	/* Later accesses to these pages need no fault. */
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

TEST(mm_tlb, moved_pages_are_gone_from_their_old_place)
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
		/* Shrinks. */
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

TEST(mm_tlb, no_thread_writes_to_a_page_shared_with_a_child)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *s = new_scene(lockings[i], PRIVATE);
		struct mm *child;

		CHECK_EQ(mm_fork(s->mm, &child), 0);
		CHECK_EQ(access_by(&s->reader[0], AT(0), 100), 0);
		/* The other thread has the old page in its TLB, and may not read it any more. */
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

TEST(mm_tlb, a_copy_is_seen_by_threads_that_have_read_the_old_page)
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

/*
 * Each page is in the TLB of one thread only, and one table has them all: all threads are
 * interrupted.
 */
TEST(mm_tlb, tlb_entries_of_many_threads_are_taken_from_each)
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

/* Adjacent pages use all slots. */
static void check_flush(struct mm *mm, unsigned int first, unsigned int n)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__thread_set set = { .all = false };

	mm__thread_set_add(&set, thread->number);
	for (unsigned int i = 0; i < MM__TLB_ENTRIES; i++)
		CHECK_EQ(peek(mm, AT(100 + i)), 0);
	mm__tlb_flush(mm, thread, &set, AT(first), AT(first + n));
	for (unsigned int i = 100; i < 100 + MM__TLB_ENTRIES; i++)
		CHECK_EQ(mm__tlb_slot(thread, AT(i))->page,
			 i >= first && i < first + n ? 0 : AT(i) + 1);
}

TEST(mm_tlb, a_flush_takes_the_entries_in_its_range_and_no_others)
{
	static const unsigned int lengths[] = {
		0, 1, 2, MM__TLB_ENTRIES - 1, MM__TLB_ENTRIES, MM__TLB_ENTRIES + 1, 500
	};
	struct mm *mm = new_space();

	map(mm, 0, 1000, RW);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (unsigned int first = 0; first < 200; first += 33)
			check_flush(mm, first, lengths[i]);
	end_space(mm);
}

/* A new thread gets the number of the thread that ended, and an empty TLB. */
TEST(mm_tlb, a_thread_with_the_number_of_an_ended_thread_sees_the_current_pages)
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
	/*
	 * The number of the space itself, of this thread, and of one of the two others at a time.
	 */
	CHECK(mm->threads.size <= 8);
	end_space(mm);
}

/*
 * Two flushes at the same time. A reader that is using its TLB delays the threads that flush it,
 * and no other thread.
 */

struct flusher {
	struct mm *mm;
	uint64_t addr;
	uint64_t length;
};

static bool is_interrupted(struct mm__thread *thread)
{
	return atomic_load(&thread->state) & MM__THREAD_INTERRUPTED;
}

static void *unmap_some(void *arg)
{
	const struct flusher *flusher = arg;

	CHECK_EQ(mm_munmap(flusher->mm, flusher->addr, flusher->length), 0);
	return NULL;
}

/* The only thread that may have the page in its TLB. */
static uint32_t owner_of(struct mm *mm, uint64_t addr)
{
	uint32_t owner;

	mm__rcu_read_lock();
	owner = mm__entry_owner(mm__entry_load(mm__table_find(&mm->page_table, addr), addr));
	mm__rcu_read_unlock();
	return owner;
}

/* Both pages are in one table. A flush locks only the entries that it flushes. */
TEST(mm_tlb, a_flush_does_not_wait_for_a_thread_that_another_flush_waits_for)
{
	struct mm *mm = new_space();
	struct reader busy, idle;
	struct mm__thread *owner;
	struct flusher flusher = { mm, AT(0), PAGES(1) };
	pthread_t thread;

	map(mm, 0, 1, RW);
	map(mm, 2, 1, RW);
	start(&busy, mm);
	start(&idle, mm);
	CHECK_EQ(access_by(&busy, AT(0), 1), 0);
	CHECK_EQ(access_by(&idle, AT(2), 2), 0);
	CHECK(mm__os_thread_attach());
	owner = mm__thread_of(&mm->threads, owner_of(mm, AT(0)));
	/* On behalf of the thread, which is idle. */
	mm__thread_enter(owner);
	thread = thread_start(unmap_some, &flusher);
	AWAIT(is_interrupted(owner));
	/* Frees nothing. Where memory is freed, the checked build would interrupt all threads. */
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), R), 0);
	CHECK_EQ(access_by(&idle, AT(2), 3), -MM_SEGV_ACCERR);
	CHECK(is_interrupted(owner));
	mm__thread_leave(owner);
	thread_join(thread);
	CHECK_EQ(peek_by(&busy, AT(0)), -MM_SEGV_MAPERR);
	end(&busy);
	end(&idle);
	end_space(mm);
}

/* The flush does not wait for these threads, either. */
TEST(mm_tlb, threads_begin_and_end_while_a_flush_waits)
{
	struct mm *mm = new_space();
	struct reader busy, other;
	struct mm__thread *owner;
	struct flusher flusher = { mm, AT(0), PAGES(1) };
	pthread_t thread;

	map(mm, 0, 1, RW);
	map(mm, 1024, 1, RW);
	start(&busy, mm);
	CHECK_EQ(access_by(&busy, AT(0), 1), 0);
	CHECK(mm__os_thread_attach());
	owner = mm__thread_of(&mm->threads, owner_of(mm, AT(0)));
	mm__thread_enter(owner);
	thread = thread_start(unmap_some, &flusher);
	AWAIT(is_interrupted(owner));
	for (int i = 0; i < 3; i++) {
		start(&other, mm);
		CHECK_EQ(access_by(&other, AT(1024), i), 0);
		end(&other);
	}
	CHECK(is_interrupted(owner));
	mm__thread_leave(owner);
	thread_join(thread);
	end(&busy);
	end_space(mm);
}

struct interrupter {
	struct mm *mm;
	struct mm__thread_set set;
	atomic_uint *to_come;
};

static void *flush_often(void *arg)
{
	const struct interrupter *interrupter = arg;
	struct mm__thread *thread = mm__this_thread(interrupter->mm);

	CHECK(thread);
	atomic_fetch_sub(interrupter->to_come, 1);
	AWAIT(!atomic_load(interrupter->to_come));
	for (unsigned int i = 0; i < test_scale(3000); i++) {
		mm__tlb_flush(interrupter->mm, thread, &interrupter->set, 0, MM_ADDR_MAX);
		mm__thread_enter(thread);
		mm__thread_leave(thread);
	}
	return NULL;
}

/* The flushing threads also interrupt each other, and list the threads in different orders. */
TEST(mm_tlb, flushes_of_the_same_threads_do_not_wait_for_each_other_in_a_circle)
{
	enum { THREADS = 4 };
	static struct interrupter interrupter[THREADS];
	pthread_t threads[THREADS];
	struct mm *mm = new_space();
	atomic_uint to_come = THREADS;

	for (uint32_t i = 0; i < THREADS; i++) {
		interrupter[i] = (struct interrupter){ .mm = mm, .to_come = &to_come };
		/* The space itself has a number, as each of the threads has. */
		for (uint32_t k = 0; k <= THREADS; k++)
			mm__thread_set_add(&interrupter[i].set, i % 2 ? 1 + k : 1 + THREADS - k);
	}
	interrupter[0].set.all = true;
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(flush_often, &interrupter[i]);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	end_space(mm);
}

TEST(mm_tlb, a_set_has_each_thread_once_and_in_order)
{
	static const uint32_t added[] = { 7, 3, 9, 3, 1, 7, 0, 8, 2, 9 };
	static const uint16_t expected[] = { 1, 2, 3, 7, 8, 9 };
	struct mm__thread_set set = { .all = false };

	for (unsigned int i = 0; i < sizeof(added) / sizeof(added[0]); i++)
		mm__thread_set_add(&set, added[i]);
	CHECK(!set.all);
	CHECK_EQ(set.count, 6);
	for (unsigned int i = 0; i < set.count; i++)
		CHECK_EQ(set.number[i], expected[i]);
	mm__thread_set_add(&set, 100);
	mm__thread_set_add(&set, 4);
	CHECK(!set.all);
	mm__thread_set_add(&set, 100);
	CHECK(!set.all);
	mm__thread_set_add(&set, 5);
	CHECK(set.all);
}

/*
 * All threads at once
 */

struct visit {
	struct mm *mm;
	unsigned int visited;
};

static void check_all_interrupted(struct mm__thread *thread, void *arg)
{
	struct visit *visit = arg;
	const struct mm__threads *threads = &visit->mm->threads;
	unsigned int interrupted = 0;

	CHECK(thread->mm == visit->mm);
	for (uint32_t number = 1; number <= threads->size; number++) {
		struct mm__thread *other = mm__thread_of(threads, number);

		if (!other || !other->used)
			continue;
		interrupted += is_interrupted(other);
	}
	CHECK_EQ(interrupted, 5);
	visit->visited++;
}

static atomic_bool over;

static void *read_on(void *arg)
{
	struct reader *r = arg;

	CHECK_EQ(peek(r->mm, AT(0)), 1);
	sem_post(&r->done);
	while (!atomic_load(&over))
		CHECK_EQ(peek(r->mm, AT(0)), 1);
	return NULL;
}

/* Three threads that use their TLBs, this thread, and the number of the space itself. */
TEST(mm_tlb, all_threads_can_be_interrupted_at_the_same_time)
{
	struct mm *mm = new_space();
	struct reader readers[3];
	struct visit visit = { .mm = mm };

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	for (unsigned int i = 0; i < 3; i++) {
		readers[i].mm = mm;
		CHECK_EQ(sem_init(&readers[i].done, 0, 0), 0);
		readers[i].thread = thread_start(read_on, &readers[i]);
		sem_await(&readers[i].done);
	}
	for (unsigned int i = 0; i < test_scale(3000); i++)
		mm__threads_interrupt_all(mm, check_all_interrupted, &visit);
	CHECK_EQ(visit.visited, 5 * test_scale(3000));
	atomic_store(&over, true);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(readers[i].thread);
	end_space(mm);
}

static void count_visit(struct mm__thread *thread, void *arg)
{
	(void)thread;
	++*(unsigned int *)arg;
}

TEST(mm_tlb, threads_that_have_ended_are_not_interrupted)
{
	struct mm *mm = new_space();
	unsigned int visited = 0;
	struct reader reader;

	map(mm, 0, 1, RW);
	start(&reader, mm);
	CHECK_EQ(access_by(&reader, AT(0), 1), 0);
	mm__threads_interrupt_all(mm, count_visit, &visited);
	CHECK_EQ(visited, 3);
	end(&reader);
	visited = 0;
	mm__threads_interrupt_all(mm, count_visit, &visited);
	CHECK_EQ(visited, 2);
	/* Removes the entry from the TLB of the thread under its old address. */
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(1)), 0);
	end_space(mm);
}

/*
 * Fenced threads
 */

/* As in thread.c. */
#define FENCED_ENTRIES 2000u

static void pass(struct mm__thread *thread, unsigned int times)
{
	while (times--) {
		mm__thread_enter(thread);
		mm__thread_leave(thread);
	}
}

static void ignore(struct mm__thread *thread, void *arg)
{
	(void)thread, (void)arg;
}

TEST(mm_tlb, an_interrupted_thread_is_fenced_until_it_was_not_interrupted_for_long)
{
	struct mm *mm = new_space();
	struct mm__thread *thread = mm__this_thread(mm);
	uint32_t fenced = mmrange__fence_is_heavy ? MM__THREAD_FENCED : 0;

	CHECK_EQ(atomic_load(&thread->state), 0);
	mm__threads_interrupt_all(mm, ignore, NULL);
	CHECK_EQ(atomic_load(&thread->state), fenced);
	pass(thread, FENCED_ENTRIES - 1);
	CHECK_EQ(atomic_load(&thread->state), fenced);
	mm__threads_interrupt_all(mm, ignore, NULL);
	pass(thread, FENCED_ENTRIES - 1);
	CHECK_EQ(atomic_load(&thread->state), fenced);
	pass(thread, 1);
	CHECK_EQ(atomic_load(&thread->state), 0);
	pass(thread, FENCED_ENTRIES);
	mm__threads_interrupt_all(mm, ignore, NULL);
	CHECK_EQ(atomic_load(&thread->state), fenced);
	end_space(mm);
}

/* A translation that one thread uses and another thread removes, again and again. */
static struct {
	struct mm *mm;
	struct mm__thread *thread;
	pthread_mutex_t table;
	unsigned int mapped; /* with the lock of the table */
	unsigned int frame;  /* plain: ThreadSanitizer sees a thread that uses it too late */
	atomic_uint entries;
	atomic_bool over;
	sem_t ready;
} shared = { .table = PTHREAD_MUTEX_INITIALIZER };

enum { IN_USE = 7, FREED = 9 };

static bool use_translation(struct mm__thread *thread)
{
	bool found;

	mm__thread_enter(thread);
	found = mm__tlb_slot(thread, AT(0))->page == AT(0) + 1;
	if (found)
		CHECK_EQ(shared.frame, IN_USE);
	mm__thread_leave(thread);
	return found;
}

static void *use_translations(void *arg)
{
	struct mm__thread *thread = mm__this_thread(shared.mm);

	(void)arg;
	shared.thread = thread;
	sem_post(&shared.ready);
	while (!atomic_load_explicit(&shared.over, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&shared.entries, 1, memory_order_relaxed);
		if (use_translation(thread))
			continue;
		pthread_mutex_lock(&shared.table);
		if (shared.mapped)
			mm__tlb_insert(thread, AT(0), 1, NULL);
		pthread_mutex_unlock(&shared.table);
	}
	return NULL;
}

static void take_translation(struct mm__thread *self)
{
	struct mm__thread_set set = { .all = false };

	mm__thread_set_add(&set, shared.thread->number);
	pthread_mutex_lock(&shared.table);
	shared.mapped = 0;
	mm__tlb_flush(shared.mm, self, &set, AT(0), AT(1));
	shared.frame = FREED;
	shared.frame = IN_USE;
	shared.mapped = 1;
	pthread_mutex_unlock(&shared.table);
}

TEST(mm_tlb, nothing_is_used_after_a_flush_whether_the_thread_is_fenced_or_not)
{
	uint64_t seed = test_seed("mm_tlb");
	struct mm__thread *self;
	pthread_t thread;

	shared.mm = new_space();
	shared.frame = IN_USE;
	self = mm__this_thread(shared.mm);
	CHECK_EQ(sem_init(&shared.ready, 0, 0), 0);
	thread = thread_start(use_translations, NULL);
	sem_await(&shared.ready);
	for (unsigned int i = 0; i < test_scale(1000); i++) {
		unsigned int entries = atomic_load(&shared.entries);
		unsigned int more = 1u << test_random_below(&seed, 13);

		take_translation(self);
		AWAIT(atomic_load(&shared.entries) - entries >= more);
	}
	atomic_store(&shared.over, true);
	thread_join(thread);
	end_space(shared.mm);
}
