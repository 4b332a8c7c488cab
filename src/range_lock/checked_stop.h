/* SPDX-License-Identifier: MIT */
/*
 * checked_stop - how the checked build ends a process whose program breaks the contract.
 */
#ifndef RANGE_LOCK_CHECKED_STOP_H
#define RANGE_LOCK_CHECKED_STOP_H

#include "layout.h"
#include "platform/message.h"

/* Stops the process with a message. */
_Noreturn static inline void range__checked_stop(const char *what, const struct range__lock *lock,
						 const struct range__hold *range)
{
	mmrange__stop("%s (range_lock %p, range %p)", what, (const void *)lock,
		      (const void *)range);
}

#endif
