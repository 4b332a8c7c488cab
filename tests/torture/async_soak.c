/* SPDX-License-Identifier: MIT */
/*
 * Many requests pend at the same time, in no memory but their own, 192 bytes each. By hand, with
 * ten million: `ctest -C soak -L soak`.
 */
#include "actors.h"

#include <errno.h>

#include <sys/resource.h>

static struct range_lock lock;
static uint64_t ended;

static void unlock_in_order(int error, void *arg)
{
	CHECK_EQ(error, 0);
	ended++;
	range_unlock(&lock, arg);
}

static uint64_t peak_bytes(void)
{
	struct rusage usage;

	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	return (uint64_t)usage.ru_maxrss * 1024;
}

static void pend(enum range_fairness fairness, struct range_hold *ranges, uint64_t n)
{
	struct range_hold held;

	init_lock(&lock, fairness, 1);
	take(&lock, &held, FULL, RANGE_WRITE);
	for (uint64_t i = 0; i < n; i++)
		CHECK_EQ(range_lock_async(&lock, &ranges[i], i, i + 1, RANGE_WRITE, unlock_in_order,
					  &ranges[i]),
			 EINPROGRESS);
	ended = 0;
	range_unlock(&lock, &held);
	CHECK_EQ(ended, n);
	check_quiet_and_destroy(&lock);
}

TEST(async_soak, many_requests_pend_in_no_memory_but_their_own)
{
	const char *given = getenv("MMRANGE_REQUESTS");
	uint64_t n = given ? strtoull(given, NULL, 0) : test_scale(100000);
	uint64_t before = peak_bytes();
	struct range_hold *ranges = calloc(n, sizeof(*ranges));

	CHECK(ranges);
	for (size_t i = 0; i < 2; i++)
		pend(fairnesses[i], ranges, n);
	free(ranges);
	printf("%" PRIu64 " requests: %" PRIu64 " bytes\n", n, peak_bytes() - before);
	if (given)
		CHECK(peak_bytes() - before <= 200 * n);
}
