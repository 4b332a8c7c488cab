/* SPDX-License-Identifier: MIT */
/*
 * range_guard - a range that is released at the end of its block, for C with GCC or clang. (For C++
 * see range_lock.hpp.)
 *
 *	int add(struct range_lock *lock, uint64_t key, int n)
 *	{
 *		RANGE_GUARD(guard);
 *		int error = range_guard_lock(&guard, lock, key, key + 1, RANGE_WRITE);
 *
 *		if (error)
 *			return error;
 *		sums[key] += n;
 *		return 0;
 *	}
 *
 * However the block ends, by return, break, goto or its last line, the compiler calls
 * range_guard_unlock(), which releases the range, if the guard holds one. (It does not where a
 * longjmp() leaves the block, or the thread ends. With -fexceptions it does where an exception
 * passes. GCC manual, "Common Variable Attributes": cleanup.)
 *
 * A guard holds one range at most, and stays in place. While it does, functions of range_lock.h
 * other than range_unlock() may be called with guard.hold. All functions are inline, call those of
 * range_lock.h, and keep their promises. One thread at a time may use a guard.
 */
#ifndef MMRANGE_RANGE_GUARD_H
#define MMRANGE_RANGE_GUARD_H

#if !defined(__GNUC__) || defined(__cplusplus)
#error "range_guard.h is for C with the attribute cleanup; C++ has range_lock.hpp"
#endif

#include <mmrange/range_lock.h>

#include <stddef.h>

/** Holds *hold in *lock; nothing if lock is NULL. */
struct range_guard {
	struct range_lock *lock;
	struct range_hold *hold;
};

/** Declares a guard that holds nothing, and the storage of its range.   Since: 0.2 */
#define RANGE_GUARD(name)                                                                          \
	struct range_hold name##_storage;                                                          \
	__attribute__((cleanup(range_guard_unlock))) struct range_guard name = { NULL,             \
										 &name##_storage }

/** Releases the range, if the guard holds one; then it holds nothing.   Since: 0.2 */
static inline void range_guard_unlock(struct range_guard *guard)
{
	struct range_lock *lock = guard->lock;

	guard->lock = NULL;
	if (lock)
		range_unlock(lock, guard->hold);
}

/** Internal: what an acquisition has returned. */
static inline int range_guard_set(struct range_guard *guard, struct range_lock *lock, int error)
{
	guard->lock = error ? NULL : lock;
	return error;
}

/**
 * Acquires a range for a guard that holds nothing.
 *
 * @return as range_lock(), range_trylock() and range_timedlock(); on error the guard holds nothing
 *
 * Otherwise as those.   Since: 0.2
 */
static inline MMRANGE_CHECK_RESULT int range_guard_lock(struct range_guard *guard,
							struct range_lock *lock, uint64_t start,
							uint64_t end, enum range_mode mode)
{
	return range_guard_set(guard, lock, range_lock(lock, guard->hold, start, end, mode));
}

static inline MMRANGE_CHECK_RESULT int range_guard_trylock(struct range_guard *guard,
							   struct range_lock *lock, uint64_t start,
							   uint64_t end, enum range_mode mode)
{
	return range_guard_set(guard, lock, range_trylock(lock, guard->hold, start, end, mode));
}

static inline MMRANGE_CHECK_RESULT int range_guard_timedlock(struct range_guard *guard,
							     struct range_lock *lock,
							     uint64_t start, uint64_t end,
							     enum range_mode mode, clockid_t clock,
							     const struct timespec *deadline)
{
	return range_guard_set(
		guard, lock, range_timedlock(lock, guard->hold, start, end, mode, clock, deadline));
}

/**
 * The guard, which holds nothing, takes over a range that is held, such as one of range_lock_many()
 * or one that range_lock_async() has granted. *hold has to stay in place.   Since: 0.2
 */
static inline void range_guard_adopt(struct range_guard *guard, struct range_lock *lock,
				     struct range_hold *hold)
{
	guard->lock = lock;
	guard->hold = hold;
}

/** Gives up the range without releasing it: the caller has to release it.   Since: 0.2 */
static inline struct range_hold *range_guard_release(struct range_guard *guard)
{
	guard->lock = NULL;
	return guard->hold;
}

#endif
