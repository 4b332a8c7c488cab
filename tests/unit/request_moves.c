/* SPDX-License-Identifier: MIT */
/*
 * The waiters of a leaf move to another leaf when the leaf is split. A thread that has locked only
 * another leaf of such a waiter's acquisition still sees it in a queue: otherwise it would take
 * another range of a request for the one that is queued. The waiter here has no thread.
 */
#include "actors.h"

#include "range_lock/bounds.h"
#include "range_lock/waiters.h"

/* So many that the other thread looks between two stores of a move, if there are two. */
enum { SPLITS = 10000000 };

static struct range__hold waiter = { .start = 10, .end = 11 };
static atomic_bool stop;
static atomic_uint looks, misses;

static void *look_again_and_again(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		if (!atomic_load(&waiter.in))
			atomic_fetch_add(&misses, 1);
		atomic_store(&looks, 1);
	}
	return NULL;
}

/* It moves to one leaf, and that one's memory becomes a new leaf as soon as it has moved on. */
TEST(request_moves, a_waiter_that_moves_is_in_a_queue_at_any_moment)
{
	static struct range__leaf leaves[2];
	pthread_t thread;

	range__leaf_init(&leaves[0]);
	range__leaf_enqueue(&leaves[0], &waiter);
	thread = thread_start(look_again_and_again, NULL);
	AWAIT(atomic_load(&looks) > 0);
	for (unsigned int i = 0; i < SPLITS; i++) {
		struct range__leaf *leaf = &leaves[i % 2], *right = &leaves[(i + 1) % 2];

		range__leaf_init(right);
		range__leaf_split(leaf, 0, right);
		CHECK(!leaf->waiters && right->waiters == &waiter);
	}
	atomic_store(&stop, true);
	thread_join(thread);
	CHECK_EQ(atomic_load(&misses), 0);
	CHECK(atomic_load(&waiter.in) == &leaves[SPLITS % 2]);
}
