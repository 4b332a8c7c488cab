/* SPDX-License-Identifier: MIT */
/*
 * Errors of the address space itself that the checked build finds: locks in the wrong order, waits
 * with locks held, and frames that are freed too early. Each breach ends the process, so each test
 * commits it in a child process.
 */
#include "child.h"
#include "mm/attach.h"
#include "mm/frame_supply.h"
#include "mm/hold.h"
#include "mm/interrupt.h"
#include "mm/memory.h"
#include "mm/tlb.h"
#include "mm/tree_lock.h"
#include "mm/vma_memory.h"
#include "mm/vmas.h"
#include "spaces.h"
#include "threads.h"

#include <signal.h>
#include <sys/wait.h>

static void check_stops(void (*breach)(void), const char *message)
{
	char errors[4096];
	int status;

	if (!checked_build)
		return;
	status = run_in_child(breach, errors, sizeof(errors));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(errors, "mmrange: ") ||
	    !strstr(errors, message))
		test_fail(__FILE__, __LINE__, "no abort with \"%s\", but status %#x and: %s",
			  message, (unsigned int)status, errors);
}

static void say_if_skipped(void)
{
	if (!checked_build)
		puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
}

static struct mm *mm;
static struct mm__thread *thread;

/* Pages in two tables, all present. */
static void prepare(void)
{
	mm = new_space();
	thread = mm__this_thread(mm);
	map(mm, 0, 1024, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(poke(mm, AT(512), 1), 0);
}

static struct mm__table *table_of(unsigned int page)
{
	return mm__table_find(&mm->page_table, AT(page));
}

/* The entry without the bit that marks it locked. */
static uint64_t entry_of(unsigned int page)
{
	return mm__entry_load(table_of(page), AT(page)) & ~MM__BUSY;
}

static void take_a_range_with_the_tree_lock(void)
{
	struct mm__hold hold;

	prepare();
	mm__tree_lock(mm);
	mm__hold_write(thread, &hold, AT(0), AT(1));
}

static void read_a_range_with_an_entry(void)
{
	struct mm__hold hold;

	prepare();
	mm__entry_lock(table_of(0), AT(0));
	mm__hold_read(thread, &hold, AT(0), AT(1));
}

static void take_two_ranges_with_the_tree_lock(void)
{
	struct mm__hold hold;

	prepare();
	mm__tree_lock(mm);
	mm__hold_write_two(thread, &hold, AT(0), AT(1), AT(8), AT(9));
}

static void take_the_tree_lock_twice(void)
{
	prepare();
	mm__tree_lock(mm);
	mm__tree_lock(mm);
}

static void take_the_tree_lock_with_an_entry(void)
{
	prepare();
	mm__entry_lock(table_of(0), AT(0));
	mm__tree_lock(mm);
}

static void take_the_tree_lock_with_free_frames(void)
{
	prepare();
	mm__frames_lock(mm->frames);
	mm__tree_lock(mm);
}

static void take_tables_downwards(void)
{
	prepare();
	mm__entry_lock(table_of(512), AT(512));
	mm__entry_lock(table_of(0), AT(0));
}

static void take_entries_downwards(void)
{
	prepare();
	mm__entry_lock(table_of(0), AT(1));
	mm__entry_lock(table_of(0), AT(0));
}

static void *use_space(void *arg)
{
	(void)arg;
	CHECK(mm__this_thread(mm));
	return NULL;
}

static void use_own_tlb(struct mm__thread *visited, void *arg)
{
	(void)visited, (void)arg;
	(void)mm__thread_frame(thread);
}

static void use_a_tlb_while_threads_are_interrupted(void)
{
	prepare();
	mm__threads_interrupt_all(mm, use_own_tlb, NULL);
}

static void interrupt_threads_downwards(void)
{
	const struct mm__thread_set set = { .count = 2, .number = { 3, 1 } };

	prepare();
	thread_join(thread_start(use_space, NULL));
	mm__tlb_flush(mm, thread, &set, 0, MM_ADDR_MAX);
}

static void drop_what_is_not_held(void)
{
	prepare();
	mm__tree_unlock(mm, thread);
}

TEST(mm_checked, locks_in_the_wrong_order_are_found)
{
	say_if_skipped();
	check_stops(take_a_range_with_the_tree_lock,
		    "a range is taken while the VMA tree lock is held");
	check_stops(read_a_range_with_an_entry, "a range is taken while the lock of a page table");
	check_stops(take_two_ranges_with_the_tree_lock,
		    "a range is taken while the VMA tree lock is held");
	check_stops(take_the_tree_lock_twice,
		    "the VMA tree lock is taken while the VMA tree lock is held");
	check_stops(take_the_tree_lock_with_an_entry,
		    "the VMA tree lock is taken while the lock of a page table is held");
	check_stops(take_the_tree_lock_with_free_frames,
		    "the VMA tree lock is taken while the lock of the free frames is held");
	check_stops(take_tables_downwards,
		    "the lock of a page table is taken while the lock of a page table is held");
	check_stops(take_entries_downwards,
		    "the lock of a page table is taken while the lock of a page table is held");
	check_stops(use_a_tlb_while_threads_are_interrupted,
		    "the interrupt lock of a thread is taken while");
	check_stops(interrupt_threads_downwards, "threads are interrupted in another order");
	check_stops(drop_what_is_not_held, "a lock is dropped that is not held");
}

static void use_more_vmas_than_reserved(void)
{
	struct mm__vma_kind kind = { R, PRIVATE, NULL, 0 };
	struct mm__edit edit;

	prepare();
	/* The thread may have kept more memory than the test needs. */
	while (mm__rcu_self->nr_kept)
		mm__free(mm__vma_take());
	mm__edit_begin(&edit, mm__this_thread(mm), AT(2000), AT(2003), false);
	CHECK_EQ(mm__edit_reserve(&edit, 0, 1), 0);
	mm__vmas_put(&edit, AT(2000), AT(2001), &kind);
	mm__vmas_put(&edit, AT(2002), AT(2003), &kind);
}

static void change_vmas_more_often_than_reserved(void)
{
	struct mm__edit edit;

	prepare();
	CHECK(mm__vmas_stock(8));
	mm__edit_locked(&edit, mm__this_thread(mm), AT(0), AT(1024));
	CHECK_EQ(mm__edit_reserve(&edit, 1, 0), 0);
	/* Two changes, one, and then one too many. */
	mm__vmas_cut_one(&edit, AT(1), AT(7));
	mm__vmas_cut_one(&edit, AT(0), AT(1));
	mm__vmas_cut_one(&edit, AT(7), AT(1024));
}

static void use_more_nodes_than_reserved(void)
{
	struct mm__edit edit;

	prepare();
	map(mm, 2000, 1, R);
	mm__edit_locked(&edit, mm__this_thread(mm), AT(0), AT(1024));
	CHECK_EQ(mm__edit_reserve(&edit, 0, 1), 0);
	edit.nodes.nodes[0] = 0;
	/* Leaves too few mappings in the border node. */
	mm__vma_tree_erase(&edit.tree, AT(0));
}

TEST(mm_checked, an_operation_that_uses_more_than_it_reserved_is_found)
{
	say_if_skipped();
	check_stops(use_more_vmas_than_reserved, "uses more VMAs than it reserved");
	check_stops(change_vmas_more_often_than_reserved,
		    "changes the VMAs more often than it reserved for");
	check_stops(use_more_nodes_than_reserved, "uses more nodes than were reserved");
}

/* A fault on this page has to read a file. */
static uint64_t map_file(void)
{
	FILE *file = tmpfile();
	uint64_t addr;

	CHECK(file);
	CHECK_EQ(fwrite("text", 1, 4, file), 4);
	CHECK_EQ(fflush(file), 0);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, MM_MAP_SHARED, fileno(file), 0, &addr), 0);
	fclose(file);
	return addr;
}

static void read_a_file_with_a_lock(void)
{
	uint64_t addr;

	prepare();
	addr = map_file();
	/* A caller may hold a range by mm_lock_range() here, so the thread waits for no range. */
	CHECK_EQ(mm_write_lock(mm), 0);
	mm__tree_lock(mm);
	peek(mm, addr);
}

static void wait_for_memory_with_a_lock(void)
{
	prepare();
	mm__tree_lock(mm);
	mm__thread_reclaim(thread);
}

TEST(mm_checked, waiting_with_a_lock_is_found)
{
	say_if_skipped();
	check_stops(read_a_file_with_a_lock, "a file is read while the VMA tree lock is held");
	check_stops(wait_for_memory_with_a_lock,
		    "memory is waited for while the VMA tree lock is held");
}

static struct mm__frame *frame_of(unsigned int page)
{
	return mm__entry_frame(mm__entry_load(table_of(page), AT(page)));
}

static void free_what_is_in_use(void)
{
	struct mm__frame *frame;

	prepare();
	frame = frame_of(0);
	mm__frame_cache_put(&thread->cache, frame);
}

/* The frame is in the free list, and a thread takes a reference all the same. */
static void hand_out_what_is_in_use(void)
{
	struct mm__frame *frame;

	prepare();
	frame = mm__thread_frame(thread);
	CHECK(frame);
	mm__thread_drop_frames(thread, &frame, 1);
	mm__frame_get(frame);
	mm__thread_frame(thread);
}

static void free_twice(void)
{
	struct mm__frame *frame;

	prepare();
	frame = mm__thread_frame(thread);
	CHECK(frame);
	mm__frame_put(frame);
	mm__frame_put(frame);
}

/* A free list that contains a frame twice hands it out twice. */
static void hand_out_twice(void)
{
	struct mm__frame *frame;

	prepare();
	frame = mm__thread_frame(thread);
	CHECK(frame);
	mm__thread_drop_frames(thread, &frame, 1);
	mm__frame_cache_put(&thread->cache, frame);
	mm__thread_frame(thread);
	mm__thread_frame(thread);
}

static void free_what_is_in_a_tlb(void)
{
	struct mm__frame *frame;

	prepare();
	frame = frame_of(512);
	mm__thread_drop_frames(thread, &frame, 1);
}

static void *touch(void *arg)
{
	CHECK_EQ(peek(mm, AT(512)), 1);
	sem_post(arg);
	sem_await((sem_t *)arg + 1);
	return NULL;
}

static void free_what_is_in_the_tlb_of_another(void)
{
	struct mm__frame *frame;
	sem_t sem[2];

	prepare();
	frame = frame_of(512);
	CHECK_EQ(sem_init(&sem[0], 0, 0), 0);
	CHECK_EQ(sem_init(&sem[1], 0, 0), 0);
	thread_start(touch, sem);
	sem_await(&sem[0]);
	mm__tlb_flush(
		mm, thread,
		&(struct mm__thread_set){ .count = 1, .number = { (uint16_t)thread->number } }, 0,
		MM_ADDR_MAX);
	mm__frame_put(frame);
}

static void lose_a_frame(void)
{
	prepare();
	CHECK(mm__thread_frame(thread));
	mm_destroy(mm);
}

TEST(mm_checked, frames_that_are_freed_or_used_wrongly_are_found)
{
	say_if_skipped();
	check_stops(free_what_is_in_use, "a frame is freed that is in use");
	check_stops(hand_out_what_is_in_use, "a frame is handed out that is in use");
	check_stops(hand_out_twice, "a frame is handed out that is in use");
	check_stops(free_twice, "a frame is freed that is free");
	check_stops(free_what_is_in_a_tlb, "a page is freed that a thread can still reach");
	check_stops(free_what_is_in_the_tlb_of_another,
		    "a page is freed that a thread can still reach");
	check_stops(lose_a_frame, "frames are lost");
}

static void end_with_a_range(void)
{
	struct mm_hold hold;

	prepare();
	CHECK_EQ(mm_lock_range(mm, &hold, AT(0), AT(1), RANGE_WRITE), 0);
	mm__threads_destroy(mm);
}

static void unlock_what_is_not_held(void)
{
	struct mm_hold hold;

	prepare();
	CHECK_EQ(mm_lock_range(mm, &hold, AT(0), AT(1), RANGE_WRITE), 0);
	mm_unlock_range(mm, &hold);
	mm_unlock_range(mm, &hold);
}

TEST(mm_checked, misuse_of_held_ranges_is_found)
{
	say_if_skipped();
	check_stops(end_with_a_range, "a thread ends, or its space, that holds a range");
	check_stops(unlock_what_is_not_held, "a range is unlocked that the thread does not hold");
}

TEST(mm_checked, locks_in_the_right_order_are_not)
{
	struct mm__hold hold;

	prepare();
	CHECK_EQ(mm__hold_write(thread, &hold, AT(0), AT(1024)), 0);
	mm__tree_lock(mm);
	mm__entry_lock(table_of(0), AT(0));
	mm__entry_lock(table_of(512), AT(512));
	mm__frames_lock(mm->frames);
	mm__frames_unlock(mm->frames);
	mm__entry_unlock(table_of(0), AT(0), entry_of(0));
	mm__entry_unlock(table_of(512), AT(512), entry_of(512));
	/* A trylock does not wait. */
	mm__release(thread, &hold);
	CHECK_EQ(mm__hold_trywrite(thread, &hold, AT(0), AT(1)), 0);
	mm__tree_unlock(mm, thread);
	mm__release(thread, &hold);
	end_space(mm);
}
