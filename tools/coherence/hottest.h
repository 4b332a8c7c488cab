/* SPDX-License-Identifier: MIT */
/*
 * hottest - the lines with the most transfers, the cores that use them, and the instructions.
 */
#ifndef COHERENCE_HOTTEST_H
#define COHERENCE_HOTTEST_H

#include "caches.h"

/* Names [start, start + size). The name must stay. */
void hottest_name(uint64_t start, uint64_t size, const char *name);

/* With the baton: an access that is counted. */
void hottest_note(unsigned int core, uint64_t address, bool store, bool transfer,
		  const struct site *site);

/* Prints the lines with the most transfers, at most n. */
void hottest_print(unsigned int n, uint64_t operations);

#endif
