/* SPDX-License-Identifier: MIT */
/*
 * A thread splits a leaf while another thread acquires, by the fast path, a range in the part that
 * moves to the new leaf. If the acquisition in the old leaf succeeds, it came before the split, and
 * the split moves the range: a thread that looks into the new leaf finds it there. No thread
 * releases a range, so never do both hold it.
 */
#include "sources.h"

/* A forest of one leaf, with room for another one. */
static union {
	struct range__forest forest;
	char room[sizeof(struct range__forest) + 2 * sizeof(struct range__entry)];
} memory;

static struct range__leaf leaves[2];

static int data;

static void plant(void)
{
	struct range__forest *forest = &memory.forest;

	init_lock();
	model_lock.max_leaves = forest->capacity = 2;
	forest->sweep = 1;
	atomic_init(&forest->sweep_due, UINT64_MAX);
	forest->free = &leaves[1];
	atomic_init(&leaves[1].not_hi, UINT64_MAX);
	range__index_insert(forest, 0, &leaves[0], 1);
	atomic_init(&model_lock.root.not_hi, UINT64_MAX);
	atomic_init(&model_lock.forest, forest);
}

static void *acquire_once(void *arg)
{
	struct range__hold *range;

	model_self = (uintptr_t)arg;
	range = &model_ranges[model_self];
	range->start = 60;
	range->end = 70;
	range->mode = RANGE_WRITE;
	range->owner = mmrange__self();
	if (range__acquire_fast(&model_lock, range))
		data++;
	return NULL;
}

static void *split_then_acquire(void *arg)
{
	static const uint64_t points[SPLIT_POINTS] = { 50, 50, 50 };

	model_self = (uintptr_t)arg;
	try_split(&model_lock, range__index_find(&model_lock, 50), points, RANGE__MEMORY);
	if (!model_trylock(65, 66, RANGE_WRITE))
		data++;
	return NULL;
}

int main(void)
{
	pthread_t threads[3];

	plant();
	start(acquire_once, threads, 1, 1);
	start(split_then_acquire, threads, 2, 2);
	finish(threads, 1, 2);
	return 0;
}
