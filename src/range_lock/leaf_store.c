/* SPDX-License-Identifier: MIT */
#include "leaf_store.h"
#include "platform/platform.h"
#include "race.h"
#include "request.h"

#include <errno.h>
#include <sys/mman.h>

enum {
	LEAF_SIZE = 128, /* two cache lines, which some processors fetch together */
	CHUNK_LEAVES = 31,
};

/* Leaves are allocated in chunks of a page. The first chunk comes with the forest. */
struct chunk_leaf {
	_Alignas(LEAF_SIZE) struct range__leaf leaf;
};

struct range__chunk {
	struct range__chunk *next;
	struct chunk_leaf leaves[CHUNK_LEAVES];
};

/*
 * Under lock->mutex. If the hook uses other locks, it may make requests due. Their callbacks, which
 * may use this lock, come later: see range__note_shared().
 */
static void *call_alloc(struct range__lock *lock, size_t size)
{
	int cancel_state = mmrange__cancel_disable();
	bool busy = range__due.busy;
	void *memory;

	range__due.busy = true;
	range__race_hook_begins(lock);
	memory = lock->alloc(size, LEAF_SIZE, lock->arg);
	range__race_hook_ends(lock);
	range__due.busy = busy;
	mmrange__cancel_restore(cancel_state);
	return memory;
}

static void call_free(struct range__lock *lock, void *memory, size_t size)
{
	int cancel_state = mmrange__cancel_disable();

	range__race_give_back(memory, size);
	range__race_hook_begins(lock);
	lock->free(memory, size, lock->arg);
	range__race_hook_ends(lock);
	mmrange__cancel_restore(cancel_state);
}

static void *allocate_memory(struct range__lock *lock, size_t size)
{
	void *memory;

	if (lock->alloc)
		return call_alloc(lock, size);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static void release_memory(struct range__lock *lock, void *memory, size_t size)
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

void range__store_give(struct range__forest *forest, struct range__leaf *leaf)
{
	leaf->next = forest->free;
	forest->free = leaf;
}

/*
 * fork() may stop another thread of the parent in this function, and the child then reads the list.
 * fork() stops a thread's stores in their order where they are releases, so the child finds the
 * list whole, with the new chunk or without it.
 */
static void link_chunk(struct range__forest *forest, struct range__chunk *chunk)
{
	chunk->next = atomic_load_explicit(&forest->chunks, memory_order_relaxed);
	/* release: pairs with the acquire in range__store_visit(): the leaves have been made */
	atomic_store_explicit(&forest->chunks, chunk, memory_order_release);
}

static void add_chunk(struct range__forest *forest, struct range__chunk *chunk)
{
	for (int i = 0; i < CHUNK_LEAVES; i++)
		range__leaf_init(&chunk->leaves[i].leaf);
	link_chunk(forest, chunk);
	for (int i = CHUNK_LEAVES - 1; i >= 0; i--)
		range__store_give(forest, &chunk->leaves[i].leaf);
}

struct range__leaf *range__store_take(struct range__lock *lock, struct range__forest *forest)
{
	struct range__leaf *leaf;

	if (!forest->free) {
		struct range__chunk *chunk = allocate_memory(lock, sizeof *chunk);

		if (!chunk)
			return NULL;
		add_chunk(forest, chunk);
	}
	leaf = forest->free;
	forest->free = leaf->next;
	leaf->fair_at = 0;
	return leaf;
}

struct range__forest *range__store_create(struct range__lock *lock, uint32_t capacity)
{
	size_t size = forest_size(capacity);
	struct range__forest *forest = allocate_memory(lock, size + sizeof(struct range__chunk));

	if (!forest)
		return NULL;
	forest->capacity = capacity;
	atomic_init(&forest->chunks, NULL);
	forest->free = NULL;
	add_chunk(forest, (struct range__chunk *)(void *)((char *)forest + size));
	return forest;
}

void range__store_free(struct range__lock *lock)
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
		release_memory(lock, chunk, sizeof *chunk);
	}
	release_memory(lock, forest, forest_size(forest->capacity) + sizeof *first);
	errno = saved;
}

void range__store_visit(struct range__forest *forest,
			void (*visit)(const struct range__leaf *leaf, void *arg), void *arg)
{
	/* acquire: pairs with the release in link_chunk() */
	const struct range__chunk *chunk =
		atomic_load_explicit(&forest->chunks, memory_order_acquire);

	for (; chunk; chunk = chunk->next)
		for (int i = 0; i < CHUNK_LEAVES; i++)
			visit(&chunk->leaves[i].leaf, arg);
}
