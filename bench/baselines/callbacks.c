/* SPDX-License-Identifier: MIT */
#include "callbacks.h"
#include "lock_node.h"

#include <stdbool.h>

static _Thread_local struct {
	struct lock_node *first;
	struct lock_node *last;
	bool calls;
} granted;

static void append(struct lock_node *list)
{
	if (granted.first)
		granted.last->next = list;
	else
		granted.first = list;
	while (list->next)
		list = list->next;
	granted.last = list;
}

void callbacks_call(struct lock_node *list)
{
	if (!list)
		return;
	append(list);
	if (granted.calls)
		return;
	granted.calls = true;
	while (granted.first) {
		struct lock_node *node = granted.first;

		granted.first = node->next;
		node->callback(0, node->arg);
	}
	granted.calls = false;
}
