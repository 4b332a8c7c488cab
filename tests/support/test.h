/* SPDX-License-Identifier: MIT */
/*
 * One test source, two runners: Criterion (TEST_WITH_CRITERION), and the plain runner in runner.c
 * for sanitizers and valgrind, which do not get along with Criterion's processes.
 *
 *	TEST(leaf, a_released_range_can_be_taken_again)
 *	{
 *		CHECK(range_trylock(&lock, &r, 0, 1, RANGE_WRITE) == 0);
 *		CHECK_EQ(count, 1);
 *	}
 *
 * A check that fails ends the process, also from a thread that the test started.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include "random.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef TEST_WITH_CRITERION
#include <criterion/criterion.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifdef TEST_WITH_CRITERION
#define TEST(suite, name) Test(suite, name)
#else
struct test_case {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct test_case *next;
};
void test_register(struct test_case *test);
#define TEST(suite_, name_)                                                                        \
	static void test_##suite_##_##name_(void);                                                 \
	__attribute__((constructor)) static void register_##suite_##_##name_(void)                 \
	{                                                                                          \
		static struct test_case test = { #suite_, #name_, test_##suite_##_##name_, NULL }; \
		test_register(&test);                                                              \
	}                                                                                          \
	static void test_##suite_##_##name_(void)
#endif

/* Reports a failed check and ends the process. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			test_fail(__FILE__, __LINE__, "%s", #condition);                           \
	} while (0)

/* Compares integers of any type, and prints both if they differ. */
#define CHECK_EQ(actual, expected)                                                                 \
	do {                                                                                       \
		intmax_t actual_ = (intmax_t)(actual);                                             \
		intmax_t expected_ = (intmax_t)(expected);                                         \
		if (actual_ != expected_)                                                          \
			test_fail(__FILE__, __LINE__, "%s is %" PRIdMAX ", not %s = %" PRIdMAX,    \
				  #actual, actual_, #expected, expected_);                         \
	} while (0)

/*
 * The seed of a random test: from the environment variable MMRANGE_SEED, or from the clock. Prints
 * it, so that a failure can be repeated.
 */
uint64_t test_seed(const char *test);

/*
 * The number of repetitions: normal, or a tenth of it (at least 1) where the program runs many
 * times slower. That is the case under the address and thread sanitizers, and when the environment
 * variable MMRANGE_TEST_SLOW is set (memcheck sets it).
 */
unsigned int test_scale(unsigned int normal);

/* The next number of a sequence that *state determines. */
static inline uint64_t test_random(uint64_t *state)
{
	return random_next(state);
}

/* A number in [0, limit). */
static inline uint64_t test_random_below(uint64_t *state, uint64_t limit)
{
	return test_random(state) % limit;
}

#ifdef __cplusplus
}
#endif

#endif
