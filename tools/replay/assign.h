/* SPDX-License-Identifier: MIT */
#ifndef REPLAY_ASSIGN_H
#define REPLAY_ASSIGN_H

#include "trace_format.h"

/*
 * Distributes the threads of a trace on so many threads of a replay, at most as many as the trace
 * has: the busiest first, each to the one with the least to do. to[] has an element for each thread
 * of the trace.
 * 0 or ENOMEM.
 */
int assign_threads(const struct trace *trace, uint32_t threads, uint32_t *to);

#endif
