/* SPDX-License-Identifier: MIT */
/*
 * Nodes have no pointer to their parent, as a range_hold has no room for one. Every change goes
 * down from the root by the order of the tree, and repairs heights, balance and augmentation on the
 * way back. The depth is at most 1.44 log2(n).
 */
#include "wait_tree.h"

static unsigned int waiter_height(const struct range__hold *node)
{
	return node ? node->place.height : 0;
}

static int waiter_balance(const struct range__hold *node)
{
	return (int)waiter_height(node->place.left) - (int)waiter_height(node->place.right);
}

static void add_child(struct range__place *place, const struct range__hold *child)
{
	if (!child)
		return;
	if (child->place.height >= place->height)
		place->height = (uint8_t)(child->place.height + 1);
	if (child->place.max_end > place->max_end)
		place->max_end = child->place.max_end;
	if (child->place.min_arrival < place->min_arrival)
		place->min_arrival = child->place.min_arrival;
	if (child->place.max_arrival > place->max_arrival)
		place->max_arrival = child->place.max_arrival;
	place->kinds |= child->place.kinds;
}

static void summarize_waiter(struct range__place *place, const struct range__hold *node)
{
	place->height = 1;
	place->max_end = node->end;
	place->min_arrival = place->max_arrival = node->arrival;
	place->kinds = (uint16_t)(1u << node->place.kind);
	add_child(place, node->place.left);
	add_child(place, node->place.right);
}

static struct range__hold *rotate_waiter_right(struct range__hold *node)
{
	struct range__hold *up = node->place.left;

	node->place.left = up->place.right;
	up->place.right = node;
	summarize_waiter(&node->place, node);
	summarize_waiter(&up->place, up);
	return up;
}

static struct range__hold *rotate_waiter_left(struct range__hold *node)
{
	struct range__hold *up = node->place.right;

	node->place.right = up->place.left;
	up->place.left = node;
	summarize_waiter(&node->place, node);
	summarize_waiter(&up->place, up);
	return up;
}

/* A child of the node has changed; returns the root of the subtree. */
static struct range__hold *repair_waiter(struct range__hold *node)
{
	if (waiter_balance(node) > 1) {
		if (waiter_balance(node->place.left) < 0)
			node->place.left = rotate_waiter_left(node->place.left);
		return rotate_waiter_right(node);
	}
	if (waiter_balance(node) < -1) {
		if (waiter_balance(node->place.right) > 0)
			node->place.right = rotate_waiter_right(node->place.right);
		return rotate_waiter_left(node);
	}
	summarize_waiter(&node->place, node);
	return node;
}

/* The order of the tree. */
static bool waiter_comes_before(const struct range__hold *a, const struct range__hold *b)
{
	if (a->place.kind != b->place.kind)
		return a->place.kind < b->place.kind;
	if (a->start != b->start)
		return a->start < b->start;
	if (a->arrival != b->arrival)
		return a->arrival < b->arrival;
	return (uintptr_t)a < (uintptr_t)b;
}

static struct range__hold *insert_below(struct range__hold *node, struct range__hold *waiter)
{
	if (!node)
		return waiter;
	if (waiter_comes_before(waiter, node))
		node->place.left = insert_below(node->place.left, waiter);
	else
		node->place.right = insert_below(node->place.right, waiter);
	return repair_waiter(node);
}

void range__waiters_insert(struct range__hold **root, struct range__hold *waiter, unsigned int kind)
{
	waiter->place.left = waiter->place.right = NULL;
	waiter->place.kind = (uint8_t)kind;
	summarize_waiter(&waiter->place, waiter);
	*root = insert_below(*root, waiter);
}

/* Takes the first node of a subtree out, and returns the rest. */
static struct range__hold *take_first(struct range__hold *node, struct range__hold **first)
{
	if (!node->place.left) {
		*first = node;
		return node->place.right;
	}
	node->place.left = take_first(node->place.left, first);
	return repair_waiter(node);
}

static struct range__hold *erase_below(struct range__hold *node, const struct range__hold *waiter)
{
	struct range__hold *next;

	if (node != waiter) {
		if (waiter_comes_before(waiter, node))
			node->place.left = erase_below(node->place.left, waiter);
		else
			node->place.right = erase_below(node->place.right, waiter);
		return repair_waiter(node);
	}
	if (!node->place.left || !node->place.right)
		return node->place.left ? node->place.left : node->place.right;
	/* The next one takes its place. */
	node->place.right = take_first(node->place.right, &next);
	next->place.left = node->place.left;
	next->place.right = node->place.right;
	return repair_waiter(next);
}

void range__waiters_erase(struct range__hold **root, struct range__hold *waiter)
{
	*root = erase_below(*root, waiter);
}

struct waiter_search {
	uint64_t start;
	uint64_t end;
	const struct range__hold *before;
	bool latest;
	struct range__hold *found;
	uint64_t min, max; /* the arrivals that are of interest */
};

static bool can_have(const struct range__hold *node, unsigned int kinds,
		     const struct waiter_search *search)
{
	return node && (node->place.kinds & kinds) && node->place.max_end > search->start &&
	       node->place.min_arrival <= search->max && node->place.max_arrival >= search->min;
}

static bool matches(const struct range__hold *node, unsigned int kinds,
		    const struct waiter_search *search)
{
	return (kinds >> node->place.kind & 1) && node->start < search->end &&
	       search->start < node->end && node->arrival <= search->max &&
	       node->arrival >= search->min &&
	       (!search->before || range__earlier(node, search->before)) &&
	       (!search->found || range__earlier(node, search->found) != search->latest);
}

static void note_found(struct range__hold *node, struct waiter_search *search)
{
	search->found = node;
	/* One of the same time may come before it, or after it, all the same. */
	if (search->latest)
		search->min = node->arrival;
	else
		search->max = node->arrival;
}

/* Whether the search goes to the left first. */
static bool left_is_better(const struct range__hold *left, const struct range__hold *right,
			   const struct waiter_search *search)
{
	return search->latest ? left->place.max_arrival >= right->place.max_arrival
			      : left->place.min_arrival <= right->place.min_arrival;
}

static void search_below(struct range__hold *node, unsigned int kinds, struct waiter_search *search)
{
	while (can_have(node, kinds, search)) {
		struct range__hold *left = node->place.left, *right = node->place.right;
		unsigned int on_right = kinds;

		if (matches(node, kinds, search))
			note_found(node, search);
		/* To the right, nodes of this kind start no earlier, and none is of a lower one. */
		if (node->start >= search->end)
			on_right &= ~((2u << node->place.kind) - 1);
		if (!can_have(left, kinds, search)) {
			node = right;
			kinds = on_right;
		} else if (!can_have(right, on_right, search)) {
			node = left;
		} else if (left_is_better(left, right, search)) {
			search_below(left, kinds, search);
			node = right;
			kinds = on_right;
		} else {
			search_below(right, on_right, search);
			node = left;
		}
	}
}

struct range__hold *range__waiters_earliest(struct range__hold *root, unsigned int kinds,
					    uint64_t start, uint64_t end,
					    const struct range__hold *before)
{
	struct waiter_search search = { .start = start,
					.end = end,
					.before = before,
					.max = before ? before->arrival : UINT64_MAX };

	search_below(root, kinds, &search);
	return search.found;
}

struct range__hold *range__waiters_latest(struct range__hold *root, unsigned int kinds,
					  uint64_t start, uint64_t end,
					  const struct range__hold *before)
{
	struct waiter_search search = { .start = start,
					.end = end,
					.before = before,
					.latest = true,
					.max = before ? before->arrival : UINT64_MAX };

	search_below(root, kinds, &search);
	return search.found;
}

struct range__hold *range__waiters_first(struct range__hold *root)
{
	while (root && root->place.left)
		root = root->place.left;
	return root;
}

struct range__hold *range__waiters_next(struct range__hold *root, const struct range__hold *waiter)
{
	struct range__hold *next = NULL;

	while (root) {
		if (waiter_comes_before(waiter, root)) {
			next = root;
			root = root->place.left;
		} else {
			root = root->place.right;
		}
	}
	return next;
}

struct range__hold *range__waiters_with(struct range__hold *root, const struct range__hold *range)
{
	struct range__hold *found = NULL;

	for (; root && !found; root = root->place.right)
		found = range__waits_with(root, range)
				? root
				: range__waiters_with(root->place.left, range);
	return found;
}

static bool summary_is_right(const struct range__hold *node)
{
	struct range__place place;

	summarize_waiter(&place, node);
	return place.height == node->place.height && place.max_end == node->place.max_end &&
	       place.min_arrival == node->place.min_arrival &&
	       place.max_arrival == node->place.max_arrival && place.kinds == node->place.kinds;
}

static bool waiters_below_valid(const struct range__hold *node, const struct range__hold **previous)
{
	if (!node)
		return true;
	if (!waiters_below_valid(node->place.left, previous) ||
	    (*previous && !waiter_comes_before(*previous, node)))
		return false;
	*previous = node;
	return waiter_balance(node) <= 1 && waiter_balance(node) >= -1 && summary_is_right(node) &&
	       waiters_below_valid(node->place.right, previous);
}

bool range__waiters_valid(const struct range__hold *root)
{
	const struct range__hold *previous = NULL;

	return waiters_below_valid(root, &previous);
}
