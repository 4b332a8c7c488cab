/* SPDX-License-Identifier: MIT */
#include "checked.h"

#ifdef MMRANGE_CHECKED

#include "platform/platform.h"

#include <stdio.h>
#include <stdlib.h>

enum { NR_BUCKETS = 256 };

/*
 * Ranges in use, linked by checked_next. The child of fork() may find a bucket busy for ever, and
 * goes through it all the same: so each store to a link leaves the list whole, and is a release,
 * after which the child sees what was stored before.
 */
typedef _Atomic(struct range *) link_t;

static struct bucket {
	atomic_flag busy;
	link_t first;
} buckets[NR_BUCKETS];

static _Noreturn void stop(const char *what, const struct range_lock *lock,
			   const struct range *range)
{
	fprintf(stderr, "libmmrange: %s (range_lock %p, range %p)\n", what, (const void *)lock,
		(const void *)range);
	abort();
}

_Noreturn void range__checked_stop(const char *what, const struct range_lock *lock,
				   const struct range *range)
{
	stop(what, lock, range);
}

static void acquire_bucket(struct bucket *bucket)
{
	/* acquire: pairs with the release in unlock_bucket() */
	while (atomic_flag_test_and_set_explicit(&bucket->busy, memory_order_acquire))
		mmrange__relax();
}

static struct bucket *lock_bucket(const struct range *range)
{
	struct bucket *bucket = &buckets[((uintptr_t)range >> 4) * 2654435761u / 64 % NR_BUCKETS];

	acquire_bucket(bucket);
	return bucket;
}

static void unlock_bucket(struct bucket *bucket)
{
	atomic_flag_clear_explicit(&bucket->busy, memory_order_release);
}

/* relaxed: under the bucket's lock, but for a look whether there is anything */
static struct range *linked(link_t *link)
{
	return atomic_load_explicit(link, memory_order_relaxed);
}

static void set_link(link_t *link, struct range *range)
{
	atomic_store_explicit(link, range, memory_order_release);
}

static void unlink_at(link_t *link)
{
	set_link(link, linked(&linked(link)->checked_next));
}

/* Where the range hangs in its bucket, or where NULL stands at the end. */
static link_t *find(struct bucket *bucket, const struct range *range)
{
	link_t *link = &bucket->first;

	while (linked(link) && linked(link) != range)
		link = &linked(link)->checked_next;
	return link;
}

void range__checked_lock(const struct range_lock *lock)
{
	if (lock->magic == (uint32_t)~RANGE__MAGIC)
		stop("use of a lock that was destroyed", lock, NULL);
	if (lock->magic != RANGE__MAGIC)
		stop("use of a lock that was not initialised", lock, NULL);
	if (range__walks > 0)
		range__checked_still_in_walk(lock);
}

void range__checked_begin(struct range_lock *lock, struct range *range)
{
	struct bucket *bucket;

	range__checked_lock(lock);
	bucket = lock_bucket(range);
	if (linked(find(bucket, range)))
		stop("locking with a range that is in use", lock, range);
	range->checked_lock = lock;
	range->checked_held = 0;
	range->owner = mmrange__self();
	set_link(&range->checked_next, linked(&bucket->first));
	set_link(&bucket->first, range);
	unlock_bucket(bucket);
}

void range__checked_end(struct range *range, int error)
{
	struct bucket *bucket = lock_bucket(range);

	if (error)
		unlink_at(find(bucket, range));
	else
		range->checked_held = 1;
	unlock_bucket(bucket);
}

/* The range's place in its bucket, which is locked; stops if it is not held in this lock. */
static link_t *find_held(struct bucket *bucket, struct range_lock *lock, const struct range *range)
{
	link_t *link = find(bucket, range);

	if (!linked(link))
		stop("use of a range that is not held", lock, range);
	if (linked(link)->checked_lock != lock)
		stop("use of a range that is held in another lock", lock, range);
	if (!linked(link)->checked_held)
		stop("use of a range that still waits", lock, range);
	return link;
}

void range__checked_held(struct range_lock *lock, const struct range *range)
{
	struct bucket *bucket;

	range__checked_lock(lock);
	bucket = lock_bucket(range);
	find_held(bucket, lock, range);
	unlock_bucket(bucket);
}

void range__checked_release(struct range_lock *lock, struct range *range)
{
	struct bucket *bucket;

	range__checked_lock(lock);
	bucket = lock_bucket(range);
	unlink_at(find_held(bucket, lock, range));
	unlock_bucket(bucket);
}

void range__checked_child(const struct range_lock *lock)
{
	for (int i = 0; i < NR_BUCKETS; i++) {
		link_t *link = &buckets[i].first;

		while (linked(link)) {
			const struct range *range = linked(link);

			if (range->checked_lock == lock ||
			    !mmrange__same_thread(range->owner, mmrange__self()))
				unlink_at(link);
			else
				link = &linked(link)->checked_next;
		}
		unlock_bucket(&buckets[i]);
	}
}

static bool holds(struct bucket *bucket, const struct range_lock *lock)
{
	const struct range *r = linked(&bucket->first);

	while (r && (r->checked_lock != lock || !r->checked_held ||
		     !mmrange__same_thread(r->owner, mmrange__self())))
		r = atomic_load_explicit(&r->checked_next, memory_order_relaxed);
	return r != NULL;
}

bool range__checked_holds(const struct range_lock *lock)
{
	bool found = false;

	for (int i = 0; i < NR_BUCKETS && !found; i++) {
		/* What this thread has put into it, it sees without the lock. */
		if (!linked(&buckets[i].first))
			continue;
		acquire_bucket(&buckets[i]);
		found = holds(&buckets[i], lock);
		unlock_bucket(&buckets[i]);
	}
	return found;
}

bool range__checked_deadlock(struct range__leaf *leaf, const struct range *range)
{
	struct range *r;

	for (r = range__tree_first(leaf->held, range->start, range->end); r;
	     r = range__tree_next(r, range->start, range->end))
		if (mmrange__same_thread(r->owner, range->owner) &&
		    (r->mode == RANGE_WRITE || range->mode == RANGE_WRITE))
			return true;
	return false;
}

#endif
