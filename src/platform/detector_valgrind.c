/* SPDX-License-Identifier: MIT */
/*
 * Helgrind and DRD, by requests of Valgrind's headers, which do nothing outside Valgrind. DRD
 * understands Helgrind's requests, which have the same numbers there (valgrind/drd.h). Valgrind's
 * other tools are no race detectors, and the library does not change its ways for them.
 */
#include "detector_kinds.h"

#if defined(__has_include)
#if __has_include(<valgrind/helgrind.h>)
#define HAVE_REQUESTS 1
#include <valgrind/helgrind.h>
#endif
#endif

#ifdef HAVE_REQUESTS
/* DRD_GET_DRD_THREADID of valgrind/drd.h, whose other names are those of helgrind.h. */
enum { DRD_THREAD_REQUEST = VG_USERREQ_TOOL_BASE('D', 'R') + 1 };

/* Each tool answers a request that no other tool knows; 0: not this tool. */
static bool valgrind_is_here(void)
{
	char byte = 0;

	return VALGRIND_DO_CLIENT_REQUEST_EXPR(0, DRD_THREAD_REQUEST, 0, 0, 0, 0, 0) ||
	       VALGRIND_DO_CLIENT_REQUEST_EXPR(0, _VG_USERREQ__HG_GET_ABITS, &byte, NULL, 1, 0, 0);
}

static void valgrind_release(void *object)
{
	ANNOTATE_HAPPENS_BEFORE(object);
}

static void valgrind_acquire(void *object)
{
	ANNOTATE_HAPPENS_AFTER(object);
}

static void valgrind_hush(void)
{
	VALGRIND_DISABLE_ERROR_REPORTING;
}

static void valgrind_listen(void)
{
	VALGRIND_ENABLE_ERROR_REPORTING;
}

static void valgrind_forget(const void *memory, size_t size)
{
	VALGRIND_HG_CLEAN_MEMORY(memory, size);
}

const struct mmrange__detector mmrange__valgrind = {
	valgrind_is_here, valgrind_release, valgrind_acquire,
	valgrind_hush,    valgrind_listen,  valgrind_forget,
};
#else
static bool valgrind_is_not_here(void)
{
	return false;
}

const struct mmrange__detector mmrange__valgrind = { .is_here = valgrind_is_not_here };
#endif
