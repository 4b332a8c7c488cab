/* SPDX-License-Identifier: MIT */
/*
 * mm - what the harnesses for the address space have in common: its sources for frames, threads,
 * page tables, pages, VMAs and faults, unchanged, in one translation unit, and in place of the
 * others as little as they promise:
 *
 * - the tree of VMAs is two places, in each of which there is one or none, published as in
 *   vma_path.c; edits are in place, or with WITH_LOCK, with the VMA tree lock;
 * - no grace period ends while the harness runs; what is freed stays, or with AT_ONCE, goes at
 *   once;
 * - no thread waits for a range: one thread at most changes VMAs, all others do what needs no
 *   range.
 *
 * See check.sh for the sizes that are reduced.
 */
#ifndef TESTS_MODEL_MM_H
#define TESTS_MODEL_MM_H

#include "model.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What the checker's headers lack; nothing of it is called. */
#ifdef MODEL_GENMC
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void *pthread_getspecific(pthread_key_t key);
int pthread_once(pthread_once_t *once, void (*run)(void));

#define fputs(text, file) ((void)(text))
#define _SCHED_H          1
#else
#include <sched.h>
#endif

/*
 * A thread that waits until another one is interrupted continues only then: the checker looks at no
 * execution in which the thread finds that it has to wait for longer.
 */
void __VERIFIER_assume(bool condition);

/* The checker takes it for a fence; it is one for the compiler only. */
#undef atomic_signal_fence
#define atomic_signal_fence(order) ((void)(order))

static inline int model_memalign(void **memory, size_t alignment, size_t size)
{
	size_t whole = (size + alignment - 1) / alignment * alignment;

	*memory = aligned_alloc(alignment, whole);
	return 0;
}
#define posix_memalign model_memalign

/*
 * The checker knows no bytes of words. What else is cleared than lines, which are one word here, is
 * memory of the harness that has not been used yet.
 */
static inline void model_clear(void *memory, size_t size)
{
	if (size == sizeof(uint64_t))
		*(uint64_t *)memory = 0;
}
#define memset(memory, byte, size) (model_clear(memory, size), (void *)(memory))
#define memcpy(to, from, size)     ((void)(to), (void)(from))

#include "table_mutex.h"

#include "no_readers.h"

#include "mm/attach.h"
#include "mm/backoff.h"
#include "mm/fault.h"
#include "mm/hold.h"
#include "mm/stack.h"
#include "mm/vmas.h"

/* In place of attach.c and backoff.c: each thread has its state, and waits as said above. */
MMRANGE__THREAD_LOCAL struct mm__remembered mm__remembered[MM__REMEMBERED];
static pthread_mutex_t attach_lock = PTHREAD_MUTEX_INITIALIZER;

void mm__attach_lock(void)
{
	mm__mutex_lock(&attach_lock, MM__ORDER_ATTACH);
}

void mm__attach_unlock(void)
{
	mm__mutex_unlock(&attach_lock, MM__ORDER_ATTACH);
}

struct mm__thread *mm__thread_attach(struct mm *mm, uint64_t id)
{
	(void)mm;
	(void)id;
	return NULL;
}

void mm__backoff(struct mm__backoff *backoff)
{
	(void)backoff;
	__VERIFIER_assume(false);
}

void mmrange__want_huge_pages(void *memory, size_t size)
{
	(void)memory;
	(void)size;
}

#include "mm/frames.c"

/* Waiting for an entry is looked at in entry_lock.c; here, only where it comes to an end. */
#define mm__entry_lock_wait mm__entry_lock_sleep
#include "mm/entry_lock.c"
#undef mm__entry_lock_wait

void mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters)
{
	(void)waiters;
	__VERIFIER_assume(!(atomic_load_explicit(entry, memory_order_relaxed) & MM__BUSY));
}

#include "mm/frame_supply.c"
#include "mm/interrupt.c"
#include "mm/page_table.c"
#include "mm/pages.c"
#include "mm/thread.c"
#include "mm/tlb.c"

#include "mm/edit.c"
#include "mm/room.c"
#include "mm/vma_memory.c"
#include "mm/vmas.c"

#include "mm/access.c"
#include "mm/fault.c"

#include "platform/platform.c"

static struct mm model_mm;

/*
 * RCU. Read sections load these, but do nothing with them. The thread that changes VMAs has some
 * kept.
 */

MMRANGE__THREAD_LOCAL struct mm__rcu_thread *mm__rcu_self;
struct mm__rcu_epoch mm__rcu_epoch;

void mm__rcu_defer(struct mm__garbage *list, uint64_t weight)
{
	(void)weight;
#ifdef AT_ONCE
	/* It is one. */
	if (list)
		free(list);
#else
	(void)list;
#endif
}

void mm__rcu_free(struct mm__garbage *list)
{
	mm__rcu_defer(list, 0);
}

void mm__rcu_throttle(void)
{
}

/* Not called: there is memory. */
void mm__rcu_wait(void)
{
	assert(false);
}

/*
 * The tree of VMAs
 */

#define MODEL_HERE  (2 * MM_PAGE_SIZE)
#define MODEL_THERE (3 * MM_PAGE_SIZE)

static struct place {
	uint64_t start;
	_Atomic(struct mm__vma *) vma;
} places[2] = { { .start = MODEL_HERE }, { .start = MODEL_THERE } };

/* The spaces that fork() makes have none. */
static struct place *place_of(const struct mm__vma_tree *tree, uint64_t addr)
{
	for (int i = 0; tree == &model_mm.vmas && i < 2; i++)
		if (addr >= places[i].start && addr < places[i].start + MM_PAGE_SIZE)
			return &places[i];
	return NULL;
}

bool mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	struct place *place = place_of(tree, addr);
	struct mm__vma *vma =
		place ? atomic_load_explicit(&place->vma, memory_order_acquire) : NULL;

	if (vma) {
		m->start = place->start;
		m->end = place->start + MM_PAGE_SIZE;
		m->vma = vma;
	}
	return vma;
}

bool mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
		       struct mm__vma_look *look)
{
	(void)look;
	return mm__vma_tree_at(tree, addr, m);
}

bool mm__vma_tree_find(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	for (int i = 0; tree == &model_mm.vmas && i < 2; i++)
		if (addr < places[i].start + MM_PAGE_SIZE &&
		    mm__vma_tree_at(tree, places[i].start, m))
			return true;
	return false;
}

bool mm__vma_tree_list(const struct mm__vma_tree *tree, uint64_t addr, struct mm__vma_list *list)
{
	list->next = 0;
	list->count = mm__vma_tree_find(tree, addr, &list->m[0]);
	return list->count;
}

/* No stacks here. */
bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack)
{
	(void)mm;
	(void)page;
	(void)stack;
	return false;
}

int mm__stack_grow(struct mm__thread *thread, uint64_t page)
{
	(void)thread, (void)page;
	return 0;
}

/* Whether edits are in place does not depend on the range. */
bool mm__vma_edit_in_place(struct mm__vma_edit *edit, struct mm__vma_tree *tree, uint64_t start,
			   uint64_t end, uint32_t writer, bool unmaps)
{
	(void)start, (void)end, (void)writer, (void)unmaps;
	edit->tree = tree;
	edit->widens = false;
	edit->tidy = 0;
#ifdef WITH_LOCK
	edit->border = NULL;
#else
	edit->border = (struct border *)places;
#endif
	return edit->border;
}

void mm__vma_edit_locked(struct mm__vma_edit *edit, struct mm__vma_tree *tree,
			 struct mm__vma_budget *budget, uint64_t start, uint64_t end)
{
	(void)start, (void)end;
	edit->tree = tree;
	edit->border = NULL;
	edit->budget = budget;
}

void mm__vma_edit_also(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	(void)edit, (void)start, (void)end;
}

void mm__vma_edit_end(struct mm__vma_edit *edit)
{
	(void)edit;
}

bool mm__vma_edit_at(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return mm__vma_tree_at(edit->tree, addr, m);
}

bool mm__vma_edit_find(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return mm__vma_tree_find(edit->tree, addr, m);
}

bool mm__vma_edit_list(const struct mm__vma_edit *edit, uint64_t addr, struct mm__vma_list *list)
{
	return mm__vma_tree_list(edit->tree, addr, list);
}

void mm__vma_tree_insert(struct mm__vma_edit *edit, const struct mm__mapping *m)
{
	struct place *place = place_of(edit->tree, m->start);

	if (place)
		atomic_store_explicit(&place->vma, m->vma, memory_order_release);
}

void mm__vma_tree_erase_range(struct mm__vma_edit *edit, uint64_t start, uint64_t end, uint64_t n)
{
	(void)end, (void)n;
	atomic_store_explicit(&place_of(edit->tree, start)->vma, NULL, memory_order_release);
}

void mm__vma_tree_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m)
{
	(void)start;
	mm__vma_tree_insert(edit, m);
}

void mm__vma_tree_clear(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	(void)edit, (void)start, (void)end;
}

void mm__vma_tree_widen(struct mm__vma_tree *tree, uint64_t start, uint64_t end)
{
	(void)tree, (void)start, (void)end;
}

/* Both places of a move are in one border node. */
bool mm__vma_edit_includes(struct mm__vma_edit *edit, uint64_t start, uint64_t end, bool unmaps)
{
	(void)edit, (void)start, (void)end, (void)unmaps;
	return true;
}

bool mm__vma_edit_second(struct mm__vma_edit *edit, const struct mm__vma_edit *first,
			 uint64_t start, uint64_t end, uint32_t writer, bool unmaps)
{
	(void)edit, (void)first, (void)start, (void)end, (void)writer, (void)unmaps;
	assert(false);
	return false;
}

unsigned int mm__vma_edit_room(const struct mm__vma_edit *edit)
{
	(void)edit;
	return 2;
}

uint64_t mm__vma_edit_reach(const struct mm__vma_edit *edit)
{
	(void)edit;
	return UINT64_MAX;
}

/* Not called: no edit asks for it. */
void mm__vma_tree_tidy(struct mm__vma_edit *edit, uint64_t addr, bool divides, uint64_t now)
{
	(void)edit, (void)addr, (void)divides, (void)now;
	assert(false);
}

void mm__vma_tree_preload(const struct mm__vma_tree *tree, const struct mm__vma_needs *needs,
			  struct mm__vma_spares *spares)
{
	(void)tree, (void)needs, (void)spares;
}

void mm__vma_tree_stock(struct mm__vma_tree *tree, struct mm__vma_spares *spares)
{
	(void)tree, (void)spares;
}

int mm__vma_tree_reserve(struct mm__vma_tree *tree, struct mm__vma_budget *budget,
			 const struct mm__vma_needs *needs)
{
	(void)tree, (void)budget, (void)needs;
	return 0;
}

/* Not called: there is memory. */
void mm__vma_tree_recycle(struct mm__vma_tree *tree, struct mm__garbage *retired)
{
	(void)tree, (void)retired;
	assert(false);
}

void mm__vma_tree_release(struct mm__vma_tree *tree, struct mm__vma_budget *budget)
{
	(void)tree, (void)budget;
}

struct mm__garbage *mm__vma_tree_take_retired(struct mm__vma_tree *tree)
{
	(void)tree;
	return NULL;
}

/*
 * Locks
 */

void mm__tree_lock(struct mm *mm)
{
	pthread_mutex_lock(&mm->tree_lock);
}

void mm__tree_unlock(struct mm *mm, struct mm__thread *thread)
{
	(void)thread;
	pthread_mutex_unlock(&mm->tree_lock);
}

int mm__hold_read(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	(void)thread, (void)hold, (void)start, (void)end;
	return 0;
}

int mm__hold_write(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	(void)thread, (void)hold, (void)start, (void)end;
	return 0;
}

void mm__release(struct mm__thread *thread, struct mm__hold *hold)
{
	(void)thread, (void)hold;
}

/*
 * A file of one page, which is ready, and has one word.
 */

static struct mm__frame *model_cached;

bool mm__inode_is_file(const struct mm__inode *inode)
{
	(void)inode;
	return true;
}

void *mm__inode_find(struct mm__inode *inode, uint64_t index)
{
	(void)inode, (void)index;
	return mm__frame_bytes(model_cached);
}

bool mm__guard_copy(void *to, const void *from, size_t n, const void *page)
{
	(void)n, (void)page;
	mm__bytes_copy(to, from, sizeof(uint64_t));
	return true;
}

bool mm__guard_probe(void *page, bool write)
{
	(void)page, (void)write;
	return true;
}

static inline uint64_t model_file_entry(int prot, uint32_t owner)
{
	return mm__entry_of(mm__frame_bytes(model_cached), MM__FILE, prot, owner);
}

void mm__inode_get(struct mm__inode *inode)
{
	(void)inode;
}

void mm__inode_put(struct mm__inode *inode)
{
	(void)inode;
}

/*
 * A space with its threads, numbered from 1
 */

enum { MODEL_SPACE_THREADS = 3 };

static struct mm__thread model_threads[MODEL_SPACE_THREADS + 1];
static _Atomic(struct mm__thread *) model_thread_of[MODEL_SPACE_THREADS];
static struct mm__frames model_pool;
static struct mm__vma model_vmas[4];
/* The thread that changes VMAs, main(). */
static struct mm__rcu_thread model_thread;
/* All levels, for the first addresses. */
static struct mm__table model_tables[3];

/* By main(), as its memory has addresses that leave room for the rest of an entry. */
static inline struct mm__frame_chunk *model_chunk(struct mm__frames *pool)
{
	struct mm__frame_chunk *chunk = aligned_alloc(MM__CHUNK_SIZE, MM__CHUNK_SIZE);

	chunk->pool = pool;
	return chunk;
}

/* The i-th frame, with one word that is 0 and may have been written; the others never are. */
static inline struct mm__frame *model_frame(struct mm__frame_chunk *chunk, unsigned int i,
					    uint32_t refs)
{
	struct mm__frame *frame = &chunk->frame[i];
	_Atomic(uint64_t) *bytes = mm__frame_bytes(frame);

	atomic_init(&frame->dirty, 1);
	atomic_init(&frame->refs, refs);
	frame->next = NULL;
	atomic_init(bytes, 0);
	return frame;
}

static inline struct mm__table *model_table(void)
{
	return &model_tables[2];
}

static inline void model_init(void)
{
	struct mm__table *above = &model_mm.page_table.top;

	model_mm.attr.max_areas = 100;
	model_mm.attr.locking = MM_LOCKING_SPECULATIVE;
	model_mm.frames = &model_pool;
	atomic_init(&model_mm.threads.part[0], model_thread_of);
	model_mm.threads.size = MODEL_SPACE_THREADS;
	for (uint32_t i = 1; i <= MODEL_SPACE_THREADS; i++) {
		model_threads[i].number = i;
		model_threads[i].mm = &model_mm;
		model_threads[i].used = true;
		/* Enough for an edit. */
		atomic_init(&model_threads[i].room, CLAIM);
		atomic_init(&model_thread_of[i - 1], &model_threads[i]);
	}
	for (int i = 0; i < 3; i++) {
		atomic_init(&above->entry[0], (uintptr_t)&model_tables[i]);
		above->nr_used = 1;
		above = &model_tables[i];
	}
	mm__rcu_self = &model_thread;
	for (int i = 0; i < 4; i++)
		keep_memory(&model_thread, &model_vmas[i].garbage);
	mm__room_begin(&model_mm);
	model_mm.room -= MODEL_SPACE_THREADS * CLAIM;
}

static inline void model_map(uint64_t addr, int prot, struct mm__inode *inode)
{
	struct mm__vma_kind kind = { prot, MM_MAP_PRIVATE, inode, 0 };
	struct mm__vma_edit edit = { .tree = &model_mm.vmas };
	struct mm__mapping m = { addr, addr + MM_PAGE_SIZE, new_vma(&kind, false) };

	mm__vma_tree_insert(&edit, &m);
}

/* A thread may have the entry in its TLB. */
static inline void model_translate(uint32_t number, uint64_t page, uint64_t entry)
{
	struct mm__tlb_entry *slot =
		&model_threads[number].tlb[page >> MM_PAGE_SHIFT & (MM__TLB_ENTRIES - 1)];

	slot->page = page + 1;
	slot->entry = entry;
}

/* Writes through what the thread has in its TLB; says whether it could. */
static inline bool model_write(uint32_t number, uint64_t addr, uint64_t value)
{
	struct copy copy = { NULL, &value, sizeof(value) };
	uint64_t entry;

	return try_copy(&model_threads[number], addr, &copy, MM_PROT_WRITE, &entry) == COPIED;
}

/*
 * mm__fault(), or with walks, mm__tlb_fill(), as far as no range is needed: whether it was served.
 */
static inline bool model_serve(uint32_t number, uint64_t page, int access, bool walks)
{
	struct fault fault = {
		.mm = &model_mm, .thread = &model_threads[number], .page = page, .access = access
	};
	bool served;

	mm__rcu_read_lock();
	fault.table = mm__table_find(&model_mm.page_table, page);
	served = (walks && walk_table(&fault)) || fault_speculative(&fault);
	mm__rcu_read_unlock();
	return served;
}

static inline uint64_t model_entry(uint64_t page)
{
	return mm__entry_load(model_table(), page);
}

static inline uint64_t model_word(uint64_t entry)
{
	_Atomic(uint64_t) *word = mm__entry_bytes(entry);

	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void start(void *(*run)(void *), pthread_t *thread)
{
	pthread_create(thread, NULL, run, NULL);
}

static inline void finish(pthread_t thread)
{
	pthread_join(thread, NULL);
}

#endif
