/* SPDX-License-Identifier: MIT */
/*
 * A reader that is held up between seeing that its leaf is biased and publishing its range, and
 * again when it has found out that the leaf is two by now. What it calls then in the C library
 * stops it: this program has these calls wrapped by the linker.
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/slots.h"

#include <errno.h>

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

/* Where the reader is. */
enum { ON_ITS_WAY, ABOUT_TO_PUBLISH, OUT_OF_THE_MUTEX };

static _Thread_local bool is_reader;
static int stage;
static sem_t arrived, go_on;

static void stop_at(int next)
{
	if (!is_reader || stage != next - 1)
		return;
	stage = next;
	sem_post(&arrived);
	sem_await(&go_on);
}

/* A thread's first slots: before it publishes. */
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	stop_at(ABOUT_TO_PUBLISH);
	return __real_pthread_setspecific(key, value);
}

/* After it looked for one leaf that has its range, and found several. */
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int error = __real_pthread_mutex_unlock(mutex);

	stop_at(OUT_OF_THE_MUTEX);
	return error;
}

struct reader {
	struct range_lock lock;
	struct range_hold range;
	bool try;
	int result;
};

static void *read_late(void *arg)
{
	struct reader *reader = arg;

	is_reader = true;
	if (reader->try)
		reader->result = range_trylock(&reader->lock, &reader->range, 0, 200, RANGE_READ);
	else
		reader->result = range_lock(&reader->lock, &reader->range, 0, 200, RANGE_READ);
	return NULL;
}

/* In between, the leaves become one again, are biased, and a writer looks for readers. */
static void be_late(bool try)
{
	struct reader reader = { .try = try };
	struct range_hold span, writer;
	pthread_t thread;

	stage = ON_ITS_WAY;
	CHECK_EQ(sem_init(&arrived, 0, 0), 0);
	CHECK_EQ(sem_init(&go_on, 0, 0), 0);
	init_lock(&reader.lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&reader.lock, 1000, 2000, 100000));
	make_biased(&reader.lock, 0);
	thread = thread_start(read_late, &reader);
	sem_await(&arrived);
	CHECK_EQ(stage, ABOUT_TO_PUBLISH);
	CHECK(split_by_turns(&reader.lock, 50, 100, 100000));
	sem_post(&go_on);
	sem_await(&arrived);
	CHECK_EQ(stage, OUT_OF_THE_MUTEX);
	take(&reader.lock, &span, 0, 300, RANGE_READ);
	make_biased(&reader.lock, 0);
	CHECK_EQ(range_trylock(&reader.lock, &writer, 10, 11, RANGE_WRITE), EBUSY);
	range_unlock(&reader.lock, &span);
	sem_post(&go_on);
	thread_join(thread);
	CHECK_EQ(reader.result, 0);
	check_valid(&reader.lock);
	CHECK(!is_free(&reader.lock, 150, 160, RANGE_WRITE));
	range_unlock(&reader.lock, &reader.range);
	check_quiet_and_destroy(&reader.lock);
	sem_destroy(&arrived);
	sem_destroy(&go_on);
}

TEST(slots_late, a_reader_that_was_adopted_after_it_looked_knows_it)
{
	be_late(false);
}

TEST(slots_late, a_reader_that_tries_and_was_adopted_after_it_looked_knows_it)
{
	be_late(true);
}
