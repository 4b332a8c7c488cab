/* SPDX-License-Identifier: MIT */
/*
 * The state that a space has of each thread. The thread's first use of the space makes it; it ends
 * with the thread or with the space, whichever ends first.
 */
#include "mm/attach.h"
#include "spaces.h"
#include "threads.h"

#define SHORT_THREADS 300u

static void *touch_own(void *arg)
{
	struct mm *mm = arg;
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(3), RW, PRIVATE, -1, 0, &addr), 0);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(poke(mm, addr + PAGES(i), 7), 0);
	CHECK_EQ(mm_munmap(mm, addr, PAGES(3)), 0);
	return NULL;
}

TEST(mm_threads, counts_of_threads_are_not_lost_when_they_end)
{
	struct mm *mm = new_space();

	for (unsigned int i = 0; i < SHORT_THREADS; i++)
		thread_join(thread_start(touch_own, mm));
	CHECK_EQ(stats_of(mm).faults_minor, 3 * SHORT_THREADS);
	CHECK_EQ(stats_of(mm).pages, 0);
	CHECK_EQ(stats_of(mm).frames, 0);
	/* The threads ran one at a time, so they all got the same number. */
	CHECK_EQ(mm->threads.size, 8);
	end_space(mm);
}

TEST(mm_threads, hundreds_at_once)
{
	static pthread_t threads[SHORT_THREADS];
	struct mm *mm = new_space();

	for (unsigned int i = 0; i < SHORT_THREADS; i++)
		threads[i] = thread_start(touch_own, mm);
	for (unsigned int i = 0; i < SHORT_THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(stats_of(mm).faults_minor, 3 * SHORT_THREADS);
	CHECK_EQ(stats_of(mm).frames, 0);
	end_space(mm);
}

#define MANY_SPACES 50u

static struct mm *spaces[MANY_SPACES];

/* More spaces than a thread remembers, in an order in which it remembers none of them. */
static void *use_all(void *arg)
{
	(void)arg;
	for (unsigned int round = 0; round < 20; round++)
		for (unsigned int i = 0; i < MANY_SPACES; i++)
			CHECK_EQ(poke(spaces[i], AT(round % 2), (int)i), 0);
	for (unsigned int i = 0; i < MANY_SPACES; i++)
		CHECK_EQ(peek(spaces[i], AT(1)), (int)i);
	return NULL;
}

TEST(mm_threads, one_can_use_many_spaces)
{
	for (unsigned int i = 0; i < MANY_SPACES; i++) {
		spaces[i] = new_space();
		map(spaces[i], 0, 2, RW);
	}
	thread_join(thread_start(use_all, NULL));
	use_all(NULL);
	for (unsigned int i = 0; i < MANY_SPACES; i++) {
		CHECK_EQ(stats_of(spaces[i]).frames, 2);
		/* The numbers of the space itself, of this thread, and of the thread that ended. */
		CHECK_EQ(spaces[i]->threads.size, 8);
		end_space(spaces[i]);
	}
}

/*
 * A thread finds its state in a space without the lock of the list of users, however many spaces it
 * uses, also when some of them have been destroyed.
 */
struct finder {
	struct mm **spaces;
	unsigned int n;
	sem_t found;
	sem_t again;
};

static void read_each(struct finder *finder)
{
	for (unsigned int i = 0; i < finder->n; i++)
		if (finder->spaces[i])
			CHECK_EQ(peek(finder->spaces[i], AT(0)), (int)(i % 100) + 1);
}

static void *find_each(void *arg)
{
	struct finder *finder = arg;

	for (unsigned int round = 0; round < 2; round++) {
		/* The first use of some spaces. */
		read_each(finder);
		sem_post(&finder->found);
		sem_await(&finder->again);
		read_each(finder);
		sem_post(&finder->found);
		sem_await(&finder->again);
	}
	return NULL;
}

static void read_without_the_lock(struct finder *finder)
{
	sem_await(&finder->found);
	mm__attach_lock();
	sem_post(&finder->again);
	sem_await(&finder->found);
	mm__attach_unlock();
}

static struct mm *new_numbered_space(unsigned int i)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), (int)(i % 100) + 1), 0);
	return mm;
}

TEST(mm_threads, find_their_state_in_a_space_without_a_lock)
{
	const unsigned int n = test_scale(1000);
	struct finder finder = { .spaces = calloc(n, sizeof(struct mm *)), .n = n };
	pthread_t thread;

	CHECK_EQ(sem_init(&finder.found, 0, 0), 0);
	CHECK_EQ(sem_init(&finder.again, 0, 0), 0);
	for (unsigned int i = 0; i < n; i++)
		finder.spaces[i] = new_numbered_space(i);
	thread = thread_start(find_each, &finder);
	read_without_the_lock(&finder);
	/* Most spaces are destroyed, and some are new. */
	for (unsigned int i = 0; i < n; i++) {
		if (i % 3)
			mm_destroy(finder.spaces[i]);
		if (i % 3 == 1)
			finder.spaces[i] = new_numbered_space(i);
		else if (i % 3)
			finder.spaces[i] = NULL;
	}
	sem_post(&finder.again);
	read_without_the_lock(&finder);
	sem_post(&finder.again);
	thread_join(thread);
	for (unsigned int i = 0; i < n; i++)
		if (finder.spaces[i])
			mm_destroy(finder.spaces[i]);
	free(finder.spaces);
}

/* Waits with pages of the space in its TLB, and ends after the space. */
struct survivor {
	struct mm *mm;
	struct mm *other;
	sem_t used;
	sem_t gone;
};

static void *survive(void *arg)
{
	struct survivor *s = arg;

	CHECK_EQ(poke(s->mm, AT(0), 5), 0);
	CHECK_EQ(poke(s->other, AT(0), 6), 0);
	sem_post(&s->used);
	sem_await(&s->gone);
	CHECK_EQ(peek(s->other, AT(0)), 6);
	return NULL;
}

TEST(mm_threads, may_outlive_a_space_that_they_used)
{
	struct survivor s = { .mm = new_space(), .other = new_space() };
	pthread_t threads[4];

	CHECK_EQ(sem_init(&s.used, 0, 0), 0);
	CHECK_EQ(sem_init(&s.gone, 0, 0), 0);
	map(s.mm, 0, 1, RW);
	map(s.other, 0, 1, RW);
	for (unsigned int i = 0; i < 4; i++)
		threads[i] = thread_start(survive, &s);
	for (unsigned int i = 0; i < 4; i++)
		sem_await(&s.used);
	end_space(s.mm);
	for (unsigned int i = 0; i < 4; i++)
		sem_post(&s.gone);
	for (unsigned int i = 0; i < 4; i++)
		thread_join(threads[i]);
	CHECK_EQ(stats_of(s.other).faults_minor, 1);
	end_space(s.other);
}

/* Another space gets the memory of an earlier one. The thread has no state in the new space yet. */
TEST(mm_threads, remember_nothing_of_a_space_that_was_at_the_same_address)
{
	bool same = false;

	for (unsigned int i = 0; i < 100 && !same; i++) {
		struct mm *mm = new_space();
		uintptr_t address = (uintptr_t)mm;

		map(mm, 0, 1, RW);
		CHECK_EQ(poke(mm, AT(0), 1), 0);
		mm_destroy(mm);
		mm = new_space();
		same = (uintptr_t)mm == address;
		CHECK_EQ(peek(mm, AT(0)), -MM_SEGV_MAPERR);
		map(mm, 0, 1, RW);
		CHECK_EQ(peek(mm, AT(0)), 0);
		end_space(mm);
	}
	if (!same)
		puts("skipped: memory is not used again here");
}

static pthread_key_t late_key;
static struct mm *late_space;

/* Runs before or after the library's own destructor: POSIX leaves the order of destructors open. */
static void use_late(void *arg)
{
	(void)arg;
	CHECK_EQ(poke(late_space, AT(0), 9), 0);
}

static void *use_early_and_late(void *arg)
{
	CHECK_EQ(poke(late_space, AT(0), 8), 0);
	CHECK_EQ(pthread_setspecific(late_key, arg), 0);
	return NULL;
}

TEST(mm_threads, may_use_a_space_while_they_end)
{
	late_space = new_space();
	map(late_space, 0, 1, RW);
	CHECK_EQ(pthread_key_create(&late_key, use_late), 0);
	for (unsigned int i = 0; i < 20; i++) {
		thread_join(thread_start(use_early_and_late, &late_key));
		CHECK_EQ(peek(late_space, AT(0)), 9);
	}
	CHECK_EQ(late_space->threads.size, 8);
	CHECK_EQ(pthread_key_delete(late_key), 0);
	end_space(late_space);
}

static void *begin_and_end(void *arg)
{
	CHECK_EQ(poke(arg, AT(1), 1), 0);
	(void)peek(arg, AT(0));
	return NULL;
}

static void *begin_many(void *arg)
{
	for (unsigned int i = 0; i < test_scale(1000); i++)
		thread_join(thread_start(begin_and_end, arg));
	return NULL;
}

/* The flushed pages are in the TLBs of threads that are about to end. */
TEST(mm_threads, may_end_while_others_flush)
{
	struct mm *mm = new_space();
	pthread_t threads[2];

	map(mm, 0, 2, RW);
	for (unsigned int i = 0; i < 2; i++)
		threads[i] = thread_start(begin_many, mm);
	for (unsigned int i = 0; i < test_scale(3000); i++) {
		CHECK_EQ(poke(mm, AT(0), 1), 0);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), NONE), 0);
		CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), RW), 0);
	}
	for (unsigned int i = 0; i < 2; i++)
		thread_join(threads[i]);
	check_space(mm);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
	CHECK_EQ(stats_of(mm).frames, 0);
	end_space(mm);
}

struct ending {
	struct mm *mm;
	sem_t *used;
};

static void *use_and_end(void *arg)
{
	struct ending *ending = arg;

	CHECK_EQ(poke(ending->mm, AT(0), 1), 0);
	sem_post(ending->used);
	return NULL;
}

/* Threads end while the space does: either may end first. */
TEST(mm_threads, may_end_while_the_space_does)
{
	for (unsigned int round = 0; round < test_scale(100); round++) {
		sem_t used;
		struct ending ending = { new_space(), &used };
		pthread_t threads[3];

		CHECK_EQ(sem_init(&used, 0, 0), 0);
		map(ending.mm, 0, 1, RW);
		for (unsigned int i = 0; i < 3; i++)
			threads[i] = thread_start(use_and_end, &ending);
		for (unsigned int i = 0; i < 3; i++)
			sem_await(&used);
		mm_destroy(ending.mm);
		for (unsigned int i = 0; i < 3; i++)
			thread_join(threads[i]);
	}
}
