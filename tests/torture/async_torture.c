/* SPDX-License-Identifier: MIT */
/*
 * Threads make requests, wait, try, upgrade, and cancel each other's requests, and callbacks
 * release, ask again, cancel others or keep the range. Each key has a count of its readers and
 * writers, and each request a count of its callbacks. Some rounds end with range_lock_close().
 */
#include "requests.h"

enum { THREADS = 4, KEYS = 48, JOBS = 8, MANY = 3, ROUNDS = 12, STEPS = 15000 };

enum { IDLE, ASKED, GRANTED };

struct crew;

struct job {
	struct crew *crew;
	atomic_int state;
	atomic_uint asked, called;
	size_t n;
	uint64_t random; /* the callback's */
	struct range_request requests[MANY];
	struct range_hold ranges[MANY];
};

struct crew {
	struct range_lock lock;
	atomic_int readers[KEYS], writers[KEYS];
	atomic_uint started;
	atomic_uint canceled, ended_canceled; /* requests, by the calls and by the callbacks */
	atomic_bool closed;
	uint64_t seed;
	struct job jobs[THREADS][JOBS];
};

static void enter(struct crew *crew, const struct range_hold *range)
{
	for (uint64_t key = range->start; key < range->end; key++) {
		if (range->mode == RANGE_WRITE) {
			CHECK_EQ(atomic_fetch_add(&crew->writers[key], 1), 0);
			CHECK_EQ(atomic_load(&crew->readers[key]), 0);
		} else {
			atomic_fetch_add(&crew->readers[key], 1);
			CHECK_EQ(atomic_load(&crew->writers[key]), 0);
		}
	}
}

static void leave(struct crew *crew, struct range_hold *range)
{
	for (uint64_t key = range->start; key < range->end; key++)
		atomic_fetch_sub(
			range->mode == RANGE_WRITE ? &crew->writers[key] : &crew->readers[key], 1);
	range_unlock(&crew->lock, range);
}

static void job_leave(struct job *job)
{
	for (size_t i = 0; i < job->n; i++)
		leave(job->crew, job->requests[i].range);
	atomic_store(&job->state, IDLE);
}

static void cancel_any(struct crew *crew, uint64_t *random)
{
	struct job *job =
		&crew->jobs[test_random_below(random, THREADS)][test_random_below(random, JOBS)];

	if (range_cancel(&crew->lock, &job->ranges[test_random_below(random, MANY)]) == 0)
		atomic_fetch_add(&crew->canceled, 1);
}

static void job_called(int error, void *arg)
{
	struct job *job = arg;
	struct crew *crew = job->crew;
	uint64_t *random = &job->random;

	CHECK_EQ(atomic_load(&job->state), ASKED);
	CHECK_EQ(atomic_fetch_add(&job->called, 1) + 1, atomic_load(&job->asked));
	if (error) {
		CHECK_EQ(error, ECANCELED);
		atomic_fetch_add(&crew->ended_canceled, 1);
		atomic_store(&job->state, IDLE);
		return;
	}
	for (size_t i = 0; i < job->n; i++)
		enter(crew, job->requests[i].range);
	switch (test_random_below(random, 4)) {
	case 0:
		atomic_store(&job->state, GRANTED); /* its thread releases it */
		break;
	case 1:
		cancel_any(crew, random);
		job_leave(job);
		break;
	default:
		job_leave(job);
	}
}

static void random_range(uint64_t *random, uint64_t lo, uint64_t hi, struct range_request *request)
{
	request->start = lo + test_random_below(random, hi - lo);
	request->end = request->start + 1 + test_random_below(random, hi - request->start);
	request->mode = test_random_below(random, 2) ? RANGE_READ : RANGE_WRITE;
}

/* The job is idle, and the calling thread's. */
static void job_ask(struct job *job, uint64_t *random)
{
	struct crew *crew = job->crew;
	struct range_request *request = job->requests;
	int error;

	job->n = test_random_below(random, 4) ? 1 : MANY;
	job->random = test_random(random);
	for (size_t i = 0; i < job->n; i++) {
		request[i].range = &job->ranges[i];
		random_range(random, KEYS / job->n * i, KEYS / job->n * (i + 1), &request[i]);
	}
	atomic_store(&job->state, ASKED);
	atomic_fetch_add(&job->asked, 1);
	error = job->n == 1 ? range_lock_async(&crew->lock, request->range, request->start,
					       request->end, request->mode, job_called, job)
			    : range_lock_many_async(&crew->lock, request, job->n, job_called, job);
	if (error == EINPROGRESS)
		return;
	CHECK(error == 0 || (error == ESHUTDOWN && atomic_load(&crew->closed)));
	atomic_fetch_sub(&job->asked, 1);
	for (size_t i = 0; !error && i < job->n; i++)
		enter(crew, request[i].range);
	atomic_store(&job->state, error ? IDLE : GRANTED);
}

/* Some thread that waits as threads do. */
static void acquire(struct crew *crew, uint64_t *random)
{
	struct timespec soon = time_after(CLOCK_MONOTONIC, test_random_below(random, 50000));
	struct range_request request;
	struct range_hold range;
	int error;

	random_range(random, 0, KEYS, &request);
	if (test_random_below(random, 3))
		error = range_timedlock(&crew->lock, &range, request.start, request.end,
					request.mode, CLOCK_MONOTONIC, &soon);
	else
		error = range_trylock(&crew->lock, &range, request.start, request.end,
				      request.mode);
	if (error)
		return;
	enter(crew, &range);
	if (range.mode == RANGE_READ && test_random_below(random, 2) &&
	    range_tryupgrade(&crew->lock, &range) == 0) {
		for (uint64_t key = range.start; key < range.end; key++) {
			CHECK_EQ(atomic_fetch_sub(&crew->readers[key], 1), 1);
			CHECK_EQ(atomic_fetch_add(&crew->writers[key], 1), 0);
		}
	}
	leave(crew, &range);
}

/* Blocks without a deadline, while it holds nothing itself. */
static void acquire_blocking(struct crew *crew, struct job *jobs, uint64_t *random)
{
	struct range_request request;
	struct range_hold range;

	for (int i = 0; i < JOBS; i++)
		if (atomic_load(&jobs[i].state) == GRANTED)
			job_leave(&jobs[i]);
	/* A request could be granted now, whose range this thread would have to release. */
	for (int i = 0; i < JOBS; i++)
		if (atomic_load(&jobs[i].state) != IDLE)
			return;
	random_range(random, 0, KEYS, &request);
	if (range_lock(&crew->lock, &range, request.start, request.end, request.mode))
		return;
	enter(crew, &range);
	leave(crew, &range);
}

/* Until none of the thread's jobs is in use: others block on what they hold. */
static void finish(struct job *jobs)
{
	for (int i = 0; i < JOBS; i++)
		while (atomic_load(&jobs[i].state) != IDLE) {
			for (int other = 0; other < JOBS; other++)
				if (atomic_load(&jobs[other].state) == GRANTED)
					job_leave(&jobs[other]);
			sched_yield();
		}
}

static void *run(void *arg)
{
	struct crew *crew = arg;
	unsigned int self = atomic_fetch_add(&crew->started, 1);
	struct job *jobs = crew->jobs[self];
	uint64_t random = crew->seed * THREADS + self;

	for (unsigned int i = 0; i < test_scale(STEPS); i++) {
		struct job *job = &jobs[test_random_below(&random, JOBS)];

		switch (test_random_below(&random, 8)) {
		case 0:
			cancel_any(crew, &random);
			break;
		case 1:
			acquire(crew, &random);
			break;
		case 2:
			acquire_blocking(crew, jobs, &random);
			break;
		default:
			if (atomic_load(&job->state) == GRANTED)
				job_leave(job);
			else if (atomic_load(&job->state) == IDLE)
				job_ask(job, &random);
		}
	}
	finish(jobs);
	return NULL;
}

static void round_of(struct crew *crew, unsigned int round, uint64_t seed)
{
	pthread_t threads[THREADS];
	bool close = round % 3 == 2;

	*crew = (struct crew){ .seed = seed + round };
	init_lock(&crew->lock, fairnesses[round % 2], 64);
	set_starvation(&crew->lock, round / 2 % 2 ? 1 : 500000);
	if (round / 4 % 2)
		make_leaves(&crew->lock, 5);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < JOBS; i++)
			crew->jobs[t][i].crew = crew;
	for (int t = 0; t < THREADS; t++)
		threads[t] = thread_start(run, crew);
	if (close) {
		AWAIT(atomic_load(&crew->started) == THREADS);
		atomic_store(&crew->closed, true);
		range_lock_close(&crew->lock);
	}
	for (int t = 0; t < THREADS; t++)
		thread_join(threads[t]);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < JOBS; i++)
			CHECK_EQ(atomic_load(&crew->jobs[t][i].called),
				 atomic_load(&crew->jobs[t][i].asked));
	if (!close)
		CHECK_EQ(atomic_load(&crew->canceled), atomic_load(&crew->ended_canceled));
	CHECK_EQ(range_lock_destroy(&crew->lock), 0);
}

TEST(async_torture, every_request_ends_once_and_ranges_exclude_each_other)
{
	static struct crew crew;
	uint64_t seed = test_seed("async_torture");

	for (unsigned int round = 0; round < ROUNDS; round++)
		round_of(&crew, round, seed);
}
