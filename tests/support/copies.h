/* SPDX-License-Identifier: MIT */
/*
 * Several copies of the library in a process: modules that each have their own, or share one. CMake
 * defines the names of their files:
 *
 *	COPY_A, COPY_B  each has linked the static library
 *	USER_A, USER_B  both use the shared library
 */
#ifndef TESTS_COPIES_H
#define TESTS_COPIES_H

#include "copy_module.h"

#include <stdbool.h>

/*
 * Whether the system loads such modules; if not, prints that. musl loads no module whose
 * thread-local variables have the initial-exec model.
 */
bool modules_load(const char *file);

/* Loads it as a program loads a plugin: no other module sees its functions. */
const struct copy_module *load_module(const char *file);

/*
 * In a child process: use() must end the process, with a message that states the kind of the object
 * and names both files. Must be called while the process has one thread.
 */
void check_refused(const char *kind, void (*use)(void), const char *name, const char *file,
		   const char *other_file);

#endif
