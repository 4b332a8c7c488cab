/* SPDX-License-Identifier: MIT */
/*
 * arrbench - after ArrBench (Kogan, Dice & Issa, "Scalable Range Locks for Scalable Address Spaces
 * and Beyond", EuroSys 2020): a thread locks a range of an array of slots, each slot on its own
 * cache line, increments or reads every slot in the range, stays for the workload's hold time,
 * unlocks it, and does a random number of no-ops.
 *
 * The functions differ in the range. See struct workload.
 */
#ifndef BENCH_ARRBENCH_H
#define BENCH_ARRBENCH_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* The first slot of the thread's share. */
bool arrbench_own(struct worker *worker, uint64_t pairs);
/* The same, but one time in a hundred the lock's full range, to visit a random thread's slot. */
bool arrbench_own1full(struct worker *worker, uint64_t pairs);
/* A random slot. */
bool arrbench_slot(struct worker *worker, uint64_t pairs);
/* A random slot of the thread's share. */
bool arrbench_share(struct worker *worker, uint64_t pairs);
/* All slots, as the lock's full range. */
bool arrbench_full(struct worker *worker, uint64_t pairs);
/* All slots from one random slot to another. */
bool arrbench_random(struct worker *worker, uint64_t pairs);
/* 1 to 16 slots from a random one on, fewer at the end of the array. */
bool arrbench_short(struct worker *worker, uint64_t pairs);

#endif
