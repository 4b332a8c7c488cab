/* SPDX-License-Identifier: MIT */
/*
 * The memory is in the thread's state of RCU, whose functions free VMAs. An operation in the
 * thread's own place therefore does not allocate.
 */
#include "vma_memory.h"

#include "inode.h"
#include "memory.h"

/*
 * VMAs that a thread keeps in addition to a batch of RCU. When a batch arrives, the thread may
 * still have VMAs of the one before. A VMA weighs one line in a batch, and a batch grows with the
 * number of threads.
 */
#define KEPT_BESIDE 1024u

static void keep_memory(struct mm__rcu_thread *self, struct mm__garbage *memory)
{
	memory->next = self->kept;
	self->kept = memory;
	self->nr_kept++;
}

bool mm__vmas_stock(unsigned int n)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	while (self->nr_kept < n) {
		struct mm__vma *vma =
			mm__allocate(_Alignof(struct mm__vma), sizeof(struct mm__vma));

		if (!vma)
			return false;
		keep_memory(self, &vma->garbage);
	}
	return true;
}

struct mm__vma *mm__vma_take(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;
	struct mm__garbage *memory = self->kept;

	mm__check(memory, "an operation uses more VMAs than it reserved");
	self->kept = memory->next;
	self->nr_kept--;
	return (struct mm__vma *)memory;
}

void mm__vma_drop(struct mm__garbage *garbage)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	if (self && self->nr_kept < self->batch + KEPT_BESIDE)
		keep_memory(self, garbage);
	else
		mm__free(garbage);
}

void mm__vma_put_inode(const struct mm__vma *vma)
{
	if (vma->inode)
		mm__inode_put(vma->inode);
}

void mm__vmas_free(struct mm__garbage *list)
{
	uint64_t lines = 0;

	if (!list)
		return;
	/*
	 * A fault that still finds a VMA also finds its inode, because the inode lives as long as
	 * the VMA.
	 */
	for (struct mm__garbage *garbage = list; garbage; garbage = garbage->next, lines++)
		mm__vma_put_inode((struct mm__vma *)garbage);
	mm__rcu_defer(list, lines);
	mm__rcu_throttle();
}
