/* SPDX-License-Identifier: MIT */
#include "slots.h"
#include "platform/platform.h"
#include "race.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

enum {
	BLOCK_GROUPS = 1024,
	MOST_BLOCKS = 4096,
	/* Nanoseconds between two looks at a slot that a thread leaves. */
	DRAIN_SLEEP = 100000,
};

/*
 * The groups, of all locks, in blocks that are never given back. The first block serves as many
 * threads as it has groups without a system call; the others come from mmap().
 */
struct block {
	struct range__slots groups[BLOCK_GROUPS];
};

static struct block first_block;
static _Atomic(struct block *) blocks[MOST_BLOCKS] = { &first_block };

static struct range__slots *group_at(unsigned int i)
{
	/* acquire: pairs with the release in add_block() */
	return &atomic_load_explicit(&blocks[i / BLOCK_GROUPS], memory_order_acquire)
			->groups[i % BLOCK_GROUPS];
}

/* False: there is no memory, or there are as many blocks as can be. */
static bool add_block(unsigned int b)
{
	struct block *none = NULL, *block;
	int saved = errno;

	if (b == MOST_BLOCKS)
		return false;
	if (atomic_load_explicit(&blocks[b], memory_order_acquire))
		return true;
	block = mmap(NULL, sizeof *block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	errno = saved;
	if (block == MAP_FAILED)
		return false;
	if (!atomic_compare_exchange_strong_explicit(&blocks[b], &none, block, memory_order_acq_rel,
						     memory_order_acquire))
		munmap(block, sizeof *block);
	return true;
}

#define NEVER_FREE                                                                                 \
	{                                                                                          \
		.slot = {                                                                          \
			{ .state = SLOT_LEAVING },                                                 \
			{ .state = SLOT_LEAVING },                                                 \
			{ .state = SLOT_LEAVING }                                                  \
		}                                                                                  \
	}

struct range__slots range__slots_not_yet = NEVER_FREE, range__slots_none = NEVER_FREE;

/* No group from here on has ever been taken. */
static atomic_uint nr_used;

static unsigned int nr_groups(void)
{
	/* acquire: their blocks are there, see take_group() */
	return atomic_load_explicit(&nr_used, memory_order_acquire);
}

MMRANGE__THREAD_LOCAL struct range__slots *range__slots_own = &range__slots_not_yet;

static pthread_key_t thread_key;
static atomic_bool have_key;

/*
 * At the end of a thread. Ranges that it has published stay in their slots until they are released.
 * From now on the thread uses locks without slots, which it could not give back.
 */
static void give_back_group(void *arg)
{
	struct range__slots *own = arg;

	range__race_enter();
	range__slots_own = &range__slots_none;
	/* release: pairs with the acquire in take_group() */
	atomic_store_explicit(&own->taken, false, memory_order_release);
	range__race_leave();
}

static void empty_slot(struct range__slot *slot)
{
	/* relaxed: there is one thread */
	if (atomic_load_explicit(&slot->state, memory_order_relaxed) & SLOT_TAG)
		range__slot_free(slot, range__slot_leave(slot));
}

/*
 * A thread that is not in the child was about to release a range that the group's owner published.
 */
static void finish_leaving(struct range__slots *group)
{
	for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
		if ((atomic_load_explicit(&group->slot[k].state, memory_order_relaxed) &
		     SLOT_TAG) == SLOT_LEAVING)
			empty_slot(&group->slot[k]);
}

/*
 * In the child of fork() the other threads do not exist, and hold nothing. A thread that had ended
 * before may have left a range for another thread to release.
 */
static void forget_other_threads(void)
{
	unsigned int n = nr_groups();

	range__race_enter();
	/* The thread has another number in the system now: it takes a group anew. */
	if (range__slots_own != &range__slots_not_yet && range__slots_own != &range__slots_none) {
		give_back_group(range__slots_own);
		pthread_setspecific(thread_key, NULL);
		range__slots_own = &range__slots_not_yet;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct range__slots *group = group_at(i);

		if (!atomic_load_explicit(&group->taken, memory_order_relaxed)) {
			finish_leaving(group);
			continue;
		}
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			empty_slot(&group->slot[k]);
		atomic_store_explicit(&group->taken, false, memory_order_relaxed);
	}
	range__race_leave();
}

/*
 * pthread_setspecific() must not allocate, because the lock may be used inside malloc(). With glibc
 * that is so for the first 32 keys (nptl/pthread_setspecific.c). Without a key no thread gets
 * slots.
 */
__attribute__((constructor(101))) static void make_key(void)
{
	bool made = pthread_key_create(&thread_key, give_back_group) == 0;

#ifdef __GLIBC__
	if (made && thread_key >= 32) {
		pthread_key_delete(thread_key);
		made = false;
	}
#endif
	if (made && pthread_atfork(NULL, NULL, forget_other_threads)) {
		pthread_key_delete(thread_key);
		made = false;
	}
	atomic_store(&have_key, made);
}

/* The library may be unloaded while threads go on. */
__attribute__((destructor)) static void delete_key(void)
{
	if (atomic_exchange(&have_key, false))
		pthread_key_delete(thread_key);
}

/* Ranges of a thread that has ended stay in its slots until other threads have released them. */
static bool is_group_free(struct range__slots *group)
{
	int k = 0;

	while (k < RANGE__GROUP_SLOTS &&
	       (atomic_load_explicit(&group->slot[k].state, memory_order_relaxed) & SLOT_TAG) ==
		       SLOT_FREE)
		k++;
	return k == RANGE__GROUP_SLOTS;
}

/* Takes the group at i if no thread has it. */
static bool take_group(unsigned int i)
{
	unsigned int n = atomic_load_explicit(&nr_used, memory_order_relaxed);
	struct range__slots *group = group_at(i);

	if (atomic_load_explicit(&group->taken, memory_order_relaxed) ||
	    atomic_exchange_explicit(&group->taken, true, memory_order_acquire))
		return false;
	if (!is_group_free(group) || pthread_setspecific(thread_key, group)) {
		atomic_store_explicit(&group->taken, false, memory_order_release);
		return false;
	}
	/* release: as for the fields of a slot */
	atomic_store_explicit(&group->owner, mmrange__self(), memory_order_release);
	/*
	 * release: pairs with the acquire in nr_groups(), for the block that the group is in. It
	 * comes before the first IN of the group, and is seen with it: [SLOT-P] and [SLOT-H].
	 */
	while (n <= i && !atomic_compare_exchange_weak_explicit(
				 &nr_used, &n, i + 1, memory_order_release, memory_order_relaxed))
		;
	return true;
}

/* A thread that finds no group does without from then on: to look each time would cost more. */
struct range__slots *range__slots_take(void)
{
	/* For the case that pthread_setspecific() calls a malloc() that uses locks, after all. */
	range__slots_own = &range__slots_none;
	for (unsigned int i = 0; atomic_load(&have_key); i++) {
		if (i % BLOCK_GROUPS == 0 && !add_block(i / BLOCK_GROUPS))
			break;
		if (take_group(i)) {
			range__slots_own = group_at(i);
			break;
		}
	}
	return range__slots_own;
}

void range__slot_vacate(struct range__hold *range)
{
	if (!range__slot_holds(range))
		return;
	range->how &= (uint8_t)~RANGE__SLOT;
	range__slot_free(range->slot, range__slot_leave(range->slot));
}

/* Whether a slot has this tag, for a range that is or was in the lock. */
static bool slot_has(struct range__slot *slot, uint64_t what, const struct range__lock *lock)
{
	/* acquire: the lock belongs to the state, and to what the owner did before FREE */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

	return (state & SLOT_TAG) == what &&
	       atomic_load_explicit(&slot->lock, memory_order_acquire) == lock;
}

/*
 * Sleeps until the slot may be free. The thread that leaves a slot wakes no thread, because readers
 * must not pay for this. It has a few instructions to go, or waits for an internal lock, unless the
 * scheduler has stopped it. Then it needs the processor, which this thread would not give it by
 * yielding, if this thread has a higher priority.
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

void range__slots_drain(const struct range__lock *lock)
{
	unsigned int n = nr_groups();

	for (unsigned int i = 0; i < n; i++)
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			while (slot_has(&group_at(i)->slot[k], SLOT_LEAVING, lock))
				await_leaving(&group_at(i)->slot[k]);
}

void range__slots_forget(const struct range__lock *lock)
{
	unsigned int n = nr_groups();

	for (unsigned int i = 0; i < n; i++)
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++) {
			struct range__slot *slot = &group_at(i)->slot[k];

			if (slot_has(slot, SLOT_IN, lock) || slot_has(slot, SLOT_LEAVING, lock))
				empty_slot(slot);
		}
}

/* The contents of a slot at one moment. */
struct reader {
	struct range__hold *range;
	uint64_t start;
	uint64_t end;
	uint64_t owner;
};

/* After [SLOT-H]: whether a reader of the lock is in the slot. */
static bool read_slot(struct range__slots *group, int k, const struct range__lock *lock,
		      struct reader *reader)
{
	struct range__slot *slot = &group->slot[k];
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

	reader->start = atomic_load_explicit(&slot->start, memory_order_acquire);
	reader->end = atomic_load_explicit(&slot->end, memory_order_acquire);
	reader->range = atomic_load_explicit(&slot->range, memory_order_acquire);
	reader->owner = atomic_load_explicit(&group->owner, memory_order_acquire);
	return (state & SLOT_TAG) == SLOT_IN &&
	       atomic_load_explicit(&slot->lock, memory_order_acquire) == lock &&
	       /* acquire, too: a reader that this thread sees leaving only here is gone as well */
	       atomic_load_explicit(&slot->state, memory_order_acquire) == state;
}

/*
 * With the leaf locked, after [SLOT-H], and marked as biased. A reader that published for leaves as
 * they were earlier will see that their words have changed, and retract. So will a reader that
 * overlaps more than two leaves by now.
 */
static void adopt_reader(struct range__leaf *leaf, const struct reader *reader)
{
	struct range__node *node;

	if (!leaf->biased || reader->end <= range__leaf_lo(leaf) ||
	    range__leaf_hi(leaf) <= reader->start)
		return;
	node = range__leaf_node(leaf, reader->range);
	if (!node || range__node_in_tree(node))
		return;
	/*
	 * The fast path for one leaf leaves the owner to the slot. One thread at a time has the
	 * first leaf.
	 */
	if (node == &reader->range->node[0] && reader->range->owner == 0)
		reader->range->owner = reader->owner;
	range__leaf_record(leaf, reader->range);
}

static void adopt_in_set(struct range__set *set, const struct reader *reader)
{
	struct range__walk walk = range__walk_first(set);

	for (; walk.leaf && range__leaf_lo(walk.leaf) < reader->end; range__walk_next(&walk))
		adopt_reader(walk.leaf, reader);
}

void range__slots_adopt(struct range__set *set)
{
	unsigned int n = nr_groups();
	uint64_t lo = range__leaf_lo(range__set_hold(set, 0)->leaf[0]);
	uint64_t hi = range__leaf_hi(range__set_hold(set, set->n - 1)->leaf[1]);
	struct reader reader;

	for (unsigned int i = 0; i < n; i++)
		for (int k = 0; k < RANGE__GROUP_SLOTS; k++)
			if (read_slot(group_at(i), k, set->lock, &reader) && reader.start < hi &&
			    lo < reader.end)
				adopt_in_set(set, &reader);
}
