/* SPDX-License-Identifier: MIT */
/* relaxed, in all of this file: costs are guesses, any value does. */
#include "bias.h"
#include "platform/probe.h"
#include "slots.h"

/* The bounds of what the lock assumes a revocation to cost, in nanoseconds. */
enum { MIN_REVOCATION_COST = 1000, MAX_REVOCATION_COST = 100000 };

atomic_uint range__revocation_cost = 2000;

static void set_unbiased_cost(struct range__leaf *leaf, uint32_t cost)
{
	atomic_store_explicit(&leaf->unbiased_cost, cost, memory_order_relaxed);
}

/* A moving average. */
static void note_revocation_cost(uint64_t ns)
{
	uint64_t old = atomic_load_explicit(&range__revocation_cost, memory_order_relaxed);

	/* A thread that was interrupted meanwhile has measured something else. */
	if (ns > 2 * old)
		ns = 2 * old;
	ns = (7 * old + ns) / 8;
	if (ns < MIN_REVOCATION_COST)
		ns = MIN_REVOCATION_COST;
	if (ns > MAX_REVOCATION_COST)
		ns = MAX_REVOCATION_COST;
	atomic_store_explicit(&range__revocation_cost, (unsigned int)ns, memory_order_relaxed);
}

static bool has_writer(const struct range__set *set)
{
	size_t i = 0;

	while (i < set->n && range__set_hold(set, i)->mode != RANGE_WRITE)
		i++;
	return i < set->n;
}

static bool has_biased_leaf(const struct range__set *set)
{
	struct range__walk walk = range__walk_first(set);

	while (walk.leaf && !walk.leaf->biased)
		range__walk_next(&walk);
	return walk.leaf != NULL;
}

/* ns: what the revocation has cost so far. */
static void end_bias(struct range__set *set, uint64_t ns)
{
	for (struct range__walk walk = range__walk_first(set); walk.leaf; range__walk_next(&walk)) {
		if (!walk.leaf->biased)
			continue;
		MMRANGE__PROBE4(leaf_revoke, set->lock, range__leaf_lo(walk.leaf),
				range__leaf_hi(walk.leaf), ns);
		walk.leaf->biased = false;
		set_unbiased_cost(walk.leaf, 0);
	}
}

void range__bias_revoke(struct range__set *set, enum range__bias bias)
{
	uint64_t begin, ns;

	if ((bias == RANGE__KEEP_BIAS && !has_writer(set)) || !has_biased_leaf(set))
		return;
	begin = mmrange__now();
	mmrange__heavy_fence(); /* [SLOT-H] */
	range__slots_adopt(set);
	ns = mmrange__now() - begin;
	end_bias(set, ns);
	note_revocation_cost(ns);
}

void range__bias_revoke_leaf(struct range__lock *lock, struct range__leaf *leaf)
{
	struct range__hold whole = {
		.start = range__leaf_lo(leaf),
		.end = range__leaf_hi(leaf),
		.mode = RANGE_WRITE,
		.leaf = { leaf, leaf },
	};
	struct range__set set = range__set_of(lock, &whole);

	range__bias_revoke(&set, RANGE__REVOKE_BIAS);
}

/* With the leaf locked, whose unbiased cost is due. */
static bool can_be_biased(const struct range__lock *lock, struct range__leaf *leaf)
{
	return !lock->never_biased && !leaf->waiters && leaf->nr_claims == 0 &&
	       leaf->covers != RANGE__COVERS_WRITER &&
	       !range__tree_overlap(leaf->held, 0, UINT64_MAX, true) && range__slot_find() &&
	       mmrange__try_heavy_fence();
}

static void begin_bias(struct range__lock *lock, struct range__leaf *leaf)
{
	MMRANGE__PROBE3(leaf_bias, lock, range__leaf_lo(leaf), range__leaf_hi(leaf));
	leaf->biased = true;
	range__leaf_next_generation(leaf);
	atomic_fetch_add_explicit(&lock->biases, 1, memory_order_relaxed);
}

void range__bias_note_locked(struct range__lock *lock, struct range__leaf *leaf,
			     const struct range__hold *range)
{
	uint32_t cost = atomic_load_explicit(&leaf->unbiased_cost, memory_order_relaxed);

	if (range->mode == RANGE_WRITE) {
		cost = 0;
	} else if (!range__bias_due(leaf)) {
		cost += RANGE__UNBIASED_COST_LOCKED;
	} else {
		cost = 0;
		if (leaf->biased)
			range__bias_revoke_leaf(lock, leaf);
		else if (can_be_biased(lock, leaf))
			begin_bias(lock, leaf);
	}
	set_unbiased_cost(leaf, cost);
}
