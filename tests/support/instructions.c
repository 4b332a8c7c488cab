/* SPDX-License-Identifier: MIT */
#include "instructions.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#include <sys/ptrace.h>
#include <sys/user.h>

static void run_nothing(void *arg)
{
	(void)arg;
}

/* Stops before and after the second run. */
static _Noreturn void be_counted(void (*run)(void *arg), void *arg)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(errno);
	for (int i = 0; i < 2; i++) {
		raise(SIGSTOP);
		run(arg);
	}
	raise(SIGSTOP);
	_exit(0);
}

#ifdef __x86_64__
static bool is_atomic(pid_t child)
{
	struct user_regs_struct registers;
	unsigned char byte[8];
	long word;
	int i = 0;

	ptrace(PTRACE_GETREGS, child, NULL, &registers);
	word = ptrace(PTRACE_PEEKTEXT, child, (void *)registers.rip, NULL);
	for (int k = 0; k < 8; k++)
		byte[k] = (unsigned char)((unsigned long)word >> 8 * k);
	for (; byte[i] == 0x66 || byte[i] == 0x64 || byte[i] == 0xf0; i++)
		if (byte[i] == 0xf0) /* lock */
			return true;
	if ((byte[i] & 0xf0) == 0x40) /* REX */
		i++;
	/* xchg with memory locks without the prefix */
	return (byte[i] == 0x86 || byte[i] == 0x87) && byte[i + 1] >> 6 != 3;
}
#else
static bool is_atomic(pid_t child)
{
	(void)child;
	return false;
}
#endif

/* Waits for a stop. Returns the signal, or 0 if the child has ended, with its status. */
static int await_stop(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0)
		CHECK_EQ(errno, EINTR);
	return WIFSTOPPED(*status) ? WSTOPSIG(*status) : 0;
}

/* Returns 0 or the error. */
static int count(void (*run)(void *arg), void *arg, struct instructions *counted)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		be_counted(run, arg);
	for (int i = 0; i < 2; i++) {
		if (await_stop(child, &status) != SIGSTOP) {
			CHECK(WIFEXITED(status) && WEXITSTATUS(status));
			return WEXITSTATUS(status);
		}
		CHECK_EQ(ptrace(i ? PTRACE_SINGLESTEP : PTRACE_CONT, child, NULL, NULL), 0);
	}
	while (await_stop(child, &status) == SIGTRAP) {
		counted->all++;
		counted->atomic += is_atomic(child);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
			return errno;
	}
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	ptrace(PTRACE_CONT, child, NULL, NULL);
	while (await_stop(child, &status))
		ptrace(PTRACE_CONT, child, NULL, NULL);
	CHECK_EQ(status, 0);
	return 0;
}

static bool under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded && strstr(preloaded, "vgpreload");
}

bool can_count_instructions(void)
{
	struct instructions nothing = { 0, 0 };
	int error = under_valgrind() ? ENOTSUP : count(run_nothing, NULL, &nothing);

	if (error)
		printf("skipped: instructions cannot be counted here (error %d)\n", error);
	return !error;
}

struct instructions count_instructions(void (*run)(void *arg), void *arg)
{
	struct instructions counted = { 0, 0 }, nothing = { 0, 0 };

	CHECK_EQ(count(run_nothing, NULL, &nothing), 0);
	CHECK_EQ(count(run, arg, &counted), 0);
	CHECK(counted.all >= nothing.all);
	counted.all -= nothing.all;
	counted.atomic -= nothing.atomic;
	return counted;
}
#else
bool can_count_instructions(void)
{
	printf("skipped: instructions are counted on Linux, without sanitizers\n");
	return false;
}

struct instructions count_instructions(void (*run)(void *arg), void *arg)
{
	(void)run, (void)arg;
	abort();
}
#endif
