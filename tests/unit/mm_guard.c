/* SPDX-License-Identifier: MIT */
/*
 * Accesses to pages that a file does not have, and signals that no access of ours has caused. The
 * tests run in child processes, because a process installs the handler once, and here each test
 * installs it anew.
 */
#include "mm/guard.h"

#include "child.h"
#include "files.h"
#include "forks.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <sys/wait.h>

/*
 * The linker redirects the library's calls of sigaction() to this file. A program may forbid them
 * to itself.
 */
static bool forbidden;

/* A thread in mm__guard_install() that has installed the handler waits until fork() has begun. */
static atomic_bool hold_installer, installer_held, fork_waits, fork_done;
static _Thread_local bool in_fork;

int __real_sigaction(int number, const struct sigaction *action, struct sigaction *old);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *old);

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	int result;

	if (forbidden) {
		errno = EPERM;
		return -1;
	}
	result = __real_sigaction(number, action, old);
	if (action && number == SIGBUS && atomic_load(&hold_installer)) {
		atomic_store(&installer_held, true);
		AWAIT(atomic_load(&fork_waits) || atomic_load(&fork_done));
	}
	return result;
}

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!in_fork)
		return __real_pthread_mutex_lock(mutex);
	if (!pthread_mutex_trylock(mutex))
		return 0;
	atomic_store(&fork_waits, true);
	return __real_pthread_mutex_lock(mutex);
}

/* A mapping by the program itself of so many pages, of which the file has one. */
static char *map_short_file(size_t pages)
{
	int fd = new_file(PAGES(1));
	char *bytes = mmap(NULL, PAGES(pages), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(bytes != MAP_FAILED);
	close(fd);
	return bytes;
}

/* Sanitizers install handlers that report the signal and end the process. */
static bool died(void (*run)(void))
{
	char errors[4096];
	int status = run_in_child(run, errors, sizeof(errors));

	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGBUS;
	return WEXITSTATUS(status) && strstr(errors, "Sanitizer");
}

static bool survived(void (*run)(void))
{
	char errors[4096];
	int status = run_in_child(run, errors, sizeof(errors));

	if (status)
		fputs(errors, stderr);
	return !status;
}

static void tell_pages(void)
{
	char *bytes = map_short_file(2), target[16];

	CHECK_EQ(mm__guard_install(), 0);
	for (int write = 0; write <= 1; write++) {
		CHECK(mm__guard_probe(bytes, write));
		CHECK(!mm__guard_probe(bytes + PAGES(1), write));
	}
	/* A probe for writing writes nothing. */
	CHECK_EQ((unsigned char)bytes[0], file_pattern(0));
	CHECK(mm__guard_copy(target, bytes + 5, sizeof(target), bytes + 5));
	CHECK_EQ((unsigned char)target[15], file_pattern(20));
	CHECK(mm__guard_copy(bytes + 3, "ab", 2, bytes + 3));
	CHECK(!memcmp(bytes + 3, "ab", 2));
	for (unsigned int i = 0; i < 100; i++) {
		CHECK(!mm__guard_copy(target, bytes + PAGES(1) + i, 1, bytes + PAGES(1) + i));
		CHECK(!mm__guard_copy(bytes + PAGES(2) - 1, "a", 1, bytes + PAGES(2) - 1));
	}
	CHECK_EQ(munmap(bytes, PAGES(2)), 0);
}

TEST(mm_guard, tells_pages_that_can_be_accessed_from_others)
{
	CHECK(survived(tell_pages));
}

static void map_without_a_handler(void)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));
	uint64_t addr;

	forbidden = true;
	errno = 4711;
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), R, MM_MAP_PRIVATE, fd, 0, &addr), EPERM);
	CHECK_EQ(errno, 4711);
	forbidden = false;
	end_space(mm);
	close(fd);
}

TEST(mm_guard, no_file_is_mapped_where_the_handler_is_forbidden_and_errno_stays)
{
	CHECK(survived(map_without_a_handler));
}

static void *probe_blocked(void *bytes)
{
	sigset_t all;

	sigfillset(&all);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
	CHECK(!mm__guard_probe((char *)bytes + PAGES(1), false));
	return NULL;
}

static void block_signals(void)
{
	char *bytes = map_short_file(2);

	CHECK_EQ(mm__guard_install(), 0);
	thread_join(thread_start(probe_blocked, bytes));
	CHECK_EQ(munmap(bytes, PAGES(2)), 0);
}

TEST(mm_guard, works_in_a_thread_that_blocks_all_signals)
{
	CHECK(survived(block_signals));
}

/*
 * Signals that are not ours. A child maps a file in a space, which installs the handler.
 */

static char *own; /* a mapping by the program itself that is too short */
static sigjmp_buf out;
static void *volatile seen_addr;
static volatile sig_atomic_t seen, seen_by_later;

static void use_a_space(void)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(1));

	own = map_short_file(2);
	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(peek(mm, AT(0)), file_pattern(0));
	CHECK_EQ(peek(mm, AT(1)), -MM_BUS_ADRERR);
	end_space(mm);
	close(fd);
}

static void install(void (*handler)(int), void (*action)(int, siginfo_t *, void *), int flags)
{
	struct sigaction new;

	memset(&new, 0, sizeof(new));
	sigemptyset(&new.sa_mask);
	sigaddset(&new.sa_mask, SIGUSR1);
	new.sa_flags = flags;
	if (flags & SA_SIGINFO)
		new.sa_sigaction = action;
	else
		new.sa_handler = handler;
	CHECK_EQ(sigaction(SIGBUS, &new, NULL), 0);
}

static void touch_own(void)
{
	((volatile char *)own)[PAGES(1) + 7] = 1;
}

static void expect_death_by_access(void)
{
	use_a_space();
	touch_own();
}

static void expect_death_by_kill(void)
{
	use_a_space();
	raise(SIGBUS);
}

TEST(mm_guard, without_a_handler_a_signal_that_is_not_ours_ends_the_process)
{
	CHECK(died(expect_death_by_access));
	CHECK(died(expect_death_by_kill));
}

static void ignore_kill(void)
{
	install(SIG_IGN, NULL, 0);
	use_a_space();
	raise(SIGBUS);
}

static void ignore_access(void)
{
	install(SIG_IGN, NULL, 0);
	expect_death_by_access();
}

TEST(mm_guard, a_signal_that_the_program_ignores_is_ignored_unless_an_access_has_failed)
{
	CHECK(survived(ignore_kill));
	CHECK(died(ignore_access));
}

static void jump_out(int number)
{
	sigset_t blocked;

	CHECK_EQ(number, SIGBUS);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	CHECK(sigismember(&blocked, SIGBUS) && sigismember(&blocked, SIGUSR1));
	seen++;
	siglongjmp(out, 1);
}

static void jump_out_with_info(int number, siginfo_t *info, void *context)
{
	CHECK(context);
	seen_addr = info->si_addr;
	jump_out(number);
}

static void pass_to_earlier(void)
{
	use_a_space();
	if (!sigsetjmp(out, 1))
		touch_own();
	use_a_space();
	if (!sigsetjmp(out, 1))
		touch_own();
	CHECK_EQ(seen, 2);
}

static void pass_to_handler(void)
{
	install(jump_out, NULL, 0);
	pass_to_earlier();
}

static void pass_to_action(void)
{
	install(NULL, jump_out_with_info, SA_SIGINFO);
	pass_to_earlier();
	CHECK(seen_addr == own + PAGES(1) + 7);
}

TEST(mm_guard, an_earlier_handler_of_the_program_gets_the_faults_that_are_not_ours)
{
	CHECK(survived(pass_to_handler));
	CHECK(survived(pass_to_action));
}

/* The program's handler passes the signal on, as mm.h demands. */
static struct sigaction ours;

static void later(int number, siginfo_t *info, void *context)
{
	seen_by_later++;
	if ((char *)info->si_addr >= own && (char *)info->si_addr < own + PAGES(2))
		siglongjmp(out, 1);
	ours.sa_sigaction(number, info, context);
}

static void install_later(void)
{
	use_a_space();
	CHECK_EQ(sigaction(SIGBUS, NULL, &ours), 0);
	CHECK(ours.sa_flags & SA_SIGINFO);
	install(NULL, later, SA_SIGINFO | SA_NODEFER);
	use_a_space();
	CHECK(seen_by_later);
	if (!sigsetjmp(out, 1))
		touch_own();
	use_a_space();
}

TEST(mm_guard, a_later_handler_of_the_program_may_pass_on_our_faults)
{
	CHECK(survived(install_later));
}

/*
 * Linux reports damaged memory that the process has not touched, by a signal of the kernel that no
 * access has caused.
 */

#if defined(__linux__) && defined(BUS_MCEERR_AO)

static void find_damage(void)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGBUS;
	info.si_code = BUS_MCEERR_AO;
	info.si_addr = own;
	CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGBUS, &info), 0);
}

static void expect_death_by_damage(void)
{
	use_a_space();
	find_damage();
}

static void ignore_damage(void)
{
	install(SIG_IGN, NULL, 0);
	use_a_space();
	find_damage();
	/* Our handler is still installed. */
	use_a_space();
}

TEST(mm_guard, a_signal_of_the_kernel_that_no_access_has_caused_can_be_ignored)
{
	if (getenv("MMRANGE_TEST_SLOW")) {
		puts("skipped: valgrind takes every signal of the kernel for that of an access");
		return;
	}
	CHECK(died(expect_death_by_damage));
	CHECK(survived(ignore_damage));
}

#else

TEST(mm_guard, a_signal_of_the_kernel_that_no_access_has_caused_can_be_ignored)
{
	puts("skipped: there is no such signal here");
}

#endif

/*
 * The flags and the mask of the earlier action
 */

static void count(int number)
{
	CHECK_EQ(number, SIGBUS);
	seen++;
}

static void expect_death_by_second(void)
{
	install(count, NULL, (int)SA_RESETHAND);
	use_a_space();
	raise(SIGBUS);
	if (seen != 1)
		_exit(0);
	raise(SIGBUS);
}

/* If a handler stays installed, and returns without a repair, the system calls it again. */
static void count_accesses(int number)
{
	count(number);
	if (seen > 1)
		_exit(0);
}

static void expect_death_by_second_access(void)
{
	install(count_accesses, NULL, (int)SA_RESETHAND);
	expect_death_by_access();
}

static void use_spaces_after_reset(void)
{
	install(count, NULL, (int)SA_RESETHAND);
	use_a_space();
	raise(SIGBUS);
	use_a_space();
	CHECK_EQ(seen, 1);
}

TEST(mm_guard, an_earlier_handler_with_sa_resethand_is_called_once_and_then_the_default_applies)
{
	CHECK(died(expect_death_by_second));
	CHECK(died(expect_death_by_second_access));
	CHECK(survived(use_spaces_after_reset));
}

static void install_no_handler(void (*handler)(int))
{
	struct sigaction new;

	memset(&new, 0, sizeof(new));
	sigemptyset(&new.sa_mask);
	new.sa_handler = handler;
	new.sa_flags = SA_SIGINFO;
	CHECK_EQ(sigaction(SIGBUS, &new, NULL), 0);
}

static void expect_death_by_default(void)
{
	install_no_handler(SIG_DFL);
	expect_death_by_access();
}

static void ignore_kill_with_info(void)
{
	install_no_handler(SIG_IGN);
	use_a_space();
	raise(SIGBUS);
}

TEST(mm_guard, an_earlier_default_with_sa_siginfo_is_no_handler)
{
	int status;
	char errors[4096];

	status = run_in_child(expect_death_by_default, errors, sizeof(errors));
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGBUS);
	CHECK(survived(ignore_kill_with_info));
}

static char *alternate; /* the stack */
static size_t alternate_size;
static volatile bool on_alternate;

static void say_where(int number)
{
	volatile char here = 0;

	count(number);
	on_alternate = (char *)&here >= alternate && (char *)&here < alternate + alternate_size;
}

/*
 * Whether a handler with these flags runs on the alternate stack, and which of the flags the system
 * has for our handler.
 */
static void check_stack(int flags, bool expected)
{
	stack_t stack = { .ss_flags = 0 };

	alternate_size = (size_t)SIGSTKSZ + 65536;
	alternate = mmap(NULL, alternate_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	CHECK(alternate != MAP_FAILED);
	stack.ss_sp = alternate;
	stack.ss_size = alternate_size;
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	install(say_where, NULL, flags);
	use_a_space();
	raise(SIGBUS);
	CHECK_EQ(seen, 1);
	CHECK_EQ(on_alternate, expected);
	CHECK_EQ(sigaction(SIGBUS, NULL, &ours), 0);
	CHECK_EQ(ours.sa_flags & (SA_ONSTACK | SA_RESTART), flags);
	stack.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	CHECK_EQ(munmap(alternate, alternate_size), 0);
}

static void stay_on_the_stack(void)
{
	check_stack(0, false);
}

static void use_the_alternate_stack(void)
{
	check_stack(SA_ONSTACK | SA_RESTART, true);
}

static void have_no_handler(void)
{
	install_no_handler(SIG_DFL);
	use_a_space();
	CHECK_EQ(sigaction(SIGBUS, NULL, &ours), 0);
	CHECK(ours.sa_flags & SA_ONSTACK);
	CHECK(ours.sa_flags & SA_RESTART);
}

TEST(mm_guard, an_earlier_handler_runs_on_the_stack_that_it_asked_for)
{
	CHECK(survived(stay_on_the_stack));
	CHECK(survived(use_the_alternate_stack));
	CHECK(survived(have_no_handler));
}

/*
 * fork(2) while another thread installs the handler.
 */

static void *install_first(void *fd)
{
	struct mm *mm = new_space();

	map_file_at(mm, 0, 1, RW, MM_MAP_SHARED, *(int *)fd, 0);
	end_space(mm);
	return NULL;
}

static void be_a_child(void)
{
	alarm(60);
	atomic_store(&hold_installer, false);
	use_a_space();
	raise(SIGBUS);
	CHECK_EQ(seen, 1);
	_exit(0);
}

static void fork_while_installing(void)
{
	int fd = new_file(PAGES(1)), status;
	pthread_t installer;
	pid_t child;

	install(count, NULL, 0);
	atomic_store(&hold_installer, true);
	installer = thread_start(install_first, &fd);
	AWAIT(atomic_load(&installer_held));
	in_fork = true;
	child = fork();
	in_fork = false;
	CHECK(child >= 0);
	if (!child)
		be_a_child();
	atomic_store(&fork_done, true);
	thread_join(installer);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	close(fd);
}

TEST(mm_guard, the_child_of_fork_while_the_handler_is_installed_passes_on_to_the_earlier_one)
{
	CHECK(survived(fork_while_installing));
}
