/* SPDX-License-Identifier: MIT */
/*
 * A fault uses a VMA that has been unmapped, or changed, since the fault found it.
 */
#include "stepper.h"

static void read_fault(struct stepper *self)
{
	step_ready(self);
	self->result = touch(self->mm, AT(0), R);
}

/* The table exists, and the page does not. */
static struct mm *space_with_table(void)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	map(mm, 20, 1, RW);
	CHECK_EQ(poke(mm, AT(20), 9), 0);
	return mm;
}

TEST(mm_stale_vma, a_vma_is_not_freed_while_a_fault_looks_at_it)
{
	struct mm *mm = space_with_table();
	struct stepper thread;

	start_write_fault(&thread, mm, AT_VMA);
	watch_free(thread.vma);
	unmap(mm, 0, 1);
	CHECK(!was_freed());

	step_to_end(&thread);
	CHECK_EQ(thread.result, -MM_SEGV_MAPERR);
	mm__rcu_barrier();
	CHECK(was_freed());
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGING), 1);
	end_space(mm);
}

/* Another thread replaces the whole tree in which the fault has looked up the VMA. */
TEST(mm_stale_vma, the_tree_of_vmas_is_not_freed_while_a_fault_is_in_it)
{
	struct mm *mm = space_with_table();
	struct stepper thread;

	fill_border(mm);
	start_write_fault(&thread, mm, AT_VMA);
	watch_free(atomic_load(&mm->vmas.root));
	/* The border node is full. */
	map(mm, 500, 1, R);
	CHECK(!was_freed());

	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	mm__rcu_barrier();
	CHECK(was_freed());
	end_space(mm);
}

/* A page without a VMA would never be taken out. */
TEST(mm_stale_vma, no_page_is_installed_after_munmap)
{
	struct mm *mm = space_with_table();
	struct stepper thread;

	start_write_fault(&thread, mm, AT_ENTRY);
	unmap(mm, 0, 1);
	step_to_end(&thread);
	CHECK_EQ(thread.result, -MM_SEGV_MAPERR);
	CHECK_EQ(entry_at(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(mm);
}

static void unmap_page(struct stepper *self)
{
	step_ready(self);
	unmap(self->mm, 0, 1);
}

/* The fault has locked the entry, and has found the VMA unchanged. */
TEST(mm_stale_vma, munmap_waits_for_a_fault_that_installs_a_page)
{
	struct mm *mm = space_with_table();
	struct stepper unmapper;
	struct stepper thread;

	step_start(&unmapper, unmap_page, mm);
	start_write_fault(&thread, mm, AFTER_ENTRY);
	step_interrupt(&thread);
	CHECK_EQ(step_to(&unmapper, AT_ENTRY_WAIT), AT_ENTRY_WAIT);
	step_resume(&thread);
	step_to_ends(&thread, &unmapper);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(entry_at(mm, AT(0)), 0);
	CHECK_EQ(stats_of(mm).frames, 1);
	end_space(mm);
}

/* The fault has locked the entry, and finds the VMA changed. */
TEST(mm_stale_vma, a_fault_gives_back_an_entry_that_it_has_locked_too_late)
{
	struct mm *mm = space_with_table();
	struct stepper unmapper;
	struct stepper thread;

	step_start(&unmapper, unmap_page, mm);
	start_write_fault(&thread, mm, AFTER_ENTRY);
	CHECK_EQ(step_to(&unmapper, AT_ENTRY_WAIT), AT_ENTRY_WAIT);
	step_to_ends(&thread, &unmapper);
	CHECK_EQ(thread.result, -MM_SEGV_MAPERR);
	CHECK_EQ(entry_at(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(mm);
}

/* The fault begins right after mm_munmap() has taken out all pages. */
TEST(mm_stale_vma, no_page_is_installed_behind_munmap)
{
	struct mm *mm = space_with_table();
	struct stepper unmapper;
	struct stepper thread;

	step_start(&unmapper, unmap_page, mm);
	step_start(&thread, write_fault, mm);
	CHECK_EQ(step_to(&unmapper, AFTER_ZAP), AFTER_ZAP);
	step_to(&thread, AT_RANGE_WAIT);
	step_to_ends(&unmapper, &thread);
	CHECK_EQ(thread.result, -MM_SEGV_MAPERR);
	CHECK_EQ(entry_at(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_NO_AREA), 1);
	end_space(mm);
}

TEST(mm_stale_vma, a_page_does_not_get_the_protection_of_a_mapping_before)
{
	struct mm *mm = space_with_table();
	struct stepper thread;

	start_write_fault(&thread, mm, AT_ENTRY);
	unmap(mm, 0, 1);
	map(mm, 0, 1, R);
	step_to_end(&thread);
	CHECK_EQ(thread.result, -MM_SEGV_ACCERR);
	CHECK_EQ(poke(mm, AT(0), 1), -MM_SEGV_ACCERR);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(mm);
}

/* Only this space has the frame, so the fault only has to extend the rights. */
static void write_and_fault(struct stepper *self)
{
	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	step_ready(self);
	self->result = touch(self->mm, AT(0), W);
}

TEST(mm_stale_vma, a_fault_does_not_undo_mprotect)
{
	struct mm *mm = new_space();
	struct stepper thread;
	struct mm *child;
	uint64_t seen;

	map(mm, 0, 1, RW);
	step_start(&thread, write_and_fault, mm);
	child = fork_of(mm);
	unmap(child, 0, 1);
	seen = entry_at(mm, AT(0));
	CHECK_EQ(step_to(&thread, AT_ENTRY), AT_ENTRY);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R), 0);
	CHECK_EQ(entry_at(mm, AT(0)), seen);
	step_to_end(&thread);
	CHECK_EQ(thread.result, -MM_SEGV_ACCERR);
	CHECK_EQ(entry_at(mm, AT(0)), seen);
	end_space(child);
	end_space(mm);
}

/* Each mapping of shared memory has a file of its own. */
TEST(mm_stale_vma, a_page_of_a_file_is_not_installed_for_another_file)
{
	struct mm *mm = space_with_table();
	struct stepper thread;

	map_as(mm, 0, 1, RW, SHARED);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
	step_start(&thread, read_fault, mm);
	CHECK_EQ(step_to(&thread, AT_ENTRY), AT_ENTRY);
	map_as(mm, 0, 1, RW, SHARED);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(mm);
}
