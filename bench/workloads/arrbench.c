/* SPDX-License-Identifier: MIT */
#include "arrbench.h"
#include "worker.h"

#include <stdatomic.h>

/* From 0 to one less. Few, so that it is the lock that is measured. */
enum { MAX_NO_OPS = 16 };

/* The keys [start, end); slot i is key i. */
struct span {
	uint64_t start;
	uint64_t end;
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

/* .. and 8 for the no-ops. */
static void no_ops(uint64_t random)
{
	uint64_t count = (random >> 32 & 0xff) % MAX_NO_OPS;

	while (count--)
		atomic_signal_fence(memory_order_seq_cst);
}

static void visit(struct worker *worker, struct span span, enum range_mode mode)
{
	uint64_t end = span.end < NR_SLOTS ? span.end : NR_SLOTS;
	struct slot *slots = worker->slots;
	uint64_t sum = 0;
	uint64_t i;

	if (mode == RANGE_WRITE) {
		for (i = span.start; i < end; i++)
			slots[i].value++;
		worker->increments += end - span.start;
	} else {
		for (i = span.start; i < end; i++)
			sum += slots[i].value;
		worker->read += sum;
	}
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

static struct span one_slot(uint64_t slot)
{
	return (struct span){ slot, slot + 1 };
}

static struct span own_slot(const struct worker *worker, uint64_t random)
{
	(void)random;
	return one_slot(worker->own_first);
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
	return (struct span){ 0, UINT64_MAX };
}

static struct span slots_between(const struct worker *worker, uint64_t random)
{
	unsigned int a = low_byte(random);
	unsigned int b = high_byte(random);

	(void)worker;
	return a < b ? (struct span){ a, b + 1 } : (struct span){ b, a + 1 };
}

bool arrbench_own(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, own_slot);
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
