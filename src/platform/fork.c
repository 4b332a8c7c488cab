/* SPDX-License-Identifier: MIT */
/*
 * In the child of fork(), before fork() returns there: the platform forgets the
 * threads that the child does not have. So the child can use locks without telling the library first;
 * but not in a handler of the program that was registered before this one, as handlers run in the
 * order in which they were registered.
 */
#include "platform.h"

#include <pthread.h>

bool mmrange__fork_is_unseen;

static void child(void)
{
	mmrange__park_child();
	mmrange__thread_child();
}

/* Early among the constructors: those of the program may use locks, and fork. */
__attribute__((constructor(101))) static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, child))
		mmrange__fork_is_unseen = true;
}
