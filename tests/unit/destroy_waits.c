/* SPDX-License-Identifier: MIT */
/*
 * range_lock_destroy() and a reader that is still on its way out of a slot. The destroying thread
 * sleeps, and does not spin, so that the reader gets the processor whatever the priorities of both
 * are. A release frees its slot before it wakes a thread, so that this is rare. The linker wraps
 * the calls that sleep and wake.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/slots.h"

#include <errno.h>

int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
void __real_mmrange__unpark(_Atomic(uint64_t) *word, bool all);
void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all);

static struct range_lock lock;
static struct range_hold range;
static struct actor writer;
/* The slot under watch, and the state that frees it. The writer's thread reads both, too. */
static _Atomic(struct range__slot *) slot;
static uint64_t free_again;
static unsigned int sleeps, wakes;

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	struct range__slot *watched = atomic_load(&slot);
	int result = __real_mmrange__park(word, expected, clock, deadline);

	if (!watched || word != &watched->state)
		return result;
	/* The reader frees its slot after three sleeps of the destroying thread. */
	CHECK(deadline);
	CHECK_EQ(result, ETIMEDOUT);
	if (++sleeps == 3)
		range__slot_free(watched, free_again);
	return result;
}

void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	struct range__slot *watched = atomic_load(&slot);

	if (watched && word == &range__hold(&writer.range)->state) {
		CHECK_EQ(atomic_load(&watched->state) & SLOT_TAG, SLOT_FREE);
		wakes++;
	}
	__real_mmrange__unpark(word, all);
}

TEST(destroy_waits, destroy_sleeps_until_a_reader_has_left_its_slot)
{
	/* range_unlock() never releases this range. */
	static struct range_hold left;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 0);
	/* Not the first use of the slot, so that its state has a version. */
	take_published(&lock, &left, 0, 10);
	range_unlock(&lock, &left);
	take_published(&lock, &left, 0, 10);
	sleeps = 0;
	free_again = range__slot_leave(range__hold(&left)->slot);
	atomic_store(&slot, range__hold(&left)->slot);
	CHECK_EQ(range_lock_destroy(&lock), 0);
	CHECK_EQ(sleeps, 3);
	atomic_store(&slot, NULL);
}

/* The woken writer may preempt this thread, and need not wait for the slot. */
TEST(destroy_waits, a_slot_is_free_before_the_release_wakes_a_waiter)
{
	for (int fair = 0; fair < 2; fair++) {
		init_lock(&lock, fairnesses[fair], 1);
		/* The checked build unparks a waiter that becomes starving in any case. */
		set_starvation(&lock, UINT64_MAX / 2);
		make_biased(&lock, 0);
		take_published(&lock, &range, 0, 10);
		actor_queue(&writer, &lock, 5, 6, RANGE_WRITE);
		wakes = 0;
		atomic_store(&slot, range__hold(&range)->slot);
		range_unlock(&lock, &range);
		CHECK_EQ(wakes, 1);
		atomic_store(&slot, NULL);
		CHECK_EQ(actor_finish(&writer), 0);
		check_quiet_and_destroy(&lock);
	}
}
