/* SPDX-License-Identifier: MIT */
/* range_lock_foreach() as text. It calls the function with nothing locked, so that may print. */
#include "layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct dump {
	FILE *stream;
	uint64_t lines;
};

static const char *state_name(enum range_state state)
{
	switch (state) {
	case RANGE_STATE_HELD:
		return "HELD";
	case RANGE_STATE_WAITING:
		return "-> WAITING";
	default:
		return "-> STARVING";
	}
}

/* Some streams fail without an error number. */
static int print_line(const struct range_info *info, void *arg)
{
	struct dump *dump = arg;
	char end[24] = "EOF";

	if (info->end != UINT64_MAX)
		snprintf(end, sizeof end, "%" PRIu64, info->end);
	errno = EIO;
	return fprintf(dump->stream, "%" PRIu64 ": %s %s %" PRIu32 " %" PRIu64 " %s\n",
		       ++dump->lines, state_name(info->state),
		       info->mode == RANGE_WRITE ? "WRITE" : "READ", info->thread, info->start,
		       end) < 0
		       ? errno
		       : 0;
}

int range_lock_dump(struct range_lock *lock, FILE *stream)
{
	struct dump dump = { .stream = stream };
	int saved = errno;
	int error = range_lock_foreach(lock, print_line, &dump);

	errno = saved;
	return error;
}
