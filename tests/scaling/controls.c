/* SPDX-License-Identifier: MIT */
#include "controls.h"

#include <stdalign.h>
#include <stdatomic.h>

static struct {
	alignas(TWO_LINES) _Atomic(uint64_t) value;
} first, second, shared;

static bool nothing(struct call *call)
{
	(void)call;
	return true;
}

/* relaxed, in all of this file: it tests cache lines, not orders */
static bool add_to(_Atomic(uint64_t) *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
	return true;
}

static bool write_first(struct call *call)
{
	(void)call;
	return add_to(&first.value);
}

static bool write_second(struct call *call)
{
	(void)call;
	return add_to(&second.value);
}

static bool write_shared(struct call *call)
{
	(void)call;
	return add_to(&shared.value);
}

static bool read_shared(struct call *call)
{
	(void)call;
	atomic_load_explicit(&shared.value, memory_order_relaxed);
	return true;
}

#define ONLY(function)                                                                             \
	{                                                                                          \
		nothing, function, nothing                                                         \
	}

const struct control controls[] = {
	{ "two that write lines of their own", { ONLY(write_first), ONLY(write_second) }, 0 },
	{ "two that read a line", { ONLY(read_shared), ONLY(read_shared) }, 0 },
	{ "one that reads a line, one that writes it",
	  { ONLY(read_shared), ONLY(write_shared) },
	  1 },
	{ "one that writes a line, one that reads it",
	  { ONLY(write_shared), ONLY(read_shared) },
	  1 },
	{ "two that write a line", { ONLY(write_shared), ONLY(write_shared) }, 1 },
};

const unsigned int nr_controls = sizeof(controls) / sizeof(controls[0]);
