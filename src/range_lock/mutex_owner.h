/* SPDX-License-Identifier: MIT */
/*
 * mutex_owner - which thread owns which of the program's mutexes, as the program tells the library,
 * in builds with MMRANGE_CHECKED.
 *
 * MUTEX-O: a thread that is registered as the owner of a mutex owns it, or does not wait, or has
 * ended: the thread tells of an unlock before it unlocks. So a search that comes from a wait to a
 * mutex, and from there to its owner's wait, sees an owner that does not release the mutex. If a
 * thread has got a mutex but not told so yet, no search comes to it. The thread does tell before it
 * waits itself, and then searches.
 *
 * All of it needs the mutex of deadlock_register.h, but for range__mutex_owns(). If there is no
 * room, the library forgets owners.
 */
#ifndef RANGE_LOCK_MUTEX_OWNER_H
#define RANGE_LOCK_MUTEX_OWNER_H

#include <stdbool.h>
#include <stdint.h>

/* The thread that owns a mutex of the program, or 0. */
uint64_t range__mutex_owner(const void *mutex);

/* Whether a thread owns a mutex. If it does not, this may be true all the same. */
bool range__mutex_owns(uint64_t thread);

/*
 * The calling thread has locked the mutex, maybe again; and is about to unlock it, if it owns it.
 */
void range__mutex_owner_add(const void *mutex);
void range__mutex_owner_remove(const void *mutex);

/*
 * In the child of fork(): the other threads own nothing; and no thread waits for a mutex (mutex.c).
 */
void range__mutex_owner_child(void);
void range__mutex_child(void);

#endif
