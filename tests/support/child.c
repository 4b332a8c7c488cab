/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void be_child(void (*run)(void), const int ends[2])
{
	static const struct rlimit none = { 0, 0 };

	CHECK_EQ(setrlimit(RLIMIT_CORE, &none), 0);
	CHECK_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[0]);
	close(ends[1]);
	run();
	exit(0);
}

/* Keeps as much as fits, and discards the rest. */
static void read_all(int end, char *text, size_t size)
{
	size_t length = 0;
	char buffer[512];
	ssize_t n;

	while ((n = read(end, buffer, sizeof buffer)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		CHECK(n > 0);
		for (ssize_t i = 0; i < n; i++)
			if (length + 1 < size)
				text[length++] = buffer[i];
	}
	text[length] = '\0';
}

int run_in_child(void (*run)(void), char *errors, size_t size)
{
	int ends[2], status;
	pid_t child;

	CHECK_EQ(pipe(ends), 0);
	fflush(NULL);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		be_child(run, ends);
	close(ends[1]);
	read_all(ends[0], errors, size);
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0)
		CHECK_EQ(errno, EINTR);
	return status;
}

unsigned int count_in(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}
