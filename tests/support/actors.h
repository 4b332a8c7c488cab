/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of the lock: threads that hold one range each, memory hooks that count, and
 * ways to bring a lock into a known state.
 */
#ifndef TESTS_ACTORS_H
#define TESTS_ACTORS_H

#include "threads.h"

#include <mmrange/range_lock.h>

#define FULL 0, UINT64_MAX

static const enum range_fairness fairnesses[] = { RANGE_FAIRNESS_BARGING, RANGE_FAIRNESS_FIFO };

enum { ACTOR_WAITS, ACTOR_HOLDS, ACTOR_FAILED };

/*
 * A thread that acquires one range, holds it until the test lets it release it, and ends. If the
 * acquisition fails, the thread ends at once. A test must finish every actor that it started.
 */
struct actor {
	struct range_lock *lock;
	struct range_hold range;
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	const struct timespec *deadline;
	struct timespec time;
	pthread_t thread;
	sem_t release;
	atomic_int state;
	int result;
	uint64_t turn; /* the number of actors of the process that acquired a range before it */
};

/* Returns at once. */
void actor_start(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		 enum range_mode mode);

/* Returns at once; the actor gives up after ns nanoseconds of CLOCK_MONOTONIC. */
void actor_start_timed(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		       enum range_mode mode, uint64_t ns);

/* Returns when the actor waits in the lock's queue; a failure if it gets the range instead. */
void actor_queue(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		 enum range_mode mode);
void actor_queue_timed(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		       enum range_mode mode, uint64_t ns);

/* Starts the actor, and returns whether it had to queue; otherwise it holds its range. */
bool actor_queues(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		  enum range_mode mode);

/* Whether the actor holds its range now. */
bool actor_holds(struct actor *actor);

/* Returns when the actor holds its range. */
void actor_await(struct actor *actor);

/* From now on the actor releases its range as soon as it holds it. */
void actor_let_go(struct actor *actor);

/* Lets the actor release its present or future range, waits for its end, and returns its result. */
int actor_finish(struct actor *actor);

/* Acquires a range that must be free, without waiting. */
void take(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
	  enum range_mode mode);

/*
 * One of the three ways to acquire a range: how is 0 to 2. The last way has a deadline that has
 * passed.
 */
int acquire_somehow(int how, struct range_lock *lock, struct range_hold *range, uint64_t start,
		    uint64_t end, enum range_mode mode);

struct range_lock_stats lock_stats(struct range_lock *lock);

/* Whether [start, end) could be acquired now. Acquires it and releases it at once. */
bool is_free(struct range_lock *lock, uint64_t start, uint64_t end, enum range_mode mode);

/* Checks every invariant of the lock, also while it is in use. */
void check_valid(struct range_lock *lock);

/* Checks that no range is held or waits, and destroys the lock: the last line of most tests. */
void check_quiet_and_destroy(struct range_lock *lock);

/* A lock with default attributes except for these. */
void init_lock(struct range_lock *lock, enum range_fairness fairness, uint32_t max_leaves);

/* Sets the attribute starvation_ns of a lock that is not in use yet. */
void set_starvation(struct range_lock *lock, uint64_t ns);

/*
 * Two threads take turns at [a, a + 1) and [b, b + 1), strictly, until the lock has split at least
 * once more, or rounds are over. Returns whether it has split.
 */
bool split_by_turns(struct range_lock *lock, uint64_t a, uint64_t b, unsigned int rounds);

/*
 * One real thread plays others: the lock knows a thread by a number, which play_thread() sets. So a
 * test takes the same course each time.
 */
void play_thread(unsigned int thread);

/* Acquires [key, key + 1) as the given thread, and releases it. */
void visit(struct range_lock *lock, unsigned int thread, uint64_t key);

/* n visits by two threads in turns. */
void alternate(struct range_lock *lock, uint64_t a, uint64_t b, unsigned int n);

/* Makes at least n leaves, with bounds at 10, 20, ... */
void make_leaves(struct range_lock *lock, unsigned int n);

struct range__forest *forest_of(struct range_lock *lock);

/* The leaf that contains key, by the index. */
struct range__leaf *leaf_at(struct range_lock *lock, uint64_t key);

/*
 * Makes each leaf split at the next few migrations, and starts a sweep that merges some leaves. The
 * lock adapts less and less by itself; a test that wants splits and merges all the time must
 * prevent that. Each leaf also becomes biased with its next reader. lock is a struct range_lock.
 */
void make_impatient(void *lock);

/* Whether the leaf that contains key is biased now. */
bool is_biased(struct range_lock *lock, uint64_t key);

/*
 * Makes the leaf that contains key biased, by reading [key, key + 1), which must be free to read.
 * No writer may be in the leaf, or wait there.
 */
void make_biased(struct range_lock *lock, uint64_t key);

/* Whether a range that is held for reading was published in a slot, and is still in it. */
bool is_published(struct range_hold *range);

/* Acquires a range that must be free, through a slot. */
void take_published(struct range_lock *lock, struct range_hold *range, uint64_t start,
		    uint64_t end);

/* Memory hooks that count; arg is the struct. */
struct memory_books {
	atomic_uint allocations; /* successful ones */
	atomic_uint frees;
	atomic_uint refused;
	atomic_size_t live; /* bytes */
	atomic_uint grants; /* allocations that may still succeed; UINT32_MAX: all */
};

void *memory_alloc(size_t size, size_t align, void *books);
void memory_free(void *memory, size_t size, void *books);

/* Attributes with these hooks. */
void use_memory_books(struct range_lock_attr *attr, struct memory_books *books,
		      unsigned int grants);

/* Checks that all allocated memory was freed. */
void check_memory_balanced(struct memory_books *books);

#endif
