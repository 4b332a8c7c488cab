/* SPDX-License-Identifier: MIT */
/*
 * Accesses to pages that a file does not have, and what becomes of signals that are none of ours. All of
 * it happens in children: the handler is installed once in a process, and here each time anew.
 */
#include "mm/guard.h"

#include "child.h"
#include "files.h"
#include "threads.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* The linker lets the library's calls of sigaction() end here, which a program may forbid itself. */
static bool forbidden;

int __real_sigaction(int number, const struct sigaction *action, struct sigaction *old);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *old);

int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (!forbidden)
		return __real_sigaction(number, action, old);
	errno = EPERM;
	return -1;
}

/* A mapping of the program's own of so many pages, of which the file has one. */
static char *map_short_file(size_t pages)
{
	int fd = new_file(PAGES(1));
	char *bytes = mmap(NULL, PAGES(pages), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(bytes != MAP_FAILED);
	close(fd);
	return bytes;
}

/* Sanitizers have handlers that report the signal and end the process. */
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
	/* A probe for writing has written nothing. */
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
 * Signals that are not ours. A child maps a file in a space, and with that installs the handler.
 */

static char *own; /* a mapping of the program's own that is too short */
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

TEST(mm_guard, a_handler_that_the_program_had_before_gets_what_is_not_ours)
{
	CHECK(survived(pass_to_handler));
	CHECK(survived(pass_to_action));
}

/* The program's handler passes on, as mm.h demands. */
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

TEST(mm_guard, a_handler_that_the_program_installs_later_may_pass_on_what_is_ours)
{
	CHECK(survived(install_later));
}
