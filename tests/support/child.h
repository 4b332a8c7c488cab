/* SPDX-License-Identifier: MIT */
/* Child processes for tests that end a process. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include "test.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Runs a function in a child process, without core dumps, and waits for its end. The first size - 1
 * bytes that the child writes to stderr go to errors. Must be called while the process has one
 * thread.
 *
 * Returns the child's status, as waitpid() does; it is 0 if the function returned.
 */
int run_in_child(void (*run)(void), char *errors, size_t size);

/* How often what is in text. */
unsigned int count_in(const char *text, const char *what);

#ifdef __cplusplus
}
#endif

#endif
