/* SPDX-License-Identifier: MIT */
/*
 * In the child of fork(), before fork() returns there: the platform forgets the threads that the
 * child does not have. The child can therefore use locks without telling the library first. It
 * cannot in a handler of the program that was registered before this one, because handlers run in
 * the order of their registration.
 */
#include "platform.h"

#include <pthread.h>

static void forget_other_threads(void)
{
	mmrange__park_child();
	mmrange__thread_child();
}

/* Early among the constructors: those of the program may use locks, and fork. */
__attribute__((constructor(101))) static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, forget_other_threads))
		mmrange__fork_is_unseen = true;
}
