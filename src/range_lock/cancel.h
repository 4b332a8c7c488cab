/* SPDX-License-Identifier: MIT */
/*
 * cancel - ends a wait.
 */
#ifndef RANGE_LOCK_CANCEL_H
#define RANGE_LOCK_CANCEL_H

#include "set.h"

/*
 * With the leaf locked in whose queue, or list of wide waiters, the waiter is: ends its wait with
 * ECANCELED, and unlocks the leaf. 0; ESRCH: it has left the queue meanwhile, or has moved.
 */
int range__cancel_waiter(struct range__lock *lock, struct range__leaf *leaf,
			 struct range__hold *waiter);

#endif
