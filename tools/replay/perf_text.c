/* SPDX-License-Identifier: MIT */
#include "perf_text.h"

#include <stdbool.h>
#include <string.h>

/* The names of the fields as perf prints them, in the order of struct perf_event's args. */
static const struct {
	const char *name;
	const char *fields[PERF_MAX_ARGS + 1];
} syscalls[PERF_SYSCALLS] = {
	[PERF_MMAP] = { "mmap", { "addr", "len", "prot", "flags", "fd", "off" } },
	[PERF_MUNMAP] = { "munmap", { "addr", "len" } },
	[PERF_MPROTECT] = { "mprotect", { "start", "len", "prot" } },
	[PERF_MREMAP] = { "mremap", { "addr", "old_len", "new_len", "flags", "new_addr" } },
	[PERF_MADVISE] = { "madvise", { "start", "len_in", "behavior" } },
	[PERF_BRK] = { "brk", { "brk" } },
};

const char *perf_syscall_name(enum perf_syscall syscall)
{
	return syscalls[syscall].name;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Removes a prefix from the text. */
static bool take(const char **text, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	return true;
}

static bool take_decimal(const char **text, uint64_t max, uint64_t *number)
{
	const char *begin = *text;
	uint64_t n = 0;

	for (; **text >= '0' && **text <= '9'; ++*text) {
		unsigned int digit = (unsigned int)(**text - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*number = n;
	return *text != begin;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(const char **text, uint64_t *number)
{
	unsigned int digits = 0;
	uint64_t n = 0;

	if (!take(text, "0x"))
		return false;
	for (int digit; (digit = hex_digit(**text)) >= 0; ++*text) {
		if (++digits > 16)
			return false;
		n = n << 4 | (unsigned int)digit;
	}
	*number = n;
	return digits > 0;
}

/* "SECONDS.FRACTION:", with a fraction of up to nine digits. */
static bool take_time(const char **text, uint64_t *time)
{
	uint64_t seconds, fraction;
	const char *begin;

	if (!take_decimal(text, UINT32_MAX, &seconds) || !take(text, "."))
		return false;
	begin = *text;
	if (!take_decimal(text, 999999999, &fraction))
		return false;
	for (long digits = (long)(*text - begin); digits < 9; digits++)
		fraction *= 10;
	*time = seconds * 1000000000 + fraction;
	return take(text, ":");
}

/* "NAME: 0x.., NAME: 0x..", to the end of the line. */
static bool parse_fields(const char *text, const char *const *fields, uint64_t *args)
{
	for (size_t i = 0; fields[i]; i++) {
		if (i && !take(&text, ", "))
			return false;
		if (!take(&text, fields[i]) || !take(&text, ": ") || !take_hex(&text, &args[i]))
			return false;
	}
	return *skip_blanks(text) == '\0';
}

/* "address=0x.. ip=0x.. error_code=0x.." */
static bool parse_fault(const char *text, uint64_t *args)
{
	uint64_t ip;

	return take(&text, "address=") && take_hex(&text, &args[0]) && take(&text, " ip=") &&
	       take_hex(&text, &ip) && take(&text, " error_code=") && take_hex(&text, &args[1]) &&
	       *skip_blanks(text) == '\0';
}

/* "enter_NAME: FIELDS" or "exit_NAME: RESULT" */
static enum perf_line parse_syscall(const char *text, struct perf_event *event)
{
	bool enter = take(&text, "enter_");
	bool complete;
	int i = 0;

	if (!enter && !take(&text, "exit_"))
		return PERF_OTHER_EVENT;
	for (; i < PERF_SYSCALLS; i++) {
		size_t length = strlen(syscalls[i].name);

		if (!strncmp(text, syscalls[i].name, length) && text[length] == ':') {
			text = skip_blanks(text + length + 1);
			break;
		}
	}
	if (i == PERF_SYSCALLS)
		return PERF_OTHER_EVENT;
	event->syscall = (enum perf_syscall)i;
	if (enter)
		complete = parse_fields(text, syscalls[i].fields, event->args);
	else
		complete = take_hex(&text, &event->args[0]) && *skip_blanks(text) == '\0';
	if (!complete)
		return PERF_DAMAGED;
	return enter ? PERF_ENTER : PERF_EXIT;
}

static enum perf_line parse_event(const char *text, struct perf_event *event)
{
	if (take(&text, "exceptions:page_fault_user:"))
		return parse_fault(skip_blanks(text), event->args) ? PERF_FAULT : PERF_DAMAGED;
	if (take(&text, "syscalls:sys_"))
		return parse_syscall(text, event);
	if (take(&text, "sched:sched_process_exec:")) {
		text = skip_blanks(text);
		if (take(&text, "filename="))
			event->program = text;
		return PERF_PROGRAM;
	}
	if (take(&text, "sched:sched_process_fork:"))
		return PERF_CLONE;
	return strchr(text, ':') ? PERF_OTHER_EVENT : PERF_OTHER_SHAPE;
}

enum perf_line perf_parse(const char *line, struct perf_event *event)
{
	const char *text = skip_blanks(line);
	uint64_t pid, tid;

	*event = (struct perf_event){ .line = PERF_OTHER_SHAPE };
	if (!take_decimal(&text, UINT32_MAX - 1, &pid) || !take(&text, "/") ||
	    !take_decimal(&text, UINT32_MAX - 1, &tid))
		return PERF_OTHER_SHAPE;
	text = skip_blanks(text);
	if (!take_time(&text, &event->time))
		return PERF_OTHER_SHAPE;
	event->pid = (uint32_t)pid;
	event->tid = (uint32_t)tid;
	event->line = parse_event(skip_blanks(text), event);
	return event->line;
}
