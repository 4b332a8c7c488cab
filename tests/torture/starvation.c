/* SPDX-License-Identifier: MIT */
/*
 * No waiter starves. The outcomes: a waiter amid a stream of ranges that conflict with it is
 * granted while the stream goes on (the test reports how many passed it); with FIFO, conflicting
 * ranges are granted in the order of arrival; no newcomer passes a starving waiter.
 *
 * A stream without a gap needs no luck: one thread takes the next range of a relay before it
 * releases the last, so at every moment a held range is in the waiter's way. If the lock lets
 * newcomers pass without bound, the relay never ends.
 */
#include "actors.h"

#include <errno.h>

enum { MAX_PLACES = 16 };

/* Generous: the lock bounds the wait by half a millisecond. */
static const uint64_t LIMIT = 30 * SECOND;

struct relay {
	struct range_lock *lock;
	uint64_t places[MAX_PLACES][2];
	unsigned int nr_places;
	enum range_mode mode;
	struct range_hold ranges[MAX_PLACES];
	unsigned int held;
};

static int try_next(struct relay *relay)
{
	unsigned int next = (relay->held + 1) % relay->nr_places;

	return range_trylock(relay->lock, &relay->ranges[next], relay->places[next][0],
			     relay->places[next][1], relay->mode);
}

static void start_relay(struct relay *relay)
{
	relay->held = relay->nr_places - 1;
	CHECK_EQ(try_next(relay), 0);
	relay->held = 0;
}

/*
 * Runs the relay until the lock holds a newcomer back. Returns how many newcomers it did not hold
 * back. One range of the relay stays held.
 */
static unsigned long run_relay(struct relay *relay, struct actor *waiter)
{
	unsigned long passes = 0;
	uint64_t end = now_ns() + LIMIT;
	int result;

	while ((result = try_next(relay)) == 0) {
		range_unlock(relay->lock, &relay->ranges[relay->held]);
		relay->held = (relay->held + 1) % relay->nr_places;
		passes++;
		CHECK(!actor_holds(waiter));
		CHECK(now_ns() < end);
	}
	CHECK_EQ(result, EBUSY);
	return passes;
}

/* A waiter for [start, end) of the given mode arrives while the relay runs. */
static void check_relay(const char *what, struct relay *relay, uint64_t start, uint64_t end,
			enum range_mode mode)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct actor waiter;
		unsigned long passes;

		init_lock(&lock, fairnesses[fair], 1024);
		relay->lock = &lock;
		start_relay(relay);
		actor_queue(&waiter, &lock, start, end, mode);
		passes = run_relay(relay, &waiter);
		fprintf(stderr, "%s, %s: passed %lu times\n", what, fair ? "FIFO" : "barging",
			passes);
		if (fair)
			CHECK_EQ(passes, 0);
		/* From now on no newcomer passes the waiter, until it was granted. */
		for (int i = 0; i < 1000; i++)
			CHECK_EQ(try_next(relay), EBUSY);
		check_valid(&lock);
		CHECK(!actor_holds(&waiter));
		range_unlock(&lock, &relay->ranges[relay->held]);
		/* The lock has woken the waiter, and no newcomer is faster. */
		CHECK_EQ(try_next(relay), EBUSY);
		actor_await(&waiter);
		CHECK_EQ(actor_finish(&waiter), 0);
		CHECK_EQ(try_next(relay), 0);
		range_unlock(&lock, &relay->ranges[(relay->held + 1) % relay->nr_places]);
		check_quiet_and_destroy(&lock);
	}
}

TEST(starvation, a_writer_is_granted_amid_overlapping_readers)
{
	static struct relay relay = { .places = { { 0, 10 }, { 0, 10 } },
				      .nr_places = 2,
				      .mode = RANGE_READ };

	check_relay("a writer amid readers", &relay, 5, 15, RANGE_WRITE);
}

TEST(starvation, a_reader_is_granted_amid_writers)
{
	static struct relay relay = { .places = { { 0, 10 }, { 10, 20 } },
				      .nr_places = 2,
				      .mode = RANGE_WRITE };

	check_relay("a reader amid writers", &relay, 0, 20, RANGE_READ);
}

static struct relay narrow_relay(enum range_mode mode)
{
	struct relay relay = { .nr_places = MAX_PLACES, .mode = mode };

	for (unsigned int i = 0; i < MAX_PLACES; i++) {
		relay.places[i][0] = i * 10;
		relay.places[i][1] = i * 10 + 1;
	}
	return relay;
}

TEST(starvation, the_full_range_is_granted_amid_narrow_writers)
{
	struct relay relay = narrow_relay(RANGE_WRITE);

	check_relay("the full range amid narrow writers", &relay, FULL, RANGE_WRITE);
	check_relay("a full reader amid narrow writers", &relay, FULL, RANGE_READ);
}

TEST(starvation, the_full_range_is_granted_amid_narrow_readers)
{
	struct relay relay = narrow_relay(RANGE_READ);

	check_relay("the full range amid narrow readers", &relay, FULL, RANGE_WRITE);
}

/*
 * The relay makes the waiter starving. Then the test tries every way to pass it, and every request
 * that does not conflict with it.
 */
TEST(starvation, a_starving_waiter_holds_back_conflicting_newcomers_and_no_others)
{
	static struct relay relay = { .places = { { 0, 10 }, { 0, 10 } },
				      .nr_places = 2,
				      .mode = RANGE_READ };
	struct range_lock lock;
	struct range_lock_attr attr;
	struct actor waiter, reader, writer;

	range_lock_attr_init(&attr);
	attr.starvation_ns = 1;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	relay.lock = &lock;
	start_relay(&relay);
	actor_queue(&waiter, &lock, 5, 20, RANGE_WRITE);
	run_relay(&relay, &waiter);

	CHECK(!is_free(&lock, 10, 20, RANGE_READ));
	CHECK(!is_free(&lock, 19, 30, RANGE_WRITE));
	CHECK(!is_free(&lock, FULL, RANGE_READ));
	CHECK(is_free(&lock, 0, 5, RANGE_READ));
	CHECK(is_free(&lock, 20, 30, RANGE_WRITE));
	actor_queue(&reader, &lock, 10, 11, RANGE_READ);
	actor_queue(&writer, &lock, 15, 30, RANGE_WRITE);
	check_valid(&lock);
	range_unlock(&lock, &relay.ranges[relay.held]);
	actor_await(&waiter);
	CHECK(!actor_holds(&reader) && !actor_holds(&writer));
	CHECK_EQ(actor_finish(&waiter), 0);
	actor_await(&reader);
	actor_await(&writer);
	CHECK(waiter.turn < reader.turn && waiter.turn < writer.turn);
	CHECK_EQ(actor_finish(&reader), 0);
	CHECK_EQ(actor_finish(&writer), 0);
	check_quiet_and_destroy(&lock);
}

TEST(starvation, a_starving_reader_lets_other_readers_pass)
{
	static struct relay relay = { .places = { { 0, 10 }, { 10, 20 } },
				      .nr_places = 2,
				      .mode = RANGE_WRITE };
	struct range_lock lock;
	struct range_lock_attr attr;
	struct actor waiter;

	range_lock_attr_init(&attr);
	attr.starvation_ns = 1;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	relay.lock = &lock;
	start_relay(&relay);
	actor_queue(&waiter, &lock, 0, 30, RANGE_READ);
	run_relay(&relay, &waiter);
	CHECK(!is_free(&lock, 20, 30, RANGE_WRITE));
	CHECK(is_free(&lock, 20, 30, RANGE_READ));
	range_unlock(&lock, &relay.ranges[relay.held]);
	actor_await(&waiter);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}

TEST(starvation, fifo_grants_conflicting_ranges_in_the_order_of_arrival)
{
	enum { N = 12 };
	unsigned int rounds = test_scale(50);
	uint64_t state =
		test_seed("starvation/fifo_grants_conflicting_ranges_in_the_order_of_arrival");

	for (unsigned int round = 0; round < rounds; round++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor waiters[N];

		init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
		take(&lock, &held, 40, 60, RANGE_WRITE);
		/* All of them overlap key 50. */
		for (int i = 0; i < N; i++)
			actor_queue(&waiters[i], &lock, test_random_below(&state, 51),
				    51 + test_random_below(&state, 50),
				    test_random_below(&state, 3) ? RANGE_WRITE : RANGE_READ);
		check_valid(&lock);
		range_unlock(&lock, &held);
		for (int i = 0; i < N; i++) {
			actor_await(&waiters[i]);
			/* A later waiter holds only if no writer lies between. */
			for (int k = i + 1; k < N; k++) {
				if (waiters[k].mode == RANGE_WRITE ||
				    waiters[i].mode == RANGE_WRITE)
					CHECK(!actor_holds(&waiters[k]));
				if (waiters[k].mode == RANGE_WRITE)
					break;
			}
			CHECK_EQ(actor_finish(&waiters[i]), 0);
		}
		for (int i = 0; i < N; i++)
			for (int k = i + 1; k < N; k++)
				if (waiters[i].mode == RANGE_WRITE ||
				    waiters[k].mode == RANGE_WRITE)
					CHECK(waiters[i].turn < waiters[k].turn);
		check_quiet_and_destroy(&lock);
	}
}

TEST(starvation, a_fifo_newcomer_does_not_pass_a_waiter_that_was_woken)
{
	unsigned int rounds = test_scale(500);

	for (unsigned int round = 0; round < rounds; round++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor waiter;

		init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		actor_queue(&waiter, &lock, 5, 15, RANGE_WRITE);
		range_unlock(&lock, &held);
		/* Whether the waiter has run by now or not. */
		CHECK(!is_free(&lock, 0, 10, RANGE_READ));
		actor_await(&waiter);
		CHECK_EQ(actor_finish(&waiter), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(starvation, a_fifo_reader_does_not_pass_a_waiting_writer_to_join_readers)
{
	struct range_lock lock;
	struct range_hold held;
	struct actor writer, reader, far;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
	take(&lock, &held, 0, 10, RANGE_READ);
	actor_queue(&writer, &lock, 5, 20, RANGE_WRITE);
	/* No held range conflicts with these two. */
	CHECK(!is_free(&lock, 9, 10, RANGE_READ));
	CHECK(!is_free(&lock, 19, 30, RANGE_READ));
	actor_queue(&reader, &lock, 9, 10, RANGE_READ);
	actor_queue(&far, &lock, 19, 30, RANGE_WRITE);
	/* But no waiter overlaps [0, 5) or [30, 40). */
	CHECK(is_free(&lock, 0, 5, RANGE_READ));
	CHECK(is_free(&lock, 30, 40, RANGE_WRITE));
	range_unlock(&lock, &held);
	actor_await(&writer);
	CHECK(!actor_holds(&reader) && !actor_holds(&far));
	CHECK_EQ(actor_finish(&writer), 0);
	/* The two readers do not conflict. */
	actor_await(&reader);
	actor_await(&far);
	CHECK_EQ(actor_finish(&reader), 0);
	CHECK_EQ(actor_finish(&far), 0);
	check_quiet_and_destroy(&lock);
}

/* A stream by many threads, as in a program. */
struct crowd {
	struct range_lock lock;
	enum range_mode mode;
	uint64_t width;
	atomic_bool stop;
	atomic_ulong acquired;
};

static void *keep_coming(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t state = (uint64_t)(uintptr_t)&state;
	struct range_hold range;

	while (!atomic_load(&crowd->stop)) {
		uint64_t start = test_random_below(&state, 257 - crowd->width);

		CHECK_EQ(range_lock(&crowd->lock, &range, start, start + crowd->width, crowd->mode),
			 0);
		atomic_fetch_add(&crowd->acquired, 1);
		/* The lock is never idle: while a thread of the crowd can run, a range is held. */
		sched_yield();
		range_unlock(&crowd->lock, &range);
	}
	return NULL;
}

static void check_crowd(const char *what, enum range_mode crowd_mode, uint64_t width,
			enum range_mode mode)
{
	enum { TURNS = 20 };

	for (int fair = 0; fair < 2; fair++) {
		static struct crowd crowd;
		pthread_t threads[64];
		unsigned int n = 4 * cores() < 64 ? 4 * cores() : 64;
		unsigned long most = 0;
		struct range_hold range;

		init_lock(&crowd.lock, fairnesses[fair], 1024);
		crowd.mode = crowd_mode;
		crowd.width = width;
		atomic_store(&crowd.stop, false);
		atomic_store(&crowd.acquired, 0);
		for (unsigned int i = 0; i < n; i++)
			threads[i] = thread_start(keep_coming, &crowd);
		for (unsigned int i = 0; i < test_scale(TURNS); i++) {
			unsigned long before = atomic_load(&crowd.acquired);

			AWAIT(atomic_load(&crowd.acquired) > before);
			before = atomic_load(&crowd.acquired);
			CHECK_EQ(range_lock(&crowd.lock, &range, FULL, mode), 0);
			if (atomic_load(&crowd.acquired) - before > most)
				most = atomic_load(&crowd.acquired) - before;
			range_unlock(&crowd.lock, &range);
		}
		atomic_store(&crowd.stop, true);
		for (unsigned int i = 0; i < n; i++)
			thread_join(threads[i]);
		fprintf(stderr, "%s, %s: at most %lu acquisitions passed\n", what,
			fair ? "FIFO" : "barging", most);
		check_quiet_and_destroy(&crowd.lock);
	}
}

TEST(starvation, a_writer_is_granted_amid_a_crowd_of_readers)
{
	check_crowd("a writer amid a crowd of full readers", RANGE_READ, 256, RANGE_WRITE);
	check_crowd("a writer amid a crowd of narrow readers", RANGE_READ, 1, RANGE_WRITE);
}

TEST(starvation, a_reader_is_granted_amid_a_crowd_of_writers)
{
	check_crowd("a reader amid a crowd of full writers", RANGE_WRITE, 256, RANGE_READ);
	check_crowd("a reader amid a crowd of narrow writers", RANGE_WRITE, 1, RANGE_READ);
}

TEST(starvation, the_full_range_is_granted_amid_a_crowd_of_writers)
{
	check_crowd("the full range amid a crowd of narrow writers", RANGE_WRITE, 1, RANGE_WRITE);
	check_crowd("the full range amid a crowd of wide writers", RANGE_WRITE, 64, RANGE_WRITE);
}
