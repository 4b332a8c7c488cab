/* SPDX-License-Identifier: MIT */
/* mmrange-replay: replays traces with each lock, checks the outcome, and prints the cost. */
#include "options.h"
#include "replay.h"
#include "replay_stats.h"
#include "report.h"
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: mmrange-replay TRACE... [--lock MODE,..] [--threads recorded|N] [--repeat N] "
	"[--json]\n"
	"Replays recorded memory traces (see mmrange-trace), each thread of the program by a "
	"thread of\n"
	"its own, and checks that the outcome is that of a replay by one thread.\n"
	"\n"
	"  --lock MODE,..      which lock the operations take; all four by default:\n"
	"                        rwlock       one pthread_rwlock_t, read for faults, write for "
	"the rest\n"
	"                        coarse       the range lock, always for the full range\n"
	"                        range        the range lock, for the range of the operation\n"
	"                        speculative  the same, and faults take none where they can\n"
	"  --threads N         replay with N threads, which share the work of those recorded\n"
	"  --repeat N          replay N times with each lock, and show the run with the median "
	"time\n"
	"  --json              print JSON instead of tables\n";

/* A trace with its schedule and results. */
struct job {
	const char *path;
	struct trace trace;
	struct schedule schedule;
	struct snapshot expected; /* after a replay by one thread */
	uint64_t pages;           /* the most that the replay needs */
	struct report_row *rows;  /* the runs of each mode */
};

static int fail(const struct job *job, const char *where, const char *message)
{
	fprintf(stderr, "mmrange-replay: %s: %s: %s\n", job->path, where, message);
	return 1;
}

static void show_progress(const struct job *job, const char *what, uint32_t run, uint32_t runs)
{
	if (!isatty(STDERR_FILENO))
		return;
	/* Goes back to the start of the line, and clears it. */
	if (what)
		fprintf(stderr, "\r\033[K%s: %s (%" PRIu32 " of %" PRIu32 ")", job->path, what, run,
			runs);
	else
		fputs("\r\033[K", stderr);
	fflush(stderr);
}

/* Makes the outcome that all other runs must have. */
static int make_expected(struct job *job)
{
	char message[REPLAY_MESSAGE_SIZE];
	struct mm *mm;
	int error = replay_create_mm(&job->trace, MM_LOCKING_RWLOCK, &mm);

	if (error)
		return fail(job, "one thread", strerror(error));
	error = replay_sequential(&job->trace, &job->schedule, mm, &job->pages, message);
	if (!error)
		error = snapshot_take(&job->expected, mm, message, sizeof message);
	mm_destroy(mm);
	return error ? fail(job, "one thread", message) : 0;
}

static int check(const struct job *job, struct mm *mm, char *message)
{
	struct snapshot actual;
	int error = snapshot_take(&actual, mm, message, REPLAY_MESSAGE_SIZE);

	if (error)
		return error;
	error = snapshot_compare(&job->expected, &actual, message, REPLAY_MESSAGE_SIZE);
	snapshot_destroy(&actual);
	return error;
}

/* One run with one lock, and its check. */
static int run(struct job *job, struct report_row *row)
{
	/* Each thread may keep some free pages for itself. */
	uint64_t pages = job->pages + (uint64_t)job->schedule.threads * 256;
	char message[REPLAY_MESSAGE_SIZE];
	struct mm_stats before;
	struct mm *mm;
	int error = replay_create_mm(&job->trace, row->mode, &mm);

	if (error)
		return fail(job, mode_name(row->mode), strerror(error));
	error = replay_warm_up(mm, pages);
	mm_get_stats(mm, &before, sizeof(before));
	if (error)
		snprintf(message, sizeof message, "warming up: %s", strerror(error));
	else
		error = replay_parallel(&job->trace, &job->schedule, mm, &row->result, message);
	mm_get_stats(mm, &row->stats, sizeof(row->stats));
	stats_since(&row->stats, &before);
	if (!error)
		error = check(job, mm, message);
	mm_destroy(mm);
	return error ? fail(job, mode_name(row->mode), message) : 0;
}

static int by_time(const void *left, const void *right)
{
	const struct report_row *a = left, *b = right;

	return (a->result.nanoseconds > b->result.nanoseconds) -
	       (a->result.nanoseconds < b->result.nanoseconds);
}

/* All runs, with the locks in turn, so that a disturbance of the machine affects them all. */
static int run_all(struct job *job, const struct options *options)
{
	uint32_t runs = options->repeat * options->mode_count, done = 0;

	for (uint32_t r = 0; r < options->repeat; r++) {
		for (unsigned int m = 0; m < options->mode_count; m++) {
			struct report_row *row = &job->rows[m * options->repeat + r];

			row->mode = options->modes[m];
			show_progress(job, mode_name(row->mode), ++done, runs);
			if (run(job, row))
				return 1;
		}
	}
	return 0;
}

static void print(const struct job *job, const struct options *options, bool first)
{
	struct report_row medians[OPTIONS_MODES];
	struct report report = {
		.path = job->path,
		.trace = &job->trace,
		.threads = job->schedule.threads,
		.repeat = options->repeat,
		.dependencies = job->schedule.first_dependency[job->trace.count],
		.rows = medians,
		.row_count = options->mode_count,
	};

	for (unsigned int m = 0; m < options->mode_count; m++) {
		struct report_row *rows = job->rows + m * options->repeat;

		qsort(rows, options->repeat, sizeof *rows, by_time);
		medians[m] = rows[(options->repeat - 1) / 2];
	}
	if (options->json) {
		report_json(&report, first, stdout);
		return;
	}
	if (!first)
		putchar('\n');
	report_table(&report, stdout);
	fflush(stdout);
}

static int do_job(struct job *job, const struct options *options)
{
	char message[512];
	int error = trace_read(&job->trace, job->path, message, sizeof message);

	if (error) {
		fprintf(stderr, "mmrange-replay: %s\n", message);
		return 1;
	}
	error = schedule_create(&job->schedule, &job->trace, options->threads);
	job->rows = calloc((size_t)options->mode_count * options->repeat, sizeof *job->rows);
	if (error || !job->rows)
		return fail(job, "preparing it", strerror(ENOMEM));
	show_progress(job, "one thread", 0, options->repeat * options->mode_count);
	error = make_expected(job);
	if (!error)
		error = run_all(job, options);
	show_progress(job, NULL, 0, 0);
	return error;
}

static int replay_all(const struct options *options)
{
	int status = 0;

	if (options->json)
		report_json_begin(stdout);
	for (int i = 0; i < options->trace_count && !status; i++) {
		struct job job = { .path = options->traces[i] };

		status = do_job(&job, options);
		if (!status)
			print(&job, options, i == 0);
		free(job.rows);
		snapshot_destroy(&job.expected);
		schedule_destroy(&job.schedule);
		trace_destroy(&job.trace);
	}
	if (options->json)
		report_json_end(stdout);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("mmrange-replay: standard output cannot be written\n", stderr);
		status = 1;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	char message[REPLAY_MESSAGE_SIZE];

	if (options_parse(&options, argc, argv, message)) {
		fprintf(stderr, "mmrange-replay: %s\n%s", message, usage);
		return 2;
	}
	if (options.help) {
		fputs(usage, stdout);
		return 0;
	}
	return replay_all(&options);
}
