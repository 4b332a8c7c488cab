/* SPDX-License-Identifier: MIT */
#ifdef MMRANGE_PROBES
/* The tracer counts in this variable how often it has enabled the probe: see <sys/sdt.h>. */
#define _SDT_HAS_SEMAPHORES 1
extern volatile unsigned short libmmrange_range_wait_for_semaphore;
volatile unsigned short libmmrange_range_wait_for_semaphore
	__attribute__((section(".probes"), used));
#define IS_TRACED (libmmrange_range_wait_for_semaphore > 0)
#else
#define IS_TRACED false
#endif

#include "blocker.h"
#include "find.h"
#include "platform/probe.h"
#include "short_lock.h"
#include "wait_tree.h"

static bool is_blocked_by(const struct range__hold *range, const struct range__hold *waiter)
{
	return waiter->starving && range__earlier(waiter, range) && range__conflict(waiter, range);
}

/* What the range stands for if it waits for an upgrade is no obstacle. */
static bool is_obstacle(const struct range__hold *held, const struct range__hold *range)
{
	return range__conflict(held, range) &&
	       !(range__marked(range, RANGE__UPGRADE) && held == range->upgrades);
}

static const struct range__hold *held_in(struct range__leaf *leaf, const struct range__hold *range)
{
	struct range__node *node = range__tree_first(leaf->held, range->start, range->end);

	while (node && !is_obstacle(range__hold_of(node), range))
		node = range__tree_next(node, range->start, range->end);
	return node ? range__hold_of(node) : NULL;
}

static const struct range__hold *starving_in(struct range__leaf *leaf,
					     const struct range__hold *range)
{
	unsigned int kinds =
		range->mode == RANGE_WRITE ? KINDS_STARVING : KINDS_STARVING & KINDS_WRITING;

	return range__waiters_earliest(leaf->waiters, kinds, range->start, range->end, range);
}

static uint32_t thread_of(const struct range__hold *range)
{
	return range ? (uint32_t)(range->owner >> 32) : 0;
}

/* While the leaf is locked, the claims that overlap it stay. */
static uint32_t claim_in(struct range__lock *lock, struct range__leaf *leaf,
			 const struct range__hold *range)
{
	const struct range__hold *claim;
	uint32_t thread;

	if (leaf->nr_claims == 0)
		return 0;
	range__short_lock(&lock->claims_mutex);
	claim = lock->claims;
	while (claim && !is_blocked_by(range, claim))
		claim = claim->next_claim;
	thread = thread_of(claim);
	range__short_unlock(&lock->claims_mutex);
	return thread;
}

static uint32_t thread_in(struct range__lock *lock, struct range__leaf *leaf,
			  const struct range__hold *range)
{
	const struct range__hold *found = held_in(leaf, range);

	if (!found)
		found = starving_in(leaf, range);
	return found ? thread_of(found) : claim_in(lock, leaf, range);
}

static uint32_t thread_between(struct range__lock *lock, uint64_t key, uint64_t end,
			       const struct range__hold *range)
{
	struct range__leaf *hint = NULL;
	uint32_t thread = 0;

	while (key < end && !thread) {
		struct range__leaf *leaf = range__find_and_lock(lock, key, hint);

		thread = thread_in(lock, leaf, range);
		key = range__leaf_hi(leaf);
		hint = range__leaf_right(leaf);
		range__leaf_unlock(leaf, NULL);
	}
	return thread;
}

/* A range that covers a leaf is recorded where it begins, maybe far below. */
uint32_t range__blocker(struct range__lock *lock, const struct range__hold *range)
{
	uint32_t thread = thread_between(lock, range->start, range->end, range);

	return thread ? thread : thread_between(lock, 0, range->start, range);
}

void range__blocker_probe(const struct range__set *set, const struct range__hold *range)
{
	uint32_t thread;

	if (!IS_TRACED)
		return;
	thread = range__blocker(set->lock, range);
	if (thread)
		MMRANGE__PROBE6(range_wait_for, set->lock, range->start, range->end, range->mode,
				range__set_hold(set, 0), thread);
}
