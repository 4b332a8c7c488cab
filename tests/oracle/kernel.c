/* SPDX-License-Identifier: MIT */
/*
 * The processes of the kernel's side. Space 0 is the first of them, and tells the others by pipes
 * what to do; a space's process comes from the fork() of another one's.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include "child.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

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
	kernel_do(kernel, op, &kernel->side->records[index]);
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

		kernel->side->reached = i;
		if (!alive[op->space] || (op->kind == OP_FORK && alive[op->other])) {
			kernel->side->records[i].skipped = true;
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

static void open_pipes(struct pipes *pipes)
{
	for (unsigned int i = 0; i < NR_SPACES; i++)
		CHECK(pipe(pipes->command[i]) == 0);
	CHECK(pipe(pipes->answer) == 0);
}

/* Of this process, once it is a side's. */
static struct kernel self;

/* In a process of its own, which ends without exit(): its heap is gone. */
static void run_here(void)
{
	struct pipes pipes;

	open_pipes(&pipes);
	/* Exited children are not waited for; should one hang, so does space 0. */
	signal(SIGCHLD, SIG_IGN);
	alarm(60);
	self.side->unable = kernel_enclose(&self);
	if (!self.side->unable)
		do_all(&self, &pipes);
	self.side->finished = true;
	_exit(0);
}

bool kernel_is_since(unsigned int major, unsigned int minor)
{
	static unsigned int is_major, is_minor;
	struct utsname name;

	if (!is_major) {
		CHECK(uname(&name) == 0);
		CHECK(sscanf(name.release, "%u.%u", &is_major, &is_minor) == 2);
	}
	return is_major > major || (is_major == major && is_minor >= minor);
}

/* MAP_STACK is a flag of the VMA: one about huge pages, where there are some. */
static bool has_stack_flag(void)
{
	return kernel_is_since(6, 7) && access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0;
}

/*
 * Without a limit, where that is allowed. mremap() counts what an area grows by before it frees
 * anything. So all of a window of so many pages can be locked, and moved within it, with a limit of
 * twice as many.
 */
static bool may_lock(unsigned int pages)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	return limit.rlim_max >= 2 * pages * MM_PAGE_SIZE;
}

/* As MM_STACK_MAX. */
static bool may_limit_stack(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
	return limit.rlim_max >= MM_STACK_MAX;
}

/*
 * Without random addresses the heap, and so the window, begins where the program's own data ends, and
 * stacks keep their gap to that.
 */
static bool heap_is_apart(void)
{
	uint64_t heap = kernel_number("/proc/self/stat", 45);
	unsigned char vec;

	return heap && syscall(SYS_mincore, heap - MM_PAGE_SIZE, MM_PAGE_SIZE, &vec) == -1;
}

static unsigned int without(unsigned int features, unsigned int feature, bool possible,
			    const char *why)
{
	if (!possible)
		printf("without %s\n", why);
	return possible ? features : features & ~feature;
}

unsigned int kernel_features(void)
{
	unsigned int features = FEATURE_ALL;

	features = without(features, FEATURE_STACK, has_stack_flag(),
			   "MAP_STACK: here it does not keep VMAs apart");
	features = without(features, FEATURE_MLOCK | FEATURE_MLOCK_LARGE, may_lock(SMALL_WINDOW),
			   "mlock(): RLIMIT_MEMLOCK is too low");
	features = without(features, FEATURE_MLOCK_LARGE, may_lock(LARGE_WINDOW),
			   "mlock() in large windows: RLIMIT_MEMLOCK is too low");
	features = without(features, FEATURE_GROWSDOWN, may_limit_stack(),
			   "MAP_GROWSDOWN: RLIMIT_STACK is too low");
	features = without(features, FEATURE_GROWSDOWN, heap_is_apart(),
			   "MAP_GROWSDOWN: the program's data lies right below the window");
	features = without(features, FEATURE_LIMIT, kernel_max_vmas() <= 1 << 17,
			   "the limit of VMAs: vm.max_map_count is too high to reach it");
	features = without(features, FEATURE_SEALS, kernel_is_since(6, 13),
			   "sealed files: only since 6.13 may they be mapped shared for reading");
	return features;
}

void kernel_run(const struct sequence *sequence, const struct files *files, struct side *side)
{
	self = (struct kernel){ sequence, files, side, 0 };
	side_clear(side);
	run_in_child(run_here, side->errors, sizeof(side->errors));
}
