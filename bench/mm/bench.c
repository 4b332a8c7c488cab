/* SPDX-License-Identifier: MIT */
#include "bench.h"
#include "platform/platform.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/*
	 * A thread warms up for this time, or this many rounds, whichever comes first; or for this
	 * many rounds if all threads do each round together.
	 */
	WARM_UP_NS = 1000000,
	WARM_UP_ROUNDS = 2000,
	WARM_UP_TOGETHER = 4,
};

struct mm_bench {
	/* Read only while the threads run. */
	alignas(CREW_LINES) const struct mm_workload *workload;
	const struct mm_mode *mode;
	struct mm_worker *workers; /* NULL: there are no spaces yet */
	unsigned int threads;
	unsigned int spaces; /* of the first workers; the other workers use the first one's space */
	char name[64];
	/* Locked while a thread makes the spaces. */
	pthread_mutex_t opening;
	/* Before the measured part. */
	struct mm_stats before;
	uint64_t others_before;
	struct crew crew;
};

static uint64_t size = UINT64_C(128) << 20; /* the size that will-it-scale uses */

void must(const struct mm_worker *worker, const char *what, int error)
{
	if (!error)
		return;
	fprintf(stderr, "mmrange-bench: %s: %s: %s\n", worker->name, what, strerror(error));
	_exit(1);
}

static void *new_lines(size_t bytes)
{
	void *memory;

	bytes = (bytes + CREW_LINES - 1) / CREW_LINES * CREW_LINES;
	memory = aligned_alloc(CREW_LINES, bytes);
	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

bool mm_bench_makes_sense(const struct mm_workload *workload, const struct mm_mode *mode,
			  unsigned int threads)
{
	if (threads > 1 && (workload->alone || mode->floor))
		return false;
	if (mode->apart && (threads == 1 || workload->meets))
		return false;
	return !(workload->others && mode->floor);
}

struct mm_bench *mm_bench_new(const struct mm_workload *workload, const struct mm_mode *mode,
			      unsigned int threads)
{
	struct mm_bench *bench = new_lines(sizeof(*bench));

	if (!bench)
		return NULL;
	bench->workload = workload;
	bench->mode = mode;
	bench->threads = threads;
	bench->spaces = mode->apart ? threads : 1;
	pthread_mutex_init(&bench->opening, NULL);
	crew_init(&bench->crew, threads);
	snprintf(bench->name, sizeof(bench->name), "mm/%s/%s", workload->name, mode->name);
	return bench;
}

const char *mm_bench_name(const struct mm_bench *bench)
{
	return bench->name;
}

void mm_bench_set_size(uint64_t bytes)
{
	size = bytes;
}

/* A file of the size, all holes, and without a name. */
static int new_file(const struct mm_worker *worker)
{
	FILE *file = tmpfile();
	int fd;

	must(worker, "tmpfile", file ? 0 : errno);
	fd = dup(fileno(file));
	must(worker, "dup", fd >= 0 ? 0 : errno);
	fclose(file);
	must(worker, "ftruncate", ftruncate(fd, (off_t)size) == 0 ? 0 : errno);
	return fd;
}

static void init_worker(struct mm_bench *bench, unsigned int thread)
{
	struct mm_worker *worker = &bench->workers[thread];

	worker->ops = bench->mode->ops;
	worker->workload = bench->workload;
	worker->name = bench->name;
	worker->crew = &bench->crew;
	worker->all = bench->workers;
	worker->id = thread;
	worker->threads = bench->threads;
	worker->size = size;
	worker->random = thread;
	worker->fd = bench->workload->file ? new_file(worker) : -1;
}

static struct mm *new_space(struct mm_bench *bench)
{
	const struct mm_worker no_worker = { .name = bench->name };
	const struct mm_ops *ops = bench->mode->ops;
	struct mm_attr attr;
	struct mm *mm;

	ops->attr_init(&attr);
	attr.locking = bench->mode->locking;
	attr.max_areas = UINT32_MAX;
	if (bench->workload->own_place)
		attr.placement = MM_PLACEMENT_THREAD;
	must(&no_worker, "mm_create", ops->create(&mm, &attr));
	return mm;
}

static void make_spaces(struct mm_bench *bench)
{
	const struct mm_worker no_worker = { .name = bench->name };
	unsigned int thread;

	bench->workers = new_lines(bench->threads * sizeof(struct mm_worker));
	must(&no_worker, "malloc", bench->workers ? 0 : ENOMEM);
	for (thread = 0; thread < bench->threads; thread++) {
		struct mm_worker *worker = &bench->workers[thread];

		worker->mm = thread < bench->spaces ? new_space(bench) : bench->workers[0].mm;
		init_worker(bench, thread);
	}
	if (bench->workload->begin)
		bench->workload->begin(&bench->workers[0]);
}

static void destroy_spaces(struct mm_bench *bench)
{
	unsigned int thread;

	for (thread = 0; thread < bench->spaces; thread++)
		bench->mode->ops->destroy(bench->workers[thread].mm);
	for (thread = 0; thread < bench->threads; thread++)
		if (bench->workers[thread].fd >= 0)
			close(bench->workers[thread].fd);
	free(bench->workers);
	bench->workers = NULL;
}

void mm_bench_delete(struct mm_bench *bench)
{
	if (bench->workers)
		destroy_spaces(bench);
	pthread_mutex_destroy(&bench->opening);
	free(bench);
}

/* Adds the counters that this file uses. */
static void add_stats(struct mm_stats *sum, const struct mm_stats *stats)
{
	unsigned int i;

	sum->areas += stats->areas;
	sum->pages += stats->pages;
	sum->faults_minor += stats->faults_minor;
	sum->faults_speculative += stats->faults_speculative;
	for (i = 0; i < MM_NR_FALLBACKS; i++)
		sum->fallbacks[i] += stats->fallbacks[i];
	for (i = 0; i < MM_NR_HOLD_TIMES; i++)
		sum->hold_times[i] += stats->hold_times[i];
}

/* Of all spaces together. Counters that a library does not know stay 0. */
static struct mm_stats get_stats(const struct mm_bench *bench)
{
	struct mm_stats sum = { 0 };
	unsigned int i;

	for (i = 0; i < bench->spaces; i++) {
		struct mm_stats stats = { 0 };

		bench->mode->ops->get_stats(bench->workers[i].mm, &stats, sizeof(stats));
		add_stats(&sum, &stats);
	}
	return sum;
}

static uint64_t get_others(const struct mm_bench *bench)
{
	const _Atomic(uint64_t) *others = bench->workers[0].others;

	/* relaxed: the counter orders no other data */
	return others ? atomic_load_explicit(others, memory_order_relaxed) : 0;
}

static void warm_up(struct mm_bench *bench, unsigned int thread)
{
	const struct mm_workload *workload = bench->workload;
	struct mm_worker *worker = &bench->workers[thread];
	uint64_t end = mmrange__now() + WARM_UP_NS;
	int round = 0;

	if (!workload->prepare && !workload->together) {
		do
			workload->run(worker, 1);
		while (++round < WARM_UP_ROUNDS && mmrange__now() < end);
		return;
	}
	for (; round < WARM_UP_TOGETHER; round++) {
		mm_bench_prepare(bench, thread);
		mm_bench_run(bench, thread, 1);
	}
}

void mm_bench_enter(struct mm_bench *bench, unsigned int thread)
{
	pthread_mutex_lock(&bench->opening);
	if (!bench->workers)
		make_spaces(bench);
	pthread_mutex_unlock(&bench->opening);
	warm_up(bench, thread);
	crew_meet(&bench->crew);
	if (thread != 0)
		return;
	bench->before = get_stats(bench);
	bench->others_before = get_others(bench);
}

bool mm_bench_by_rounds(const struct mm_bench *bench)
{
	return bench->workload->prepare;
}

void mm_bench_set_work(struct mm_bench *bench, uint64_t rounds)
{
	crew_set_work(&bench->crew, rounds);
}

void mm_bench_prepare(struct mm_bench *bench, unsigned int thread)
{
	if (bench->workload->prepare)
		bench->workload->prepare(&bench->workers[thread]);
	crew_meet(&bench->crew);
}

uint64_t mm_bench_run(struct mm_bench *bench, unsigned int thread, uint64_t rounds)
{
	const struct mm_workload *workload = bench->workload;
	struct mm_worker *worker = &bench->workers[thread];
	uint64_t items = worker->items;

	crew_meet(&bench->crew);
	if (workload->prepare || workload->together)
		workload->run(worker, rounds);
	else
		while ((rounds = crew_take(&bench->crew)) != 0)
			workload->run(worker, rounds);
	crew_meet(&bench->crew);
	return worker->items - items;
}

static uint64_t aborted(const struct mm_stats *stats)
{
	return stats->fallbacks[MM_FALLBACK_CHANGED] + stats->fallbacks[MM_FALLBACK_TABLE] +
	       stats->fallbacks[MM_FALLBACK_ENTRY];
}

static double aborted_per_fault(const struct mm_stats *before, const struct mm_stats *after)
{
	uint64_t faults = after->faults_speculative - before->faults_speculative;

	return faults ? (double)(aborted(after) - aborted(before)) / (double)faults : -1;
}

/*
 * The time that this percentage of the holds of the VMA tree lock did not exceed; 0 if there were
 * none.
 */
static uint64_t hold_time(const struct mm_bench *bench, const struct mm_stats *after,
			  unsigned int per_cent)
{
	const uint64_t *before = bench->before.hold_times;
	uint64_t all = 0;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < MM_NR_HOLD_TIMES; i++)
		all += after->hold_times[i] - before[i];
	for (i = 0; all && i < MM_NR_HOLD_TIMES; i++) {
		sum += after->hold_times[i] - before[i];
		if (sum * 100 >= all * per_cent)
			return bench->mode->ops->hold_time_end(i);
	}
	return 0;
}

/* Called when no thread runs any more, but the mappings still exist. */
static const char *check_faults(const struct mm_bench *bench)
{
	struct mm_stats stats = get_stats(bench);
	uint64_t faults = 0;
	unsigned int thread;

	for (thread = 0; thread < bench->threads; thread++)
		faults += bench->workers[thread].faults;
	return stats.faults_minor == faults ? NULL : "not the pages that the threads faulted in";
}

/* Checks that the areas did not merge, or that they did. */
static const char *check_areas(const struct mm_bench *bench)
{
	uint32_t areas = bench->workload->alike ? 1 : bench->workload->areas;

	return !areas || get_stats(bench).areas == areas ? NULL
							 : "not the areas that there should be";
}

static const char *check_empty(const struct mm_bench *bench)
{
	struct mm_stats stats;
	unsigned int i;

	for (i = 0; i < bench->spaces; i++)
		unmap(&bench->workers[i], MM_ADDR_MIN, MM_ADDR_MAX - MM_ADDR_MIN);
	stats = get_stats(bench);
	return stats.areas || stats.pages ? "something is left when all is unmapped" : NULL;
}

static struct mm_result get_result(struct mm_bench *bench)
{
	struct mm_stats after = get_stats(bench);
	struct mm_result result = { 0 };

	if (bench->workers[0].others && !get_others(bench))
		result.error = "nothing disturbed the faults";
	result.others = get_others(bench) - bench->others_before;
	result.aborted_per_fault = aborted_per_fault(&bench->before, &after);
	result.hold_p50_ns = hold_time(bench, &after, 50);
	result.hold_p99_ns = hold_time(bench, &after, 99);
	if (bench->workload->end)
		bench->workload->end(&bench->workers[0]);
	if (!result.error)
		result.error = check_faults(bench);
	if (!result.error)
		result.error = check_areas(bench);
	if (bench->workload->keep)
		return result;
	if (!result.error)
		result.error = check_empty(bench);
	destroy_spaces(bench);
	return result;
}

struct mm_result mm_bench_leave(struct mm_bench *bench, unsigned int thread)
{
	struct mm_result nothing = { 0 };

	crew_meet(&bench->crew);
	return thread == 0 ? get_result(bench) : nothing;
}
