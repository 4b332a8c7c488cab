/* SPDX-License-Identifier: MIT */
/*
 * Is this lock my problem? A lock that counts waits answers, and range_lock_dump() shows which
 * threads wait at the moment, and which hold what they wait for.
 */
#include <mmrange/range_lock.h>

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static struct range_lock_counters counters;
static struct range_lock lock;

static void check(int error)
{
	if (error)
		abort();
}

static void *change_a_record(void *arg)
{
	struct range_hold record;

	check(range_lock(&lock, &record, 4096, 4160, RANGE_WRITE));
	range_unlock(&lock, &record);
	return arg;
}

static uint64_t waiting_so_far(void)
{
	struct range_lock_stats stats;

	range_lock_stats(&lock, &stats);
	return stats.waits;
}

static void print_times(const char *mode, const struct range_mode_times *times)
{
	printf("%s: %" PRIu64 " waits\n", mode, times->waits);
	if (times->waits > 0)
		fprintf(stderr, "%s: %" PRIu64 " ns on average, %" PRIu64 " ns at most\n", mode,
			times->total_ns / times->waits, times->longest_ns);
}

int main(void)
{
	struct range_lock_attr attr;
	struct range_lock_times times;
	struct range_hold backup;
	pthread_t thread;

	range_lock_attr_init(&attr);
	attr.counters = &counters;
	check(range_lock_init(&lock, &attr));
	check(range_lock(&lock, &backup, 0, UINT64_MAX, RANGE_READ));
	check(pthread_create(&thread, NULL, change_a_record, NULL));
	while (waiting_so_far() == 0)
		sched_yield();
	/* One line for the backup, and one for the thread that waits for it. */
	check(range_lock_dump(&lock, stderr));
	range_unlock(&lock, &backup);
	pthread_join(thread, NULL);
	check(range_lock_get_times(&lock, &times));
	print_times("read", &times.mode[RANGE_READ]);
	print_times("write", &times.mode[RANGE_WRITE]);
	return range_lock_destroy(&lock);
}
