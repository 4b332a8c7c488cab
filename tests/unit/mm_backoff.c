/* SPDX-License-Identifier: MIT */
/*
 * A thread that waits for the progress of another thread lets that thread run, whatever their
 * priorities: it spins for a bounded time, and then sleeps. The linker redirects the library's
 * sleeps to this file.
 */
#include "mm/attach.h"
#include "mm/backoff.h"
#include "spaces.h"
#include "threads.h"

#define MANY_ROUNDS 200u

static _Thread_local bool counts;
static atomic_uint sleeps, yields;

int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __real_sched_yield(void);
int __wrap_sched_yield(void);

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	if (counts && deadline)
		atomic_fetch_add(&sleeps, 1);
	return __real_mmrange__park(word, expected, clock, deadline);
}

int __wrap_sched_yield(void)
{
	if (counts)
		atomic_fetch_add(&yields, 1);
	return __real_sched_yield();
}

TEST(mm_backoff, spins_for_a_bounded_time)
{
	struct mm__backoff backoff = { 0 };

	atomic_store(&sleeps, 0);
	atomic_store(&yields, 0);
	counts = true;
	for (unsigned int i = 0; i < MANY_ROUNDS; i++)
		mm__backoff(&backoff);
	counts = false;
	CHECK(atomic_load(&yields) <= 20);
	CHECK(atomic_load(&sleeps) >= MANY_ROUNDS - 150);
}

static void *flush(void *arg)
{
	struct mm *mm = arg;

	CHECK(mm__this_thread(mm));
	counts = true;
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(1)), 0);
	return NULL;
}

/* The interrupted thread does not respond, as if it had been preempted. */
TEST(mm_backoff, a_thread_that_interrupts_another_sleeps_while_it_waits)
{
	struct mm *mm = new_space();
	struct mm__thread *self = mm__this_thread(mm);
	pthread_t thread;

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	atomic_store(&sleeps, 0);
	mm__thread_enter(self);
	thread = thread_start(flush, mm);
	AWAIT(atomic_load(&sleeps) >= 3);
	mm__thread_leave(self);
	thread_join(thread);
	end_space(mm);
}

static void *wait_for_readers(void *arg)
{
	(void)arg;
	CHECK(mm__os_thread_attach());
	mm__rcu_free(calloc(1, sizeof(struct mm__garbage)));
	counts = true;
	mm__rcu_barrier();
	return NULL;
}

TEST(mm_backoff, a_thread_that_waits_for_readers_sleeps)
{
	pthread_t thread;

	CHECK(mm__os_thread_attach());
	atomic_store(&sleeps, 0);
	mm__rcu_read_lock();
	thread = thread_start(wait_for_readers, NULL);
	AWAIT(atomic_load(&sleeps) >= 3);
	mm__rcu_read_unlock();
	thread_join(thread);
}
