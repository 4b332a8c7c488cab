/* SPDX-License-Identifier: MIT */
#include "arrbench.h"
#include "busy.h"
#include "worker.h"

/* From 0 to one less. Few, so that the time is that of the lock. */
enum { MAX_NO_OPS = 16 };

/* Of a short range. A power of two, so that all lengths are equally likely. */
enum { MAX_SHORT = 16 };

/* Of a hundred. */
enum { FULL_OF_OWN1FULL = 1 };

/* The keys [start, end) are locked, and the slots [first, beyond) visited; slot i is key i. */
struct span {
	uint64_t start;
	uint64_t end;
	unsigned int first;
	unsigned int beyond;
};

/* An operation gets all its randomness from one number: 16 bits for the span, .. */
static unsigned int low_byte(uint64_t random)
{
	return (unsigned int)(random & 0xff);
}

static unsigned int high_byte(uint64_t random)
{
	return (unsigned int)(random >> 8 & 0xff);
}

/* .. 16 for the mode, .. */
static enum range_mode random_mode(const struct worker *worker, uint64_t random)
{
	return (random >> 16 & 0xffff) * 100 >> 16 < worker->writers ? RANGE_WRITE : RANGE_READ;
}

/* .. 8 for the no-ops, .. */
static void no_ops(uint64_t random)
{
	busy((random >> 32 & 0xff) % MAX_NO_OPS);
}

/* .. and 16 for the choice of a rare operation. */
static bool one_of(uint64_t random, unsigned int per_cent)
{
	return (random >> 40 & 0xffff) * 100 >> 16 < per_cent;
}

static void visit(struct worker *worker, struct span span, enum range_mode mode)
{
	struct slot *slots = worker->slots;
	uint64_t sum = 0;
	unsigned int i;

	if (mode == RANGE_WRITE) {
		for (i = span.first; i < span.beyond; i++)
			slots[i].value++;
		worker->increments += span.beyond - span.first;
		worker->writes++;
	} else {
		for (i = span.first; i < span.beyond; i++)
			sum += slots[i].value;
		worker->read += sum;
	}
	if (worker->hold)
		busy_hold(worker->hold);
}

/* Inlined into each of the functions below, and pick() with it. */
static inline bool run(struct worker *worker, uint64_t pairs,
		       struct span (*pick)(const struct worker *worker, uint64_t random))
{
	const struct lock_ops *ops = worker->ops;
	void *lock = worker->lock;

	while (pairs--) {
		uint64_t random = worker_random(worker);
		struct span span = pick(worker, random);
		enum range_mode mode = random_mode(worker, random);

		if (ops->lock(lock, &worker->node, span.start, span.end, mode) != 0)
			return false;
		visit(worker, span, mode);
		ops->unlock(lock, &worker->node);
		no_ops(random);
	}
	return true;
}

static struct span slots_to(unsigned int first, unsigned int beyond)
{
	return (struct span){ first, beyond, first, beyond };
}

static struct span one_slot(unsigned int slot)
{
	return slots_to(slot, slot + 1);
}

static struct span own_slot(const struct worker *worker, uint64_t random)
{
	(void)random;
	return one_slot(worker->own_first);
}

/*
 * A visit of all slots would cost more than the lock, and each slot is a cache line of another
 * thread. A slot that another thread uses shows just as well whether the full range excludes.
 */
static struct span own_slot_or_all(const struct worker *worker, uint64_t random)
{
	unsigned int slot;

	if (!one_of(random, FULL_OF_OWN1FULL))
		return one_slot(worker->own_first);
	slot = (low_byte(random) * worker->threads >> 8) * worker->own_slots;
	return (struct span){ 0, UINT64_MAX, slot, slot + 1 };
}

static struct span any_slot(const struct worker *worker, uint64_t random)
{
	(void)worker;
	return one_slot(low_byte(random));
}

static struct span slot_of_share(const struct worker *worker, uint64_t random)
{
	return one_slot(worker->own_first + (low_byte(random) * worker->own_slots >> 8));
}

static struct span all_slots(const struct worker *worker, uint64_t random)
{
	(void)worker;
	(void)random;
	return (struct span){ 0, UINT64_MAX, 0, NR_SLOTS };
}

static struct span slots_between(const struct worker *worker, uint64_t random)
{
	unsigned int a = low_byte(random);
	unsigned int b = high_byte(random);

	(void)worker;
	return a < b ? slots_to(a, b + 1) : slots_to(b, a + 1);
}

static struct span few_slots(const struct worker *worker, uint64_t random)
{
	unsigned int first = low_byte(random);
	unsigned int beyond = first + 1 + high_byte(random) % MAX_SHORT;

	(void)worker;
	return slots_to(first, beyond < NR_SLOTS ? beyond : NR_SLOTS);
}

bool arrbench_own(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, own_slot);
}

bool arrbench_own1full(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, own_slot_or_all);
}

bool arrbench_slot(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, any_slot);
}

bool arrbench_share(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, slot_of_share);
}

bool arrbench_full(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, all_slots);
}

bool arrbench_random(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, slots_between);
}

bool arrbench_short(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, few_slots);
}
