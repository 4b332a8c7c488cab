/* SPDX-License-Identifier: MIT */
/*
 * copy - which copy of the library this is.
 *
 * A process can have several copies, as when two plugins link the static library. Each copy has its
 * own variables: the slots of readers, the places where threads park on POSIX, the registry of the
 * checked build, the readers of RCU. A thread that works through one copy does not find there what
 * a thread has put in through another. So a lock, or an address space, belongs to one copy, and the
 * other copies stop the process rather than use it.
 */
#ifndef PLATFORM_COPY_H
#define PLATFORM_COPY_H

#include "platform/platform.h"

/*
 * The address of this variable stands for this copy. That of its second element does, too, for a
 * lock with which no call takes a fast path.
 */
extern MMRANGE__LOCAL const char mmrange__copy[2];

/* Stops the process: an object, called what in the message, belongs to another copy, the owner. */
_Noreturn void mmrange__copy_stop(const char *what, const void *object, const void *owner);

#endif
