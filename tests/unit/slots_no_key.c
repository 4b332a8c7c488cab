/* SPDX-License-Identifier: MIT */
/*
 * With glibc, pthread_setspecific() allocates memory for a key that is not one of the first 32. The
 * library then deletes its key, and does without slots. This program takes the first 32 keys before
 * the library creates its own: the linker wraps the call.
 */
#include "actors.h"

#include "range_lock/slots.h"

int __real_pthread_key_create(pthread_key_t *key, void (*destroy)(void *value));
int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *value));

enum { KEYS = 32 };

int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *value))
{
	static bool taken;
	pthread_key_t next = 0;

	while (!taken && next + 1 < KEYS)
		CHECK_EQ(__real_pthread_key_create(&next, NULL), 0);
	taken = true;
	return __real_pthread_key_create(key, destroy);
}

static void *read_a_range(void *arg)
{
	struct range_lock *lock = arg;
	struct range_hold range;

	take(lock, &range, 0, 10, RANGE_READ);
	CHECK(!is_published(&range) && !range__slot_find());
	CHECK(is_free(lock, 0, 10, RANGE_READ) && !is_free(lock, 0, 10, RANGE_WRITE));
	range_unlock(lock, &range);
	return NULL;
}

/* The library deletes its key, so the program gets it, and its values persist. */
TEST(slots_no_key, the_library_does_without_a_key_that_would_need_memory)
{
#ifdef __GLIBC__
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	pthread_key_t key;

	CHECK_EQ(__real_pthread_key_create(&key, NULL), 0);
	CHECK_EQ(key, KEYS);
	read_a_range(&lock);
	CHECK(!pthread_getspecific(key));
	thread_join(thread_start(read_a_range, &lock));
	check_quiet_and_destroy(&lock);
	CHECK_EQ(pthread_key_delete(key), 0);
#else
	(void)read_a_range;
	puts("skipped: only glibc allocates for keys");
#endif
}
