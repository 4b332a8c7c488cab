/* SPDX-License-Identifier: MIT */
/*
 * bytes - copying bytes that other threads may read and write meanwhile, without any lock: those of
 * simulated memory. Each byte that is copied is one that was there; what is torn between them is up
 * to whoever shares them.
 *
 * All accesses are atomic and relaxed, as plain ones would be a data race in C11. Words go as a
 * whole where both sides have the same alignment, which all of a page has with all of another.
 */
#ifndef MM_BYTES_H
#define MM_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* May stand for bytes of any type. As wide as is atomic on every machine without a library. */
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

/* As memcpy(): the two do not overlap. */
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

/* As memset() to 0, of whole words. */
static inline void mm__bytes_zero(void *to, size_t n)
{
	unsigned char *target = to;

	for (; n; n -= MM__WORD, target += MM__WORD)
		__atomic_store_n((mm__word *)(void *)target, 0, __ATOMIC_RELAXED);
}

#endif
