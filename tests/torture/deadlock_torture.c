/* SPDX-License-Identifier: MIT */
/*
 * Threads acquire ranges of three locks at the same time. In the order of the locks, they never
 * wait for each other in a cycle, and the checked build must report none. In any order they do, and
 * the checked build must report each cycle, or the threads would be stuck.
 */
#include "actors.h"
#include "child.h"

#include <errno.h>
#include <string.h>

enum { LOCKS = 3, THREADS = 8, KEYS = 24 };

#ifndef MMRANGE_CHECKED

TEST(deadlock_torture, skipped)
{
	puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
}

#else

static struct range_lock locks[LOCKS];
static atomic_uint told;

/* Acquires a range of a random lock from first to last. Returns the number of the lock, or -1. */
static int acquire(uint64_t *seed, int first, int last, struct range_hold *range, int *error)
{
	int which = first + (int)test_random_below(seed, (uint64_t)(last - first + 1));
	uint64_t start = test_random_below(seed, KEYS);
	uint64_t end = start + 1 + test_random_below(seed, KEYS / 2);
	enum range_mode mode = test_random_below(seed, 3) ? RANGE_WRITE : RANGE_READ;
	struct timespec soon = time_after(CLOCK_MONOTONIC, test_random_below(seed, 200000));

	if (test_random_below(seed, 8) == 0)
		*error = range_timedlock(&locks[which], range, start, end, mode, CLOCK_MONOTONIC,
					 &soon);
	else
		*error = range_lock(&locks[which], range, start, end, mode);
	return which;
}

/* At most one range of each lock, in the order of the locks. */
static void *climb(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(1000); i++) {
		struct range_hold ranges[LOCKS];
		int held[LOCKS], n = 0, error = 0;

		for (int next = 0; next < LOCKS && !error; next = held[n++] + 1) {
			held[n] = acquire(&seed, next, LOCKS - 1, &ranges[n], &error);
			if (error) {
				CHECK_EQ(error, ETIMEDOUT);
				break;
			}
			if (test_random_below(&seed, 4) == 0)
				sched_yield();
		}
		while (n > 0) {
			n--;
			range_unlock(&locks[held[n]], &ranges[n]);
		}
	}
	return NULL;
}

static void *be_careless(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(500); i++) {
		struct range_hold ranges[LOCKS];
		int held[LOCKS], n = 0, error = 0;

		while (n < LOCKS && !error) {
			held[n] = acquire(&seed, 0, LOCKS - 1, &ranges[n], &error);
			n += !error;
			sched_yield();
		}
		CHECK(!error || error == ETIMEDOUT || error == EDEADLK);
		if (error == EDEADLK)
			atomic_fetch_add(&told, 1);
		while (n > 0) {
			n--;
			range_unlock(&locks[held[n]], &ranges[n]);
		}
	}
	return NULL;
}

/* One FIFO lock between two barging ones, in which waiters become starving soon. */
static void run(const char *test, void *(*work)(void *))
{
	uint64_t seed = test_seed(test), seeds[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < LOCKS; i++) {
		init_lock(&locks[i], fairnesses[i == 1], 8);
		set_starvation(&locks[i], 10000);
	}
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = test_random(&seed);
		threads[i] = thread_start(work, &seeds[i]);
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (int i = 0; i < LOCKS; i++)
		check_quiet_and_destroy(&locks[i]);
}

TEST(deadlock_torture, threads_that_keep_an_order_cause_no_report)
{
	run("deadlock_torture/climb", climb);
}

/* The number of reports in the text. */
static unsigned int count_reports(const char *text)
{
	unsigned int n = 0;

	for (; (text = strstr(text, "libmmrange: deadlock")); text++)
		n++;
	return n;
}

static void run_careless_threads(void)
{
	run("deadlock_torture/careless", be_careless);
	CHECK(atomic_load(&told) > 0);
}

TEST(deadlock_torture, threads_without_an_order_are_refused_and_never_stuck)
{
	static char errors[1 << 16];
	int status = run_in_child(run_careless_threads, errors, sizeof errors);

	fprintf(stderr, "%.*s\n", (int)strcspn(errors, "\n"), errors);
	CHECK_EQ(status, 0);
	CHECK(count_reports(errors) > 0);
}

#endif
