/* SPDX-License-Identifier: MIT */
/*
 * Leaves that are biased again and again, under readers that publish, leave and are adopted, and
 * writers that end the bias: ranges in slots exclude as ranges in the tree do.
 */
#include "counters.h"
#include "exclusion.h"

#include "platform/platform.h"

#include <errno.h>

/* The number of biases in the locks that this process has destroyed. */
static uint64_t biases_seen;

/* Must be called before the lock is destroyed. */
static void check_biased_often(struct range_lock *lock, uint64_t least)
{
	uint64_t biases = lock_stats(lock).biases;

	fprintf(stderr, "%" PRIu64 " biases\n", biases);
	CHECK(biases >= least);
}

/* Each thread does this: a thread for this alone might not run for long. */
static int lock_impatiently(void *lock, struct range_hold *range, uint64_t start, uint64_t end,
			    enum range_mode mode, enum how how, const struct timespec *deadline)
{
	if (mode == RANGE_READ && start % 4 == 0)
		make_impatient(lock);
	return mmrange_table.lock(lock, range, start, end, mode, how, deadline);
}

static void unlock(void *lock, struct range_hold *range)
{
	range_unlock(lock, range);
}

static const struct lock_table impatient_table = { lock_impatiently, unlock };

struct mix {
	unsigned int slots;
	unsigned int wide_rate;
	unsigned int own_rate;
	unsigned int pair_rate;
};

/* Shared places; places of one thread each; wide ranges, which merge split leaves. */
static const struct mix overlapping = {
	.slots = 16, .wide_rate = 1, .own_rate = 0, .pair_rate = 16
};
static const struct mix disjoint = {
	.slots = 256, .wide_rate = 0, .own_rate = 60, .pair_rate = 16
};
static const struct mix merging = { .slots = 64, .wide_rate = 4, .own_rate = 30, .pair_rate = 16 };

static void exclude(const char *test, enum range_fairness fairness, uint32_t max_leaves,
		    const struct mix *mix)
{
	static struct exclusion e;
	struct range_lock lock;

	init_lock(&lock, fairness, max_leaves);
	e.table = &impatient_table;
	e.lock = &lock;
	e.threads = 12;
	e.rounds = test_scale(5000);
	e.slots = mix->slots;
	e.write_rate = 1;
	e.wide_rate = mix->wide_rate;
	e.own_rate = mix->own_rate;
	e.pair_rate = mix->pair_rate;
	e.seed = test_seed(test);
	e.meanwhile = make_impatient;
	if (!exclusion_holds(&e))
		test_fail(__FILE__, __LINE__, "%s", e.violation);
	check_biased_often(&lock, 1);
	check_quiet_and_destroy(&lock);
}

TEST(adoption, overlapping_readers_and_few_writers)
{
	exclude("adoption/overlapping, barging", RANGE_FAIRNESS_BARGING, 1, &overlapping);
	exclude("adoption/overlapping, FIFO", RANGE_FAIRNESS_FIFO, 1, &overlapping);
}

TEST(adoption, disjoint_readers_and_few_writers)
{
	exclude("adoption/disjoint, one leaf", RANGE_FAIRNESS_BARGING, 1, &disjoint);
	exclude("adoption/disjoint, many leaves", RANGE_FAIRNESS_BARGING, 1024, &disjoint);
}

TEST(adoption, leaves_are_split_and_merged_under_published_readers)
{
	exclude("adoption/merging, barging", RANGE_FAIRNESS_BARGING, 3, &merging);
	exclude("adoption/merging, FIFO", RANGE_FAIRNESS_FIFO, 1024, &merging);
}

/*
 * A writer arrives at any point of a reader's acquisition or release. Neither thread orders stores
 * and loads itself, so only the lock does.
 */
static struct duel {
	struct range_lock lock;
	_Alignas(128) _Atomic(uint64_t) writing; /* odd while the writer is inside */
	_Alignas(128) atomic_bool over;
	_Alignas(128) atomic_bool reading;
} duel;

static void pause_for(uint64_t steps)
{
	for (volatile uint64_t i = 0; i < steps; i++)
		;
}

static void *duel_reader(void *arg)
{
	uint64_t *seed = arg;

	/* relaxed, as all of the duel: the lock orders it */
	while (!atomic_load_explicit(&duel.over, memory_order_relaxed)) {
		uint64_t before, steps = test_random_below(seed, 50);
		struct range_hold range;

		CHECK_EQ(range_lock(&duel.lock, &range, 0, 10, RANGE_READ), 0);
		before = atomic_load_explicit(&duel.writing, memory_order_relaxed);
		atomic_store_explicit(&duel.reading, true, memory_order_relaxed);
		pause_for(steps);
		CHECK(before % 2 == 0);
		CHECK_EQ(atomic_load_explicit(&duel.writing, memory_order_relaxed), before);
		atomic_store_explicit(&duel.reading, false, memory_order_relaxed);
		range_unlock(&duel.lock, &range);
	}
	return NULL;
}

static void duel_write(uint64_t *seed)
{
	struct range_hold range;
	uint64_t n;

	make_impatient(&duel.lock);
	for (unsigned int looks = 1; !is_biased(&duel.lock, 0); looks++)
		if (looks % 1024 == 0)
			sched_yield();
	pause_for(test_random_below(seed, 200));
	CHECK_EQ(range_lock(&duel.lock, &range, 5, 6, RANGE_WRITE), 0);
	n = atomic_load_explicit(&duel.writing, memory_order_relaxed);
	atomic_store_explicit(&duel.writing, n + 1, memory_order_relaxed);
	CHECK(!atomic_load_explicit(&duel.reading, memory_order_relaxed));
	pause_for(200);
	CHECK(!atomic_load_explicit(&duel.reading, memory_order_relaxed));
	atomic_store_explicit(&duel.writing, n + 2, memory_order_relaxed);
	range_unlock(&duel.lock, &range);
}

TEST(adoption, a_writer_may_come_at_any_point_of_a_reader_s_acquisition_and_release)
{
	uint64_t seed = test_seed("adoption/duel"), readers_seed = test_random(&seed);
	unsigned int rounds = test_scale(4000);
	pthread_t thread;

	init_lock(&duel.lock, RANGE_FAIRNESS_BARGING, 1);
	atomic_store(&duel.over, false);
	thread = thread_start(duel_reader, &readers_seed);
	for (unsigned int round = 0; round < rounds; round++)
		duel_write(&seed);
	atomic_store(&duel.over, true);
	thread_join(thread);
	check_biased_often(&duel.lock, rounds);
	check_quiet_and_destroy(&duel.lock);
}

/*
 * The duel rests on this: one thread stores and passes a light fence, another stores and passes a
 * heavy one. At least one of them then loads the value that the other stored.
 */
static struct pair {
	_Alignas(128) atomic_uint light;
	_Alignas(128) atomic_uint heavy;
	_Alignas(128) atomic_uint round; /* the round that the light side may begin */
	_Alignas(128) atomic_uint done;  /* the round that the light side has ended */
	_Alignas(128) unsigned int seen; /* the heavy side's round, as seen by the light side */
} pair;

#define LAST_ROUND UINT32_MAX

/* Close on the other thread's heels, while that thread runs. */
static unsigned int await_change(atomic_uint *number, unsigned int last)
{
	unsigned int now, looks = 0;

	while ((now = atomic_load(number)) == last)
		if (++looks % 1024 == 0)
			sched_yield();
	return now;
}

static void *pass_light_fences(void *arg)
{
	unsigned int round = 0;

	while ((round = await_change(&pair.round, round)) != LAST_ROUND) {
		pause_for(round % 8);
		atomic_store_explicit(&pair.light, round, memory_order_relaxed);
		mmrange__light_fence();
		pair.seen = atomic_load_explicit(&pair.heavy, memory_order_relaxed);
		atomic_store(&pair.done, round);
	}
	return arg;
}

TEST(adoption, of_a_light_and_a_heavy_fence_one_side_sees_the_other_s_store)
{
	uint64_t end = now_ns() + SECOND, pause = 0;
	pthread_t thread = thread_start(pass_light_fences, NULL);

	for (unsigned int round = 1; now_ns() < end; round++) {
		unsigned int seen;

		atomic_store(&pair.round, round);
		pause_for(pause);
		atomic_store_explicit(&pair.heavy, round, memory_order_relaxed);
		mmrange__heavy_fence();
		seen = atomic_load_explicit(&pair.light, memory_order_relaxed);
		await_change(&pair.done, round - 1);
		CHECK(seen == round || pair.seen == round);
		/*
		 * Adjusts the pause so that neither side is always first, unless the other thread
		 * does not run.
		 */
		if (pair.seen == round)
			pause = pause < 1000 ? pause + 1 : 0;
		else if (pause > 0)
			pause--;
	}
	atomic_store(&pair.round, LAST_ROUND);
	thread_join(thread);
}

/* Changes a range that was published, if a slot was free. The range is held in the end. */
static void change(struct counting *thread, struct range_hold *range)
{
	uint64_t start = range->start + counting_below(thread, range->end - range->start);
	uint64_t end = start + 1 + counting_below(thread, range->end - start);
	struct range_hold upper;
	int error = 0;

	switch (counting_below(thread, 5)) {
	case 0:
		error = range_tryupgrade(&counters_lock, range);
		break;
	case 1:
		range_downgrade(&counters_lock, range);
		break;
	case 2:
		CHECK_EQ(range_shrink(&counters_lock, range, start, end), 0);
		break;
	case 3:
		error = range_tryextend(
			&counters_lock, range,
			range->start - counting_below(thread, 1 + range->start / 8),
			range->end + counting_below(thread, 1 + (COUNTERS - range->end) / 8));
		break;
	case 4:
		if (start == range->start)
			break;
		CHECK_EQ(range_split(&counters_lock, range, start, &upper), 0);
		counting_use(thread, range);
		counting_use(thread, &upper);
		range_unlock(&counters_lock, &upper);
		break;
	}
	CHECK(error == 0 || error == EBUSY);
	counting_use(thread, range);
}

/* Acquires a range of a few counters, in seven of eight cases for reading. */
static void acquire(struct counting *thread, struct range_hold *range)
{
	uint64_t start = counting_below(thread, COUNTERS - 8);
	uint64_t end = start + 1 + counting_below(thread, 8);

	if (counting_below(thread, 64) == 0) {
		start = 0;
		end = COUNTERS;
	}
	CHECK_EQ(range_lock(&counters_lock, range, start, end,
			    counting_below(thread, 8) ? RANGE_READ : RANGE_WRITE),
		 0);
}

static void note_biases(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	uint64_t biases = lock_stats(&counters_lock).biases;

	pthread_mutex_lock(&mutex);
	if (biases > biases_seen)
		biases_seen = biases;
	pthread_mutex_unlock(&mutex);
}

/* counting_run() destroys its lock, so the threads note the biases. */
static void count(enum range_fairness fairness, uint32_t max_leaves, void *(*work)(void *))
{
	biases_seen = 0;
	counting_run(fairness, max_leaves, work);
	fprintf(stderr, "%" PRIu64 " biases\n", biases_seen);
	CHECK(biases_seen > 0);
}

static void *resize(void *arg)
{
	struct counting *thread = arg;

	for (unsigned int n = 0; n < test_scale(3000); n++) {
		struct range_hold range;

		if (n % 8 == 0)
			make_impatient(&counters_lock);
		acquire(thread, &range);
		counting_use(thread, &range);
		for (uint64_t changes = counting_below(thread, 3); changes > 0; changes--)
			change(thread, &range);
		range_unlock(&counters_lock, &range);
	}
	note_biases();
	return NULL;
}

TEST(adoption, published_ranges_are_resized)
{
	count(RANGE_FAIRNESS_BARGING, 1, resize);
	count(RANGE_FAIRNESS_BARGING, 1024, resize);
	count(RANGE_FAIRNESS_FIFO, 1024, resize);
}

/*
 * Held ranges go from thread to thread, and another thread releases each. The thread that published
 * it may have ended by then.
 */
enum { PLACES = 8 };

static _Atomic(struct range_hold *) places[PLACES];

static void release(struct counting *thread, struct range_hold *range)
{
	if (!range)
		return;
	if (counting_below(thread, 4) == 0)
		change(thread, range);
	counting_use(thread, range);
	range_unlock(&counters_lock, range);
	free(range);
}

struct errand {
	struct counting *thread;
	struct range_hold *range;
};

/* Hands only readers to other threads: no thread waits for a range that it holds itself. */
static void *acquire_and_leave(void *arg)
{
	struct errand *errand = arg;
	uint64_t start = counting_below(errand->thread, COUNTERS - 8);

	errand->range = malloc(sizeof *errand->range);
	CHECK(errand->range);
	if (range_trylock(&counters_lock, errand->range, start, start + 8, RANGE_READ)) {
		free(errand->range);
		errand->range = NULL;
	}
	return NULL;
}

static void *hand_over(void *arg)
{
	struct counting *thread = arg;

	thread->handed_over = true;
	for (unsigned int n = 0; n < test_scale(3000); n++) {
		_Atomic(struct range_hold *) *place = &places[counting_below(thread, PLACES)];
		struct errand errand = { thread, NULL };
		struct range_hold range;
		uint64_t start = counting_below(thread, COUNTERS);

		if (n % 8 == 0)
			make_impatient(&counters_lock);
		if (n % 16 == 0)
			thread_join(thread_start(acquire_and_leave, &errand));
		else
			acquire_and_leave(&errand);
		release(thread, atomic_exchange(place, errand.range));
		if (counting_below(thread, 4) == 0 &&
		    !range_trylock(&counters_lock, &range, start, start + 1, RANGE_WRITE)) {
			counting_use(thread, &range);
			range_unlock(&counters_lock, &range);
		}
	}
	for (int i = 0; i < PLACES; i++)
		release(thread, atomic_exchange(&places[i], NULL));
	note_biases();
	return NULL;
}

TEST(adoption, published_ranges_are_released_by_other_threads)
{
	count(RANGE_FAIRNESS_BARGING, 1, hand_over);
	count(RANGE_FAIRNESS_BARGING, 1024, hand_over);
}
