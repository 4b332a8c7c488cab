/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <stdarg.h>
#include <stdbool.h>
#include <time.h>

#ifdef __has_feature
#define HAS_FEATURE(feature) __has_feature(feature)
#else
#define HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
	HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
static const bool sanitized = true;
#else
static const bool sanitized;
#endif

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

unsigned int test_scale(unsigned int normal)
{
	if (!sanitized && !getenv("MMRANGE_TEST_SLOW"))
		return normal;
	return normal < 10 ? 1 : normal / 10;
}
