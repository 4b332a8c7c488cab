/* SPDX-License-Identifier: MIT */
/*
 * Mutexes that the program tells the library about: the entry points, and which thread waits for
 * which mutex. See mutex_owner.h for which thread owns which, and deadlock_search.c for how a
 * search follows both.
 *
 * A lock may be used inside malloc(), and so nothing is allocated. A thread that waits hashes to a
 * window of PROBES places, and is in one of them or not registered. If a window is full, the
 * library forgets what it was told, and may miss a cycle.
 */
#include "checked.h"
#include "deadlock.h"
#include "deadlock_register.h"
#include "deadlock_report.h"
#include "deadlock_search.h"
#include "mutex_owner.h"

#include <mmrange/range_lock.h>

#include <errno.h>

#ifdef MMRANGE_CHECKED

enum {
	NR_WAITS = 1024,
	PROBES = 32,
	/* Searches, a millisecond apart, for what the first search could not see. */
	ATTEMPTS = 100,
};

/* A place is free while its wait is not registered. */
static struct range__wait waits[NR_WAITS];

/* The calling thread's wait for a mutex, or NULL. */
static struct range__wait *own_wait(void)
{
	struct range__wait *wait = range__deadlock_wait_of(mmrange__self());

	return wait && !wait->set ? wait : NULL;
}

static void end_wait(void)
{
	struct range__wait *wait = own_wait();

	if (wait)
		range__deadlock_remove(wait);
}

/* NULL: there is no place. */
static struct range__wait *begin_wait(const void *mutex)
{
	uint64_t self = mmrange__self();

	end_wait();
	for (unsigned int i = 0; i < PROBES; i++) {
		struct range__wait *wait = &waits[((uint32_t)self + i) % NR_WAITS];

		if (wait->registered)
			continue;
		wait->thread = self;
		wait->mutex = mutex;
		range__deadlock_add(wait);
		return wait;
	}
	return NULL;
}

/* EDEADLK: the wait closes a cycle, and has ended; EAGAIN: the search could not see all. */
static int look_for_cycle(struct range__wait *wait, struct range__report *report)
{
	bool unsure;

	if (!range__deadlock_find(wait, &unsure))
		return unsure ? EAGAIN : 0;
	range__deadlock_note(report, wait);
	range__deadlock_remove(wait);
	return EDEADLK;
}

static int wait_and_look(const void *mutex, struct range__report *report)
{
	struct range__wait *wait;
	int error = 0;

	range__deadlock_lock();
	wait = begin_wait(mutex);
	if (wait && (range__mutex_owns(wait->thread) || range__checked_holds(wait->thread)))
		error = look_for_cycle(wait, report);
	range__deadlock_unlock();
	return error;
}

int range_lock_mutex_wait(const void *mutex)
{
	struct range__report report;
	int error = EAGAIN;

	range__checked_thread();
	for (int i = 0; error == EAGAIN && i < ATTEMPTS; i++) {
		if (i > 0)
			range__deadlock_nap();
		error = wait_and_look(mutex, &report);
	}
	if (error != EDEADLK)
		return 0;
	range__deadlock_print(&report);
	return EDEADLK;
}

void range_lock_mutex_locked(const void *mutex)
{
	range__checked_thread();
	range__deadlock_lock();
	end_wait();
	range__mutex_owner_add(mutex);
	range__deadlock_unlock();
}

void range_lock_mutex_unlocked(const void *mutex)
{
	range__checked_thread();
	range__deadlock_lock();
	end_wait();
	range__mutex_owner_remove(mutex);
	range__deadlock_unlock();
}

void range__mutex_child(void)
{
	range__mutex_owner_child();
	for (unsigned int i = 0; i < NR_WAITS; i++)
		if (waits[i].registered)
			waits[i].registered = false;
}

#else

int range_lock_mutex_wait(const void *mutex)
{
	(void)mutex;
	return 0;
}

void range_lock_mutex_locked(const void *mutex)
{
	(void)mutex;
}

void range_lock_mutex_unlocked(const void *mutex)
{
	(void)mutex;
}

#endif
