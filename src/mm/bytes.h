/* SPDX-License-Identifier: MIT */
/*
 * bytes - copies bytes of simulated memory, which other threads may read and write meanwhile
 * without any lock. Each byte that is copied was there at some moment. The threads that share the
 * bytes have to expect torn data between them.
 *
 * All accesses are atomic and relaxed, because plain ones would be a data race in C11. Words are
 * copied as a whole where source and target have the same alignment, as any two pages have.
 */
#ifndef MM_BYTES_H
#define MM_BYTES_H

#include <stddef.h>
#include <stdint.h>

/*
 * May alias bytes of any type. It is as wide as every machine can access atomically without a
 * library.
 */
typedef uintptr_t __attribute__((__may_alias__)) mm__word;

#define MM__WORD sizeof(mm__word)

static inline void mm__byte_copy(unsigned char *to, const unsigned char *from)
{
	__atomic_store_n(to, __atomic_load_n(from, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

static inline void mm__word_copy(unsigned char *to, const unsigned char *from)
{
	__atomic_store_n((mm__word *)(void *)to,
			 __atomic_load_n((const mm__word *)(const void *)from, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
}

/* As memcpy(): source and target do not overlap. */
static inline void mm__bytes_copy(void *to, const void *from, size_t n)
{
	const unsigned char *source = from;
	unsigned char *target = to;

	if (((uintptr_t)source ^ (uintptr_t)target) % MM__WORD == 0) {
		for (; n && (uintptr_t)target % MM__WORD; n--)
			mm__byte_copy(target++, source++);
		for (; n >= MM__WORD; n -= MM__WORD) {
			mm__word_copy(target, source);
			target += MM__WORD;
			source += MM__WORD;
		}
	}
	while (n--)
		mm__byte_copy(target++, source++);
}

/* As memset() to 0; n is a multiple of a word's size. */
static inline void mm__bytes_zero(void *to, size_t n)
{
	unsigned char *target = to;

	for (; n; n -= MM__WORD, target += MM__WORD)
		__atomic_store_n((mm__word *)(void *)target, 0, __ATOMIC_RELAXED);
}

#endif
