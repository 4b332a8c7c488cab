/* SPDX-License-Identifier: MIT */
/*
 * Threads that hold one range and wait for another, for tests of deadlocks, and what the checked
 * build says of them in a child process.
 */
#ifndef TESTS_PARTIES_H
#define TESTS_PARTIES_H

#include "actors.h"

/* A thread that holds one range, waits for another one on request, and then releases both. */
struct party {
	struct range_lock *lock;
	struct range_hold first, second;
	enum range_mode mode; /* of the first; the second is for writing */
	uint64_t start, end;
	uint64_t next_start, next_end;
	const struct timespec *deadline; /* of the wait; may be set until party_go_on() */
	pthread_t thread;
	sem_t go;
	atomic_bool holds, through;
	int result;
};

/* Returns when the thread holds [start, end). */
void party_start(struct party *party, struct range_lock *lock, enum range_mode mode, uint64_t start,
		 uint64_t end, uint64_t next_start, uint64_t next_end);

/* Returns once the thread waits, or was refused. */
void party_go_on(struct party *party);

/* Waits for the thread's end, and returns the result of its wait. */
int party_finish(struct party *party);

/* Runs the function in a child, which must succeed, and keeps what it wrote to stderr. */
void run_and_capture(void (*run)(void), char errors[4096]);

#endif
