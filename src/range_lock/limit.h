/* SPDX-License-Identifier: MIT */
/*
 * limit - how long an acquisition may take.
 */
#ifndef RANGE_LOCK_LIMIT_H
#define RANGE_LOCK_LIMIT_H

#include <stdbool.h>
#include <time.h>

struct range__limit {
	bool try;
	clockid_t clock;
	const struct timespec *deadline; /* NULL: none */
	/* Not NULL: no thread waits; see async.h. */
	void (*callback)(int error, void *arg);
	void *arg;
};

static inline bool range__limit_valid(const struct range__limit *limit)
{
	return (limit->clock == CLOCK_REALTIME || limit->clock == CLOCK_MONOTONIC) &&
	       (!limit->deadline ||
		(limit->deadline->tv_nsec >= 0 && limit->deadline->tv_nsec <= 999999999));
}

#endif
