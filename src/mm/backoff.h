/* SPDX-License-Identifier: MIT */
/*
 * backoff - waits for another thread's progress that no wake-up announces: a bounded number of
 * spins, then of yields, then sleeps of at most a millisecond. A sleep lets a thread of lower
 * priority run, which yielding does not.
 */
#ifndef MM_BACKOFF_H
#define MM_BACKOFF_H

struct mm__backoff {
	unsigned int rounds;
};

/* Waits a moment, longer from call to call. *backoff begins as { 0 }. Not a cancellation point. */
void mm__backoff(struct mm__backoff *backoff);

#endif
