/* SPDX-License-Identifier: MIT */
/*
 * A range lock with all functions, made of one mutex, one condition variable and two lists; and the
 * same with one fault, to show that a test of all functions detects it. Without a fault it shows
 * that the test accepts a correct lock.
 */
#ifndef TESTS_SIMPLE_LOCK_H
#define TESTS_SIMPLE_LOCK_H

#include "lock_functions.h"
#include "own_range.h"

#include <stdbool.h>

enum fault {
	FAULT_NONE,
	FAULT_LAST_KEY,           /* the last key of a range is not protected */
	FAULT_LOST_WAKEUP,        /* a release wakes no thread */
	FAULT_CANCEL_GRANTS,      /* a canceled waiter goes on as if it held the range */
	FAULT_TIMEOUT_GRANTS,     /* so does a waiter whose deadline passed */
	FAULT_SPLIT_LOSES,        /* the upper part of a split is not held */
	FAULT_SHRINK_KEEPS,       /* a range that is shrunk stays held as it was */
	FAULT_EXTEND_BLIND,       /* an extension ignores held ranges */
	FAULT_UPGRADE_BLIND,      /* so does an upgrade */
	FAULT_SILENT_DOWNGRADE,   /* a downgrade wakes no thread */
	FAULT_MANY_FIRST,         /* the lock looks at the first range of a set only */
	FAULT_MANY_SHOWS_FIRST,   /* the walk shows only the first range of a set waiting */
	FAULT_MANY_CANCELS_FIRST, /* only the first range of a set can be canceled */
	FAULT_MANY_KEEPS_FIRST,   /* the first range stays held if another one is taken */
	FAULT_MANY_COUNTS_EACH,   /* each range of a set counts as a wait */
	FAULT_HIDDEN_WAITER,      /* the walk does not show the last waiter */
	FAULT_WAITER_AHEAD,       /* the walk shows the last waiter before the last but one */
	FAULT_UNCOUNTED_WAIT,     /* a wait with a deadline is not counted */
	FAULT_CHILD_HOLDS,        /* the child of fork() has the ranges that the parent held */
	NR_FAULTS
};

extern const char *const fault_names[NR_FAULTS];

struct simple_lock {
	enum fault fault;
	bool fifo;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct own_range *held; /* linked by next, like the waiters, in the order of arrival */
	struct own_range *waiting;
	struct own_range kept; /* for FAULT_MANY_KEEPS_FIRST: held, and not shown */
	uint64_t waits;
};

void simple_lock_init(struct simple_lock *lock, enum fault fault, bool fifo);

/* For these, lock is a struct simple_lock. */
extern const struct lock_functions simple_functions;

#endif
