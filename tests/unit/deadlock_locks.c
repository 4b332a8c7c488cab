/* SPDX-License-Identifier: MIT */
/* Cycles of threads over several locks, and how the checked build reports them. */
#include "actors.h"
#include "child.h"

#include "range_lock/deadlock.h"
#include "range_lock/leaf.h"

#include <errno.h>
#include <string.h>

enum { LOCKS = 3 };

static struct range_lock locks[LOCKS];
static atomic_uint writes;

/* The linker redirects write() to these, by --wrap. */
ssize_t __real_write(int file, const void *data, size_t size);
ssize_t __wrap_write(int file, const void *data, size_t size);

ssize_t __wrap_write(int file, const void *data, size_t size)
{
	atomic_fetch_add(&writes, file == STDERR_FILENO);
	return __real_write(file, data, size);
}

/* While it is set, the thread searches, and ends the wait of behind before the second step. */
static _Thread_local struct actor *behind, *behind_in_search;
static _Thread_local unsigned int steps;
static atomic_uint parks;

void __real_range__leaf_lock(struct range__leaf *leaf);
void __wrap_range__leaf_lock(struct range__leaf *leaf);

void __wrap_range__leaf_lock(struct range__leaf *leaf)
{
	struct actor *actor = behind_in_search;

	if (actor && ++steps == 2) {
		behind_in_search = NULL;
		CHECK_EQ(range_cancel(actor->lock, &actor->range), 0);
	}
	__real_range__leaf_lock(leaf);
}

void __real_range__deadlock_enter(struct range__wait *wait);
void __wrap_range__deadlock_enter(struct range__wait *wait);

void __wrap_range__deadlock_enter(struct range__wait *wait)
{
	behind_in_search = behind;
	behind = NULL;
	__real_range__deadlock_enter(wait);
}

int __real_range__deadlock_park(struct range__wait *wait, struct range__hold *range,
				const struct range__limit *limit);
int __wrap_range__deadlock_park(struct range__wait *wait, struct range__hold *range,
				const struct range__limit *limit);

int __wrap_range__deadlock_park(struct range__wait *wait, struct range__hold *range,
				const struct range__limit *limit)
{
	atomic_fetch_add(&parks, 1);
	return __real_range__deadlock_park(wait, range, limit);
}

static void run_and_capture(void (*run)(void), char errors[8192])
{
	int status = run_in_child(run, errors, 8192);

	if (status)
		test_fail(__FILE__, __LINE__, "status %#x and: %s", (unsigned int)status, errors);
}

/* A thread that holds a range of one lock, and waits for a range of another lock on request. */
struct party {
	struct range_hold first, second;
	struct range_lock *in, *next;
	uint64_t start, end, next_start, next_end;
	bool canceled, timed;
	struct actor *behind;
	pthread_t thread;
	sem_t go;
	atomic_bool holds, through;
	int result;
};

static int wait_for_next(struct party *p)
{
	struct timespec soon = time_after(CLOCK_MONOTONIC, SECOND / 4);

	if (p->canceled)
		pthread_cancel(pthread_self());
	errno = 4711;
	behind = p->behind;
	return range_timedlock(p->next, &p->second, p->next_start, p->next_end, RANGE_WRITE,
			       CLOCK_MONOTONIC, p->timed ? &soon : NULL);
}

static void *act(void *arg)
{
	struct party *p = arg;

	take(p->in, &p->first, p->start, p->end, RANGE_WRITE);
	atomic_store(&p->holds, true);
	sem_await(&p->go);
	p->result = wait_for_next(p);
	CHECK_EQ(errno, 4711);
	atomic_store(&p->through, true);
	if (!p->result)
		range_unlock(p->next, &p->second);
	range_unlock(p->in, &p->first);
	return NULL;
}

static void party_start(struct party *p, struct range_lock *in, uint64_t start, uint64_t end)
{
	memset(p, 0, sizeof *p);
	p->in = in;
	p->start = start;
	p->end = end;
	CHECK_EQ(sem_init(&p->go, 0, 0), 0);
	p->thread = thread_start(act, p);
	AWAIT(atomic_load(&p->holds));
}

/* Returns once the thread waits, or was refused. */
static void party_go_on(struct party *p, struct range_lock *next, uint64_t start, uint64_t end)
{
	uint64_t waits = lock_stats(next).waits;

	p->next = next;
	p->next_start = start;
	p->next_end = end;
	sem_post(&p->go);
	AWAIT(lock_stats(next).waits > waits || atomic_load(&p->through));
}

static int party_finish(struct party *p)
{
	thread_join(p->thread);
	sem_destroy(&p->go);
	return p->result;
}

/* n threads: each holds a range of a lock and waits for a range of the next lock. */
static void go_round(unsigned int n, bool mixed)
{
	struct party parties[LOCKS];

	for (unsigned int i = 0; i < n; i++) {
		init_lock(&locks[i], fairnesses[mixed && i % 2], 8);
		party_start(&parties[i], &locks[i], 0, 2);
	}
	for (unsigned int i = 0; i < n; i++)
		party_go_on(&parties[i], &locks[(i + 1) % n], 1, 3);
	for (unsigned int i = 0; i < n; i++)
		CHECK_EQ(party_finish(&parties[i]), i + 1 < n ? 0 : EDEADLK);
	for (unsigned int i = 0; i < n; i++) {
		fprintf(stderr, "lock %p\n", (void *)&locks[i]);
		check_quiet_and_destroy(&locks[i]);
	}
}

static void two(void)
{
	go_round(2, false);
}

static void two_of_different_fairness(void)
{
	go_round(2, true);
}

static void three(void)
{
	go_round(3, false);
}

static void three_of_different_fairness(void)
{
	go_round(3, true);
}

static void check_report(void (*run)(void), unsigned int n)
{
	char errors[8192];

	run_and_capture(run, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count_in(errors, ": [0, 0x2) for writing, held\n"), n);
	CHECK_EQ(count_in(errors, ": [0x1, 0x3) for writing, waits for thread"), n);
	CHECK_EQ(count_in(errors, "\nlock "), n);
	CHECK_EQ(count_in(errors, "thread 0"), 0);
	/* One thread holds a range of each lock, and one waits. */
	for (const char *line = errors; (line = strstr(line, "\nlock ")); line++) {
		char name[64];

		CHECK_EQ(sscanf(line, "\nlock %60s", name), 1);
		CHECK_EQ(count_in(errors, name), 3);
	}
}

TEST(deadlock_locks, the_thread_that_closes_a_cycle_over_locks_is_refused)
{
	check_report(two, 2);
	check_report(two_of_different_fairness, 2);
	check_report(three, 3);
	check_report(three_of_different_fairness, 3);
}

/*
 * The climber waits in a lock behind a starving waiter, which waits for the holder's range. The
 * holder waits in another lock for the climber's range.
 */
static void climb(bool starving_first)
{
	struct party climber, holder;
	struct actor starving;
	struct range_hold range;

	for (unsigned int i = 0; i < 2; i++) {
		init_lock(&locks[i], RANGE_FAIRNESS_BARGING, 8);
		set_starvation(&locks[i], 1);
	}
	party_start(&climber, &locks[0], 0, 2);
	party_start(&holder, &locks[1], 5, 10);
	take(&locks[1], &range, 1, 3, RANGE_WRITE);
	actor_queue(&starving, &locks[1], 0, 10, RANGE_WRITE);
	actor_let_go(&starving);
	party_go_on(&holder, &locks[0], 1, 3);
	if (starving_first)
		range_unlock(&locks[1], &range);
	party_go_on(&climber, &locks[1], 1, 3);
	if (!starving_first) {
		CHECK(!atomic_load(&climber.through));
		range_unlock(&locks[1], &range);
	}
	CHECK_EQ(party_finish(&climber), EDEADLK);
	CHECK_EQ(party_finish(&holder), 0);
	CHECK_EQ(actor_finish(&starving), 0);
	check_quiet_and_destroy(&locks[0]);
	check_quiet_and_destroy(&locks[1]);
}

static void behind_one_that_is_starving(void)
{
	climb(true);
}

static void behind_one_that_becomes_starving(void)
{
	climb(false);
}

TEST(deadlock_locks, a_cycle_over_locks_and_a_starving_waiter_is_found)
{
	void (*const runs[])(void) = { behind_one_that_is_starving,
				       behind_one_that_becomes_starving };

	for (unsigned int i = 0; i < 2; i++) {
		char errors[8192];

		run_and_capture(runs[i], errors);
		CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
		CHECK_EQ(count_in(errors, ", starving\n"), 1);
		CHECK_EQ(count_in(errors, "held\n"), 2);
		CHECK_EQ(count_in(errors, "waits for thread"), 3);
	}
}

/* Two threads that wait for each other, in two locks. */
static void cross(struct party parties[2])
{
	for (unsigned int i = 0; i < 2; i++)
		party_go_on(&parties[i], &locks[1 - i], 1, 3);
}

static void start_two(struct party parties[2])
{
	for (unsigned int i = 0; i < 2; i++) {
		init_lock(&locks[i], RANGE_FAIRNESS_BARGING, 8);
		party_start(&parties[i], &locks[i], 0, 2);
	}
}

static void with_a_deadline(void)
{
	struct party parties[2];

	for (unsigned int i = 0; i < 2; i++) {
		start_two(parties);
		parties[i].timed = true;
		cross(parties);
		CHECK_EQ(party_finish(&parties[i]), ETIMEDOUT);
		CHECK_EQ(party_finish(&parties[1 - i]), 0);
	}
}

TEST(deadlock_locks, a_cycle_with_a_timed_wait_causes_no_report)
{
	char errors[8192];

	run_and_capture(with_a_deadline, errors);
	CHECK(!strstr(errors, "deadlock"));
}

/* The reporting thread is canceled after its call, and not in it. */
static void *meet_a_canceled_thread(void *arg)
{
	struct party parties[2];

	start_two(parties);
	parties[1].canceled = true;
	atomic_store(&writes, 0);
	cross(parties);
	CHECK_EQ(party_finish(&parties[0]), 0);
	CHECK_EQ(party_finish(&parties[1]), EDEADLK);
	CHECK_EQ(atomic_load(&writes), 1);
	return arg;
}

static void report_in_a_canceled_thread(void)
{
	thread_join(thread_start(meet_a_canceled_thread, NULL));
	fputs("stderr works\n", stderr);
}

TEST(deadlock_locks, a_report_is_one_write_and_no_cancellation_point)
{
	char errors[8192];

	run_and_capture(report_in_a_canceled_thread, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
	CHECK(strstr(errors, "stderr works"));
}

/* More threads than a report has room for: two lines for each. */
enum { MANY = 20, ROOM = 28 };

static void long_cycle(void)
{
	static struct party parties[MANY];

	init_lock(&locks[0], RANGE_FAIRNESS_BARGING, 8);
	for (unsigned int i = 0; i < MANY; i++)
		party_start(&parties[i], &locks[0], 10 * i, 10 * i + 2);
	for (unsigned int i = 0; i < MANY; i++) {
		uint64_t next = 10 * ((i + 1) % MANY);

		party_go_on(&parties[i], &locks[0], next + 1, next + 3);
	}
	for (unsigned int i = 0; i < MANY; i++)
		CHECK_EQ(party_finish(&parties[i]), i + 1 < MANY ? 0 : EDEADLK);
	check_quiet_and_destroy(&locks[0]);
}

TEST(deadlock_locks, a_report_without_room_for_all_threads_counts_the_missing_ones)
{
	char errors[8192];

	run_and_capture(long_cycle, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"), 1);
	CHECK_EQ(count_in(errors, "\n  thread "), ROOM);
	CHECK_EQ(count_in(errors, "\n  and 12 more\n"), 1);
	CHECK_EQ(count_in(errors, "\n"), 1 + ROOM + 1);
}

/*
 * The second party waits behind a starving waiter. That waiter's wait ends when the search has come
 * to it and has not yet seen its cause: the first party, which waits for the second one.
 */
static void cancel_in_a_search(void)
{
	struct party parties[2];
	struct actor starving;
	unsigned int before;

	for (int i = 0; i < 2; i++) {
		init_lock(&locks[i], RANGE_FAIRNESS_FIFO, 1);
		party_start(&parties[i], &locks[i], 0, 10);
	}
	actor_queue(&starving, &locks[0], 0, 20, RANGE_WRITE);
	before = atomic_load(&parks);
	party_go_on(&parties[0], &locks[1], 0, 10);
	AWAIT(atomic_load(&parks) > before);
	parties[1].behind = &starving;
	party_go_on(&parties[1], &locks[0], 0, 10);
	CHECK_EQ(party_finish(&parties[1]), EDEADLK);
	CHECK_EQ(party_finish(&parties[0]), 0);
	CHECK_EQ(actor_finish(&starving), ECANCELED);
	for (int i = 0; i < 2; i++)
		check_quiet_and_destroy(&locks[i]);
}

TEST(deadlock_locks, a_cycle_is_found_although_a_waiter_in_it_is_canceled_during_the_search)
{
	char errors[8192];

	run_and_capture(cancel_in_a_search, errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
}
