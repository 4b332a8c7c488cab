/* SPDX-License-Identifier: MIT */
/*
 * Nothing is allocated: a mutex hashes to a window of PROBES places, and is registered in one of
 * them or not.
 */
#include "mutex_owner.h"

#ifdef MMRANGE_CHECKED

#include "platform/platform.h"

#include <stdatomic.h>

enum { OWNER_BITS = 14, NR_OWNERS = 1 << OWNER_BITS, NR_COUNTS = 1024, PROBES = 32 };

static struct owner {
	const void *mutex;
	uint64_t thread; /* 0: free */
	unsigned int depth;
} owners[NR_OWNERS];

/*
 * For all threads whose numbers have the same remainder: how many mutexes they own. It is not a
 * thread-local variable, because modules that each link a copy of the library have little room for
 * those.
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

/* Gives the place to a thread; 0 frees it. */
static void set_owner(struct owner *owner, uint64_t thread)
{
	if (owner->thread)
		atomic_fetch_sub_explicit(count_of(owner->thread), 1, memory_order_relaxed);
	if (thread)
		atomic_fetch_add_explicit(count_of(thread), 1, memory_order_relaxed);
	owner->thread = thread;
}

/* The place where a mutex is registered, or where it can be; NULL: there is none. */
static struct owner *find_owner(const void *mutex)
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
	const struct owner *owner = find_owner(mutex);

	return owner ? owner->thread : 0;
}

/* The owner may be another thread, which told of no unlock. */
void range__mutex_owner_add(const void *mutex)
{
	struct owner *owner = find_owner(mutex);
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

void range__mutex_owner_remove(const void *mutex)
{
	struct owner *owner = find_owner(mutex);

	if (owner && mmrange__same_thread(owner->thread, mmrange__self()) && --owner->depth == 0)
		set_owner(owner, 0);
}

/* Only the calling thread's own mutexes were certainly whole when the parent forked. */
void range__mutex_owner_child(void)
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
}

#endif
