/* SPDX-License-Identifier: MIT */
/*
 * copy - which copy of the library this is.
 *
 * A process can have several, as when two plugins link the static library. Each copy has its own
 * variables: the slots of readers, the places where threads park on POSIX, the registry of the checked
 * build, the readers of RCU. A thread that works through one copy does not find there what a thread
 * has put in through another one. So a lock, or an address space, belongs to one copy, and the others
 * stop the process rather than use it.
 */
#ifndef PLATFORM_COPY_H
#define PLATFORM_COPY_H

#include "platform/platform.h"

/* Its address stands for this copy. */
extern MMRANGE__LOCAL const char mmrange__copy;

/* Stops: the object, a what, belongs to another copy, which is named by its address. */
_Noreturn void mmrange__copy_stop(const char *what, const void *object, const void *owner);

#endif
