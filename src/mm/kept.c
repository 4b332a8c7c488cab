/* SPDX-License-Identifier: MIT */
/*
 * The memory of areas that a thread has freed, which it uses for the next ones: so an operation in its own
 * place does not allocate. It lies in the thread's state of RCU, whose functions free areas.
 */
#include "internal.h"
#include "memory.h"

/*
 * Beside a batch of RCU: a batch comes when something is left of the one before. An area weighs one line in a
 * batch, which grows with the number of threads.
 */
#define KEPT_BESIDE 1024u

static void keep(struct mm__rcu_thread *self, struct mm__garbage *memory)
{
	memory->next = self->kept;
	self->kept = memory;
	self->nr_kept++;
}

bool mm__areas_stock(unsigned int n)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	while (self->nr_kept < n) {
		struct mm__area *area =
			mm__allocate(_Alignof(struct mm__area), sizeof(struct mm__area));

		if (!area)
			return false;
		keep(self, &area->garbage);
	}
	return true;
}

struct mm__area *mm__area_take(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;
	struct mm__garbage *memory = self->kept;

	mm__check(memory, "an operation uses more areas than it reserved");
	self->kept = memory->next;
	self->nr_kept--;
	return (struct mm__area *)memory;
}

void mm__area_drop(struct mm__garbage *garbage)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	if (self && self->nr_kept < self->batch + KEPT_BESIDE)
		keep(self, garbage);
	else
		mm__free(garbage);
}
