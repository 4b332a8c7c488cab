/* SPDX-License-Identifier: MIT */
/*
 * ThreadSanitizer, by functions of the run-time library that an instrumented program has
 * (compiler-rt, lib/tsan/rtl/tsan_interface.h; GCC's libtsan is the same). They are weak here, and
 * NULL in other programs. If the library itself is instrumented, ThreadSanitizer sees all of it,
 * and needs no help.
 */
#include "detector_kinds.h"

#include <sys/mman.h>

#if defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

#if defined(__ELF__) && defined(__LP64__) && !defined(INSTRUMENTED)
#define WEAK __attribute__((weak, visibility("default")))
extern void __tsan_acquire(void *address) WEAK;
extern void __tsan_release(void *address) WEAK;
extern void __tsan_ignore_thread_begin(void) WEAK;
extern void __tsan_ignore_thread_end(void) WEAK;

/*
 * An object is the address of 8 bytes. The program must not use them, and no thread touches them.
 * So many need address space, but no memory until they are released; and where the system does not
 * give so much, fewer will do.
 */
enum { MOST_BITS = 33, FEWEST_BITS = 20, OBJECT_SIZE = 8 };

static char *objects;
static uint64_t object_mask;

static bool tsan_begin(void)
{
	if (!__tsan_acquire || !__tsan_release)
		return false;
	for (unsigned int bits = MOST_BITS; bits >= FEWEST_BITS; bits--) {
		void *memory = mmap(NULL, (size_t)OBJECT_SIZE << bits, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory == MAP_FAILED)
			continue;
		objects = memory;
		object_mask = (UINT64_C(1) << bits) - 1;
		return true;
	}
	return false;
}

static void *object_of(uint64_t tag)
{
	return objects + (tag & object_mask) * OBJECT_SIZE;
}

static void tsan_release(uint64_t tag)
{
	__tsan_release(object_of(tag));
}

static void tsan_acquire(uint64_t tag)
{
	__tsan_acquire(object_of(tag));
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
	tsan_begin, tsan_release, tsan_acquire, tsan_hush, tsan_listen, tsan_forget,
};
#else
static bool tsan_does_not_begin(void)
{
	return false;
}

const struct mmrange__detector mmrange__tsan = { .begin = tsan_does_not_begin };
#endif
