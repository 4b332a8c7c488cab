/* SPDX-License-Identifier: MIT */
/*
 * hottest - which lines are transferred, who uses them, and by which instructions.
 */
#ifndef COHERENCE_HOTTEST_H
#define COHERENCE_HOTTEST_H

#include "caches.h"

/* What is at [start, start + size). The name is kept. */
void hottest_name(uint64_t start, uint64_t size, const char *name);

/* With the baton: an access that is counted. */
void hottest_note(unsigned int core, uint64_t address, bool store, bool transfer,
		  const struct site *site);

/* Prints the lines with the most transfers, at most n. */
void hottest_print(unsigned int n, uint64_t operations);

#endif
