/* SPDX-License-Identifier: MIT */
#include "parking.h"

#include "platform/platform.h"

atomic_uint park_sleeps, park_wakes;
atomic_bool park_woke_all;

static _Atomic(uintptr_t) watched;

void watch_parking(const _Atomic(uint64_t) *word)
{
	atomic_store(&watched, (uintptr_t)word);
	atomic_store(&park_sleeps, 0);
	atomic_store(&park_wakes, 0);
	atomic_store(&park_woke_all, false);
}

int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
void __real_mmrange__unpark(_Atomic(uint64_t) *word, bool all);
void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all);

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	if ((uintptr_t)word == atomic_load(&watched))
		atomic_fetch_add(&park_sleeps, 1);
	return __real_mmrange__park(word, expected, clock, deadline);
}

void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	if ((uintptr_t)word == atomic_load(&watched)) {
		atomic_fetch_add(&park_wakes, 1);
		atomic_store(&park_woke_all, all);
	}
	__real_mmrange__unpark(word, all);
}
