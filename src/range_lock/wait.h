/* SPDX-License-Identifier: MIT */
/*
 * wait - the slow path of acquiring: spinning, queueing, parking.
 */
#ifndef RANGE_LOCK_WAIT_H
#define RANGE_LOCK_WAIT_H

#include "limit.h"
#include "queue.h"
#include "set.h"

/*
 * 0, EBUSY, ETIMEDOUT, ECANCELED; in the checked build EDEADLK. The fields of its ranges are set.
 * EINPROGRESS, with a callback: the set and its ranges are not the caller's any more, and may be
 * gone.
 */
int range__acquire_slow(struct range__set *set, const struct range__limit *limit);

/* With all leaves locked: a newcomer enters a queue, unlocks the leaves and waits. */
int range__queue_and_wait(struct range__set *set, struct range__obstacle obstacle,
			  const struct range__limit *limit);

#endif
