/* SPDX-License-Identifier: MIT */
/* How the benchmarks distribute work, and how their threads meet. */
#include "crew.h"
#include "test.h"
#include "threads.h"

enum { MAX_THREADS = 8, WORK = 10007, MEETINGS = 200 };

static struct crew crew;

struct member {
	pthread_t thread;
	uint64_t taken;
	uint64_t batches;
};

static struct member members[MAX_THREADS];

static void run(unsigned int threads, void *(*body)(void *))
{
	unsigned int i;

	crew_init(&crew, threads);
	crew_set_work(&crew, WORK);
	for (i = 0; i < threads; i++) {
		members[i] = (struct member){ 0 };
		members[i].thread = thread_start(body, &members[i]);
	}
	for (i = 0; i < threads; i++)
		thread_join(members[i].thread);
}

static void *take_all(void *argument)
{
	struct member *member = argument;
	uint64_t batch;

	while ((batch = crew_take(&crew)) != 0) {
		member->taken += batch;
		member->batches++;
	}
	return NULL;
}

TEST(bench_crew, the_crew_gets_all_of_the_work_once_and_in_several_batches)
{
	unsigned int threads;

	for (threads = 1; threads <= MAX_THREADS; threads++) {
		uint64_t taken = 0;
		uint64_t batches = 0;
		unsigned int i;

		run(threads, take_all);
		for (i = 0; i < threads; i++) {
			taken += members[i].taken;
			batches += members[i].batches;
		}
		CHECK_EQ(taken, WORK);
		CHECK(batches >= (uint64_t)8 * threads);
	}
}

TEST(bench_crew, the_crew_also_gets_less_work_than_it_has_threads)
{
	crew_init(&crew, MAX_THREADS);
	crew_set_work(&crew, 2);
	CHECK_EQ(crew_take(&crew), 1);
	CHECK_EQ(crew_take(&crew), 1);
	CHECK_EQ(crew_take(&crew), 0);
}

static unsigned int arrivals[MEETINGS][MAX_THREADS];

/* A thread in a meeting sees all writes from before it, without other synchronisation. */
static void *meet(void *argument)
{
	struct member *member = argument;
	unsigned int self = (unsigned int)(member - members);
	unsigned int meeting, i;

	for (meeting = 0; meeting < MEETINGS; meeting++) {
		arrivals[meeting][self] = 1;
		crew_meet(&crew);
		for (i = 0; i < crew.threads; i++)
			CHECK_EQ(arrivals[meeting][i], 1);
	}
	return NULL;
}

TEST(bench_crew, no_thread_leaves_a_meeting_before_all_have_come)
{
	run(MAX_THREADS, meet);
}
