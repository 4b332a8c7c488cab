/* SPDX-License-Identifier: MIT */
/*
 * The plain runner: runs the tests of its program one after the other in one process, in the order
 * of the file. Arguments name the tests to run (SUITE or SUITE/NAME); without any, it runs all.
 * "-l" lists them. The first failure ends the process.
 */
#include "test.h"

#include <stdbool.h>
#include <string.h>

#ifdef TEST_UNDER_VALGRIND
#include <pthread.h>
#include <valgrind/valgrind.h>

/* A child of fork() lacks the threads that own this memory. */
static void ignore_leaks(void)
{
	VALGRIND_CLO_CHANGE("--leak-check=no");
}

/*
 * For the frames of signal handlers: where a handler has SA_ONSTACK and there is no other stack,
 * valgrind 3.19 does not extend the stack of the main thread for them (coregrind/m_sigframe).
 */
__attribute__((noinline)) static void extend_stack(void)
{
	volatile char page[1 << 18];

	page[0] = 0;
	(void)page[0];
}

static void prepare(void)
{
	pthread_atfork(NULL, NULL, ignore_leaks);
	extend_stack();
}
#else
static void prepare(void)
{
}
#endif

static struct test_case *first;
static struct test_case **last = &first;

void test_register(struct test_case *test)
{
	*last = test;
	last = &test->next;
}

static bool wanted(const struct test_case *test, int argc, char **argv)
{
	char name[256];

	snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], test->suite) || !strcmp(argv[i], name))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	bool list = argc == 2 && !strcmp(argv[1], "-l");
	unsigned int passed = 0;

	prepare();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test_case *test = first; test; test = test->next) {
		if (list) {
			printf("%s/%s\n", test->suite, test->name);
		} else if (wanted(test, argc, argv)) {
			printf("%s/%s\n", test->suite, test->name);
			test->run();
			passed++;
		}
	}
	if (list)
		return 0;
	printf("%u passed, 0 failed\n", passed);
	return passed ? 0 : 1;
}
