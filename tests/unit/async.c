/* SPDX-License-Identifier: MIT */
/* Requests of one range: their order, and where and how their callbacks are called. */
#include "forks.h"
#include "requests.h"

#include <stdlib.h>
#include <string.h>

static void never_called(int error, void *arg)
{
	(void)error, (void)arg;
	test_fail(__FILE__, __LINE__, "called");
}

/* Four locks: both fairnesses, with one leaf and with bounds at 10, 20, ... */
enum { HOWS = 4 };

static void begin(struct range_lock *lock, int how)
{
	init_lock(lock, fairnesses[how % 2], 64);
	if (how >= 2)
		make_leaves(lock, 6);
}

TEST(async, a_free_range_is_held_at_once_without_a_callback)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold range, beside;

		begin(&lock, how);
		take(&lock, &beside, 20, 30, RANGE_WRITE);
		CHECK_EQ(range_lock_async(&lock, &range, 5, 20, RANGE_WRITE, never_called, NULL),
			 0);
		CHECK(range.start == 5 && range.end == 20 && range.mode == RANGE_WRITE);
		CHECK(!is_free(&lock, 19, 20, RANGE_READ));
		range_unlock(&lock, &beside);
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

TEST(async, a_range_that_no_conflicting_waiter_wants_is_held_at_once)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held, range;
		struct request reader;

		begin(&lock, how);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		request_queue(&reader, &lock, 5, 25, RANGE_READ);
		CHECK_EQ(range_lock_async(&lock, &range, 20, 30, RANGE_READ, never_called, NULL),
			 0);
		range_unlock(&lock, &range);
		range_unlock(&lock, &held);
		request_release(&reader);
		check_quiet_and_destroy(&lock);
	}
}

TEST(async, bad_arguments_are_refused_and_nothing_is_held)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	CHECK_EQ(range_lock_async(&lock, &range, 1, 1, RANGE_READ, never_called, NULL), EINVAL);
	CHECK_EQ(range_lock_async(&lock, &range, 2, 1, RANGE_READ, never_called, NULL), EINVAL);
	CHECK_EQ(range_lock_async(&lock, &range, 0, 1, (enum range_mode)2, never_called, NULL),
		 EINVAL);
	CHECK_EQ(range_lock_async(&lock, &range, 0, 1, RANGE_READ, NULL, NULL), EINVAL);
	take(&lock, &range, FULL, RANGE_WRITE);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

/*
 * Requests and threads in one queue, each for a part of the same keys. A thread releases when the
 * test lets it. With barging and several leaves, a thread that is woken in one leaf may pass a
 * request whose turn comes when all leaves have been released.
 */
TEST(async, requests_and_threads_are_granted_in_one_order)
{
	for (int how = 0; how < HOWS; how++) {
		enum { PAIRS = 4 };
		struct range_lock lock;
		struct range_hold held;
		struct request requests[PAIRS];
		struct actor actors[PAIRS];

		if (how == 2)
			continue;
		begin(&lock, how);
		take(&lock, &held, 0, 40, RANGE_WRITE);
		for (int i = 0; i < PAIRS; i++) {
			request_queue(&requests[i], &lock, 10 + (uint64_t)i, 25, RANGE_WRITE);
			actor_queue(&actors[i], &lock, 20, 30 + (uint64_t)i, RANGE_WRITE);
		}
		range_unlock(&lock, &held);
		for (int i = 0; i < PAIRS; i++) {
			request_check_ended(&requests[i], 0);
			CHECK(!actor_holds(&actors[i]));
			check_valid(&lock);
			range_unlock(&lock, &requests[i].range);
			actor_await(&actors[i]);
			CHECK(i + 1 == PAIRS || request_waits(&requests[i + 1]));
			CHECK_EQ(actor_finish(&actors[i]), 0);
			CHECK(i + 1 == PAIRS ||
			      pthread_equal(requests[i + 1].thread, actors[i].thread));
		}
		check_quiet_and_destroy(&lock);
	}
}

/* With barging, the last reader passes the writer; with FIFO it does not. */
TEST(async, readers_are_granted_together)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request readers[4], writer;

		begin(&lock, how);
		take(&lock, &held, 5, 35, RANGE_WRITE);
		for (int i = 0; i < 3; i++)
			request_queue(&readers[i], &lock, 5, 15, RANGE_READ);
		request_queue(&writer, &lock, 8, 9, RANGE_WRITE);
		request_queue(&readers[3], &lock, 5, 9, RANGE_READ);
		range_unlock(&lock, &held);
		for (unsigned int i = 0; i < 3; i++) {
			request_check_ended(&readers[i], 0);
			CHECK(i == 0 || readers[i].turn == readers[i - 1].turn + 1);
		}
		CHECK(request_waits(&writer));
		CHECK_EQ(request_waits(&readers[3]), how % 2);
		for (int i = 0; i < 3; i++)
			range_unlock(&lock, &readers[i].range);
		if (how % 2 == 0)
			request_release(&readers[3]);
		request_release(&writer);
		if (how % 2)
			request_release(&readers[3]);
		check_quiet_and_destroy(&lock);
	}
}

TEST(async, a_newcomer_passes_a_request_until_it_starves)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold first, second, third;
		struct request writer;
		bool fifo = how % 2;

		begin(&lock, how);
		set_starvation(&lock, 1);
		take(&lock, &first, 5, 15, RANGE_READ);
		request_queue(&writer, &lock, 8, 18, RANGE_WRITE);
		CHECK_EQ(range_trylock(&lock, &second, 8, 9, RANGE_READ), fifo ? EBUSY : 0);
		if (!fifo)
			range_unlock(&lock, &second);
		CHECK_EQ(range_trylock(&lock, &third, 8, 9, RANGE_READ), EBUSY);
		CHECK(request_waits(&writer));
		range_unlock(&lock, &first);
		request_release(&writer);
		check_quiet_and_destroy(&lock);
	}
}

/* The ways to make way for a request of [12, 14): each begins with what holds it back. */
struct scene {
	struct range_lock lock;
	struct range_hold held;
	struct request writer;
	struct request request;
};

enum { BY_UNLOCK, BY_SHRINK, BY_DOWNGRADE, BY_CANCEL, WAYS };

static void scene_block(struct scene *scene, int way)
{
	take(&scene->lock, &scene->held, 5, 25, way == BY_CANCEL ? RANGE_READ : RANGE_WRITE);
	if (way == BY_CANCEL) /* with FIFO, nothing but the waiter holds the reader back */
		request_queue(&scene->writer, &scene->lock, 5, 25, RANGE_WRITE);
	request_queue(&scene->request, &scene->lock, 12, 14, RANGE_READ);
}

static void *make_way(struct scene *scene, int way)
{
	switch (way) {
	case BY_UNLOCK:
		range_unlock(&scene->lock, &scene->held);
		break;
	case BY_SHRINK:
		CHECK_EQ(range_shrink(&scene->lock, &scene->held, 20, 25), 0);
		break;
	case BY_DOWNGRADE:
		range_downgrade(&scene->lock, &scene->held);
		break;
	default:
		CHECK_EQ(range_cancel(&scene->lock, &scene->writer.range), 0);
	}
	request_check_ended(&scene->request, 0);
	CHECK(pthread_equal(scene->request.thread, pthread_self()));
	return NULL;
}

static void *make_way_by_unlock(void *scene)
{
	return make_way(scene, BY_UNLOCK);
}

static void *make_way_by_shrink(void *scene)
{
	return make_way(scene, BY_SHRINK);
}

static void *make_way_by_downgrade(void *scene)
{
	return make_way(scene, BY_DOWNGRADE);
}

static void *make_way_by_cancel(void *scene)
{
	return make_way(scene, BY_CANCEL);
}

TEST(async, the_thread_that_makes_way_calls_the_callback_before_its_call_returns)
{
	static void *(*const ways[WAYS])(void *) = { make_way_by_unlock, make_way_by_shrink,
						     make_way_by_downgrade, make_way_by_cancel };

	for (int i = 0; i < WAYS * HOWS; i++) {
		struct scene scene;
		int way = i % WAYS;

		begin(&scene.lock, way == BY_CANCEL ? i / WAYS | 1 : i / WAYS);
		scene_block(&scene, way);
		thread_join(thread_start(ways[way], &scene));
		request_release(&scene.request);
		if (way != BY_UNLOCK)
			range_unlock(&scene.lock, &scene.held);
		check_quiet_and_destroy(&scene.lock);
	}
}

TEST(async, a_waiter_whose_deadline_passes_calls_the_callback_of_the_request_behind_it)
{
	struct range_lock lock;
	struct range_hold held;
	struct actor writer;
	struct request reader;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 1);
	take(&lock, &held, 0, 10, RANGE_READ);
	actor_queue_timed(&writer, &lock, 0, 10, RANGE_WRITE, SECOND / 50);
	if (request_init(&reader, &lock), request_begin(&reader, 5, 6, RANGE_READ) == EINPROGRESS) {
		AWAIT(!request_waits(&reader));
		CHECK(pthread_equal(reader.thread, writer.thread));
	}
	CHECK_EQ(actor_finish(&writer), ETIMEDOUT);
	range_unlock(&lock, &reader.range);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

/* The deepest frame of a callback. The stack grows downwards here. */
static uintptr_t deepest, highest;

static void note_depth(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	deepest = deepest && deepest < here ? deepest : here;
	highest = highest > here ? highest : here;
}

static unsigned int rounds_left;

/* Two requests take turns: each one asks for the range again behind the other. */
static void chain_on(struct request *request)
{
	note_depth();
	if (rounds_left > 0) {
		rounds_left--;
		CHECK_EQ(request_begin(request->other, 0, 30, RANGE_WRITE), EINPROGRESS);
	}
	request_unlock(request);
}

TEST(async, a_million_grants_that_follow_from_each_other_need_no_stack)
{
	for (int how = 0; how < HOWS; how++) {
		unsigned int rounds = test_scale(how < 2 ? 1000000 : 20000);
		struct range_lock lock;
		struct range_hold held;
		struct request requests[2];

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&requests[0], &lock, 0, 30, RANGE_WRITE);
		request_init(&requests[1], &lock);
		for (int i = 0; i < 2; i++) {
			requests[i].then = chain_on;
			requests[i].other = &requests[!i];
		}
		rounds_left = rounds;
		deepest = highest = 0;
		range_unlock(&lock, &held);
		CHECK_EQ(atomic_load(&requests[0].calls) + atomic_load(&requests[1].calls),
			 rounds + 1);
		CHECK(highest - deepest < 1024);
		check_quiet_and_destroy(&lock);
	}
}

static void unlock_and_note(struct request *request)
{
	note_depth();
	request_unlock(request);
}

TEST(async, many_requests_behind_each_other_need_no_stack)
{
	for (int how = 0; how < HOWS; how++) {
		unsigned int n = test_scale(2000);
		struct request *requests = calloc(n, sizeof(*requests));
		struct range_lock lock;
		struct range_hold held;

		CHECK(requests);
		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		for (unsigned int i = 0; i < n; i++) {
			request_queue(&requests[i], &lock, i % 5, 25, RANGE_WRITE);
			requests[i].then = unlock_and_note;
		}
		deepest = highest = 0;
		range_unlock(&lock, &held);
		CHECK(highest - deepest < 1024);
		for (unsigned int i = 0; i < n; i++) {
			request_check_ended(&requests[i], 0);
			CHECK(i == 0 || requests[i].turn == requests[i - 1].turn + 1);
		}
		check_quiet_and_destroy(&lock);
		free(requests);
	}
}

/* A callback is not called while another one of the thread runs. */
static void unlock_and_see_the_other_wait(struct request *request)
{
	request_unlock(request);
	CHECK(request_waits(request->other));
}

TEST(async, what_a_callback_makes_way_for_comes_after_it_has_returned)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request first, second;

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&first, &lock, 5, 15, RANGE_WRITE);
		request_queue(&second, &lock, 5, 25, RANGE_WRITE);
		first.then = unlock_and_see_the_other_wait;
		first.other = &second;
		range_unlock(&lock, &held);
		request_check_ended(&first, 0);
		request_release(&second);
		check_quiet_and_destroy(&lock);
	}
}

/* Acquires the same range again with its own storage, as often as is left. */
static void acquire_again(struct request *request)
{
	int error;

	if (!request->error)
		range_unlock(request->lock, &request->range);
	if (rounds_left == 0)
		return;
	rounds_left--;
	error = request_begin(request, 5, 15, RANGE_WRITE);
	if (!error)
		range_unlock(request->lock, &request->range);
	CHECK(error == 0 || error == EINPROGRESS);
}

TEST(async, a_callback_may_acquire_again_with_the_same_storage)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request request;

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&request, &lock, 5, 15, RANGE_WRITE);
		request.then = acquire_again;
		rounds_left = 4;
		for (unsigned int i = 1; i <= 3; i++) {
			CHECK_EQ(range_cancel(&lock, &request.range), 0);
			CHECK_EQ(request.error, ECANCELED);
			CHECK_EQ(atomic_load(&request.calls), i);
		}
		range_unlock(&lock, &held);
		CHECK_EQ(atomic_load(&request.calls), 4);
		CHECK_EQ(rounds_left, 0);
		check_quiet_and_destroy(&lock);
	}
}

/* The request is a part of the same block as the lock, which is gone when the callback returns. */
struct doomed {
	struct range_lock lock;
	struct request request;
	struct range_hold held;
};

static bool doomed_is_gone;

static void destroy_and_free(int error, void *arg)
{
	struct doomed *doomed = arg;

	if (error)
		range_unlock(&doomed->lock, &doomed->held);
	else
		range_unlock(&doomed->lock, &doomed->request.range);
	CHECK_EQ(range_lock_destroy(&doomed->lock), 0);
	memset(doomed, 0xee, sizeof(*doomed));
	free(doomed);
	doomed_is_gone = true;
}

TEST(async, a_callback_may_destroy_the_lock)
{
	for (int i = 0; i < 2 * HOWS; i++) {
		struct doomed *doomed = malloc(sizeof(*doomed));
		bool cancel = i >= HOWS;

		CHECK(doomed);
		begin(&doomed->lock, i % HOWS);
		take(&doomed->lock, &doomed->held, 0, 30, RANGE_WRITE);
		CHECK_EQ(range_lock_async(&doomed->lock, &doomed->request.range, 5, 25, RANGE_READ,
					  destroy_and_free, doomed),
			 EINPROGRESS);
		CHECK_EQ(range_lock_destroy(&doomed->lock), EBUSY);
		doomed_is_gone = false;
		if (cancel)
			CHECK_EQ(range_cancel(&doomed->lock, &doomed->request.range), 0);
		else
			range_unlock(&doomed->lock, &doomed->held);
		CHECK(doomed_is_gone);
	}
}

/* A request that is due is in use, although no range is held. */
static void unlock_and_try_to_destroy(struct request *request)
{
	request_unlock(request);
	CHECK_EQ(range_lock_destroy(request->lock), EBUSY);
}

TEST(async, a_lock_with_a_request_that_is_due_cannot_be_destroyed)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request first, second;

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&first, &lock, 0, 5, RANGE_WRITE);
		request_queue(&second, &lock, 2, 30, RANGE_WRITE);
		first.then = unlock_and_try_to_destroy;
		range_unlock(&lock, &held);
		request_check_ended(&first, 0);
		request_release(&second);
		check_quiet_and_destroy(&lock);
	}
}

static void *cancel_other_and_try_to_destroy(void *arg)
{
	struct request *request = arg;

	CHECK_EQ(range_cancel(request->lock, &request->other->range), 0);
	request_unlock(request);
	CHECK_EQ(range_lock_destroy(request->lock), EBUSY);
	return NULL;
}

static void let_thread_try_to_destroy(struct request *request)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, cancel_other_and_try_to_destroy, request), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(request_waits(request->other));
}

TEST(async, a_lock_whose_canceled_request_another_thread_looks_after_cannot_be_destroyed)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request first, second;

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&first, &lock, 0, 5, RANGE_READ);
		request_queue(&second, &lock, 2, 30, RANGE_READ);
		first.then = let_thread_try_to_destroy;
		first.other = &second;
		range_unlock(&lock, &held);
		request_check_ended(&first, 0);
		request_check_ended(&second, ECANCELED);
		check_quiet_and_destroy(&lock);
	}
}

static struct actor holder;
static struct range_hold inner;

/* The actor releases when the second request's callback has been called. */
static void block_in_callback(struct request *request)
{
	CHECK_EQ(range_lock(request->lock, &inner, 40, 45, RANGE_WRITE), 0);
	CHECK(!request_waits(request->other));
	range_unlock(request->lock, &inner);
}

static void let_holder_go(struct request *request)
{
	(void)request;
	actor_let_go(&holder);
}

TEST(async, before_a_callback_waits_the_thread_calls_the_others_that_are_due)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request first, second;

		begin(&lock, how);
		actor_start(&holder, &lock, 40, 45, RANGE_WRITE);
		actor_await(&holder);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&first, &lock, 2, 5, RANGE_WRITE);
		request_queue(&second, &lock, 12, 15, RANGE_WRITE);
		first.then = block_in_callback;
		first.other = &second;
		second.then = let_holder_go;
		range_unlock(&lock, &held);
		CHECK_EQ(actor_finish(&holder), 0);
		request_release(&first);
		request_release(&second);
		check_quiet_and_destroy(&lock);
	}
}

static void see_cancellation_disabled(struct request *request)
{
	int state;

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
	CHECK_EQ(state, PTHREAD_CANCEL_DISABLE);
	CHECK_EQ(pthread_setcancelstate(state, &state), 0);
	request_unlock(request);
}

TEST(async, a_callback_runs_with_cancellation_disabled)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held;
	struct request request;
	int state;

	take(&lock, &held, 0, 10, RANGE_WRITE);
	request_queue(&request, &lock, 0, 10, RANGE_WRITE);
	request.then = see_cancellation_disabled;
	range_unlock(&lock, &held);
	request_check_ended(&request, 0);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
	CHECK_EQ(state, PTHREAD_CANCEL_ENABLE);
	check_quiet_and_destroy(&lock);
}

/* For each reader that goes, the library must not look at all that wait: that would take minutes.
 */
TEST(async, a_reader_that_goes_looks_at_no_reader_that_waits)
{
	enum { MANY = 20000 };
	static struct request requests[MANY];

	for (int how = 0; how < 2; how++) {
		struct range_lock lock;
		struct range_hold held, reader;

		init_lock(&lock, fairnesses[how], 1);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		for (unsigned int i = 0; i < MANY; i++)
			request_queue(&requests[i], &lock, 0, 100, RANGE_READ);
		for (unsigned int i = 0; i < MANY; i++) {
			take(&lock, &reader, 50, 51, RANGE_READ);
			range_unlock(&lock, &reader);
		}
		range_unlock(&lock, &held);
		for (unsigned int i = 0; i < MANY; i++)
			request_release(&requests[i]);
		check_quiet_and_destroy(&lock);
	}
}

static void change_errno(struct request *request)
{
	errno = E2BIG;
	request_unlock(request);
}

TEST(async, a_callback_leaves_the_errno_of_its_thread_alone)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held;
	struct request request;

	take(&lock, &held, 0, 10, RANGE_WRITE);
	request_queue(&request, &lock, 0, 10, RANGE_WRITE);
	request.then = change_errno;
	errno = EDOM;
	range_unlock(&lock, &held);
	CHECK_EQ(errno, EDOM);
	request_check_ended(&request, 0);
	check_quiet_and_destroy(&lock);
}

static struct range_lock forked = RANGE_LOCK_INITIALIZER;
static struct range_hold forked_held;
static struct request forked_request;

/* The request's storage is the child's again. */
static void use_in_child(void *arg)
{
	(void)arg;
	range_lock_child(&forked);
	memset(&forked_held, 0xee, sizeof(forked_held));
	take(&forked, &forked_request.range, FULL, RANGE_WRITE);
	range_unlock(&forked, &forked_request.range);
	CHECK_EQ(range_cancel(&forked, &forked_request.range), ESRCH);
	CHECK(request_waits(&forked_request));
	check_quiet_and_destroy(&forked);
}

TEST(async, the_child_of_fork_has_no_requests)
{
	take(&forked, &forked_held, 0, 10, RANGE_WRITE);
	request_queue(&forked_request, &forked, 5, 15, RANGE_READ);
	check_in_child(use_in_child, NULL);
	range_unlock(&forked, &forked_held);
	request_release(&forked_request);
	check_quiet_and_destroy(&forked);
}
