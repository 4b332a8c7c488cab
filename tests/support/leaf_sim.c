/* SPDX-License-Identifier: MIT */
/*
 * The simulated threads do the same as fast_path.c, wait.c, queue.c and release.c; splits and
 * merges are those of adapt.c. The leaves are linked, without an index.
 */
#include "leaf_sim.h"
#include "range_lock/bounds.h"
#include "range_lock/waiters.h"

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
	"silent move",
	"silent claim",
	"stops at a sleeping writer",
	"forgets arrival",
	"passes starving",
	"claims nothing",
	"promotes one",
};

static bool chance(struct leaf_sim *sim, unsigned int of)
{
	return test_random_below(&sim->random, of) == 0;
}

static bool is_promoted(const struct range__hold *range)
{
	return atomic_load(&range->state) == RANGE_PROMOTED;
}

static bool is_woken(const struct range__hold *range)
{
	return atomic_load(&range->state) == RANGE_WOKEN || is_promoted(range);
}

/* The waiter of the leaf's queue that arrived next after one; NULL: the first, and after the last.
 */
static struct range__hold *next_by_arrival(struct range__leaf *leaf,
					   const struct range__hold *after)
{
	struct range__hold *w = range__waiters_first(leaf->waiters), *next = NULL;

	for (; w; w = range__waiters_next(leaf->waiters, w))
		if ((!after || after->arrival < w->arrival) &&
		    (!next || w->arrival < next->arrival))
			next = w;
	return next;
}

static bool behind_woken(struct range__leaf *leaf, const struct range__hold *range)
{
	for (const struct range__hold *w = next_by_arrival(leaf, NULL); w;
	     w = next_by_arrival(leaf, w))
		if (is_woken(w) && leaf_sim_conflict(w, range))
			return true;
	return false;
}

/*
 * Whether waking ends at the waiter. It may end at a waiter that all other waiters in [start, end)
 * are behind.
 */
static bool ends_waking(enum sim_flaw flaw, const struct range__leaf *leaf,
			const struct range__hold *w, uint64_t start, uint64_t end)
{
	bool covers = w->start <= start && end <= w->end;
	bool goes_on = w->starving || (is_woken(w) && leaf->nr_starving == 0);

	return w->mode == RANGE_WRITE && (covers || flaw == SIM_STOPS_AT_PARTIAL) &&
	       (goes_on || flaw == SIM_STOPS_AT_ASLEEP);
}

/* A copy of range__leaf_wake(), with flaws. */
static void copied_wake(struct leaf_sim *sim, struct range__leaf *leaf, uint64_t start,
			uint64_t end)
{
	for (struct range__hold *w = next_by_arrival(leaf, NULL); w; w = next_by_arrival(leaf, w)) {
		if (!range__overlap(w, start, end))
			continue;
		if (!is_woken(w) && (w->starving || !behind_woken(leaf, w)) &&
		    !range__leaf_blocks(&sim->lock, leaf, w)) {
			range__leaf_dequeue(leaf, w);
			atomic_store(&w->state, RANGE_WOKEN);
			range__leaf_enqueue(leaf, w);
			if (sim->flaw == SIM_WAKES_ONE)
				return;
		}
		if (ends_waking(sim->flaw, leaf, w, start, end))
			return;
	}
}

/*
 * Chance decides whether enough time has passed. A waiter that becomes starving and needs a claim
 * is marked.
 */
static void promote(struct leaf_sim *sim, struct range__leaf *leaf)
{
	struct range__wakes wakes = { .n = 0 };
	bool time = chance(sim, 4);
	struct sim_thread *due = NULL;
	uint32_t starving = leaf->nr_starving;

	if (sim->fifo)
		return;
	if (time)
		due = leaf_sim_next_to_starve(sim, leaf);
	if (sim->flaw != SIM_PROMOTES_ONE || starving == 0)
		range__leaf_promote(&sim->lock, leaf, time ? 0 : UINT64_MAX, &wakes);
	leaf_sim_expect(sim,
			leaf->nr_starving == starving + (due != NULL && due->range.starving) &&
				(!due || due->range.starving || is_promoted(&due->range)),
			"the wrong waiter became starving");
	sim->counts.promotions += due != NULL;
}

/* With the leaf locked: a thread has released [start, end) in it. */
static void wake(struct leaf_sim *sim, struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	struct range__wakes wakes = { .n = 0 };

	if (!leaf->waiters)
		return;
	promote(sim, leaf);
	if (sim->flaw == SIM_WAKES_AT_START)
		end = start + 1;
	if (sim->flaw == SIM_COPIED_WAKE || sim->flaw == SIM_WAKES_ONE ||
	    sim->flaw == SIM_STOPS_AT_PARTIAL || sim->flaw == SIM_STOPS_AT_ASLEEP)
		copied_wake(sim, leaf, start, end);
	else
		range__leaf_wake(&sim->lock, leaf, start, end, &wakes);
}

static bool is_unused(struct range__leaf *leaf)
{
	return range__leaf_lo(leaf) == range__leaf_hi(leaf);
}

static struct range__leaf *leaf_at(struct leaf_sim *sim, uint64_t key)
{
	struct range__leaf *leaf = sim->leaves;

	while (!range__leaf_has(leaf, key))
		leaf++;
	return leaf;
}

/* Merges the leaf into the one before, if it is empty. */
static void merge(struct leaf_sim *sim, struct range__leaf *right)
{
	struct range__leaf *left;

	if (range__leaf_lo(right) == 0)
		return;
	left = leaf_at(sim, range__leaf_lo(right) - 1);
	range__leaf_lock(left);
	range__leaf_lock(right);
	if (range__leaf_vacant(right)) {
		range__leaf_absorb(left, right);
		sim->counts.merges++;
	}
	range__leaf_unlock(left, NULL);
	range__leaf_unlock(right, NULL);
}

static void split_at(struct leaf_sim *sim, struct range__leaf *leaf, struct range__leaf *right,
		     uint64_t point)
{
	range__leaf_split(leaf, point, right);
	if (sim->flaw == SIM_SPLIT_PUTS_ASLEEP)
		for (struct range__hold *w = next_by_arrival(right, NULL); w;
		     w = next_by_arrival(right, w))
			range__leaf_wait_again(right, w);
	sim->counts.splits++;
}

static void split(struct leaf_sim *sim, uint64_t point)
{
	struct range__leaf *leaf = leaf_at(sim, point), *right = sim->leaves;

	while (right < sim->leaves + SIM_LEAVES && !is_unused(right))
		right++;
	if (right == sim->leaves + SIM_LEAVES)
		return;
	range__leaf_lock(right);
	range__leaf_lock(leaf);
	if (range__leaf_lo(leaf) < point && !range__leaf_crossed(leaf, point))
		split_at(sim, leaf, right, point);
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(right, NULL);
}

static struct range__leaf *next_of(const struct range__hold *range, struct range__leaf *leaf)
{
	return leaf == range->leaf[1] ? NULL : range__leaf_right(leaf);
}

/* Locks all leaves of the range, and notes the first and the last. */
static void lock_leaves(struct leaf_sim *sim, struct range__hold *range)
{
	struct range__leaf *leaf = leaf_at(sim, range->start);

	range->leaf[0] = leaf;
	range__leaf_lock(leaf);
	while (range__leaf_hi(leaf) < range->end) {
		leaf = range__leaf_right(leaf);
		range__leaf_lock(leaf);
	}
	range->leaf[1] = leaf;
	range__set_wide(range, range->leaf[0] != leaf);
}

static void unlock_leaves(const struct range__hold *range)
{
	struct range__leaf *next;

	for (struct range__leaf *leaf = range->leaf[0]; leaf; leaf = next) {
		next = next_of(range, leaf);
		range__leaf_unlock(leaf, NULL);
	}
}

static void hold_and_unlock(struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;
	struct range__leaf *next;

	for (struct range__leaf *leaf = range->leaf[0]; leaf; leaf = next) {
		next = next_of(range, leaf);
		range__leaf_hold_and_unlock(leaf, range);
	}
	thread->state = SIM_HOLDS;
	thread->from = 0;
}

static bool holds_conflict(struct leaf_sim *sim, struct range__leaf *leaf,
			   const struct range__hold *range)
{
	return sim->flaw == SIM_PASSES_STARVING ? range__leaf_holds_conflict(leaf, range)
						: range__leaf_blocks(&sim->lock, leaf, range);
}

/* With all leaves locked: the first leaf with a conflict; NULL: none. */
static struct range__leaf *find_obstacle(struct leaf_sim *sim, const struct range__hold *range)
{
	struct range__leaf *leaf = range->leaf[0];

	while (leaf && !holds_conflict(sim, leaf, range))
		leaf = next_of(range, leaf);
	return leaf;
}

/*
 * The fast path up to the swaps: reads the words and the bounds of one or two empty leaves. Other
 * threads may come before the swaps.
 */
static bool look_fast(struct leaf_sim *sim, struct range__hold *range)
{
	struct range__leaf *leaf = leaf_at(sim, range->start);

	range__set_wide(range, !range__leaf_covers(leaf, range->start, range->end));
	for (unsigned int i = 0; i <= range__is_wide(range); i++) {
		range->leaf[i] = leaf;
		range->saved_word[i] = atomic_load(&leaf->word);
		if ((range->saved_word[i] & WORD_TAG) != WORD_EMPTY)
			return false;
		leaf = range__leaf_right(leaf);
	}
	return range->end <= range__leaf_hi(range->leaf[range__is_wide(range)]);
}

static bool swap_word(struct range__hold *range, unsigned int which, uint64_t next)
{
	uint64_t word = range->saved_word[which];

	return atomic_compare_exchange_strong(&range->leaf[which]->word, &word, next);
}

static bool swap(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;
	uint64_t single = range__word_single(range, range->mode);

	if (!range__is_wide(range)) {
		if (!swap_word(range, 0, single))
			return false;
	} else {
		if (!swap_word(range, 0, WORD_LOCKED))
			return false;
		if (range__leaf_right(range->leaf[0]) != range->leaf[1] ||
		    !swap_word(range, 1, single)) {
			range__leaf_unlock_to(range->leaf[0], range->saved_word[0]);
			return false;
		}
		range__leaf_unlock_to(range->leaf[0], single);
		sim->counts.wide++;
	}
	leaf_sim_expect(sim,
			range__leaf_has(range->leaf[0], range->start) &&
				range->end <= range__leaf_hi(range->leaf[range__is_wide(range)]),
			"a range was acquired in leaves that do not contain it");
	leaf_sim_expect(sim, !leaf_sim_has_to_wait(sim, thread),
			"a range that has to wait was acquired by a swap");
	thread->state = SIM_HOLDS;
	thread->from = 0;
	sim->counts.fast++;
	return true;
}

static void count_passes(struct leaf_sim *sim, const struct sim_thread *thread)
{
	for (int i = 0; i < SIM_THREADS; i++)
		sim->counts.passes += sim->threads[i].state == SIM_WAITS &&
				      leaf_sim_conflict(&sim->threads[i].range, &thread->range);
}

static void claim(struct leaf_sim *sim, struct sim_thread *thread)
{
	if (sim->flaw == SIM_CLAIMS_NOTHING) {
		thread->range.starving = 1;
		return;
	}
	range__claim(&thread->set);
	sim->counts.claims++;
}

static void queue_at(struct range__leaf *leaf, struct sim_thread *thread)
{
	thread->set.queued = &thread->range;
	atomic_store(&thread->range.state, RANGE_WAITING);
	range__leaf_enqueue(leaf, &thread->range);
}

/* With all leaves locked. */
static void begin_to_wait(struct leaf_sim *sim, struct range__leaf *obstacle,
			  struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;

	thread->arrival = ++sim->time;
	range->arrival = sim->flaw == SIM_FORGETS_ARRIVAL ? 0 : sim->time;
	range->set = &thread->set;
	range->in = NULL;
	range->marks = 0;
	range->starving = sim->fifo;
	if (range__is_wide(range))
		range__wide_add(&thread->set);
	if (range__is_wide(range) && sim->fifo)
		claim(sim, thread);
	queue_at(obstacle, thread);
	thread->state = SIM_WAITS;
	sim->counts.waits++;
}

static void acquire_slow(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;
	bool try = chance(sim, 8), wait = leaf_sim_has_to_wait(sim, thread);
	struct range__leaf *obstacle;

	range__make_newcomer(range);
	range->how = 0;
	lock_leaves(sim, range);
	obstacle = find_obstacle(sim, range);
	leaf_sim_expect(sim, (obstacle != NULL) == wait,
			"a newcomer waits without need, or does not wait where it must");
	if (!obstacle) {
		count_passes(sim, thread);
		hold_and_unlock(thread);
		return;
	}
	if (!try)
		begin_to_wait(sim, obstacle, thread);
	unlock_leaves(range);
}

static void arrive(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;
	uint64_t length = chance(sim, 4) ? SIM_KEYS : 3;

	range->start = test_random_below(&sim->random, SIM_KEYS);
	range->end = range->start + 1 + test_random_below(&sim->random, length);
	range->mode = chance(sim, 2) ? RANGE_READ : RANGE_WRITE;
	range->how = 0;
	thread->set = range__set_of(&sim->lock, range);
	if (look_fast(sim, range))
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

/* With all leaves locked. */
static void leave_lists(struct sim_thread *thread)
{
	if (range__set_claims(&thread->set))
		range__unclaim(&thread->set);
	if (thread->range.how & RANGE__LISTED)
		range__wide_remove(&thread->set);
}

static void leave_queue(struct leaf_sim *sim, struct sim_thread *thread, bool silent)
{
	struct range__hold *range = &thread->range;
	struct range__leaf *leaf = range->in;

	range__leaf_dequeue(leaf, range);
	if (!silent)
		wake(sim, leaf, range->start, range->end);
}

static void give_up(struct leaf_sim *sim, struct sim_thread *thread)
{
	const struct range__hold *range = &thread->range;
	struct range__leaf *leaf = range->leaf[0];
	bool claimed = range__set_claims(&thread->set) && sim->flaw != SIM_SILENT_CLAIM;

	leave_lists(thread);
	leave_queue(sim, thread, sim->flaw == SIM_SILENT_TIMEOUT);
	thread->state = SIM_IDLE;
	sim->counts.timeouts++;
	for (; claimed && leaf; leaf = next_of(range, leaf))
		wake(sim, leaf, range->start, range->end);
}

/* With all leaves locked: the waiter has to wait again, for a conflict in the obstacle's leaf. */
static void wait_again(struct leaf_sim *sim, struct sim_thread *thread,
		       struct range__leaf *obstacle)
{
	struct range__hold *range = &thread->range;
	bool claims = is_promoted(range) && !range->starving;

	sim->counts.repeats++;
	if (obstacle == range->in && !claims) {
		range__leaf_wait_again(obstacle, range);
		if (sim->flaw != SIM_SILENT_LOOK)
			wake(sim, obstacle, range->start, range->end);
		return;
	}
	sim->counts.moves += obstacle != range->in;
	leave_queue(sim, thread, sim->flaw == SIM_SILENT_MOVE);
	if (claims)
		claim(sim, thread);
	queue_at(obstacle, thread);
}

/* A waiter is awake: another thread woke it, or its deadline passed. */
static void look_again(struct leaf_sim *sim, struct sim_thread *thread, bool timeout)
{
	bool wait = leaf_sim_has_to_wait(sim, thread);
	struct range__hold *range = &thread->range;
	struct range__leaf *obstacle;

	lock_leaves(sim, range);
	obstacle = find_obstacle(sim, range);
	leaf_sim_expect(sim, (obstacle != NULL) == wait,
			"a waiter waits without need, or stops waiting where it must not");
	if (!obstacle) {
		leave_lists(thread);
		range__leaf_dequeue(range->in, range);
		hold_and_unlock(thread);
		return;
	}
	if (timeout)
		give_up(sim, thread);
	else
		wait_again(sim, thread, obstacle);
	unlock_leaves(range);
}

/* In the leaf that contains the key up to which the thread has released its range. */
static void release_more(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;
	struct range__leaf *leaf = leaf_at(sim, thread->from);

	range__leaf_lock(leaf);
	thread->from = range__leaf_hi(leaf);
	thread->state = thread->from < range->end ? SIM_RELEASES : SIM_IDLE;
	range__leaf_erase(leaf, range);
	wake(sim, leaf, range->start, range->end);
	range__leaf_unlock(leaf, NULL);
}

static bool release_word(struct range__hold *range, unsigned int which)
{
	uint64_t word = range__word_single(range, range->mode);

	return atomic_compare_exchange_strong(&range->leaf[which]->word, &word,
					      range->saved_word[which]);
}

/* By swaps, as far as possible. */
static void release(struct leaf_sim *sim, struct sim_thread *thread)
{
	struct range__hold *range = &thread->range;
	bool wide = range__is_wide(range);

	thread->from = range->start;
	if ((!wide || range__leaf_right(range->leaf[0]) == range->leaf[1]) &&
	    release_word(range, 0)) {
		thread->state = SIM_IDLE;
		if (!wide || release_word(range, 1))
			return;
		thread->from = range->end - 1;
	}
	release_more(sim, thread);
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
	else if (thread->state == SIM_RELEASES)
		release_more(sim, thread);
	else if (thread->state == SIM_WAITS && is_woken(&thread->range))
		look_again(sim, thread, chance(sim, 10));
	else if (thread->state == SIM_WAITS && chance(sim, 12))
		look_again(sim, thread, true);
}

/*
 * Each thread that can take a step takes one. Returns how many could, and in *left how many are
 * not done yet.
 */
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
		} else if (thread->state == SIM_RELEASES) {
			release_more(sim, thread);
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
		sim->violation = active ? "woken waiters look again and again and never hold"
					: "a wake-up was lost";
}

const char *leaf_sim_run(struct leaf_sim *sim)
{
	sim->random = sim->seed;
	sim->violation = NULL;
	memset(sim->threads, 0, sizeof sim->threads);
	for (int i = 0; i < SIM_LEAVES; i++)
		range__leaf_init(&sim->leaves[i]);
	atomic_store(&sim->leaves[0].not_hi, 0);
	sim->lock.claims = NULL;
	for (sim->step = 0; sim->step < SIM_STEPS && !sim->violation; sim->step++) {
		step(sim);
		leaf_sim_check(sim);
	}
	if (!sim->violation)
		drain(sim);
	return sim->violation;
}
