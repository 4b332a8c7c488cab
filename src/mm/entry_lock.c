/* SPDX-License-Identifier: MIT */
#include "entry_lock.h"

#include <time.h>

bool mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen)
{
	return atomic_compare_exchange_strong_explicit(entry, &seen, seen | MM__BUSY,
						       memory_order_seq_cst, memory_order_relaxed);
}

/* relaxed: locking the entry orders */
static uint64_t look_at(_Atomic(uint64_t) *entry)
{
	return atomic_load_explicit(entry, memory_order_relaxed);
}

static bool spin_for(_Atomic(uint64_t) *entry)
{
	unsigned int spins = 0;

	while (mmrange__spin(&spins))
		if (!(look_at(entry) & MM__BUSY))
			return true;
	return false;
}

void mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters)
{
	uint64_t value;

	if (spin_for(entry))
		return;
	/* relaxed [EL-W1]: ordered by the fence */
	atomic_fetch_add_explicit(waiters, 1, memory_order_relaxed);
	mmrange__heavy_fence();
	/* [EL-W2] */
	while ((value = look_at(entry)) & MM__BUSY)
		mmrange__park(entry, value, CLOCK_MONOTONIC, NULL);
	atomic_fetch_sub_explicit(waiters, 1, memory_order_relaxed);
}

void mm__entry_lock_wake(_Atomic(uint64_t) *entry)
{
	mmrange__unpark(entry, true);
}

/* One fence is enough for all EL-U1, as no EL-U2 comes before it. */
void mm__entry_lock_drop_all(_Atomic(uint64_t) *entry, const uint16_t *locked, unsigned int n,
			     _Atomic(uint32_t) *waiters)
{
	for (unsigned int i = 0; i < n; i++)
		/* release [EL-U1] */
		atomic_store_explicit(&entry[locked[i]], 0, memory_order_release);
	mmrange__light_fence();
	/* relaxed [EL-U2]: ordered by the fence */
	for (unsigned int i = 0; i < n && atomic_load_explicit(waiters, memory_order_relaxed); i++)
		mm__entry_lock_wake(&entry[locked[i]]);
}
