/* SPDX-License-Identifier: MIT */
#include "backoff.h"

#include "../platform/platform.h"

#include <sched.h>

#define SPINS     100u
#define YIELDS    10u
#define SLEEP_NS  UINT64_C(50000)
#define DOUBLINGS 4u

static void sleep_for(uint64_t ns)
{
	_Atomic(uint64_t) word; /* No thread wakes it. */
	uint64_t end = mmrange__now() + ns;
	struct timespec deadline = { (time_t)(end / 1000000000), (long)(end % 1000000000) };

	atomic_init(&word, 0);
	mmrange__park(&word, 0, CLOCK_MONOTONIC, &deadline);
}

void mm__backoff(struct mm__backoff *backoff)
{
	if (!backoff->rounds && !mmrange__spinning_helps())
		backoff->rounds = SPINS;
	if (backoff->rounds < SPINS) {
		mmrange__relax();
	} else if (backoff->rounds < SPINS + YIELDS) {
		sched_yield();
	} else {
		unsigned int doublings = backoff->rounds - SPINS - YIELDS;

		sleep_for(SLEEP_NS << (doublings < DOUBLINGS ? doublings : DOUBLINGS));
		if (doublings >= DOUBLINGS)
			return;
	}
	backoff->rounds++;
}
