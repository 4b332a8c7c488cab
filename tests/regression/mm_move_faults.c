/* SPDX-License-Identifier: MIT */
/*
 * mm_mremap() against faults at the old and at the new place of the pages.
 */
#include "stepper.h"

static void move_page(struct stepper *self)
{
	step_ready(self);
	move(self->mm, 0, 8);
}

static void write_at_new_place(struct stepper *self)
{
	step_ready(self);
	self->result = poke(self->mm, AT(8) + 1, 2);
}

/* The VMA has arrived, and the page has not yet. */
TEST(mm_move_faults, no_write_is_lost_where_a_page_arrives)
{
	struct mm *mm = new_space();
	struct stepper mover;
	struct stepper writer;

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	step_start(&mover, move_page, mm);
	step_start(&writer, write_at_new_place, mm);
	CHECK_EQ(step_to(&mover, AT_MOVE), AT_MOVE);
	step_to(&writer, AT_RANGE_WAIT);
	step_to_ends(&mover, &writer);
	CHECK_EQ(writer.result, 0);
	CHECK_EQ(peek(mm, AT(8)), 1);
	CHECK_EQ(peek(mm, AT(8) + 1), 2);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGING), 1);
	end_space(mm);
}

static void read_at_old_place(struct stepper *self)
{
	step_ready(self);
	(void)peek(self->mm, AT(0));
	step_pause(self);
	self->result = peek(self->mm, AT(0));
}

/* The fault found the VMA before the move, and continues after the flush of the TLBs. */
TEST(mm_move_faults, a_page_is_not_seen_where_it_was)
{
	struct mm *mm = new_space();
	struct stepper mover;
	struct stepper reader;

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	step_start(&mover, move_page, mm);
	step_start(&reader, read_at_old_place, mm);
	CHECK_EQ(step_to(&reader, AT_VMA), AT_VMA);
	CHECK_EQ(step_to(&mover, AT_MOVE), AT_MOVE);
	CHECK_EQ(step_to(&mover, AFTER_FLUSH), AFTER_FLUSH);
	step_to(&reader, AT_RANGE_WAIT);
	step_to_end(&mover);
	if (reader.at == AT_RANGE_WAIT)
		CHECK_EQ(step_to(&reader, 0), PAUSED);
	step_to_end(&reader);
	CHECK_EQ(reader.result, -MM_SEGV_MAPERR);
	CHECK_EQ(peek(mm, AT(8)), 1);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGING), 1);
	end_space(mm);
}

/* The page would never be taken out, as it has no VMA any more. */
TEST(mm_move_faults, no_page_is_installed_where_pages_were)
{
	struct mm *mm = new_space();
	struct stepper thread;

	map(mm, 0, 1, RW);
	map(mm, 20, 1, RW);
	CHECK_EQ(poke(mm, AT(20), 9), 0);
	start_write_fault(&thread, mm, AT_ENTRY);
	move(mm, 0, 8);
	step_to_end(&thread);
	CHECK_EQ(thread.result, -MM_SEGV_MAPERR);
	CHECK_EQ(entry_at(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_CHANGED), 1);
	end_space(mm);
}
