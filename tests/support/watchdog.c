/* SPDX-License-Identifier: MIT */
/*
 * watchdog SECONDS PROGRAM [ARGUMENT...]
 *
 * Runs a program in a process group of its own and exits as it did. After SECONDS, or when it is itself told to
 * end, it kills the whole group: a spinner left behind would spoil every later measurement.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t child;

static void kill_group(int sig)
{
	static const char late[] = "watchdog: time is up, the process group is killed\n";

	if (sig == SIGALRM && write(STDERR_FILENO, late, sizeof late - 1) < 0)
		_exit(124);
	if (child > 0)
		kill(-child, SIGKILL);
	if (sig != SIGALRM)
		_exit(128 + sig);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = kill_group };
	int seconds = argc > 2 ? atoi(argv[1]) : 0;
	int status;

	if (seconds <= 0) {
		fputs("usage: watchdog SECONDS PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	child = fork();
	if (child < 0) {
		perror("watchdog: fork");
		return 125;
	}
	if (child == 0) {
		setpgid(0, 0);
		execvp(argv[2], argv + 2);
		fprintf(stderr, "watchdog: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	setpgid(child, child);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	alarm((unsigned int)seconds);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	kill(-child, SIGKILL);
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "watchdog: %s ended by signal %d\n", argv[2], WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}
