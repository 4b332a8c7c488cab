/* SPDX-License-Identifier: MIT */
/*
 * Two leaves, [0, 10) and [10, the end), and two threads whose ranges overlap. The range of the
 * first thread spans both leaves. The ranges protect plain memory: a race in it is an error, as is
 * one in the lock.
 *
 * BOTH		the range of the second thread spans both leaves, too; otherwise it lies in the
 *		second leaf, with LEFT in the first
 * SLOT		the leaves are biased, and the first thread is a reader, in a slot
 * WAIT		the threads wait for each other; otherwise they only try
 */
#include "sources.h"

#ifdef SLOT
#define FIRST_MODE RANGE_READ
#else
#define FIRST_MODE RANGE_WRITE
#endif

#if defined(BOTH)
enum { SECOND_START = 6, SECOND_END = 12 };
#elif defined(LEFT)
enum { SECOND_START = 6, SECOND_END = 8 };
#else
enum { SECOND_START = 11, SECOND_END = 12 };
#endif

/* A forest of two leaves. */
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
	for (int i = 0; i < 2; i++) {
		atomic_init(&leaves[i].lo, i == 0 ? 0 : 10);
		atomic_init(&leaves[i].not_hi, i == 0 ? ~UINT64_C(10) : 0);
		atomic_init(&leaves[i].last_owner, (uint32_t)mmrange__thread);
#ifdef SLOT
		bias(&leaves[i]);
#endif
	}
	atomic_init(&leaves[0].right, &leaves[1]);
	for (uint32_t i = 0; i < 2; i++)
		range__index_insert(forest, i, &leaves[i], 1);
	atomic_init(&model_lock.root.not_hi, UINT64_MAX);
	atomic_init(&model_lock.forest, forest);
}

static int acquire_range(uint64_t first, uint64_t end, enum range_mode mode)
{
#ifdef WAIT
	return range_lock(model_public(), model_range(), first, end, mode);
#else
	return model_trylock(first, end, mode);
#endif
}

static void enter(void *arg)
{
	model_self = (uintptr_t)arg;
	range__slots_own = group_at((unsigned int)(uintptr_t)arg - 1);
}

static void *straddler(void *arg)
{
	enter(arg);
	if (acquire_range(5, 15, FIRST_MODE))
		return NULL;
	if (FIRST_MODE == RANGE_WRITE)
		data++;
	else
		assert(data >= 0);
	model_unlock();
	return NULL;
}

static void *writer(void *arg)
{
	enter(arg);
	if (acquire_range(SECOND_START, SECOND_END, RANGE_WRITE))
		return NULL;
	data++;
	model_unlock();
	return NULL;
}

/* No thread is in the leaf, and the leaf's fields show that. */
static void check_leaf(struct range__leaf *leaf)
{
	uint64_t word;

	range__leaf_lock(leaf);
	range__bias_revoke_leaf(&model_lock, leaf);
	range__leaf_unlock(leaf, NULL);
	word = atomic_load_explicit(&leaf->word, memory_order_relaxed);
	assert((word & (WORD_TAG | WORD_EMPTY_WAITERS)) == WORD_EMPTY);
	assert(range__leaf_vacant(leaf));
	assert(leaf->nr_woken == 0 && leaf->nr_starving == 0);
}

int main(void)
{
	pthread_t threads[3];

	plant();
	atomic_init(&nr_used, 2);
	start(straddler, threads, 1, 1);
	start(writer, threads, 2, 2);
	finish(threads, 1, 2);
	model_self = 1;
	check_leaf(&leaves[0]);
	check_leaf(&leaves[1]);
	return 0;
}
