/* SPDX-License-Identifier: MIT */
#include "controls.h"

#include <stdatomic.h>

static alignas(TWO_LINES) _Atomic(uint64_t) counter;

static bool nothing(struct call *call)
{
	(void)call;
	return true;
}

/* relaxed, in all of this file: it is about cache lines */
static bool write_shared(struct call *call)
{
	(void)call;
	atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
	return true;
}

static bool read_shared(struct call *call)
{
	(void)call;
	atomic_load_explicit(&counter, memory_order_relaxed);
	return true;
}

static bool write_own(struct call *call)
{
	call->interval.start++;
	return true;
}

#define STEP(function)                                                                             \
	{                                                                                          \
#function, NULL, nothing, function, nothing, NULL                                  \
	}

const struct control controls[] = {
	{ { STEP(write_own), STEP(write_own) }, 0 },
	{ { STEP(read_shared), STEP(read_shared) }, 0 },
	{ { STEP(read_shared), STEP(write_shared) }, 1 },
	{ { STEP(write_shared), STEP(read_shared) }, 1 },
	{ { STEP(write_shared), STEP(write_shared) }, 1 },
};

const unsigned int nr_controls = sizeof(controls) / sizeof(controls[0]);
