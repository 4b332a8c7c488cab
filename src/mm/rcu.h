/* SPDX-License-Identifier: MIT */
/*
 * rcu - read-copy-update. Readers take no lock and write only to a cache line of their own. Memory
 * that a reader may still reach is freed after a grace period.
 *
 * Writers publish objects by release stores, and readers find them by acquire loads. rcu.c only
 * decides when no reader can hold an object any more that was unlinked earlier. The epoch counts
 * the grace periods that have begun. A thread in a read section has stored the epoch that it saw
 * when the section began.
 *
 *	reader                               grace period, with the lock of rcu.c
 *	[RCU-R1] seen = epoch, release       [RCU-G1] heavy fence
 *	         light fence                 [RCU-G2] epoch + 1
 *	[RCU-R2] finds and uses objects      [RCU-G3] waits until each seen is 0 or the new epoch,
 *	[RCU-R3] seen = 0, release                    acquire
 *	                                     [RCU-G4] objects unlinked before G1 are freed
 *
 * Claim: no section that may have found such an object is open at G4. Proof: Take a section. The
 * fence after its R1 and the fence of G1 are a pair.
 *
 * - If G1 comes first, all loads of R2 come after the unlinking. The section finds none of the
 *   objects.
 * - If the light fence comes first, G3 sees R1, or a later store of that reader. R1 loaded an epoch
 *   from before G2, because an R1 that saw G2 would come after G1. So G3 waits until it loads the
 *   value of R3, or of a later R1 of the same reader. Both are releases, so the accesses of the
 *   section come before G4.
 *
 * A later R1 that stores the new epoch has seen G2, so its section is of the first kind. A later R1
 * that stores the old epoch makes G3 wait longer, but for one more section at most: the epoch has
 * changed by the time of the next R1.
 *
 * A thread that registers after G1 does so under the lock. Its sections are of the first kind.
 *
 * Each thread has a limbo, which holds the objects that the thread has unlinked and given away, in
 * two batches: one waits for a grace period, and the next one gathers. No thread frees in the
 * background. A thread whose gathering batch is full checks once whether the grace period of the
 * other batch is over, and goes on if it is not. The thread waits only if too much is pending; see
 * rcu.c for the bounds. A thread in mm__rcu_barrier() takes the contents of all limbos and frees
 * them itself.
 */
#ifndef MM_RCU_H
#define MM_RCU_H

#include "../platform/platform.h"
#include "lock.h"
#include "table_lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The first member of an object that is freed after a grace period. */
struct mm__garbage {
	struct mm__garbage *next;
	void (*free)(struct mm__garbage *garbage); /* NULL: free() */
};

struct mm__rcu_batch {
	struct mm__garbage *first; /* NULL: empty */
	struct mm__garbage *last;
	uint64_t weight;
	uint64_t target; /* the batch is freed once the grace period of this epoch is over */
};

struct mm__rcu_limbo {
	struct mm__table_lock lock; /* guards fresh, weight and due */
	struct mm__rcu_batch fresh;
	uint64_t weight; /* of both batches */
	uint64_t due;    /* the weight at which the thread checks whether it can free something */

	struct mm__rcu_batch waiting; /* with the lock of rcu.c */
};

/* A thread that reads, or gives garbage away. */
struct mm__rcu_thread {
	_Alignas(128) _Atomic(uint64_t) seen; /* 0: in no read section */
	uint32_t nesting;
	_Atomic(uint64_t) freeing; /* a ticket while it frees objects from a limbo, else 0 */
	bool due; /* its limbo has reached the weight at which the thread has to check */
	struct mm__rcu_limbo limbo;
	uint64_t batch;           /* batch_size() when the thread last checked; the thread's own */
	struct mm__garbage *kept; /* see vma_memory.h */
	unsigned int nr_kept;

	/* With the lock of rcu.c. */
	_Alignas(128) uint64_t passed; /* the last epoch that need not wait for this thread */
	struct mm__rcu_thread *next;
	struct mm__rcu_thread **link;
};

/* The calling thread. NULL: it is not registered. */
extern MMRANGE__THREAD_LOCAL struct mm__rcu_thread *mm__rcu_self;

/* On its own line, which is written only when a grace period begins. */
struct mm__rcu_epoch {
	_Alignas(128) _Atomic(uint64_t) now;
};
extern struct mm__rcu_epoch mm__rcu_epoch;

/* Registers the calling thread, which must not be registered yet. */
void mm__rcu_begin_thread(struct mm__rcu_thread *thread);
/*
 * Unregisters the calling thread. Its garbage is freed later. May wait for a grace period. The
 * caller holds no lock.
 */
void mm__rcu_end_thread(struct mm__rcu_thread *thread);

/* Read sections nest, and never block another thread. The calling thread must be registered. */
#ifndef MM__FLOOR
static inline void mm__rcu_read_lock(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	mm__check(self, "a thread reads that is not registered");
	if (self->nesting++)
		return;
	/*
	 * [RCU-R1] relaxed load: see the proof. release: G3 may load this value in place of the one
	 * that the R3 before has stored, and must still come after that section.
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
	if (!--self->nesting)
		atomic_store_explicit(&self->seen, 0, memory_order_release);
}
#endif

/*
 * Frees the objects of a list (NULL: none), each by its free function, once all read sections that
 * are open now are over. A registered thread does not wait here, so it may hold locks and may be in
 * a read section. weight: the weight of the list, in cache lines or so, where an object of ordinary
 * size counts as MM__RCU_OBJECT and a page as MM__RCU_PAGE; 0: all objects are of ordinary size.
 */
#define MM__RCU_OBJECT UINT64_C(4)
#define MM__RCU_PAGE   UINT64_C(16)
void mm__rcu_defer(struct mm__garbage *list, uint64_t weight);

/*
 * The same for objects of ordinary size. Also frees objects whose grace period is over, once enough
 * has gathered. Waits for a grace period if too much is pending. So the caller holds no lock that a
 * reader or a free function of garbage takes.
 */
void mm__rcu_free(struct mm__garbage *list);

/*
 * For garbage given to mm__rcu_defer(): frees and waits as mm__rcu_free() does, and gives nothing
 * away.
 */
void mm__rcu_throttle(void);

/*
 * Waits until all read sections that are open now are over. Allocates and frees nothing. The caller
 * is in no read section, and holds no lock that a reader takes.
 */
void mm__rcu_wait(void);

/*
 * Frees the objects whose grace period is over, of those that this thread and ended threads have
 * given away. Does not wait. The caller holds no lock.
 */
void mm__rcu_poll(void);

/*
 * Waits until all objects are freed that any thread has given away so far. Allocates nothing. The
 * caller is in no read section and in no free function of garbage, and holds no lock.
 */
void mm__rcu_barrier(void);

/*
 * Around fork(2). child: the calling thread is the only one, and the parent's garbage is never
 * freed.
 */
void mm__rcu_before_fork(void);
void mm__rcu_after_fork(bool child);

#endif
