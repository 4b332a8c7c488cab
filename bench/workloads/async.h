/* SPDX-License-Identifier: MIT */
/*
 * async - each thread is an event loop that keeps a number of asynchronous requests in flight.
 *
 * When a request is granted, at once or later by a callback, it joins the queue of its loop. The
 * loop takes the requests in turn, works in the slots of each, releases its range, and begins its
 * next acquisition. A loop that has no request to go on with gives up the processor; it never
 * sleeps.
 *
 *	async_count	the full range; increments one slot. async_parked is the same with a thread
 *			for each request, which waits in lock()
 *	async_short	1 to 16 slots from a random one on, of ASYNC_SLOTS
 *
 * uncontended_async is uncontended_write with asynchronous requests, which never wait.
 */
#ifndef BENCH_ASYNC_H
#define BENCH_ASYNC_H

#include <stdbool.h>
#include <stdint.h>

struct async_loop;
struct worker;

enum { ASYNC_SLOTS = 16384 }; /* of async_short: 1 MiB */

/** The loop of a worker, with this many requests; NULL if there is no memory. */
struct async_loop *async_loop_new(uint32_t in_flight);
void async_loop_delete(struct async_loop *loop);

bool async_count(struct worker *worker, uint64_t pairs);
bool async_short(struct worker *worker, uint64_t pairs);
bool async_parked(struct worker *worker, uint64_t pairs);
bool uncontended_async(struct worker *worker, uint64_t pairs);

#endif
