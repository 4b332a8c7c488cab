/* SPDX-License-Identifier: MIT */
#include "report.h"
#include "options.h"
#include "replay_stats.h"

#include <inttypes.h>
#include <string.h>

static void count_kinds(const struct trace *trace, size_t kinds[TRACE_KINDS])
{
	memset(kinds, 0, TRACE_KINDS * sizeof *kinds);
	for (size_t i = 0; i < trace->count; i++)
		kinds[trace->ops[i].kind]++;
}

static double seconds(const struct report_row *row)
{
	uint64_t ns = row->result.nanoseconds ? row->result.nanoseconds : 1;

	return (double)ns / 1e9;
}

/* Leaves, splits and merges belong to the range lock; an rwlock has none. */
static bool has_lock_stats(const struct report_row *row)
{
	return row->mode != MM_LOCKING_RWLOCK;
}

static void print_kinds(const struct trace *trace, FILE *file)
{
	size_t kinds[TRACE_KINDS];
	const char *before = "  ";

	count_kinds(trace, kinds);
	for (int kind = 0; kind < TRACE_KINDS; kind++) {
		if (!kinds[kind])
			continue;
		fprintf(file, "%s%zu %s%s", before, kinds[kind],
			trace_kind_name((enum trace_kind)kind),
			kind <= TRACE_EXEC && kinds[kind] != 1 ? "s" : "");
		before = ", ";
	}
	fputc('\n', file);
}

static void print_row(const struct report *report, const struct report_row *row, FILE *file)
{
	fprintf(file, "  %-11s %7" PRIu32 " %9.1f %12.0f %9" PRIu64 " %9" PRIu64,
		mode_name(row->mode), report->threads, seconds(row) * 1e3,
		(double)report->trace->count / seconds(row), row->result.waits, row->result.parks);
	if (has_lock_stats(row))
		fprintf(file, " %10" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 "\n",
			row->stats.lock_waits, row->stats.lock_leaves, row->stats.lock_splits,
			row->stats.lock_merges);
	else
		fprintf(file, " %10s %7s %7s %7s\n", "-", "-", "-", "-");
}

/* How faults were served; and below, the reasons why some had to take a lock. */
static void print_faults(const struct report_row *row, FILE *file)
{
	const struct mm_stats *stats = &row->stats;

	fprintf(file,
		"  %-11s %8" PRIu64 " %11" PRIu64 " %8" PRIu64 " %10" PRIu64 " %7" PRIu64
		" %11.3f %% %8.2f\n",
		mode_name(row->mode), stats->faults, stats->faults_speculative,
		stats->faults_ranged, stats->faults_coarse, stats->faults_failed,
		stats_speculative_share(stats) * 100, (double)stats_hold_time(stats, 99) / 1e3);
}

static void print_fallbacks(const struct report_row *row, FILE *file)
{
	const char *before = " fell back: ";

	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++) {
		if (!row->stats.fallbacks[i])
			continue;
		if (*before == ' ')
			fprintf(file, "  %s", mode_name(row->mode));
		fprintf(file, "%s%" PRIu64 " %s", before, row->stats.fallbacks[i],
			mm_fallback_name((enum mm_fallback)i));
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', file);
}

static void print_all_faults(const struct report *report, FILE *file)
{
	fprintf(file, "\n  %-11s %8s %11s %8s %10s %7s %13s %8s\n", "", "faults", "served with", "",
		"", "", "speculative,", "hold p99");
	fprintf(file, "  %-11s %8s %11s %8s %10s %7s %13s %8s\n", "lock", "", "no lock", "a range",
		"everything", "failed", "in tables", "us");
	for (unsigned int i = 0; i < report->row_count; i++)
		print_faults(&report->rows[i], file);
	for (unsigned int i = 0; i < report->row_count; i++)
		print_fallbacks(&report->rows[i], file);
	fputs("  speculative, in tables: served with no lock / (faults - those that fell back for "
	      "no_table)\n",
	      file);
}

void report_table(const struct report *report, FILE *file)
{
	const struct trace *trace = report->trace;

	fprintf(file, "%s: %" PRIu32 " threads, %zu operations, dependencies: %zu\n",
		trace->name[0] ? trace->name : report->path, trace->threads, trace->count,
		report->dependencies);
	print_kinds(trace, file);
	fprintf(file, "  %-11s %7s %9s %12s %9s %9s %10s %7s %7s %7s\n", "lock", "threads", "ms",
		"operations/s", "waits", "of these", "waits for", "leaves", "splits", "merges");
	fprintf(file, "  %-11s %7s %9s %12s %9s %9s %10s %7s %7s %7s\n", "", "", "", "", "for ops",
		"asleep", "the lock", "", "", "");
	for (unsigned int i = 0; i < report->row_count; i++)
		print_row(report, &report->rows[i], file);
	print_all_faults(report, file);
	fprintf(file,
		"  Each of %" PRIu32
		" run%s with each lock left what one thread leaves: areas, pages, bytes.\n",
		report->repeat, report->repeat == 1 ? "" : "s (medians)");
}

static void print_string(const char *text, FILE *file)
{
	fputc('"', file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(file, "\\u%04x", (unsigned int)c);
		else
			fputc(c, file);
	}
	fputc('"', file);
}

static void print_json_faults(const struct mm_stats *stats, FILE *file)
{
	fprintf(file,
		"       \"faults_speculative\": %" PRIu64 ", \"faults_ranged\": %" PRIu64
		", \"faults_coarse\": %" PRIu64 ", \"faults_failed\": %" PRIu64
		",\n       \"fallbacks\": {",
		stats->faults_speculative, stats->faults_ranged, stats->faults_coarse,
		stats->faults_failed);
	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++)
		fprintf(file, "%s\"%s\": %" PRIu64, i ? ", " : "",
			mm_fallback_name((enum mm_fallback)i), stats->fallbacks[i]);
	fprintf(file, "},\n       \"speculative_share\": %.6f, \"hold_p99_ns\": %" PRIu64 ",\n",
		stats_speculative_share(stats), stats_hold_time(stats, 99));
}

static void print_json_row(const struct report *report, const struct report_row *row, FILE *file)
{
	fprintf(file,
		"      {\"lock\": \"%s\", \"seconds\": %.9f, \"operations_per_second\": %.1f,\n",
		mode_name(row->mode), seconds(row), (double)report->trace->count / seconds(row));
	fprintf(file,
		"       \"waits\": %" PRIu64 ", \"waits_asleep\": %" PRIu64 ", \"faults\": %" PRIu64
		", \"areas\": %" PRIu64 ", \"pages\": %" PRIu64 ",\n",
		row->result.waits, row->result.parks, row->stats.faults, row->stats.areas,
		row->stats.pages);
	print_json_faults(&row->stats, file);
	if (has_lock_stats(row))
		fprintf(file,
			"       \"lock_waits\": %" PRIu64 ", \"lock_leaves\": %" PRIu64
			", \"lock_splits\": %" PRIu64 ", \"lock_merges\": %" PRIu64 "}",
			row->stats.lock_waits, row->stats.lock_leaves, row->stats.lock_splits,
			row->stats.lock_merges);
	else
		fprintf(file, "       \"lock_waits\": null, \"lock_leaves\": null, "
			      "\"lock_splits\": null, "
			      "\"lock_merges\": null}");
}

void report_json_begin(FILE *file)
{
	fputs("{\"replays\": [\n", file);
}

void report_json(const struct report *report, bool first, FILE *file)
{
	const struct trace *trace = report->trace;
	size_t kinds[TRACE_KINDS];

	fputs(first ? "  {\"trace\": " : ",\n  {\"trace\": ", file);
	print_string(trace->name, file);
	fputs(", \"file\": ", file);
	print_string(report->path, file);
	fprintf(file,
		", \"recorded_threads\": %" PRIu32 ", \"threads\": %" PRIu32
		", \"repeat\": %" PRIu32
		",\n   \"operations\": %zu, \"dependencies\": %zu,\n   \"kinds\": {",
		trace->threads, report->threads, report->repeat, trace->count,
		report->dependencies);
	count_kinds(trace, kinds);
	for (int kind = 0; kind < TRACE_KINDS; kind++)
		fprintf(file, "%s\"%s\": %zu", kind ? ", " : "",
			trace_kind_name((enum trace_kind)kind), kinds[kind]);
	fputs("},\n   \"locks\": [\n", file);
	for (unsigned int i = 0; i < report->row_count; i++) {
		print_json_row(report, &report->rows[i], file);
		fputs(i + 1 < report->row_count ? ",\n" : "\n   ]}", file);
	}
}

void report_json_end(FILE *file)
{
	fputs("\n]}\n", file);
}
