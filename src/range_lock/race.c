/* SPDX-License-Identifier: MIT */
#include "race.h"

/* What an object stands for: of a node, with the mode of the release; or of an address. */
enum object { WHOLE, PART, REQUEST, CANCEL, HOOK };

/* One of several bijections of 64-bit numbers that mix well (Vigna's splitmix64). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Tags whose numbers differ in the last bits only are close to each other. */
enum { CLOSE_BITS = 6, CLOSE_MASK = (1 << CLOSE_BITS) - 1 };

static uint64_t tag_of(const struct range__lock *lock, enum object object, unsigned int kind,
		       uint64_t number)
{
	uint64_t group =
		mix(mix(mix((uintptr_t)lock) + (number >> CLOSE_BITS)) + kind * 8 + object);

	return group << CLOSE_BITS | (number & CLOSE_MASK);
}

/* The root has level 32. */
enum { ROOT_LEVEL = 32, CHILDREN = 4, CHILD_BITS = 2 };

struct node {
	uint64_t first; /* its first key */
	unsigned int level;
};

/* The root ends with the last number, which is no key. */
static uint64_t last_of(struct node node)
{
	unsigned int bits = CHILD_BITS * node.level;

	return node.first + (bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX);
}

static struct node child_of(struct node parent, unsigned int i)
{
	unsigned int level = parent.level - 1;

	return (struct node){ parent.first + ((uint64_t)i << CHILD_BITS * level), level };
}

struct nodes {
	struct range__lock *lock;
	uint64_t first, last; /* keys */
	enum range_mode mode;
	void (*visit)(const struct nodes *nodes, struct node node, bool whole);
};

/* Visits a node that the range overlaps, and those below. At most two of a level are not whole. */
static void visit_nodes(const struct nodes *nodes, struct node node)
{
	bool whole = nodes->first <= node.first && last_of(node) <= nodes->last;

	nodes->visit(nodes, node, whole);
	for (unsigned int i = 0; !whole && i < CHILDREN; i++) {
		struct node child = child_of(node, i);

		if (child.first <= nodes->last && nodes->first <= last_of(child))
			visit_nodes(nodes, child);
	}
}

/* UINT64_MAX, where the full range ends, stands for what is behind the last number. */
static void visit_range(struct nodes *nodes, uint64_t start, uint64_t end)
{
	nodes->first = start;
	nodes->last = end == UINT64_MAX ? end : end - 1;
	if (start < end)
		visit_nodes(nodes, (struct node){ 0, ROOT_LEVEL });
}

static uint64_t tag_of_node(const struct nodes *nodes, struct node node, enum object object,
			    enum range_mode mode)
{
	uint64_t number = node.level < ROOT_LEVEL ? node.first >> CHILD_BITS * node.level : 0;

	return tag_of(nodes->lock, object, 2 * node.level + mode, number);
}

static void release_node(const struct nodes *nodes, struct node node, bool whole)
{
	mmrange__detector_release(tag_of_node(nodes, node, whole ? WHOLE : PART, nodes->mode));
}

static void acquire_node(const struct nodes *nodes, struct node node, bool whole)
{
	enum range_mode mode = nodes->mode == RANGE_WRITE ? RANGE_READ : RANGE_WRITE;

	for (; mode <= RANGE_WRITE; mode++) {
		mmrange__detector_acquire(tag_of_node(nodes, node, WHOLE, mode));
		if (whole)
			mmrange__detector_acquire(tag_of_node(nodes, node, PART, mode));
	}
}

void range__race_acquired_known(struct range__lock *lock, uint64_t start, uint64_t end,
				enum range_mode mode)
{
	struct nodes nodes = { .lock = lock, .mode = mode, .visit = acquire_node };

	visit_range(&nodes, start, end);
}

void range__race_release_known(struct range__lock *lock, uint64_t start, uint64_t end,
			       enum range_mode mode)
{
	struct nodes nodes = { .lock = lock, .mode = mode, .visit = release_node };

	visit_range(&nodes, start, end);
}

/* The address of its first range stands for a set. */
static uint64_t tag_of_set(const struct range__set *set, enum object object)
{
	return tag_of(set->lock, object, 0, (uintptr_t)range__set_hold(set, 0));
}

void range__race_request_known(const struct range__set *set)
{
	mmrange__detector_release(tag_of_set(set, REQUEST));
}

void range__race_answer_known(const struct range__set *set)
{
	mmrange__detector_acquire(tag_of_set(set, REQUEST));
}

void range__race_cancel_known(const struct range__set *set)
{
	mmrange__detector_release(tag_of_set(set, CANCEL));
}

static void give_back(const struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++)
		mmrange__detector_forget(range__set_hold(set, i), sizeof(struct range_hold));
}

void range__race_ended_known(const struct range__set *set, int error)
{
	if (error == EINPROGRESS)
		return;
	for (size_t i = 0; !error && i < set->n; i++) {
		const struct range__hold *range = range__set_hold(set, i);

		range__race_acquired_known(set->lock, range->start, range->end, range->mode);
	}
	if (error == ECANCELED)
		mmrange__detector_acquire(tag_of_set(set, CANCEL));
	if (error)
		give_back(set);
	if (set->requests)
		mmrange__detector_forget(set->requests, set->n * sizeof *set->requests);
	mmrange__detector_forget(set, sizeof *set);
}

void range__race_hook_begins_known(const struct range__lock *lock)
{
	mmrange__detector_acquire(tag_of(lock, HOOK, 0, 0));
	mmrange__detector_listen();
}

void range__race_hook_ends_known(const struct range__lock *lock)
{
	mmrange__detector_hush();
	mmrange__detector_release(tag_of(lock, HOOK, 0, 0));
}
