/* SPDX-License-Identifier: MIT */
/*
 * How many heavy fences an acquisition over many biased leaves needs: each interrupts all
 * processors, and takes microseconds. The linker wraps syscall() in this program to count them.
 */
#include "actors.h"

#include "platform/platform.h"

#include <sys/syscall.h>

enum { LEAVES = 64 };

static unsigned int fences;

/* The linker redirects syscall() to these, by --wrap. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	fences += number == SYS_membarrier;
	return __real_syscall(number, a, b, c, d, e, f);
}

/* Bounds at 10, 20, ..., and all leaves biased. */
static void prepare(struct range_lock *lock)
{
	make_leaves(lock, LEAVES);
	for (uint64_t key = 0; key < 10 * LEAVES; key += 10)
		make_biased(lock, key);
	for (uint64_t key = 0; key < 10 * LEAVES; key += 10)
		CHECK(is_biased(lock, key));
	fences = 0;
}

static void acquire_all(struct range_lock *lock)
{
	struct range_hold range;

	CHECK_EQ(range_lock(lock, &range, FULL, RANGE_WRITE), 0);
	CHECK_EQ(fences, 1);
	range_unlock(lock, &range);
}

static void acquire_many(struct range_lock *lock)
{
	struct range_hold ranges[LEAVES];
	struct range_request requests[LEAVES];

	for (uint64_t i = 0; i < LEAVES; i++)
		requests[i] = (struct range_request){ &ranges[i], 10 * i, 10 * i + 1, RANGE_WRITE };
	CHECK_EQ(range_lock_many(lock, requests, LEAVES), 0);
	CHECK_EQ(fences, 1);
	for (int i = 0; i < LEAVES; i++)
		range_unlock(lock, &ranges[i]);
}

static void try_many(struct range_lock *lock)
{
	struct range_hold a, b;
	struct range_request requests[] = { { &a, 0, 200, RANGE_WRITE },
					    { &b, 300, 600, RANGE_WRITE } };

	CHECK_EQ(range_trylock_many(lock, requests, 2), 0);
	CHECK_EQ(fences, 1);
	/* Leaves beside the acquired ranges stay biased. */
	CHECK(is_biased(lock, 250) && !is_biased(lock, 100));
	range_unlock(lock, &a);
	range_unlock(lock, &b);
}

static void extend_over_all(struct range_lock *lock)
{
	struct range_hold range;

	take(lock, &range, 0, 1, RANGE_WRITE);
	CHECK_EQ(range_tryextend(lock, &range, FULL), 0);
	CHECK(fences <= 2);
	range_unlock(lock, &range);
}

TEST(many_fences, an_acquisition_over_many_biased_leaves_needs_one_fence)
{
	static void (*const acquisitions[])(struct range_lock * lock) = { acquire_all, acquire_many,
									  try_many,
									  extend_over_all };

	if (!mmrange__fence_is_heavy) {
		puts("skipped: there is no membarrier() here");
		return;
	}
	for (size_t i = 0; i < sizeof acquisitions / sizeof acquisitions[0]; i++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;

		prepare(&lock);
		acquisitions[i](&lock);
		CHECK(lock_stats(&lock).biases >= LEAVES);
		check_quiet_and_destroy(&lock);
	}
}

TEST(many_fences, a_lock_without_bias_needs_none)
{
	struct range_lock_attr attr;
	struct range_lock lock;
	struct range_hold range;

	range_lock_attr_init(&attr);
	attr.bias = RANGE_BIAS_NEVER;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	make_leaves(&lock, LEAVES);
	fences = 0;
	for (int round = 0; round < 1000; round++) {
		for (uint64_t key = 0; key < 10 * LEAVES; key += 10) {
			take(&lock, &range, key, key + 1, RANGE_READ);
			range_unlock(&lock, &range);
		}
	}
	take(&lock, &range, FULL, RANGE_WRITE);
	range_unlock(&lock, &range);
	CHECK_EQ(lock_stats(&lock).biases, 0);
	CHECK_EQ(fences, 0);
	check_quiet_and_destroy(&lock);
	CHECK_EQ(fences, 0);
}
