/* SPDX-License-Identifier: MIT */
/*
 * Stale entries in the TLBs of threads; and which thread waits for which while they are flushed.
 */
#include "files.h"
#include "mm/fault.h"
#include "stepper.h"

#include <signal.h>

/* Has the page in its TLB, and reads it again and again later. */
static void read_again(struct stepper *self)
{
	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	step_pause(self);
	self->result = peek(self->mm, AT(0));
	step_pause(self);
	self->result = peek(self->mm, AT(0));
}

static void unmap_page(struct stepper *self)
{
	step_pause(self);
	unmap(self->mm, 0, 1);
}

/* There is only one frame, so a frame that is freed too early is used again at once. */
TEST(mm_stale_tlb, a_frame_is_not_freed_while_a_thread_reads_it)
{
	struct stepper unmapper;
	struct stepper reader;
	struct mm *mm = new_space_of_pages(1);
	int error;

	map(mm, 0, 1, RW);
	map(mm, 20, 1, RW);
	step_start(&reader, read_again, mm);
	step_start(&unmapper, unmap_page, mm);
	CHECK_EQ(step_to(&unmapper, AT_FLUSH), AT_FLUSH);
	error = mm_write(mm, AT(20), "\2", 1, NULL);
	CHECK_EQ(step_to(&reader, 0), PAUSED);
	CHECK_EQ(reader.result, 1);
	CHECK_EQ(error, ENOMEM);

	step_to_end(&unmapper);
	CHECK_EQ(poke(mm, AT(20), 2), 0);
	step_to_end(&reader);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	end_space(mm);
}

/* Has the page in its TLB, and faults on another one. */
static void write_two_pages(struct stepper *self)
{
	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	step_pause(self);
	CHECK_EQ(poke(self->mm, AT(1), 2), 0);
}

/* The thread may be using an entry of its TLB. */
TEST(mm_stale_tlb, a_flush_waits_until_a_thread_can_be_interrupted)
{
	struct mm *mm = new_space();
	struct stepper unmapper;
	struct stepper writer;

	map(mm, 0, 2, RW);
	step_start(&writer, write_two_pages, mm);
	step_start(&unmapper, unmap_page, mm);
	CHECK_EQ(step_to(&writer, AT_FRAME), AT_FRAME);
	CHECK_EQ(step_to(&unmapper, AT_YIELD), AT_YIELD);
	step_to_ends(&unmapper, &writer);
	CHECK_EQ(peek(mm, AT(1)), 2);
	end_space(mm);
}

static void write_again(struct stepper *self)
{
	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	step_pause(self);
	self->result = poke(self->mm, AT(0), 3);
}

TEST(mm_stale_tlb, no_thread_reads_an_unmapped_page)
{
	struct mm *mm = new_space();
	struct stepper reader;

	map(mm, 0, 1, RW);
	step_start(&reader, read_again, mm);
	unmap(mm, 0, 1);
	step_to(&reader, 0);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	step_to_end(&reader);
	end_space(mm);
}

TEST(mm_stale_tlb, no_thread_writes_to_a_protected_page)
{
	struct mm *mm = new_space();
	struct stepper writer;

	map(mm, 0, 1, RW);
	step_start(&writer, write_again, mm);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R), 0);
	step_to_end(&writer);
	CHECK_EQ(writer.result, -MM_SEGV_ACCERR);
	CHECK_EQ(peek(mm, AT(0)), 1);
	end_space(mm);
}

TEST(mm_stale_tlb, no_thread_reads_a_page_that_was_moved_away)
{
	struct mm *mm = new_space();
	struct stepper reader;

	map(mm, 0, 1, RW);
	step_start(&reader, read_again, mm);
	move(mm, 0, 8);
	step_to(&reader, 0);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	step_to_end(&reader);
	CHECK_EQ(peek(mm, AT(8)), 1);
	end_space(mm);
}

/* The copy has another frame. A thread that reads the old frame misses writes to the new one. */
TEST(mm_stale_tlb, no_thread_reads_the_old_frame_of_a_copied_page)
{
	struct mm *mm = new_space();
	struct stepper reader;
	struct mm *child;

	map(mm, 0, 1, RW);
	step_start(&reader, read_again, mm);
	child = fork_of(mm);
	CHECK_EQ(step_to(&reader, 0), PAUSED);
	CHECK_EQ(reader.result, 1);
	CHECK_EQ(poke(mm, AT(0), 2), 0);
	step_to_end(&reader);
	CHECK_EQ(reader.result, 2);
	CHECK_EQ(peek(child, AT(0)), 1);
	end_space(child);
	end_space(mm);
}

/* The page is in its TLB for reading only, so a write faults. */
static void read_and_fault(struct stepper *self)
{
	step_ready(self);
	CHECK_EQ(peek(self->mm, AT(0)), 1);
	step_pause(self);
	self->result = touch(self->mm, AT(0), W);
}

static void write_page(struct stepper *self)
{
	step_ready(self);
	self->result = poke(self->mm, AT(0), 2);
}

/*
 * A thread copies a page with the entry locked. For that it has to interrupt another thread, which
 * waits for the entry.
 */
TEST(mm_stale_tlb, a_flush_does_not_wait_for_a_thread_that_waits_for_an_entry)
{
	struct mm *mm = new_space();
	struct stepper waiter;
	struct stepper writer;
	struct mm *child;

	map(mm, 0, 2, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	child = fork_of(mm);
	step_start(&waiter, read_and_fault, mm);
	step_start(&writer, write_page, mm);
	CHECK_EQ(step_to(&waiter, 0), PAUSED);
	CHECK_EQ(step_to(&writer, AT_FLUSH), AT_FLUSH);
	CHECK_EQ(step_to(&waiter, AT_ENTRY_WAIT), AT_ENTRY_WAIT);
	/* The writer continues only after the flush. */
	CHECK_EQ(step_to(&writer, AFTER_FLUSH), AFTER_FLUSH);
	step_to_ends(&writer, &waiter);
	CHECK_EQ(writer.result, 0);
	CHECK_EQ(waiter.result, 0);
	end_space(child);
	end_space(mm);
}

/*
 * Which threads fill their TLBs, and when
 */

static void read_twice(struct stepper *self)
{
	step_ready(self);
	CHECK_EQ(peek(self->mm, AT(0)), 1);
	step_pause(self);
	self->result = peek(self->mm, AT(0));
}

/* The page table has the page, but not yet for this thread. */
TEST(mm_stale_tlb, a_thread_with_an_entry_in_its_tlb_is_flushed)
{
	struct mm *mm = new_space();
	struct stepper reader;

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	step_start(&reader, read_twice, mm);
	CHECK_EQ(step_to(&reader, 0), PAUSED);
	unmap(mm, 0, 1);
	step_to_end(&reader);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	end_space(mm);
}

static void fault_and_read(struct stepper *self)
{
	step_ready(self);
	CHECK_EQ(touch(self->mm, AT(0), W), 0);
	self->result = peek(self->mm, AT(0));
}

/* The fault has just unlocked the entry, and another thread unmaps the page. */
TEST(mm_stale_tlb, a_fault_fills_the_tlb_before_others_can_flush_it)
{
	struct mm *mm = new_space();
	struct mm__table *table;
	struct stepper reader;

	map(mm, 0, 1, RW);
	map(mm, 20, 1, RW);
	CHECK_EQ(poke(mm, AT(20), 9), 0);
	step_start(&reader, fault_and_read, mm);
	table = table_at(mm, AT(0));
	atomic_fetch_add(&table->waiters, 1);
	CHECK_EQ(step_to(&reader, AT_ENTRY_WAKE), AT_ENTRY_WAKE);
	atomic_fetch_sub(&table->waiters, 1);
	unmap(mm, 0, 1);
	step_to_end(&reader);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	end_space(mm);
}

/* The entry is for this thread, but another page has replaced it in the TLB. */
static void fill_and_read(struct stepper *self)
{
	struct mm_siginfo info;

	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	CHECK_EQ(poke(self->mm, AT(MM__TLB_ENTRIES), 9), 0);
	step_ready(self);
	(void)mm__tlb_fill(self->mm_thread, AT(0), R, &info);
	self->result = peek(self->mm, AT(0));
}

/* The flush delays the thread's walk of the page table. */
TEST(mm_stale_tlb, an_entry_is_not_put_in_that_was_read_before_a_flush)
{
	struct mm *mm = new_space();
	struct stepper reader;

	map(mm, 0, MM__TLB_ENTRIES + 1, RW);
	step_start(&reader, fill_and_read, mm);
	step_interrupt(&reader);
	/* The flush resumes the reader. */
	unmap(mm, 0, 1);
	step_to_end(&reader);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	end_space(mm);
}

static void write_each_time(struct stepper *self)
{
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(poke(self->mm, AT(0), i), 0);
		step_pause(self);
	}
}

static unsigned int heavy_fences;

static void count_fence(void)
{
	heavy_fences++;
}

/*
 * A heavy fence interrupts all threads. A thread that was interrupted passes a fence of its own for
 * some time, so that no heavy fence is needed.
 */
TEST(mm_stale_tlb, a_thread_that_is_flushed_again_and_again_needs_one_heavy_fence)
{
	struct mm *mm = new_space();
	struct stepper writer;

	map(mm, 0, 1, RW);
	step_start(&writer, write_each_time, mm);
	step_at_fence = count_fence;
	for (unsigned int i = 0; i < 3; i++) {
		/*
		 * Frees nothing. Where memory is freed, the checked build would interrupt all
		 * threads.
		 */
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R), 0);
		CHECK_EQ(heavy_fences, mmrange__fence_is_heavy ? 1 : i + 1);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), RW), 0);
		CHECK_EQ(step_to(&writer, 0), i < 2 ? PAUSED : ENDED);
	}
	step_at_fence = NULL;
	step_await_end(&writer);
	end_space(mm);
}

static void drop_page(struct stepper *self)
{
	step_ready(self);
	CHECK_EQ(mm_madvise(self->mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
}

/*
 * A thread takes the page out, and another thread puts a new one in. From then on, no thread may
 * use the old page through its TLB.
 */
TEST(mm_stale_tlb, no_thread_writes_to_a_page_that_another_has_replaced)
{
	struct mm *mm = new_space();
	struct stepper dropper;
	struct stepper writer;
	struct stepper other;

	map(mm, 0, 1, RW);
	step_start(&writer, write_again, mm);
	step_start(&other, write_page, mm);
	step_start(&dropper, drop_page, mm);
	CHECK_EQ(step_to(&dropper, AT_FLUSH), AT_FLUSH);
	if (step_to(&other, AT_ENTRY_WAIT) == AT_ENTRY_WAIT) {
		step_on(&other, 0);
		step_to_end(&dropper);
	}
	step_await_end(&other);
	CHECK_EQ(other.result, 0);
	step_to_end(&writer);
	CHECK_EQ(writer.result, 0);
	CHECK_EQ(peek(mm, AT(0)), 3);
	CHECK(dropper.ended);
	end_space(mm);
}

/* The read-only mapping that replaces a file that is not mapped any more. */
static void fail_by_write(int number)
{
	(void)number;
	test_fail(__FILE__, __LINE__, "written to a file that is not mapped any more");
}

/* A file stays mapped as long as one of its VMAs exists, and a VMA is freed after its pages. */
TEST(mm_stale_tlb, no_write_to_a_file_before_the_flush_is_lost)
{
	struct mm *mm = new_space();
	int fd = new_file(MM_PAGE_SIZE);
	void (*handler)(int number) = signal(SIGSEGV, fail_by_write);
	struct stepper unmapper;
	struct stepper writer;

	map_file_at(mm, 0, 1, RW, MM_MAP_SHARED, fd, 0);
	step_start(&writer, write_again, mm);
	step_start(&unmapper, unmap_page, mm);
	CHECK_EQ(step_to(&unmapper, AT_ZAP), AT_ZAP);
	step_to_end(&writer);
	CHECK_EQ(writer.result, 0);
	step_to_end(&unmapper);
	CHECK_EQ(byte_in_file(fd, 0), 3);
	CHECK_EQ(close(fd), 0);
	end_space(mm);
	signal(SIGSEGV, handler);
}
