/* SPDX-License-Identifier: MIT */
/*
 * callback_ranges - a mutex and a list of ranges, as storage programs have them for themselves.
 *
 * The list has all ranges in the order of their arrival, those that are held, too. A range counts
 * the conflicting ranges in front of it, and is held when its count is 0. A range that leaves the
 * list decrements the counts of the conflicting ranges behind it.
 */
#include "callbacks.h"
#include "lock_node.h"
#include "lock_ops.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

struct callback_ranges {
	pthread_mutex_t mutex;
	struct lock_node *first;
	struct lock_node *last;
};

static int init(void *lock)
{
	struct callback_ranges *list = lock;

	list->first = list->last = NULL;
	return pthread_mutex_init(&list->mutex, NULL);
}

static int destroy(void *lock)
{
	struct callback_ranges *list = lock;

	return list->first ? EBUSY : pthread_mutex_destroy(&list->mutex);
}

static bool conflict(const struct lock_node *a, const struct lock_node *b)
{
	return a->range.start < b->range.end && b->range.start < a->range.end &&
	       (a->range.mode == RANGE_WRITE || b->range.mode == RANGE_WRITE);
}

static uint32_t append(struct callback_ranges *list, struct lock_node *node)
{
	struct lock_node *other;
	uint32_t blockers = 0;

	for (other = list->first; other; other = other->later)
		blockers += conflict(other, node);
	node->earlier = list->last;
	node->later = NULL;
	*(list->last ? &list->last->later : &list->first) = node;
	list->last = node;
	node->blockers = blockers;
	return blockers;
}

static int lock_async(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		      enum range_mode mode, range_callback *callback, void *arg)
{
	struct callback_ranges *list = lock;
	bool waits;

	node->range.start = start;
	node->range.end = end;
	node->range.mode = mode;
	node->callback = callback;
	node->arg = arg;
	pthread_mutex_lock(&list->mutex);
	waits = append(list, node) > 0;
	pthread_mutex_unlock(&list->mutex);
	return waits ? EINPROGRESS : 0;
}

/* Returns the ranges behind the node that are held now. */
static struct lock_node *erase(struct callback_ranges *list, struct lock_node *node)
{
	struct lock_node *granted = NULL, **end = &granted, *other;

	for (other = node->later; other; other = other->later) {
		if (!conflict(other, node) || --other->blockers)
			continue;
		*end = other;
		end = &other->next;
	}
	*end = NULL;
	*(node->earlier ? &node->earlier->later : &list->first) = node->later;
	*(node->later ? &node->later->earlier : &list->last) = node->earlier;
	return granted;
}

static void unlock(void *lock, struct lock_node *node)
{
	struct callback_ranges *list = lock;
	struct lock_node *granted;

	pthread_mutex_lock(&list->mutex);
	granted = erase(list, node);
	pthread_mutex_unlock(&list->mutex);
	callbacks_call(granted);
}

const struct lock_ops callback_ranges_ops = {
	.name = "callback_ranges",
	.size = sizeof(struct callback_ranges),
	.max_ranges = 10000,
	.init = init,
	.destroy = destroy,
	.lock_async = lock_async,
	.unlock = unlock,
};
