/* SPDX-License-Identifier: MIT */
/*
 * watchdog SECONDS PROGRAM [ARGUMENT...]
 *
 * Runs a program in a process group of its own and exits like the program: with its status, with
 * 128 + N if signal N ended it, with 124 if it took longer than SECONDS. In any case, also when a
 * signal ends the watchdog, it kills the rest of the group: a spinning process left behind would
 * spoil every later measurement. On Linux that includes descendants that left the group, such as
 * those of Criterion.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static volatile pid_t child;
static volatile sig_atomic_t told_by;

static void kill_group(int sig)
{
	int saved_errno = errno;

	told_by = sig;
	kill(-child, SIGKILL);
	errno = saved_errno;
}

#ifdef __linux__
/* Orphans of this process's descendants become its children. */
static void adopt_orphans(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Kills and reaps all children; their children, which it adopts meanwhile, in the next rounds. */
static void kill_orphans(void)
{
	char path[64];
	FILE *list;
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	do {
		list = fopen(path, "r");
		if (!list)
			return;
		while (fscanf(list, "%d", &pid) == 1)
			kill(pid, SIGKILL);
		fclose(list);
	} while (waitpid(-1, NULL, 0) >= 0 || errno == EINTR);
}
#else
static void adopt_orphans(void)
{
}
static void kill_orphans(void)
{
}
#endif

/*
 * Waits for the child to end, and kills the rest of its group before another process can get its
 * id.
 */
static int end_of_child(void)
{
	siginfo_t info;
	int status;

	while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT))
		if (errno != EINTR)
			return 125;
	kill(-child, SIGKILL);
	alarm(0);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	if (told_by)
		return told_by == SIGALRM ? 124 : 128 + told_by;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGALRM, SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = kill_group };
	int seconds = argc > 2 ? atoi(argv[1]) : 0;
	sigset_t blocked, before;
	int status;

	if (seconds <= 0) {
		fputs("usage: watchdog SECONDS PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	adopt_orphans();
	/* Blocked until the child is known: a signal in between would leave the child behind. */
	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		sigaddset(&blocked, signals[i]);
		sigaction(signals[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, &before);
	child = fork();
	if (child < 0) {
		perror("watchdog: fork");
		return 125;
	}
	if (child == 0) {
		setpgid(0, 0);
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[2], argv + 2);
		fprintf(stderr, "watchdog: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	setpgid(child, child);
	alarm((unsigned int)seconds);
	sigprocmask(SIG_SETMASK, &before, NULL);

	status = end_of_child();
	kill_orphans();
	if (status == 124)
		fprintf(stderr, "watchdog: %s took more than %d s and was killed\n", argv[2],
			seconds);
	else if (status > 128)
		fprintf(stderr, "watchdog: %s ended by signal %d\n", argv[2], status - 128);
	return status;
}
