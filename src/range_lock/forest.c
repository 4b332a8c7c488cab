/* SPDX-License-Identifier: MIT */
#include "forest.h"
#include "adapt.h"
#include "platform/platform.h"
#include "seams.h"
#include "slots.h"

#include <errno.h>
#include <sys/mman.h>

enum {
	LEAF_SIZE = 128, /* two cache lines, which some processors fetch together */
	CHUNK_LEAVES = 31,
	MUTEX_SPINS = 100,
	/* At an index that is about to change, before it is looked at under lock->mutex. */
	LOOKS = 20,
};

/* Leaves are allocated in chunks of a page. The first chunk comes with the forest. */
struct chunk_leaf {
	_Alignas(LEAF_SIZE) struct range__leaf leaf;
};

struct range__chunk {
	struct range__chunk *next;
	struct chunk_leaf leaves[CHUNK_LEAVES];
};

static void *call_alloc(struct range_lock *lock, size_t size)
{
	int cancel_state = mmrange__cancel_disable();
	void *memory = lock->alloc(size, LEAF_SIZE, lock->arg);

	mmrange__cancel_restore(cancel_state);
	return memory;
}

static void call_free(struct range_lock *lock, void *memory, size_t size)
{
	int cancel_state = mmrange__cancel_disable();

	lock->free(memory, size, lock->arg);
	mmrange__cancel_restore(cancel_state);
}

static void *allocate(struct range_lock *lock, size_t size)
{
	void *memory;

	if (lock->alloc)
		return call_alloc(lock, size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static void release(struct range_lock *lock, void *memory, size_t size)
{
	if (lock->free)
		call_free(lock, memory, size);
	else
		munmap(memory, size);
}

/* The size of the forest alone, rounded up to where its first chunk begins. */
static size_t forest_size(uint32_t capacity)
{
	size_t size = sizeof(struct range__forest) + capacity * sizeof(struct range__entry);

	return (size + LEAF_SIZE - 1) / LEAF_SIZE * LEAF_SIZE;
}

void range__forest_free_leaf(struct range__forest *forest, struct range__leaf *leaf)
{
	leaf->next = forest->free;
	forest->free = leaf;
}

/*
 * The child of fork() reads the list while another thread was in here, perhaps. It sees the stores
 * that come before one that it sees, if that is a release: a thread's writes are stopped by fork()
 * in order. So the list is whole before and after this store.
 */
static void link_chunk(struct range__forest *forest, struct range__chunk *chunk)
{
	chunk->next = atomic_load_explicit(&forest->chunks, memory_order_relaxed);
	/* release: pairs with the acquire in range__forest_stats(): the leaves have been made */
	atomic_store_explicit(&forest->chunks, chunk, memory_order_release);
}

static void add_chunk(struct range__forest *forest, struct range__chunk *chunk)
{
	for (int i = 0; i < CHUNK_LEAVES; i++)
		range__leaf_init(&chunk->leaves[i].leaf);
	link_chunk(forest, chunk);
	for (int i = CHUNK_LEAVES - 1; i >= 0; i--)
		range__forest_free_leaf(forest, &chunk->leaves[i].leaf);
}

struct range__leaf *range__forest_new_leaf(struct range_lock *lock, struct range__forest *forest)
{
	struct range__leaf *leaf;

	if (!forest->free) {
		struct range__chunk *chunk = allocate(lock, sizeof *chunk);

		if (!chunk)
			return NULL;
		add_chunk(forest, chunk);
	}
	leaf = forest->free;
	forest->free = leaf->next;
	leaf->fair_at = 0;
	return leaf;
}

static struct range__forest *new_forest(struct range_lock *lock)
{
	size_t size = forest_size(lock->max_leaves);
	struct range__forest *forest = allocate(lock, size + sizeof(struct range__chunk));
	struct range__leaf *leaf;

	if (!forest)
		return NULL;
	forest->capacity = lock->max_leaves;
	forest->sweep = UINT64_MAX;
	forest->swept_at = mmrange__now();
	atomic_init(&forest->chunks, NULL);
	forest->free = NULL;
	forest->nr_seams = 0;
	forest->splits = forest->merges = 0;
	atomic_init(&forest->count, 0);
	add_chunk(forest, (struct range__chunk *)(void *)((char *)forest + size));
	leaf = range__forest_new_leaf(lock, forest);
	range__leaf_lock(leaf);
	range__leaf_lock(&lock->root);
	range__leaf_absorb(leaf, &lock->root);
	range__adapt_inherit(leaf, &lock->root);
	range__index_insert(forest, 0, leaf, 1);
	/* release: pairs with the acquire in range__index_find() */
	atomic_store_explicit(&lock->forest, forest, memory_order_release);
	range__leaf_unlock(&lock->root, NULL);
	range__leaf_unlock(leaf, NULL);
	return forest;
}

struct range__forest *range__forest_get(struct range_lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? forest : new_forest(lock);
}

/* Under lock->mutex: how many leaves there are now, and which. */
static uint32_t nr_leaves(struct range_lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? range__index_count(forest) : 1;
}

static struct range__leaf *nth_leaf(struct range_lock *lock, uint32_t i)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? range__index_leaf(forest, i) : &lock->root;
}

struct range__leaf *range__forest_leaf(struct range_lock *lock, uint32_t i)
{
	return i < nr_leaves(lock) ? nth_leaf(lock, i) : NULL;
}

/* How many entries from i on have keys below end. */
static uint32_t nr_spanned(struct range__forest *forest, uint32_t i, uint64_t end)
{
	uint32_t n = 1;

	while (i + n < range__index_count(forest) && range__index_lo(forest, i + n) < end)
		n++;
	return n;
}

/* Held for about a microsecond most of the time: to sleep would take longer. */
static void lock_mutex(struct range_lock *lock)
{
	int spins = mmrange__spinning_helps() ? MUTEX_SPINS : 0;

	while (spins-- > 0) {
		if (!pthread_mutex_trylock(&lock->mutex))
			return;
		mmrange__relax();
	}
	pthread_mutex_lock(&lock->mutex);
}

/* Whether one of the n ranges has to wait in a leaf, which is locked. */
static bool blocks_any(struct range__leaf *leaf, const struct range_hold *ranges, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (range__leaf_blocks(leaf, &ranges[i]))
			return true;
	return false;
}

/*
 * Locks the leaf that holds [start, end), made of several if need be. NULL: one of the n wanted
 * ranges would have to wait; then nothing has changed.
 */
static struct range__leaf *lock_spanning(struct range_lock *lock, uint64_t start, uint64_t end,
					 const struct range_hold *wanted, unsigned int n)
{
	struct range__forest *forest;
	uint32_t i = 0, leaves = 1, locked = 0;
	struct range__leaf *leaf;
	bool blocked = false;

	lock_mutex(lock);
	forest = range__forest_of(lock);
	if (forest) {
		i = range__index_search(forest, start);
		leaves = nr_spanned(forest, i, end);
	}
	while (locked < leaves && !blocked) {
		leaf = nth_leaf(lock, i + locked++);
		range__leaf_lock(leaf);
		blocked = blocks_any(leaf, wanted, n);
	}
	leaf = nth_leaf(lock, i);
	if (blocked) {
		while (locked > 0)
			range__leaf_unlock(nth_leaf(lock, i + --locked), NULL);
		leaf = NULL;
	} else if (leaves > 1) {
		range__adapt_visited(leaf, start, end);
		range__seams_merge(forest, i, leaves - 1);
	}
	pthread_mutex_unlock(&lock->mutex);
	return leaf;
}

/* The leaf that holds the range, if it is one, locked by lock_leaf(); otherwise NULL. */
static struct range__leaf *lock_one(struct range_lock *lock, const struct range_hold *range,
				    struct range__leaf *hint,
				    void (*lock_leaf)(struct range__leaf *leaf))
{
	for (int look = hint ? 0 : 1; look < LOOKS; look++) {
		struct range__leaf *leaf = look == 0 ? hint : range__index_find(lock, range->start);

		/* Not to disturb a leaf in vain; whether it is the right one is decided below. */
		if (!range__leaf_covers(leaf, range->start, range->end)) {
			if (range__leaf_covers(leaf, range->start, range->start + 1))
				break;
			mmrange__relax();
			continue;
		}
		lock_leaf(leaf);
		if (range__leaf_covers(leaf, range->start, range->end))
			return leaf;
		range__leaf_unlock(leaf, NULL);
	}
	return NULL;
}

struct range__leaf *range__forest_lock(struct range_lock *lock, const struct range_hold *range,
				       struct range__leaf *hint, bool try)
{
	struct range__leaf *leaf = lock_one(lock, range, hint, range__leaf_lock);

	return leaf ? leaf : lock_spanning(lock, range->start, range->end, range, try ? 1 : 0);
}

struct range__leaf *range__forest_lock_reader(struct range_lock *lock,
					      const struct range_hold *range,
					      struct range__leaf *hint, bool try)
{
	struct range__leaf *leaf = lock_one(lock, range, hint, range__leaf_lock_reader);

	return leaf ? leaf : lock_spanning(lock, range->start, range->end, range, try ? 1 : 0);
}

/* The same, after a look under lock->mutex if the index keeps changing: exact (R2). */
static struct range__leaf *lock_exactly(struct range_lock *lock, const struct range_hold *range,
					struct range__leaf *hint,
					void (*lock_leaf)(struct range__leaf *leaf))
{
	struct range__leaf *leaf = lock_one(lock, range, hint, lock_leaf);
	struct range__forest *forest;

	if (leaf)
		return leaf;
	pthread_mutex_lock(&lock->mutex);
	forest = range__forest_of(lock);
	leaf = nth_leaf(lock, forest ? range__index_search(forest, range->start) : 0);
	if (range__leaf_covers(leaf, range->start, range->end))
		lock_leaf(leaf);
	else
		leaf = NULL;
	pthread_mutex_unlock(&lock->mutex);
	return leaf;
}

struct range__leaf *range__forest_lock_published(struct range_lock *lock,
						 const struct range_hold *range)
{
	return lock_exactly(lock, range, range->leaf, range__leaf_lock_reader);
}

struct range__leaf *range__forest_lock_key(struct range_lock *lock, uint64_t key,
					   void (*lock_leaf)(struct range__leaf *leaf))
{
	const struct range_hold one = { .start = key, .end = key + 1 };

	return lock_exactly(lock, &one, NULL, lock_leaf);
}

struct range__leaf *range__forest_lock_extension(struct range_lock *lock,
						 const struct range_hold *range, uint64_t start,
						 uint64_t end)
{
	struct range__leaf *leaf = range__forest_lock(lock, range, range->leaf, false);
	struct range_hold parts[2];
	unsigned int n = 0;

	if (start < range->start)
		parts[n++] = (struct range_hold){ .start = start,
						  .end = range->start,
						  .mode = range->mode };
	if (range->end < end)
		parts[n++] =
			(struct range_hold){ .start = range->end, .end = end, .mode = range->mode };
	if (range__leaf_covers(leaf, start, end)) {
		if (!blocks_any(leaf, parts, n))
			return leaf;
		range__leaf_unlock(leaf, NULL);
		return NULL;
	}
	range__leaf_unlock(leaf, NULL);
	return lock_spanning(lock, start, end, parts, n);
}

/*
 * All leaves are locked at the same time, so that nothing can move from one that was seen to one
 * that was not.
 */
static bool all_vacant(struct range_lock *lock)
{
	bool vacant = true;
	uint32_t n = 0;

	while (vacant && n < nr_leaves(lock)) {
		struct range__leaf *leaf = nth_leaf(lock, n++);

		range__leaf_lock(leaf);
		vacant = range__leaf_vacant(leaf);
	}
	while (n > 0)
		range__leaf_unlock(nth_leaf(lock, --n), NULL);
	return vacant;
}

void range__forest_free(struct range_lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);
	struct range__chunk *chunk, *next, *first;
	int saved = errno;

	if (!forest)
		return;
	first = (struct range__chunk *)(void *)((char *)forest + forest_size(forest->capacity));
	chunk = atomic_load_explicit(&forest->chunks, memory_order_relaxed);
	for (; chunk != first; chunk = next) {
		next = chunk->next;
		release(lock, chunk, sizeof *chunk);
	}
	release(lock, forest, forest_size(forest->capacity) + sizeof *first);
	errno = saved;
}

bool range__forest_owns(const struct range_lock *lock, const struct range__leaf *leaf)
{
	/* relaxed: nobody makes a forest now, nor chunks */
	struct range__forest *forest = atomic_load_explicit(&lock->forest, memory_order_relaxed);
	struct range__chunk *chunk;
	uintptr_t at = (uintptr_t)leaf;

	if (leaf == &lock->root)
		return true;
	chunk = forest ? atomic_load_explicit(&forest->chunks, memory_order_relaxed) : NULL;
	while (chunk && (at < (uintptr_t)chunk || (uintptr_t)(chunk + 1) <= at))
		chunk = chunk->next;
	return chunk != NULL;
}

int range__forest_destroy(struct range_lock *lock)
{
	bool vacant;

	pthread_mutex_lock(&lock->mutex);
	vacant = all_vacant(lock);
	pthread_mutex_unlock(&lock->mutex);
	if (!vacant)
		return EBUSY;
	/* Readers who are gone may still be looking at the word of their leaf. */
	range__slots_drain(lock);
	pthread_mutex_destroy(&lock->mutex);
	range__forest_free(lock);
	return 0;
}

static void add_counts(struct range_lock_stats *stats, const struct range__leaf *leaf)
{
	/* acquire: pairs with the release in range__leaf_count_wait() */
	stats->waits += atomic_load_explicit(&leaf->waits, memory_order_acquire);
	/* relaxed: a count */
	stats->biases += (atomic_load_explicit(&leaf->bias, memory_order_relaxed) + 1) / 2;
}

/*
 * Locks no leaf. The counts of each leaf stay in its memory, which is kept (R3), so what has been
 * counted is found once, however leaves split and merge meanwhile.
 */
void range__forest_stats(struct range_lock *lock, struct range_lock_stats *stats)
{
	const struct range__chunk *chunk;
	struct range__forest *forest;

	pthread_mutex_lock(&lock->mutex);
	forest = range__forest_of(lock);
	stats->leaves = nr_leaves(lock);
	stats->splits = forest ? forest->splits : 0;
	stats->merges = forest ? forest->merges : 0;
	pthread_mutex_unlock(&lock->mutex);
	stats->waits = stats->biases = 0;
	add_counts(stats, &lock->root);
	/* acquire: pairs with the release in link_chunk() */
	chunk = forest ? atomic_load_explicit(&forest->chunks, memory_order_acquire) : NULL;
	for (; chunk; chunk = chunk->next)
		for (int i = 0; i < CHUNK_LEAVES; i++)
			add_counts(stats, &chunk->leaves[i].leaf);
}

/* Whether each leaf that was allocated is in the index, a seam, or free. */
static bool none_is_lost(const struct range__forest *forest, uint32_t leaves, uint32_t seams)
{
	uint32_t allocated = 0, unused = 0;

	for (const struct range__chunk *chunk = forest->chunks; chunk; chunk = chunk->next)
		allocated += CHUNK_LEAVES;
	for (const struct range__leaf *leaf = forest->free; leaf; leaf = leaf->next)
		unused++;
	return seams == forest->nr_seams && leaves + seams + unused == allocated;
}

bool range__forest_valid(struct range_lock *lock)
{
	struct range__forest *forest;
	uint32_t seams = 0;
	uint64_t lo = 0;
	bool valid = true;

	pthread_mutex_lock(&lock->mutex);
	forest = range__forest_of(lock);
	for (uint32_t i = 0; i < nr_leaves(lock); i++) {
		struct range__leaf *leaf = nth_leaf(lock, i);

		range__leaf_lock(leaf);
		valid = valid && range__leaf_valid(leaf) && range__seams_valid(leaf, &seams) &&
			(!forest || range__index_lo(forest, i) == lo) &&
			atomic_load_explicit(&leaf->lo, memory_order_relaxed) == lo;
		lo = atomic_load_explicit(&leaf->hi, memory_order_relaxed);
		range__leaf_unlock(leaf, NULL);
	}
	valid = valid && lo == UINT64_MAX && nr_leaves(lock) + seams <= lock->max_leaves &&
		(!forest || none_is_lost(forest, nr_leaves(lock), seams));
	pthread_mutex_unlock(&lock->mutex);
	return valid;
}
