/* SPDX-License-Identifier: MIT */
/*
 * A reader that is delayed between seeing that its leaf is biased and publishing its range, and
 * again when it has seen that the leaf has changed. The functions that it calls at these points
 * stop it: the linker wraps them in this program.
 */
#include "leaves.h"

#include "range_lock/slots.h"

#include <errno.h>

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
struct range__leaf *__real_range__find_and_lock(struct range__lock *lock, uint64_t key,
						struct range__leaf *hint);
struct range__leaf *__wrap_range__find_and_lock(struct range__lock *lock, uint64_t key,
						struct range__leaf *hint);

/* The reader's position. */
enum { ON_ITS_WAY, ABOUT_TO_PUBLISH, ABOUT_TO_LOCK };

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

/* A thread takes its first slots before it publishes. */
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	/* A checked build also sets the value of another key, before this one. */
	if (range__slots_own != &range__slots_not_yet)
		stop_at(ABOUT_TO_PUBLISH);
	return __real_pthread_setspecific(key, value);
}

/* The reader has published its range, and has seen that the leaf's word has changed. */
struct range__leaf *__wrap_range__find_and_lock(struct range__lock *lock, uint64_t key,
						struct range__leaf *hint)
{
	stop_at(ABOUT_TO_LOCK);
	return __real_range__find_and_lock(lock, key, hint);
}

struct reader {
	struct range_lock lock;
	struct range_hold range;
	bool try;
	int result;
	pthread_t thread;
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

/* The reader finds one leaf, and publishes when there are two, split at 100. */
static void begin(struct reader *reader, bool try)
{
	reader->try = try;
	stage = ON_ITS_WAY;
	CHECK_EQ(sem_init(&arrived, 0, 0), 0);
	CHECK_EQ(sem_init(&go_on, 0, 0), 0);
	init_lock(&reader->lock, RANGE_FAIRNESS_BARGING, 16);
	split_leaf(&reader->lock, 1000);
	make_biased(&reader->lock, 0);
	reader->thread = thread_start(read_late, reader);
	sem_await(&arrived);
	CHECK_EQ(stage, ABOUT_TO_PUBLISH);
	split_leaf(&reader->lock, 100);
}

static void let_publish(void)
{
	sem_post(&go_on);
	sem_await(&arrived);
	CHECK_EQ(stage, ABOUT_TO_LOCK);
}

static void end(struct reader *reader)
{
	check_quiet_and_destroy(&reader->lock);
	sem_destroy(&arrived);
	sem_destroy(&go_on);
}

/* Both leaves are biased again, and a writer looks for readers in the first one. */
static void be_late(bool try)
{
	struct reader reader;
	struct range_hold writer;

	begin(&reader, try);
	let_publish();
	make_biased(&reader.lock, 50);
	make_biased(&reader.lock, 150);
	CHECK_EQ(range_trylock(&reader.lock, &writer, 10, 11, RANGE_WRITE), EBUSY);
	CHECK(is_biased(&reader.lock, 150));
	sem_post(&go_on);
	thread_join(reader.thread);
	CHECK_EQ(reader.result, 0);
	CHECK(!is_published(&reader.range));
	check_valid(&reader.lock);
	CHECK(!is_free(&reader.lock, 50, 60, RANGE_WRITE));
	CHECK(!is_free(&reader.lock, 150, 160, RANGE_WRITE));
	range_unlock(&reader.lock, &reader.range);
	end(&reader);
}

TEST(slots_late, a_reader_adopted_in_one_leaf_after_its_look_is_held_in_both)
{
	be_late(false);
}

TEST(slots_late, a_trying_reader_adopted_in_one_leaf_is_held_in_both)
{
	be_late(true);
}

/* A writer holds the second leaf, and another waits in the first, where the reader was adopted. */
static void be_too_late(bool try)
{
	struct reader reader;
	struct actor waiter;
	struct range_hold writer;

	begin(&reader, try);
	take(&reader.lock, &writer, 150, 160, RANGE_WRITE);
	let_publish();
	make_biased(&reader.lock, 50);
	actor_queue(&waiter, &reader.lock, 10, 11, RANGE_WRITE);
	check_valid(&reader.lock);
	sem_post(&go_on);
	actor_await(&waiter);
	CHECK_EQ(actor_finish(&waiter), 0);
	/* A reader that tries must have looked again while the writer still holds. */
	if (try)
		thread_join(reader.thread);
	else
		AWAIT(lock_stats(&reader.lock).waits == 2);
	range_unlock(&reader.lock, &writer);
	if (!try)
		thread_join(reader.thread);
	CHECK_EQ(reader.result, try ? EBUSY : 0);
	if (!try)
		range_unlock(&reader.lock, &reader.range);
	end(&reader);
}

TEST(slots_late, a_reader_refused_in_one_leaf_wakes_the_waiters_it_blocked_in_the_other)
{
	be_too_late(false);
}

TEST(slots_late, a_trying_reader_refused_in_one_leaf_wakes_the_waiters_it_blocked_in_the_other)
{
	be_too_late(true);
}
