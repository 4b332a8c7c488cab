/* SPDX-License-Identifier: MIT */
#include "mm/bytes.h"
#include "test.h"
#include "threads.h"

#include <string.h>

/* Exactly the given bytes, for every alignment of both sides and every short length. */
TEST(bytes, copies_the_given_bytes_and_no_others)
{
	unsigned char from[64], to[64], expected[64];

	for (unsigned int i = 0; i < sizeof(from); i++)
		from[i] = (unsigned char)(i + 100);
	for (unsigned int source = 0; source < 17; source++)
		for (unsigned int target = 0; target < 17; target++)
			for (unsigned int n = 0; n < 40; n++) {
				memset(to, 0, sizeof(to));
				memset(expected, 0, sizeof(expected));
				memcpy(expected + target, from + source, n);
				mm__bytes_copy(to + target, from + source, n);
				CHECK(!memcmp(to, expected, sizeof(to)));
			}
}

#define WORDS 64u

static mm__word shared[WORDS];
static _Atomic(bool) done;

/* All bytes of a word are the same at any time. */
static void *run_writer(void *arg)
{
	mm__word alike[WORDS];

	(void)arg;
	for (unsigned int i = 0; !atomic_load(&done); i++) {
		memset(alike, (int)(i % 256), sizeof(alike));
		mm__bytes_copy(shared, alike, sizeof(shared));
	}
	return NULL;
}

TEST(bytes, a_copy_that_begins_and_ends_within_a_word_copies_it_whole)
{
	pthread_t writer = thread_start(run_writer, NULL);
	mm__word copy[WORDS];

	for (unsigned int i = 0; i < test_scale(200000); i++) {
		mm__bytes_copy((char *)copy + 3, (char *)shared + 3, sizeof(copy) - 5);
		for (unsigned int word = 1; word < WORDS - 1; word++)
			CHECK(copy[word] == (copy[word] & 0xff) * (UINTPTR_MAX / 0xff));
	}
	atomic_store(&done, true);
	thread_join(writer);
}
