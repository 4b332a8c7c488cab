/* SPDX-License-Identifier: MIT */
/*
 * Threads, time and waiting for tests. No function here sleeps to synchronise: a test waits for a
 * state that it can see, and the watchdog ends a test whose state never comes.
 */
#ifndef TESTS_THREADS_H
#define TESTS_THREADS_H

#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000) /* in nanoseconds */

#ifdef MMRANGE_CHECKED
static const bool checked_build = true;
#else
static const bool checked_build = false;
#endif

/* Waits until the condition holds, which other threads make true. */
#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		while (!(condition))                                                               \
			sched_yield();                                                             \
	} while (0)

static inline pthread_t thread_start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, run, arg), 0);
	return thread;
}

static inline void thread_join(pthread_t thread)
{
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static inline void sem_await(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

static inline struct timespec time_after(clockid_t clock, uint64_t ns)
{
	struct timespec time;

	clock_gettime(clock, &time);
	ns += (uint64_t)time.tv_nsec;
	time.tv_sec += (time_t)(ns / SECOND);
	time.tv_nsec = (long)(ns % SECOND);
	return time;
}

static inline uint64_t now_ns(void)
{
	struct timespec now = time_after(CLOCK_MONOTONIC, 0);

	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Keeps the processor busy. */
static inline void spin_ns(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		;
}

static inline bool under_thread_sanitizer(void)
{
#if defined(__SANITIZE_THREAD__)
	return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
	return true;
#else
	return false;
#endif
#else
	return false;
#endif
}

static inline unsigned int cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 1 ? (unsigned int)n : 1;
}

#endif
