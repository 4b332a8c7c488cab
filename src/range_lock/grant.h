/* SPDX-License-Identifier: MIT */
/*
 * grant - how an acquisition that nothing blocks becomes held.
 */
#ifndef RANGE_LOCK_GRANT_H
#define RANGE_LOCK_GRANT_H

#include "set.h"

/*
 * With all leaves of the set locked, in none of which something blocks it: makes it held, and
 * unlocks them.
 */
void range__grant_and_unlock(struct range__set *set);

#endif
