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

static struct sigaction previous;
static int install_error;

/*
 * The signal
 */

static bool is_guarded(const struct guard *guard, const siginfo_t *info)
{
	uintptr_t addr = (uintptr_t)info->si_addr;

	return guard && info->si_code > 0 && addr >= (guard->page & ~(LARGEST_PAGE - 1)) &&
	       addr < guard->page + MM_PAGE_SIZE;
}

/* As the system would have called it, but for its stack. */
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
	if (info->si_code <= 0)
		raise(number);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	bool by_access = info->si_code > 0;
	bool has_handler = previous.sa_flags & SA_SIGINFO ||
			   (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN);

	if (has_handler)
		call_previous(number, info, context);
	else if (previous.sa_handler == SIG_DFL || by_access)
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

static void install(void)
{
	struct sigaction action;
	int saved = errno;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = handle;
	/* Which signals are blocked in the handler before is up to call_previous(). */
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
	sigemptyset(&action.sa_mask);
	/* First, as the handler may run at once. */
	if (sigaction(SIGBUS, NULL, &previous) || sigaction(SIGBUS, &action, NULL))
		install_error = errno;
	errno = saved;
}

int mm__guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	return install_error;
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
