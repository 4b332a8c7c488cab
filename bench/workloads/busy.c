/* SPDX-License-Identifier: MIT */
#include "busy.h"
#include "platform/platform.h"

/* Takes the shortest of ROUNDS times, because a disturbance only ever lengthens a time. */
enum { ROUNDS = 50, LOOPS = 20000 };

__attribute__((noinline)) void busy_hold(uint64_t loops)
{
	busy(loops);
}

static uint64_t shortest(void)
{
	uint64_t best = UINT64_MAX;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		uint64_t start = mmrange__now();
		uint64_t time;

		busy_hold(LOOPS);
		time = mmrange__now() - start;
		if (time < best)
			best = time;
	}
	return best ? best : 1;
}

uint64_t busy_loops(uint64_t ns)
{
	static uint64_t ns_per_loops;

	if (ns && !ns_per_loops)
		ns_per_loops = shortest();
	return ns ? ns * LOOPS / ns_per_loops : 0;
}
