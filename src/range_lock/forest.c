/* SPDX-License-Identifier: MIT */
#include "forest.h"
#include "platform/platform.h"

#include <errno.h>
#include <sys/mman.h>

enum {
	LEAF_SIZE = 128, /* two cache lines, which some processors fetch together */
	CHUNK_LEAVES = 31,
	MAX_PATIENCE = 1024, /* migrations before a split, at most */
	SWEEP_STEP = 2,      /* leaves looked at by the sweep per split */
};

/* Nanoseconds from one sweep to the next: more than it takes until each of many threads has had its
 * turn on a core. */
static const uint64_t SWEEP_INTERVAL = UINT64_C(1000000000);

/* Leaves are allocated in chunks of a page. */
struct chunk_leaf {
	_Alignas(LEAF_SIZE) struct range__leaf leaf;
};

struct range__chunk {
	struct range__chunk *next;
	struct chunk_leaf leaves[CHUNK_LEAVES];
};

static void *allocate(struct range_lock *lock, size_t size)
{
	void *memory;

	if (lock->alloc)
		return lock->alloc(size, LEAF_SIZE, lock->arg);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static void release(struct range_lock *lock, void *memory, size_t size)
{
	if (lock->free)
		lock->free(memory, size, lock->arg);
	else
		munmap(memory, size);
}

static size_t forest_size(uint32_t capacity)
{
	return sizeof(struct range__forest) + capacity * sizeof(struct range__forest_entry);
}

static struct range__forest *forest_of(struct range_lock *lock)
{
	/* relaxed: under lock->mutex, which orders everything that is written under it */
	return atomic_load_explicit(&lock->forest, memory_order_relaxed);
}

static struct range__leaf *leaf_at(struct range__forest *forest, uint32_t i)
{
	return atomic_load_explicit(&forest->entries[i].leaf, memory_order_relaxed);
}

static uint64_t lo_at(struct range__forest *forest, uint32_t i)
{
	return atomic_load_explicit(&forest->entries[i].lo, memory_order_relaxed);
}

static uint32_t count_of(struct range__forest *forest)
{
	return atomic_load_explicit(&forest->count, memory_order_relaxed);
}

static void set_entry(struct range__forest *forest, uint32_t i, uint64_t lo,
		      struct range__leaf *leaf)
{
	atomic_store_explicit(&forest->entries[i].lo, lo, memory_order_relaxed);
	/* release: pairs with the acquire in range__forest_find() */
	atomic_store_explicit(&forest->entries[i].leaf, leaf, memory_order_release);
}

static void copy_entry(struct range__forest *forest, uint32_t to, uint32_t from)
{
	set_entry(forest, to, lo_at(forest, from), leaf_at(forest, from));
}

static void set_count(struct range__forest *forest, uint32_t count)
{
	/* release: pairs with the acquire in range__forest_find() */
	atomic_store_explicit(&forest->count, count, memory_order_release);
}

static void index_insert(struct range__forest *forest, uint32_t i, uint64_t lo,
			 struct range__leaf *leaf)
{
	uint32_t count = count_of(forest);

	for (uint32_t k = count; k > i; k--)
		copy_entry(forest, k, k - 1);
	set_entry(forest, i, lo, leaf);
	set_count(forest, count + 1);
}

/* Leaves what lies above count as it is: a reader that saw the old count finds leaves there. */
static void index_remove(struct range__forest *forest, uint32_t i, uint32_t n)
{
	uint32_t count = count_of(forest);

	for (uint32_t k = i; k + n < count; k++)
		copy_entry(forest, k, k + n);
	set_count(forest, count - n);
}

static uint32_t index_search(struct range__forest *forest, uint64_t key)
{
	uint32_t base = 0;

	for (uint32_t n = count_of(forest); n > 1; n -= n / 2)
		if (lo_at(forest, base + n / 2) <= key)
			base += n / 2;
	return base;
}

static void free_leaf(struct range__forest *forest, struct range__leaf *leaf)
{
	leaf->next_free = forest->free;
	forest->free = leaf;
}

/* A leaf that covers nothing, or NULL. */
static struct range__leaf *new_leaf(struct range_lock *lock, struct range__forest *forest)
{
	struct range__leaf *leaf;

	if (!forest->free) {
		struct range__chunk *chunk = allocate(lock, sizeof *chunk);

		if (!chunk)
			return NULL;
		chunk->next = forest->chunks;
		forest->chunks = chunk;
		for (int i = CHUNK_LEAVES - 1; i >= 0; i--) {
			range__leaf_init(&chunk->leaves[i].leaf);
			free_leaf(forest, &chunk->leaves[i].leaf);
		}
	}
	leaf = forest->free;
	forest->free = leaf->next_free;
	return leaf;
}

static void merge_patience(struct range__leaf *to, struct range__leaf *from)
{
	uint32_t a = atomic_load_explicit(&to->patience, memory_order_relaxed);
	uint32_t b = atomic_load_explicit(&from->patience, memory_order_relaxed);
	uint32_t patience = a > b ? a : b;

	atomic_store_explicit(&to->patience, patience, memory_order_relaxed);
	atomic_store_explicit(&to->migrations, 0, memory_order_relaxed);
}

static void scale_patience(struct range__leaf *leaf, uint32_t times, uint32_t by)
{
	uint32_t patience = atomic_load_explicit(&leaf->patience, memory_order_relaxed);

	patience = patience * times / by;
	if (patience > MAX_PATIENCE)
		patience = MAX_PATIENCE;
	if (patience < RANGE__PATIENCE)
		patience = RANGE__PATIENCE;
	atomic_store_explicit(&leaf->patience, patience, memory_order_relaxed);
	atomic_store_explicit(&leaf->migrations, 0, memory_order_relaxed);
}

/* Locks the leaf that holds start, and makes it reach end by merging those that follow into it. */
static struct range__leaf *lock_spanning(struct range_lock *lock, uint64_t start, uint64_t end)
{
	struct range__forest *forest;
	struct range__leaf *leaf;
	uint32_t i, n = 0;

	pthread_mutex_lock(&lock->mutex);
	forest = forest_of(lock);
	if (!forest) {
		leaf = &lock->root;
		range__leaf_lock(leaf);
		goto out;
	}
	i = index_search(forest, start);
	leaf = leaf_at(forest, i);
	range__leaf_lock(leaf);
	while (i + 1 + n < count_of(forest) && lo_at(forest, i + 1 + n) < end) {
		struct range__leaf *next = leaf_at(forest, i + 1 + n++);

		range__leaf_lock(next);
		range__leaf_absorb(leaf, next);
		merge_patience(leaf, next);
		range__leaf_unlock(next, NULL);
		free_leaf(forest, next);
	}
	if (n > 0) {
		index_remove(forest, i + 1, n);
		scale_patience(leaf, 4, 1);
		forest->merges += n;
	}
out:
	pthread_mutex_unlock(&lock->mutex);
	return leaf;
}

struct range__leaf *range__forest_lock(struct range_lock *lock, const struct range *range,
				       struct range__leaf *hint)
{
	struct range__leaf *leaf;

	for (int look = hint ? 0 : 1; look < 2; look++) {
		leaf = look == 0 ? hint : range__forest_find(lock, range->start);
		range__leaf_lock(leaf);
		if (range__leaf_covers(leaf, range->start, range->end))
			return leaf;
		range__leaf_unlock(leaf, NULL);
	}
	return lock_spanning(lock, range->start, range->end);
}

/* Makes the index, with one leaf that takes over from lock->root. */
static struct range__forest *new_forest(struct range_lock *lock)
{
	struct range__forest *forest = allocate(lock, forest_size(lock->max_leaves));
	struct range__leaf *leaf;

	if (!forest)
		return NULL;
	forest->capacity = lock->max_leaves;
	forest->sweep = 0;
	forest->swept_at = mmrange__now();
	forest->chunks = NULL;
	forest->free = NULL;
	forest->splits = forest->merges = 0;
	atomic_init(&forest->count, 0);
	leaf = new_leaf(lock, forest);
	if (!leaf) {
		release(lock, forest, forest_size(forest->capacity));
		return NULL;
	}
	range__leaf_lock(leaf);
	range__leaf_lock(&lock->root);
	range__leaf_absorb(leaf, &lock->root);
	merge_patience(leaf, &lock->root);
	index_insert(forest, 0, 0, leaf);
	/* release: pairs with the acquire in range__forest_find() */
	atomic_store_explicit(&lock->forest, forest, memory_order_release);
	range__leaf_unlock(&lock->root, NULL);
	range__leaf_unlock(leaf, NULL);
	return forest;
}

/* Gives the keys of a vacant leaf to the one that follows it. Both are locked. */
static void merge_cold(struct range__forest *forest, uint32_t i, struct range__leaf *cold,
		       struct range__leaf *next)
{
	uint64_t lo = lo_at(forest, i);

	range__leaf_absorb(next, cold);
	index_remove(forest, i, 1);
	set_entry(forest, i, lo, next);
	forest->merges++;
}

/* One step: merges the leaf the sweep has come to, or marks it. A leaf whose owner is 0 has not
 * been used since it was marked. */
static void sweep_leaf(struct range__forest *forest, uint32_t i)
{
	struct range__leaf *leaf = leaf_at(forest, i), *next;

	range__leaf_lock(leaf);
	if (!range__leaf_vacant(leaf) ||
	    atomic_load_explicit(&leaf->last_owner, memory_order_relaxed) != 0) {
		atomic_store_explicit(&leaf->last_owner, 0, memory_order_relaxed);
		range__leaf_unlock(leaf, NULL);
		forest->sweep++;
		return;
	}
	next = leaf_at(forest, i + 1);
	range__leaf_lock(next);
	merge_cold(forest, i, leaf, next);
	range__leaf_unlock(leaf, NULL);
	free_leaf(forest, leaf);
	range__leaf_unlock(next, NULL);
}

/* Merges leaves that nobody has used from one sweep to the next, a few at a time. */
static void sweep(struct range__forest *forest)
{
	for (int step = 0; step < SWEEP_STEP; step++) {
		if (forest->sweep == 0) {
			uint64_t now = mmrange__now();

			if (now - forest->swept_at < SWEEP_INTERVAL)
				return;
			forest->swept_at = now;
		}
		if (forest->sweep + 1 < count_of(forest))
			sweep_leaf(forest, forest->sweep);
		else
			forest->sweep = 0;
	}
}

static bool can_split(struct range__leaf *leaf, uint64_t point)
{
	uint64_t lo = atomic_load_explicit(&leaf->lo, memory_order_relaxed);
	uint64_t hi = atomic_load_explicit(&leaf->hi, memory_order_relaxed);

	return lo < point && point < hi && !range__leaf_crossed(leaf, point);
}

/* Splits the leaf at entry i at one of two points; says whether that was possible. */
static bool split_at(struct range_lock *lock, struct range__forest *forest, uint32_t i,
		     const uint64_t points[2])
{
	struct range__leaf *leaf = leaf_at(forest, i), *right;
	uint64_t point;

	range__leaf_lock(leaf);
	point = can_split(leaf, points[0]) ? points[0] : points[1];
	if (!can_split(leaf, point)) {
		scale_patience(leaf, 2, 1);
		goto unlock;
	}
	right = new_leaf(lock, forest);
	if (!right) {
		scale_patience(leaf, MAX_PATIENCE, 1);
		goto unlock;
	}
	range__leaf_lock(right);
	range__leaf_split(leaf, point, right);
	merge_patience(right, leaf);
	scale_patience(right, 1, 2);
	scale_patience(leaf, 1, 2);
	atomic_store_explicit(&right->last_owner, mmrange__self(), memory_order_relaxed);
	index_insert(forest, i + 1, point, right);
	forest->splits++;
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(right, NULL);
	return true;
unlock:
	range__leaf_unlock(leaf, NULL);
	return false;
}

static void split(struct range_lock *lock, struct range__leaf *leaf, const uint64_t points[2])
{
	struct range__forest *forest;

	/* Somebody else is at it: not worth waiting for, the next migration tries again. */
	if (pthread_mutex_trylock(&lock->mutex))
		return;
	atomic_store_explicit(&leaf->migrations, 0, memory_order_relaxed);
	forest = forest_of(lock);
	if (!forest && lock->max_leaves > 1)
		forest = new_forest(lock);
	if (forest) {
		sweep(forest);
		if (count_of(forest) < forest->capacity)
			split_at(lock, forest, index_search(forest, points[0]), points);
	}
	pthread_mutex_unlock(&lock->mutex);
}

void range__forest_note(struct range_lock *lock, struct range__leaf *leaf,
			const struct range *range)
{
	/* relaxed: all of this is a guess about where a split would help; any values do */
	uint64_t last_start = atomic_load_explicit(&leaf->last_start, memory_order_relaxed);
	uint64_t last_end = atomic_load_explicit(&leaf->last_end, memory_order_relaxed);
	uintptr_t last = atomic_load_explicit(&leaf->last_owner, memory_order_relaxed);
	uint64_t points[2] = { range->start, last_end };
	uint32_t migrations = 0;

	atomic_store_explicit(&leaf->last_owner, range->owner, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_start, range->start, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_end, range->end, memory_order_relaxed);
	if (last == 0)
		return;
	if (range->end <= last_start) {
		points[0] = last_start;
		points[1] = range->end;
	}
	if (range->end <= last_start || last_end <= range->start)
		migrations = 1 + atomic_load_explicit(&leaf->migrations, memory_order_relaxed);
	atomic_store_explicit(&leaf->migrations, migrations, memory_order_relaxed);
	if (migrations >= atomic_load_explicit(&leaf->patience, memory_order_relaxed))
		split(lock, leaf, points);
}

static void unlock_first(struct range__forest *forest, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		range__leaf_unlock(leaf_at(forest, i), NULL);
}

static bool all_vacant(struct range__forest *forest)
{
	for (uint32_t i = 0; i < count_of(forest); i++) {
		range__leaf_lock(leaf_at(forest, i));
		if (!range__leaf_vacant(leaf_at(forest, i))) {
			unlock_first(forest, i + 1);
			return false;
		}
	}
	unlock_first(forest, count_of(forest));
	return true;
}

int range__forest_destroy(struct range_lock *lock)
{
	struct range__forest *forest;
	struct range__chunk *chunk, *next;
	bool vacant;

	pthread_mutex_lock(&lock->mutex);
	forest = forest_of(lock);
	if (forest) {
		vacant = all_vacant(forest);
	} else {
		range__leaf_lock(&lock->root);
		vacant = range__leaf_vacant(&lock->root);
		range__leaf_unlock(&lock->root, NULL);
	}
	pthread_mutex_unlock(&lock->mutex);
	if (!vacant)
		return EBUSY;
	pthread_mutex_destroy(&lock->mutex);
	if (!forest)
		return 0;
	for (chunk = forest->chunks; chunk; chunk = next) {
		next = chunk->next;
		release(lock, chunk, sizeof *chunk);
	}
	release(lock, forest, forest_size(forest->capacity));
	return 0;
}

void range__forest_stats(struct range_lock *lock, struct range_lock_stats *stats)
{
	struct range__forest *forest;

	pthread_mutex_lock(&lock->mutex);
	forest = forest_of(lock);
	stats->leaves = forest ? count_of(forest) : 1;
	stats->splits = forest ? forest->splits : 0;
	stats->merges = forest ? forest->merges : 0;
	stats->waits = 0;
	for (uint32_t i = 0; i < stats->leaves; i++) {
		struct range__leaf *leaf = forest ? leaf_at(forest, i) : &lock->root;

		range__leaf_lock(leaf);
		stats->waits += leaf->waits;
		range__leaf_unlock(leaf, NULL);
	}
	pthread_mutex_unlock(&lock->mutex);
}

bool range__forest_valid(struct range_lock *lock)
{
	struct range__forest *forest;
	uint64_t lo = 0;
	bool valid = true;
	uint32_t n;

	pthread_mutex_lock(&lock->mutex);
	forest = forest_of(lock);
	n = forest ? count_of(forest) : 1;
	for (uint32_t i = 0; i < n; i++) {
		struct range__leaf *leaf = forest ? leaf_at(forest, i) : &lock->root;

		range__leaf_lock(leaf);
		valid = valid && range__leaf_valid(leaf) && (!forest || lo_at(forest, i) == lo) &&
			atomic_load_explicit(&leaf->lo, memory_order_relaxed) == lo;
		lo = atomic_load_explicit(&leaf->hi, memory_order_relaxed);
		range__leaf_unlock(leaf, NULL);
	}
	pthread_mutex_unlock(&lock->mutex);
	return valid && lo == UINT64_MAX;
}
