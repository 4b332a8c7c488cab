/* SPDX-License-Identifier: MIT */
/*
 * The lock where the system has no memory for pthread_atfork(), which the linker wraps in this
 * program. The library does not learn of children. It does without everything that needs that, and
 * its locks work, in children too.
 */
#include "actors.h"
#include "forks.h"

#include "platform/platform.h"
#include "range_lock/forest.h"

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

static atomic_uint refused;

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	(void)prepare, (void)parent, (void)child;
	atomic_fetch_add(&refused, 1);
	return ENOMEM;
}

static struct range_lock lock, mine = RANGE_LOCK_INITIALIZER;
static struct actor holder, waiter;

TEST(fork_unseen, no_leaf_becomes_biased)
{
	struct range_hold range;

	CHECK(atomic_load(&refused) >= 2);
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	for (int i = 0; i < 10; i++) {
		make_impatient(&lock);
		take(&lock, &range, 0, 10, RANGE_READ);
		CHECK(!is_biased(&lock, 0));
		range_unlock(&lock, &range);
	}
	check_quiet_and_destroy(&lock);
}

static void wait_and_wake(struct range_lock *with)
{
	struct actor another;
	struct range_hold held;

	for (int i = 0; i < 10; i++) {
		take(with, &held, 0, 10, RANGE_WRITE);
		actor_queue(&another, with, 5, 6, i % 2 ? RANGE_READ : RANGE_WRITE);
		range_unlock(with, &held);
		CHECK_EQ(actor_finish(&another), 0);
	}
}

TEST(fork_unseen, threads_wait_and_wake_each_other)
{
	struct range_hold held;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	wait_and_wake(&lock);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	actor_queue_timed(&waiter, &lock, 0, 10, RANGE_READ, SECOND / 1000);
	CHECK_EQ(actor_finish(&waiter), ETIMEDOUT);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

static int check_thread(const struct range_info *info, void *arg)
{
	CHECK_EQ(info->thread, *(uint32_t *)arg);
	return 0;
}

/* The library cannot know a better number in a child that it has not learnt of. */
static void check_my_number(void)
{
	uint32_t own = (uint32_t)mmrange__self();
	struct range_hold range;

	take(&mine, &range, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_lock_foreach(&mine, check_thread, &own), 0);
	range_unlock(&mine, &range);
}

/* The waiter's thread was in the middle of preparing its wait. */
static void use_own_lock(void *arg)
{
	(void)arg;
	check_my_number();
	if (!under_thread_sanitizer())
		wait_and_wake(&mine);
	check_quiet_and_destroy(&mine);
}

TEST(fork_unseen, a_child_uses_its_own_locks)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	actor_start(&holder, &lock, 0, 10, RANGE_WRITE);
	actor_await(&holder);
	actor_queue(&waiter, &lock, 0, 10, RANGE_WRITE);
	for (unsigned int i = 0; i < test_scale(50); i++)
		check_in_child(use_own_lock, NULL);
	CHECK_EQ(actor_finish(&holder), 0);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}
