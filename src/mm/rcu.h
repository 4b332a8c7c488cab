/* SPDX-License-Identifier: MIT */
/*
 * rcu - read-copy-update: readers take no lock and write only to a line of their own; what they may
 * still reach is freed after a grace period.
 *
 * Objects are published by release stores and found by acquire loads; rcu.c only tells when no reader
 * can hold an object any more that was unlinked before. The epoch counts the grace periods that have
 * begun. A thread in a read section has stored the epoch that it saw when the section began.
 *
 *	reader                               grace period, with the lock of rcu.c
 *	[RCU-R1] seen = epoch, release       [RCU-G1] heavy fence
 *	         light fence                 [RCU-G2] epoch + 1
 *	[RCU-R2] finds and uses objects      [RCU-G3] waits until each seen is 0 or the new epoch,
 *	[RCU-R3] seen = 0, release                    acquire
 *	                                     [RCU-G4] objects unlinked before G1 are freed
 *
 * Claim: no section that may have found such an object is open at G4. Take a section, and the
 * fences of the reader's R1 and of G1, which are a pair.
 *
 * - G1 first: all that R2 loads, it loads after the unlinking: the section finds none of the objects.
 * - The light fence first: G3 sees R1 or something later of that reader, and R1 loaded an epoch from
 *   before G2, since a load that saw G2 would be after G1. So G3 waits, until it loads what R3 or a
 *   later R1 of the same reader stored. Both are releases: what the section did is before G4.
 *
 * A later R1 that stored the new epoch saw G2, and its section is of the first kind. One that stored
 * the old epoch makes G3 wait for longer, for one more section at most: the epoch has changed by then.
 *
 * A thread that registers after G1 does so under the lock, and is of the first kind.
 *
 * Giving away: each thread has a limbo for what it has unlinked, where objects lie in batches: one
 * batch waits for a grace period, the next one gathers. No thread frees in the background: a thread
 * whose gathering batch is full looks once whether the period of the other is over, and goes on if it
 * is not. Only if too much is pending, it waits. See rcu.c for the bounds. Any thread may take what
 * lies in all limbos, and frees that itself.
 */
#ifndef MM_RCU_H
#define MM_RCU_H

#include "../platform/platform.h"
#include "lock.h"
#include "table_lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* An address space for one thread has no readers to wait for (see lock.h), nor has a model of it. */
#if defined(MM__FLOOR) || defined(MM__NO_READERS)
#define MM__RCU 0
#else
#define MM__RCU 1
#endif

/* First in what is freed after a grace period. */
struct mm__garbage {
	struct mm__garbage *next;
	void (*free)(struct mm__garbage *garbage); /* NULL: free() */
};

struct mm__rcu_batch {
	struct mm__garbage *first; /* NULL: empty */
	struct mm__garbage *last;
	uint64_t weight;
	uint64_t target; /* freed when the grace period of this epoch is over */
};

struct mm__rcu_limbo {
	struct mm__table_lock lock; /* of the next three */
	struct mm__rcu_batch fresh;
	uint64_t weight; /* of both batches */
	uint64_t due;    /* the weight at which to look again */

	struct mm__rcu_batch waiting; /* with the lock of rcu.c */
};

/* A thread that reads or gives away. */
struct mm__rcu_thread {
	_Alignas(128) _Atomic(uint64_t) seen; /* 0: in no read section */
	uint32_t nesting;
	_Atomic(uint64_t) freeing; /* a ticket while it frees what was taken from limbo, else 0 */
	bool due;                  /* what it gave away last made so much that it has to look */
	struct mm__rcu_limbo limbo;
	uint64_t batch;           /* of the limbo, as of the thread's last look; the thread's own */
	struct mm__garbage *kept; /* see kept.c */
	unsigned int nr_kept;

	/* With the lock of rcu.c. */
	_Alignas(128) uint64_t passed; /* the last epoch whose period needs not wait for it */
	struct mm__rcu_thread *next;
	struct mm__rcu_thread **link;
};

/* The calling thread; NULL: not registered. */
extern MMRANGE__THREAD_LOCAL struct mm__rcu_thread *mm__rcu_self;

/* Only read but for the beginning of a grace period. */
struct mm__rcu_epoch {
	_Alignas(128) _Atomic(uint64_t) now;
};
extern struct mm__rcu_epoch mm__rcu_epoch;

/* Registers the calling thread, which is not registered. */
void mm__rcu_begin_thread(struct mm__rcu_thread *thread);
/* What it has given away is freed later. May wait for a grace period. No lock is held. */
void mm__rcu_end_thread(struct mm__rcu_thread *thread);

/* Read sections nest, and block no thread. The thread is registered. */
static inline void mm__rcu_read_lock(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	if (!MM__RCU)
		return;
	mm__check(self, "a thread reads that is not registered");
	if (self->nesting++)
		return;
	/*
	 * [RCU-R1] relaxed load: see the proof; release: a grace period that sees this does not see
	 * the R3 of the section before, which it needs to be after.
	 */
	atomic_store_explicit(&self->seen,
			      atomic_load_explicit(&mm__rcu_epoch.now, memory_order_relaxed),
			      memory_order_release);
	mmrange__light_fence();
}

static inline void mm__rcu_read_unlock(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	/* release [RCU-R3]: pairs with [RCU-G3] */
	if (MM__RCU && !--self->nesting)
		atomic_store_explicit(&self->seen, 0, memory_order_release);
}

/*
 * Frees a list (NULL: none), each object in its way, when all sections are over that are open now. A
 * registered thread does not wait, so it may hold locks, and be in a section. weight: of the list, in lines
 * of memory or so, where an object of ordinary size counts as MM__RCU_OBJECT and a page as MM__RCU_PAGE; 0:
 * all are of ordinary size.
 */
#define MM__RCU_OBJECT UINT64_C(4)
#define MM__RCU_PAGE   UINT64_C(16)
void mm__rcu_defer(struct mm__garbage *list, uint64_t weight);

/*
 * The same, for objects of ordinary size. Frees what can be freed, once there is enough
 * of it. Waits for a grace period if too much is pending; so no lock is held that readers or the
 * functions of garbage take.
 */
void mm__rcu_free(struct mm__garbage *list);

/* What mm__rcu_free() does beside giving away, for what was given to mm__rcu_defer(). */
void mm__rcu_throttle(void);

/*
 * Waits until all sections are over that are open now. Allocates nothing, and frees nothing. In no read
 * section, and with no lock held that a reader takes.
 */
void mm__rcu_wait(void);

/* Frees what can be freed of what this thread gave away, without waiting. No lock is held. */
void mm__rcu_poll(void);

/*
 * Waits until all is freed that any thread has given away by now. Allocates nothing. In no read
 * section, and not in the function of garbage; no lock is held.
 */
void mm__rcu_barrier(void);

/* Around fork(2): child, the calling thread is the only one, and the garbage of the parent is left. */
void mm__rcu_before_fork(void);
void mm__rcu_after_fork(bool child);

#endif
