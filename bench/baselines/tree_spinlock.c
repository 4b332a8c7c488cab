/* SPDX-License-Identifier: MIT */
/*
 * tree_spinlock - an interval tree under one spinlock, as in the range locks proposed for Linux
 * (Jan Kara 2013, Davidlohr Bueso 2017 and 2018).
 *
 * A range counts the conflicting ranges that are in the tree when it arrives, enters the tree, and
 * is held when its count is 0. When it leaves the tree, it decrements the counts of the conflicting
 * ranges. A held range conflicts only with later ranges, so these are the ranges that counted it.
 * So conflicting ranges are granted in the order of their arrival.
 */
#include "lock_node.h"
#include "lock_ops.h"
#include "platform/platform.h"
#include "range_lock/interval_tree.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>

/* How often a thread looks before it gives up the processor: for the spinlock, and for a grant. */
enum { SPINS_BEFORE_YIELD = 100, SPINS_BEFORE_PARK = 200 };

enum grant { WAITING, PARKED, GRANTED };

struct tree_spinlock {
	atomic_bool locked;
	struct range__node *root;
};

static void spin_lock(struct tree_spinlock *tree)
{
	unsigned int spins = 0;

	/* acquire: pairs with spin_unlock() */
	while (atomic_exchange_explicit(&tree->locked, true, memory_order_acquire)) {
		while (atomic_load_explicit(&tree->locked, memory_order_relaxed)) {
			if (++spins < SPINS_BEFORE_YIELD)
				mmrange__relax();
			else
				sched_yield();
		}
	}
}

static void spin_unlock(struct tree_spinlock *tree)
{
	/* release: pairs with spin_lock() */
	atomic_store_explicit(&tree->locked, false, memory_order_release);
}

static struct range__hold *hold_of(struct lock_node *node)
{
	return range__hold(&node->range);
}

static struct lock_node *lock_node_of(struct range__node *node)
{
	return (struct lock_node *)(void *)range__public(range__hold_of(node));
}

static bool conflict(const struct range__hold *a, const struct range__hold *b)
{
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

static void wait_for_grant(struct lock_node *node)
{
	uint64_t state = WAITING;
	int spins;

	for (spins = 0; spins < SPINS_BEFORE_PARK; spins++) {
		/* acquire: pairs with grant() */
		if (atomic_load_explicit(&node->state, memory_order_acquire) == GRANTED)
			return;
		mmrange__relax();
	}
	/* acquire: pairs with grant(), which came first if this fails */
	if (!atomic_compare_exchange_strong_explicit(&node->state, &state, PARKED,
						     memory_order_acquire, memory_order_acquire))
		return;
	/* acquire: pairs with grant() */
	while (atomic_load_explicit(&node->state, memory_order_acquire) != GRANTED)
		mmrange__park(&node->state, PARKED, CLOCK_MONOTONIC, NULL);
}

/*
 * The owner may return as soon as the state is GRANTED. mmrange__unpark() does not touch the memory
 * at the address that it wakes.
 */
static void grant(struct lock_node *node)
{
	/* release: pairs with wait_for_grant() */
	if (atomic_exchange_explicit(&node->state, GRANTED, memory_order_release) == PARKED)
		mmrange__unpark(&node->state, false);
}

static int init(void *lock)
{
	struct tree_spinlock *tree = lock;

	atomic_init(&tree->locked, false);
	tree->root = NULL;
	return 0;
}

static int destroy(void *lock)
{
	struct tree_spinlock *tree = lock;

	return tree->root ? EBUSY : 0;
}

static int lock_range(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		      enum range_mode mode)
{
	struct tree_spinlock *tree = lock;
	struct range__hold *range = hold_of(node);
	struct range__node *other;
	uint32_t blockers = 0;

	range->start = start;
	range->end = end;
	range->mode = mode;
	spin_lock(tree);
	for (other = range__tree_first(tree->root, start, end); other;
	     other = range__tree_next(other, start, end))
		blockers += conflict(range__hold_of(other), range);
	node->blockers = blockers;
	/* relaxed: published by the spinlock */
	atomic_store_explicit(&node->state, WAITING, memory_order_relaxed);
	range__tree_insert(&tree->root, range, 0);
	spin_unlock(tree);
	if (blockers)
		wait_for_grant(node);
	return 0;
}

static void unlock_range(void *lock, struct lock_node *node)
{
	struct tree_spinlock *tree = lock;
	uint64_t start = node->range.start;
	uint64_t end = node->range.end;
	struct range__hold *range = hold_of(node);
	struct lock_node *granted = NULL;
	struct range__node *other;

	spin_lock(tree);
	range__tree_erase(&tree->root, &range->node[0]);
	for (other = range__tree_first(tree->root, start, end); other;
	     other = range__tree_next(other, start, end)) {
		struct lock_node *waiter = lock_node_of(other);

		if (!conflict(range__hold_of(other), range) || --waiter->blockers)
			continue;
		waiter->next = granted;
		granted = waiter;
	}
	spin_unlock(tree);
	while (granted) {
		struct lock_node *waiter = granted;

		granted = waiter->next;
		grant(waiter);
	}
}

const struct lock_ops tree_spinlock_ops = {
	.name = "tree_spinlock",
	.size = sizeof(struct tree_spinlock),
	.max_ranges = UINT32_MAX,
	.init = init,
	.destroy = destroy,
	.lock = lock_range,
	.unlock = unlock_range,
};
