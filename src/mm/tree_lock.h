/* SPDX-License-Identifier: MIT */
/*
 * tree_lock - the VMA tree lock, with an RCU read section, because other threads may take VMAs out
 * in place meanwhile.
 */
#ifndef MM_TREE_LOCK_H
#define MM_TREE_LOCK_H

#include "space.h"

void mm__tree_lock(struct mm *mm);

/* Counts in thread for how long the lock was held, unless thread is NULL. */
void mm__tree_unlock(struct mm *mm, struct mm__thread *thread);

#endif
