/* SPDX-License-Identifier: MIT */
/* What the checked build says of threads that wait for each other. */
#include "actors.h"
#include "child.h"

#include "range_lock/deadlock.h"
#include "range_lock/forest.h"

#include <errno.h>
#include <string.h>

#ifndef MMRANGE_CHECKED

TEST(deadlock, skipped)
{
	puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
}

#else

static struct range_lock lock;

static void init(enum range_fairness fairness, uint64_t starvation_ns)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.starvation_ns = starvation_ns;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void run_and_capture(void (*run)(void), char errors[4096])
{
	int status = run_in_child(run, errors, 4096);

	if (status)
		test_fail(__FILE__, __LINE__, "status %#x and: %s", (unsigned int)status, errors);
}

/* The first line of what a child said. */
static void show_seed(const char *errors)
{
	fprintf(stderr, "%.*s\n", (int)strcspn(errors, "\n"), errors);
}

/* A thread that holds one range and is told to wait for another; it then lets go of both. */
struct party {
	struct range first, second;
	uint64_t start, end;
	uint64_t next_start, next_end;
	const struct timespec *deadline;
	pthread_t thread;
	sem_t go;
	atomic_bool holds, through;
	int result;
};

static void *act(void *arg)
{
	struct party *p = arg;

	take(&lock, &p->first, p->start, p->end, RANGE_WRITE);
	atomic_store(&p->holds, true);
	sem_await(&p->go);
	p->result = range_timedlock(&lock, &p->second, p->next_start, p->next_end, RANGE_WRITE,
				    CLOCK_MONOTONIC, p->deadline);
	atomic_store(&p->through, true);
	if (!p->result)
		range_unlock(&lock, &p->second);
	range_unlock(&lock, &p->first);
	return NULL;
}

static void party_start(struct party *p, uint64_t start, uint64_t end, uint64_t next_start,
			uint64_t next_end)
{
	memset(p, 0, sizeof *p);
	p->start = start;
	p->end = end;
	p->next_start = next_start;
	p->next_end = next_end;
	CHECK_EQ(sem_init(&p->go, 0, 0), 0);
	p->thread = thread_start(act, p);
	AWAIT(atomic_load(&p->holds));
}

/* It waits, or has been told that it must not. */
static void party_go_on(struct party *p)
{
	uint64_t waits = lock_stats(&lock).waits;

	sem_post(&p->go);
	AWAIT(lock_stats(&lock).waits > waits || atomic_load(&p->through));
}

static int party_finish(struct party *p)
{
	thread_join(p->thread);
	sem_destroy(&p->go);
	return p->result;
}

/* n threads, each of which holds a place and waits for the next one's. */
static void go_round(unsigned int n, enum range_fairness fairness)
{
	struct party parties[8];

	init(fairness, UINT64_MAX);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t next = (i + 1) % n;

		party_start(&parties[i], 16 * i, 16 * i + 2, 16 * next + 1, 16 * next + 3);
	}
	for (unsigned int i = 0; i < n; i++)
		party_go_on(&parties[i]);
	for (unsigned int i = 0; i < n; i++)
		CHECK_EQ(party_finish(&parties[i]), i + 1 < n ? 0 : EDEADLK);
	check_quiet_and_destroy(&lock);
}

static void two(void)
{
	go_round(2, RANGE_FAIRNESS_BARGING);
}

static void three(void)
{
	go_round(3, RANGE_FAIRNESS_BARGING);
}

static void three_in_fifo(void)
{
	go_round(3, RANGE_FAIRNESS_FIFO);
}

static void check_report(void (*run)(void), unsigned int n)
{
	char errors[4096];

	run_and_capture(run, errors);
	CHECK_EQ(count(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count(errors, "for writing, held\n"), n);
	CHECK_EQ(count(errors, "for writing, waits for thread"), n);
	CHECK_EQ(count(errors, "\n"), 1 + 2 * n);
	CHECK_EQ(count(errors, ": [0, 0x2) for writing, held"), 1);
	CHECK_EQ(count(errors, ": [0x1, 0x3) for writing, waits"), 1);
	CHECK_EQ(count(errors, ": [0x11, 0x13) for writing, waits"), 1);
}

TEST(deadlock, the_thread_that_closes_a_cycle_is_told_and_the_others_go_on)
{
	check_report(two, 2);
	check_report(three, 3);
	check_report(three_in_fifo, 3);
}

/* Each waits for the next, but the last does not wait. */
static void chain(void)
{
	struct party parties[3];
	struct range last;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	take(&lock, &last, 48, 50, RANGE_WRITE);
	for (unsigned int i = 0; i < 3; i++)
		party_start(&parties[i], 16 * i, 16 * i + 2, 16 * i + 17, 16 * i + 19);
	for (unsigned int i = 0; i < 3; i++)
		party_go_on(&parties[i]);
	for (unsigned int i = 0; i < 3; i++) {
		/* More than one look of each. */
		range__deadlock_look(&lock, &parties[i].second);
		CHECK(!atomic_load(&parties[i].through));
	}
	range_unlock(&lock, &last);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(party_finish(&parties[i]), 0);
	check_quiet_and_destroy(&lock);
}

/* A cycle in which one gives up. */
static void timed(void)
{
	struct timespec soon;
	struct party parties[2];

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	party_start(&parties[0], 0, 2, 17, 19);
	party_start(&parties[1], 16, 18, 1, 3);
	soon = time_after(CLOCK_MONOTONIC, SECOND / 4);
	parties[0].deadline = &soon;
	party_go_on(&parties[0]);
	party_go_on(&parties[1]);
	CHECK_EQ(party_finish(&parties[0]), ETIMEDOUT);
	CHECK_EQ(party_finish(&parties[1]), 0);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock, nothing_is_said_where_waits_will_end)
{
	char errors[4096];

	run_and_capture(chain, errors);
	CHECK(!strstr(errors, "deadlock"));
	run_and_capture(timed, errors);
	CHECK(!strstr(errors, "deadlock"));
}

/*
 * A thread holds [0, 10) and waits for [20, 30), which nobody has: but a waiter for all of it came
 * before, and is starving. Addresses ascend, and still it is a deadlock.
 */
static void behind_starving(bool starving_first)
{
	struct party climber;
	struct range held;
	struct actor starving;

	init(RANGE_FAIRNESS_BARGING, 1);
	party_start(&climber, 0, 10, 20, 30);
	take(&lock, &held, 20, 30, RANGE_WRITE);
	actor_queue(&starving, &lock, 0, 30, RANGE_WRITE);
	actor_let_go(&starving);
	if (starving_first)
		range_unlock(&lock, &held);
	party_go_on(&climber);
	if (!starving_first) {
		CHECK(!atomic_load(&climber.through));
		range_unlock(&lock, &held);
	}
	CHECK_EQ(party_finish(&climber), EDEADLK);
	CHECK_EQ(actor_finish(&starving), 0);
	check_quiet_and_destroy(&lock);
}

static void behind_one_that_is_starving(void)
{
	behind_starving(true);
}

static void behind_one_that_becomes_starving(void)
{
	behind_starving(false);
}

static void check_starving_report(void (*run)(void))
{
	char errors[4096];

	run_and_capture(run, errors);
	CHECK_EQ(count(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count(errors, "\n"), 4);
	CHECK_EQ(count(errors, ": [0, 0xa) for writing, held"), 1);
	CHECK_EQ(count(errors, ": [0, 0x1e) for writing, waits for thread"), 1);
	CHECK_EQ(count(errors, ", starving\n"), 1);
	CHECK_EQ(count(errors, ": [0x14, 0x1e) for writing, waits for thread"), 1);
}

TEST(deadlock, a_cycle_through_a_starving_waiter_is_found)
{
	check_starving_report(behind_one_that_is_starving);
}

TEST(deadlock, a_cycle_that_a_waiter_closes_by_becoming_starving_is_found)
{
	check_starving_report(behind_one_that_becomes_starving);
}

/* Ranges of threads that do not exist, in known states. */

static void hold(uint64_t thread, struct range *range, uint64_t start, uint64_t end)
{
	uint64_t self = mmrange__self();

	mmrange__thread = thread << 32 | thread;
	take(&lock, range, start, end, RANGE_WRITE);
	mmrange__thread = self;
}

static void queue(uint64_t thread, struct range *range, uint64_t start, uint64_t end,
		  enum range_mode mode, bool starving, bool deadline)
{
	static uint64_t time;
	struct range__leaf *leaf;

	*range = (struct range){
		.start = start,
		.end = end,
		.mode = (uint8_t)mode,
		.stamp = ++time,
		.owner = thread << 32 | thread,
		.starving = starving,
		.checked_timed = deadline,
		/* Whatever was left in it. */
		.height = 1,
		.left = range,
		.right = range,
	};
	leaf = range__forest_lock(&lock, range, NULL, false);
	range__leaf_enqueue(leaf, range);
	range__leaf_unlock(leaf, NULL);
}

static uint64_t state_of(struct range *range)
{
	return atomic_load(&range->state);
}

static void dequeue(struct range *range)
{
	if (state_of(range) != RANGE_DEADLOCKED)
		CHECK_EQ(range_cancel(&lock, range), 0);
}

TEST(deadlock, who_waited_for_the_one_that_is_told_goes_on)
{
	struct range held[2], waits[2];
	struct actor behind;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	hold(101, &held[0], 0, 10);
	hold(102, &held[1], 20, 30);
	queue(101, &waits[0], 25, 40, RANGE_WRITE, false, false);
	queue(102, &waits[1], 5, 15, RANGE_WRITE, true, false);
	/* With a deadline, so that it does not look by itself. */
	actor_queue_timed(&behind, &lock, 10, 15, RANGE_WRITE, 3600 * SECOND);
	/* Not the one that looks, but the one that came last. */
	range__deadlock_look(&lock, &waits[0]);
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	actor_await(&behind);
	check_valid(&lock);
	/* Once is enough. */
	range__deadlock_look(&lock, &waits[0]);
	range__deadlock_look(&lock, &waits[1]);
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(actor_finish(&behind), 0);
	dequeue(&waits[0]);
	range_unlock(&lock, &held[0]);
	range_unlock(&lock, &held[1]);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock, a_cycle_among_many_leaves_is_found)
{
	struct range held[2], waits[2];

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	CHECK(split_by_turns(&lock, 0, 1000, 100000));
	CHECK(split_by_turns(&lock, 2000, 5000, 100000));
	CHECK(lock_stats(&lock).leaves >= 3);
	hold(101, &held[0], 0, 1);
	hold(102, &held[1], 5000, 5001);
	queue(101, &waits[0], 5000, 5001, RANGE_READ, false, false);
	range__deadlock_look(&lock, &waits[0]);
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	queue(102, &waits[1], 0, 1, RANGE_READ, false, false);
	range__deadlock_look(&lock, &waits[1]);
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	dequeue(&waits[0]);
	range_unlock(&lock, &held[0]);
	range_unlock(&lock, &held[1]);
	check_quiet_and_destroy(&lock);
}

/* The oracle: who must wait for whom, from the definition, and whether it leads back. */

enum { PLAYERS = 7 };

struct game {
	struct range held[PLAYERS],
		waits[PLAYERS]; /* one of each per thread, by order of arrival */
	bool holds[PLAYERS];
	bool needs[PLAYERS][PLAYERS];
};

static bool conflict(const struct range *a, const struct range *b)
{
	return a->start < b->end && b->start < a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE);
}

static void find_needs(struct game *g)
{
	for (unsigned int i = 0; i < PLAYERS; i++)
		for (unsigned int k = 0; k < PLAYERS; k++)
			g->needs[i][k] = !g->waits[i].checked_timed && !g->waits[k].checked_timed &&
					 ((g->holds[k] && conflict(&g->held[k], &g->waits[i])) ||
					  (k < i && g->waits[k].starving &&
					   conflict(&g->waits[k], &g->waits[i])));
	for (unsigned int via = 0; via < PLAYERS; via++)
		for (unsigned int i = 0; i < PLAYERS; i++)
			for (unsigned int k = 0; k < PLAYERS; k++)
				g->needs[i][k] |= g->needs[i][via] && g->needs[via][k];
}

static unsigned int play(uint64_t *seed)
{
	struct game g = { .holds = { false } };
	unsigned int looks = (unsigned int)test_random_below(seed, PLAYERS), told = 0;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	for (unsigned int i = 0; i < PLAYERS; i++) {
		g.holds[i] = test_random_below(seed, 4) > 0;
		if (g.holds[i])
			hold(101 + i, &g.held[i], 10 * i, 10 * i + 10);
	}
	for (unsigned int i = 0; i < PLAYERS; i++) {
		uint64_t start = test_random_below(seed, 10 * PLAYERS);

		queue(101 + i, &g.waits[i], start, start + 1 + test_random_below(seed, 12),
		      test_random_below(seed, 2) ? RANGE_READ : RANGE_WRITE,
		      test_random_below(seed, 3) == 0, test_random_below(seed, 8) == 0);
	}
	find_needs(&g);
	if (!g.waits[looks].checked_timed)
		range__deadlock_look(&lock, &g.waits[looks]);
	for (unsigned int i = 0; i < PLAYERS; i++) {
		if (state_of(&g.waits[i]) != RANGE_DEADLOCKED)
			continue;
		told++;
		CHECK(g.needs[i][looks] && g.needs[looks][i]);
	}
	CHECK_EQ(told, g.needs[looks][looks]);
	for (unsigned int i = 0; i < PLAYERS; i++) {
		dequeue(&g.waits[i]);
		if (g.holds[i])
			range_unlock(&lock, &g.held[i]);
	}
	check_quiet_and_destroy(&lock);
	return told;
}

static void play_many(void)
{
	uint64_t seed = test_seed("deadlock");
	unsigned int rounds = test_scale(5000), told = 0;

	for (unsigned int i = 0; i < rounds; i++)
		told += play(&seed);
	CHECK(told > rounds / 20 && told < rounds - rounds / 20);
}

TEST(deadlock, what_is_found_in_random_states_agrees_with_the_definition)
{
	char errors[4096];

	run_and_capture(play_many, errors);
	show_seed(errors);
}

/* Threads that take a second range without a thought, and start again when they are told to. */

static void *be_careless(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(300); i++) {
		uint64_t a = test_random_below(&seed, 20), b = test_random_below(&seed, 20);
		struct range first, second;
		int error = range_lock(&lock, &first, a, a + 2, RANGE_WRITE);

		CHECK_EQ(error, 0);
		sched_yield();
		error = range_lock(&lock, &second, b, b + 2,
				   test_random_below(&seed, 2) ? RANGE_READ : RANGE_WRITE);
		if (!error)
			range_unlock(&lock, &second);
		else
			CHECK_EQ(error, EDEADLK);
		range_unlock(&lock, &first);
	}
	return NULL;
}

static void run_careless_threads(void)
{
	uint64_t seed = test_seed("deadlock/careless");

	for (int fair = 0; fair < 2; fair++) {
		uint64_t seeds[8];
		pthread_t threads[8];

		init(fairnesses[fair], 10000);
		for (int i = 0; i < 8; i++) {
			seeds[i] = test_random(&seed);
			threads[i] = thread_start(be_careless, &seeds[i]);
		}
		for (int i = 0; i < 8; i++)
			thread_join(threads[i]);
		check_quiet_and_destroy(&lock);
	}
}

TEST(deadlock, threads_that_start_again_when_told_are_never_stuck)
{
	char errors[4096];

	run_and_capture(run_careless_threads, errors);
	show_seed(errors);
	CHECK(strstr(errors, "libmmrange: deadlock"));
}

#endif
