/* SPDX-License-Identifier: MIT */
/*
 * Counts sleeps on a word, and wake-ups: the linker redirects calls of the platform to this file.
 */
#ifndef TESTS_PARKING_H
#define TESTS_PARKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern atomic_uint park_sleeps, park_wakes;
/* Whether the last wake-up woke all sleepers. */
extern atomic_bool park_woke_all;

/* Resets the counts, and counts for this word from now on. */
void watch_parking(const _Atomic(uint64_t) *word);

#endif
