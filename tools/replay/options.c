/* SPDX-License-Identifier: MIT */
#include "options.h"
#include "trace_format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 256
#define MAX_REPEAT   1000u

static const struct {
	const char *name;
	enum mm_locking mode;
} modes[OPTIONS_MODES] = {
	{ "rwlock", MM_LOCKING_RWLOCK },
	{ "coarse", MM_LOCKING_COARSE },
	{ "range", MM_LOCKING_RANGE },
	{ "speculative", MM_LOCKING_SPECULATIVE },
};

const char *mode_name(enum mm_locking mode)
{
	for (int i = 0; i < OPTIONS_MODES; i++)
		if (modes[i].mode == mode)
			return modes[i].name;
	return "?";
}

static bool add_mode(struct options *options, const char *name, size_t length)
{
	for (int i = 0; i < OPTIONS_MODES; i++) {
		if (strlen(modes[i].name) != length || strncmp(modes[i].name, name, length) != 0)
			continue;
		for (unsigned int k = 0; k < options->mode_count; k++)
			if (options->modes[k] == modes[i].mode)
				return true;
		options->modes[options->mode_count++] = modes[i].mode;
		return true;
	}
	return false;
}

static bool parse_modes(struct options *options, const char *list)
{
	options->mode_count = 0;
	for (;; list++) {
		size_t length = strcspn(list, ",");

		if (!add_mode(options, list, length))
			return false;
		list += length;
		if (!*list)
			return true;
	}
}

static bool parse_number(const char *text, uint32_t max, uint32_t *number)
{
	uint32_t n = 0;

	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9' || n > max / 10)
			return false;
		n = n * 10 + (uint32_t)(*c - '0');
	}
	*number = n;
	return n >= 1 && n <= max;
}

static bool parse_value(struct options *options, const char *name, const char *value)
{
	if (!strcmp(name, "--lock"))
		return parse_modes(options, value);
	if (!strcmp(name, "--repeat"))
		return parse_number(value, MAX_REPEAT, &options->repeat);
	options->threads = 0;
	return !strcmp(value, "recorded") ||
	       parse_number(value, TRACE_MAX_THREADS, &options->threads);
}

/*
 * Parses an option with a value, as "--name value" or "--name=value". Returns how many elements of
 * argv the option took.
 */
static int parse_option(struct options *options, int left, char **argv, char *message)
{
	static const char *const names[] = { "--lock", "--threads", "--repeat" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t length = strlen(names[i]);
		const char *value = NULL;
		int taken = 1;

		if (strncmp(argv[0], names[i], length) != 0)
			continue;
		if (argv[0][length] == '=') {
			value = argv[0] + length + 1;
		} else if (argv[0][length]) {
			continue;
		} else if (left > 1) {
			value = argv[1];
			taken = 2;
		}
		if (value && parse_value(options, names[i], value))
			return taken;
		snprintf(message, MESSAGE_SIZE, "%s: %s", names[i],
			 value ? value : "needs a value");
		return 0;
	}
	snprintf(message, MESSAGE_SIZE, "%s: no such option", argv[0]);
	return 0;
}

int options_parse(struct options *options, int argc, char **argv, char *message)
{
	bool only_traces = false;

	*options = (struct options){ .repeat = 1, .traces = argv + 1 };
	parse_modes(options, "rwlock,coarse,range,speculative");
	for (int i = 1; i < argc; i++) {
		int taken = 1;

		if (only_traces || argv[i][0] != '-')
			options->traces[options->trace_count++] = argv[i];
		else if (!strcmp(argv[i], "--"))
			only_traces = true;
		else if (!strcmp(argv[i], "--json"))
			options->json = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			options->help = true;
		else
			taken = parse_option(options, argc - i, argv + i, message);
		if (!taken)
			return EINVAL;
		i += taken - 1;
	}
	if (options->trace_count || options->help)
		return 0;
	snprintf(message, MESSAGE_SIZE, "no trace given");
	return EINVAL;
}
