/* SPDX-License-Identifier: MIT */
/*
 * The processes of the kernel's side. Space 0 is the first of them, and tells the others by pipes
 * what to do; a space's process comes from the fork() of another one's.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include "test.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	struct record records[MAX_OPS];
	const char *reason; /* a constant, so that it is at the same place in the test's process */
	bool finished;
};

/* [0] is to read, [1] to write. */
struct pipes {
	int command[NR_SPACES][2]; /* the index of an operation */
	int answer[2];
};

static void serve(struct kernel *kernel, const struct pipes *pipes, unsigned int space);

/* Carries out an operation of the space that this process is. */
static void do_here(struct kernel *kernel, const struct pipes *pipes, unsigned int index)
{
	const struct op *op = &kernel->sequence->ops[index];

	if (op->kind == OP_FORK && syscall(SYS_fork) == 0) {
		serve(kernel, pipes, op->other);
		_exit(0);
	}
	kernel_do(kernel, op, &kernel->records[index]);
}

/* Until OP_EXIT, or until space 0 is gone. */
static void serve(struct kernel *kernel, const struct pipes *pipes, unsigned int space)
{
	unsigned int index;

	for (unsigned int i = 0; i < NR_SPACES; i++)
		close(pipes->command[i][1]);
	while (read(pipes->command[space][0], &index, sizeof(index)) == sizeof(index)) {
		bool last = kernel->sequence->ops[index].kind == OP_EXIT;

		if (!last)
			do_here(kernel, pipes, index);
		if (write(pipes->answer[1], "", 1) != 1 || last)
			break;
	}
}

static void do_there(const struct pipes *pipes, unsigned int space, unsigned int index)
{
	char answer;

	if (write(pipes->command[space][1], &index, sizeof(index)) != sizeof(index) ||
	    read(pipes->answer[0], &answer, 1) != 1)
		_exit(1);
}

static void do_all(struct kernel *kernel, const struct pipes *pipes)
{
	bool alive[NR_SPACES] = { true };

	for (unsigned int i = 0; i < kernel->sequence->count; i++) {
		const struct op *op = &kernel->sequence->ops[i];

		if (!alive[op->space] || (op->kind == OP_FORK && alive[op->other])) {
			kernel->records[i].skipped = true;
			continue;
		}
		if (op->space)
			do_there(pipes, op->space, i);
		else
			do_here(kernel, pipes, i);
		if (op->kind == OP_FORK)
			alive[op->other] = true;
		if (op->kind == OP_EXIT)
			alive[op->space] = false;
	}
}

static void run_here(const struct sequence *sequence, const struct files *files, struct run *run,
		     const struct pipes *pipes)
{
	struct kernel kernel = { sequence, files, run->records, 0 };

	/* Exited children are not waited for; should one hang, so does space 0. */
	signal(SIGCHLD, SIG_IGN);
	alarm(60);
	run->reason = kernel_enclose(&kernel);
	if (!run->reason)
		do_all(&kernel, pipes);
	run->finished = true;
}

static void open_pipes(struct pipes *pipes)
{
	for (unsigned int i = 0; i < NR_SPACES; i++)
		CHECK(pipe(pipes->command[i]) == 0);
	CHECK(pipe(pipes->answer) == 0);
}

static void close_pipes(const struct pipes *pipes)
{
	for (unsigned int i = 0; i < NR_SPACES; i++) {
		close(pipes->command[i][0]);
		close(pipes->command[i][1]);
	}
	close(pipes->answer[0]);
	close(pipes->answer[1]);
}

const char *kernel_run(const struct sequence *sequence, const struct files *files,
		       struct record *records)
{
	struct run *run =
		mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *reason;
	struct pipes pipes;
	int status;
	pid_t pid;

	CHECK(run != MAP_FAILED);
	open_pipes(&pipes);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		run_here(sequence, files, run, &pipes);
		_exit(0);
	}
	close_pipes(&pipes);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	CHECK(run->finished);
	memcpy(records, run->records, sizeof(run->records));
	reason = run->reason;
	munmap(run, sizeof(*run));
	return reason;
}
