/* SPDX-License-Identifier: MIT */
/*
 * The registry: a hash table of the ranges in use, keyed by their addresses and linked by
 * checked_next. It has so many buckets that a million ranges make short chains. No thread touches
 * pages of it to which no range hashes.
 *
 * The child of fork() keeps the ranges of its thread and forgets those of the other threads, which
 * may have been on their stacks. If the parent had no other thread, a thread that had ended may
 * have left a range for another one to release: then the child keeps all.
 *
 * [CHECKED-K] Another thread of the parent may have been anywhere in the registry, and the child
 * may see that thread's changes up to any of them, in order. So each store to a link leaves the
 * chain whole, and is a release, after which the child's walk sees all stores before. nr_ranges of
 * a shard is never less than the number of ranges that are linked in it.
 */
#include "checked.h"

#ifdef MMRANGE_CHECKED

#include "checked_registry.h"
#include "lock.h"
#include "platform/platform.h"

#include <errno.h>
#include <pthread.h>

enum {
	SHARD_BITS = 6,
	NR_SHARDS = 1 << SHARD_BITS,
	BUCKET_BITS = 12,
	NR_BUCKETS = 1 << BUCKET_BITS, /* of a shard */
	NR_COUNTS = 4096,
};

typedef _Atomic(struct range__hold *) link_t;

static struct shard {
	atomic_size_t nr_ranges;
	link_t first[NR_BUCKETS];
} shards[NR_SHARDS];

/* One for each shard. A thread that has locked one takes no other lock. */
static pthread_mutex_t mutexes[NR_SHARDS];

/*
 * For all threads whose numbers have the same remainder: how many ranges they own. 0 says that a
 * thread owns none.
 */
static atomic_size_t nr_held[NR_COUNTS];

MMRANGE__THREAD_LOCAL uint32_t range__checked_steps;

/*
 * How many threads have begun a range, or told of a mutex, and have not ended; and whether the
 * calling thread is one of them.
 */
static atomic_size_t nr_threads;
static MMRANGE__THREAD_LOCAL bool is_counted;

/* Its destructor tells when threads end. Without the key, nr_threads only grows. */
static pthread_key_t key;
static atomic_bool have_key;

static atomic_size_t *count_of(uint64_t thread)
{
	return &nr_held[(uint32_t)thread % NR_COUNTS];
}

/*
 * Multiplicative hashing by the golden ratio (Knuth): the high bits depend on all of the address.
 */
static uint64_t hash_range(const struct range__hold *range)
{
	return (uint64_t)(uintptr_t)range * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t shard_of(const struct range__hold *range)
{
	return hash_range(range) >> (64 - SHARD_BITS);
}

/*
 * Locks the chain of a range. The calling thread counts from now on, also if it only releases
 * ranges of other threads: the child of fork() has to know that the mutex may be locked.
 */
static link_t *lock_chain(const struct range__hold *range)
{
	uint64_t shard = shard_of(range);

	range__checked_thread();
	pthread_mutex_lock(&mutexes[shard]);
	return &shards[shard].first[hash_range(range) >> (64 - SHARD_BITS - BUCKET_BITS) &
				    (NR_BUCKETS - 1)];
}

static void unlock_chain(const struct range__hold *range)
{
	pthread_mutex_unlock(&mutexes[shard_of(range)]);
}

/* relaxed: under the shard's mutex, or in the child of fork() */
static struct range__hold *load_link(link_t *link)
{
	return atomic_load_explicit(link, memory_order_relaxed);
}

static void set_link(link_t *link, struct range__hold *range)
{
	atomic_store_explicit(link, range, memory_order_release); /* [CHECKED-K] */
}

static void unlink_at(struct shard *shard, link_t *link)
{
	set_link(link, load_link(&load_link(link)->checked_next));
	/* release: [CHECKED-K] */
	atomic_fetch_sub_explicit(&shard->nr_ranges, 1, memory_order_release);
}

/* The link to the range in its chain, or the NULL at the end of the chain. */
static link_t *find_link(link_t *link, const struct range__hold *range)
{
	while (load_link(link) && load_link(link) != range) {
		link = &load_link(link)->checked_next;
		range__checked_steps++;
	}
	return link;
}

void range__checked_lock(const struct range__lock *lock)
{
	if (lock->magic == RANGE__DESTROYED)
		range__checked_stop("use of a lock that was destroyed", lock, NULL);
	if (!range__is_alive(lock))
		range__checked_stop("use of a lock that was not initialised", lock, NULL);
	if (range__walks > 0)
		range__checked_still_in_walk(lock);
}

void range__checked_thread(void)
{
	int saved = errno;

	if (is_counted)
		return;
	is_counted = true;
	/* relaxed: fork() stops a thread's stores in order */
	atomic_fetch_add_explicit(&nr_threads, 1, memory_order_relaxed);
	if (atomic_load(&have_key))
		(void)pthread_setspecific(key, &is_counted);
	/* pthread_setspecific() may set errno if it has no memory. */
	errno = saved;
}

/* When a thread ends. If another destructor uses a lock after this one, the thread counts again. */
static void discount_thread(void *arg)
{
	(void)arg;
	is_counted = false;
	/* release: [CHECKED-K] */
	atomic_fetch_sub_explicit(&nr_threads, 1, memory_order_release);
}

void range__checked_begin(struct range__lock *lock, struct range__hold *range)
{
	link_t *chain;

	range__checked_lock(lock);
	chain = lock_chain(range);
	if (load_link(find_link(chain, range)))
		range__checked_stop("locking with a range that is in use", lock, range);
	range->lock = lock;
	/* relaxed: no other thread knows of the range yet */
	atomic_store_explicit(&range->checked_how, 0, memory_order_relaxed);
	range->owner = mmrange__self();
	atomic_fetch_add_explicit(&shards[shard_of(range)].nr_ranges, 1, memory_order_relaxed);
	set_link(&range->checked_next, load_link(chain));
	set_link(chain, range);
	unlock_chain(range);
}

void range__checked_disown(struct range__hold *range)
{
	/* relaxed: as in range__checked_begin() */
	atomic_store_explicit(&range->checked_how, RANGE__CHECKED_DISOWNED, memory_order_relaxed);
}

void range__checked_split(struct range__hold *part, const struct range__hold *range)
{
	if (!range__checked_owned(range))
		range__checked_disown(part);
}

static bool is_held(const struct range__hold *range)
{
	/* relaxed: under the shard's mutex, or in the child of fork() */
	return atomic_load_explicit(&range->checked_how, memory_order_relaxed) &
	       RANGE__CHECKED_HELD;
}

/*
 * relaxed: the thread itself has to see it; other threads learn of the range by the leaf's lock
 */
static void count_owned(const struct range__hold *range)
{
	if (range__checked_owned(range))
		atomic_fetch_add_explicit(count_of(range->owner), 1, memory_order_relaxed);
}

void range__checked_end(struct range__hold *range, int error)
{
	link_t *chain = lock_chain(range);

	if (error) {
		unlink_at(&shards[shard_of(range)], find_link(chain, range));
	} else {
		/* relaxed: under the shard's mutex; searches read the other bit only */
		atomic_fetch_or_explicit(&range->checked_how, RANGE__CHECKED_HELD,
					 memory_order_relaxed);
		count_owned(range);
	}
	unlock_chain(range);
}

/* In a locked chain: the link to a range; stops if the range is not held in this lock. */
static link_t *find_held(link_t *chain, struct range__lock *lock, const struct range__hold *range)
{
	link_t *link = find_link(chain, range);

	if (!load_link(link))
		range__checked_stop("use of a range that is not held", lock, range);
	if (load_link(link)->lock != lock)
		range__checked_stop("use of a range that is held in another lock", lock, range);
	if (!is_held(load_link(link)))
		range__checked_stop("use of a range that still waits", lock, range);
	return link;
}

void range__checked_held(struct range__lock *lock, const struct range__hold *range)
{
	range__checked_lock(lock);
	find_held(lock_chain(range), lock, range);
	unlock_chain(range);
}

void range__checked_release(struct range__lock *lock, struct range__hold *range)
{
	range__checked_lock(lock);
	unlink_at(&shards[shard_of(range)], find_held(lock_chain(range), lock, range));
	if (range__checked_owned(range))
		atomic_fetch_sub_explicit(count_of(range->owner), 1, memory_order_relaxed);
	unlock_chain(range);
}

void range__checked_join(struct range__hold *range, const struct range__hold *part)
{
	if (range__checked_owned(part) || !range__checked_owned(range))
		return;
	(void)lock_chain(range);
	atomic_fetch_sub_explicit(count_of(range->owner), 1, memory_order_relaxed);
	/* relaxed: as in range__checked_end() */
	atomic_fetch_or_explicit(&range->checked_how, RANGE__CHECKED_DISOWNED,
				 memory_order_relaxed);
	unlock_chain(range);
}

bool range__checked_holds(uint64_t thread)
{
	return atomic_load_explicit(count_of(thread), memory_order_relaxed) > 0;
}

/* Which ranges the child of fork() forgets. */
struct forgotten {
	const struct range__lock *lock; /* the ranges of this lock */
	bool others;                    /* the ranges of other threads */
};

static bool is_forgotten(const struct range__hold *range, const struct forgotten *forgotten)
{
	return range->lock == forgotten->lock ||
	       (forgotten->others && !mmrange__same_thread(range->owner, mmrange__self()));
}

static void forget_in_shard(struct shard *shard, const struct forgotten *forgotten)
{
	for (int i = 0; i < NR_BUCKETS; i++) {
		link_t *link = &shard->first[i];

		while (load_link(link)) {
			struct range__hold *range = load_link(link);

			if (is_forgotten(range, forgotten)) {
				unlink_at(shard, link);
				continue;
			}
			if (is_held(range))
				count_owned(range);
			link = &range->checked_next;
		}
	}
}

static void forget_in_all(const struct forgotten *forgotten)
{
	for (int i = 0; i < NR_COUNTS; i++)
		atomic_store_explicit(&nr_held[i], 0, memory_order_relaxed);
	for (int i = 0; i < NR_SHARDS; i++)
		if (atomic_load_explicit(&shards[i].nr_ranges, memory_order_relaxed) > 0)
			forget_in_shard(&shards[i], forgotten);
}

static void make_mutexes(void)
{
	for (int i = 0; i < NR_SHARDS; i++)
		pthread_mutex_init(&mutexes[i], NULL);
}

bool range__registry_had_others(void)
{
	/* relaxed: there is one thread */
	return atomic_load_explicit(&nr_threads, memory_order_relaxed) > is_counted;
}

void range__registry_forget_others(void)
{
	const struct forgotten forgotten = { .others = true };

	/* A thread that the child does not have may hold any of them. */
	make_mutexes();
	forget_in_all(&forgotten);
	atomic_store_explicit(&nr_threads, is_counted, memory_order_relaxed);
}

void range__registry_forget_lock(const struct range__lock *lock)
{
	const struct forgotten forgotten = { .lock = lock };

	forget_in_all(&forgotten);
}

/*
 * With glibc, the first 32 keys need no memory in pthread_setspecific()
 * (nptl/pthread_setspecific.c), which a lock inside malloc() must not ask for.
 */
void range__registry_init(void)
{
	bool made = pthread_key_create(&key, discount_thread) == 0;

#ifdef __GLIBC__
	if (made && key >= 32) {
		pthread_key_delete(key);
		made = false;
	}
#endif
	atomic_store(&have_key, made);
	make_mutexes();
}

/* The library may be unloaded while threads go on. */
__attribute__((destructor)) static void delete_key(void)
{
	if (atomic_exchange(&have_key, false))
		pthread_key_delete(key);
}

#endif
