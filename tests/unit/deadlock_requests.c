/* SPDX-License-Identifier: MIT */
/*
 * Searches for cycles in random states of waits and requests, against the definition. The threads
 * do not exist, and the requests are not the lock's to grant: each stands where the test puts it.
 */
#include "actors.h"
#include "dummy_waiter.h"

#include "range_lock/deadlock.h"

#include <errno.h>
#include <string.h>

#ifndef MMRANGE_CHECKED

TEST(deadlock_requests, skipped)
{
	puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
}

#else

enum { PLAYERS = 8 };

/* What a state looks like. */
struct shape {
	unsigned int leaves;
	uint64_t width;   /* of the place of each held range */
	uint64_t longest; /* range that waits */
	bool far;         /* held ranges are readers, and go beyond their places */
};

static const struct shape shapes[] = {
	{ .leaves = 1, .width = 10, .longest = 20 },
	{ .leaves = PLAYERS, .width = 10, .longest = 20 },
	{ .leaves = 1, .width = 2, .longest = 8 },
	{ .leaves = PLAYERS, .width = 10, .longest = 20, .far = true },
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/*
 * A thread that waits, or a request; by order of arrival. The thread of its number may also hold a
 * range. A thread that does not wait is not in the way of any.
 */
struct player {
	struct range_hold held, ranges[2];
	struct range_request requests[2];
	struct range__set set;
	struct range__wait wait;
	size_t n;
	bool holds, is_request, timed, starving;
	int calls, error;
};

static struct range_lock lock;
static struct player players[PLAYERS];
static bool needs[PLAYERS][PLAYERS];

static uint64_t name_of(unsigned int i)
{
	uint64_t thread = 101 + i;

	return thread << 32 | thread;
}

static bool was_refused(const struct player *p)
{
	return !p->is_request && atomic_load(&p->set.queued->state) == RANGE_DEADLOCKED;
}

static bool conflict(const struct range_hold *a, const struct range_hold *b)
{
	return a->start < b->end && b->start < a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE);
}

static bool conflicts_with_one(const struct player *p, const struct range_hold *range)
{
	size_t i = 0;

	while (i < p->n && !conflict(&p->ranges[i], range))
		i++;
	return i < p->n;
}

static bool is_node(const struct player *p)
{
	return !p->timed && !was_refused(p);
}

static bool must_wait(unsigned int i, unsigned int k)
{
	const struct player *p = &players[i], *other = &players[k];

	if (!is_node(p) || !is_node(other))
		return false;
	if (!other->is_request && other->holds && conflicts_with_one(p, &other->held))
		return true;
	return k < i && other->starving &&
	       (conflicts_with_one(p, &other->ranges[0]) ||
		(other->n > 1 && conflicts_with_one(p, &other->ranges[1])));
}

static void find_needs(void)
{
	for (unsigned int i = 0; i < PLAYERS; i++)
		for (unsigned int k = 0; k < PLAYERS; k++)
			needs[i][k] = must_wait(i, k);
	for (unsigned int via = 0; via < PLAYERS; via++)
		for (unsigned int i = 0; i < PLAYERS; i++)
			for (unsigned int k = 0; k < PLAYERS; k++)
				needs[i][k] |= needs[i][via] && needs[via][k];
}

static void end_request(int error, void *arg)
{
	struct player *p = arg;

	p->error = error;
	p->calls++;
}

static enum range_mode random_mode(uint64_t *seed)
{
	return test_random_below(seed, 2) ? RANGE_READ : RANGE_WRITE;
}

static void choose_ranges(struct player *p, uint64_t *seed, const struct shape *shape)
{
	uint64_t at = test_random_below(seed, shape->width * PLAYERS);

	p->n = 1 + (test_random_below(seed, 4) == 0);
	for (size_t i = 0; i < p->n; i++) {
		p->ranges[i].start = at;
		p->ranges[i].end = at + 1 + test_random_below(seed, shape->longest);
		p->ranges[i].mode = random_mode(seed);
		at = p->ranges[i].end + test_random_below(seed, shape->longest);
		p->requests[i] = (struct range_request){ &p->ranges[i], p->ranges[i].start,
							 p->ranges[i].end, p->ranges[i].mode };
	}
	p->set = range__set_of(range__lock(&lock), range__hold(&p->ranges[0]));
	if (p->n == 1)
		return;
	p->set.one = NULL;
	p->set.requests = p->requests;
	p->set.n = p->n;
}

static void let_hold(unsigned int i, uint64_t *seed, const struct shape *shape)
{
	struct player *p = &players[i];
	uint64_t self = mmrange__self();
	uint64_t start = shape->width * i, end = start + shape->width * 4 / 5;
	enum range_mode mode = random_mode(seed);

	if (shape->far) {
		end += test_random_below(seed, 50);
		mode = RANGE_READ;
	}

	p->holds = test_random_below(seed, 4) > 0;
	mmrange__thread = name_of(i);
	if (p->holds)
		take(&lock, &p->held, start, end, mode);
	mmrange__thread = self;
}

static void let_wait(unsigned int i, uint64_t *seed, const struct shape *shape)
{
	static uint64_t time;
	struct player *p = &players[i];

	choose_ranges(p, seed, shape);
	p->is_request = test_random_below(seed, 2);
	p->starving = test_random_below(seed, 3) > 0;
	if (p->is_request) {
		queue_request(&p->set, name_of(i), ++time, p->starving, end_request, p);
		return;
	}
	p->timed = test_random_below(seed, 8) == 0;
	queue_set(&p->set, name_of(i), ++time, p->starving, &p->wait, p->timed);
	if (!p->timed)
		range__deadlock_register(&p->wait);
}

static void set_up(uint64_t *seed, const struct shape *shape)
{
	uint64_t self = mmrange__self();
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.starvation_ns = UINT64_MAX;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	make_leaves(&lock, shape->leaves);
	mmrange__thread = self;
	memset(players, 0, sizeof players);
	for (unsigned int i = 0; i < PLAYERS; i++)
		let_hold(i, seed, shape);
	for (unsigned int i = 0; i < PLAYERS; i++)
		let_wait(i, seed, shape);
	find_needs();
}

static void take_down(void)
{
	for (unsigned int i = 0; i < PLAYERS; i++) {
		struct player *p = &players[i];

		if (!p->is_request) {
			if (!was_refused(p))
				CHECK_EQ(range_cancel(&lock, &p->ranges[0]), 0);
			range__deadlock_leave(&p->wait, 0);
		} else if (p->calls == 0) {
			CHECK_EQ(range_cancel(&lock, &p->ranges[0]), 0);
			CHECK_EQ(p->calls, 1);
		}
	}
	for (unsigned int i = 0; i < PLAYERS; i++) {
		struct player *p = &players[i];

		for (size_t k = 0; p->is_request && !p->error && k < p->n; k++)
			range_unlock(&lock, &p->ranges[k]);
		if (p->holds)
			range_unlock(&lock, &p->held);
	}
	check_quiet_and_destroy(&lock);
}

/* A thread looks that waits, or one that has made a request starving. */
static void look(struct player *p)
{
	if (!p->is_request) {
		CHECK(range__deadlock_look(&p->wait));
		return;
	}
	range__deadlock_note_request(range__hold(&p->ranges[p->n - 1]));
	range__deadlock_run();
}

/* Each wait that is refused was in a cycle with the one that looks, and no such cycle is left. */
static bool check_told(unsigned int looks)
{
	unsigned int told = 0;

	for (unsigned int i = 0; i < PLAYERS; i++) {
		if (!was_refused(&players[i]))
			continue;
		told++;
		CHECK(needs[i][looks] && needs[looks][i]);
	}
	CHECK_EQ(told > 0, needs[looks][looks]);
	find_needs();
	CHECK(!needs[looks][looks]);
	return told > 0;
}

static bool may_look(const struct player *p, bool request)
{
	return p->is_request == request && !p->timed && (!request || p->starving);
}

static bool play(uint64_t *seed, const struct shape *shape, bool request)
{
	unsigned int looks = (unsigned int)test_random_below(seed, PLAYERS);
	bool told = false;

	set_up(seed, shape);
	for (unsigned int i = 0; i < PLAYERS && !may_look(&players[looks], request); i++)
		looks = (looks + 1) % PLAYERS;
	if (may_look(&players[looks], request)) {
		look(&players[looks]);
		told = check_told(looks);
	}
	take_down();
	return told;
}

static void play_many(const char *test, bool request)
{
	uint64_t seed = test_seed(test);
	unsigned int rounds = SHAPES * test_scale(3000), told = 0;

	for (unsigned int i = 0; i < rounds; i++)
		told += play(&seed, &shapes[i % SHAPES], request);
	CHECK(told > rounds / 40 && told < rounds - rounds / 10);
}

TEST(deadlock_requests, looks_of_waits_agree_with_the_definition)
{
	play_many("deadlock_requests/waits", false);
}

TEST(deadlock_requests, looks_for_requests_agree_with_the_definition)
{
	play_many("deadlock_requests/requests", true);
}

/* Two waiters arrived at the same time. The climber waits for both; one of them waits for it. */
TEST(deadlock_requests, a_look_sees_all_waiters_that_came_at_the_same_time)
{
	for (unsigned int i = 0; i < 4; i++) {
		static struct player waits[2];
		struct player climber = { .n = 1 };
		struct range__set *set = &climber.set;

		uint64_t self = mmrange__self();

		CHECK_EQ(range_lock_init(&lock, NULL), 0);
		mmrange__thread = name_of(2);
		take(&lock, &climber.held, 24 * (i % 2), 24 * (i % 2) + 1, RANGE_WRITE);
		mmrange__thread = self;
		for (unsigned int k = 0; k < 2; k++) {
			struct player *p = &waits[k ^ (i / 2)];

			p->ranges[0] = (struct range_hold){ .start = 20 * k,
							    .end = 20 * k + 5,
							    .mode = RANGE_WRITE };
			p->set = range__set_of(range__lock(&lock), range__hold(&p->ranges[0]));
			queue_set(&p->set, name_of(k), 7, true, &p->wait, false);
			range__deadlock_register(&p->wait);
		}
		climber.ranges[0] =
			(struct range_hold){ .start = 4, .end = 21, .mode = RANGE_READ };
		*set = range__set_of(range__lock(&lock), range__hold(&climber.ranges[0]));
		queue_set(set, name_of(2), 8, false, &climber.wait, false);
		range__deadlock_register(&climber.wait);
		look(&climber);
		CHECK(was_refused(&climber));
		range__deadlock_leave(&climber.wait, 0);
		for (unsigned int k = 0; k < 2; k++) {
			CHECK_EQ(range_cancel(&lock, &waits[k].ranges[0]), 0);
			range__deadlock_leave(&waits[k].wait, 0);
		}
		range_unlock(&lock, &climber.held);
		check_quiet_and_destroy(&lock);
	}
}

#endif
