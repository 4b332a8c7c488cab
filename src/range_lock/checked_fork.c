/* SPDX-License-Identifier: MIT */
/*
 * The checked build in the child of fork(): it forgets the threads that are not there, and their
 * ranges.
 */
#include "checked.h"

#ifdef MMRANGE_CHECKED

#include "checked_registry.h"
#include "deadlock_register.h"
#include "mutex_owner.h"

#include <pthread.h>

/* Whether the child has forgotten by itself. */
static bool have_handler;

static void forget_other_threads(void)
{
	if (!range__registry_had_others())
		return;
	range__deadlock_child();
	range__mutex_child();
	range__registry_forget_others();
}

void range__checked_child(const struct range__lock *lock)
{
	if (!have_handler)
		forget_other_threads();
	range__registry_forget_lock(lock);
}

/*
 * Early among the constructors, as those of the program may use locks. Without memory for the
 * handler, a child still is as it must be after range_lock_child().
 */
__attribute__((constructor(101))) static void init_checked(void)
{
	range__registry_init();
	have_handler = pthread_atfork(NULL, NULL, forget_other_threads) == 0;
}

#endif
