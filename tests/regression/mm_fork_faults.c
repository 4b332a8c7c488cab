/* SPDX-License-Identifier: MIT */
/*
 * mm_fork() against faults, and against threads that write to a page through their TLBs.
 */
#include "stepper.h"

/* Faults the page in as the thread's own, and writes to it again later. */
static void fault_and_write(struct stepper *self)
{
	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	step_ready(self);
	self->result = touch(self->mm, AT(0), W);
	CHECK_EQ(poke(self->mm, AT(0), 2), 0);
}

/* When the fault looked, only this space had the frame; now a child shares it. */
TEST(mm_fork_faults, a_fault_does_not_allow_writing_to_a_page_that_fork_shared)
{
	struct mm *mm = new_space();
	struct stepper thread;
	struct mm *first;
	struct mm *second;
	uint64_t seen;

	map(mm, 0, 1, RW);
	step_start(&thread, fault_and_write, mm);
	first = fork_of(mm);
	unmap(first, 0, 1);
	seen = entry_at(mm, AT(0));
	CHECK_EQ(step_to(&thread, AT_ENTRY), AT_ENTRY);

	second = fork_of(mm);
	CHECK_EQ(entry_at(mm, AT(0)), seen);

	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(peek(second, AT(0)), 1);
	CHECK_EQ(peek(mm, AT(0)), 2);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(first);
	end_space(second);
	end_space(mm);
}

static void write_twice(struct stepper *self)
{
	CHECK_EQ(poke(self->mm, AT(0), 1), 0);
	step_ready(self);
	CHECK_EQ(poke(self->mm, AT(0), 2), 0);
	step_pause(self);
	self->result = peek(self->mm, AT(0));
}

TEST(mm_fork_faults, later_writes_of_a_thread_are_not_in_the_child)
{
	struct mm *mm = new_space();
	struct stepper writer;
	struct mm *child;

	map(mm, 0, 1, RW);
	step_start(&writer, write_twice, mm);
	child = fork_of(mm);
	CHECK_EQ(step_to(&writer, 0), PAUSED);
	CHECK_EQ(peek(child, AT(0)), 1);
	step_to_end(&writer);
	CHECK_EQ(writer.result, 2);
	end_space(child);
	end_space(mm);
}

static void make_child(struct stepper *self)
{
	step_ready(self);
	self->child = fork_of(self->mm);
}

/*
 * The entry is read-only now, but the writer still writes through its TLB, when a fault of another
 * thread would copy the page. Two things keep that fault out: the count of the VMA, and the
 * writer's number in the entry. Either of them suffices.
 */
TEST(mm_fork_faults, a_page_is_not_copied_before_the_flush)
{
	struct mm *mm = new_space();
	struct stepper parent;
	struct stepper writer;
	struct stepper thread;

	map(mm, 0, 1, RW);
	step_start(&writer, write_twice, mm);
	step_start(&thread, write_fault, mm);
	step_start(&parent, make_child, mm);
	CHECK_EQ(step_to(&parent, AT_FLUSH), AT_FLUSH);
	step_to(&thread, AT_ENTRY | AT_RANGE_WAIT);
	CHECK_EQ(step_to(&writer, 0), PAUSED);

	step_to_ends(&parent, &thread);
	CHECK_EQ(thread.result, 0);
	step_to_end(&writer);
	CHECK_EQ(writer.result, 2);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGING), 1);
	end_space(parent.child);
	end_space(mm);
}
