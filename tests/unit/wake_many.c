/* SPDX-License-Identifier: MIT */
/*
 * A release that frees many waiters at once unparks each of them: most after it has unlocked the
 * leaf, and those that it has no room to remember immediately. The waiters here have no threads,
 * and the linker wraps the call that would unpark them.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/span.h"
#include "range_lock/waiters.h"

void __real_mmrange__unpark(_Atomic(uint64_t) *word, bool all);
void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all);

enum { MOST = 200 };

static struct range_lock lock;
static struct range__hold waiters[MOST];
static struct range__set sets[MOST];
static unsigned int unparked[MOST];

void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	for (unsigned int i = 0; i < MOST; i++)
		unparked[i] += word == &waiters[i].state;
	__real_mmrange__unpark(word, all);
}

static void queue_dummy_waiter(unsigned int i)
{
	struct range__leaf *leaf = leaf_at(&lock, 0);

	waiters[i] = (struct range__hold){ .start = 0, .end = 10, .mode = RANGE_READ };
	waiters[i].owner = mmrange__self();
	sets[i] = range__set_of(range__lock(&lock), &waiters[i]);
	sets[i].queued = &waiters[i];
	waiters[i].set = &sets[i];
	range__leaf_lock(leaf);
	range__leaf_enqueue(leaf, &waiters[i]);
	range__leaf_unlock(leaf, NULL);
}

TEST(wake_many, each_of_many_waiters_that_one_release_frees_is_unparked_once)
{
	for (unsigned int n = 60; n <= MOST; n += n < 70 ? 1 : 65) {
		struct range_hold held;

		init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		for (unsigned int i = 0; i < MOST; i++) {
			unparked[i] = 0;
			if (i < n)
				queue_dummy_waiter(i);
		}
		range_unlock(&lock, &held);
		for (unsigned int i = 0; i < n; i++) {
			CHECK_EQ(atomic_load(&waiters[i].state), RANGE_WOKEN);
			CHECK_EQ(unparked[i], 1);
		}
		for (unsigned int i = 0; i < n; i++)
			CHECK_EQ(range_cancel(&lock, range__public(&waiters[i])), 0);
		check_quiet_and_destroy(&lock);
	}
}
