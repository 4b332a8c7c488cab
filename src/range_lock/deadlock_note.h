/* SPDX-License-Identifier: MIT */
/*
 * deadlock_note - the requests that the calling thread has made starving, in builds with
 * MMRANGE_CHECKED. It looks for the cycles that this has closed when it has left all locks.
 */
#ifndef RANGE_LOCK_DEADLOCK_NOTE_H
#define RANGE_LOCK_DEADLOCK_NOTE_H

#include "layout.h"
#include "platform/platform.h"

#ifdef MMRANGE_CHECKED

/* A request, which may be gone. */
struct range__request_name {
	const struct range__hold *first; /* the address of its first range, or only one */
	uint64_t start;                  /* of that range */
	uint64_t arrival;
};

struct range__noted {
	struct range__lock *lock;        /* may be gone */
	struct range__request_name name; /* without a first range: of all its requests */
};

/* How many entries the calling thread has noted. */
extern MMRANGE__THREAD_LOCAL unsigned int range__deadlock_nr_noted;

/* With a leaf locked that the request overlaps: it has become starving. */
void range__deadlock_note_request(struct range__hold *request);

/* Takes an entry off the list, which is not empty. */
struct range__noted range__deadlock_take_noted(void);

#endif

#endif
