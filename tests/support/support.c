/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <stdarg.h>
#include <time.h>

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	flockfile(stderr);
	fprintf(stderr, "%s:%d: failed: ", file, line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	funlockfile(stderr);
	va_end(args);
	abort();
}

uint64_t test_seed(const char *test)
{
	const char *given = getenv("MMRANGE_SEED");
	struct timespec now;
	uint64_t seed;

	if (given) {
		seed = strtoull(given, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	fprintf(stderr, "%s: MMRANGE_SEED=%" PRIu64 "\n", test, seed);
	return seed;
}
