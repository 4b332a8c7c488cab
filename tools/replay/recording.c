/* SPDX-License-Identifier: MIT */
#include "recording.h"
#include "span_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 4096

enum line_status { LINE_READ, LINE_LONG, LINE_CUT, LINE_END };

/* Reads one line without its newline; of a long line only its length. */
static enum line_status read_line(FILE *file, char line[MAX_LINE])
{
	size_t length = 0;
	int c;

	while ((c = getc(file)) != EOF && c != '\n') {
		if (length < MAX_LINE - 1)
			line[length] = c ? (char)c : '?';
		length++;
	}
	if (c == EOF)
		return length ? LINE_CUT : LINE_END;
	line[length < MAX_LINE - 1 ? length : MAX_LINE - 1] = '\0';
	return length < MAX_LINE ? LINE_READ : LINE_LONG;
}

static int append(struct recording *recording, const struct record *record)
{
	if (recording->count == recording->capacity) {
		size_t capacity = recording->capacity ? recording->capacity * 2 : 1024;
		struct record *records = NULL;

		if (capacity <= SIZE_MAX / sizeof *records)
			records = realloc(recording->records, capacity * sizeof *records);
		if (!records)
			return ENOMEM;
		recording->records = records;
		recording->capacity = capacity;
	}
	recording->records[recording->count++] = *record;
	return 0;
}

/* Replaces bytes that a name in a trace cannot have by '?'. */
static void set_program(struct recording *recording, const char *path)
{
	size_t length = strcspn(path, " "), n = 0;

	for (size_t i = 0; i < length; i++)
		if (path[i] == '/')
			n = i + 1;
	path += n;
	length -= n;
	if (length >= sizeof recording->program)
		length = sizeof recording->program - 1;
	for (size_t i = 0; i < length; i++)
		recording->program[i] = path[i] < ' ' || path[i] > '~' ? '?' : path[i];
	recording->program[length] = '\0';
}

/* The files of the executed programs, by the line of their event. */
struct programs {
	struct program {
		size_t line;
		char *path;
	} * list;
	size_t count;
};

static int add_program(struct programs *programs, size_t line, const char *path)
{
	struct program *list = realloc(programs->list, (programs->count + 1) * sizeof *list);
	size_t size = path ? strlen(path) + 1 : 1;

	if (!list)
		return ENOMEM;
	programs->list = list;
	list[programs->count] = (struct program){ line, malloc(size) };
	if (!list[programs->count].path)
		return ENOMEM;
	memcpy(list[programs->count++].path, path ? path : "", size);
	return 0;
}

static void free_programs(struct programs *programs)
{
	for (size_t i = 0; i < programs->count; i++)
		free(programs->list[i].path);
	free(programs->list);
}

static int take_line(struct recording *recording, const char *line, struct programs *programs,
		     struct drops *drops)
{
	static const enum drop reasons[PERF_LINES] = {
		[PERF_CLONE] = DROP_CLONE,
		[PERF_OTHER_EVENT] = DROP_EVENT,
		[PERF_DAMAGED] = DROP_DAMAGED,
		[PERF_OTHER_SHAPE] = DROP_SHAPE,
	};
	struct record record = { .line = recording->lines, .partner = RECORD_ALONE };
	struct perf_event event;

	record.type = perf_parse(line, &event);
	if (record.type >= PERF_CLONE) {
		drops->count[reasons[record.type]][DROP_LINE]++;
		return 0;
	}
	if (record.type == PERF_PROGRAM) {
		drops->count[DROP_PROGRAM][DROP_LINE]++;
		if (add_program(programs, record.line, event.program))
			return ENOMEM;
	}
	record.time = event.time;
	record.pid = event.pid;
	record.tid = event.tid;
	record.syscall = event.syscall;
	memcpy(record.args, event.args, sizeof record.args);
	return append(recording, &record);
}

static int read_lines(struct recording *recording, FILE *file, struct programs *programs,
		      struct drops *drops, char *message, size_t message_size)
{
	char line[MAX_LINE];
	int error = 0;

	while (!error) {
		enum line_status status = read_line(file, line);

		recording->lines++;
		if (ferror(file)) {
			error = errno ? errno : EIO;
		} else if (status == LINE_END) {
			recording->lines--;
			return 0;
		} else if (status == LINE_CUT) {
			snprintf(message, message_size, "it ends in the middle of line %zu",
				 recording->lines);
			return EINVAL;
		} else if (status == LINE_LONG) {
			drops->count[DROP_LONG][DROP_LINE]++;
		} else {
			error = take_line(recording, line, programs, drops);
		}
	}
	return error;
}

static int by_time(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->line < b->line ? -1 : 1;
}

static void sort(struct recording *recording)
{
	for (size_t i = 1; i < recording->count; i++) {
		if (recording->records[i].time < recording->records[i - 1].time) {
			qsort(recording->records, recording->count, sizeof *recording->records,
			      by_time);
			return;
		}
	}
}

/* Gives each record the number of its image; *images becomes their number. */
static int number_images(struct recording *recording, struct span_map *image_of, uint32_t *images)
{
	for (size_t i = 0; i < recording->count; i++) {
		struct record *record = &recording->records[i];
		const struct span *span = span_map_find(image_of, record->pid);

		if (!span || record->type == PERF_PROGRAM) {
			if (*images == UINT32_MAX)
				return ENOMEM;
			if (span_map_set(image_of, record->pid, (uint64_t)record->pid + 1, *images))
				return ENOMEM;
			record->image = (*images)++;
		} else {
			record->image = (uint32_t)span->value;
		}
	}
	return 0;
}

/* The image with the most events. */
static int largest_image(const struct recording *recording, uint32_t images, uint32_t *largest)
{
	size_t *counts = calloc((size_t)images + 1, sizeof *counts);

	if (!counts)
		return ENOMEM;
	for (size_t i = 0; i < recording->count; i++)
		if (recording->records[i].type != PERF_PROGRAM)
			counts[recording->records[i].image]++;
	*largest = 0;
	for (uint32_t i = 1; i < images; i++)
		if (counts[i] > counts[*largest])
			*largest = i;
	free(counts);
	return 0;
}

static void drop_process(struct drops *drops, const struct record *record)
{
	if (record->type == PERF_FAULT)
		drops->count[DROP_PROCESS][drop_kind_of_fault(record->args[1])]++;
	else if (record->type == PERF_ENTER)
		drops->count[DROP_PROCESS][drop_kind_of_syscall(record->syscall)]++;
}

static int keep_largest_image(struct recording *recording, const struct programs *programs,
			      struct drops *drops)
{
	struct span_map image_of = { 0 };
	uint32_t images = 0, largest = 0;
	size_t kept = 0;
	int error = number_images(recording, &image_of, &images);

	span_map_destroy(&image_of);
	if (!error)
		error = largest_image(recording, images, &largest);
	if (error)
		return error;
	for (size_t i = 0; i < recording->count; i++) {
		const struct record *record = &recording->records[i];

		if (record->image != largest)
			drop_process(drops, record);
		else if (record->type != PERF_PROGRAM)
			recording->records[kept++] = *record;
		else
			for (size_t p = 0; p < programs->count; p++)
				if (programs->list[p].line == record->line)
					set_program(recording, programs->list[p].path);
	}
	recording->count = kept;
	return 0;
}

/* An exit without its enter: the enter was before the recording, or was not recorded. */
static void pair_exit(struct recording *recording, size_t i, struct span_map *entered,
		      struct drops *drops)
{
	struct record *record = &recording->records[i];
	const struct span *span = span_map_find(entered, record->tid);
	size_t enter = span ? (size_t)span->value : RECORD_ALONE;

	if (enter != RECORD_ALONE && recording->records[enter].syscall == record->syscall &&
	    recording->records[enter].partner == RECORD_ALONE) {
		recording->records[enter].partner = i;
		record->partner = enter;
	} else {
		drops->count[DROP_NO_ENTER][drop_kind_of_syscall(record->syscall)]++;
	}
}

/*
 * Pairs enter and exit by thread. An enter that stays alone is counted when the converter makes the
 * operations.
 */
static int pair(struct recording *recording, struct drops *drops)
{
	struct span_map entered = { 0 };
	int error = 0;

	for (size_t i = 0; i < recording->count && !error; i++) {
		const struct record *record = &recording->records[i];

		if (record->type == PERF_ENTER)
			error = span_map_set(&entered, record->tid, (uint64_t)record->tid + 1, i);
		else if (record->type == PERF_EXIT)
			pair_exit(recording, i, &entered, drops);
	}
	span_map_destroy(&entered);
	return error;
}

int recording_read(struct recording *recording, FILE *file, struct drops *drops, char *message,
		   size_t message_size)
{
	struct programs programs = { 0 };
	int error;

	*recording = (struct recording){ 0 };
	message[0] = '\0';
	errno = 0;
	error = read_lines(recording, file, &programs, drops, message, message_size);
	if (!error) {
		sort(recording);
		error = keep_largest_image(recording, &programs, drops);
	}
	free_programs(&programs);
	if (!error)
		error = pair(recording, drops);
	if (!error && recording->count == 0) {
		snprintf(message, message_size, "none of its %zu lines is an event of memory",
			 recording->lines);
		error = EINVAL;
	}
	if (error && !message[0])
		snprintf(message, message_size, "%s", strerror(error));
	if (error)
		recording_destroy(recording);
	return error;
}

void recording_destroy(struct recording *recording)
{
	free(recording->records);
	*recording = (struct recording){ 0 };
}
