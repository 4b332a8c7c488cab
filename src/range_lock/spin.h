/* SPDX-License-Identifier: MIT */
/*
 * spin - how a thread waits for a short time before it queues.
 */
#ifndef RANGE_LOCK_SPIN_H
#define RANGE_LOCK_SPIN_H

#include "layout.h"

/*
 * Tries the fast path again and again, for as long as the leaves look worth it. Whether the range
 * is held.
 */
bool range__spin(struct range__lock *lock, struct range__hold *range);

#endif
