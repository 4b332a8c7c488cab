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
	[MM__ORDER_BORDER] = "the lock of a leaf of VMAs",
	[MM__ORDER_TABLE] = "the lock of a page table",
	[MM__ORDER_ATTACH] = "the lock of who uses what",
	[MM__ORDER_ROOM] = "the lock of the room for VMAs",
	[MM__ORDER_THREADS] = "the lock of the threads",
	[MM__ORDER_INTERRUPT] = "the lock by which a thread is stopped",
	[MM__ORDER_DEPOT] = "the lock of the free frames",
	[MM__ORDER_RCU] = "the lock of grace periods",
};

void mm__breach(const char *what)
{
	mmrange__stop("%s", what);
}

/* Whether a thread that holds old may take new. */
static bool may_follow(const struct held *old, const struct held *new)
{
	if (old->order != new->order)
		return old->order < new->order;
	if (new->order != MM__ORDER_TABLE &&new->order != MM__ORDER_BORDER)
		return false;
	return new->level < old->level || (new->level == old->level &&new->addr > old->addr);
}

void mm__order_take(enum mm__order order, unsigned int level, uint64_t addr)
{
	struct held new = { order, level, addr };

	for (unsigned int i = 0; i < nr_held; i++) {
		if (may_follow(&held[i], &new))
			continue;
		mmrange__stop("%s is taken while %s is held", names[order], names[held[i].order]);
	}
	if (nr_held == MAX_HELD)
		mm__breach("a thread holds too many locks");
	held[nr_held++] = new;
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
