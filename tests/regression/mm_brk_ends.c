/* SPDX-License-Identifier: MIT */
/*
 * mm_brk() where the end of the heap, or the VMA after the heap, changes before the range is held.
 */
#include "stepper.h"

static uint64_t brk_to(struct mm *mm, uint64_t brk)
{
	uint64_t result = 1;

	CHECK_EQ(mm_brk(mm, brk, &result), 0);
	return result;
}

/* A heap of three pages. */
static struct mm *new_heap(void)
{
	struct mm_attr attr;
	struct mm *mm;

	mm_attr_init(&attr);
	attr.brk_start = AT(0);
	mm = new_space_with(&attr);
	/* So the tree is not empty. */
	map(mm, 1000, 1, RW);
	CHECK_EQ(brk_to(mm, AT(3)), AT(3));
	return mm;
}

static void grow_heap(struct stepper *self)
{
	step_ready(self);
	self->result = brk_to(self->mm, AT(5)) == AT(5);
}

static void check_growing(struct mm *mm, void (*meanwhile)(struct mm *mm), bool grows,
			  const char *vmas)
{
	struct stepper thread;

	step_start(&thread, grow_heap, mm);
	CHECK_EQ(step_to(&thread, AT_RANGE_LOCK), AT_RANGE_LOCK);
	meanwhile(mm);
	step_to_end(&thread);
	CHECK_EQ(thread.result, grows);
	CHECK_VMAS(mm, vmas);
	end_space(mm);
}

static void shrink(struct mm *mm)
{
	CHECK_EQ(brk_to(mm, AT(1)), AT(1));
}

/* The two threads hold ranges that do not overlap. */
TEST(mm_brk_ends, a_heap_that_grows_while_it_shrinks_has_no_hole)
{
	check_growing(new_heap(), shrink, true, "0-5:rw-p 1000-1001:rw-p");
}

static void move_in_page(struct mm *mm)
{
	CHECK_EQ(brk_to(mm, AT(3) - 10), AT(3) - 10);
}

TEST(mm_brk_ends, the_end_may_move_in_its_page_while_the_heap_grows)
{
	check_growing(new_heap(), move_in_page, true, "0-5:rw-p 1000-1001:rw-p");
}

static void map_behind(struct mm *mm)
{
	map(mm, 5, 1, R);
}

TEST(mm_brk_ends, a_heap_does_not_grow_up_to_a_new_mapping)
{
	check_growing(new_heap(), map_behind, false, "0-3:rw-p 5-6:r--p 1000-1001:rw-p");
}

static void map_stack(struct mm *mm)
{
	map_as(mm, 200, 1, RW, PRIVATE | MM_MAP_GROWSDOWN);
}

TEST(mm_brk_ends, a_heap_does_not_grow_close_to_a_stack_that_was_mapped_meanwhile)
{
	check_growing(new_heap(), map_stack, false, "0-3:rw-p 200-201:rw-p 1000-1001:rw-p");
}
