/* SPDX-License-Identifier: MIT */
/*
 * toy MODE CORES OPERATIONS - programs whose transfers are known, to check that the plugin counts
 * them. See smoke_test.sh.
 */
#include "markers.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024, LINE = 64 };

/* All data except that of the mode under test is on lines of its own. */
struct thread {
	alignas(2 * LINE) pthread_t thread;
	unsigned int id;
	atomic_ulong done;
	alignas(2 * LINE) _Atomic(uint64_t) padded;
	alignas(2 * LINE) _Atomic(uint32_t) turn;
};

static struct thread threads[MAX_THREADS];
static alignas(2 * LINE) _Atomic(uint64_t) shared;
/* One counter per thread, eight counters on a line. */
static alignas(2 * LINE) _Atomic(uint64_t) crowded[MAX_THREADS];

static alignas(2 * LINE) struct {
	void (*operate)(struct thread *thread);
	unsigned int cores;
	unsigned long operations;
} run;

static alignas(2 * LINE) atomic_ulong over = MARKER_PROBE;

/* relaxed, in all of this file: it is about cache lines only */
static void add(_Atomic(uint64_t) *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void padded(struct thread *thread)
{
	add(&thread->padded);
}

static void all_share_one(struct thread *thread)
{
	(void)thread;
	add(&shared);
}

static void share_falsely(struct thread *thread)
{
	add(&crowded[thread->id]);
}

/* Sleeps until the thread has the turn, and passes the turn on to the next thread. */
static void relay(struct thread *thread)
{
	_Atomic(uint32_t) *next = &threads[(thread->id + 1) % run.cores].turn;

	while (atomic_load_explicit(&thread->turn, memory_order_relaxed) == 0)
		syscall(SYS_futex, &thread->turn, FUTEX_WAIT_PRIVATE, 0, NULL);
	atomic_store_explicit(&thread->turn, 0, memory_order_relaxed);
	atomic_store_explicit(next, 1, memory_order_relaxed);
	syscall(SYS_futex, next, FUTEX_WAKE_PRIVATE, 1);
}

static void do_round(struct thread *thread)
{
	unsigned long i;

	for (i = 1; i <= run.operations && !atomic_load_explicit(&over, memory_order_relaxed);
	     i++) {
		run.operate(thread);
		atomic_store_explicit(&thread->done, i, memory_order_relaxed);
	}
	marker(MARKER_DONE, 0, 0, 0);
}

static void *body(void *argument)
{
	struct thread *thread = argument;

	marker(MARKER_ENTER, thread->id, run.cores, (uintptr_t)&over);
	marker(MARKER_MEET, 0, 0, 0);
	do_round(thread);
	atomic_store_explicit(&thread->done, 0, memory_order_relaxed);
	marker(MARKER_COUNT, (uintptr_t)&thread->done, 0, 0);
	do_round(thread);
	return NULL;
}

static const struct mode {
	const char *name;
	void (*operate)(struct thread *thread);
} modes[] = {
	{ "padded", padded },
	{ "shared", all_share_one },
	{ "false", share_falsely },
	{ "relay", relay },
};

static bool parse(char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			run.operate = modes[i].operate;
	run.cores = (unsigned int)strtoul(argv[2], NULL, 10);
	run.operations = strtoul(argv[3], NULL, 10);
	return run.operate && run.cores >= 1 && run.cores <= MAX_THREADS && run.operations > 0;
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 4 || !parse(argv)) {
		fprintf(stderr, "usage: toy padded|shared|false|relay CORES OPERATIONS\n");
		return 2;
	}
	marker(MARKER_NAME, (uintptr_t)crowded, sizeof(crowded), (uintptr_t) "crowded");
	marker(MARKER_NAME, (uintptr_t)&shared, sizeof(shared), (uintptr_t) "shared");
	atomic_init(&threads[0].turn, 1);
	for (i = 0; i < run.cores; i++) {
		threads[i].id = i;
		if (pthread_create(&threads[i].thread, NULL, body, &threads[i]) != 0)
			return 1;
	}
	for (i = 0; i < run.cores; i++)
		pthread_join(threads[i].thread, NULL);
	return 0;
}
