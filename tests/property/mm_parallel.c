/* SPDX-License-Identifier: MIT */
/*
 * Several threads at the same time: they move two ranges across each other and across wide
 * operations without deadlock, move the heap, and take the last pages.
 */
#include "spaces.h"
#include "threads.h"

#define THREADS 8u
#define HEAP    (BASE + PAGES(1024))

struct job {
	struct mm *mm;
	unsigned int number;
	uint64_t seed;
};

static void run_all(struct mm *mm, uint64_t seed, void *(*run)(void *))
{
	struct job jobs[THREADS];
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ mm, i, test_random(&seed) };
		threads[i] = thread_start(run, &jobs[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
}

/*
 * Half of the threads hold two places at a time, the other half everything between the first and
 * the last.
 */
static void *move_across(void *arg)
{
	struct job *job = arg;

	for (unsigned int i = 0; i < test_scale(20000); i++) {
		unsigned int from = (unsigned int)test_random_below(&job->seed, 8) * 4;
		unsigned int to = (unsigned int)test_random_below(&job->seed, 8) * 4;
		uint64_t result;
		int error;

		if (job->number % 2) {
			map(job->mm, from, 40 - from, RW);
			continue;
		}
		error = mm_mremap(job->mm, AT(from), PAGES(2), PAGES(2), 3, AT(to), &result);
		CHECK(!error || error == EFAULT || (error == EINVAL && from == to));
	}
	return NULL;
}

TEST(mm_parallel, moves_of_two_ranges_do_not_deadlock)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		run_all(mm, test_seed("mm_parallel/moves"), move_across);
		end_space(mm);
	}
}

static void *move_heap(void *arg)
{
	struct job *job = arg;

	for (unsigned int i = 0; i < test_scale(3000); i++) {
		uint64_t brk = HEAP + test_random_below(&job->seed, PAGES(64));
		uint64_t result;

		CHECK_EQ(mm_brk(job->mm, brk, &result), 0);
		CHECK(result == brk);
		mm_write(job->mm, HEAP + test_random_below(&job->seed, PAGES(64)), "x", 1, NULL);
	}
	return NULL;
}

static int add_length(const struct mm_area *vma, void *length)
{
	*(uint64_t *)length += vma->end - vma->start;
	return 0;
}

TEST(mm_parallel, the_heap_ends_where_the_last_brk_put_it)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm_attr attr;
		struct mm *mm;
		uint64_t brk, length = 0;

		mm_attr_init(&attr);
		attr.locking = lockings[i];
		attr.brk_start = HEAP;
		mm = new_space_with(&attr);
		run_all(mm, test_seed("mm_parallel/brk"), move_heap);
		CHECK_EQ(mm_brk(mm, 0, &brk), 0);
		CHECK_EQ(mm_for_each_area(mm, add_length, &length), 0);
		CHECK_EQ(length, (brk - attr.brk_start + PAGES(1) - 1) & ~(PAGES(1) - 1));
		end_space(mm);
	}
}

/* All threads together need exactly as many pages as there are. */
static void *take_share(void *arg)
{
	struct job *job = arg;
	unsigned int first = job->number * 20;

	for (unsigned int i = 0; i < test_scale(300); i++) {
		map(job->mm, first, 20, RW);
		for (unsigned int page = first; page < first + 20; page++)
			CHECK_EQ(mm_fault(job->mm, AT(page), W, NULL), 0);
	}
	return NULL;
}

TEST(mm_parallel, the_last_page_can_be_had)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm_attr attr;
		struct mm *mm;

		mm_attr_init(&attr);
		attr.locking = lockings[i];
		attr.max_pages = 20 * THREADS;
		mm = new_space_with(&attr);
		run_all(mm, 0, take_share);
		CHECK_EQ(stats_of(mm).pages, 20 * THREADS);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(20), R), 0);
		end_space(mm);
	}
}

/* All threads fault on the same pages. Each page is made present once. */
static void *fault_same(void *arg)
{
	struct job *job = arg;

	for (unsigned int page = 0; page < 1000; page++)
		CHECK_EQ(mm_fault(job->mm, AT(page), R, NULL), 0);
	return NULL;
}

TEST(mm_parallel, a_page_that_many_want_is_made_once)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		map(mm, 0, 1000, RW);
		run_all(mm, 0, fault_same);
		CHECK_EQ(stats_of(mm).faults, 1000 * THREADS);
		CHECK_EQ(stats_of(mm).faults_minor, 1000);
		CHECK_EQ(stats_of(mm).faults_present, 1000 * (THREADS - 1));
		CHECK_EQ(stats_of(mm).pages, 1000);
		end_space(mm);
	}
}

#define FEW 4u

static atomic_bool over;

/* Faults, and makes room for the next fault. */
static void *fault_and_drop(void *arg)
{
	struct job *job = arg;

	while (!atomic_load(&over)) {
		unsigned int page = (unsigned int)test_random_below(&job->seed, FEW);
		int error = mm_fault(job->mm, AT(page), R, NULL);

		CHECK(!error || error == EFAULT);
		error = mm_madvise(job->mm, AT(page), PAGES(1), MM_MADV_DONTNEED);
		CHECK(!error || error == ENOMEM);
	}
	return NULL;
}

/* Right after each change every page has the new state, whatever faults were under way. */
static void change_and_look(struct mm *mm)
{
	for (unsigned int i = 0; i < test_scale(10000); i++) {
		unsigned int page = i % FEW;

		map(mm, 0, FEW, RW);
		CHECK_EQ(poke(mm, AT(page), 0), 0);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(FEW), R), 0);
		CHECK_EQ(poke(mm, AT(page), 1), -MM_SEGV_ACCERR);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(FEW), NONE), 0);
		CHECK_EQ(peek(mm, AT(page)), -MM_SEGV_ACCERR);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(FEW), RW), 0);
		CHECK_EQ(mm_munmap(mm, AT(0), PAGES(FEW)), 0);
		CHECK_EQ(peek(mm, AT(page)), -MM_SEGV_MAPERR);
	}
}

TEST(mm_parallel, a_fault_leaves_nothing_behind_that_is_no_longer_allowed)
{
	uint64_t seed = test_seed("mm_parallel/faults");

	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);
		struct job jobs[3];
		pthread_t threads[3];

		atomic_store(&over, false);
		for (unsigned int k = 0; k < 3; k++) {
			jobs[k] = (struct job){ mm, k, test_random(&seed) };
			threads[k] = thread_start(fault_and_drop, &jobs[k]);
		}
		change_and_look(mm);
		atomic_store(&over, true);
		for (unsigned int k = 0; k < 3; k++)
			thread_join(threads[k]);
		end_space(mm);
	}
}
