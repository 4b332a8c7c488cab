/* SPDX-License-Identifier: MIT */
/*
 * The order of the first steps of a grace period. tests/model/rcu.pml shows how another order
 * fails; tests/unit/mm_rcu.c tests which garbage is freed when.
 */
#include "mm/attach.h"
#include "stepper.h"

static unsigned int fences;
static uint64_t epoch_at_fence;

static uint64_t epoch_now(void)
{
	return atomic_load(&mm__rcu_epoch.now);
}

static void look(void)
{
	fences++;
	epoch_at_fence = epoch_now();
}

TEST(mm_grace_period, begins_with_a_fence_and_then_the_epoch)
{
	uint64_t before;

	CHECK(mm__os_thread_attach());
	mm__rcu_barrier();
	before = epoch_now();
	step_at_fence = look;
	mm__rcu_free(calloc(1, sizeof(struct mm__garbage)));
	CHECK_EQ(fences, 0);
	mm__rcu_poll();
	step_at_fence = NULL;
	CHECK_EQ(fences, 1);
	CHECK_EQ(epoch_at_fence, before);
	CHECK_EQ(epoch_now(), before + 1);
}

/* A grace period that no thread needs costs nothing. */
TEST(mm_grace_period, does_not_begin_where_nothing_waits_for_it)
{
	uint64_t before;

	CHECK(mm__os_thread_attach());
	mm__rcu_barrier();
	before = epoch_now();
	for (unsigned int i = 0; i < 10; i++) {
		mm__rcu_poll();
		mm__rcu_barrier();
	}
	CHECK_EQ(epoch_now(), before);
}
