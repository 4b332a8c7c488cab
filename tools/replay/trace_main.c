/* SPDX-License-Identifier: MIT */
/* mmrange-trace: converts the text of perf script to a compact trace file. */
#include "convert.h"
#include "recording.h"
#include "trace_format.h"

#include <errno.h>
#include <string.h>

static const char usage[] =
	"usage: mmrange-trace INPUT OUTPUT\n"
	"Turns the text of perf script (INPUT, - for standard input; see record.sh) into a trace\n"
	"that mmrange-replay can replay (OUTPUT).\n";

static void report(const struct recording *recording, const struct trace *trace,
		   const struct drops *drops, const struct conversion *conversion)
{
	size_t kinds[TRACE_KINDS] = { 0 };

	for (size_t i = 0; i < trace->count; i++)
		kinds[trace->ops[i].kind]++;
	fprintf(stderr, "%zu lines: %zu operations of %u threads of %s\n", recording->lines,
		trace->count, (unsigned int)trace->threads,
		trace->name[0] ? trace->name : "a program");
	for (int kind = 0; kind < TRACE_KINDS; kind++)
		if (kinds[kind])
			fprintf(stderr, "%10zu  %s\n", kinds[kind],
				trace_kind_name((enum trace_kind)kind));
	fprintf(stderr, "of these, not quite as recorded:\n");
	fprintf(stderr, "%10zu  mmap made up for what exec mapped, %llu pages\n",
		conversion->exec_vmas, (unsigned long long)conversion->exec_pages);
	fprintf(stderr, "%10zu  mmap of a file, now private anonymous memory\n", conversion->files);
	fprintf(stderr, "%10zu  mmap over what was mapped here, though not in the program\n",
		conversion->replaced);
	fprintf(stderr,
		"%10zu  system calls before their end, where another thread relied on them\n",
		conversion->early);
	fprintf(stderr, "not used: %zu\n", drops_total(drops));
	drops_print(drops, stderr);
}

static int run(FILE *input, const char *input_name, const char *output_name)
{
	struct recording recording;
	struct conversion conversion;
	struct drops drops = { 0 };
	struct trace trace;
	char message[512];
	int error = recording_read(&recording, input, &drops, message, sizeof message);

	if (error) {
		fprintf(stderr, "mmrange-trace: %s: %s\n", input_name, message);
		drops_print(&drops, stderr);
		return 1;
	}
	error = convert(&recording, &trace, &drops, &conversion);
	if (error) {
		fprintf(stderr, "mmrange-trace: %s: %s\n", input_name, strerror(error));
	} else {
		report(&recording, &trace, &drops, &conversion);
		if (trace.count == 0) {
			fprintf(stderr, "mmrange-trace: %s: nothing in it can be replayed\n",
				input_name);
			error = EINVAL;
		} else {
			error = trace_write(&trace, output_name, message, sizeof message);
			if (error)
				fprintf(stderr, "mmrange-trace: %s\n", message);
		}
	}
	trace_destroy(&trace);
	recording_destroy(&recording);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	FILE *input = stdin;
	int status;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc != 3 || (argv[1][0] == '-' && argv[1][1])) {
		fputs(usage, stderr);
		return 2;
	}
	if (strcmp(argv[1], "-") != 0) {
		input = fopen(argv[1], "r");
		if (!input) {
			fprintf(stderr, "mmrange-trace: %s: %s\n", argv[1], strerror(errno));
			return 1;
		}
	}
	status = run(input, input == stdin ? "standard input" : argv[1], argv[2]);
	if (input != stdin)
		fclose(input);
	return status;
}
