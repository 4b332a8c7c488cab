/* SPDX-License-Identifier: MIT */
/*
 * A program to be traced: until its standard input ends, it makes each probe of the range lock
 * fire. First it prints the numbers of its two threads and the addresses of its two locks.
 *
 * In one lock the holder, which is the main thread, has [0, 20) for writing each time the waiter
 * comes for [5, 10), and sees to it that the waiter waits; then the waiter tries [6, 9) until a
 * deadline. The other lock becomes biased, loses its bias, and splits.
 */
#define _GNU_SOURCE
#include <mmrange/range_lock.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static struct range_lock other = RANGE_LOCK_INITIALIZER;
static sem_t come, gone;
static long waiter_number;

static void check(int condition)
{
	if (!condition)
		abort();
}

static void await(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

static uint64_t waits(void)
{
	struct range_lock_stats stats;

	range_lock_stats(&lock, &stats);
	return stats.waits;
}

/* A name to find in a stack. */
__attribute__((noinline)) void waits_for_the_range(struct range_hold *range);
__attribute__((noinline)) void waits_for_the_range(struct range_hold *range)
{
	check(range_lock(&lock, range, 5, 10, RANGE_WRITE) == 0);
	range_unlock(&lock, range);
}

__attribute__((noinline)) static void fail_to_wait(struct range_hold *range)
{
	struct timespec soon;

	clock_gettime(CLOCK_MONOTONIC, &soon);
	check(range_timedlock(&lock, range, 6, 9, RANGE_READ, CLOCK_MONOTONIC, &soon) == ETIMEDOUT);
}

static void visit_other(uint64_t key, enum range_mode mode)
{
	struct range_hold range;

	check(range_lock(&other, &range, key, key + 1, mode) == 0);
	range_unlock(&other, &range);
}

/* What the main thread asks of the waiter. */
static enum { WAIT, FAIL, VISIT } wanted;

static void *do_what_is_wanted(void *arg)
{
	struct range_hold range;

	(void)arg;
	waiter_number = syscall(SYS_gettid);
	for (;;) {
		sem_post(&gone);
		await(&come);
		if (wanted == WAIT)
			waits_for_the_range(&range);
		else if (wanted == FAIL)
			fail_to_wait(&range);
		else
			visit_other(100, RANGE_WRITE);
	}
	return NULL;
}

static void hold_against_the_waiter(void)
{
	uint64_t before = waits();
	struct range_hold range;

	check(range_lock(&lock, &range, 0, 20, RANGE_WRITE) == 0);
	wanted = WAIT;
	sem_post(&come);
	while (waits() == before)
		sched_yield();
	range_unlock(&lock, &range);
	await(&gone);
	check(range_lock(&lock, &range, 0, 20, RANGE_WRITE) == 0);
	wanted = FAIL;
	sem_post(&come);
	await(&gone);
	range_unlock(&lock, &range);
}

static void bias_and_revoke(void)
{
	for (int i = 0; i < 2000; i++)
		visit_other(0, RANGE_READ);
	visit_other(0, RANGE_WRITE);
}

/* The threads take turns at two keys of a new lock, until it has split. */
static void split(void)
{
	struct range_lock_stats stats;

	do {
		visit_other(0, RANGE_WRITE);
		wanted = VISIT;
		sem_post(&come);
		await(&gone);
		range_lock_stats(&other, &stats);
	} while (stats.splits == 0);
	check(range_lock_destroy(&other) == 0);
	check(range_lock_init(&other, NULL) == 0);
}

int main(void)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	pthread_t waiter;

	check(!sem_init(&come, 0, 0) && !sem_init(&gone, 0, 0));
	check(!pthread_create(&waiter, NULL, do_what_is_wanted, NULL));
	await(&gone);
	printf("%ld %ld %p %p\n", (long)getpid(), waiter_number, (void *)&lock, (void *)&other);
	fflush(stdout);
	while (poll(&input, 1, 0) == 0) {
		hold_against_the_waiter();
		bias_and_revoke();
		split();
	}
	return 0;
}
