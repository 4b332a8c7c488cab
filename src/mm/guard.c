/* SPDX-License-Identifier: MIT */
/*
 * The handler runs in the thread whose access has failed. So it finds the thread's variable as the
 * access left it. Only the compiler must not move accesses out of the guard.
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

/*
 * Pages of the system are no larger. Some processors report only in which page an access failed.
 */
#define LARGEST_PAGE ((uintptr_t)1 << 16)

struct guard {
	sigjmp_buf env;
	int saved_errno; /* sanitizers change errno before they call a handler */
	uintptr_t page;
	struct guard *outer; /* of the access that a handler of the program has interrupted */
};

static MMRANGE__THREAD_LOCAL struct guard *innermost;
static MMRANGE__THREAD_LOCAL bool unblocked;

/*
 * Locked while fork(2) copies the process, so that in a child the handler and the flag agree.
 */
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static bool installed;

/* Constant once the handler is installed, because it runs in several threads at once. */
static struct sigaction previous;
/* Set once an earlier handler with SA_RESETHAND was called. */
static atomic_flag previous_reset = ATOMIC_FLAG_INIT;

/*
 * The signal
 */

/*
 * Whether the signal is due to an access, which would fail again if the thread repeated it. Linux
 * also sends the signal of its own accord, when it finds damage in memory that the process has not
 * touched: see "BUS_MCEERR_AO" in sigaction(2). A program can ignore such a signal.
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

/* Decides by the pointer alone, as the system does: SA_SIGINFO may be set without a handler. */
static bool is_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Whether the system would call the earlier handler now. It calls one with SA_RESETHAND once. */
static bool take_previous(void)
{
	if (!is_handler(&previous))
		return false;
	return !(previous.sa_flags & (int)SA_RESETHAND) ||
	       !atomic_flag_test_and_set(&previous_reset);
}

/* Calls it as the system would. The stack is right because install_handler() took over the flags.
 */
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

/* Does what the system does without a handler. A failed access is repeated, and fails again. */
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
		/* The system does not ignore the signal of a failed access, even with SIG_IGN. */
		do_default(number, info);
}

/* Restores the signal mask from before the signal, as the return of a handler does. */
_Noreturn static void leave_access(struct guard *guard, void *context)
{
	pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
	siglongjmp(guard->env, 1);
}

static void handle_signal(int number, siginfo_t *info, void *context)
{
	struct guard *guard = innermost;
	int saved = errno;

	if (is_guarded(guard, info))
		leave_access(guard, context);
	pass_on(number, info, context);
	errno = saved;
}

/* The stack of the earlier handler, and whether the system would restart calls after it. */
static int flags_of_previous(void)
{
	int flags = SA_ONSTACK | SA_RESTART;

	return is_handler(&previous) ? previous.sa_flags & flags : flags;
}

/* Returns 0, or an errno value. */
static int install_handler(void)
{
	struct sigaction action;
	int saved = errno;
	int error = 0;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle_signal;
	sigemptyset(&action.sa_mask);
	/* Comes first, because the handler may run at once. */
	if (sigaction(SIGBUS, NULL, &previous))
		error = errno;
	/* call_previous() blocks the signals that the earlier handler wants blocked. */
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
		error = install_handler();
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

static void unblock_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	unblocked = true;
}

static void enter_guard(struct guard *guard)
{
	innermost = guard;
	atomic_signal_fence(memory_order_seq_cst);
}

static void leave_guard(const struct guard *guard)
{
	atomic_signal_fence(memory_order_seq_cst);
	innermost = guard->outer;
}

static void prepare_guard(struct guard *guard, const void *page)
{
	if (!unblocked)
		unblock_signal();
	guard->page = (uintptr_t)page & ~((uintptr_t)MM_PAGE_SIZE - 1);
	guard->outer = innermost;
	guard->saved_errno = errno;
}

static void failed(const struct guard *guard)
{
	leave_guard(guard);
	errno = guard->saved_errno;
}

/* A separate function, because siglongjmp() loses variables that change after sigsetjmp(). */
__attribute__((noinline)) static void copy(void *to, const void *from, size_t n)
{
	mm__bytes_copy(to, from, n);
}

bool mm__guard_copy(void *to, const void *from, size_t n, const void *page)
{
	struct guard guard;

	prepare_guard(&guard, page);
	if (sigsetjmp(guard.env, 0)) {
		failed(&guard);
		return false;
	}
	enter_guard(&guard);
	copy(to, from, n);
	leave_guard(&guard);
	return true;
}

bool mm__guard_probe(void *page, bool write)
{
	/* volatile: a compiler that knew the 0 would turn the store into a load */
	static const volatile unsigned char none = 0;
	/* volatile: valgrind drops a load whose value is not stored */
	volatile unsigned char byte = 0;
	struct guard guard;

	prepare_guard(&guard, page);
	if (sigsetjmp(guard.env, 0)) {
		failed(&guard);
		return false;
	}
	enter_guard(&guard);
	if (write)
		__atomic_fetch_or((unsigned char *)page, none, __ATOMIC_RELAXED);
	else
		byte = __atomic_load_n((const unsigned char *)page, __ATOMIC_RELAXED);
	(void)byte;
	leave_guard(&guard);
	return true;
}
