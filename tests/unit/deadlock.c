/* SPDX-License-Identifier: MIT */
/* What the checked build reports about threads that wait for each other. */
#include "actors.h"
#include "child.h"
#include "dummy_waiter.h"
#include "parties.h"

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

/* Prints the first line of a child's output, its seed. */
static void show_seed(const char *errors)
{
	fprintf(stderr, "%.*s\n", (int)strcspn(errors, "\n"), errors);
}

/* n threads: each holds a place and waits for that of the next thread. */
static void go_round(unsigned int n, enum range_fairness fairness)
{
	struct party parties[8];

	init(fairness, UINT64_MAX);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t next = (i + 1) % n;

		party_start(&parties[i], &lock, RANGE_WRITE, 16 * i, 16 * i + 2, 16 * next + 1,
			    16 * next + 3);
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
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count_in(errors, "for writing, held\n"), n);
	CHECK_EQ(count_in(errors, "for writing, waits for thread"), n);
	CHECK_EQ(count_in(errors, "\n"), 1 + 2 * n);
	CHECK_EQ(count_in(errors, ": [0, 0x2) for writing, held"), 1);
	CHECK_EQ(count_in(errors, ": [0x1, 0x3) for writing, waits"), 1);
	CHECK_EQ(count_in(errors, ": [0x11, 0x13) for writing, waits"), 1);
}

TEST(deadlock, the_thread_that_closes_a_cycle_is_refused_and_the_others_go_on)
{
	check_report(two, 2);
	check_report(three, 3);
	check_report(three_in_fifo, 3);
}

/* Each thread waits for the next, but the last one does not wait. */
static void chain(void)
{
	struct party parties[3];
	struct range_hold last;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	take(&lock, &last, 48, 50, RANGE_WRITE);
	for (unsigned int i = 0; i < 3; i++)
		party_start(&parties[i], &lock, RANGE_WRITE, 16 * i, 16 * i + 2, 16 * i + 17,
			    16 * i + 19);
	for (unsigned int i = 0; i < 3; i++)
		party_go_on(&parties[i]);
	for (unsigned int i = 0; i < 3; i++) {
		/* Each of them looks for a cycle once more. */
		CHECK(range__deadlock_look(range__wait_of(range__hold(&parties[i].second))));
		CHECK(!atomic_load(&parties[i].through));
	}
	range_unlock(&lock, &last);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(party_finish(&parties[i]), 0);
	check_quiet_and_destroy(&lock);
}

/* A cycle in which one waiter gives up. */
static void timed(void)
{
	struct timespec soon;
	struct party parties[2];

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	party_start(&parties[0], &lock, RANGE_WRITE, 0, 2, 17, 19);
	party_start(&parties[1], &lock, RANGE_WRITE, 16, 18, 1, 3);
	soon = time_after(CLOCK_MONOTONIC, SECOND / 4);
	parties[0].deadline = &soon;
	party_go_on(&parties[0]);
	party_go_on(&parties[1]);
	CHECK_EQ(party_finish(&parties[0]), ETIMEDOUT);
	CHECK_EQ(party_finish(&parties[1]), 0);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock, waits_that_will_end_cause_no_report)
{
	char errors[4096];

	run_and_capture(chain, errors);
	CHECK(!strstr(errors, "deadlock"));
	run_and_capture(timed, errors);
	CHECK(!strstr(errors, "deadlock"));
}

/*
 * A thread holds [0, 10) and waits for [20, 30), which is free: but an earlier waiter, for all of
 * [0, 30), is starving. Addresses ascend, and still it is a deadlock.
 */
static void behind_starving(bool starving_first)
{
	struct party climber;
	struct range_hold held;
	struct actor starving;

	init(RANGE_FAIRNESS_BARGING, 1);
	party_start(&climber, &lock, RANGE_WRITE, 0, 10, 20, 30);
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
	CHECK_EQ(count_in(errors, "libmmrange: deadlock"), 1);
	CHECK_EQ(count_in(errors, "\n"), 4);
	CHECK_EQ(count_in(errors, ": [0, 0xa) for writing, held"), 1);
	CHECK_EQ(count_in(errors, ": [0, 0x1e) for writing, waits for thread"), 1);
	CHECK_EQ(count_in(errors, ", starving\n"), 1);
	CHECK_EQ(count_in(errors, ": [0x14, 0x1e) for writing, waits for thread"), 1);
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
	struct range__set set;
	struct range__wait wait;
};

static void queue(struct range_lock *in, uint64_t thread, struct pretended *p, uint64_t start,
		  uint64_t end, enum range_mode mode, bool starving, bool deadline)
{
	static uint64_t time;

	memset(p, 0xa5, sizeof *p); /* the search needs no field that queue_set() leaves unset */
	p->range.start = start;
	p->range.end = end;
	p->range.mode = mode;
	p->set = range__set_of(range__lock(in), range__hold(&p->range));
	queue_set(&p->set, name_of(thread), ++time, starving, &p->wait, deadline);
	if (!deadline)
		range__deadlock_register(&p->wait);
}

static uint64_t state_of(struct pretended *p)
{
	return atomic_load(&range__hold(&p->range)->state);
}

static void dequeue(struct range_lock *in, struct pretended *p)
{
	if (state_of(p) != RANGE_DEADLOCKED)
		CHECK_EQ(range_cancel(in, &p->range), 0);
	range__deadlock_leave(&p->wait, 0);
}

TEST(deadlock, a_thread_that_waits_for_the_refused_one_goes_on)
{
	struct range_hold held[2];
	struct pretended waits[2];
	struct actor behind;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	hold(&lock, 101, &held[0], 0, 10);
	hold(&lock, 102, &held[1], 20, 30);
	queue(&lock, 101, &waits[0], 25, 40, RANGE_WRITE, false, false);
	queue(&lock, 102, &waits[1], 5, 15, RANGE_WRITE, true, false);
	/* With a deadline, so that it does not look for a cycle itself. */
	actor_queue_timed(&behind, &lock, 10, 15, RANGE_WRITE, 3600 * SECOND);
	/* The look refuses the waiter that came last, not the one that looks. */
	CHECK(range__deadlock_look(&waits[0].wait));
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	actor_await(&behind);
	check_valid(&lock);
	/* One waiter is refused, and only once. */
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

/* Leaves with bounds at 10, 20, ... */
static void init_leaves(void)
{
	uint64_t self = mmrange__self();

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	make_leaves(&lock, 10);
	mmrange__thread = self;
}

/* The range of one of two threads, each of which waits for the other thread's range. */
struct span {
	uint64_t start, end;
};

/*
 * Thread 101 holds the range held, and thread 102 waits for the range wanted. Thread 102 holds [95,
 * 96), for which 101 waits. Whether 101 or 102 looks, the waiter that came last is refused.
 */
static void check_two(struct span held, struct span wanted)
{
	for (int looks = 0; looks < 2; looks++) {
		struct range_hold ranges[2];
		struct pretended waits[2];

		init_leaves();
		hold(&lock, 101, &ranges[0], held.start, held.end);
		hold(&lock, 102, &ranges[1], 95, 96);
		queue(&lock, 102, &waits[0], wanted.start, wanted.end, RANGE_READ, false, false);
		CHECK(range__deadlock_look(&waits[0].wait));
		CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
		queue(&lock, 101, &waits[1], 90, 97, RANGE_READ, false, false);
		CHECK(range__deadlock_look(&waits[looks].wait));
		CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
		CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
		for (int i = 0; i < 2; i++)
			dequeue(&lock, &waits[i]);
		check_valid(&lock);
		for (int i = 0; i < 2; i++)
			range_unlock(&lock, &ranges[i]);
		check_quiet_and_destroy(&lock);
	}
}

/* The thread waits in the first leaf of the held range, in its last leaf, or between them. */
TEST(deadlock, a_cycle_through_a_range_over_several_leaves_is_found)
{
	static const struct span held[] = { { 5, 15 }, { 5, 35 }, { 0, 90 } };

	for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
		check_two(held[i], (struct span){ held[i].start, held[i].start + 1 });
		check_two(held[i], (struct span){ held[i].end - 1, held[i].end });
		check_two(held[i], (struct span){ 10, 12 });
	}
	/* Both ends of the wanted range are in leaves that the held range covers. */
	check_two((struct span){ 5, 65 }, (struct span){ 25, 45 });
	check_two((struct span){ 45, 46 }, (struct span){ 5, 85 });
}

/* The waiter is in the queue of a leaf in which another range blocks it for a while. */
TEST(deadlock, a_cycle_is_found_in_a_leaf_other_than_that_of_the_queue)
{
	struct range_hold held[3];
	struct pretended waits[2];

	init_leaves();
	hold(&lock, 103, &held[0], 7, 8);
	hold(&lock, 101, &held[1], 63, 64);
	hold(&lock, 102, &held[2], 95, 96);
	queue(&lock, 102, &waits[0], 5, 65, RANGE_WRITE, false, false);
	queue(&lock, 101, &waits[1], 95, 96, RANGE_WRITE, false, false);
	CHECK(range__deadlock_look(&waits[1].wait));
	CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
	CHECK_EQ(state_of(&waits[1]), RANGE_DEADLOCKED);
	for (int i = 0; i < 2; i++)
		dequeue(&lock, &waits[i]);
	for (int i = 0; i < 3; i++)
		range_unlock(&lock, &held[i]);
	check_quiet_and_destroy(&lock);
}

/* A reader entered that leaf by a slot, after the writer had begun to wait. */
TEST(deadlock, a_cycle_through_a_reader_in_a_slot_is_found)
{
	struct range_hold held[2], read;
	struct pretended writer, reader;

	init_leaves();
	hold(&lock, 103, &held[0], 7, 8);
	hold(&lock, 102, &held[1], 95, 96);
	queue(&lock, 102, &writer, 5, 15, RANGE_WRITE, false, false);
	make_biased(&lock, 12);
	take_published(&lock, &read, 12, 13);
	reader.range.start = 95;
	reader.range.end = 96;
	reader.range.mode = RANGE_READ;
	reader.set = range__set_of(range__lock(&lock), range__hold(&reader.range));
	queue_set(&reader.set, mmrange__self(), UINT64_MAX - 1, false, &reader.wait, false);
	range__deadlock_register(&reader.wait);
	CHECK(range__deadlock_look(&reader.wait));
	CHECK_EQ(state_of(&reader), RANGE_DEADLOCKED);
	dequeue(&lock, &writer);
	dequeue(&lock, &reader);
	range_unlock(&lock, &read);
	for (int i = 0; i < 2; i++)
		range_unlock(&lock, &held[i]);
	check_quiet_and_destroy(&lock);
}

/*
 * Thread 102 waits for [21, 22), where no range is held, behind the claim of 103. Thread 103 is in
 * the queue of another leaf and waits for 101, which waits for 102. Without the claim there is no
 * cycle.
 */
TEST(deadlock, a_cycle_through_a_claim_is_found)
{
	for (int claims = 0; claims < 2; claims++) {
		struct range_hold held[2];
		struct pretended waits[3];

		init_leaves();
		hold(&lock, 101, &held[0], 33, 34);
		hold(&lock, 102, &held[1], 95, 96);
		queue(&lock, 103, &waits[0], 15, 35, RANGE_WRITE, claims, false);
		queue(&lock, 101, &waits[1], 95, 96, RANGE_WRITE, false, false);
		queue(&lock, 102, &waits[2], 21, 22, RANGE_WRITE, false, false);
		CHECK(range__deadlock_look(&waits[2].wait));
		CHECK_EQ(state_of(&waits[0]), RANGE_WAITING);
		CHECK_EQ(state_of(&waits[1]), RANGE_WAITING);
		CHECK_EQ(state_of(&waits[2]), claims ? RANGE_DEADLOCKED : RANGE_WAITING);
		for (int i = 0; i < 3; i++)
			dequeue(&lock, &waits[i]);
		for (int i = 0; i < 2; i++)
			range_unlock(&lock, &held[i]);
		check_quiet_and_destroy(&lock);
	}
}

/*
 * One range waits for 103, which will release, and one waits for 102, which waits for 101.
 */
TEST(deadlock, a_cycle_through_one_range_of_a_set_is_found)
{
	for (int looks = 0; looks < 2; looks++) {
		struct range_hold held[3], ranges[2];
		struct range_request requests[2] = { { &ranges[0], 0, 1, RANGE_WRITE },
						     { &ranges[1], 70, 71, RANGE_WRITE } };
		struct range__set set = { .requests = requests, .n = 2 };
		struct range__wait wait;
		struct pretended other;

		init_leaves();
		hold(&lock, 103, &held[0], 0, 5);
		hold(&lock, 102, &held[1], 65, 75);
		hold(&lock, 101, &held[2], 95, 96);
		queue(&lock, 102, &other, 95, 96, RANGE_WRITE, false, false);
		for (int i = 0; i < 2; i++) {
			ranges[i].start = requests[i].start;
			ranges[i].end = requests[i].end;
			ranges[i].mode = requests[i].mode;
		}
		set.lock = range__lock(&lock);
		queue_set(&set, name_of(101), UINT64_MAX - 1, false, &wait, false);
		CHECK(set.queued == range__hold(&ranges[0]));
		range__deadlock_register(&wait);
		CHECK(range__deadlock_look(looks ? &other.wait : &wait));
		CHECK_EQ(state_of(&other), RANGE_WAITING);
		CHECK_EQ(atomic_load(&range__hold(&ranges[0])->state), RANGE_DEADLOCKED);
		range__deadlock_leave(&wait, 0);
		dequeue(&lock, &other);
		for (int i = 0; i < 3; i++)
			range_unlock(&lock, &held[i]);
		check_quiet_and_destroy(&lock);
	}
}

/* Any range of the set may conflict; the thread may hold ranges between them. */
static void want_several(void)
{
	for (uint64_t taken = 0; taken < 5; taken++) {
		struct range_hold own, ranges[3];
		struct range_request requests[3] = { { &ranges[0], 40, 50, RANGE_WRITE },
						     { &ranges[1], 0, 10, RANGE_WRITE },
						     { &ranges[2], 20, 30, RANGE_WRITE } };

		init_leaves();
		take(&lock, &own, 10 * taken + 4, 10 * taken + 5, RANGE_READ);
		CHECK_EQ(range_lock_many(&lock, requests, 3), taken % 2 ? 0 : EDEADLK);
		for (int i = 0; i < 3 && taken % 2; i++)
			range_unlock(&lock, &ranges[i]);
		range_unlock(&lock, &own);
		check_quiet_and_destroy(&lock);
	}
}

TEST(deadlock, a_set_with_a_range_that_the_thread_already_holds_is_refused)
{
	char errors[4096];

	run_and_capture(want_several, errors);
}

/* The thread's own range covers the leaf. */
static void want_in_a_covered_leaf(void)
{
	struct timespec later = time_after(CLOCK_MONOTONIC, 1000 * SECOND);
	struct range_hold own, range, other;
	struct range_request requests[] = { { &other, 70, 71, RANGE_READ },
					    { &range, 33, 34, RANGE_READ } };

	init_leaves();
	take(&lock, &own, 5, 65, RANGE_WRITE);
	CHECK_EQ(range_lock(&lock, &range, 33, 34, RANGE_READ), EDEADLK);
	CHECK_EQ(range_timedlock(&lock, &range, 33, 34, RANGE_READ, CLOCK_MONOTONIC, &later),
		 EDEADLK);
	CHECK_EQ(range_timedlock_many(&lock, requests, 2, CLOCK_MONOTONIC, &later), EDEADLK);
	CHECK_EQ(range_trylock(&lock, &range, 33, 34, RANGE_READ), EBUSY);
	range_unlock(&lock, &own);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock, a_thread_that_wants_a_key_inside_its_own_range_is_refused)
{
	char errors[4096];

	run_and_capture(want_in_a_covered_leaf, errors);
	CHECK_EQ(count_in(errors, ": [0x5, 0x41) for writing, held"), 1);
}

/*
 * The earliest waiter is in two cycles. The latest waiter of each cycle is refused, so both of the
 * others are refused.
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
 * A starving waiter has been queued, and its thread is about to register its wait. A look reports
 * that it must be repeated, and the repeated look finds the cycle.
 */
TEST(deadlock, a_look_is_repeated_until_it_sees_a_newly_queued_waiter)
{
	struct range_hold held;
	struct pretended starving, climber;

	init(RANGE_FAIRNESS_BARGING, UINT64_MAX);
	hold(&lock, 101, &held, 0, 10);
	queue(&lock, 102, &starving, 0, 30, RANGE_WRITE, true, true);
	starving.set.wait = &starving.wait;
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

/* The oracle: which thread waits for which, by definition, and whether that leads back. */

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
	struct range_hold *range = &g->waits[i].range, *other = &g->waits[k].range;

	if (!is_node(g, i) || !is_node(g, k))
		return false;
	if (g->holds[k] && g->held_in[k] == g->waits_in[i] && conflict(&g->held[k], range))
		return true;
	return k < i && range__hold(other)->starving && g->waits_in[k] == g->waits_in[i] &&
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

/* Each waiter that is refused was in a cycle with the one that looks, and no such cycle is left. */
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

TEST(deadlock, cycles_found_in_random_states_agree_with_the_definition)
{
	play_many("deadlock/one_lock", 1);
}

TEST(deadlock, cycles_found_in_random_states_of_three_locks_agree_with_the_definition)
{
	play_many("deadlock/three_locks", LOCKS);
}

/* Threads that take a second range in any order, and start again when a call is refused. */

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

/* The same with two sets of two ranges each, which may span leaves. */
static void *be_careless_with_sets(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (unsigned int i = 0; i < test_scale(300); i++) {
		struct range_hold ranges[2][2];
		int error = 0;

		for (int k = 0; k < 2 && !error; k++) {
			uint64_t a = test_random_below(&seed, 20);
			uint64_t b = a + 5 + test_random_below(&seed, 20);
			struct range_request requests[2] = {
				{ &ranges[k][0], a, a + 1 + test_random_below(&seed, 4),
				  test_random_below(&seed, 2) ? RANGE_READ : RANGE_WRITE },
				{ &ranges[k][1], b, b + 2, RANGE_WRITE },
			};

			error = range_lock_many(&lock, requests, 2);
			CHECK(!error || (k && error == EDEADLK));
			sched_yield();
		}
		for (int k = 0; k < 4 - 2 * !!error; k++)
			range_unlock(&lock, &ranges[k / 2][k % 2]);
	}
	return NULL;
}

static void run_careless_threads(void)
{
	uint64_t seed = test_seed("deadlock/careless");

	for (int i = 0; i < 4; i++) {
		uint64_t seeds[8];
		pthread_t threads[8];

		init(fairnesses[i % 2], 10000);
		for (int k = 0; k < 8; k++) {
			seeds[k] = test_random(&seed);
			threads[k] = thread_start(i / 2 ? be_careless_with_sets : be_careless,
						  &seeds[k]);
		}
		for (int k = 0; k < 8; k++)
			thread_join(threads[k]);
		check_quiet_and_destroy(&lock);
	}
}

TEST(deadlock, threads_that_start_again_when_refused_are_never_stuck)
{
	char errors[4096];

	run_and_capture(run_careless_threads, errors);
	show_seed(errors);
	CHECK(strstr(errors, "libmmrange: deadlock"));
}

#endif
