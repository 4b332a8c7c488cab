/* SPDX-License-Identifier: MIT */
/* Which functions call a memory hook, which ranges are held meanwhile, and what a hook may do. */
#include "actors.h"

#include <errno.h>

static struct range_lock lock;

static struct hook {
	unsigned int calls;
	void (*inside)(void); /* called by the hook */
} hook;

static void *alloc(size_t size, size_t align, void *books)
{
	hook.calls++;
	if (hook.inside)
		hook.inside();
	return memory_alloc(size, align, books);
}

static void init_hooks(struct memory_books *books)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, books, UINT32_MAX);
	attr.alloc = alloc;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	hook = (struct hook){ .calls = 0 };
}

/* A lock that splits at the next acquisition of another thread at another place. */
static void make_lock(struct memory_books *books, void (*inside)(void))
{
	init_hooks(books);
	alternate(&lock, 100, 200, 2);
	CHECK_EQ(hook.calls, 0);
	hook.inside = inside;
}

static void end_lock(struct memory_books *books)
{
	check_quiet_and_destroy(&lock);
	check_memory_balanced(books);
}

static int acquire(int how, struct range_hold *range, uint64_t start)
{
	struct range_request request = { range, start, start + 10, RANGE_WRITE };

	return how < 3 ? acquire_somehow(how, &lock, range, start, start + 10, RANGE_WRITE)
		       : range_lock_many(&lock, &request, 1);
}

TEST(memory_hooks, each_way_to_acquire_a_range_calls_alloc_once_when_a_leaf_splits)
{
	struct memory_books books;
	struct range_hold range;

	for (int how = 0; how < 4; how++) {
		unsigned int visits = 0;

		make_lock(&books, NULL);
		while (lock_stats(&lock).splits == 0) {
			unsigned int before = hook.calls;

			CHECK(visits < 100);
			play_thread(visits % 2);
			CHECK_EQ(acquire(how, &range, visits % 2 ? 200 : 100), 0);
			CHECK(hook.calls <= before + 1);
			before = hook.calls;
			range_unlock(&lock, &range);
			CHECK_EQ(hook.calls, before);
			visits++;
		}
		CHECK_EQ(hook.calls, 1);
		end_lock(&books);
	}
}

/* In another thread: the acquiring thread holds its range already; the rest of the leaf is free. */
static void *use_the_leaf(void *start)
{
	uint64_t taken = *(const uint64_t *)start;
	struct range_hold range;

	CHECK_EQ(range_trylock(&lock, &range, taken, taken + 1, RANGE_READ), EBUSY);
	CHECK_EQ(range_lock(&lock, &range, taken + 10, taken + 20, RANGE_WRITE), 0);
	range_unlock(&lock, &range);
	return NULL;
}

static uint64_t start_acquired;

static void let_another_thread_in(void)
{
	thread_join(thread_start(use_the_leaf, &start_acquired));
}

static struct range_lock other_lock = RANGE_LOCK_INITIALIZER;

static int look(const struct range_info *info, void *arg)
{
	(void)info;
	++*(unsigned int *)arg;
	return 0;
}

static void use_another_lock(void)
{
	unsigned int seen = 0;
	struct range_hold range;

	CHECK_EQ(range_lock(&other_lock, &range, 0, 10, RANGE_WRITE), 0);
	CHECK_EQ(range_lock_foreach(&other_lock, look, &seen), 0);
	CHECK_EQ(seen, 1);
	range_unlock(&other_lock, &range);
}

static void acquire_until_it_splits(void (*inside)(void))
{
	struct memory_books books;
	struct range_hold range;

	make_lock(&books, inside);
	for (unsigned int visits = 0; lock_stats(&lock).splits == 0; visits++) {
		CHECK(visits < 100);
		play_thread(visits % 2);
		start_acquired = visits % 2 ? 200 : 100;
		CHECK_EQ(acquire(0, &range, start_acquired), 0);
		range_unlock(&lock, &range);
	}
	CHECK_EQ(hook.calls, 1);
	end_lock(&books);
}

TEST(memory_hooks, while_alloc_runs_the_range_is_held_and_other_threads_use_the_leaf)
{
	acquire_until_it_splits(let_another_thread_in);
}

TEST(memory_hooks, alloc_may_use_another_lock)
{
	acquire_until_it_splits(use_another_lock);
	check_quiet_and_destroy(&other_lock);
}

static struct range_hold other_held, other_request;
static unsigned int callbacks;

static void look_at_the_lock_with_the_hook(int error, void *arg)
{
	(void)arg;
	CHECK_EQ(error, 0);
	callbacks++;
	CHECK(lock_stats(&lock).leaves >= 1);
	range_unlock(&other_lock, &other_request);
}

static void make_way_in_another_lock(void)
{
	take(&other_lock, &other_held, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_lock_async(&other_lock, &other_request, 0, 10, RANGE_WRITE,
				  look_at_the_lock_with_the_hook, NULL),
		 EINPROGRESS);
	range_unlock(&other_lock, &other_held);
}

/* The lock cannot be used before alloc has returned. */
TEST(memory_hooks, a_callback_that_alloc_makes_way_for_comes_before_the_call_returns)
{
	callbacks = 0;
	CHECK_EQ(range_lock_init(&other_lock, NULL), 0);
	acquire_until_it_splits(make_way_in_another_lock);
	CHECK_EQ(callbacks, 1);
	check_quiet_and_destroy(&other_lock);
}

TEST(memory_hooks, functions_that_change_a_held_range_call_no_hook)
{
	struct memory_books books;
	struct range_hold ranges[2], rest;

	init_hooks(&books);
	for (unsigned int k = 0; k < 2; k++) {
		play_thread(k);
		take(&lock, &ranges[k], 100 * k, 100 * k + 10, RANGE_WRITE);
	}
	CHECK_EQ(hook.calls, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		struct range_hold *range = &ranges[i % 2];

		play_thread(i % 2);
		range_downgrade(&lock, range);
		CHECK_EQ(range_tryupgrade(&lock, range), 0);
		CHECK_EQ(range_tryextend(&lock, range, range->start, range->end + 10), 0);
		CHECK_EQ(range_split(&lock, range, range->end - 1, &rest), 0);
		range_unlock(&lock, &rest);
		CHECK_EQ(range_shrink(&lock, range, range->start, range->end - 9), 0);
	}
	CHECK_EQ(hook.calls, 0);
	for (unsigned int k = 0; k < 2; k++)
		range_unlock(&lock, &ranges[k]);
	end_lock(&books);
}

static struct range_hold set[2];

static void *acquire_set(void *arg)
{
	struct range_request requests[] = {
		{ &set[0], 500, 501, RANGE_WRITE },
		{ &set[1], 900, 901, RANGE_WRITE },
	};

	(void)arg;
	CHECK_EQ(range_lock_many(&lock, requests, 2), 0);
	for (unsigned int i = 0; i < 2; i++)
		range_unlock(&lock, &set[i]);
	return NULL;
}

static void split_at_100_or_200(void)
{
	for (unsigned int visits = 0; lock_stats(&lock).splits == 0; visits++) {
		CHECK(visits < 10000);
		alternate(&lock, 100, 200, 2);
	}
}

/* With FIFO the set claims the leaf, which cannot be split before the claim ends. */
TEST(memory_hooks, leaves_made_while_a_set_waits_are_kept)
{
	struct memory_books books;
	struct range_lock_attr attr;
	struct range_hold held;
	pthread_t waiter;

	range_lock_attr_init(&attr);
	attr.fairness = RANGE_FAIRNESS_FIFO;
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	take(&lock, &held, 500, 510, RANGE_WRITE);
	waiter = thread_start(acquire_set, NULL);
	AWAIT(lock_stats(&lock).waits == 1);
	alternate(&lock, 100, 200, 100);
	CHECK_EQ(atomic_load(&books.allocations), 1);
	check_valid(&lock);
	CHECK_EQ(atomic_load(&books.frees), 0);
	range_unlock(&lock, &held);
	thread_join(waiter);
	split_at_100_or_200();
	CHECK_EQ(atomic_load(&books.allocations), 1);
	CHECK_EQ(atomic_load(&books.frees), 0);
	end_lock(&books);
}
