/* SPDX-License-Identifier: MIT */
#include "slots.h"
#include "forest.h"
#include "platform/message.h"

#include <pthread.h>

enum {
	NR_GROUPS = 256,
	/* The bounds of what ending a bias is taken to cost, in nanoseconds. */
	MIN_PRICE = 1000,
	MAX_PRICE = 100000,
	/* Nanoseconds between two looks at a slot that a thread leaves. */
	DRAIN_SLEEP = 100000,
};

/* Those of all locks. */
static struct range__slots groups[NR_GROUPS];

/* Those of threads that can have none: never free. */
static struct range__slots none = {
	.slot = { { .state = SLOT_LEAVING }, { .state = SLOT_LEAVING }, { .state = SLOT_LEAVING } }
};

/* No group from here on has ever been taken. */
static atomic_uint nr_used;

MMRANGE__THREAD_LOCAL struct range__slots *range__slots_own;

/* What ending a bias costs, in nanoseconds. */
static atomic_uint price = 2000;

static pthread_key_t key;
static atomic_bool have_key;

/*
 * At the end of a thread. Ranges that it has published stay where they are until they are released.
 * What it does with locks after this, it does without slots: nobody would give them back.
 */
static void give_back(void *arg)
{
	struct range__slots *own = arg;

	range__slots_own = &none;
	/* release: pairs with the acquire in take() */
	atomic_store_explicit(&own->taken, false, memory_order_release);
}

static void empty(struct range__slot *slot)
{
	/* relaxed: there is one thread */
	if (atomic_load_explicit(&slot->state, memory_order_relaxed) & SLOT_TAG)
		range__slot_free(slot, range__slot_leave(slot));
}

/* A thread that is gone was about to release what the group's thread has published. */
static void finish_leaving(struct range__slots *group)
{
	for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
		if ((atomic_load_explicit(&group->slot[k].state, memory_order_relaxed) & SLOT_TAG) ==
		    SLOT_LEAVING)
			empty(&group->slot[k]);
}

/*
 * In the child of fork() the other threads are not there, and hold nothing. Threads that had ended
 * before may have left a range for somebody else to release.
 */
static void child(void)
{
	for (unsigned int i = 0; i < NR_GROUPS; i++) {
		if (&groups[i] == range__slots_own ||
		    !atomic_load_explicit(&groups[i].taken, memory_order_relaxed)) {
			finish_leaving(&groups[i]);
			continue;
		}
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			empty(&groups[i].slot[k]);
		atomic_store_explicit(&groups[i].taken, false, memory_order_relaxed);
	}
}

/*
 * pthread_setspecific() must not allocate, as the lock may be used inside malloc(): with glibc,
 * that is so for the first 32 keys (nptl/pthread_setspecific.c). Without a key no thread gets
 * slots.
 */
__attribute__((constructor(101))) static void make_key(void)
{
	bool made = pthread_key_create(&key, give_back) == 0;

#ifdef __GLIBC__
	if (made && key >= 32) {
		pthread_key_delete(key);
		made = false;
	}
#endif
	if (made && pthread_atfork(NULL, NULL, child)) {
		pthread_key_delete(key);
		made = false;
	}
	atomic_store(&have_key, made);
}

/* The library may be unloaded while threads go on. */
__attribute__((destructor)) static void delete_key(void)
{
	if (atomic_exchange(&have_key, false))
		pthread_key_delete(key);
}

/* Takes the group at i if it is nobody's. */
static bool take(unsigned int i)
{
	unsigned int n = atomic_load_explicit(&nr_used, memory_order_relaxed);

	if (atomic_load_explicit(&groups[i].taken, memory_order_relaxed) ||
	    atomic_exchange_explicit(&groups[i].taken, true, memory_order_acquire))
		return false;
	if (pthread_setspecific(key, &groups[i])) {
		atomic_store_explicit(&groups[i].taken, false, memory_order_release);
		return false;
	}
	/* relaxed: comes before the first state IN, and is seen with it: [P] and [H] */
	while (n <= i && !atomic_compare_exchange_weak_explicit(
				 &nr_used, &n, i + 1, memory_order_relaxed, memory_order_relaxed))
		;
	return true;
}

/*
 * A thread that comes when all are taken goes without for ever: to look each time would cost more.
 */
struct range__slots *range__slots_take(void)
{
	/* Also for a malloc() that uses locks, should pthread_setspecific() call it after all. */
	range__slots_own = &none;
	for (unsigned int i = 0; atomic_load(&have_key) && i < NR_GROUPS; i++) {
		if (take(i)) {
			range__slots_own = &groups[i];
			break;
		}
	}
	return range__slots_own;
}

void range__slot_vacate(struct range_hold *range)
{
	if (!range__word_biased(range->stamp))
		return;
	range->stamp = 0;
	range__slot_free(range->slot, range__slot_leave(range->slot));
}

/* Whether a slot says so of a range that is, or was, in a leaf of the lock. */
static bool says(struct range__slot *slot, uint64_t what, const struct range_lock *lock)
{
	/* acquire: the leaf belongs to the state, and to what its owner did before FREE */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

	return (state & SLOT_TAG) == what &&
	       range__forest_owns(lock, atomic_load_explicit(&slot->leaf, memory_order_acquire));
}

/*
 * Sleeps until the slot may be free. A thread that leaves it wakes none, as it must not pay for this:
 * it has a few instructions to go, or an internal lock to wait for, unless the scheduler has stopped
 * it there. Then it needs the processor, which to yield would not give it, if this thread has a
 * higher priority.
 */
static void await_leaving(struct range__slot *slot)
{
	/* relaxed: the caller loads it again */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
	uint64_t end = mmrange__now() + DRAIN_SLEEP;
	struct timespec time = { .tv_sec = (time_t)(end / 1000000000u),
				 .tv_nsec = (long)(end % 1000000000u) };

	if ((state & SLOT_TAG) == SLOT_LEAVING)
		mmrange__park(&slot->state, state, CLOCK_MONOTONIC, &time);
}

void range__slots_drain(const struct range_lock *lock)
{
	unsigned int n = atomic_load_explicit(&nr_used, memory_order_relaxed);

	for (unsigned int i = 0; i < n; i++)
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			while (says(&groups[i].slot[k], SLOT_LEAVING, lock))
				await_leaving(&groups[i].slot[k]);
}

void range__slots_forget(const struct range_lock *lock)
{
	for (unsigned int i = 0; i < NR_GROUPS; i++)
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			if (says(&groups[i].slot[k], SLOT_IN, lock) ||
			    says(&groups[i].slot[k], SLOT_LEAVING, lock))
				empty(&groups[i].slot[k]);
}

/*
 * With the leaf locked, after [H]: takes the reader in a slot into the tree, if it is in this leaf.
 */
static void adopt(struct range__leaf *leaf, struct range__slot *slot)
{
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
	uint64_t start = atomic_load_explicit(&slot->start, memory_order_acquire);
	uint64_t end = atomic_load_explicit(&slot->end, memory_order_acquire);
	struct range_hold *range = atomic_load_explicit(&slot->range, memory_order_acquire);

	if ((state & SLOT_TAG) != SLOT_IN ||
	    atomic_load_explicit(&slot->leaf, memory_order_acquire) != leaf ||
	    /* acquire, too: a reader that is seen to be leaving only here is gone as well */
	    atomic_load_explicit(&slot->state, memory_order_acquire) != state)
		return;
	/* Whoever published for this leaf when it was another one will see that, and retract. */
	if (range__leaf_covers(leaf, start, end) && !range__slot_adopted(range))
		range__tree_insert(&leaf->held, range);
}

static void note_price(uint64_t ns)
{
	/* relaxed: a guess */
	uint64_t old = atomic_load_explicit(&price, memory_order_relaxed);

	/* Whoever was interrupted meanwhile has measured something else. */
	if (ns > 2 * old)
		ns = 2 * old;
	ns = (7 * old + ns) / 8;
	if (ns < MIN_PRICE)
		ns = MIN_PRICE;
	if (ns > MAX_PRICE)
		ns = MAX_PRICE;
	atomic_store_explicit(&price, (unsigned int)ns, memory_order_relaxed);
}

void range__slots_revoke(struct range__leaf *leaf)
{
	uint64_t begin;
	unsigned int n;

	if (!range__leaf_biased(leaf))
		return;
	begin = mmrange__now();
	range__leaf_turn_bias(leaf);
	/* relaxed, in all of this file: rent is a guess, any value does */
	atomic_store_explicit(&leaf->rent, 0, memory_order_relaxed);
	if (!mmrange__heavy_fence()) { /* [H] */
		/* Since the leaf became biased: the readers in it cannot be found. */
		mmrange__stop("membarrier() has been forbidden while the lock was used");
	}
	n = atomic_load_explicit(&nr_used, memory_order_relaxed);
	for (unsigned int i = 0; i < n; i++)
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			adopt(leaf, &groups[i].slot[k]);
	note_price(mmrange__now() - begin);
}

bool range__slots_due(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->rent, memory_order_relaxed) >=
	       atomic_load_explicit(&price, memory_order_relaxed);
}

/* With the leaf locked, for a reader that has paid enough. */
static bool can_be_biased(struct range__leaf *leaf)
{
	return !leaf->wait_first && !range__tree_overlap(leaf->held, 0, UINT64_MAX, true) &&
	       range__slot_find() && mmrange__heavy_fence();
}

void range__slots_consider(struct range__leaf *leaf, const struct range_hold *range)
{
	uint32_t rent = atomic_load_explicit(&leaf->rent, memory_order_relaxed);

	if (range->mode == RANGE_WRITE) {
		rent = 0;
	} else if (!range__slots_due(leaf)) {
		rent += RANGE__RENT_LOCKED;
	} else {
		rent = 0;
		if (range__leaf_biased(leaf)) {
			range__slots_revoke(leaf);
		} else if (can_be_biased(leaf)) {
			range__leaf_turn_bias(leaf);
			leaf->generation++;
		}
	}
	atomic_store_explicit(&leaf->rent, rent, memory_order_relaxed);
}
