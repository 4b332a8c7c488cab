/* SPDX-License-Identifier: MIT */
#ifndef MM_BRK_H
#define MM_BRK_H

#include "space.h"

/* The end of the heap. */
uint64_t mm__brk(const struct mm *mm);

#endif
