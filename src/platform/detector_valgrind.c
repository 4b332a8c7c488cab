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
#include <stdatomic.h>
#include <sys/mman.h>
#include <valgrind/helgrind.h>
#endif
#endif

#ifdef HAVE_REQUESTS
/* DRD_GET_DRD_THREADID of valgrind/drd.h, whose other names are those of helgrind.h. */
enum { DRD_THREAD_REQUEST = VG_USERREQ_TOOL_BASE('D', 'R') + 1 };

/*
 * Whether a tag may have been released ever. Most have not, and to ask the tool for them would only
 * take time and memory: it makes an object for each tag that it hears of.
 */
enum { FILTER_BITS = 20 };

static atomic_bool *released;

static atomic_bool *released_by(uint64_t tag)
{
	return &released[(tag ^ tag >> FILTER_BITS) & ((UINT64_C(1) << FILTER_BITS) - 1)];
}

/* Each tool answers a request that no other tool knows; 0: not this tool. */
static bool valgrind_is_here(void)
{
	char byte = 0;

	return VALGRIND_DO_CLIENT_REQUEST_EXPR(0, DRD_THREAD_REQUEST, 0, 0, 0, 0, 0) ||
	       VALGRIND_DO_CLIENT_REQUEST_EXPR(0, _VG_USERREQ__HG_GET_ABITS, &byte, NULL, 1, 0, 0);
}

static bool valgrind_begin(void)
{
	void *memory;

	if (!valgrind_is_here())
		return false;
	memory = mmap(NULL, sizeof(*released) << FILTER_BITS, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	released = memory;
	return memory != MAP_FAILED;
}

/* The tools take any number for an object. DRD forgets those that the program frees as memory. */
static uintptr_t object_of(uint64_t tag)
{
	return (uintptr_t)tag | ~(UINTPTR_MAX >> 1);
}

static void valgrind_release(uint64_t tag)
{
	ANNOTATE_HAPPENS_BEFORE(object_of(tag));
	/* relaxed: the caller orders this as it orders the release itself */
	atomic_store_explicit(released_by(tag), true, memory_order_relaxed);
}

static void valgrind_acquire(uint64_t tag)
{
	/* relaxed: as above */
	if (atomic_load_explicit(released_by(tag), memory_order_relaxed))
		ANNOTATE_HAPPENS_AFTER(object_of(tag));
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
	valgrind_begin, valgrind_release, valgrind_acquire,
	valgrind_hush,  valgrind_listen,  valgrind_forget,
};
#else
static bool valgrind_does_not_begin(void)
{
	return false;
}

const struct mmrange__detector mmrange__valgrind = { .begin = valgrind_does_not_begin };
#endif
