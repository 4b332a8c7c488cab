/* SPDX-License-Identifier: MIT */
/*
 * A reader of several ranges is overtaken after it has looked up the leaves: it takes all its
 * ranges out of their slots again. The linker wraps two calls, where the reader stops. At its first
 * slots it has published no range yet; while a leaf is locked it has published all.
 */
#include "leaves.h"

#include "range_lock/bias.h"
#include "range_lock/slots.h"

#include <errno.h>

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
bool __real_mmrange__spinning_helps(void);
bool __wrap_mmrange__spinning_helps(void);

/* The reader's ranges are [0, 10) and [200, 210), in two leaves. */
static struct scene {
	struct range_lock lock;
	void (*before)(void);    /* before the reader publishes its first range */
	void (*published)(void); /* when it has published both, and finds the second leaf locked */
	struct range_hold range[2];
	struct actor writer;
	sem_t queued; /* the writer waits */
	bool try;
	int result;
} scene;

static _Thread_local bool is_reader;

/* A checked build also sets the value of another key, before this one. */
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	if (is_reader && range__slots_own != &range__slots_not_yet && scene.before) {
		scene.before();
		scene.before = NULL;
	}
	return __real_pthread_setspecific(key, value);
}

bool __wrap_mmrange__spinning_helps(void)
{
	if (is_reader && scene.published) {
		void (*published)(void) = scene.published;

		scene.published = NULL;
		CHECK(is_published(&scene.range[0]) && is_published(&scene.range[1]));
		published();
	}
	return __real_mmrange__spinning_helps();
}

static struct range__leaf *second_leaf(void)
{
	return leaf_at(&scene.lock, 200);
}

static void check_slots_free(void)
{
	for (int i = 0; i < RANGE__GROUP_SLOTS; i++)
		CHECK_EQ(atomic_load(&range__slots_own->slot[i].state) & SLOT_TAG, SLOT_FREE);
}

static void *read_both(void *arg)
{
	struct range_request requests[2] = {
		{ &scene.range[0], 0, 10, RANGE_READ },
		{ &scene.range[1], 200, 210, RANGE_READ },
	};

	is_reader = true;
	scene.result = scene.try ? range_trylock_many(&scene.lock, requests, 2)
				 : range_lock_many(&scene.lock, requests, 2);
	CHECK(!scene.before && !scene.published);
	for (int i = 0; i < 2 && !scene.result; i++)
		range_unlock(&scene.lock, &scene.range[i]);
	check_slots_free();
	return arg;
}

static void begin(void)
{
	init_lock(&scene.lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&scene.lock, 50, 100, 100000));
	make_biased(&scene.lock, 0);
	make_biased(&scene.lock, 200);
}

static void write_in_second(void)
{
	actor_start(&scene.writer, &scene.lock, 205, 206, RANGE_WRITE);
	actor_await(&scene.writer);
}

TEST(slots_many, a_reader_that_meets_a_writer_in_one_leaf_leaves_all)
{
	begin();
	scene.try = true;
	scene.before = write_in_second;
	thread_join(thread_start(read_both, NULL));
	CHECK_EQ(scene.result, EBUSY);
	CHECK(is_free(&scene.lock, 0, 10, RANGE_WRITE));
	CHECK_EQ(actor_finish(&scene.writer), 0);
	CHECK(is_free(&scene.lock, 200, 210, RANGE_WRITE));
	check_quiet_and_destroy(&scene.lock);
}

static void lock_second(void)
{
	range__leaf_lock(second_leaf());
}

static void unlock_as_it_was(void)
{
	range__leaf_unlock(second_leaf(), NULL);
}

/* The writer adopts the reader in the first leaf, and waits for it. */
static void queue_writer_in_first(void)
{
	actor_queue(&scene.writer, &scene.lock, 5, 6, RANGE_WRITE);
	sem_post(&scene.queued);
	unlock_as_it_was();
}

static void queue_writer_and_revoke_second(void)
{
	range__bias_revoke_leaf(range__lock(&scene.lock), second_leaf());
	queue_writer_in_first();
}

TEST(slots_many, a_reader_that_finds_a_leaf_locked_waits_for_the_same_word)
{
	begin();
	scene.try = true;
	scene.before = lock_second;
	scene.published = unlock_as_it_was;
	thread_join(thread_start(read_both, NULL));
	CHECK_EQ(scene.result, 0);
	CHECK(is_biased(&scene.lock, 0) && is_biased(&scene.lock, 200));
	check_quiet_and_destroy(&scene.lock);
}

/* If the second leaf has changed as well, the reader takes back a range for which the writer waits.
 */
TEST(slots_many, a_writer_that_waits_for_a_reader_of_several_ranges_gets_its_range)
{
	void (*const cases[])(void) = { queue_writer_in_first, queue_writer_and_revoke_second };

	CHECK_EQ(sem_init(&scene.queued, 0, 0), 0);
	for (int i = 0; i < 2; i++) {
		pthread_t reader;

		begin();
		scene.try = false;
		scene.before = lock_second;
		scene.published = cases[i];
		reader = thread_start(read_both, NULL);
		sem_await(&scene.queued);
		CHECK_EQ(actor_finish(&scene.writer), 0);
		thread_join(reader);
		CHECK_EQ(scene.result, 0);
		check_quiet_and_destroy(&scene.lock);
	}
	sem_destroy(&scene.queued);
}
