/* SPDX-License-Identifier: MIT */
/*
 * The oracle of exclusion: threads lock random ranges over a few slots, and each slot counts the
 * threads inside it.
 *
 * On the way in and out, a thread changes one word per slot with relaxed atomics, and sees whether
 * a conflicting thread is inside. These accesses order no threads: that is the lock's task.
 * Writers also change plain data, which readers read, so that ThreadSanitizer reports a lock that
 * does not order them.
 */
#ifndef TESTS_EXCLUSION_H
#define TESTS_EXCLUSION_H

#include "threads.h"

#include <mmrange/range_lock.h>

enum { SLOTS = 256 };

enum how { BLOCK, TRY, TIMED };

/*
 * The lock under test: the real one, or a broken one. Its functions return what range_lock() and
 * its variants return.
 */
struct lock_table {
	int (*lock)(void *lock, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode, enum how how, const struct timespec *deadline);
	void (*unlock)(void *lock, struct range_hold *range);
};

extern const struct lock_table mmrange_table;

/* One slot, on a cache line of its own. */
struct slot {
	_Alignas(64) atomic_uint inside; /* readers, plus WRITER for each writer */
	uint64_t writes;                 /* plain */
	uint64_t check;                  /* plain: always ~writes while no writer is inside */
};

struct exclusion {
	/* Given: */
	const struct lock_table *table;
	void *lock;
	unsigned int threads;
	unsigned int rounds; /* per thread; 0: until now_ns() reaches end */
	uint64_t end;
	unsigned int slots;      /* up to SLOTS */
	unsigned int write_rate; /* of 8: writers */
	unsigned int wide_rate;  /* of 64: ranges of up to all slots, a quarter of them full */
	unsigned int own_rate;   /* of 64: ranges in the thread's own share */
	unsigned int pair_rate; /* of 64: ranges that the thread holds together with a second one */
	bool atomics_only; /* do not touch the plain data: a broken lock makes a data race of it */
	/* Called in a loop while the threads run; may be NULL. */
	void (*meanwhile)(void *lock);
	uint64_t seed;
	/* Result: */
	atomic_bool violated;
	char violation[160];
	struct slot slot[SLOTS];
	atomic_bool over;
	uint64_t attempts;
	uint64_t granted;
	uint64_t busy;
	uint64_t timed_out;
};

/*
 * Runs until the rounds are over, or until two conflicting threads were inside one slot. Returns
 * whether exclusion held.
 */
bool exclusion_holds(struct exclusion *exclusion);

#endif
