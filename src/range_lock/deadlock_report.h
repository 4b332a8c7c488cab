/* SPDX-License-Identifier: MIT */
/*
 * deadlock_report - how the checked build reports a deadlock.
 */
#ifndef RANGE_LOCK_DEADLOCK_REPORT_H
#define RANGE_LOCK_DEADLOCK_REPORT_H

#include "deadlock_wait.h"

#ifdef MMRANGE_CHECKED

/* Under the mutex of deadlock_register.h: records a cycle that a search has found. */
void range__deadlock_note(struct range__report *report, const struct range__wait *start);

/* Without the mutex: writes the cycle to stderr. */
void range__deadlock_print(const struct range__report *report);

#endif

#endif
