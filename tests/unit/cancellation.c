/* SPDX-License-Identifier: MIT */
/*
 * No function of the lock is a cancellation point: a thread whose cancellation is pending calls
 * each, and each returns to it. That holds for calls that wait, and for calls in which the memory
 * hooks, which are the caller's, reach a cancellation point.
 */
#include "actors.h"

#include <errno.h>

static struct range_lock lock;
static struct range_hold held, range, upper;
static struct memory_books books;

struct victim {
	void (*run)(void);
	bool returned;
};

static void *be_canceled(void *arg)
{
	struct victim *victim = arg;

	pthread_cancel(pthread_self());
	victim->run();
	victim->returned = true;
	pthread_testcancel();
	return NULL;
}

static void start_victim(struct victim *victim, pthread_t *thread, void (*run)(void))
{
	victim->run = run;
	victim->returned = false;
	*thread = thread_start(be_canceled, victim);
}

/* The thread ended at its own cancellation point, not before. */
static void check_victim(struct victim *victim, pthread_t thread)
{
	void *result;

	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(victim->returned);
	CHECK(result == PTHREAD_CANCELED);
}

static void check_returns(void (*run)(void))
{
	struct victim victim;
	pthread_t thread;

	start_victim(&victim, &thread, run);
	check_victim(&victim, thread);
}

static void acquire_and_release(void)
{
	for (int how = 0; how < 3; how++)
		for (int mode = RANGE_READ; mode <= RANGE_WRITE; mode++) {
			CHECK_EQ(acquire_somehow(how, &lock, &range, 0, 10, (enum range_mode)mode),
				 0);
			range_unlock(&lock, &range);
		}
}

TEST(cancellation, acquisitions_and_releases_return_to_a_canceled_thread)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	check_returns(acquire_and_release);
	check_quiet_and_destroy(&lock);
}

static void read_through_slots(void)
{
	make_biased(&lock, 0);
	take_published(&lock, &range, 0, 10);
	range_unlock(&lock, &range);
	take(&lock, &range, 20, 30, RANGE_WRITE);
	range_unlock(&lock, &range);
}

TEST(cancellation, readers_in_slots_and_a_writer_that_ends_a_bias_return)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	check_returns(read_through_slots);
	check_quiet_and_destroy(&lock);
}

static void resize(void)
{
	CHECK_EQ(range_lock(&lock, &range, 10, 20, RANGE_WRITE), 0);
	CHECK_EQ(range_tryextend(&lock, &range, 0, 30), 0);
	CHECK_EQ(range_shrink(&lock, &range, 5, 25), 0);
	CHECK_EQ(range_split(&lock, &range, 15, &upper), 0);
	range_downgrade(&lock, &range);
	CHECK_EQ(range_tryupgrade(&lock, &range), 0);
	CHECK_EQ(range_join(&lock, &range, &upper), 0);
	range_downgrade(&lock, &range);
	CHECK_EQ(range_upgrade(&lock, &range), 0);
	range_downgrade(&lock, &range);
	CHECK_EQ(range_timedupgrade(&lock, &range, CLOCK_MONOTONIC, NULL), 0);
	range_unlock(&lock, &range);
}

static void acquire_many(void)
{
	struct range_request requests[] = { { &range, 0, 10, RANGE_READ },
					    { &upper, 20, 30, RANGE_WRITE } };

	CHECK_EQ(range_lock_many(&lock, requests, 2), 0);
	range_unlock(&lock, &range);
	range_unlock(&lock, &upper);
}

/* Each line that is printed to it is a write(), which is a cancellation point. */
static FILE *unbuffered;

/* The callback comes to a cancellation point. */
static void print_error(int error, void *arg)
{
	fprintf(unbuffered, "%d\n", error);
	++*(int *)arg;
}

static void request(void)
{
	struct range_request requests[] = { { &upper, 0, 20, RANGE_READ } };
	struct range_hold before;
	int ended = 0;

	take(&lock, &before, 0, 30, RANGE_WRITE);
	CHECK_EQ(range_lock_async(&lock, &range, 5, 10, RANGE_READ, print_error, &ended),
		 EINPROGRESS);
	CHECK_EQ(range_lock_many_async(&lock, requests, 1, print_error, &ended), EINPROGRESS);
	CHECK_EQ(range_cancel(&lock, &upper), 0);
	CHECK_EQ(ended, 1);
	range_unlock(&lock, &before);
	CHECK_EQ(ended, 2);
	range_unlock(&lock, &range);
}

static void look_and_cancel(void)
{
	struct range_lock_times times;
	struct range_info info;

	CHECK_EQ(lock_stats(&lock).leaves, 1);
	CHECK_EQ(range_is_held(&lock, 0, 10, RANGE_READ), 0);
	CHECK_EQ(range_lock_conflict(&lock, 0, 10, RANGE_WRITE, &info), ESRCH);
	CHECK_EQ(range_cancel(&lock, &range), ESRCH);
	CHECK_EQ(range_lock_get_times(&lock, &times), EINVAL);
	take(&lock, &range, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_lock_dump(&lock, unbuffered), 0);
	range_unlock(&lock, &range);
}

TEST(cancellation, the_other_functions_return_to_a_canceled_thread)
{
	unbuffered = fopen("/dev/null", "w");
	CHECK(unbuffered);
	setvbuf(unbuffered, NULL, _IONBF, 0);
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	check_returns(resize);
	check_returns(acquire_many);
	check_returns(look_and_cancel);
	check_returns(request);
	fclose(unbuffered);
	check_quiet_and_destroy(&lock);
}

static void wait_for_write(void)
{
	CHECK_EQ(range_lock(&lock, &range, 0, 10, RANGE_WRITE), 0);
	range_unlock(&lock, &range);
}

static void wait_in_vain(void)
{
	struct timespec soon = time_after(CLOCK_REALTIME, SECOND / 1000);

	CHECK_EQ(range_timedlock(&lock, &range, 0, 10, RANGE_READ, CLOCK_REALTIME, &soon),
		 ETIMEDOUT);
}

static void wait_until_range_cancel(void)
{
	CHECK_EQ(range_lock(&lock, &range, 0, 10, RANGE_WRITE), ECANCELED);
}

/* Starts a victim that waits for held; returns once it waits. */
static void queue_victim(struct victim *victim, pthread_t *thread, void (*run)(void))
{
	uint64_t waits = lock_stats(&lock).waits;

	start_victim(victim, thread, run);
	AWAIT(lock_stats(&lock).waits > waits);
}

static void check_waits_return(enum range_fairness fairness)
{
	struct victim victim;
	pthread_t thread;

	init_lock(&lock, fairness, 8);
	take(&lock, &held, 5, 15, RANGE_WRITE);
	check_returns(wait_in_vain);
	queue_victim(&victim, &thread, wait_until_range_cancel);
	CHECK_EQ(range_cancel(&lock, &range), 0);
	check_victim(&victim, thread);
	queue_victim(&victim, &thread, wait_for_write);
	range_unlock(&lock, &held);
	check_victim(&victim, thread);
	take(&lock, &held, 5, 15, RANGE_WRITE);
	queue_victim(&victim, &thread, acquire_many);
	range_unlock(&lock, &held);
	check_victim(&victim, thread);
	check_quiet_and_destroy(&lock);
}

TEST(cancellation, waits_return)
{
	for (int fair = 0; fair < 2; fair++)
		check_waits_return(fairnesses[fair]);
}

static void *canceling_alloc(size_t size, size_t align, void *arg)
{
	pthread_testcancel();
	return memory_alloc(size, align, arg);
}

static void canceling_free(void *memory, size_t size, void *arg)
{
	pthread_testcancel();
	memory_free(memory, size, arg);
}

static void init_with_hooks(void)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, UINT32_MAX);
	attr.alloc = canceling_alloc;
	attr.free = canceling_free;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
}

/* More leaves than the first allocation has. */
static void split_often(void)
{
	for (uint64_t key = 10; key < 600; key += 10)
		alternate(&lock, key - 10, key, 8);
}

static void destroy(void)
{
	CHECK_EQ(range_lock_destroy(&lock), 0);
}

static void begin_anew(void)
{
	range_lock_child(&lock);
}

TEST(cancellation, memory_hooks_return)
{
	check_returns(init_with_hooks);
	check_returns(split_often);
	CHECK(atomic_load(&books.allocations) > 1);
	check_valid(&lock);
	check_returns(begin_anew);
	check_memory_balanced(&books);
	check_returns(split_often);
	check_returns(destroy);
	check_memory_balanced(&books);
}

/* A thread that had disabled its cancellation itself still has it disabled. */
static void split_undisturbed(void)
{
	int state;

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	split_often();
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
	CHECK_EQ(state, PTHREAD_CANCEL_DISABLE);
}

TEST(cancellation, the_caller_s_cancelability_state_stays)
{
	init_with_hooks();
	check_returns(split_undisturbed);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}
