/* SPDX-License-Identifier: MIT */
/*
 * A thread with a real-time priority takes a lock over from a reader on the same processor, which
 * it preempts in the middle of the reader's range_unlock(), and destroys the lock. It must leave
 * the processor to the reader while it waits for the reader.
 */
#define _GNU_SOURCE
#include "actors.h"

#include <errno.h>

#ifdef __linux__

enum { ROUNDS = 20 };

static struct range_lock lock;
static struct range_hold range;
static atomic_int stage;
enum { READING = 1 };

static void pin(size_t processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof set, &set), 0);
}

static size_t first_processor(void)
{
	cpu_set_t set;
	size_t i = 0;

	CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
	while (!CPU_ISSET(i, &set))
		i++;
	return i;
}

static int make_real_time(void)
{
	const struct sched_param param = { .sched_priority = sched_get_priority_min(SCHED_FIFO) };

	return sched_setscheduler(0, SCHED_FIFO, &param) ? errno : 0;
}

static uint64_t processor_time(void)
{
	struct timespec time = time_after(CLOCK_THREAD_CPUTIME_ID, 0);

	return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

struct heir {
	size_t processor;
	int refused; /* the errno if the system does not grant such a priority */
	uint64_t time;
};

static void *inherit_and_destroy(void *arg)
{
	struct heir *heir = arg;
	struct range_hold own;

	while (atomic_load(&stage) < READING)
		sched_yield();
	pin(heir->processor);
	heir->refused = make_real_time();
	CHECK_EQ(range_lock(&lock, &own, 5, 6, RANGE_WRITE), 0);
	range_unlock(&lock, &own);
	heir->time = processor_time();
	CHECK_EQ(range_lock_destroy(&lock), 0);
	heir->time = processor_time() - heir->time;
	return NULL;
}

static void *read_until_it_waits(void *arg)
{
	struct heir *heir = arg;
	uint64_t waits;

	pin(heir->processor);
	make_biased(&lock, 0);
	waits = lock_stats(&lock).waits;
	take_published(&lock, &range, 0, 10);
	atomic_store(&stage, READING);
	AWAIT(lock_stats(&lock).waits > waits);
	range_unlock(&lock, &range);
	return NULL;
}

/*
 * Spinning would take all the time that the system leaves to real-time threads, 950 ms by default,
 * if the system leaves any to other threads.
 */
TEST(real_time, destroy_does_not_need_the_processor_to_wait_for_a_reader)
{
	struct heir heir = { .processor = first_processor() };

	for (unsigned int i = 0; i < ROUNDS; i++) {
		pthread_t reader, writer;

		init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
		atomic_store(&stage, 0);
		reader = thread_start(read_until_it_waits, &heir);
		writer = thread_start(inherit_and_destroy, &heir);
		thread_join(writer);
		thread_join(reader);
		if (heir.refused) {
			printf("skipped: no real-time priority (errno %d)\n", heir.refused);
			return;
		}
		CHECK(heir.time < SECOND / 10);
	}
}

#else

TEST(real_time, destroy_does_not_need_the_processor_to_wait_for_a_reader)
{
	puts("skipped: threads cannot be bound to a processor here");
}

#endif
