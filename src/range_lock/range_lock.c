/* SPDX-License-Identifier: MIT */
/*
 * The entry points: acquiring and releasing one range. The fast path is inlined (fast_path.h).
 * Everything that it does not serve is left to functions that are called last, so that it needs no
 * stack.
 */
#include "async.h"
#include "checked.h"
#include "copy.h"
#include "fast_path.h"
#include "platform/platform.h"
#include "race.h"
#include "release.h"
#include "wait.h"

#include <errno.h>

static int acquire_slow(struct range__lock *lock, struct range__hold *range,
			const struct range__limit *limit)
{
	struct range__set set = range__set_of(lock, range);
	int error;

	range__race_enter();
	error = range__acquire_slow(&set, limit);
	range__async_run();
	range__race_leave();
	return error;
}

/* Any arguments, any leaves. */
__attribute__((noinline)) static int acquire(struct range__lock *lock, struct range__hold *range,
					     uint64_t start, uint64_t end, enum range_mode mode,
					     const struct range__limit *limit)
{
	int error = 0;

	if (start >= end || (mode != RANGE_READ && mode != RANGE_WRITE))
		return EINVAL;
	range__checked_begin(lock, range);
	if (limit->callback)
		range__checked_disown(range);
	range->start = start;
	range->end = end;
	range->mode = mode;
	range->how = 0;
	range->owner = mmrange__self();
	/* The slow path claims the lock for this copy of the library, or stops. */
	if (!range__copy_owns(lock) || !range__acquire_fast(lock, range))
		error = acquire_slow(lock, range, limit);
	if (error != EINPROGRESS)
		range__checked_end(range, error);
	return error;
}

__attribute__((noinline)) static int acquire_disturbed(struct range__lock *lock,
						       struct range__hold *range,
						       const struct range__limit *limit)
{
	return range__reader_recheck(lock, range) ? 0 : acquire_slow(lock, range, limit);
}

__attribute__((noinline)) static int note_shared(struct range__lock *lock,
						 struct range__hold *range)
{
	range__note_shared(lock, range);
	return 0;
}

/* Finishes what the fast path has begun. */
__attribute__((always_inline)) static inline int
acquire_after(enum range__fast result, struct range__lock *lock, struct range__hold *range,
	      uint64_t start, uint64_t end, enum range_mode mode, const struct range__limit *limit)
{
	switch (result) {
	case RANGE__FAST_HELD:
		return 0;
	case RANGE__FAST_SHARED:
		return note_shared(lock, range);
	case RANGE__FAST_DISTURBED:
		return acquire_disturbed(lock, range, limit);
	default:
		return acquire(lock, range, start, end, mode, limit);
	}
}

/* In a lock that has had several leaves. */
__attribute__((noinline)) static int acquire_indexed(struct range__lock *lock,
						     struct range__hold *range, uint64_t start,
						     uint64_t end, enum range_mode mode,
						     const struct range__limit *limit)
{
	struct range__leaf *leaf = range__index_find(lock, start);
	uint64_t word = range__word_of(leaf);

	if (!range__leaf_covers(leaf, start, end))
		return acquire(lock, range, start, end, mode, limit);
	return acquire_after(range__acquire_in_leaf(leaf, word, lock, range, start, end, mode),
			     lock, range, start, end, mode, limit);
}

/* The root has all keys, or its word is neither EMPTY nor BIASED: see move_root() of forest.c. */
__attribute__((always_inline)) static inline int
acquire_plain(struct range__lock *lock, struct range__hold *range, uint64_t start, uint64_t end,
	      enum range_mode mode, const struct range__limit *limit)
{
	struct range__leaf *root = &lock->root;

	if (RANGE__CHECKED || start >= end || (unsigned int)mode > RANGE_WRITE ||
	    !range__copy_owns(lock))
		return acquire(lock, range, start, end, mode, limit);
	/* acquire: as in range__index_find() */
	if (atomic_load_explicit(&lock->forest, memory_order_acquire))
		return acquire_indexed(lock, range, start, end, mode, limit);
	return acquire_after(
		range__acquire_in_leaf(root, range__word_of(root), lock, range, start, end, mode),
		lock, range, start, end, mode, limit);
}

int range_lock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
	       enum range_mode mode)
{
	static const struct range__limit limit = { .clock = CLOCK_MONOTONIC };

	return acquire_plain(range__lock(lock), range__hold(range), start, end, mode, &limit);
}

int range_trylock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		  enum range_mode mode)
{
	static const struct range__limit limit = { .try = true, .clock = CLOCK_MONOTONIC };

	return acquire_plain(range__lock(lock), range__hold(range), start, end, mode, &limit);
}

int range_timedlock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode, clockid_t clock, const struct timespec *deadline)
{
	const struct range__limit limit = { .clock = clock, .deadline = deadline };

	if (!range__limit_valid(&limit))
		return EINVAL;
	return acquire(range__lock(lock), range__hold(range), start, end, mode, &limit);
}

static struct range__limit limit_of_request(range_callback *callback, void *arg)
{
	return (struct range__limit){
		.clock = CLOCK_MONOTONIC,
		.callback = callback,
		.arg = arg,
	};
}

/* As acquire(), which sees to bad arguments and to misuse before it writes to *range. */
__attribute__((noinline)) static int request(struct range__lock *lock, struct range__hold *range,
					     uint64_t start, uint64_t end, enum range_mode mode,
					     range_callback *callback, void *arg)
{
	const struct range__limit limit = limit_of_request(callback, arg);

	return callback ? acquire(lock, range, start, end, mode, &limit) : EINVAL;
}

/* In a lock that has had several leaves. */
__attribute__((noinline)) static int request_indexed(struct range__lock *lock,
						     struct range__hold *range, uint64_t start,
						     uint64_t end, enum range_mode mode,
						     range_callback *callback, void *arg)
{
	const struct range__limit limit = limit_of_request(callback, arg);

	return acquire_indexed(lock, range, start, end, mode, &limit);
}

/* Goes on after the fast path, whose result says that nothing is held, or not for certain. */
__attribute__((noinline)) static int request_after(struct range__lock *lock,
						   struct range__hold *range,
						   enum range__fast result,
						   range_callback *callback, void *arg)
{
	const struct range__limit limit = limit_of_request(callback, arg);

	return acquire_after(result, lock, range, range->start, range->end, range->mode, &limit);
}

/* The fast path of range_lock(). */
int range_lock_async(struct range_lock *lock_, struct range_hold *range_, uint64_t start,
		     uint64_t end, enum range_mode mode, range_callback *callback, void *arg)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	struct range__leaf *root = &lock->root;
	enum range__fast result;

	if (RANGE__CHECKED || start >= end || (unsigned int)mode > RANGE_WRITE ||
	    !range__copy_owns(lock) || !callback)
		return request(lock, range, start, end, mode, callback, arg);
	/* acquire: as in range__index_find() */
	if (atomic_load_explicit(&lock->forest, memory_order_acquire))
		return request_indexed(lock, range, start, end, mode, callback, arg);
	result = range__acquire_in_leaf(root, range__word_of(root), lock, range, start, end, mode);
	if (result == RANGE__FAST_HELD)
		return 0;
	return request_after(lock, range, result, callback, arg);
}

__attribute__((always_inline)) static inline void release(struct range__lock *lock,
							  struct range__hold *range)
{
	range__checked_release(lock, range);
	if (range->how == RANGE__SLOT)
		range__reader_leave(lock, range);
	else if (range->how == (RANGE__SLOT | RANGE__WIDE))
		range__reader_leave_wide(lock, range);
	else if (range->how == RANGE__WIDE)
		range__release_wide(lock, range);
	else if (range->how == RANGE__TREE || !range__release_single(range, 0))
		range__release_slow(lock, range, range->start);
}

/* The lock belongs to another copy, or to this one, but takes the slow paths. */
__attribute__((noinline)) static void check_and_release(struct range__lock *lock,
							struct range__hold *range)
{
	range__race_enter();
	range__copy_check(lock);
	range__race_release(lock, range->start, range->end, range->mode);
	release(lock, range);
	range__race_give_back(range, sizeof(struct range_hold));
	range__race_leave();
}

void range_unlock(struct range_lock *lock_, struct range_hold *range_)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);

	if (range__copy_owns(lock))
		release(lock, range);
	else
		check_and_release(lock, range);
}
