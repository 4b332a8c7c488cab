/* SPDX-License-Identifier: MIT */
/*
 * The handler runs in the thread whose access has failed, and so sees the thread's variable as the
 * access left it; only the compiler has to be kept from moving accesses out of the guard.
 */
#include "guard.h"

#include "../platform/platform.h"
#include "bytes.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* Pages of the system are no larger, and some processors say only in which of them an access failed. */
#define LARGEST_PAGE ((uintptr_t)1 << 16)

struct guard {
	sigjmp_buf env;
	int saved_errno; /* sanitizers change it before they call a handler */
	uintptr_t page;
	struct guard *outer; /* of the access that a handler of the program has interrupted */
};

static MMRANGE__THREAD_LOCAL struct guard *innermost;
static MMRANGE__THREAD_LOCAL bool unblocked;

/* Locked while fork(2) copies the process, so that a child finds the handler and the flag agree. */
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static bool installed;

/* Not changed any more once the handler is installed: it runs in several threads at once. */
static struct sigaction previous;
static atomic_flag previous_reset = ATOMIC_FLAG_INIT; /* it had SA_RESETHAND, and was called */

/*
 * The signal
 */

/*
 * Whether an access has failed, which fails again when it is tried again. Linux also sends a signal of
 * its own accord, when memory is found to be damaged that the process has not touched: see "BUS_MCEERR_AO"
 * in sigaction(2). A program can ignore that one.
 */
static bool is_by_access(const siginfo_t *info)
{
#ifdef BUS_MCEERR_AO
	if (info->si_code == BUS_MCEERR_AO)
		return false;
#endif
	return info->si_code > 0;
}

static bool is_guarded(const struct guard *guard, const siginfo_t *info)
{
	uintptr_t addr = (uintptr_t)info->si_addr;

	return guard && is_by_access(info) && addr >= (guard->page & ~(LARGEST_PAGE - 1)) &&
	       addr < guard->page + MM_PAGE_SIZE;
}

/* By the pointer alone, as the system does: SA_SIGINFO may be set without a handler. */
static bool is_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Whether the system would call the earlier handler now. One with SA_RESETHAND it calls once. */
static bool take_previous(void)
{
	if (!is_handler(&previous))
		return false;
	return !(previous.sa_flags & (int)SA_RESETHAND) ||
	       !atomic_flag_test_and_set(&previous_reset);
}

/* As the system would have called it; the stack is right since the handler was installed. */
static void call_previous(int number, siginfo_t *info, void *context)
{
	sigset_t mask = previous.sa_mask;
	sigset_t saved;

	if (!(previous.sa_flags & SA_NODEFER))
		sigaddset(&mask, number);
	pthread_sigmask(SIG_BLOCK, &mask, &saved);
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(number, info, context);
	else
		previous.sa_handler(number);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

/* What happens without a handler: an access that has failed is tried again, and fails again. */
static void do_default(int number, const siginfo_t *info)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
	if (!is_by_access(info))
		raise(number);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	if (take_previous())
		call_previous(number, info, context);
	else if (previous.sa_handler != SIG_IGN || is_by_access(info))
		/* The system ignores no signal of an access. */
		do_default(number, info);
}

/* With the signals blocked that were before, as after any handler. */
_Noreturn static void leave_access(struct guard *guard, void *context)
{
	pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
	siglongjmp(guard->env, 1);
}

static void handle(int number, siginfo_t *info, void *context)
{
	struct guard *guard = innermost;
	int saved = errno;

	if (is_guarded(guard, info))
		leave_access(guard, context);
	pass_on(number, info, context);
	errno = saved;
}

/* Where the earlier handler would run, and whether calls of the system would go on after it. */
static int flags_of_previous(void)
{
	int flags = SA_ONSTACK | SA_RESTART;

	return is_handler(&previous) ? previous.sa_flags & flags : flags;
}

/* 0, or an errno value. */
static int install(void)
{
	struct sigaction action;
	int saved = errno;
	int error = 0;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle;
	sigemptyset(&action.sa_mask);
	/* First, as the handler may run at once. */
	if (sigaction(SIGBUS, NULL, &previous))
		error = errno;
	/* Which signals are blocked in the earlier handler is up to call_previous(). */
	action.sa_flags = SA_SIGINFO | SA_NODEFER | flags_of_previous();
	if (!error && sigaction(SIGBUS, &action, NULL))
		error = errno;
	errno = saved;
	return error;
}

int mm__guard_install(void)
{
	int error = 0;

	pthread_mutex_lock(&install_lock);
	if (!installed)
		error = install();
	if (!error)
		installed = true;
	pthread_mutex_unlock(&install_lock);
	return error;
}

void mm__guard_before_fork(void)
{
	pthread_mutex_lock(&install_lock);
}

void mm__guard_after_fork(void)
{
	pthread_mutex_unlock(&install_lock);
}

/*
 * Accesses
 */

static void unblock(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	unblocked = true;
}

static void enter(struct guard *guard)
{
	innermost = guard;
	atomic_signal_fence(memory_order_seq_cst);
}

static void leave(const struct guard *guard)
{
	atomic_signal_fence(memory_order_seq_cst);
	innermost = guard->outer;
}

static void prepare(struct guard *guard, const void *page)
{
	if (!unblocked)
		unblock();
	guard->page = (uintptr_t)page & ~((uintptr_t)MM_PAGE_SIZE - 1);
	guard->outer = innermost;
	guard->saved_errno = errno;
}

static void failed(const struct guard *guard)
{
	leave(guard);
	errno = guard->saved_errno;
}

/* A function of its own, as variables that change after sigsetjmp() would be lost by the jump. */
__attribute__((noinline)) static void copy(void *to, const void *from, size_t n)
{
	mm__bytes_copy(to, from, n);
}

bool mm__guard_copy(void *to, const void *from, size_t n, const void *page)
{
	struct guard guard;

	prepare(&guard, page);
	if (sigsetjmp(guard.env, 0)) {
		failed(&guard);
		return false;
	}
	enter(&guard);
	copy(to, from, n);
	leave(&guard);
	return true;
}

bool mm__guard_probe(void *page, bool write)
{
	/* A compiler that knew it to be 0 would make a load of what is a store to the system. */
	static const volatile unsigned char none = 0;
	/* And valgrind makes nothing of a load whose value is not stored. */
	volatile unsigned char byte = 0;
	struct guard guard;

	prepare(&guard, page);
	if (sigsetjmp(guard.env, 0)) {
		failed(&guard);
		return false;
	}
	enter(&guard);
	if (write)
		__atomic_fetch_or((unsigned char *)page, none, __ATOMIC_RELAXED);
	else
		byte = __atomic_load_n((const unsigned char *)page, __ATOMIC_RELAXED);
	(void)byte;
	leave(&guard);
	return true;
}
