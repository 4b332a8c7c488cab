/* SPDX-License-Identifier: MIT */
/*
 * Mutexes that the program tells the library about: which thread owns which, and which thread waits
 * for which. deadlock.c follows both, under its own mutex, which protects all of this.
 *
 * MUTEX-O: a thread that is registered as the owner of a mutex owns it, or is not waiting, or has
 * ended: it tells of an unlock before it unlocks. So a search that comes from a wait to a mutex, and
 * from there to its owner's wait, sees an owner that does not release it. If a thread has got a mutex
 * but not told so yet, nothing leads to it. It does tell before it waits itself, and then searches.
 *
 * A lock may be used inside malloc(), and so nothing is allocated. A mutex hashes to a window of
 * PROBES places, and is in one of them or not registered; the same is true of threads that wait. If
 * a window is full, the library forgets what it was told, and may miss a cycle.
 */
#include "checked.h"
#include "deadlock.h"

#include <mmrange/range_lock.h>

#include <errno.h>

#ifdef MMRANGE_CHECKED

enum {
	OWNER_BITS = 14,
	NR_OWNERS = 1 << OWNER_BITS,
	NR_WAITS = 1024,
	NR_COUNTS = 1024,
	PROBES = 32,
	/* Searches, a millisecond apart, for what a search could not see. */
	ATTEMPTS = 100,
};

static struct owner {
	const void *mutex;
	uint64_t thread; /* 0: free */
	unsigned int depth;
} owners[NR_OWNERS];

/* A place is free while its wait is not registered. */
static struct range__wait waits[NR_WAITS];

/*
 * How many mutexes threads with the same remainder of their numbers own. It is no variable of the
 * thread: modules that link a copy of the library each have little room for those.
 */
static atomic_uint nr_owned[NR_COUNTS];

static atomic_uint *count_of(uint64_t thread)
{
	return &nr_owned[(uint32_t)thread % NR_COUNTS];
}

/* relaxed, here and below: a thread has to see its own changes; others change it under the mutex */
bool range__mutex_owns(uint64_t thread)
{
	return atomic_load_explicit(count_of(thread), memory_order_relaxed) > 0;
}

/* The place becomes a thread's, or, for 0, free. */
static void set_owner(struct owner *owner, uint64_t thread)
{
	if (owner->thread)
		atomic_fetch_sub_explicit(count_of(owner->thread), 1, memory_order_relaxed);
	if (thread)
		atomic_fetch_add_explicit(count_of(thread), 1, memory_order_relaxed);
	owner->thread = thread;
}

/* Where a mutex is registered, or else where it can be; NULL: there is no place. */
static struct owner *find(const void *mutex)
{
	/* Multiplicative hashing, as in checked.c. */
	uint64_t hash = (uint64_t)(uintptr_t)mutex * UINT64_C(0x9e3779b97f4a7c15);
	struct owner *place = NULL;

	for (unsigned int i = 0; i < PROBES; i++) {
		struct owner *owner = &owners[((hash >> (64 - OWNER_BITS)) + i) % NR_OWNERS];

		if (owner->thread && owner->mutex == mutex)
			return owner;
		if (!owner->thread && !place)
			place = owner;
	}
	return place;
}

uint64_t range__mutex_owner(const void *mutex)
{
	const struct owner *owner = find(mutex);

	return owner ? owner->thread : 0;
}

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

/* EDEADLK: it closes a cycle, and has ended; EAGAIN: the search could not see all. */
static int look(struct range__wait *wait, struct range__report *report)
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
		error = look(wait, report);
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

/* The calling thread has the mutex, whose place is owner, or NULL. Another thread told of no unlock. */
static void own(struct owner *owner, const void *mutex)
{
	uint64_t self = mmrange__self();

	if (!owner)
		return;
	if (!mmrange__same_thread(owner->thread, self)) {
		set_owner(owner, self);
		owner->mutex = mutex;
		owner->depth = 0;
	}
	owner->depth++;
}

void range_lock_mutex_locked(const void *mutex)
{
	range__checked_thread();
	range__deadlock_lock();
	end_wait();
	own(find(mutex), mutex);
	range__deadlock_unlock();
}

void range_lock_mutex_unlocked(const void *mutex)
{
	struct owner *owner;

	range__checked_thread();
	range__deadlock_lock();
	end_wait();
	owner = find(mutex);
	if (owner && mmrange__same_thread(owner->thread, mmrange__self()) && --owner->depth == 0)
		set_owner(owner, 0);
	range__deadlock_unlock();
}

/* What the calling thread owns was written by itself, whatever the others were doing. */
void range__mutex_child(void)
{
	uint64_t self = mmrange__self();

	for (unsigned int i = 0; i < NR_COUNTS; i++)
		atomic_store_explicit(&nr_owned[i], 0, memory_order_relaxed);
	for (unsigned int i = 0; i < NR_OWNERS; i++) {
		uint64_t thread = owners[i].thread;

		if (!thread)
			continue;
		owners[i].thread = 0;
		if (mmrange__same_thread(thread, self))
			set_owner(&owners[i], thread);
	}
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
