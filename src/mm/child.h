/* SPDX-License-Identifier: MIT */
#ifndef MM_CHILD_H
#define MM_CHILD_H

#include <stdbool.h>

/*
 * Whether the handlers for fork(2) are registered. Tries again if an earlier call could not
 * register them.
 */
bool mm__fork_handled(void);

#endif
