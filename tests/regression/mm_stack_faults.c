/* SPDX-License-Identifier: MIT */
/*
 * A fault below a stack grows the stack, while other threads map, unmap or fault there.
 */
#include "stepper.h"

#define STACK 300u /* its first page; the gap that must stay free below it is above page 0 */

static struct mm *space_with_stack(void)
{
	struct mm *mm = new_space();

	map_as(mm, STACK, 2, RW, PRIVATE | MM_MAP_GROWSDOWN);
	CHECK_EQ(poke(mm, AT(STACK), 1), 0);
	return mm;
}

static void write_below(struct stepper *self)
{
	step_ready(self);
	self->result = touch(self->mm, AT(STACK - 1), W);
}

/* Stops the thread when it knows that the stack may grow, before it holds the whole space. */
static void start_growing(struct stepper *thread, struct mm *mm)
{
	step_start(thread, write_below, mm);
	CHECK_EQ(step_to(thread, AT_RANGE_LOCK), AT_RANGE_LOCK);
	CHECK_EQ(step_to(thread, AT_RANGE_LOCK), AT_RANGE_LOCK);
}

/* Another thread maps n pages before the fault holds the whole space. */
static void check_not_grown(unsigned int first, unsigned int n, int prot, int reason,
			    const char *vmas)
{
	struct mm *mm = space_with_stack();
	struct stepper thread;

	start_growing(&thread, mm);
	map(mm, first, n, prot);
	step_to_end(&thread);
	CHECK_EQ(thread.result, -reason);
	CHECK_VMAS(mm, vmas);
	end_space(mm);
}

TEST(mm_stack_faults, a_stack_does_not_grow_over_a_new_mapping)
{
	check_not_grown(STACK - 1, 1, R, MM_SEGV_ACCERR, "299-300:r--p 300-302:rw-p");
}

TEST(mm_stack_faults, a_stack_does_not_grow_close_to_a_new_mapping)
{
	check_not_grown(STACK - 2, 1, R, MM_SEGV_MAPERR, "298-299:r--p 300-302:rw-p");
}

TEST(mm_stack_faults, a_mapping_in_place_of_a_stack_does_not_grow)
{
	check_not_grown(STACK, 2, RW, MM_SEGV_MAPERR, "300-302:rw-p");
}

/* Two threads fault below the stack. The second finds that it has grown. */
TEST(mm_stack_faults, a_stack_grows_once)
{
	struct mm *mm = space_with_stack();
	struct stepper thread;

	start_growing(&thread, mm);
	CHECK_EQ(poke(mm, AT(STACK - 2), 2), 0);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_VMAS(mm, "298-302:rw-p");
	CHECK_EQ(peek(mm, AT(STACK - 2)), 2);
	end_space(mm);
}

/* The same, but the first thread has only found no VMA yet. */
TEST(mm_stack_faults, a_fault_succeeds_where_a_stack_has_grown_meanwhile)
{
	struct mm *mm = space_with_stack();
	struct stepper thread;

	step_start(&thread, write_below, mm);
	CHECK_EQ(step_to(&thread, AFTER_RANGE), AFTER_RANGE);
	CHECK_EQ(poke(mm, AT(STACK - 2), 2), 0);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_VMAS(mm, "298-302:rw-p");
	end_space(mm);
}

static void unmap_below(struct stepper *self)
{
	step_ready(self);
	unmap(self->mm, STACK - 2, 1);
}

static void write_further_below(struct stepper *self)
{
	step_ready(self);
	CHECK_EQ(poke(self->mm, AT(STACK - 3), 3), 0);
	CHECK_EQ(poke(self->mm, AT(STACK - 2), 2), 0);
}

/*
 * An mm_munmap() of a range without VMAs is about to take out pages. It must not take out those of
 * a stack that has grown into the range meanwhile.
 */
TEST(mm_stack_faults, nothing_is_lost_where_a_stack_grows_over_a_range_being_unmapped)
{
	struct mm *mm = space_with_stack();
	struct stepper unmapper;
	struct stepper writer;

	step_start(&unmapper, unmap_below, mm);
	step_start(&writer, write_further_below, mm);
	CHECK_EQ(step_to(&unmapper, AT_ZAP), AT_ZAP);
	step_to(&writer, AT_RANGE_WAIT);
	step_to_ends(&unmapper, &writer);
	CHECK_EQ(peek(mm, AT(STACK - 2)), 2);
	CHECK_EQ(peek(mm, AT(STACK - 3)), 3);
	CHECK_VMAS(mm, "297-302:rw-p");
	end_space(mm);
}

static void write_in_stack(struct stepper *self)
{
	step_ready(self);
	self->result = touch(self->mm, AT(STACK + 1), W);
}

/*
 * A fault has found a VMA in a border node. The stack grows, and another mapping then replaces the
 * border node. Neither the VMA nor the node is freed.
 */
TEST(mm_stack_faults, a_fault_in_a_stack_goes_on_while_it_grows)
{
	struct mm *mm = space_with_stack();
	struct stepper thread;

	fill_border(mm);
	step_start(&thread, write_in_stack, mm);
	CHECK_EQ(step_to(&thread, AT_VMA), AT_VMA);
	watch_free(atomic_load(&mm->vmas.root));
	CHECK_EQ(poke(mm, AT(STACK - 1), 2), 0);
	map(mm, 500, 1, R);
	CHECK(!was_freed());
	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	mm__rcu_barrier();
	CHECK(was_freed());
	CHECK_EQ(peek(mm, AT(STACK - 1)), 2);
	end_space(mm);
}
