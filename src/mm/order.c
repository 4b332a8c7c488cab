/* SPDX-License-Identifier: MIT */
/*
 * The checked build's record of the locks that a thread holds. See lock.h for their order.
 */
#include "../platform/message.h"
#include "lock.h"

#ifdef MMRANGE_CHECKED

#define MAX_HELD 16u

struct held {
	enum mm__order order;
	/* Of a table: 3 is the top. Of a border node: 1 if locked with the VMA tree lock. */
	unsigned int level;
	/* Of a table: the address. Of a border node: 1 if it is the second one, only tried. */
	uint64_t addr;
};

static _Thread_local struct held held[MAX_HELD];
static _Thread_local unsigned int nr_held;

static const char *const names[] = {
	[MM__ORDER_RANGE] = "a range",
	[MM__ORDER_TREE] = "the VMA tree lock",
	[MM__ORDER_BORDER] = "the lock of a border node",
	[MM__ORDER_TABLE] = "the lock of a page table",
	[MM__ORDER_ATTACH] = "the attach lock",
	[MM__ORDER_ROOM] = "the lock of the room for VMAs",
	[MM__ORDER_THREADS] = "the lock of the threads",
	[MM__ORDER_INTERRUPT] = "the interrupt lock of a thread",
	[MM__ORDER_DEPOT] = "the lock of the free frames",
	[MM__ORDER_RCU] = "the lock of grace periods",
};

void mm__breach(const char *what)
{
	mmrange__stop("%s", what);
}

/* Whether a thread that holds old may take next. */
static bool may_follow(const struct held *old, const struct held *next)
{
	if (old->order != next->order)
		return old->order < next->order;
	if (next->order != MM__ORDER_TABLE && next->order != MM__ORDER_BORDER)
		return false;
	return next->level < old->level || (next->level == old->level && next->addr > old->addr);
}

static void check_order(const struct held *next)
{
	for (unsigned int i = 0; i < nr_held; i++)
		if (!may_follow(&held[i], next))
			mmrange__stop("%s is taken while %s is held", names[next->order],
				      names[held[i].order]);
}

void mm__order_check(enum mm__order order)
{
	const struct held next = { order, 0, 0 };

	check_order(&next);
}

void mm__order_take(enum mm__order order, unsigned int level, uint64_t addr)
{
	struct held next = { order, level, addr };

	check_order(&next);
	if (nr_held == MAX_HELD)
		mm__breach("a thread holds too many locks");
	held[nr_held++] = next;
}

/* Removes the last lock of this kind. */
void mm__order_drop(enum mm__order order)
{
	unsigned int i = nr_held;

	while (i && held[i - 1].order != order)
		i--;
	if (!i)
		mm__breach("a lock is dropped that is not held");
	for (nr_held--; i <= nr_held; i++)
		held[i - 1] = held[i];
}

void mm__order_may_block(const char *what)
{
	if (!nr_held)
		return;
	mmrange__stop("%s while %s is held", what, names[held[nr_held - 1].order]);
}

#endif
