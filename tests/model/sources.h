/* SPDX-License-Identifier: MIT */
/* sources - the lock and the platform of the model in one translation unit, and a lock to use. */
#ifndef TESTS_MODEL_SOURCES_H
#define TESTS_MODEL_SOURCES_H

#include "model.h"
#include "no_detector.h"

#include "range_lock/adapt.c"
#include "range_lock/async.c"
#include "range_lock/bias.c"
#include "range_lock/bounds.c"
#include "range_lock/claim.c"
#include "range_lock/copy.c"
#include "range_lock/fast_path.c"
#include "range_lock/find.c"
#include "range_lock/forest.c"
#include "range_lock/grant.c"
#include "range_lock/index.c"
#include "range_lock/interval_tree.c"
#include "range_lock/leaf.c"
#include "range_lock/leaf_store.c"
#include "range_lock/look.c"
#include "range_lock/queue.c"
#include "range_lock/race.c"
#include "range_lock/range_lock.c"
#include "range_lock/reader.c"
#include "range_lock/record.c"
#include "range_lock/release.c"
#include "range_lock/request.c"
#include "range_lock/slots.c"
#include "range_lock/span.c"
#include "range_lock/spin.c"
#include "range_lock/wait.c"
#include "range_lock/wait_tree.c"
#include "range_lock/waiters.c"
#include "range_lock/wake.c"

#include "platform/platform.c"

/* STARVATION 0: time does not pass, so a waiter is starving as soon as it has been passed. */
#ifndef STARVATION
#define STARVATION 1
#endif
#ifndef FAIRNESS
#define FAIRNESS RANGE_FAIRNESS_BARGING
#endif

static struct range__lock model_lock;

/* Of each thread that queue_up() has queued. */
static struct range__set model_sets[MODEL_THREADS + 1];

static inline struct range_lock *model_public(void)
{
	return (struct range_lock *)(void *)&model_lock;
}

static inline struct range_hold *model_range_of(uintptr_t number)
{
	return range__public(&model_ranges[number]);
}

static inline struct range_hold *model_range(void)
{
	return model_range_of(model_self);
}

/* Without a deadline nothing ends it early. */
static inline void model_lock_range(struct range_hold *range, uint64_t start, uint64_t end,
				    enum range_mode mode)
{
	int error = range_lock(model_public(), range, start, end, mode);

	assert(!error);
	(void)error;
}

static inline int model_trylock(uint64_t start, uint64_t end, enum range_mode mode)
{
	return range_trylock(model_public(), model_range(), start, end, mode);
}

static inline void model_unlock(void)
{
	range_unlock(model_public(), model_range());
}

/* By main(), before there are threads: a thread's range comes to where another one is held. */
static inline void queue_up(uintptr_t number, enum range_mode mode)
{
	struct range__hold *range = &model_ranges[number];
	struct range__set *set = &model_sets[number];

	range->start = 0;
	range->end = 10;
	range->mode = mode;
	range->owner = mmrange__self();
	set->lock = &model_lock;
	set->one = range;
	set->n = 1;
	make_newcomer(set);
	range__span_lock(set, RANGE__KEEP_BIAS);
	range__queue_arrive(set, range__find_obstacle(set));
	range__span_unlock(set, NULL);
}

/* That thread continues. */
static inline int wait_queued(const struct timespec *deadline)
{
	struct range__limit limit = { .clock = CLOCK_MONOTONIC, .deadline = deadline };
	struct range__set *set = &model_sets[model_self];
	struct range__wait self;

	range__deadlock_prepare(&self, set, deadline != NULL);
	return wait_until_granted(set, &limit, &self);
}

static inline void start(void *(*run)(void *), pthread_t *threads, uintptr_t first, uintptr_t last)
{
	for (uintptr_t i = first; i <= last; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
}

static inline void finish(pthread_t *threads, uintptr_t first, uintptr_t last)
{
	for (uintptr_t i = first; i <= last; i++)
		pthread_join(threads[i], NULL);
}

/* No thread is in the lock, and the lock shows that. */
static inline void check_quiet(void)
{
	uint64_t word = atomic_load_explicit(&model_lock.root.word, memory_order_relaxed);

	assert((word & WORD_TAG) == WORD_EMPTY);
	assert(range__leaf_vacant(&model_lock.root));
	assert(model_lock.root.nr_woken == 0 && model_lock.root.nr_starving == 0);
}

/* Of a leaf on which nothing has happened yet. */
static inline void bias(struct range__leaf *leaf)
{
	leaf->biased = true;
	leaf->generation = 1;
	atomic_init(&leaf->word, range__word_of_bias(leaf->generation));
}

static void init_lock(void)
{
	atomic_init(&model_lock.copy, &mmrange__copy);
	model_lock.max_leaves = 1;
	atomic_init(&model_lock.root.last_owner, (uint32_t)mmrange__thread);
	model_lock.fairness = FAIRNESS;
	model_lock.starvation_more_ns = STARVATION - (uint64_t)RANGE__DEFAULT_STARVATION;
}

#endif
