/* SPDX-License-Identifier: MIT */
/*
 * blocker - which thread a waiter waits for, for the probe range_wait_for. The library looks for it
 * only while a tracer has enabled the probe.
 */
#ifndef RANGE_LOCK_BLOCKER_H
#define RANGE_LOCK_BLOCKER_H

#include "set.h"

/*
 * With no leaf locked, by the thread of an acquisition that has just entered a queue: tells a
 * tracer a thread that holds, or waits for, a range for which the acquisition waits.
 */
void range__blocker_probe(const struct range__set *set, const struct range__hold *range);

/*
 * With no leaf locked: the number in the system of a thread that holds a range which conflicts with
 * *range, or is starving and came before it. 0: there is none any more. O(leaves + waiters).
 */
uint32_t range__blocker(struct range__lock *lock, const struct range__hold *range);

#endif
