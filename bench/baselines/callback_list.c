/* SPDX-License-Identifier: MIT */
/*
 * callback_list - the least that a program needs for itself: a mutex, whether the data is locked,
 * and a list of the callbacks that wait, first come, first served. It has neither ranges nor
 * readers.
 */
#include "callbacks.h"
#include "lock_node.h"
#include "lock_ops.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

struct callback_list {
	pthread_mutex_t mutex;
	bool held;
	struct lock_node *first;
	struct lock_node *last;
};

static int init(void *lock)
{
	struct callback_list *list = lock;

	list->held = false;
	list->first = NULL;
	return pthread_mutex_init(&list->mutex, NULL);
}

static int destroy(void *lock)
{
	struct callback_list *list = lock;

	return list->held ? EBUSY : pthread_mutex_destroy(&list->mutex);
}

static int lock_async(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		      enum range_mode mode, range_callback *callback, void *arg)
{
	struct callback_list *list = lock;
	int result = 0;

	(void)start;
	(void)end;
	(void)mode;
	pthread_mutex_lock(&list->mutex);
	if (list->held) {
		node->callback = callback;
		node->arg = arg;
		node->next = NULL;
		if (list->first)
			list->last->next = node;
		else
			list->first = node;
		list->last = node;
		result = EINPROGRESS;
	}
	list->held = true;
	pthread_mutex_unlock(&list->mutex);
	return result;
}

static void unlock(void *lock, struct lock_node *node)
{
	struct callback_list *list = lock;
	struct lock_node *granted;

	(void)node;
	pthread_mutex_lock(&list->mutex);
	granted = list->first;
	if (granted) {
		list->first = granted->next;
		granted->next = NULL;
	} else {
		list->held = false;
	}
	pthread_mutex_unlock(&list->mutex);
	callbacks_call(granted);
}

const struct lock_ops callback_list_ops = {
	.name = "callback_list",
	.size = sizeof(struct callback_list),
	.init = init,
	.destroy = destroy,
	.lock_async = lock_async,
	.unlock = unlock,
};
