/* SPDX-License-Identifier: MIT */
/*
 * An operation is one lock + unlock.
 */
#include "load.h"
#include "markers.h"

#include <string.h>

/* Of a short range, as in mmrange-bench. */
enum { MAX_SHORT = 16 };

struct workload {
	const char *name;
	unsigned int writers; /* per cent of the operations */
	void (*pick)(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end);
};

/* Read only while the threads run. */
static alignas(2 * CACHE_LINE) struct {
	const struct workload *workload;
	const struct lock_ops *ops;
	void *lock;
} run;

static void own(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)random;
	*start = worker->own_first;
	*end = *start + 1;
}

static void share(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	*start = worker->own_first + random % worker->own_slots;
	*end = *start + 1;
}

static void slot(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)worker;
	*start = random % NR_SLOTS;
	*end = *start + 1;
}

static void everything(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)worker, (void)random;
	*start = 0;
	*end = UINT64_MAX;
}

/* Takes the full range in every hundredth operation, not at random: there are too few for that. */
static void own1full(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	if ((worker->writes + worker->own_first) % 100 == 0)
		everything(worker, random, start, end);
	else
		own(worker, random, start, end);
}

static void few_slots(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)worker;
	*start = random % NR_SLOTS;
	*end = *start + 1 + (random >> 8) % MAX_SHORT;
	if (*end > NR_SLOTS)
		*end = NR_SLOTS;
}

static const struct workload workloads[] = {
	{ "own", 100, own },
	{ "own1full", 100, own1full },
	{ "share", 100, share },
	{ "shared_read", 0, everything },
	{ "short_w10", 10, few_slots },
	{ "slot", 100, slot },
};

static const struct lock_ops *const locks[] = {
	&mmrange_ops,
	&pthread_rwlock_ops,
	&pthread_mutex_ops,
	&tree_spinlock_ops,
};

static bool choose(const char *workload, const char *what)
{
	size_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(workload, workloads[i].name) == 0)
			run.workload = &workloads[i];
	for (i = 0; i < sizeof(locks) / sizeof(locks[0]); i++)
		if (strcmp(what, locks[i]->name) == 0)
			run.ops = locks[i];
	return run.workload && run.ops;
}

static bool begin(uint64_t operations)
{
	(void)operations;
	run.lock = new_lines(run.ops->size);
	if (!run.lock || run.ops->init(run.lock) != 0)
		return false;
	marker(MARKER_NAME, (uintptr_t)run.lock, run.ops->size, (uintptr_t) "lock");
	return true;
}

static bool begin_thread(struct worker *worker)
{
	(void)worker;
	return true;
}

static bool end(void)
{
	return run.ops->destroy(run.lock) == 0;
}

/* Uses the upper half of 32 bits. */
static enum range_mode random_mode(uint64_t random)
{
	return (random >> 16) * 100 >> 16 < run.workload->writers ? RANGE_WRITE : RANGE_READ;
}

static bool operate(struct worker *worker, uint64_t random)
{
	enum range_mode mode = random_mode(random);
	uint64_t first, beyond;

	run.workload->pick(worker, random, &first, &beyond);
	if (run.ops->lock(run.lock, &worker->node, first, beyond, mode) != 0)
		return false;
	run.ops->unlock(run.lock, &worker->node);
	worker->writes += mode == RANGE_WRITE;
	return true;
}

/* Other locks do not change. */
static uint64_t changes(void)
{
	struct range_lock_stats stats = { 0 };

	if (run.ops == &mmrange_ops)
		range_lock_stats(run.lock, &stats);
	return stats.splits + stats.merges;
}

const struct load lock_load = {
	.choose = choose,
	.begin = begin,
	.begin_thread = begin_thread,
	.end = end,
	.operate = operate,
	.changes = changes,
};
