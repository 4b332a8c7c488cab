/* SPDX-License-Identifier: MIT */
/*
 * Range locks that are slow, simple, and broken on purpose, each in one way that real ones were: to
 * show that a test of exclusion would see it. FLAW_NONE is right, and shows that the test blames no
 * lock for nothing.
 */
#ifndef TESTS_BROKEN_LOCK_H
#define TESTS_BROKEN_LOCK_H

#include "exclusion.h"
#include "own_range.h"

enum flaw {
	FLAW_NONE,
	FLAW_LAST_KEY,          /* the last key of a range is not protected */
	FLAW_READERS_PASS,      /* readers are let in beside writers */
	FLAW_WRITERS_PASS,      /* writers are let in beside readers */
	FLAW_CHECK_THEN_INSERT, /* the lock is dropped between the check and the insertion */
	FLAW_LONG_RANGES,       /* as by a wrong max_end: what starts before is not seen */
	FLAW_FIRST_ONLY,        /* a one-owner fast path: only the last range is looked at */
	FLAW_TIMEOUT_GRANTS,    /* a timed-out waiter goes on as if it had the range */
	FLAW_EARLY_RELEASE,     /* one reader releases all readers of its start */
	NR_FLAWS
};

extern const char *const flaw_names[NR_FLAWS];

struct broken_lock {
	enum flaw flaw;
	pthread_mutex_t mutex;
	struct own_range *held; /* linked by next */
};

void broken_lock_init(struct broken_lock *lock, enum flaw flaw);

/* With these, lock is a struct broken_lock. */
extern const struct lock_table broken_table;

#endif
