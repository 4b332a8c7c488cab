/* SPDX-License-Identifier: MIT */
#include "options.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static struct options options;

static int parse(const char *line, char *message)
{
	static char copy[256];
	static char *argv[16];
	int argc = 0;

	snprintf(copy, sizeof copy, "program %s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return options_parse(&options, argc, argv, message);
}

TEST(options, have_their_defaults)
{
	char message[256];

	CHECK_EQ(parse("trace", message), 0);
	CHECK_EQ(options.mode_count, 4);
	CHECK(!strcmp(mode_name(options.modes[0]), "rwlock"));
	CHECK(!strcmp(mode_name(options.modes[3]), "speculative"));
	CHECK_EQ(options.threads, 0);
	CHECK_EQ(options.repeat, 1);
	CHECK(!options.json && !options.help);
	CHECK_EQ(options.trace_count, 1);
	CHECK(!strcmp(options.traces[0], "trace"));
}

TEST(options, stand_anywhere_and_take_their_values_either_way)
{
	char message[256];

	CHECK_EQ(
		parse("one --lock range,rwlock,range --json two --threads=4 --repeat 20 -- --three",
		      message),
		0);
	CHECK_EQ(options.mode_count, 2);
	CHECK_EQ(options.modes[0], MM_LOCKING_RANGE);
	CHECK_EQ(options.modes[1], MM_LOCKING_RWLOCK);
	CHECK_EQ(options.threads, 4);
	CHECK_EQ(options.repeat, 20);
	CHECK(options.json);
	CHECK_EQ(options.trace_count, 3);
	CHECK(!strcmp(options.traces[2], "--three"));
	CHECK_EQ(parse("one --threads 4 --threads recorded", message), 0);
	CHECK_EQ(options.threads, 0);
	CHECK_EQ(parse("--help", message), 0);
	CHECK(options.help);
}

TEST(options, that_make_no_sense_are_refused_by_name)
{
	static const char *const lines[][2] = {
		{ "", "no trace" },
		{ "--json", "no trace" },
		{ "one --lock", "--lock: needs" },
		{ "one --lock rw", "--lock: rw" },
		{ "one --lock range,", "--lock" },
		{ "one --lock=", "--lock" },
		{ "one --threads 0", "--threads: 0" },
		{ "one --threads 99999999999", "--threads" },
		{ "one --threads 4097", "--threads" },
		{ "one --repeat -1", "--repeat: -1" },
		{ "one --repeat 1x", "--repeat: 1x" },
		{ "one --locks range", "no such option" },
		{ "one -x", "no such option" },
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char message[256] = "";

		CHECK_EQ(parse(lines[i][0], message), EINVAL);
		if (!strstr(message, lines[i][1]))
			test_fail(__FILE__, __LINE__, "\"%s\": \"%s\"", lines[i][0], message);
	}
}
