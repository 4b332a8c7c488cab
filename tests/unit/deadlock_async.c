/* SPDX-License-Identifier: MIT */
/* What the checked build reports about threads that wait behind requests. */
#include "actors.h"
#include "child.h"
#include "parties.h"

#include "range_lock/checked.h"

#include <errno.h>
#include <string.h>

#ifndef MMRANGE_CHECKED

TEST(deadlock_async, skipped)
{
	puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
}

#else

enum { LEAVES = 12 };

static struct range_lock lock;

static void init(enum range_fairness fairness, uint64_t starvation_ns)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.starvation_ns = starvation_ns;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
}

/* The same with leaves whose bounds are at 10, 20, ... */
static void init_leaves(enum range_fairness fairness, uint64_t starvation_ns)
{
	uint64_t self = mmrange__self();

	init(fairness, starvation_ns);
	make_leaves(&lock, LEAVES);
	mmrange__thread = self;
}

/* A request of up to two ranges, whose callback releases them. */
struct job {
	struct range_hold ranges[2];
	struct range_request requests[2];
	size_t n;
	atomic_int calls, error;
};

static void end_job(int error, void *arg)
{
	struct job *job = arg;

	atomic_store(&job->error, error);
	for (size_t i = 0; i < job->n && !error; i++)
		range_unlock(&lock, &job->ranges[i]);
	atomic_fetch_add(&job->calls, 1);
}

static void note_grant(int error, void *arg)
{
	struct job *job = arg;

	atomic_store(&job->error, error);
	atomic_fetch_add(&job->calls, 1);
}

static void ask(struct job *job, uint64_t start, uint64_t end, enum range_mode mode)
{
	memset(job, 0, sizeof *job);
	job->n = 1;
	CHECK_EQ(range_lock_async(&lock, &job->ranges[0], start, end, mode, end_job, job),
		 EINPROGRESS);
}

static void ask_two(struct job *job, uint64_t start, uint64_t end, uint64_t start2, uint64_t end2)
{
	memset(job, 0, sizeof *job);
	job->n = 2;
	job->requests[0] = (struct range_request){ &job->ranges[0], start, end, RANGE_WRITE };
	job->requests[1] = (struct range_request){ &job->ranges[1], start2, end2, RANGE_WRITE };
	CHECK_EQ(range_lock_many_async(&lock, job->requests, 2, end_job, job), EINPROGRESS);
}

/* All that had to wait for the thread has ended. */
static void check_ended(struct job *job)
{
	CHECK_EQ(atomic_load(&job->calls), 1);
	CHECK_EQ(atomic_load(&job->error), 0);
}

/* The request came first, and waits for the thread, which comes to wait behind the request. */
static void behind_fifo_request(void)
{
	struct party party;
	struct job job;

	init(RANGE_FAIRNESS_FIFO, UINT64_MAX);
	party_start(&party, &lock, RANGE_WRITE, 0, 10, 20, 30);
	ask(&job, 5, 30, RANGE_WRITE);
	party_go_on(&party);
	CHECK_EQ(party_finish(&party), EDEADLK);
	check_ended(&job);
	check_quiet_and_destroy(&lock);
}

/* The thread waits already when the request becomes starving, in one leaf. */
static void behind_promoted_request(void)
{
	struct range_hold held;
	struct party party;
	struct job job;

	init(RANGE_FAIRNESS_BARGING, 1);
	take(&lock, &held, 20, 30, RANGE_WRITE);
	party_start(&party, &lock, RANGE_WRITE, 0, 10, 20, 30);
	ask(&job, 5, 30, RANGE_WRITE);
	party_go_on(&party);
	CHECK(!atomic_load(&party.through));
	range_unlock(&lock, &held);
	CHECK_EQ(party_finish(&party), EDEADLK);
	check_ended(&job);
	check_quiet_and_destroy(&lock);
}

static void check_report(void (*run)(void))
{
	char errors[4096];

	run_and_capture(run, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count_in(errors, "\n"), 4);
	CHECK_EQ(count_in(errors, "\n  thread "), 2);
	CHECK_EQ(count_in(errors, "\n  request of thread "), 1);
	CHECK_EQ(count_in(errors, ": [0, 0xa) for writing, held\n"), 1);
	CHECK_EQ(count_in(errors, ": [0x5, 0x1e) for writing, waits for thread "), 1);
	CHECK_EQ(count_in(errors, ", starving\n"), 1);
	CHECK_EQ(count_in(errors, ": [0x14, 0x1e) for writing, waits for a request of thread "), 1);
}

TEST(deadlock_async, a_thread_that_waits_behind_a_request_for_its_own_range_is_refused)
{
	char errors[4096];

	run_and_capture(behind_fifo_request, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count_in(errors, ", starving\n"), 2);
	CHECK_EQ(count_in(errors, "request of thread "), 2);
}

TEST(deadlock_async, a_cycle_that_a_request_closes_by_becoming_starving_is_found)
{
	check_report(behind_promoted_request);
}

/* Requests that lie in several leaves, or have several ranges, and then claim. */
static void behind_wide_requests(void)
{
	for (int several = 0; several < 2; several++)
		for (int fair = 0; fair < 2; fair++) {
			struct range_hold held;
			struct party party;
			struct job job;

			init_leaves(fairnesses[fair], 1);
			take(&lock, &held, 62, 63, RANGE_WRITE);
			party_start(&party, &lock, RANGE_WRITE, 95, 96, 43, 63);
			if (several)
				ask_two(&job, 41, 65, 91, 97);
			else
				ask(&job, 41, 97, RANGE_WRITE);
			party_go_on(&party);
			range_unlock(&lock, &held);
			CHECK_EQ(party_finish(&party), EDEADLK);
			check_ended(&job);
			check_quiet_and_destroy(&lock);
		}
}

TEST(deadlock_async, a_cycle_through_a_request_over_several_leaves_or_of_several_ranges_is_found)
{
	char errors[4096];

	run_and_capture(behind_wide_requests, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 4);
	CHECK_EQ(count_in(errors, ": [0x5f, 0x60) for writing, held\n"), 4);
	CHECK_EQ(count_in(errors, "  request of thread "), 4);
}

/*
 * The thread waits for the holder of [43, 44), in a leaf where no range is released. A release in
 * another leaf makes the request claim, which came before, and waits for the thread.
 */
static void behind_claim(void)
{
	struct range_hold held[2];
	struct party party;
	struct job job;

	init_leaves(RANGE_FAIRNESS_BARGING, 1);
	take(&lock, &held[0], 32, 33, RANGE_WRITE);
	take(&lock, &held[1], 43, 44, RANGE_WRITE);
	party_start(&party, &lock, RANGE_WRITE, 95, 96, 43, 44);
	ask(&job, 31, 97, RANGE_WRITE);
	party_go_on(&party);
	CHECK(!atomic_load(&party.through));
	range_unlock(&lock, &held[0]);
	CHECK_EQ(party_finish(&party), EDEADLK);
	range_unlock(&lock, &held[1]);
	check_ended(&job);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock_async, a_cycle_that_a_request_closes_by_a_claim_is_found)
{
	char errors[4096];

	run_and_capture(behind_claim, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
}

/* The thread waits for nothing but the last request, which waits for the one before it. */
static void behind_chain(void)
{
	struct range_hold held;
	struct party party;
	struct job jobs[3];

	init_leaves(RANGE_FAIRNESS_FIFO, UINT64_MAX);
	take(&lock, &held, 38, 39, RANGE_WRITE);
	party_start(&party, &lock, RANGE_WRITE, 1, 2, 35, 36);
	ask(&jobs[0], 1, 13, RANGE_WRITE);
	ask(&jobs[1], 12, 15, RANGE_WRITE);
	ask(&jobs[2], 14, 39, RANGE_READ);
	party_go_on(&party);
	CHECK_EQ(party_finish(&party), EDEADLK);
	range_unlock(&lock, &held);
	for (int i = 0; i < 3; i++)
		check_ended(&jobs[i]);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock_async, a_cycle_through_requests_that_wait_for_each_other_is_found)
{
	char errors[4096];

	run_and_capture(behind_chain, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
}

/* One release makes more requests starving than the thread takes note of. */
static void behind_one_of_many(void)
{
	for (uint64_t in = 0; in < LEAVES - 1; in++) {
		struct job jobs[LEAVES - 1];
		struct range_hold held;
		struct party party;

		init_leaves(RANGE_FAIRNESS_BARGING, 1);
		take(&lock, &held, 0, 10 * LEAVES, RANGE_READ);
		party_start(&party, &lock, RANGE_READ, 10 * in + 2, 10 * in + 3, 10 * in + 5,
			    10 * in + 6);
		for (uint64_t i = 0; i < LEAVES - 1; i++)
			ask(&jobs[i], 10 * i + 1, 10 * i + 9, RANGE_WRITE);
		party_go_on(&party);
		CHECK(!atomic_load(&party.through));
		range_unlock(&lock, &held);
		CHECK_EQ(party_finish(&party), EDEADLK);
		for (uint64_t i = 0; i < LEAVES - 1; i++)
			check_ended(&jobs[i]);
		check_quiet_and_destroy(&lock);
	}
}

TEST(deadlock_async, a_release_that_makes_many_requests_starving_finds_each_cycle)
{
	char errors[4096];

	run_and_capture(behind_one_of_many, errors);
	CHECK(strstr(errors, "libmmrange: deadlock"));
}

/*
 * Ranges that were asked for without waiting belong to no thread: the holder may hand them to any
 * other. The thread that asked waits for its own range, and another thread releases it.
 */
enum way { AT_ONCE, LATER, SEVERAL, SPLIT, WAYS };

static void take_handed(struct range_hold ranges[2], enum way way)
{
	struct range_request requests[] = { { &ranges[0], 0, 5, RANGE_WRITE },
					    { &ranges[1], 5, 10, RANGE_WRITE } };
	static struct job job;
	struct range_hold held;

	switch (way) {
	case SEVERAL:
		CHECK_EQ(range_lock_many_async(&lock, requests, 2, end_job, &job), 0);
		return;
	case LATER:
		take(&lock, &held, 0, 10, RANGE_WRITE);
		CHECK_EQ(range_lock_async(&lock, &ranges[0], 0, 10, RANGE_WRITE, note_grant, &job),
			 EINPROGRESS);
		range_unlock(&lock, &held);
		CHECK_EQ(atomic_load(&job.error), 0);
		break;
	default:
		CHECK_EQ(range_lock_async(&lock, &ranges[0], 0, 10, RANGE_WRITE, end_job, &job), 0);
	}
	if (way == SPLIT)
		CHECK_EQ(range_split(&lock, &ranges[0], 5, &ranges[1]), 0);
}

struct asker {
	enum way way;
	struct range_hold ranges[2];
	atomic_bool holds;
};

static int check_thread(const struct range_info *info, void *arg)
{
	CHECK_EQ(info->thread, (uint32_t)(mmrange__self() >> 32));
	return arg != NULL;
}

static void *ask_and_wait(void *arg)
{
	struct asker *a = arg;
	struct timespec later = time_after(CLOCK_MONOTONIC, 1000 * SECOND);
	struct range_hold own, range;

	take_handed(a->ranges, a->way);
	CHECK(!range__checked_holds(mmrange__self()));
	CHECK_EQ(range_lock_foreach(&lock, check_thread, NULL), 0);
	/* So that the thread looks for a cycle. */
	take(&lock, &own, 95, 96, RANGE_WRITE);
	CHECK(range__checked_holds(mmrange__self()));
	atomic_store(&a->holds, true);
	/* With a deadline and without one. */
	CHECK_EQ(range_lock(&lock, &range, 2, 4, RANGE_WRITE), 0);
	range_unlock(&lock, &range);
	CHECK_EQ(range_timedlock(&lock, &range, 7, 8, RANGE_WRITE, CLOCK_MONOTONIC, &later), 0);
	range_unlock(&lock, &range);
	range_unlock(&lock, &own);
	CHECK(!range__checked_holds(mmrange__self()));
	return NULL;
}

static void hand_to_another_thread(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct asker a = { .way = (enum way)way };
		pthread_t thread;

		init(RANGE_FAIRNESS_FIFO, UINT64_MAX);
		thread = thread_start(ask_and_wait, &a);
		AWAIT(atomic_load(&a.holds) && lock_stats(&lock).waits > (way == LATER));
		range_unlock(&lock, &a.ranges[0]);
		if (way == SEVERAL || way == SPLIT) {
			AWAIT(lock_stats(&lock).waits == 2);
			range_unlock(&lock, &a.ranges[1]);
		}
		thread_join(thread);
		check_quiet_and_destroy(&lock);
	}
}

TEST(deadlock_async, a_range_that_was_asked_for_without_waiting_may_be_handed_to_another_thread)
{
	char errors[4096];

	run_and_capture(hand_to_another_thread, errors);
	CHECK(!strstr(errors, "deadlock"));
}

/*
 * The thread holds [5, 6), and waits for a range that no thread owns. The call that upgrades that
 * range comes before it, waits for the thread, and began to wait last.
 */
static void upgrade_handed(void)
{
	struct range_hold range;
	struct party party;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	CHECK_EQ(range_lock_async(&lock, &range, 0, 10, RANGE_READ, end_job, NULL), 0);
	party_start(&party, &lock, RANGE_READ, 5, 6, 8, 9);
	party_go_on(&party);
	CHECK(!atomic_load(&party.through));
	CHECK_EQ(range_upgrade(&lock, &range), EDEADLK);
	range_unlock(&lock, &range);
	CHECK_EQ(party_finish(&party), 0);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock_async, a_cycle_that_the_upgrade_of_a_range_without_an_owner_closes_is_found)
{
	char errors[4096];

	run_and_capture(upgrade_handed, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
}

/* Threads that take a second range in any order, and start again when a call is refused. */
static void *be_careless(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(300); i++) {
		uint64_t a = test_random_below(&seed, 40), b = test_random_below(&seed, 40);
		struct range_hold first, second;
		int error;

		CHECK_EQ(range_lock(&lock, &first, a, a + 3, RANGE_WRITE), 0);
		sched_yield();
		error = range_lock(&lock, &second, b, b + 3, RANGE_READ);
		CHECK(!error || error == EDEADLK);
		if (!error)
			range_unlock(&lock, &second);
		range_unlock(&lock, &first);
	}
	return NULL;
}

/* Requests of one range or two, each released as soon as it is granted. */
static void *ask_many(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(300); i++) {
		struct job jobs[4];

		for (int k = 0; k < 4; k++) {
			struct job *job = &jobs[k];
			uint64_t a = test_random_below(&seed, 30);

			memset(job, 0, sizeof *job);
			job->n = 1 + test_random_below(&seed, 2);
			for (size_t r = 0; r < job->n; r++) {
				job->requests[r] = (struct range_request){
					&job->ranges[r], a, a + 1 + test_random_below(&seed, 12),
					test_random_below(&seed, 2) ? RANGE_READ : RANGE_WRITE
				};
				a = job->requests[r].end + test_random_below(&seed, 5);
			}
			if (!range_lock_many_async(&lock, job->requests, job->n, end_job, job))
				end_job(0, job);
		}
		for (int k = 0; k < 4; k++)
			AWAIT(atomic_load(&jobs[k].calls) == 1);
	}
	return NULL;
}

static void run_careless_threads(void)
{
	uint64_t seed = test_seed("deadlock_async/careless");

	for (int i = 0; i < 4; i++) {
		uint64_t seeds[8];
		pthread_t threads[8];

		if (i / 2)
			init_leaves(fairnesses[i % 2], 10000);
		else
			init(fairnesses[i % 2], 10000);
		for (int k = 0; k < 8; k++) {
			seeds[k] = test_random(&seed);
			threads[k] = thread_start(k % 2 ? be_careless : ask_many, &seeds[k]);
		}
		for (int k = 0; k < 8; k++)
			thread_join(threads[k]);
		check_quiet_and_destroy(&lock);
	}
}

TEST(deadlock_async, threads_that_start_again_when_refused_are_never_stuck_among_requests)
{
	char errors[4096];

	run_and_capture(run_careless_threads, errors);
	fprintf(stderr, "%.*s\n", (int)strcspn(errors, "\n"), errors);
	CHECK(strstr(errors, "libmmrange: deadlock"));
}

#endif
