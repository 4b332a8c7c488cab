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

enum { LOCKS = 3 };

static struct range_lock lock, locks[LOCKS];

static void init_one(struct range_lock *one, enum range_fairness fairness, uint64_t starvation_ns)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.starvation_ns = starvation_ns;
	CHECK_EQ(range_lock_init(one, &attr), 0);
}

static void init(enum range_fairness fairness, uint64_t starvation_ns)
{
	init_one(&lock, fairness, starvation_ns);
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
	struct range_hold first, second;
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
	struct range_hold last;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	take(&lock, &last, 48, 50, RANGE_WRITE);
	for (unsigned int i = 0; i < 3; i++)
		party_start(&parties[i], 16 * i, 16 * i + 2, 16 * i + 17, 16 * i + 19);
	for (unsigned int i = 0; i < 3; i++)
		party_go_on(&parties[i]);
	for (unsigned int i = 0; i < 3; i++) {
		/* Another look of each. */
		CHECK(range__deadlock_look(parties[i].second.checked_wait));
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
	struct range_hold held;
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

static uint64_t name_of(uint64_t thread)
{
	return thread << 32 | thread;
}

static void hold(struct range_lock *in, uint64_t thread, struct range_hold *range, uint64_t start,
		 uint64_t end)
{
	uint64_t self = mmrange__self();

	mmrange__thread = name_of(thread);
	take(in, range, start, end, RANGE_WRITE);
	mmrange__thread = self;
}

struct pretended {
	struct range_hold range;
	struct range__wait wait;
};

static void queue(struct range_lock *in, uint64_t thread, struct pretended *p, uint64_t start,
		  uint64_t end, enum range_mode mode, bool starving, bool deadline)
{
	static uint64_t time;
	struct range__leaf *leaf;

	memset(p, 0xa5, sizeof *p); /* nothing needs to be initialised */
	p->range.start = start;
	p->range.end = end;
	p->range.mode = (uint8_t)mode;
	p->range.stamp = ++time;
	p->range.owner = name_of(thread);
	p->range.starving = starving;
	leaf = range__forest_lock(in, &p->range, NULL, false);
	range__deadlock_prepare(&p->wait, in, &p->range, deadline);
	range__leaf_enqueue(leaf, &p->range);
	range__leaf_unlock(leaf, NULL);
	if (!deadline)
		range__deadlock_register(&p->wait);
}

static uint64_t state_of(struct pretended *p)
{
	return atomic_load(&p->range.state);
}

static void dequeue(struct range_lock *in, struct pretended *p)
{
	if (state_of(p) != RANGE_DEADLOCKED)
		CHECK_EQ(range_cancel(in, &p->range), 0);
	range__deadlock_leave(&p->wait, 0);
}

TEST(deadlock, who_waited_for_the_one_that_is_told_goes_on)
{
	struct range_hold held[2];
	struct pretended waits[2];
	struct actor behind;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	hold(&lock, 101, &held[0], 0, 10);
	hold(&lock, 102, &held[1], 20, 30);
	queue(&lock, 101, &waits[0], 25, 40, RANGE_WRITE, false, false);
	queue(&lock, 102, &waits[1], 5, 15, RANGE_WRITE, true, false);
	/* With a deadline, so that it does not look by itself. */
	actor_queue_timed(&behind, &lock, 10, 15, RANGE_WRITE, 3600 * SECOND);
	/* Not the one that looks, but the one that came last. */
	CHECK(range__deadlock_look(&waits[0].wait));
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	actor_await(&behind);
	check_valid(&lock);
	/* Once is enough. */
	CHECK(range__deadlock_look(&waits[0].wait));
	CHECK(range__deadlock_look(&waits[1].wait));
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(actor_finish(&behind), 0);
	dequeue(&lock, &waits[0]);
	dequeue(&lock, &waits[1]);
	range_unlock(&lock, &held[0]);
	range_unlock(&lock, &held[1]);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock, a_cycle_among_many_leaves_is_found)
{
	struct range_hold held[2];
	struct pretended waits[2];

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	CHECK(split_by_turns(&lock, 0, 1000, 100000));
	CHECK(split_by_turns(&lock, 2000, 5000, 100000));
	CHECK(lock_stats(&lock).leaves >= 3);
	hold(&lock, 101, &held[0], 0, 1);
	hold(&lock, 102, &held[1], 5000, 5001);
	queue(&lock, 101, &waits[0], 5000, 5001, RANGE_READ, false, false);
	CHECK(range__deadlock_look(&waits[0].wait));
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	queue(&lock, 102, &waits[1], 0, 1, RANGE_READ, false, false);
	CHECK(range__deadlock_look(&waits[1].wait));
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	dequeue(&lock, &waits[0]);
	dequeue(&lock, &waits[1]);
	range_unlock(&lock, &held[0]);
	range_unlock(&lock, &held[1]);
	check_quiet_and_destroy(&lock);
}

/*
 * The last to come is in two cycles, and is not the one that is told: a waiter that came before is
 * not in both. So both of the others are told.
 */
TEST(deadlock, each_of_several_cycles_is_broken)
{
	struct range_hold held[3];
	struct pretended waits[3];

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	for (unsigned int i = 0; i < 3; i++)
		hold(&lock, 101 + i, &held[i], 10 * i, 10 * i + 10);
	queue(&lock, 101, &waits[0], 10, 30, RANGE_WRITE, false, false);
	queue(&lock, 102, &waits[1], 5, 6, RANGE_WRITE, false, false);
	queue(&lock, 103, &waits[2], 7, 8, RANGE_WRITE, false, false);
	CHECK(range__deadlock_look(&waits[0].wait));
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	CHECK_EQ(state_of(&waits[2]), RANGE_DEADLOCKED);
	for (unsigned int i = 0; i < 3; i++) {
		dequeue(&lock, &waits[i]);
		range_unlock(&lock, &held[i]);
	}
	check_quiet_and_destroy(&lock);
}

/*
 * A waiter that is starving has been queued, and its thread is about to register its wait: a look
 * says that it is to be repeated, and then finds the cycle.
 */
TEST(deadlock, a_look_is_repeated_until_it_sees_who_has_just_queued)
{
	struct range_hold held;
	struct pretended starving, climber;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	hold(&lock, 101, &held, 0, 10);
	queue(&lock, 102, &starving, 0, 30, RANGE_WRITE, true, true);
	starving.range.checked_wait = &starving.wait;
	starving.wait.timed = false;
	queue(&lock, 101, &climber, 20, 30, RANGE_WRITE, false, false);
	CHECK(!range__deadlock_look(&climber.wait));
	CHECK_EQ(state_of(&climber), RANGE_WAITING);
	range__deadlock_register(&starving.wait);
	CHECK(range__deadlock_look(&climber.wait));
	CHECK_EQ(state_of(&climber), RANGE_DEADLOCKED);
	dequeue(&lock, &starving);
	dequeue(&lock, &climber);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

/* The oracle: who must wait for whom, from the definition, and whether it leads back. */

enum { PLAYERS = 7 };

struct game {
	struct range_hold held[PLAYERS];
	struct pretended waits[PLAYERS]; /* one per thread, by order of arrival */
	bool holds[PLAYERS];
	struct range_lock *held_in[PLAYERS], *waits_in[PLAYERS];
	bool needs[PLAYERS][PLAYERS];
};

static bool conflict(const struct range_hold *a, const struct range_hold *b)
{
	return a->start < b->end && b->start < a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE);
}

static bool is_node(struct game *g, unsigned int i)
{
	return !g->waits[i].wait.timed && state_of(&g->waits[i]) != RANGE_DEADLOCKED;
}

static bool must_wait(struct game *g, unsigned int i, unsigned int k)
{
	const struct range_hold *range = &g->waits[i].range, *other = &g->waits[k].range;

	if (!is_node(g, i) || !is_node(g, k))
		return false;
	if (g->holds[k] && g->held_in[k] == g->waits_in[i] && conflict(&g->held[k], range))
		return true;
	return k < i && other->starving && g->waits_in[k] == g->waits_in[i] &&
	       conflict(other, range);
}

static void find_needs(struct game *g)
{
	for (unsigned int i = 0; i < PLAYERS; i++)
		for (unsigned int k = 0; k < PLAYERS; k++)
			g->needs[i][k] = must_wait(g, i, k);
	for (unsigned int via = 0; via < PLAYERS; via++)
		for (unsigned int i = 0; i < PLAYERS; i++)
			for (unsigned int k = 0; k < PLAYERS; k++)
				g->needs[i][k] |= g->needs[i][via] && g->needs[via][k];
}

static void set_up(struct game *g, uint64_t *seed, unsigned int nr_locks)
{
	for (unsigned int i = 0; i < PLAYERS; i++) {
		g->holds[i] = test_random_below(seed, 4) > 0;
		g->held_in[i] = &locks[test_random_below(seed, nr_locks)];
		if (g->holds[i])
			hold(g->held_in[i], 101 + i, &g->held[i], 10 * i, 10 * i + 10);
	}
	for (unsigned int i = 0; i < PLAYERS; i++) {
		uint64_t start = test_random_below(seed, 10 * PLAYERS);
		uint64_t size = 1 + test_random_below(seed, nr_locks > 1 ? 40 : 12);

		g->waits_in[i] = &locks[test_random_below(seed, nr_locks)];
		queue(g->waits_in[i], 101 + i, &g->waits[i], start, start + size,
		      test_random_below(seed, 2) ? RANGE_READ : RANGE_WRITE,
		      test_random_below(seed, 3) == 0, test_random_below(seed, 8) == 0);
	}
	find_needs(g);
}

/* Each one that is told was in a cycle with the one that looks, and no such cycle is left. */
static unsigned int check_told(struct game *g, unsigned int looks)
{
	unsigned int told = 0;

	for (unsigned int i = 0; i < PLAYERS; i++) {
		if (state_of(&g->waits[i]) != RANGE_DEADLOCKED)
			continue;
		told++;
		CHECK(g->needs[i][looks] && g->needs[looks][i]);
	}
	CHECK_EQ(told > 0, g->needs[looks][looks]);
	find_needs(g);
	CHECK(!g->needs[looks][looks]);
	return told > 0;
}

static unsigned int play(uint64_t *seed, unsigned int nr_locks)
{
	static struct game g;
	unsigned int looks = (unsigned int)test_random_below(seed, PLAYERS), told = 0;

	for (unsigned int i = 0; i < nr_locks; i++)
		init_one(&locks[i], RANGE_FAIRNESS_BARGING, UINT64_MAX);
	set_up(&g, seed, nr_locks);
	if (!g.waits[looks].wait.timed) {
		CHECK(range__deadlock_look(&g.waits[looks].wait));
		told = check_told(&g, looks);
	}
	for (unsigned int i = 0; i < PLAYERS; i++) {
		dequeue(g.waits_in[i], &g.waits[i]);
		if (g.holds[i])
			range_unlock(g.held_in[i], &g.held[i]);
	}
	for (unsigned int i = 0; i < nr_locks; i++)
		check_quiet_and_destroy(&locks[i]);
	return told;
}

static void play_many(const char *test, unsigned int nr_locks)
{
	uint64_t seed = test_seed(test);
	unsigned int rounds = test_scale(5000), told = 0;

	for (unsigned int i = 0; i < rounds; i++)
		told += play(&seed, nr_locks);
	CHECK(told > rounds / 20 && told < rounds - rounds / 20);
}

TEST(deadlock, what_is_found_in_random_states_agrees_with_the_definition)
{
	play_many("deadlock/one_lock", 1);
}

TEST(deadlock, what_is_found_in_random_states_of_three_locks_agrees_with_the_definition)
{
	play_many("deadlock/three_locks", LOCKS);
}

/* Threads that take a second range without a thought, and start again when they are told to. */

static void *be_careless(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(300); i++) {
		uint64_t a = test_random_below(&seed, 20), b = test_random_below(&seed, 20);
		struct range_hold first, second;
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
