/* SPDX-License-Identifier: MIT */
/*
 * checked_registry - what the child of fork() does to the registry of checked.c.
 */
#ifndef RANGE_LOCK_CHECKED_REGISTRY_H
#define RANGE_LOCK_CHECKED_REGISTRY_H

#include "layout.h"

/* Before any other function of the registry. */
void range__registry_init(void);

/* In the child: whether the parent had threads other than the calling one that used the library. */
bool range__registry_had_others(void);

/* In the child: forgets the ranges of all threads but the calling one, and of one lock. */
void range__registry_forget_others(void);
void range__registry_forget_lock(const struct range__lock *lock);

#endif
