/* SPDX-License-Identifier: MIT */
#include "checked.h"

#ifdef MMRANGE_CHECKED

#include "platform/platform.h"

#include <stdio.h>
#include <stdlib.h>

enum { NR_BUCKETS = 256 };

static struct bucket {
	atomic_flag busy;
	struct range *first; /* ranges in use, linked by checked_next */
} buckets[NR_BUCKETS];

static _Noreturn void stop(const char *what, const struct range_lock *lock,
			   const struct range *range)
{
	fprintf(stderr, "libmmrange: %s (range_lock %p, range %p)\n", what, (const void *)lock,
		(const void *)range);
	abort();
}

static struct bucket *lock_bucket(const struct range *range)
{
	struct bucket *bucket = &buckets[((uintptr_t)range >> 4) * 2654435761u / 64 % NR_BUCKETS];

	/* acquire: pairs with the release in unlock_bucket() */
	while (atomic_flag_test_and_set_explicit(&bucket->busy, memory_order_acquire))
		mmrange__relax();
	return bucket;
}

static void unlock_bucket(struct bucket *bucket)
{
	atomic_flag_clear_explicit(&bucket->busy, memory_order_release);
}

/* Where the range hangs in its bucket, or where NULL stands at the end. */
static struct range **find(struct bucket *bucket, const struct range *range)
{
	struct range **link = &bucket->first;

	while (*link && *link != range)
		link = &(*link)->checked_next;
	return link;
}

void range__checked_lock(const struct range_lock *lock)
{
	if (lock->magic == (uint32_t)~RANGE__MAGIC)
		stop("use of a lock that was destroyed", lock, NULL);
	if (lock->magic != RANGE__MAGIC)
		stop("use of a lock that was not initialised", lock, NULL);
}

void range__checked_begin(struct range_lock *lock, struct range *range)
{
	struct bucket *bucket;

	range__checked_lock(lock);
	bucket = lock_bucket(range);
	if (*find(bucket, range))
		stop("locking with a range that is in use", lock, range);
	range->checked_lock = lock;
	range->checked_held = 0;
	range->checked_next = bucket->first;
	bucket->first = range;
	unlock_bucket(bucket);
}

void range__checked_end(struct range *range, int error)
{
	struct bucket *bucket = lock_bucket(range);

	if (error)
		*find(bucket, range) = range->checked_next;
	else
		range->checked_held = 1;
	unlock_bucket(bucket);
}

/* The range's place in its bucket, which is locked; stops if it is not held in this lock. */
static struct range **find_held(struct bucket *bucket, struct range_lock *lock,
				const struct range *range)
{
	struct range **link = find(bucket, range);

	if (!*link)
		stop("use of a range that is not held", lock, range);
	if ((*link)->checked_lock != lock)
		stop("use of a range that is held in another lock", lock, range);
	if (!(*link)->checked_held)
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
	*find_held(bucket, lock, range) = range->checked_next;
	unlock_bucket(bucket);
}

bool range__checked_deadlock(struct range__leaf *leaf, const struct range *range)
{
	struct range *r;

	for (r = range__tree_first(leaf->held, range->start, range->end); r;
	     r = range__tree_next(r, range->start, range->end))
		if (r->owner == range->owner &&
		    (r->mode == RANGE_WRITE || range->mode == RANGE_WRITE))
			return true;
	return false;
}

#endif
