/* SPDX-License-Identifier: MIT */
/*
 * The sequence count of a VMA (vma.h): a thread that writes through its TLB, a fault, and one of
 *
 * FORK		mm_fork(): no copy that was made too early loses a write
 * MUNMAP	mm_munmap(): when it has returned, no fault installs a page or uses the frame
 * MPROTECT	mm_mprotect(): when it has returned, no thread writes any more
 * MOVE		the changes of VMAs and pages by mm_mremap(): the page arrives with all writes
 *
 * With MUNMAP and SHARED, a relative by fork has had the frame, too, and ends: a fault may still
 * copy from the frame when another page uses it.
 *
 * The writer faults where its TLB does not let it write. OWNER 0: no TLB has the page. WITH_LOCK:
 * edits are not in place. With MPROTECT or MUNMAP, EMPTY: there is no page yet.
 */
#if !defined(MUNMAP) && !defined(MPROTECT) && !defined(MOVE)
#define FORK
#endif
#include "mm.h"

#include "mm/fork.c"
#include "mm/mprotect.c"
#include "mm/munmap.c"
#include "mm/vmas_change.c"

enum { WRITER = 1, FAULTER, CHANGER };

#ifndef OWNER
#define OWNER WRITER
#endif
#if defined(EMPTY)
#define OLD_REFS 0
#define OLD_PROT 0
#elif defined(SHARED)
#define OLD_REFS 2
#define OLD_PROT MM_PROT_READ
#else
#define OLD_REFS 1
#define OLD_PROT (MM_PROT_READ | MM_PROT_WRITE)
#endif

static struct mm__frame_chunk *chunk;
static struct mm__frame *old_frame;
static struct mm__frame *reused;
static bool written;

static void *writer(void *arg)
{
	(void)arg;
	written = model_write(WRITER, MODEL_HERE, 1);
	if (!written && model_serve(WRITER, MODEL_HERE, MM_PROT_WRITE, true))
		written = model_write(WRITER, MODEL_HERE, 1);
	return NULL;
}

static void *faulter(void *arg)
{
	(void)arg;
	model_serve(FAULTER, MODEL_HERE, MM_PROT_WRITE, false);
#ifdef MOVE
	model_serve(FAULTER, MODEL_THERE, MM_PROT_WRITE, false);
#endif
	return NULL;
}

#if defined(FORK)
static struct mm child;
static struct mm__table child_tables[3];

/* The child has its tables already, and no other thread uses it. */
static void prepare(void)
{
	struct mm__table *above = &child.page_table.top;

	for (int i = 0; i < 3; i++) {
		atomic_init(&above->entry[0], (uintptr_t)&child_tables[i]);
		above = &child_tables[i];
	}
	child.own_thread = &model_threads[0];
	child.own_thread->mm = &child;
	child.attr.max_areas = 10;
}

static uint64_t after;

static uint64_t child_entry(void)
{
	return mm__entry_load(&child_tables[2], MODEL_HERE);
}

static void change(void)
{
	int error = copy_space(&model_threads[CHANGER], &child);

	assert(!error);
	after = model_word(child_entry());
}

/* No thread writes to shared memory, and no write is lost. */
static void check(void)
{
	uint64_t entry = model_entry(MODEL_HERE);

	assert(model_word(child_entry()) == after);
	assert(!mm__entry_allows(entry, MM_PROT_WRITE) ||
	       mm__entry_bytes(entry) != mm__entry_bytes(child_entry()));
	assert(!written || model_word(entry) == 1);
}
#elif defined(MUNMAP)
static void prepare(void)
{
}

/* The next user of the frame clears it. */
static void change(void)
{
	struct mm__frame *frame = old_frame;
	int error = mm_munmap(&model_mm, MODEL_HERE, MM_PAGE_SIZE);

	assert(!error);
#ifdef SHARED
	mm__thread_drop_frames(&model_threads[CHANGER], &frame, 1);
#endif
	reused = mm__thread_frame(&model_threads[CHANGER]);
	assert(reused || !OLD_REFS);
}

static void check(void)
{
	_Atomic(uint64_t) *bytes = reused ? mm__frame_bytes(reused) : NULL;

	assert(!model_entry(MODEL_HERE));
	assert(!bytes || !atomic_load_explicit(bytes, memory_order_relaxed));
}
#elif defined(MPROTECT)
static uint64_t after;

static void prepare(void)
{
}

static uint64_t word_here(void)
{
	uint64_t entry = model_entry(MODEL_HERE);

	return entry & MM__PRESENT ? model_word(entry) : 0;
}

static void change(void)
{
	int error = mm_mprotect(&model_mm, MODEL_HERE, MM_PAGE_SIZE, MM_PROT_READ);

	assert(!error);
	after = word_here();
}

static void check(void)
{
	uint64_t entry = model_entry(MODEL_HERE);

	assert(!mm__entry_allows(entry, MM_PROT_WRITE));
	assert(!OLD_REFS || mm__entry_allows(entry, MM_PROT_READ));
	assert(word_here() == after && after == written);
}
#else
static uint64_t after;

static void prepare(void)
{
}

static void change(void)
{
	struct mm__vma_kind kind = { MM_PROT_READ | MM_PROT_WRITE, MM_MAP_PRIVATE, NULL, 0 };
	struct mm__thread *thread = &model_threads[CHANGER];
	struct mm__garbage *removed;
	struct mm__edit edit;
	int error;

	mm__tree_lock_prepared(thread, 1, 1);
	mm__edit_with_tree_lock(&edit, thread, MODEL_HERE, MODEL_HERE + MM_PAGE_SIZE);
	mm__edit_also(&edit, MODEL_THERE, MODEL_THERE + MM_PAGE_SIZE);
	error = mm__edit_reserve(&edit, 1, 1);
	assert(!error);
	mm__vmas_cut_one(&edit, MODEL_HERE, MODEL_HERE + MM_PAGE_SIZE);
	mm__vmas_put_changing(&edit, MODEL_THERE, MODEL_THERE + MM_PAGE_SIZE, &kind);
	removed = mm__edit_end_removed(&edit);
	mm__pages_move(&model_mm, thread, MODEL_HERE, MODEL_THERE, MM_PAGE_SIZE);
	mm__vmas_merge_changed(thread, MODEL_THERE, MODEL_THERE + MM_PAGE_SIZE, NULL);
	mm__vmas_free(removed);
	after = model_word(model_entry(MODEL_THERE));
}

static void check(void)
{
	uint64_t entry = model_entry(MODEL_THERE);

	assert(!model_entry(MODEL_HERE));
	assert(mm__entry_allows(entry, MM_PROT_WRITE));
	assert(model_word(entry) == after && after == written);
}
#endif

static uint32_t refs_by(uint64_t entry, const struct mm__frame *frame)
{
	return entry && mm__entry_frame(entry) == frame;
}

/* Each frame has as many references as there are entries with it. */
static void check_references(void)
{
	for (int i = 0; i < 3; i++) {
		const struct mm__frame *frame = &chunk->frame[i];
		uint32_t refs = refs_by(model_entry(MODEL_HERE), frame) +
				refs_by(model_entry(MODEL_THERE), frame);

#ifdef FORK
		refs += refs_by(child_entry(), frame);
#endif
		/* Another page uses the frame that mm_munmap() freed. */
		if (frame != reused)
			assert(refs_of(frame) == refs);
	}
}

static void map_page_here(void)
{
	uint64_t entry = mm__entry(old_frame, OLD_PROT, OWNER);

	mm__entry_store(model_table(), MODEL_HERE, entry);
	if (OWNER)
		model_translate(OWNER, MODEL_HERE, entry);
}

int main(void)
{
	pthread_t threads[2];

	model_init();
	chunk = model_chunk(&model_pool);
	old_frame = model_frame(chunk, 0, OLD_REFS);
	mm__frame_list_add(&model_threads[WRITER].cache.loaded, model_frame(chunk, 1, 0));
	mm__frame_list_add(&model_threads[FAULTER].cache.loaded, model_frame(chunk, 2, 0));
	model_map(MODEL_HERE, MM_PROT_READ | MM_PROT_WRITE, NULL);
	if (OLD_REFS)
		map_page_here();
	mm__remembered[0].thread = &model_threads[CHANGER];
	prepare();
	start(writer, &threads[0]);
	start(faulter, &threads[1]);
	change();
	finish(threads[0]);
	finish(threads[1]);
	check();
	check_references();
	return 0;
}
