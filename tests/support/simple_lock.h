/* SPDX-License-Identifier: MIT */
/*
 * A range lock with all functions, of one mutex, one condition variable and two lists; and the same
 * with one fault: to show that a test of all functions finds it. Without a fault it shows that the
 * test blames no lock that is right.
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
	FAULT_CANCEL_GRANTS,      /* a canceled waiter goes on as if it had the range */
	FAULT_TIMEOUT_GRANTS,     /* so does one whose deadline passed */
	FAULT_SPLIT_LOSES,        /* the upper part of a split is not held */
	FAULT_SHRINK_KEEPS,       /* what is shrunk stays held as it was */
	FAULT_EXTEND_BLIND,       /* an extension does not look at what is held */
	FAULT_UPGRADE_BLIND,      /* nor does an upgrade */
	FAULT_SILENT_DOWNGRADE,   /* a downgrade wakes no thread */
	FAULT_MANY_FIRST,         /* of several ranges, only the first is looked at */
	FAULT_MANY_SHOWS_FIRST,   /* only the first is shown waiting */
	FAULT_MANY_CANCELS_FIRST, /* only the first can be canceled */
	FAULT_MANY_KEEPS_FIRST,   /* the first stays held if another one is not to be had */
	FAULT_MANY_COUNTS_EACH,   /* each counts as a wait */
	FAULT_HIDDEN_WAITER,      /* the last waiter is not shown */
	FAULT_WAITER_AHEAD,       /* the last waiter is shown before the last but one */
	FAULT_UNCOUNTED_WAIT,     /* a wait with a deadline is not counted */
	FAULT_CHILD_HOLDS,        /* the child of fork() has what the parent held */
	NR_FAULTS
};

extern const char *const fault_names[NR_FAULTS];

struct simple_lock {
	enum fault fault;
	bool fifo;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct own_range *held; /* linked by next, as the waiters are, in the order of arrival */
	struct own_range *waiting;
	struct own_range kept; /* for FAULT_MANY_KEEPS_FIRST: held, and not shown */
	uint64_t waits;
};

void simple_lock_init(struct simple_lock *lock, enum fault fault, bool fifo);

/* With these, lock is a struct simple_lock. */
extern const struct lock_functions simple_functions;

#endif
