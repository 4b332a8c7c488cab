/* SPDX-License-Identifier: MIT */
/* Children of processes that have many threads. */
#ifndef TESTS_FORKS_H
#define TESTS_FORKS_H

#include "threads.h"

#include <errno.h>
#include <sys/wait.h>

/*
 * Runs a function in a child process and waits for its end. The child ends without the exit
 * handlers of the program, whose other threads it lacks. The parent kills it if it hangs.
 */
static inline void check_in_child(void (*run)(void *arg), void *arg)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		alarm(60);
		run(arg);
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0)
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(status, 0);
}

#endif
