/* SPDX-License-Identifier: MIT */
/*
 * The threads do what range_lock.c and wait.c do; splits and merges are those of adapt.c and
 * forest.c.
 */
#include "leaf_sim.h"

#include <string.h>

const char *const sim_flaw_names[NR_SIM_FLAWS] = {
	"none",
	"copied wake",
	"wakes one",
	"stops at a writer that overlaps in part",
	"wakes at the start",
	"silent look",
	"silent timeout",
	"split puts asleep",
	"stops at a writer that is asleep",
	"forgets arrival",
	"passes starving",
	"promotes one",
};

static bool chance(struct leaf_sim *sim, unsigned int of)
{
	return test_random_below(&sim->random, of) == 0;
}

static bool is_woken(const struct range_hold *range)
{
	return atomic_load(&range->state) == RANGE_WOKEN;
}

static bool behind_woken(const struct range__leaf *leaf, const struct range_hold *range)
{
	for (const struct range_hold *w = leaf->wait_first; w; w = w->next)
		if (is_woken(w) && leaf_sim_conflict(w, range))
			return true;
	return false;
}

/*
 * Whether waking ends at the waiter, as it may at one that all others in [start, end) are behind.
 */
static bool ends_waking(enum sim_flaw flaw, const struct range__leaf *leaf,
			const struct range_hold *w, uint64_t start, uint64_t end)
{
	bool covers = w->start <= start && end <= w->end;
	bool goes_on = w->starving || (is_woken(w) && leaf->nr_starving == 0);

	return w->mode == RANGE_WRITE && (covers || flaw == SIM_STOPS_AT_PARTIAL) &&
	       (goes_on || flaw == SIM_STOPS_AT_ASLEEP);
}

/* A copy of range__leaf_wake(), with flaws. */
static void copied_wake(enum sim_flaw flaw, struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	for (struct range_hold *w = leaf->wait_first; w; w = w->next) {
		if (!range__overlap(w, start, end))
			continue;
		if (!is_woken(w) && (w->starving || !behind_woken(leaf, w)) &&
		    !range__leaf_blocks(leaf, w)) {
			atomic_store(&w->state, RANGE_WOKEN);
			leaf->nr_woken++;
			if (flaw == SIM_WAKES_ONE)
				return;
		}
		if (ends_waking(flaw, leaf, w, start, end))
			return;
	}
}

static void wake_and_unlock(struct leaf_sim *sim, struct range__leaf *leaf,
			    const struct range_hold *range)
{
	uint64_t end = sim->flaw == SIM_WAKES_AT_START ? range->start + 1 : range->end;
	struct range__wakes wakes = { .n = 0 };

	if (sim->flaw == SIM_COPIED_WAKE || sim->flaw == SIM_WAKES_ONE ||
	    sim->flaw == SIM_STOPS_AT_PARTIAL || sim->flaw == SIM_STOPS_AT_ASLEEP)
		copied_wake(sim->flaw, leaf, range->start, end);
	else
		range__leaf_wake(leaf, range->start, end, &wakes);
	range__leaf_unlock(leaf, &wakes);
}

/* Whether enough time has passed is left to chance. */
static void promote(struct leaf_sim *sim, struct range__leaf *leaf)
{
	bool time = chance(sim, 4);
	struct sim_thread *due = NULL;
	uint32_t starving = leaf->nr_starving;

	if (sim->fifo)
		return;
	if (time)
		due = leaf_sim_next_to_starve(sim, leaf);
	if (sim->flaw != SIM_PROMOTES_ONE || starving == 0)
		range__leaf_promote(leaf, time ? 0 : UINT64_MAX);
	leaf_sim_expect(
		sim, leaf->nr_starving == starving + (due != NULL) && (!due || due->range.starving),
		"not the one that should became starving");
	sim->counts.promotions += due != NULL;
}

static struct range__leaf *leaf_at(struct leaf_sim *sim, uint64_t start)
{
	for (struct range__leaf *leaf = sim->leaves; leaf < sim->leaves + SIM_LEAVES; leaf++)
		if (range__leaf_covers(leaf, start, start + 1))
			return leaf;
	return NULL;
}

/* Merges the leaf with the one that follows; into either. */
static void merge(struct leaf_sim *sim, struct range__leaf *left)
{
	uint64_t hi = atomic_load(&left->hi);
	struct range__leaf *right = hi > 0 && hi < UINT64_MAX ? leaf_at(sim, hi) : NULL;
	bool to_left = chance(sim, 2);

	if (!right)
		return;
	range__leaf_lock(left);
	range__leaf_lock(right);
	range__leaf_absorb(to_left ? left : right, to_left ? right : left);
	range__leaf_unlock(left, NULL);
	range__leaf_unlock(right, NULL);
	sim->counts.merges++;
}

static void split_at(struct leaf_sim *sim, struct range__leaf *leaf, struct range__leaf *right,
		     uint64_t point)
{
	range__leaf_split(leaf, point, right);
	if (sim->flaw == SIM_SPLIT_PUTS_ASLEEP)
		for (struct range_hold *w = right->wait_first; w; w = w->next)
			range__leaf_wait_again(right, w);
	sim->counts.splits++;
}

static void split(struct leaf_sim *sim, uint64_t point)
{
	struct range__leaf *leaf = leaf_at(sim, point), *right = sim->leaves;

	while (right < sim->leaves + SIM_LEAVES && atomic_load(&right->hi) != 0)
		right++;
	if (right == sim->leaves + SIM_LEAVES)
		return;
	range__leaf_lock(right);
	range__leaf_lock(leaf);
	if (atomic_load(&leaf->lo) < point && !range__leaf_crossed(leaf, point))
		split_at(sim, leaf, right, point);
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(right, NULL);
}

/* Locks the leaf of the range, made of several if need be. */
static struct range__leaf *lock_leaf(struct leaf_sim *sim, struct range_hold *range)
{
	struct range__leaf *leaf = leaf_at(sim, range->start);

	while (!range__leaf_covers(leaf, range->start, range->end)) {
		merge(sim, leaf);
		leaf = leaf_at(sim, range->start);
	}
	range__leaf_lock(leaf);
	range->leaf = leaf;
	return leaf;
}

/*
 * The fast path up to the swap: the word and the bounds of an empty leaf. Others may come before
 * the swap.
 */
static bool look_fast(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range_hold *range = &thread->range;
	struct range__leaf *leaf = leaf_at(sim, range->start);
	uint64_t word = atomic_load(&leaf->word);

	if ((word & WORD_TAG) != WORD_EMPTY || !range__leaf_covers(leaf, range->start, range->end))
		return false;
	range->leaf = leaf;
	range->stamp = word;
	return true;
}

static bool swap(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range_hold *range = &thread->range;
	uint64_t word = range->stamp;

	if (!atomic_compare_exchange_strong(&range->leaf->word, &word, range__word_single(range)))
		return false;
	leaf_sim_expect(sim, range__leaf_covers(range->leaf, range->start, range->end),
			"a range was acquired in a leaf that does not cover it");
	leaf_sim_expect(sim, !leaf_sim_has_to_wait(sim, thread),
			"a range that has to wait was acquired by a swap");
	thread->state = SIM_HOLDS;
	sim->counts.fast++;
	return true;
}

static void count_passes(struct leaf_sim *sim, const struct sim_thread *thread)
{
	for (int i = 0; i < SIM_THREADS; i++)
		sim->counts.passes += sim->threads[i].state == SIM_WAITS &&
				      leaf_sim_conflict(&sim->threads[i].range, &thread->range);
}

static void enqueue(struct leaf_sim *sim, struct range__leaf *leaf, struct sim_thread *thread)
{
	thread->arrival = ++sim->time;
	thread->range.stamp = sim->flaw == SIM_FORGETS_ARRIVAL ? 0 : sim->time;
	thread->range.starving = sim->fifo;
	range__leaf_enqueue(leaf, &thread->range);
	range__leaf_unlock(leaf, NULL);
	thread->state = SIM_WAITS;
	sim->counts.waits++;
}

static void acquire_slow(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range_hold *range = &thread->range;
	bool try = chance(sim, 8), wait = leaf_sim_has_to_wait(sim, thread), blocked;
	struct range__leaf *leaf;

	leaf = lock_leaf(sim, range);
	blocked = sim->flaw == SIM_PASSES_STARVING
			  ? range__tree_overlap(leaf->held, range->start, range->end,
						range->mode == RANGE_READ) != NULL
			  : range__leaf_blocks(leaf, range);
	leaf_sim_expect(sim, blocked == wait, "a newcomer waits, or does not, where it should not");
	if (!blocked) {
		count_passes(sim, thread);
		range__leaf_hold_and_unlock(leaf, range);
		thread->state = SIM_HOLDS;
	} else if (try) {
		range__leaf_unlock(leaf, NULL);
	} else {
		enqueue(sim, leaf, thread);
	}
}

static void arrive(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range_hold *range = &thread->range;
	uint64_t length = chance(sim, 4) ? SIM_KEYS : 3;

	range->start = test_random_below(&sim->random, SIM_KEYS);
	range->end = range->start + 1 + test_random_below(&sim->random, length);
	range->mode = chance(sim, 2) ? RANGE_READ : RANGE_WRITE;
	if (look_fast(sim, thread))
		thread->state = SIM_SWAPS;
	else
		acquire_slow(sim, thread);
}

static void go_on(struct leaf_sim *sim, struct sim_thread *thread)
{
	thread->state = SIM_IDLE;
	if (!swap(sim, thread))
		acquire_slow(sim, thread);
}

static void give_up(struct leaf_sim *sim, struct range__leaf *leaf, struct sim_thread *thread)
{
	range__leaf_dequeue(leaf, &thread->range);
	thread->state = SIM_IDLE;
	sim->counts.timeouts++;
	if (sim->flaw == SIM_SILENT_TIMEOUT)
		range__leaf_unlock(leaf, NULL);
	else
		wake_and_unlock(sim, leaf, &thread->range);
}

/* A waiter is awake: it was woken, or its time is over. */
static void look_again(struct leaf_sim *sim, struct sim_thread *thread, bool timeout)
{
	bool wait = leaf_sim_has_to_wait(sim, thread);
	struct range__leaf *leaf = lock_leaf(sim, &thread->range);
	bool blocked = range__leaf_blocks(leaf, &thread->range);

	leaf_sim_expect(sim, blocked == wait,
			"a waiter goes on waiting, or does not, where it should not");
	if (!blocked) {
		range__leaf_dequeue(leaf, &thread->range);
		range__leaf_hold_and_unlock(leaf, &thread->range);
		thread->state = SIM_HOLDS;
		return;
	}
	if (timeout) {
		give_up(sim, leaf, thread);
		return;
	}
	sim->counts.repeats++;
	range__leaf_wait_again(leaf, &thread->range);
	promote(sim, leaf);
	if (sim->flaw == SIM_SILENT_LOOK)
		range__leaf_unlock(leaf, NULL);
	else
		wake_and_unlock(sim, leaf, &thread->range);
}

static void release(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range_hold *range = &thread->range;
	struct range__leaf *leaf = range->leaf;
	uint64_t word = range__word_single(range);

	thread->state = SIM_IDLE;
	if (atomic_compare_exchange_strong(&leaf->word, &word, range->stamp))
		return;
	leaf = lock_leaf(sim, range);
	range__tree_erase(&leaf->held, range);
	promote(sim, leaf);
	wake_and_unlock(sim, leaf, range);
}

static void step(struct leaf_sim *sim)
{
	struct sim_thread *thread = &sim->threads[test_random_below(&sim->random, SIM_THREADS)];
	uint64_t what = test_random_below(&sim->random, 10);

	if (what == 0)
		split(sim, test_random_below(&sim->random, SIM_KEYS));
	else if (what == 1)
		merge(sim, leaf_at(sim, test_random_below(&sim->random, SIM_KEYS)));
	else if (thread->state == SIM_IDLE)
		arrive(sim, thread);
	else if (thread->state == SIM_SWAPS)
		go_on(sim, thread);
	else if (thread->state == SIM_HOLDS && chance(sim, 2))
		release(sim, thread);
	else if (thread->state == SIM_WAITS && is_woken(&thread->range))
		look_again(sim, thread, chance(sim, 10));
	else if (thread->state == SIM_WAITS && chance(sim, 12))
		look_again(sim, thread, true);
}

/* Everybody who can go on does so once; says how many could, and how many are not done yet. */
static unsigned int drain_once(struct leaf_sim *sim, unsigned int *left)
{
	uint64_t first = test_random_below(&sim->random, SIM_THREADS);
	unsigned int active = 0;

	*left = 0;
	for (uint64_t i = 0; i < SIM_THREADS; i++) {
		struct sim_thread *thread = &sim->threads[(first + i) % SIM_THREADS];

		*left += thread->state != SIM_IDLE;
		if (thread->state == SIM_HOLDS) {
			release(sim, thread);
			active++;
		} else if (thread->state == SIM_SWAPS) {
			go_on(sim, thread);
			active++;
		} else if (thread->state == SIM_WAITS && is_woken(&thread->range)) {
			look_again(sim, thread, false);
			active++;
		}
		leaf_sim_check(sim);
	}
	return active;
}

static void drain(struct leaf_sim *sim)
{
	unsigned int left = 1, active = 1;

	for (unsigned int round = 0; left > 0 && active > 0 && round < 1000; round++)
		active = drain_once(sim, &left);
	if (left > 0 && !sim->violation)
		sim->violation =
			active ? "waiters are woken in vain for ever" : "a wake-up was lost";
}

const char *leaf_sim_run(struct leaf_sim *sim)
{
	sim->random = sim->seed;
	sim->violation = NULL;
	memset(sim->threads, 0, sizeof sim->threads);
	for (int i = 0; i < SIM_LEAVES; i++)
		range__leaf_init(&sim->leaves[i]);
	atomic_store(&sim->leaves[0].hi, UINT64_MAX);
	for (sim->step = 0; sim->step < SIM_STEPS && !sim->violation; sim->step++) {
		step(sim);
		leaf_sim_check(sim);
	}
	if (!sim->violation)
		drain(sim);
	return sim->violation;
}
