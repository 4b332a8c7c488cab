/* SPDX-License-Identifier: MIT */
/*
 * More threads than cores in one address space. Each thread has a window of its own, which must
 * agree with its model exactly, whatever other threads do. All threads share one window, where all
 * bytes of a word must be the same whenever a thread reads it, because threads only write whole
 * words. Memory that a thread maps at any place must be its own.
 */
#include "space_model.h"
#include "threads.h"

#define THREADS      8u
#define SHARED_PAGES 96u
/*
 * Windows are close together, so that they share page tables. The holes between them keep their
 * VMAs apart.
 */
#define STRIDE PAGES(MODEL_PAGES + 3)

struct worker {
	struct model model;
	uint64_t seed;
	unsigned int steps;
};

static uint64_t shared_page(unsigned int page)
{
	return BASE - PAGES(SHARED_PAGES + 3) + PAGES(page);
}

static void check_uniform(const unsigned char *bytes)
{
	for (size_t i = 0; i < (size_t)MM_PAGE_SIZE; i++)
		if (bytes[i] != bytes[i & ~(sizeof(uintptr_t) - 1)])
			test_fail(__FILE__, __LINE__, "byte %zu is not as its word", i);
}

static void check_one_of(int error, int a, int b, int c)
{
	CHECK(!error || error == a || error == b || error == c);
}

/* A random step in the shared window. */
static void shared_step(struct mm *mm, uint64_t *seed)
{
	unsigned int n = 1 + (unsigned int)test_random_below(seed, 24);
	unsigned int first = (unsigned int)test_random_below(seed, SHARED_PAGES - n);
	unsigned int to = (unsigned int)test_random_below(seed, SHARED_PAGES - n);
	uint64_t addr = shared_page(first), length = PAGES(n), result;
	int prot = test_random_below(seed, 3) ? RW : R;
	_Alignas(uintptr_t) unsigned char bytes[4096];

	switch (test_random_below(seed, 10)) {
	case 0:
	case 1:
		CHECK_EQ(mm_mmap(mm, addr, length, prot, PRIVATE | MM_MAP_FIXED, -1, 0, &result),
			 0);
		break;
	case 2:
		CHECK_EQ(mm_munmap(mm, addr, length), 0);
		break;
	case 3:
		check_one_of(mm_mprotect(mm, addr, length, prot), ENOMEM, 0, 0);
		break;
	case 4:
		check_one_of(mm_mremap(mm, addr, length, length, 3, shared_page(to), &result),
			     EINVAL, EFAULT, 0);
		break;
	case 5:
		check_one_of(mm_madvise(mm, addr, length, MM_MADV_DONTNEED), ENOMEM, 0, 0);
		break;
	case 6:
	case 7:
		memset(bytes, (int)test_random_below(seed, 256), sizeof(bytes));
		check_one_of(mm_write(mm, addr, bytes, sizeof(bytes), NULL), EFAULT, 0, 0);
		break;
	default:
		memset(bytes, 0, sizeof(bytes));
		check_one_of(mm_read(mm, addr, bytes, sizeof(bytes), NULL), EFAULT, 0, 0);
		check_uniform(bytes);
	}
}

/* Maps memory at any place. No other thread may get the same. */
static void anywhere_step(struct mm *mm, uint64_t *seed)
{
	unsigned int n = 1 + (unsigned int)test_random_below(seed, 8);
	uint64_t value = test_random(seed), addr, to, seen;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(n), RW, PRIVATE, -1, 0, &addr), 0);
	for (unsigned int i = 0; i < n; i++)
		CHECK_EQ(mm_write(mm, addr + PAGES(i) + 8, &value, sizeof(value), NULL), 0);
	CHECK_EQ(mm_mremap(mm, addr, PAGES(n), PAGES(n + 3), MM_MREMAP_MAYMOVE, 0, &to), 0);
	for (unsigned int i = 0; i < n + 3; i++) {
		CHECK_EQ(mm_read(mm, to + PAGES(i) + 8, &seen, sizeof(seen), NULL), 0);
		CHECK(seen == (i < n ? value : 0));
	}
	CHECK_EQ(mm_munmap(mm, to, PAGES(n + 3)), 0);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned int i = 0; i < worker->steps; i++) {
		uint64_t kind = test_random_below(&worker->seed, 8);

		if (kind < 5)
			model_step(&worker->model);
		else if (kind < 7)
			shared_step(worker->model.mm, &worker->seed);
		else
			anywhere_step(worker->model.mm, &worker->seed);
		if (i % 256 == 0)
			model_check(&worker->model);
	}
	model_check(&worker->model);
	return NULL;
}

static void start_worker(struct worker *worker, pthread_t *thread, struct mm *mm, unsigned int i,
			 uint64_t *seed)
{
	memset(worker, 0, sizeof(*worker));
	worker->model.mm = mm;
	worker->model.base = BASE + i * STRIDE;
	worker->model.seed = test_random(seed);
	worker->model.max_areas = UINT64_MAX;
	worker->model.max_pages = UINT64_MAX;
	worker->seed = test_random(seed);
	worker->steps = test_scale(60000);
	*thread = thread_start(work, worker);
}

static void torture(const char *name, enum mm_locking locking)
{
	static struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint64_t seed = test_seed(name);
	struct mm *mm = new_space_locking(locking);

	for (unsigned int i = 0; i < THREADS; i++)
		start_worker(&workers[i], &threads[i], mm, i, &seed);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	check_space(mm);
	for (unsigned int i = 0; i < THREADS; i++)
		model_check(&workers[i].model);
	end_space(mm);
}

TEST(mm_torture, threads_do_not_disturb_each_other_with_range_locks)
{
	torture("mm_torture/range", MM_LOCKING_RANGE);
}

TEST(mm_torture, threads_do_not_disturb_each_other_with_the_full_range)
{
	torture("mm_torture/coarse", MM_LOCKING_COARSE);
}

TEST(mm_torture, threads_do_not_disturb_each_other_with_an_rwlock)
{
	torture("mm_torture/rwlock", MM_LOCKING_RWLOCK);
}

TEST(mm_torture, threads_do_not_disturb_each_other_with_speculative_faults)
{
	torture("mm_torture/speculative", MM_LOCKING_SPECULATIVE);
}
