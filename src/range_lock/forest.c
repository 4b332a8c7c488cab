/* SPDX-License-Identifier: MIT */
#include "forest.h"
#include "adapt.h"
#include "lock.h"
#include "platform/platform.h"
#include "short_lock.h"
#include "slots.h"

#include <errno.h>
#include <sys/mman.h>

enum {
	LEAF_SIZE = 128, /* two cache lines, which some processors fetch together */
	CHUNK_LEAVES = 31,
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

static void *call_alloc(struct range__lock *lock, size_t size)
{
	int cancel_state = mmrange__cancel_disable();
	void *memory = lock->alloc(size, LEAF_SIZE, lock->arg);

	mmrange__cancel_restore(cancel_state);
	return memory;
}

static void call_free(struct range__lock *lock, void *memory, size_t size)
{
	int cancel_state = mmrange__cancel_disable();

	lock->free(memory, size, lock->arg);
	mmrange__cancel_restore(cancel_state);
}

static void *allocate(struct range__lock *lock, size_t size)
{
	void *memory;

	if (lock->alloc)
		return call_alloc(lock, size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static void release(struct range__lock *lock, void *memory, size_t size)
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

struct range__leaf *range__forest_new_leaf(struct range__lock *lock, struct range__forest *forest)
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

/*
 * Locks both, and moves everything from lock->root to the first leaf of the forest. Each claim in the
 * lock is counted in the root, which has all keys, and so in the new leaf.
 */
static void move_root(struct range__lock *lock, struct range__leaf *leaf)
{
	range__leaf_lock(&lock->root);
	range__leaf_lock(leaf);
	range__leaf_revoke(lock, &lock->root);
	range__leaf_split(&lock->root, 0, leaf);
	leaf->nr_claims = lock->root.nr_claims;
	lock->root.nr_claims = 0;
	/* The fast path does not look at the root's bounds: so its word must stay TREE. */
	lock->root.covers = RANGE__COVERS_WRITER;
	range__adapt_inherit(leaf, &lock->root);
}

static struct range__forest *new_forest(struct range__lock *lock)
{
	uint32_t capacity = range__max_leaves(lock);
	size_t size = forest_size(capacity);
	struct range__forest *forest = allocate(lock, size + sizeof(struct range__chunk));
	struct range__leaf *leaf;

	if (!forest)
		return NULL;
	forest->capacity = capacity;
	forest->sweep = 1;
	atomic_init(&forest->too_fine, 0);
	atomic_init(&forest->sweep_due, mmrange__now() + RANGE__SWEEP_INTERVAL);
	forest->spent = 0;
	forest->calm = forest->calm_until = 0;
	atomic_init(&forest->chunks, NULL);
	forest->free = NULL;
	forest->splits = forest->merges = 0;
	atomic_init(&forest->count, 0);
	add_chunk(forest, (struct range__chunk *)(void *)((char *)forest + size));
	leaf = range__forest_new_leaf(lock, forest);
	move_root(lock, leaf);
	range__index_insert(forest, 0, leaf, 1);
	/* release: pairs with the acquire in range__index_find() */
	atomic_store_explicit(&lock->forest, forest, memory_order_release);
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(&lock->root, NULL);
	return forest;
}

struct range__forest *range__forest_get(struct range__lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? forest : new_forest(lock);
}

/* Under lock->mutex: how many leaves there are now, and which. */
static uint32_t nr_leaves(struct range__lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? range__index_count(forest) : 1;
}

static struct range__leaf *nth_leaf(struct range__lock *lock, uint32_t i)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? range__index_leaf(forest, i) : &lock->root;
}

struct range__leaf *range__forest_leaf(struct range__lock *lock, uint32_t i)
{
	return i < nr_leaves(lock) ? nth_leaf(lock, i) : NULL;
}

/* The leaf that holds key, if the index says so, locked; otherwise NULL. */
static struct range__leaf *lock_by_index(struct range__lock *lock, uint64_t key,
					 struct range__leaf *hint)
{
	for (int look = hint ? 0 : 1; look < LOOKS; look++) {
		struct range__leaf *leaf = look == 0 ? hint : range__index_find(lock, key);

		/* Not to disturb a leaf in vain; whether it is the right one is decided below. */
		if (!range__leaf_has(leaf, key)) {
			mmrange__relax();
			continue;
		}
		range__leaf_lock(leaf);
		if (range__leaf_has(leaf, key))
			return leaf;
		range__leaf_unlock(leaf, NULL);
	}
	return NULL;
}

/* Under lock->mutex the index is exact (R2). */
struct range__leaf *range__forest_lock_key(struct range__lock *lock, uint64_t key,
					   struct range__leaf *hint)
{
	struct range__leaf *leaf = lock_by_index(lock, key, hint);
	struct range__forest *forest;

	if (leaf)
		return leaf;
	range__short_lock(&lock->mutex);
	forest = range__forest_of(lock);
	leaf = nth_leaf(lock, forest ? range__index_search(forest, key) : 0);
	range__leaf_lock(leaf);
	range__short_unlock(&lock->mutex);
	return leaf;
}

/*
 * All leaves are locked at the same time, so that nothing can move from one that was seen to one
 * that was not.
 */
static bool all_vacant(struct range__lock *lock)
{
	bool vacant = true;
	uint32_t n = 0;

	while (vacant && n < nr_leaves(lock)) {
		struct range__leaf *leaf = nth_leaf(lock, n++);

		range__leaf_lock(leaf);
		range__leaf_revoke(lock, leaf);
		vacant = range__leaf_vacant(leaf);
	}
	while (n > 0)
		range__leaf_unlock(nth_leaf(lock, --n), NULL);
	return vacant;
}

void range__forest_free(struct range__lock *lock)
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

int range__forest_destroy(struct range__lock *lock)
{
	bool vacant;

	range__short_lock(&lock->mutex);
	vacant = all_vacant(lock);
	range__short_unlock(&lock->mutex);
	if (!vacant)
		return EBUSY;
	/* Readers who are gone may still be looking at the word of their leaf. */
	range__slots_drain(lock);
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
void range__forest_stats(struct range__lock *lock, struct range_lock_stats *stats)
{
	const struct range__chunk *chunk;
	struct range__forest *forest;

	range__short_lock(&lock->mutex);
	forest = range__forest_of(lock);
	stats->leaves = nr_leaves(lock);
	stats->splits = forest ? forest->splits : 0;
	stats->merges = forest ? forest->merges : 0;
	range__short_unlock(&lock->mutex);
	stats->waits = stats->biases = 0;
	add_counts(stats, &lock->root);
	/* acquire: pairs with the release in link_chunk() */
	chunk = forest ? atomic_load_explicit(&forest->chunks, memory_order_acquire) : NULL;
	for (; chunk; chunk = chunk->next)
		for (int i = 0; i < CHUNK_LEAVES; i++)
			add_counts(stats, &chunk->leaves[i].leaf);
}

/* Whether each leaf that was allocated is in the index, or free. */
static bool none_is_lost(const struct range__forest *forest, uint32_t leaves)
{
	uint32_t allocated = 0, unused = 0;

	for (const struct range__chunk *chunk = forest->chunks; chunk; chunk = chunk->next)
		allocated += CHUNK_LEAVES;
	for (const struct range__leaf *leaf = forest->free; leaf; leaf = leaf->next)
		unused++;
	return leaves + unused == allocated;
}

static bool leaf_valid(struct range__lock *lock, struct range__leaf *leaf, uint64_t lo,
		       struct range__leaf *next)
{
	bool valid;

	range__leaf_lock(leaf);
	range__leaf_revoke(lock, leaf);
	valid = range__leaf_valid(lock, leaf) && range__leaf_lo(leaf) == lo &&
		range__leaf_right(leaf) == next;
	range__leaf_unlock(leaf, NULL);
	return valid;
}

bool range__forest_valid(struct range__lock *lock)
{
	struct range__forest *forest;
	uint64_t lo = 0;
	bool valid = true;

	range__short_lock(&lock->mutex);
	forest = range__forest_of(lock);
	for (uint32_t i = 0; i < nr_leaves(lock); i++) {
		struct range__leaf *leaf = nth_leaf(lock, i);

		valid = valid && leaf_valid(lock, leaf, lo, range__forest_leaf(lock, i + 1)) &&
			(!forest || range__index_lo(forest, i) == lo);
		lo = range__leaf_hi(leaf);
	}
	valid = valid && lo == UINT64_MAX && nr_leaves(lock) <= range__max_leaves(lock) &&
		(!forest || none_is_lost(forest, nr_leaves(lock)));
	range__short_unlock(&lock->mutex);
	return valid;
}
