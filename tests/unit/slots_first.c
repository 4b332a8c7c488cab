/* SPDX-License-Identifier: MIT */
/*
 * Two threads that take their first slots at the same moment: a writer that looks through the slots
 * sees both. The linker wraps a call that the library makes in between, where the threads stop.
 */
#include "actors.h"

#include "range_lock/slots.h"

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

struct reader {
	struct range_lock *lock;
	struct range_hold range;
	uint64_t start;
	sem_t arrived, go_on, end;
	atomic_bool holds;
	pthread_t thread;
};

static _Thread_local struct reader *self;

/* The thread has chosen its slots, but they do not count as used yet. */
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	/* A checked build also sets the value of another key, before this one. */
	if (self && range__slots_own != &range__slots_not_yet) {
		sem_post(&self->arrived);
		sem_await(&self->go_on);
	}
	return __real_pthread_setspecific(key, value);
}

static void *read_one(void *arg)
{
	struct reader *reader = arg;

	self = reader;
	take(reader->lock, &reader->range, reader->start, reader->start + 1, RANGE_READ);
	atomic_store(&reader->holds, true);
	sem_await(&reader->end);
	range_unlock(reader->lock, &reader->range);
	return NULL;
}

static void start(struct reader *reader, struct range_lock *lock, uint64_t start)
{
	*reader = (struct reader){ .lock = lock, .start = start };
	CHECK_EQ(sem_init(&reader->arrived, 0, 0), 0);
	CHECK_EQ(sem_init(&reader->go_on, 0, 0), 0);
	CHECK_EQ(sem_init(&reader->end, 0, 0), 0);
	reader->thread = thread_start(read_one, reader);
	sem_await(&reader->arrived);
}

static void finish(struct reader *reader)
{
	sem_post(&reader->end);
	thread_join(reader->thread);
	sem_destroy(&reader->arrived);
	sem_destroy(&reader->go_on);
	sem_destroy(&reader->end);
}

TEST(slots_first, a_writer_sees_two_readers_that_take_their_first_slots_at_once)
{
	struct reader readers[2];
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	for (unsigned int i = 0; i < 2; i++)
		start(&readers[i], &lock, i);
	/*
	 * The second thread has the next slots, and has seen the first thread's slots as never
	 * used.
	 */
	for (unsigned int i = 0; i < 2; i++) {
		sem_post(&readers[i].go_on);
		AWAIT(atomic_load(&readers[i].holds));
		CHECK(is_published(&readers[i].range));
	}
	for (unsigned int i = 0; i < 2; i++)
		CHECK(!is_free(&lock, i, i + 1, RANGE_WRITE));
	for (unsigned int i = 0; i < 2; i++)
		finish(&readers[i]);
	check_quiet_and_destroy(&lock);
}
