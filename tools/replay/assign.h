/* SPDX-License-Identifier: MIT */
#ifndef REPLAY_ASSIGN_H
#define REPLAY_ASSIGN_H

#include "trace_format.h"

/*
 * Distributes the threads of a trace over that many threads of a replay, at most as many as the
 * trace has. It takes the busiest first, and gives each to the thread with the least work. to[] has
 * an element for each thread of the trace. 0 or ENOMEM.
 */
int assign_threads(const struct trace *trace, uint32_t threads, uint32_t *to);

#endif
