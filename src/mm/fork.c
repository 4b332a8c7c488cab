/* SPDX-License-Identifier: MIT */
/*
 * mm_fork(): the child gets the VMAs of the parent, and maps the frames of private VMAs, too, to
 * which neither space may write any more. The child finds shared memory in the inode.
 *
 * Meanwhile the thread holds the whole space for writing, and the count of each VMA is odd. A fault
 * therefore looks at no entry between the moment when the entry loses the right to be written to,
 * and the moment when no thread has that right in its TLB any more. A fault that copied a page in
 * between would lose the bytes that such a thread still writes to the page.
 */
#include "attach.h"
#include "brk.h"
#include "hold.h"
#include "pages.h"
#include "stack.h"
#include "tree_lock.h"
#include "vmas.h"

#include <errno.h>

/* The VMAs do not change while the thread holds the whole space. */
static bool next_vma(struct mm__thread *thread, struct mm__mapping *m)
{
	bool found;

	mm__tree_lock(thread->mm);
	found = mm__vma_tree_find(&thread->mm->vmas, m->end, m);
	mm__tree_unlock(thread->mm, thread);
	return found;
}

/* VMAs that mm_mlock() kept apart stay apart, as in Linux. */
static int copy_vma(struct mm__thread *child, const struct mm__mapping *m)
{
	struct mm__vma_kind kind = mm__kind_of(m->vma);
	struct mm__edit edit;
	int error;

	kind.flags &= ~MM__VMA_LOCKED;
	mm__edit_begin(&edit, child, m->start, m->end, false);
	error = mm__edit_reserve(&edit, 0, 1);
	if (!error)
		mm__vmas_put_apart(&edit, m->start, m->end, &kind);
	mm__edit_end(&edit);
	return error;
}

/* Copies up to the first error. *m becomes the last VMA whose count is odd. */
static int copy_vmas(struct mm__thread *thread, struct mm__thread *child, struct mm__mapping *m)
{
	struct mm__thread_set set = { .all = false };
	int error = 0;

	*m = (struct mm__mapping){ 0, 0, NULL };
	while (!error && next_vma(thread, m)) {
		mm__vma_change_begin(m->vma);
		error = copy_vma(child, m);
		if (!error && mm__vma_flags(m->vma) & MM_MAP_PRIVATE)
			error = mm__pages_share(thread->mm, child, m->start, m->end, &set);
	}
	mm__tlb_flush(thread->mm, thread, &set, 0, MM_ADDR_MAX);
	return error;
}

static void end_changes(struct mm__thread *thread, uint64_t end)
{
	struct mm__mapping m = { 0, 0, NULL };

	while (m.end < end && next_vma(thread, &m))
		mm__vma_change_end(m.vma);
}

static int copy_space(struct mm__thread *thread, struct mm *child)
{
	struct mm__mapping last;
	int error;

	atomic_init(&child->brk, mm__brk(thread->mm));
	child->forked = true;
	if (mm__may_have_stacks(thread->mm))
		mm__note_stack(child);
	error = copy_vmas(thread, child->own_thread, &last);
	end_changes(thread, last.end);
	return error;
}

int mm_fork(struct mm *mm, struct mm **result)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__hold hold;
	struct mm *child;
	int error = thread ? 0 : ENOMEM;

	if (error)
		return error;
	mm__frames_get(mm->frames);
	error = mm__create(&child, &mm->attr, mm->frames);
	if (error) {
		mm__frames_put(mm->frames);
		return error;
	}
	error = mm__hold_write(thread, &hold, 0, UINT64_MAX);
	if (!error) {
		error = copy_space(thread, child);
		mm__release(thread, &hold);
	}
	if (error)
		mm_destroy(child);
	else
		*result = child;
	return error;
}
