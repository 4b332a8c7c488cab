# SPDX-License-Identifier: MIT
# The changes of the variants, and the tests that must detect them.

# A fault does not check the count of the VMA again before it installs the page.
mmrange_variant(mm_without_recheck)
mmrange_variant_change(mm_without_recheck FILE src/mm/fault.c
  FROM "f->speculative && !mm__vma_unchanged(f->vma, f->seq)" TO "false")
mmrange_variant_fails(mm_without_recheck mm_lost_copy
  a_copy_is_not_installed_when_another_wrote_in_place "peek(mm, AT(0)) is 1, not")
mmrange_variant_fails(mm_without_recheck mm_fork_faults
  a_fault_does_not_allow_writing_to_a_page_that_fork_shared "peek(second, AT(0)) is 2, not")
mmrange_variant_fails(mm_without_recheck mm_stale_vma
  no_page_is_installed_after_munmap "thread.result is 0, not")
mmrange_variant_fails(mm_without_recheck mm_stale_vma
  a_page_does_not_get_the_protection_of_a_mapping_before "thread.result is 0, not")
mmrange_variant_fails(mm_without_recheck mm_stale_vma
  a_fault_does_not_undo_mprotect "thread.result is 0, not")
mmrange_variant_fails(mm_without_recheck mm_stale_vma
  a_page_of_a_file_is_not_installed_for_another_file "peek(mm, AT(0)) is 1, not")
mmrange_variant_fails(mm_without_recheck mm_move_faults
  no_page_is_installed_where_pages_were "thread.result is 0, not")

# A fault does not compare the entry with the value that it saw.
mmrange_variant(mm_without_entry_check)
mmrange_variant_change(mm_without_entry_check FILE src/mm/fault.c
  FROM "	if (!mm__entry_trylock(f->table, f->page, f->seen))
" TO "	if (!mm__entry_trylock(f->table, f->page, f->seen) &&
	    !mm__entry_trylock(f->table, f->page, mm__entry_await(f->table, f->page)))
")
mmrange_variant_fails(mm_without_entry_check mm_lost_copy
  a_page_of_zeroes_does_not_replace_one_that_was_written_to "thread.result is 0, not")
mmrange_variant_fails(mm_without_entry_check mm_lost_copy
  a_copy_does_not_replace_a_copy_that_was_written_to "thread.result is 1, not")

# A fault only checks whether a thread is changing the VMA now: it misses a fork that has finished.
mmrange_variant(mm_without_growing_count)
mmrange_variant_change(mm_without_growing_count FILE src/mm/fault.c
  FROM "!mm__vma_unchanged(f->vma, f->seq)" TO "mm__vma_changing(f->vma)")
mmrange_variant_fails(mm_without_growing_count mm_fork_faults
  a_fault_does_not_allow_writing_to_a_page_that_fork_shared "peek(second, AT(0)) is 2, not")

# mm_fork() does not make the counts of the VMAs odd while it changes them.
mmrange_variant(mm_fork_without_counts)
mmrange_variant_change(mm_fork_without_counts FILE src/mm/fork.c
  FROM "mm__vma_change_begin(m->vma);" TO "")
mmrange_variant_change(mm_fork_without_counts FILE src/mm/fork.c
  FROM "mm__vma_change_end(m.vma);" TO ";")
mmrange_variant_fails(mm_fork_without_counts mm_fork_faults
  a_fault_does_not_allow_writing_to_a_page_that_fork_shared "peek(second, AT(0)) is 2, not")

# In addition, a fault ignores other threads that may have the page in their TLBs.
mmrange_variant(mm_fork_without_exclusion)
mmrange_variant_change(mm_fork_without_exclusion FILE src/mm/fork.c
  FROM "mm__vma_change_begin(m->vma);" TO "")
mmrange_variant_change(mm_fork_without_exclusion FILE src/mm/fork.c
  FROM "mm__vma_change_end(m.vma);" TO ";")
mmrange_variant_change(mm_fork_without_exclusion FILE src/mm/fault.c
  FROM "f->speculative && f->seen && others_have_it(f)" TO "false")
mmrange_variant_fails(mm_fork_without_exclusion mm_fork_faults
  a_page_is_not_copied_before_the_flush "writer.result is 1, not")

mmrange_variant(mm_fork_without_flush)
mmrange_variant_change(mm_fork_without_flush FILE src/mm/fork.c
  FROM "mm__tlb_flush(thread->mm, thread, &set, 0, MM_ADDR_MAX);" TO "")
mmrange_variant_fails(mm_fork_without_flush mm_fork_faults
  later_writes_of_a_thread_are_not_in_the_child "peek(child, AT(0)) is 2, not")

# The count of the VMA at the new place becomes even before the pages have arrived.
mmrange_variant(mm_mremap_settles_early)
mmrange_variant_change(mm_mremap_settles_early FILE src/mm/mremap.c
  FROM "	mm__edit_end_move(move);
" TO "	mm__edit_end_move(move);
	if (moved)
		mm__vmas_merge_changed(thread, r->new_addr, target_end, NULL);
")
mmrange_variant_change(mm_mremap_settles_early FILE src/mm/mremap.c
  FROM "	mm__vmas_merge_changed(thread, plan->target, plan->target + r->new_length, NULL);
" TO "")
mmrange_variant_fails(mm_mremap_settles_early mm_move_faults
  no_write_is_lost_where_a_page_arrives "peek(mm, AT(8) + 1) is 0, not")

# The count of a VMA stays even when a thread takes the VMA out of the tree.
mmrange_variant(mm_without_dead_vmas)
mmrange_variant_change(mm_without_dead_vmas FILE src/mm/vmas.c
  FROM "	if (!mm__vma_changing(vma))
		mm__vma_change_begin(vma);
" TO "")
mmrange_variant_fails(mm_without_dead_vmas mm_move_faults
  a_page_is_not_seen_where_it_was "reader.result is 1, not")
mmrange_variant_fails(mm_without_dead_vmas mm_stale_vma
  no_page_is_installed_after_munmap "thread.result is 0, not")
mmrange_variant_fails(mm_without_dead_vmas mm_stale_vma
  a_page_does_not_get_the_protection_of_a_mapping_before "thread.result is 0, not")
mmrange_variant_fails(mm_without_dead_vmas mm_stale_vma
  a_page_of_a_file_is_not_installed_for_another_file "peek(mm, AT(0)) is 1, not")

# Memory that faults may look at is freed at once.
mmrange_variant(mm_vmas_freed_at_once)
mmrange_variant_change(mm_vmas_freed_at_once FILE src/mm/munmap.c
  FROM "	mm__vmas_free(removed);
" TO "	while (removed) {
		struct mm__garbage *next = removed->next;

		free(removed);
		removed = next;
	}
")
mmrange_variant_change(mm_vmas_freed_at_once FILE src/mm/munmap.c
  FROM "#include <errno.h>" TO "#include <errno.h>
#include <stdlib.h>")
mmrange_variant_fails(mm_vmas_freed_at_once mm_stale_vma
  a_vma_is_not_freed_while_a_fault_looks_at_it "!was_freed()")

mmrange_variant(mm_nodes_freed_at_once)
mmrange_variant_change(mm_nodes_freed_at_once FILE src/mm/edit.c
  FROM "	mm__rcu_free(nodes);
	tidy_after(edit);
" TO "	while (nodes) {
		struct mm__garbage *next = nodes->next;

		free(nodes);
		nodes = next;
	}
	tidy_after(edit);
")
mmrange_variant_change(mm_nodes_freed_at_once FILE src/mm/edit.c
  FROM "#include <errno.h>" TO "#include <errno.h>
#include <stdlib.h>")
mmrange_variant_fails(mm_nodes_freed_at_once mm_stale_vma
  the_tree_of_vmas_is_not_freed_while_a_fault_is_in_it "!was_freed()")
mmrange_variant_fails(mm_nodes_freed_at_once mm_stack_faults
  a_fault_in_a_stack_goes_on_while_it_grows "!was_freed()")

mmrange_variant(mm_tables_freed_at_once)
mmrange_variant_change(mm_tables_freed_at_once FILE src/mm/page_table.c
  FROM "mm__rcu_defer(&table->garbage, MM__RCU_PAGE);" TO "mm__free(table);")
mmrange_variant_fails(mm_tables_freed_at_once mm_stale_table
  a_table_is_not_freed_while_a_fault_is_about_to_lock_it "!was_freed()")

# A fault that has locked an empty entry does not check whether the table is dead.
mmrange_variant(mm_without_dead_tables)
mmrange_variant_change(mm_without_dead_tables FILE src/mm/fault.c
  FROM "!f->seen && mm__table_dead(f->table)" TO "false")
mmrange_variant_fails(mm_without_dead_tables mm_stale_table
  no_page_is_installed_in_an_unreachable_table "present is 0, not")

# A table is taken out although a fault fills an entry; a table that stays in use remains dead.
mmrange_variant(mm_tables_end_in_use)
mmrange_variant_change(mm_tables_end_in_use FILE src/mm/page_table.c
  FROM "	if (is_empty(table))
		return true;
" TO "	return true;
")
mmrange_variant_fails(mm_tables_end_in_use mm_stale_table
  a_table_is_not_taken_out_while_a_fault_fills_it "step_to(&dropper, AT_ENTRY_WAIT) is")

mmrange_variant(mm_tables_stay_dead)
mmrange_variant_change(mm_tables_stay_dead FILE src/mm/page_table.c
  FROM "	/* relaxed: a thread that still finds it dead looks again under the parent's lock */
	atomic_store_explicit(&table->dead, false, memory_order_relaxed);
" TO "")
mmrange_variant_fails(mm_tables_stay_dead mm_stale_table
  a_table_is_not_taken_out_while_a_fault_fills_it "!atomic_load(&table_at(mm, AT(0))->dead)")

# An unmapper does not wait for a fault that has locked the entry and found the VMA unchanged.
mmrange_variant(mm_zap_skips_locked)
mmrange_variant_change(mm_zap_skips_locked FILE src/mm/pages.c
  FROM "		entry = mm__entry_await(table, addr);
		if (!entry)
			return;
		waits =" TO "		entry = mm__entry_load(table, addr);
		if (!entry || entry & MM__BUSY)
			return;
		waits =")
mmrange_variant_fails(mm_zap_skips_locked mm_stale_vma
  munmap_waits_for_a_fault_that_installs_a_page "step_to(&unmapper, AT_ENTRY_WAIT) is")

# mm_munmap() takes the pages out before the VMAs.
mmrange_variant(mm_munmap_zaps_first)
mmrange_variant_change(mm_munmap_zaps_first FILE src/mm/munmap.c
  FROM "	if (!error)
		mm__pages_zap(thread->mm, thread, start, end);
" TO "")
mmrange_variant_change(mm_munmap_zaps_first FILE src/mm/munmap.c
  FROM "	error = unmap_range(thread, addr, end);
" TO "	mm__pages_zap(mm, thread, addr, end);
	error = unmap_range(thread, addr, end);
")
mmrange_variant_fails(mm_munmap_zaps_first mm_stale_vma
  no_page_is_installed_behind_munmap "thread.result is 0, not")

# An unmapper flushes TLBs after it has freed the frames, or never.
mmrange_variant(mm_munmap_flushes_late)
mmrange_variant_change(mm_munmap_flushes_late FILE src/mm/pages.c
  FROM "	mm__tlb_flush(mm, thread, &gather->set, start, end);
" TO "")
mmrange_variant_change(mm_munmap_flushes_late FILE src/mm/pages.c
  FROM "		mm__thread_drop_frames(thread, gather.frame, gather.count);
" TO "		mm__thread_drop_frames(thread, gather.frame, gather.count);
		mm__tlb_flush(mm, thread, &(struct mm__thread_set){ .all = true }, 0, MM_ADDR_MAX);
")
mmrange_variant_fails(mm_munmap_flushes_late mm_stale_tlb
  a_frame_is_not_freed_while_a_thread_reads_it "reader.result is 2, not"
  "a page is freed that a thread can still reach")

# A flush does not wait for a thread that may be using a translation.
mmrange_variant(mm_without_interruption)
mmrange_variant_change(mm_without_interruption FILE src/mm/interrupt.c
  FROM "	while (atomic_load_explicit(&thread->busy, memory_order_acquire))
		mm__backoff(&backoff);
" TO "	(void)thread;
	(void)backoff;
")
mmrange_variant_fails(mm_without_interruption mm_stale_tlb
  a_flush_waits_until_a_thread_can_be_interrupted "step_to(&unmapper, AT_YIELD) is")

mmrange_variant(mm_munmap_without_flush)
mmrange_variant_change(mm_munmap_without_flush FILE src/mm/pages.c
  FROM "	mm__tlb_flush(mm, thread, &gather->set, start, end);
" TO "")
mmrange_variant_fails(mm_munmap_without_flush mm_stale_tlb
  no_thread_reads_an_unmapped_page "reader.result is 1, not"
  "a page is freed that a thread can still reach")

mmrange_variant(mm_mprotect_without_flush)
mmrange_variant_change(mm_mprotect_without_flush FILE src/mm/pages.c
  FROM "if (entry & ~restricted & MM__PROT_BITS)" TO "if (false)")
mmrange_variant_fails(mm_mprotect_without_flush mm_stale_tlb
  no_thread_writes_to_a_protected_page "writer.result is 0, not")

mmrange_variant(mm_mremap_without_flush)
mmrange_variant_change(mm_mremap_without_flush FILE src/mm/pages.c
  FROM "entry & ~MM__PRESENT));
	mm__thread_set_add(set, mm__entry_owner(entry));
" TO "entry & ~MM__PRESENT));
")
mmrange_variant_fails(mm_mremap_without_flush mm_stale_tlb
  no_thread_reads_a_page_that_was_moved_away "reader.result is 1, not")

mmrange_variant(mm_copy_without_flush)
mmrange_variant_change(mm_copy_without_flush FILE src/mm/fault.c
  FROM "		mm__tlb_flush(f->mm, f->thread, &set, f->page, f->page + MM_PAGE_SIZE);
	}
	mm__tlb_insert" TO "	}
	mm__tlb_insert")
mmrange_variant_fails(mm_copy_without_flush mm_stale_tlb
  no_thread_reads_the_old_frame_of_a_copied_page "reader.result is 1, not")

# An entry is unlocked before the flush, so a fault can install a new page while TLBs have the old one.
mmrange_variant(mm_zap_flushes_unlocked)
mmrange_variant_change(mm_zap_flushes_unlocked FILE src/mm/pages.c
  FROM "mm__entry_owner(entry) && mm__entry_owner(entry) != thread->number" TO "false")
mmrange_variant_fails(mm_zap_flushes_unlocked mm_stale_tlb
  no_thread_writes_to_a_page_that_another_has_replaced "peek(mm, AT(0)) is 2, not")

# The VMAs, and with them their files, are freed before the pages.
mmrange_variant(mm_munmap_frees_vmas_first)
mmrange_variant_change(mm_munmap_frees_vmas_first FILE src/mm/munmap.c
  FROM "	mm__vmas_free(removed);
" TO "")
mmrange_variant_change(mm_munmap_frees_vmas_first FILE src/mm/munmap.c
  FROM "	removed = mm__edit_end_removed(&edit);
" TO "	removed = mm__edit_end_removed(&edit);
	mm__vmas_free(removed);
")
mmrange_variant_fails(mm_munmap_frees_vmas_first mm_stale_tlb
  no_write_to_a_file_before_the_flush_is_lost
  "written to a file that is not mapped any more")

# A thread puts an entry into its TLB that does not record this thread.
mmrange_variant(mm_walk_without_owner)
mmrange_variant_change(mm_walk_without_owner FILE src/mm/fault.c
  FROM " && mm__entry_is_for(entry, f->thread->number);" TO ";")
mmrange_variant_fails(mm_walk_without_owner mm_stale_tlb
  a_thread_with_an_entry_in_its_tlb_is_flushed "reader.result is 1, not"
  "a page is freed that a thread can still reach")

# A thread puts an entry into its TLB that an unmapper may have taken out since the thread read it.
mmrange_variant(mm_walk_looks_early)
mmrange_variant_change(mm_walk_looks_early FILE src/mm/fault.c
  FROM "	mm__thread_enter(f->thread);
	entry = mm__entry_load(f->table, f->page);
" TO "	entry = mm__entry_load(f->table, f->page);
	mm__thread_enter(f->thread);
")
mmrange_variant_fails(mm_walk_looks_early mm_stale_tlb
  an_entry_is_not_put_in_that_was_read_before_a_flush "reader.result is 1, not")

mmrange_variant(mm_commit_fills_late)
mmrange_variant_change(mm_commit_fills_late FILE src/mm/fault.c
  FROM "	mm__tlb_insert(f->thread, f->page, entry, f->file);
	mm__entry_unlock(f->table, f->page, entry);
" TO "	mm__entry_unlock(f->table, f->page, entry);
	mm__tlb_insert(f->thread, f->page, entry, f->file);
")
mmrange_variant_fails(mm_commit_fills_late mm_stale_tlb
  a_fault_fills_the_tlb_before_others_can_flush_it "reader.result is 0, not")

# A thread waits for an entry while other threads cannot interrupt it.
mmrange_variant(mm_waits_uninterruptible)
mmrange_variant_change(mm_waits_uninterruptible FILE src/mm/fault.c
  FROM "	mm__entry_await(f->table, f->page);
	result = serve_entry(f);
" TO "	mm__thread_enter(f->thread);
	mm__entry_await(f->table, f->page);
	mm__thread_leave(f->thread);
	result = serve_entry(f);
")
mmrange_variant_fails(mm_waits_uninterruptible mm_stale_tlb
  a_flush_does_not_wait_for_a_thread_that_waits_for_an_entry "a thread waits that may have to be interrupted")

# A fault does not check again whether the stack may grow, once it holds the whole space.
mmrange_variant(mm_stack_without_recheck)
mmrange_variant_change(mm_stack_without_recheck FILE src/mm/stack.c
  FROM "	if (!mm__stack_may_grow(thread->mm, page, &stack)) {
" TO "	if (!mm__vma_tree_find(&thread->mm->vmas, page + MM_PAGE_SIZE, &stack)) {
")
mmrange_variant_fails(mm_stack_without_recheck mm_stack_faults
  a_stack_does_not_grow_over_a_new_mapping "thread.result is 0, not")
mmrange_variant_fails(mm_stack_without_recheck mm_stack_faults
  a_mapping_in_place_of_a_stack_does_not_grow "thread.result is 0, not")
mmrange_variant_fails(mm_stack_without_recheck mm_stack_faults
  a_stack_does_not_grow_close_to_a_new_mapping "thread.result is 0, not")

# A fault that found no VMA does not look whether there is one by now.
mmrange_variant(mm_stack_grown_unseen)
mmrange_variant_change(mm_stack_grown_unseen FILE src/mm/fault.c
  FROM "while (state == MAPPED);" TO "while (false);")
mmrange_variant_fails(mm_stack_grown_unseen mm_stack_faults
  a_fault_succeeds_where_a_stack_has_grown_meanwhile "thread.result is -1, not")

# A fault grows a stack and holds only its own page.
mmrange_variant(mm_stack_without_write_lock)
mmrange_variant_change(mm_stack_without_write_lock FILE src/mm/fault.c
  FROM "mm__hold_write(f->thread, &hold, 0, UINT64_MAX)"
  TO "mm__hold_write(f->thread, &hold, f->page, f->page + MM_PAGE_SIZE)")
mmrange_variant_fails(mm_stack_without_write_lock mm_stack_faults
  nothing_is_lost_where_a_stack_grows_over_a_range_being_unmapped "peek(mm, AT(STACK - 2)) is 0, not")

# A thread that waits for a table does not count as a waiter, or passes no fence, or is not woken.
mmrange_variant(mm_table_lock_waits_unseen)
mmrange_variant_change(mm_table_lock_waits_unseen FILE src/mm/table_lock.c
  FROM "	atomic_fetch_add_explicit(&lock->waiters, 1, memory_order_relaxed);
" TO "")
mmrange_variant_fails(mm_table_lock_waits_unseen mm_table_lock
  a_waiter_is_woken "atomic_load(&waiters_at_fence) is 0, not")

mmrange_variant(mm_table_lock_without_fence)
mmrange_variant_change(mm_table_lock_without_fence FILE src/mm/table_lock.c
  FROM "	mmrange__heavy_fence();
" TO "")
mmrange_variant_fails(mm_table_lock_without_fence mm_table_lock
  a_waiter_is_woken "atomic_load(&fences) is 0, not")

mmrange_variant(mm_table_lock_wakes_none)
mmrange_variant_change(mm_table_lock_wakes_none FILE src/mm/table_lock.c
  FROM "	mmrange__unpark(&lock->word, false);
" TO "	(void)lock;
")
mmrange_variant_fails(mm_table_lock_wakes_none mm_table_lock
  a_waiter_is_woken "atomic_load(&park_wakes) is 0, not")

# The same for an entry; and of several waiters for an entry, the unlocking thread wakes only one.
mmrange_variant(mm_entry_lock_waits_unseen)
mmrange_variant_change(mm_entry_lock_waits_unseen FILE src/mm/entry_lock.c
  FROM "	atomic_fetch_add_explicit(waiters, 1, memory_order_relaxed);
" TO "")
mmrange_variant_fails(mm_entry_lock_waits_unseen mm_entry_lock
  a_thread_that_waits_is_woken "atomic_load(&waiters_at_fence) is 0, not")

mmrange_variant(mm_entry_lock_without_fence)
mmrange_variant_change(mm_entry_lock_without_fence FILE src/mm/entry_lock.c
  FROM "	mmrange__heavy_fence();
" TO "")
mmrange_variant_fails(mm_entry_lock_without_fence mm_entry_lock
  a_thread_that_waits_is_woken "atomic_load(&fences) is 0, not")

mmrange_variant(mm_entry_lock_wakes_none)
mmrange_variant_change(mm_entry_lock_wakes_none FILE src/mm/entry_lock.c
  FROM "	mmrange__unpark(entry, true);
" TO "	(void)entry;
")
mmrange_variant_fails(mm_entry_lock_wakes_none mm_entry_lock
  a_thread_that_waits_is_woken "atomic_load(&park_wakes) is 0, not")

mmrange_variant(mm_entry_lock_wakes_one)
mmrange_variant_change(mm_entry_lock_wakes_one FILE src/mm/entry_lock.c
  FROM "mmrange__unpark(entry, true)" TO "mmrange__unpark(entry, false)")
mmrange_variant_fails(mm_entry_lock_wakes_one mm_entry_lock
  all_that_wait_are_woken "atomic_load(&park_woke_all) is 0, not")

# A thread that drops many entries at once forgets the last one, or wakes only the waiters of the first.
mmrange_variant(mm_entry_lock_keeps_last)
mmrange_variant_change(mm_entry_lock_keeps_last FILE src/mm/entry_lock.c
  FROM "i < n; i++)" TO "i + 1 < n; i++)")
mmrange_variant_fails(mm_entry_lock_keeps_last mm_entry_lock
  dropping_many_entries_empties_each_and_wakes_all_that_wait "atomic_load(&entries[locked[k]]) is 4160, not")

mmrange_variant(mm_entry_lock_wakes_first)
mmrange_variant_change(mm_entry_lock_wakes_first FILE src/mm/entry_lock.c
  FROM "i < n && atomic_load_explicit" TO "i < 1 && atomic_load_explicit")
mmrange_variant_fails(mm_entry_lock_wakes_first mm_entry_lock
  dropping_many_entries_empties_each_and_wakes_all_that_wait "atomic_load(&park_wakes) is 0, not")

# A thread that finds a page in a table leaves no hint, or takes the hint for a page.
mmrange_variant(mm_table_without_hint)
mmrange_variant_change(mm_table_without_hint FILE src/mm/page_table.c
  FROM "			atomic_store_explicit(&table->filled, i, memory_order_relaxed);
" TO "")
mmrange_variant_fails(mm_table_without_hint mm_page_table
  a_table_that_was_found_in_use_is_freed_once_it_is_empty "atomic_load(&table->filled) is 0, not")

mmrange_variant(mm_table_trusts_hint)
mmrange_variant_change(mm_table_trusts_hint FILE src/mm/page_table.c
  FROM "	if (is_filled(table, i))
" TO "	if (i)
")
mmrange_variant_fails(mm_table_trusts_hint mm_page_table
  a_table_that_was_found_in_use_is_freed_once_it_is_empty "stats_of(mm).tables is 4, not")

# A thread that skips a line of empty entries also skips the entry behind it: a table is taken out with
# its page, or a page stays.
mmrange_variant(mm_table_skips_too_much)
mmrange_variant_change(mm_table_skips_too_much FILE src/mm/page_table.c
  FROM "			i += MM__LINE_ENTRIES - 1;
		} else if" TO "			i += MM__LINE_ENTRIES;
		} else if")
mmrange_variant_change(mm_table_skips_too_much FILE src/mm/page_table.c
  FROM "			i += MM__LINE_ENTRIES - 1;
		else if" TO "			i += MM__LINE_ENTRIES;
		else if")
mmrange_variant_fails(mm_table_skips_too_much mm_page_table
  a_table_with_one_page_in_any_place_is_not_freed "present is 0, not")

mmrange_variant(mm_zap_skips_too_much)
mmrange_variant_change(mm_zap_skips_too_much FILE src/mm/pages.c
  FROM "addr += LINE - MM_PAGE_SIZE;" TO "addr += LINE;")
mmrange_variant_fails(mm_zap_skips_too_much mm_page_table
  a_page_in_any_place_beside_empty_lines_is_taken_out "stats_of(mm).pages is 1, not")

# Variants that the random test of everything must detect, by whichever check fails first.
function(mmrange_variant_is_found name)
  mmrange_variant_fails(${name} mm_everything agrees_with_the_model "" "")
endfunction()

# Parent and child write to the same private pages.
mmrange_variant(mm_fork_shares_private)
mmrange_variant_change(mm_fork_shares_private FILE src/mm/pages.c
  FROM "only_read = entry & ~(uint64_t)MM_PROT_WRITE;" TO "only_read = entry;")
mmrange_variant_is_found(mm_fork_shares_private)

# The VMAs of the child are locked like those of the parent.
mmrange_variant(mm_fork_keeps_locks)
mmrange_variant_change(mm_fork_keeps_locks FILE src/mm/fork.c
  FROM "kind.flags &= ~MM__VMA_LOCKED;" TO "")
mmrange_variant_is_found(mm_fork_keeps_locks)

# A moved VMA shows its file from the offset that belongs to its new address.
mmrange_variant(mm_mremap_keeps_offset)
mmrange_variant_change(mm_mremap_keeps_offset FILE src/mm/mremap.c
  FROM "kind.offset += r->old - target;" TO "kind.offset += 0;")
mmrange_variant_is_found(mm_mremap_keeps_offset)

# Locked VMAs that become writable are not made present.
mmrange_variant(mm_mprotect_without_copies)
mmrange_variant_change(mm_mprotect_without_copies FILE src/mm/vmas_change.c
  FROM "if (run->copies)" TO "if (false)")
mmrange_variant_is_found(mm_mprotect_without_copies)

# A stack also keeps its gap to other stacks.
mmrange_variant(mm_stack_keeps_gap_to_stacks)
mmrange_variant_change(mm_stack_keeps_gap_to_stacks FILE src/mm/stack.c
  FROM "mm__vma_flags(below) & MM_MAP_GROWSDOWN ||" TO "")
mmrange_variant_is_found(mm_stack_keeps_gap_to_stacks)

# A private copy survives although its file has become shorter.
mmrange_variant(mm_copy_outlives_file)
mmrange_variant_change(mm_copy_outlives_file FILE src/mm/fault.c
  FROM "static void drop_copy(struct fault *f)
{
" TO "static void drop_copy(struct fault *f)
{
	return;
")
mmrange_variant_is_found(mm_copy_outlives_file)

# An access uses a private copy without a probe of the file.
mmrange_variant(mm_copy_without_probe)
mmrange_variant_change(mm_copy_without_probe FILE src/mm/access.c
  FROM "copied = mm__guard_probe(slot->file, false);" TO "copied = true;")
mmrange_variant_fails(mm_copy_without_probe mm_coherence
  touched_pages_behind_the_end_of_a_file_that_shrinks_are_not_there "peek(mm, AT(page)) is 201, not")

# An access finds a private copy behind the end of the file, and the copy stays.
mmrange_variant(mm_copy_stays)
mmrange_variant_change(mm_copy_stays FILE src/mm/fault.c
  FROM "	if (!(f->seen & MM__COPY))
" TO "	if (true)
")
mmrange_variant_fails(mm_copy_stays mm_coherence
  a_copy_that_is_found_behind_the_end_by_an_access_does_not_come_back "stats_of(mm).frames is 1, not")

# A fault drops a copy although the file has grown, or probes the file while threads can write to the copy.
mmrange_variant(mm_copy_without_second_look)
mmrange_variant_change(mm_copy_without_second_look FILE src/mm/fault.c
  FROM "left = mm__inode_has(f->vma->inode, file_index(f)) ?" TO "left = false ?")
mmrange_variant_fails(mm_copy_without_second_look mm_lost_copy
  a_copy_that_was_written_to_after_the_file_had_grown_is_not_dropped "peek(mm, AT(0)) is 0, not")
mmrange_variant_fails(mm_copy_without_second_look mm_lost_copy
  a_copy_that_is_written_to_until_the_flush_is_not_dropped "peek(mm, AT(0)) is 0, not")

mmrange_variant(mm_copy_looks_early)
mmrange_variant_change(mm_copy_looks_early FILE src/mm/fault.c
  FROM "	uint64_t left = entry;
" TO "	uint64_t left = entry;
	bool has = mm__inode_has(f->vma->inode, file_index(f));
")
mmrange_variant_change(mm_copy_looks_early FILE src/mm/fault.c
  FROM "left = mm__inode_has(f->vma->inode, file_index(f)) ?" TO "left = has ?")
mmrange_variant_fails(mm_copy_looks_early mm_lost_copy
  a_copy_that_is_written_to_until_the_flush_is_not_dropped "peek(mm, AT(0)) is 0, not")

# A fault does not access the page of the file.
mmrange_variant(mm_fault_without_probe)
mmrange_variant_change(mm_fault_without_probe FILE src/mm/fault.c
  FROM "return f->file && mm__guard_probe(f->file, false);" TO "return f->file;")
mmrange_variant_fails(mm_fault_without_probe mm_coherence
  touched_pages_behind_the_end_of_a_file_that_shrinks_are_not_there
  "mm_fault(mm, AT(page), R, NULL) is 0, not")

# The library keeps the file mapped until the grace period is over.
mmrange_variant(mm_file_stays_mapped)
mmrange_variant_change(mm_file_stays_mapped FILE src/mm/inode.c
  FROM "	mm__windows_withdraw(&inode->windows);
" TO "")
mmrange_variant_fails(mm_file_stays_mapped mm_coherence
  a_file_can_be_sealed_once_no_shared_mapping_can_write_to_it
  "fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) is -1, not")

# Private and shared VMAs of a file use the same mapping of the process.
mmrange_variant(mm_file_of_one_kind)
mmrange_variant_change(mm_file_of_one_kind FILE src/mm/file.c
  FROM "*kind = MM__FILE_PRIVATE;" TO "*kind = MM__FILE_WRITABLE;")
mmrange_variant_fails(mm_file_of_one_kind mm_coherence
  a_file_can_be_sealed_once_no_shared_mapping_can_write_to_it
  "fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) is -1, not")

# A grace period begins without a fence, or with one that comes too late.
mmrange_variant(mm_rcu_without_fence)
mmrange_variant_change(mm_rcu_without_fence FILE src/mm/rcu.c
  FROM "	mmrange__heavy_fence(); /* [RCU-G1] */
" TO "")
mmrange_variant_fails(mm_rcu_without_fence mm_grace_period
  begins_with_a_fence_and_then_the_epoch "fences is 0, not")

mmrange_variant(mm_rcu_fences_late)
mmrange_variant_change(mm_rcu_fences_late FILE src/mm/rcu.c
  FROM "	mmrange__heavy_fence(); /* [RCU-G1] */
" TO "")
mmrange_variant_change(mm_rcu_fences_late FILE src/mm/rcu.c
  FROM "epoch_now() + 1, memory_order_relaxed);
" TO "epoch_now() + 1, memory_order_relaxed);
	mmrange__heavy_fence();
")
mmrange_variant_fails(mm_rcu_fences_late mm_grace_period
  begins_with_a_fence_and_then_the_epoch "epoch_at_fence is")

# A grace period waits for no reader, or also for readers that came later.
mmrange_variant(mm_rcu_without_readers)
mmrange_variant_change(mm_rcu_without_readers FILE src/mm/rcu.c
  FROM "if (seen && seen < epoch)" TO "if (false)")
mmrange_variant_fails(mm_rcu_without_readers mm_rcu
  an_object_that_a_reader_may_have_found_is_not_freed_before_it_leaves "atomic_load(&freed) is 768, not")
mmrange_variant_fails(mm_rcu_without_readers mm_rcu
  readers_never_find_a_freed_object "value->state is")

mmrange_variant(mm_rcu_waits_for_all)
mmrange_variant_change(mm_rcu_waits_for_all FILE src/mm/rcu.c
  FROM "if (seen && seen < epoch)" TO "if (seen)")
mmrange_variant_fails(mm_rcu_waits_for_all mm_rcu
  a_period_does_not_wait_for_a_reader_that_came_later "atomic_load(&freed) is 0, not")

# Garbage that a thread gives during a period is freed with that period.
mmrange_variant(mm_rcu_joins_period)
mmrange_variant_change(mm_rcu_joins_period FILE src/mm/rcu.c
  FROM "	return epoch_now() + 1;
" TO "	return rcu.completed + 1;
")
mmrange_variant_fails(mm_rcu_joins_period mm_rcu
  objects_given_by_another_thread_during_a_period_wait_for_the_next "atomic_load(&giver.freed) is 1, not")

# mm__rcu_barrier() frees only the garbage of the calling thread, or does not wait for other threads that
# are freeing.
mmrange_variant(mm_rcu_barrier_of_one_thread)
mmrange_variant_change(mm_rcu_barrier_of_one_thread FILE src/mm/rcu.c
  FROM "		empty_limbo(&thread->limbo, batch);
" TO "		if (thread == self)
			empty_limbo(&thread->limbo, batch);
")
mmrange_variant_fails(mm_rcu_barrier_of_one_thread mm_rcu
  a_barrier_frees_the_objects_of_other_threads "atomic_load(&freed) is 0, not")

mmrange_variant(mm_rcu_barrier_leaves_early)
mmrange_variant_change(mm_rcu_barrier_leaves_early FILE src/mm/rcu.c
  FROM "	wait_until(freed_before, ticket);
" TO "")
mmrange_variant_fails(mm_rcu_barrier_leaves_early mm_rcu
  a_barrier_waits_for_threads_that_are_freeing "!atomic_load(&through)")

# A thread never waits, however much garbage is pending.
mmrange_variant(mm_rcu_without_limit)
mmrange_variant_change(mm_rcu_without_limit FILE src/mm/rcu.c
  FROM "*heavy = limbo->weight >= LIMIT;" TO "*heavy = false;")
mmrange_variant_fails(mm_rcu_without_limit mm_rcu
  a_thread_waits_when_too_much_is_pending "atomic_load(&counts[0]) <= LIMIT + BATCH")

# The child of fork(2) keeps the readers of its parent.
mmrange_variant(mm_rcu_child_keeps_readers)
mmrange_variant_change(mm_rcu_child_keeps_readers FILE src/mm/rcu.c
  FROM "		forget_other_threads();
" TO "")
mmrange_variant_fails(mm_rcu_child_keeps_readers mm_rcu
  a_child_frees_without_the_readers_of_its_parent "status is")

# A reader of a border node does not check its count; an edit in place does not check whether the border node is
# dead, or its keys, or its recorded bounds of gaps; an edit with the VMA tree lock does not lock the border nodes
# that it copies.
mmrange_variant(mm_border_without_count)
mmrange_variant_change(mm_border_without_count FILE src/mm/vma_read.c
  FROM "	return !(*seq & 1);" TO "	return true;")
mmrange_variant_fails(mm_border_without_count mm_border
  a_reader_sees_all_of_an_edit_or_nothing "seen.end is 120, not")

mmrange_variant(mm_border_without_dead)
mmrange_variant_change(mm_border_without_dead FILE src/mm/vma_edit.c
  FROM "		if (!border->dead)
			break;
" TO "		if (true)
			break;
")
mmrange_variant_fails(mm_border_without_dead mm_border
  an_edit_in_place_is_not_lost_in_a_replaced_border_node "mm__vma_tree_at(&tree, 205, &m)")

mmrange_variant(mm_border_copied_unlocked)
mmrange_variant_change(mm_border_copied_unlocked FILE src/mm/vma_border.c
  FROM "	mm__table_lock_take(&border->lock);
	border->next_locked = tree->locked;
" TO "	mm__table_lock_try(&border->lock);
	border->next_locked = tree->locked;
")
mmrange_variant_fails(mm_border_copied_unlocked mm_border
  a_border_node_is_not_replaced_during_an_edit_in_place "mm__vma_tree_at(&tree, 205, &m)")

mmrange_variant(mm_border_without_keys)
mmrange_variant_change(mm_border_without_keys FILE src/mm/vma_edit.c
  FROM "end < border->high &&" TO "true &&")
mmrange_variant_fails(mm_border_without_keys mm_border
  an_edit_in_place_does_not_go_over_a_key
  "!mm__vma_edit_in_place(&edit, &tree, 150, 170, 1, false)")

mmrange_variant(mm_border_keeps_keys)
mmrange_variant_change(mm_border_keeps_keys FILE src/mm/vma_border.c
  FROM "		if (!border->dead)
			find_keys(tree, border);
" TO "		if (!border->dead && !border->high)
			find_keys(tree, border);
")
mmrange_variant_fails(mm_border_keeps_keys mm_border
  a_border_node_knows_that_a_key_has_moved_into_it
  "!mm__vma_edit_in_place(&edit, &tree, 170, 180, 1, false)")

# An edit that begins anew forgets what its first attempt left to be done.
mmrange_variant(mm_border_forgets_division)
mmrange_variant_change(mm_border_forgets_division FILE src/mm/edit.c
  FROM "	if (!before->tidy)
" TO "	if (true)
")
mmrange_variant_fails(mm_border_forgets_division mm_border
  an_edit_that_begins_twice_divides_a_border_node_that_the_first_attempt_found
  "mm__root(&mm->vmas)->count is")

# A thread waits for a second border node with a first one locked.
mmrange_variant(mm_border_waits_for_second)
mmrange_variant_change(mm_border_waits_for_second FILE src/mm/vma_border.c
  FROM "	if (!mm__table_lock_try(&border->lock))
		return false;
" TO "	mm__table_lock_take(&border->lock);
")
mmrange_variant_fails(mm_border_waits_for_second mm_border
  a_second_edit_in_place_waits_for_no_other_thread "!is_waited_for(border)")

mmrange_variant(mm_border_without_bounds)
mmrange_variant_change(mm_border_without_bounds FILE src/mm/vma_edit.c
  FROM "here && unmaps && !mm__border_may_unmap(edit->border, start, end);" TO "false;")
mmrange_variant_fails(mm_border_without_bounds mm_border
  an_edit_in_place_does_not_make_gaps_that_a_search_would_miss
  "!mm__vma_edit_in_place(&edit, &tree, 110, 130, 1, true)")

# Bounds of border nodes become too narrow: a search that narrows the bounds of one node leaves those above it
# as they are; a mapping at address 0 counts as one without an end; an erasure that joins border nodes leaves
# the bounds above them as they are.
mmrange_variant(mm_bounds_narrowed_below)
mmrange_variant_change(mm_bounds_narrowed_below FILE src/mm/vma_gap.c
  FROM "if (!found || s->tightened)" TO "if (!found)")
mmrange_variant_fails(mm_bounds_narrowed_below mm_vma_tree
  a_search_that_narrows_bounds_leaves_none_above_too_narrow
  "the greatest gap of a subtree is wrong")

mmrange_variant(mm_bounds_at_address_0)
mmrange_variant_change(mm_bounds_at_address_0 FILE src/mm/vma_bounds.c
  FROM "(stretch.hi && stretch.hi >= border->recorded.hi)" TO "stretch.hi >= border->recorded.hi")
mmrange_variant_fails(mm_bounds_at_address_0 mm_vma_tree
  bounds_of_a_mapping_at_address_0_become_wider_when_it_goes
  "!begin_in_place(&tree, 0, 9, true)")

mmrange_variant(mm_bounds_joined_below)
mmrange_variant_change(mm_bounds_joined_below FILE src/mm/vma_erase.c
  FROM "path.owned < 2 ? path.owned : 2" TO "path.owned")
mmrange_variant_fails(mm_bounds_joined_below mm_vma_tree
  an_erasure_that_joins_border_nodes_records_their_bounds_above
  "the greatest gap of a subtree is wrong")

# mm_brk() looks at the end of the heap, or at the VMA that follows it, before it holds the range, and not again.
mmrange_variant(mm_brk_without_recheck)
mmrange_variant_change(mm_brk_without_recheck FILE src/mm/brk.c
  FROM "	if (mm__brk(mm) != old) {" TO "	if (false) {")
mmrange_variant_fails(mm_brk_without_recheck mm_brk_ends
  a_heap_that_grows_while_it_shrinks_has_no_hole "")

mmrange_variant(mm_brk_ignores_what_follows)
mmrange_variant_change(mm_brk_ignores_what_follows FILE src/mm/brk.c
  FROM "mm__place_still_free(edit, old_end, new_end + MM_PAGE_SIZE) &&" TO "")
mmrange_variant_fails(mm_brk_ignores_what_follows mm_brk_ends
  a_heap_does_not_grow_up_to_a_new_mapping "thread.result is 1, not")
mmrange_variant_fails(mm_brk_ignores_what_follows mm_brk_ends
  a_heap_does_not_grow_close_to_a_stack_that_was_mapped_meanwhile "thread.result is 1, not")
