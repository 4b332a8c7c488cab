/* SPDX-License-Identifier: MIT */
/*
 * Range locks that are slow, simple and deliberately broken, each in a way in which real locks
 * were, to show that a test of exclusion detects it. FLAW_NONE is correct, and shows that the test
 * accepts a correct lock.
 */
#ifndef TESTS_BROKEN_LOCK_H
#define TESTS_BROKEN_LOCK_H

#include "exclusion.h"
#include "own_range.h"

enum flaw {
	FLAW_NONE,
	FLAW_LAST_KEY,          /* the last key of a range is not protected */
	FLAW_READERS_PASS,      /* the lock grants readers beside writers */
	FLAW_WRITERS_PASS,      /* the lock grants writers beside readers */
	FLAW_CHECK_THEN_INSERT, /* the lock releases its mutex between the check and the insertion
				 */
	FLAW_LONG_RANGES,    /* as by a wrong max_end: the lock misses ranges that start before */
	FLAW_FIRST_ONLY,     /* a one-owner fast path: the lock looks at the last range only */
	FLAW_TIMEOUT_GRANTS, /* a timed-out waiter goes on as if it held the range */
	FLAW_EARLY_RELEASE,  /* one reader releases all readers of its start */
	NR_FLAWS
};

extern const char *const flaw_names[NR_FLAWS];

struct broken_lock {
	enum flaw flaw;
	pthread_mutex_t mutex;
	struct own_range *held; /* linked by next */
};

void broken_lock_init(struct broken_lock *lock, enum flaw flaw);

/* For these, lock is a struct broken_lock. */
extern const struct lock_table broken_table;

#endif
