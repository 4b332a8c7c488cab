/* SPDX-License-Identifier: MIT */
/*
 * ThreadSanitizer, by functions of the run-time library that an instrumented program has
 * (compiler-rt, lib/tsan/rtl/tsan_interface.h; GCC's libtsan is the same). They are weak here, and
 * NULL in other programs. If the library itself is instrumented, ThreadSanitizer sees all of it,
 * and needs no help.
 */
#include "detector_kinds.h"

#if defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

#if defined(__ELF__) && !defined(INSTRUMENTED)
#define WEAK __attribute__((weak, visibility("default")))
extern void __tsan_acquire(void *address) WEAK;
extern void __tsan_release(void *address) WEAK;
extern void __tsan_ignore_thread_begin(void) WEAK;
extern void __tsan_ignore_thread_end(void) WEAK;

static bool tsan_is_here(void)
{
	return __tsan_acquire && __tsan_release;
}

static void tsan_release(void *object)
{
	__tsan_release(object);
}

static void tsan_acquire(void *object)
{
	__tsan_acquire(object);
}

/*
 * Of the library's accesses it sees only those of memset() and its like, which a compiler may call.
 * A program that is linked to the static library may lack the two functions.
 */
static void tsan_hush(void)
{
	if (__tsan_ignore_thread_begin && __tsan_ignore_thread_end)
		__tsan_ignore_thread_begin();
}

static void tsan_listen(void)
{
	if (__tsan_ignore_thread_begin && __tsan_ignore_thread_end)
		__tsan_ignore_thread_end();
}

static void tsan_forget(const void *memory, size_t size)
{
	(void)memory, (void)size;
}

const struct mmrange__detector mmrange__tsan = {
	tsan_is_here, tsan_release, tsan_acquire, tsan_hush, tsan_listen, tsan_forget,
};
#else
static bool tsan_is_not_here(void)
{
	return false;
}

const struct mmrange__detector mmrange__tsan = { .is_here = tsan_is_not_here };
#endif
