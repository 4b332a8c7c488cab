/* SPDX-License-Identifier: MIT */
/*
 * A program that gives up the right to nearly all system calls, as sandboxes do, can go on to use
 * locks. The kernel kills it if the library makes any other call than those that range_lock.h
 * names. The threads start before, but use their first lock afterwards.
 */
#include "actors.h"
#include "forks.h"

#ifdef __linux__
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The ABI of the system calls of this program, in which the filter reads their numbers. */
#if defined(__x86_64__) && defined(__LP64__)
#define ABI AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define ABI AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define ABI AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ABI AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define ABI AUDIT_ARCH_RISCV64
#endif
#endif

#if defined(ABI) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

enum { THREADS = 4, KEYS = 200, NO_FILTER = 77 };

static struct range_lock lock;
static atomic_bool begun;
static atomic_uint ready, done;
static sem_t never;

struct worker {
	uint64_t seed;
	struct range_hold range; /* where other threads find it to cancel its wait */
};

/* The sandbox allows no output, so the exit status is the line. */
static void require(bool holds, int line)
{
	if (!holds)
		_exit(line % 64 + 128);
}
#define REQUIRE(condition) require(condition, __LINE__)

#define ALLOW(call)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* The calls that the header names, under all their names on 32-bit machines; and exit. */
static void enter_sandbox(void)
{
	static struct sock_filter calls[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ABI, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_futex
		ALLOW(futex),
#endif
#ifdef SYS_futex_time64
		ALLOW(futex_time64),
#endif
		ALLOW(membarrier),
#ifdef SYS_mmap
		ALLOW(mmap),
#endif
#ifdef SYS_mmap2
		ALLOW(mmap2),
#endif
		ALLOW(munmap),
#ifdef SYS_clock_gettime
		ALLOW(clock_gettime),
#endif
#ifdef SYS_clock_gettime64
		ALLOW(clock_gettime64),
#endif
		ALLOW(sched_yield),
		ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = { sizeof calls / sizeof calls[0], calls };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter))
		_exit(NO_FILTER);
}

/* Whether the range is held; other threads cancel waits. */
static bool got(int error)
{
	REQUIRE(!error || error == ECANCELED || error == ETIMEDOUT || error == EBUSY);
	return !error;
}

static void write_and_resize(struct worker *worker, uint64_t start)
{
	struct range_hold upper;
	struct range_info info;

	if (!got(range_lock(&lock, &worker->range, start, start + 8, RANGE_WRITE)))
		return;
	(void)got(range_tryextend(&lock, &worker->range, start, start + 10));
	REQUIRE(range_shrink(&lock, &worker->range, start, start + 6) == 0);
	REQUIRE(range_split(&lock, &worker->range, start + 3, &upper) == 0);
	range_downgrade(&lock, &upper);
	(void)got(range_tryupgrade(&lock, &upper));
	(void)range_is_held(&lock, start, start + 6, RANGE_READ);
	(void)range_lock_conflict(&lock, start, start + 10, RANGE_WRITE, &info);
	if (upper.mode == RANGE_WRITE) {
		REQUIRE(range_join(&lock, &worker->range, &upper) == 0);
	} else {
		int error = range_upgrade(&lock, &upper);

		REQUIRE(!error || error == ECANCELED || error == EDEADLK);
		range_unlock(&lock, &upper);
	}
	range_unlock(&lock, &worker->range);
}

static void read_often(struct worker *worker, uint64_t start)
{
	for (int i = 0; i < 8; i++)
		if (got(range_lock(&lock, &worker->range, start, start + 4, RANGE_READ)))
			range_unlock(&lock, &worker->range);
}

static void wait_until(struct worker *worker, uint64_t start, clockid_t clock)
{
	struct timespec soon = time_after(clock, 20000);

	if (got(range_timedlock(&lock, &worker->range, start, start + KEYS, RANGE_WRITE, clock,
				&soon)))
		range_unlock(&lock, &worker->range);
}

static void try_and_acquire_many(struct worker *worker, uint64_t start)
{
	struct range_hold others[2];
	struct range_request requests[] = { { &worker->range, start, start + 2, RANGE_READ },
					    { &others[0], start + 4, start + 5, RANGE_WRITE },
					    { &others[1], start + 9, start + 20, RANGE_READ } };

	if (got(range_trylock(&lock, &worker->range, start, start + 1, RANGE_WRITE)))
		range_unlock(&lock, &worker->range);
	if (!got(range_lock_many(&lock, requests, 3)))
		return;
	for (int i = 0; i < 3; i++)
		range_unlock(&lock, requests[i].range);
}

/* 1: granted, 2: canceled. */
static void note_end(int error, void *arg)
{
	atomic_store((atomic_int *)arg, error ? 2 : 1);
}

static void request(struct worker *worker, uint64_t start)
{
	atomic_int ended = 0;
	struct range_request requests[] = { { &worker->range, start, start + 8, RANGE_WRITE } };
	int error = start % 2 ? range_lock_async(&lock, &worker->range, start, start + 8,
						 RANGE_READ, note_end, &ended)
			      : range_lock_many_async(&lock, requests, 1, note_end, &ended);

	REQUIRE(error == 0 || error == EINPROGRESS);
	if (error)
		AWAIT(atomic_load(&ended));
	if (atomic_load(&ended) != 2)
		range_unlock(&lock, &worker->range);
}

static int count(const struct range_info *info, void *arg)
{
	unsigned int *n = arg;

	*n += info->state == RANGE_STATE_HELD;
	return 0;
}

static void look_around(struct worker *all, uint64_t which)
{
	struct range_lock_stats stats;
	struct range_lock_times times;
	unsigned int held = 0;
	int error = range_cancel(&lock, &all[which].range);

	REQUIRE(!error || error == ESRCH);
	REQUIRE(range_lock_foreach(&lock, count, &held) == 0);
	range_lock_stats(&lock, &stats);
	REQUIRE(range_lock_get_times(&lock, &times) == 0);
	REQUIRE(stats.leaves >= 1);
	make_impatient(&lock);
}

static struct worker workers[THREADS];

/* Whether the library used all calls that the filter allows. */
static bool seen_all(void)
{
	struct range_lock_stats stats = lock_stats(&lock);

	return stats.waits > 0 && stats.splits > 1 && stats.biases > 1;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	/* From here on the thread calls only the lock and functions that wait. */
	atomic_fetch_add(&ready, 1);
	AWAIT(atomic_load(&begun));
	for (int i = 0; i < 3000 || !seen_all(); i++) {
		uint64_t start = test_random_below(&worker->seed, KEYS);

		switch (test_random_below(&worker->seed, 8)) {
		case 0:
			wait_until(worker, start, start % 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC);
			break;
		case 1:
			try_and_acquire_many(worker, start);
			break;
		case 2:
			look_around(workers, start % THREADS);
			break;
		case 3:
		case 4:
			read_often(worker, start);
			break;
		case 5:
			request(worker, start);
			break;
		default:
			write_and_resize(worker, start);
		}
	}
	atomic_fetch_add(&done, 1);
	/* The end of the thread would take more system calls. */
	sem_await(&never);
	return NULL;
}

/* The calling thread holds one range until the others have come to wait for it. */
static void make_others_wait(void)
{
	struct range_hold all;

	while (range_lock(&lock, &all, FULL, RANGE_WRITE))
		;
	AWAIT(lock_stats(&lock).waits > 1);
	range_unlock(&lock, &all);
}

static void use_all_functions(enum range_fairness fairness)
{
	static struct range_lock_counters counters;
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.max_leaves = 64;
	attr.counters = &counters;
	REQUIRE(range_lock_init(&lock, &attr) == 0);
	for (int i = 0; i < THREADS; i++)
		thread_start(work, &workers[i]);
	AWAIT(atomic_load(&ready) == THREADS);
	enter_sandbox();
	atomic_store(&begun, true);
	make_others_wait();
	AWAIT(atomic_load(&done) == THREADS);
	REQUIRE(range_lock_destroy(&lock) == 0);
	_exit(0);
}

static void check_in_sandbox(enum range_fairness fairness)
{
	uint64_t seed;
	pid_t child;
	int status;

	if (getenv("MMRANGE_TEST_SLOW")) {
		puts("skipped: valgrind makes system calls of its own");
		return;
	}
	seed = test_seed("sandbox");
	for (int i = 0; i < THREADS; i++)
		workers[i].seed = test_random(&seed);
	fflush(NULL);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		use_all_functions(fairness);
	CHECK_EQ(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER)
		puts("skipped: there are no filters of system calls here");
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		test_fail(__FILE__, __LINE__, "the library made a system call that is not allowed");
	else
		CHECK_EQ(status, 0);
}

TEST(sandbox, no_call_makes_other_system_calls_than_the_header_names)
{
	check_in_sandbox(RANGE_FAIRNESS_BARGING);
}

TEST(sandbox, nor_does_any_call_on_a_fifo_lock)
{
	check_in_sandbox(RANGE_FAIRNESS_FIFO);
}

#else

TEST(sandbox, no_call_makes_other_system_calls_than_the_header_names)
{
	puts("skipped: there are no filters of system calls here, or a sanitizer makes others");
}

#endif
