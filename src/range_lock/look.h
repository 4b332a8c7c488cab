/* SPDX-License-Identifier: MIT */
/*
 * look - what a waiter does when it was woken: it looks again whether anything blocks it.
 */
#ifndef RANGE_LOCK_LOOK_H
#define RANGE_LOCK_LOOK_H

#include "adapt.h"
#include "deadlock_wait.h"
#include "set.h"

/*
 * For a woken waiter, or one that gives up with an error (ETIMEDOUT) unless nothing blocks it any
 * more: 0 if it holds; EINPROGRESS if it waits again; otherwise the error with which it has left
 * its queue. self is NULL for a request.
 */
int range__look_again(struct range__set *set, struct range__wait *self, int error);

/*
 * After an acquisition that did not come by the fast path: notes its ranges, as range__adapt_note()
 * does.
 */
void range__note_acquired(struct range__set *set, enum range__memory memory);

#endif
