/* SPDX-License-Identifier: MIT */
/* How often threads sleep on a word and are woken: the linker leads the calls to the platform here. */
#ifndef TESTS_PARKING_H
#define TESTS_PARKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern atomic_uint park_sleeps, park_wakes;
/* By the last wake. */
extern atomic_bool park_woke_all;

/* Counts anew, for this word. */
void watch_parking(const _Atomic(uint64_t) *word);

#endif
