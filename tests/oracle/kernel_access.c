/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile sig_atomic_t expected;
static volatile int code;
static volatile uint64_t fault_addr;
/* How far an access has come. Static, because longjmp() may lose local variables. */
static volatile uint64_t at;
static volatile uint64_t hash_so_far;

static int code_of(int sig, int si_code)
{
	if (sig == SIGBUS)
		return si_code == BUS_ADRERR ? MM_BUS_ADRERR : 100 + si_code;
	if (si_code == SEGV_MAPERR)
		return MM_SEGV_MAPERR;
	return si_code == SEGV_ACCERR ? MM_SEGV_ACCERR : 200 + si_code;
}

static void caught(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!expected)
		_exit(2);
	code = code_of(sig, info->si_code);
	fault_addr = (uint64_t)(uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

void kernel_catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static void failed(struct record *record)
{
	record->error = EFAULT;
	record->fault_code = code;
	record->fault_addr = fault_addr;
}

void kernel_read(uint64_t addr, uint64_t length, struct record *record)
{
	const volatile unsigned char *bytes = (const volatile unsigned char *)(uintptr_t)addr;

	hash_so_far = 0;
	expected = 1;
	if (sigsetjmp(back, 0) == 0) {
		for (at = 0; at < length; at++)
			hash_so_far = op_hash(hash_so_far, bytes[at]);
	} else {
		failed(record);
	}
	expected = 0;
	record->hash = hash_so_far;
}

void kernel_write(uint64_t addr, const struct op *op, struct record *record)
{
	volatile unsigned char *bytes = (volatile unsigned char *)(uintptr_t)addr;

	expected = 1;
	if (sigsetjmp(back, 0) == 0) {
		for (at = 0; at < op->length; at++)
			bytes[at] = op_byte(op, at);
	} else {
		failed(record);
	}
	expected = 0;
}

uint8_t kernel_scan_page(uint64_t addr, uint64_t *hash)
{
	const volatile uint64_t *words = (const volatile uint64_t *)(uintptr_t)addr;
	uint8_t result = PAGE_READ;

	hash_so_far = *hash;
	expected = 1;
	if (sigsetjmp(back, 0) == 0) {
		for (at = 0; at < MM_PAGE_SIZE / sizeof(*words); at++)
			hash_so_far = op_hash(hash_so_far, words[at]);
	} else {
		result = (uint8_t)(code == MM_SEGV_MAPERR   ? PAGE_MAPERR
				   : code == MM_SEGV_ACCERR ? PAGE_ACCERR
							    : PAGE_ADRERR);
	}
	expected = 0;
	*hash = hash_so_far;
	return result;
}
