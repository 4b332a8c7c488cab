/* SPDX-License-Identifier: MIT */
/*
 * The oracle of exclusion: threads lock random ranges over a few slots, and each slot counts who is
 * in it.
 *
 * On the way in and out, a thread changes a word per slot with relaxed atomics, and sees whether
 * anybody was there who must not be. Nothing in this orders the threads: that is the lock's task,
 * and so that ThreadSanitizer sees it if the lock fails to, writers also change plain data, which
 * readers read.
 */
#ifndef TESTS_EXCLUSION_H
#define TESTS_EXCLUSION_H

#include "threads.h"

#include <mmrange/range_lock.h>

enum { SLOTS = 256 };

enum how { BLOCK, TRY, TIMED };

/*
 * The lock under test: the real one, or one that is broken. lock returns what range_lock() and its
 * kin do.
 */
struct lock_table {
	int (*lock)(void *lock, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode, enum how how, const struct timespec *deadline);
	void (*unlock)(void *lock, struct range_hold *range);
};

extern const struct lock_table mmrange_table;

/* One slot on a cache line of its own. */
struct slot {
	_Alignas(64) atomic_uint inside; /* readers, plus WRITER for each writer */
	uint64_t writes;                 /* plain */
	uint64_t check;                  /* plain: always ~writes when nobody writes */
};

struct exclusion {
	/* Given: */
	const struct lock_table *table;
	void *lock;
	unsigned int threads;
	unsigned int rounds; /* per thread; 0: until the time now_ns() says end */
	uint64_t end;
	unsigned int slots;      /* up to SLOTS */
	unsigned int write_rate; /* writers of 8 */
	unsigned int wide_rate;  /* of 64: ranges of up to all slots, a quarter of them full */
	unsigned int own_rate;   /* of 64: ranges in the thread's own share */
	unsigned int pair_rate;  /* of 64: how many are held with a second one */
	bool atomics_only;       /* leave the plain data alone: a broken lock is a data race */
	/* Called again and again while the threads run; may be NULL. */
	void (*meanwhile)(void *lock);
	uint64_t seed;
	/* Found: */
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
 * Runs until the rounds are over, or two threads were where they must not be; says whether
 * exclusion held.
 */
bool exclusion_holds(struct exclusion *exclusion);

#endif
