/* SPDX-License-Identifier: MIT */
/*
 * Shows the ranges in a lock, with nothing locked while the caller's function runs. A look copies a
 * batch of ranges under the lock of their leaf; then the walk calls the function for each of them.
 *
 * The walk goes through parts of the key space, one after the other. A part is [lo, hi): lo is
 * where the part before ended, hi the upper bound of the leaf at lo at that moment. If a part has
 * more ranges than a batch, the walk looks at the part again. By then the part may lie in several
 * leaves, which the look goes through one by one, or in a leaf that covers more.
 *
 * Held ranges are in order by start and address, waiters by arrival and address. Neither start nor
 * arrival changes while a range waits, and only range_shrink() and range_tryextend() change the
 * start of a held range. A range is called steady if it is held, or waits, during the whole walk,
 * and its start does not change.
 *
 * Invariants:
 *
 *	WALK-1  A look copies a range only if its start lies in the part, and if the range comes
 *	        after the last range of its kind that the walk has shown in the part. So the walk
 *	        shows no range twice, even if a merge has brought it into a leaf together with later
 *	        ones.
 *	WALK-2  A look copies a range only if its start is at key or above, where key is the upper
 *	        bound of the leaf before. So if a merge brings copied ranges into the next leaf, the
 *	        look does not copy them again.
 *	WALK-3  A look comes to every steady range of its kind in the part, because a walk by key
 *	        finds each (range__find_and_lock()), and copies the first ones after the last one
 *	        shown. If it copies less than a batch, the walk then has shown all of this kind.
 *	WALK-4  A look copies no waiter that arrived after the walk had begun, and no held range
 *	        that starts beyond the last one that its part had when the walk came to it. So a
 *	        part has at most as many waiters to show as waited when the walk began. However
 *	        often threads acquire ranges meanwhile, the held ranges that the walk shows do not
 *	        go beyond that start.
 *
 * By WALK-3, the walk shows each steady range; by WALK-1 and WALK-2, once. WALK-4 excludes none of
 * them: a steady waiter arrived before the walk began, and a steady held range was in its part when
 * the walk came to it.
 */
#include "checked.h"
#include "copy.h"
#include "find.h"
#include "platform/platform.h"
#include "race.h"
#include "span.h"
#include "wait_tree.h"

enum { BATCH = 64 };

/* For a held range its start, for a waiter its arrival; then its address. */
struct place {
	uint64_t at;
	uintptr_t address;
};

struct entry {
	struct place place;
	struct range_info info;
};

struct walk {
	struct range__lock *lock;
	uint64_t lo, hi; /* the part */
	enum { NEXT_PART, HELD, WAITING } next;
	struct place last;   /* the last range of that kind that was shown in the part */
	uint64_t begun;      /* when the walk began */
	uint64_t last_start; /* of the ranges that were held when the walk came to the part */
	uint64_t key;        /* how far the look has come */
	unsigned int sorted; /* where that kind begins in the batch */
	unsigned int n;
	struct entry batch[BATCH];
};

static bool before(struct place a, struct place b)
{
	return a.at < b.at || (a.at == b.at && a.address < b.address);
}

/* A place before all ranges that start at lo or later, and before all waiters. */
static struct place place_before(uint64_t lo)
{
	return (struct place){ .at = lo };
}

static struct range_info info_of(struct range__hold *range, enum range_state state)
{
	bool upgrades = state != RANGE_STATE_HELD && range__marked(range, RANGE__UPGRADE);

	return (struct range_info){
		.range = range__public(upgrades ? range->upgrades : range),
		.start = range->start,
		.end = range->end,
		.mode = (enum range_mode)range->mode,
		.state = state,
		.thread = (uint32_t)(range->owner >> 32),
	};
}

/* Puts a range into the batch. If the batch is full, the last of all in the order stays out. */
static void offer_range(struct walk *walk, struct range__hold *range, uint64_t at,
			enum range_state state)
{
	const struct place place = { at, (uintptr_t)range };
	unsigned int k = walk->n;

	if (range->start < walk->key || walk->hi <= range->start || !before(walk->last, place))
		return;
	if (k < BATCH)
		walk->n++;
	else if (before(walk->batch[--k].place, place))
		return;
	for (; k > walk->sorted && before(place, walk->batch[k - 1].place); k--)
		walk->batch[k] = walk->batch[k - 1];
	walk->batch[k] = (struct entry){ place, info_of(range, state) };
}

/* With the leaf locked. The tree has the ranges in the order in which the walk shows them. */
static void offer_held(struct walk *walk, struct range__leaf *leaf)
{
	uintptr_t address = walk->key == walk->last.at ? walk->last.address : 0;
	struct range__node *node = range__tree_from(leaf->held, walk->key, address);

	for (; node && walk->n < BATCH; node = range__tree_next(node, 0, UINT64_MAX)) {
		struct range__hold *r = range__hold_of(node);

		if (walk->hi <= r->start || walk->last_start < r->start)
			return;
		offer_range(walk, r, r->start, RANGE_STATE_HELD);
	}
}

/* The arrival of an upgrade says nothing. */
static uint64_t begin_of_wait(const struct range__hold *w)
{
	return range__marked(w, RANGE__UPGRADE) ? w->since : w->arrival;
}

static void offer_waiter(struct walk *walk, struct range__hold *w)
{
	if (begin_of_wait(w) <= walk->begun)
		offer_range(walk, w, w->arrival,
			    w->starving ? RANGE_STATE_STARVING : RANGE_STATE_WAITING);
}

/* Whether all waiters of a subtree were shown already, or come after those of a full batch. */
static bool is_out_of_turn(const struct walk *walk, const struct range__hold *node)
{
	return node->place.max_arrival < walk->last.at ||
	       (walk->n == BATCH && walk->batch[BATCH - 1].place.at < node->place.min_arrival);
}

/* The depth of the recursion is that of the tree. */
static void offer_tree(struct walk *walk, struct range__hold *node)
{
	for (; node && !is_out_of_turn(walk, node); node = node->place.right) {
		offer_tree(walk, node->place.left);
		if (!(node->how & RANGE__LISTED))
			offer_waiter(walk, node);
	}
}

/* With the leaf locked. The walk shows a waiter that does not lie in one leaf where it begins. */
static void offer_waiting(struct walk *walk, struct range__leaf *leaf)
{
	offer_tree(walk, leaf->waiters);
	for (struct range__hold *w = leaf->wide; w; w = w->next_wide)
		offer_waiter(walk, w);
}

/*
 * Revokes the bias of the leaf: only after a reader in a slot has been adopted does the walk see it
 * for certain, and with its thread.
 */
static struct range__leaf *lock_next_leaf(struct walk *walk)
{
	struct range__leaf *leaf = range__find_and_lock(walk->lock, walk->key, NULL);

	range__bias_revoke_leaf(walk->lock, leaf);
	return leaf;
}

static uint64_t last_start(const struct range__node *root)
{
	while (root && root->right)
		root = root->right;
	return root ? range__hold_of(root)->start : 0;
}

/* Begins a part. If all of it fits into the batch, the look copies it at one moment. */
static void look_at_next_part(struct walk *walk)
{
	struct range__leaf *leaf;

	walk->lo = walk->key = walk->hi;
	leaf = lock_next_leaf(walk);
	walk->hi = range__leaf_hi(leaf);
	walk->last = place_before(walk->lo);
	walk->next = HELD;
	walk->last_start = last_start(leaf->held);
	offer_held(walk, leaf);
	if (walk->n < BATCH) {
		walk->sorted = walk->n;
		walk->last = place_before(0);
		walk->next = WAITING;
		offer_waiting(walk, leaf);
	}
	range__leaf_unlock(leaf, NULL);
}

/* Once the batch is full of held ranges, those in later leaves come too late for it. */
static void look_at_part_again(struct walk *walk)
{
	walk->key = walk->next == HELD ? walk->last.at : walk->lo;
	while (walk->key < walk->hi && (walk->next == WAITING || walk->n < BATCH)) {
		struct range__leaf *leaf = lock_next_leaf(walk);

		if (walk->next == HELD)
			offer_held(walk, leaf);
		else
			offer_waiting(walk, leaf);
		walk->key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
}

/* Fills the batch, which may stay empty; false: the walk is over. */
static bool fill_batch(struct walk *walk)
{
	if (walk->next == NEXT_PART && walk->hi == UINT64_MAX)
		return false;
	walk->n = walk->sorted = 0;
	if (walk->next == NEXT_PART)
		look_at_next_part(walk);
	else
		look_at_part_again(walk);
	if (walk->n == BATCH) {
		walk->last = walk->batch[BATCH - 1].place;
	} else if (walk->next == HELD) {
		walk->next = WAITING;
		walk->last = place_before(0);
	} else {
		walk->next = NEXT_PART;
	}
	return true;
}

static int tell(struct walk *walk, unsigned int i,
		int (*fn)(const struct range_info *info, void *arg), void *arg)
{
	int result;

	range__race_callback_begins();
	result = range__checked_tell(walk->lock, fn, &walk->batch[i].info, arg);
	range__race_callback_ends();
	return result;
}

int range_lock_foreach(struct range_lock *lock_,
		       int (*fn)(const struct range_info *info, void *arg), void *arg)
{
	struct range__lock *lock = range__lock(lock_);
	struct walk walk = { .lock = lock };
	int cancel_state, result = 0;

	range__race_enter();
	range__copy_check(lock);
	range__checked_lock(lock);
	walk.begun = mmrange__now();
	cancel_state = mmrange__cancel_disable();
	while (!result && fill_batch(&walk))
		for (unsigned int i = 0; i < walk.n && !result; i++)
			result = tell(&walk, i, fn, arg);
	mmrange__cancel_restore(cancel_state);
	range__race_leave();
	return result;
}
