/* SPDX-License-Identifier: MIT */
/*
 * A failed allocation changes only the lock's speed. The nth allocation fails, alone or with all
 * that follow, for every n that the load reaches, while threads collide, span leaves, and check
 * that they exclude each other.
 */
#include "actors.h"
#include "exclusion.h"

struct faulty_memory {
	struct memory_books books;
	atomic_uint asked;
	unsigned int first; /* the first allocation to refuse, counted from 0 */
	unsigned int last;
};

static void *faulty_alloc(size_t size, size_t align, void *arg)
{
	struct faulty_memory *memory = arg;
	unsigned int n = atomic_fetch_add(&memory->asked, 1);

	if (memory->first <= n && n <= memory->last)
		return NULL;
	return memory_alloc(size, align, &memory->books);
}

static void faulty_free(void *memory, size_t size, void *arg)
{
	struct faulty_memory *faulty = arg;

	memory_free(memory, size, &faulty->books);
}

/* Makes more leaves than the first allocation holds, whatever the threads do afterwards. */
static void ask_twice(struct range_lock *lock)
{
	for (uint64_t key = 10; key < 600; key += 10)
		alternate(lock, key - 10, key, 8);
}

static void collide(struct range_lock *lock, uint64_t seed)
{
	static struct exclusion e;

	e.table = &mmrange_table;
	e.lock = lock;
	e.threads = 4 * cores();
	e.rounds = test_scale(4000);
	e.slots = SLOTS;
	e.write_rate = 6;
	e.wide_rate = 1;
	e.own_rate = 32;
	e.pair_rate = 4;
	e.meanwhile = make_impatient;
	e.seed = seed;
	if (!exclusion_holds(&e))
		test_fail(__FILE__, __LINE__, "%s", e.violation);
}

/* Returns the number of allocations that the lock asked for. */
static unsigned int run_with_faults(enum range_fairness fairness, unsigned int first,
				    unsigned int last, uint64_t seed)
{
	struct faulty_memory memory = { .first = first, .last = last };
	struct range_lock_attr attr;
	struct range_lock lock;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &memory.books, UINT32_MAX);
	attr.fairness = fairness;
	attr.alloc = faulty_alloc;
	attr.free = faulty_free;
	attr.arg = &memory;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	CHECK_EQ(atomic_load(&memory.asked), 0);
	ask_twice(&lock);
	collide(&lock, seed);
	check_valid(&lock);
	if (atomic_load(&memory.books.allocations) == 0)
		CHECK_EQ(lock_stats(&lock).leaves, 1);
	CHECK_EQ(atomic_load(&memory.books.frees), 0);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&memory.books);
	return atomic_load(&memory.asked);
}

static void fail_each_in_turn(const char *test, bool and_all_that_follow)
{
	uint64_t random = test_seed(test);
	unsigned int n = 0, asked;

	do {
		asked = run_with_faults(fairnesses[n % 2], n, and_all_that_follow ? UINT32_MAX : n,
					test_random(&random));
	} while (asked > n++);
	fprintf(stderr, "memory was asked for %u times\n", asked);
	CHECK(n > 2);
}

TEST(memory_faults, one_failed_allocation_does_no_harm)
{
	fail_each_in_turn("memory_faults/one_failed_allocation_does_no_harm", false);
}

TEST(memory_faults, running_out_of_memory_does_no_harm)
{
	fail_each_in_turn("memory_faults/running_out_of_memory_does_no_harm", true);
}
