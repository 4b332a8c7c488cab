/* SPDX-License-Identifier: MIT */
/* relaxed, in all of this file: a counter orders nothing, and the counters need not agree. */
#include "times.h"
#include "checked.h"
#include "copy.h"
#include "race.h"

#include <errno.h>

enum { STRIPES = 16 };

struct mode_counters {
	_Alignas(8) _Atomic(uint64_t) holds;
	_Alignas(8) _Atomic(uint64_t) waits;
	_Alignas(8) _Atomic(uint64_t) total_ns;
	_Alignas(8) _Atomic(uint64_t) longest_ns;
};

/* Two lines, because processors prefetch lines in pairs. */
struct stripe {
	_Alignas(128) struct mode_counters mode[2];
};

_Static_assert(sizeof(struct stripe[STRIPES]) + _Alignof(struct stripe) - 8 <=
		       sizeof(struct range_lock_counters),
	       "the storage has room at any address that is a multiple of 8");

static struct stripe *first_stripe(const struct range_lock_counters *counters)
{
	uintptr_t mask = _Alignof(struct stripe) - 1;

	return (struct stripe *)(((uintptr_t)counters + mask) & ~mask);
}

static struct mode_counters *own_counters(const struct range_lock_counters *counters,
					  enum range_mode mode)
{
	return &first_stripe(counters)[(uint32_t)mmrange__self() % STRIPES].mode[mode];
}

static void add(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t value(_Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void raise_to(_Atomic(uint64_t) *counter, uint64_t n)
{
	uint64_t old = value(counter);

	while (old < n && !atomic_compare_exchange_weak_explicit(
				  counter, &old, n, memory_order_relaxed, memory_order_relaxed))
		;
}

void range__times_add_hold(struct range_lock_counters *counters, enum range_mode mode)
{
	add(&own_counters(counters, mode)->holds, 1);
}

void range__times_add_wait(struct range_lock_counters *counters, enum range_mode mode, uint64_t ns)
{
	struct mode_counters *own = own_counters(counters, mode);

	add(&own->waits, 1);
	add(&own->total_ns, ns);
	raise_to(&own->longest_ns, ns);
}

enum range_mode range__times_mode(const struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (range__set_hold(set, i)->mode == RANGE_WRITE)
			return RANGE_WRITE;
	return RANGE_READ;
}

static void add_up(struct range_mode_times *sum, struct mode_counters *counters)
{
	uint64_t longest = value(&counters->longest_ns);

	sum->holds += value(&counters->holds);
	sum->waits += value(&counters->waits);
	sum->total_ns += value(&counters->total_ns);
	if (sum->longest_ns < longest)
		sum->longest_ns = longest;
}

int range_lock_get_times(struct range_lock *lock_, struct range_lock_times *times)
{
	struct range__lock *lock = range__lock(lock_);
	struct stripe *stripe;

	range__copy_check(lock);
	range__checked_lock(lock);
	if (!lock->counters)
		return EINVAL;
	range__race_enter();
	stripe = first_stripe(lock->counters);
	*times = (struct range_lock_times){ 0 };
	for (int i = 0; i < STRIPES; i++)
		for (int mode = RANGE_READ; mode <= RANGE_WRITE; mode++)
			add_up(&times->mode[mode], &stripe[i].mode[mode]);
	range__race_leave();
	return 0;
}
