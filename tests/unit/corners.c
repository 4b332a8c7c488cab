/* SPDX-License-Identifier: MIT */
/*
 * Corner cases of the lock that its broad tests reach only by a rare chance, or whose failure only
 * costs time. A mutant that survived all other tests revealed each (mutants/RESULTS.md).
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/leaf.h"
#include "range_lock/waiters.h"

#include <errno.h>
#include <string.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

static struct range__leaf *root_of(struct range_lock *lock)
{
	return &range__lock(lock)->root;
}

#ifdef __linux__
/* The state in /proc: 'S' while the thread sleeps. */
static char state_of(pid_t thread)
{
	char path[64], text[256] = "";
	char *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	file = fopen(path, "r");
	CHECK(file);
	CHECK(fgets(text, sizeof(text), file));
	fclose(file);
	end = strrchr(text, ')');
	CHECK(end && end[1] == ' ');
	return end[2];
}

struct sleeper {
	struct range__leaf *leaf;
	_Atomic(pid_t) thread;
};

static void *lock_the_leaf(void *arg)
{
	struct sleeper *sleeper = arg;

	atomic_store(&sleeper->thread, (pid_t)syscall(SYS_gettid));
	range__leaf_lock(sleeper->leaf);
	range__leaf_unlock(sleeper->leaf, NULL);
	return NULL;
}

/* The thread does not spin until then: the leaf's holder may have a lower priority. */
TEST(corners, a_thread_that_waits_for_a_locked_leaf_sleeps)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct sleeper sleeper = { root_of(&lock), 0 };
	pthread_t thread;
	char first, second = 'R';

	range__leaf_lock(root_of(&lock));
	thread = thread_start(lock_the_leaf, &sleeper);
	AWAIT(atomic_load(&sleeper.thread));
	/* Twice in a row: a single sleep may come from something else on the way. */
	do {
		first = second;
		sched_yield();
		second = state_of(atomic_load(&sleeper.thread));
	} while (first != 'S' || second != 'S');
	range__leaf_unlock(root_of(&lock), NULL);
	thread_join(thread);
	check_quiet_and_destroy(&lock);
}
#endif

static void fill(struct range__hold *range, uint64_t start, uint64_t end)
{
	memset(range, 0, sizeof(*range));
	range->start = start;
	range->end = end;
	range->mode = RANGE_WRITE;
}

/* Three nodes linked by hand, as in no tree of the library. */
TEST(corners, the_tree_validator_detects_a_tree_that_leans_to_either_side)
{
	for (int to_right = 0; to_right < 2; to_right++) {
		struct range__hold ranges[3];
		struct range__node *root = NULL, *top, *middle, *low;

		for (unsigned int i = 0; i < 3; i++) {
			fill(&ranges[i], i * 10, i * 10 + 5);
			ranges[i].mode = RANGE_READ;
			range__tree_insert(&root, &ranges[i], 0);
		}
		CHECK(range__tree_valid(root));
		top = &ranges[to_right ? 0 : 2].node[0];
		middle = &ranges[1].node[0];
		low = &ranges[to_right ? 2 : 0].node[0];
		middle->left = middle->right = top->left = top->right = NULL;
		*(to_right ? &top->right : &top->left) = middle;
		*(to_right ? &middle->right : &middle->left) = low;
		top->parent = NULL;
		middle->parent = top;
		low->parent = middle;
		low->height = 1;
		middle->height = 2;
		top->height = 3;
		low->max_end = to_right ? ranges[2].end : ranges[0].end;
		middle->max_end = to_right ? ranges[2].end : ranges[1].end;
		top->max_end = ranges[2].end;
		CHECK(!range__tree_valid(top));
	}
}

/* A leaf [100, 200) of a lock of its own, in which [100, 110) is held and two waiters wait. */
struct sample {
	struct range_lock lock;
	struct range__leaf *leaf;
	struct range__hold held, waiters[2];
};

static void begin(struct sample *sample)
{
	sample->lock = (struct range_lock)RANGE_LOCK_INITIALIZER;
	sample->leaf = root_of(&sample->lock);
	range__leaf_lock(sample->leaf);
	atomic_store(&sample->leaf->lo, 100);
	atomic_store(&sample->leaf->not_hi, ~UINT64_C(200));
	fill(&sample->held, 100, 110);
	range__leaf_record(sample->leaf, &sample->held);
	for (unsigned int i = 0; i < 2; i++) {
		fill(&sample->waiters[i], 100 + i, 110);
		sample->waiters[i].arrival = 1 + i;
		range__leaf_enqueue(sample->leaf, &sample->waiters[i]);
	}
}

static bool is_valid(struct sample *sample)
{
	return range__leaf_valid(range__lock(&sample->lock), sample->leaf);
}

static void end(struct sample *sample)
{
	CHECK(is_valid(sample));
	for (unsigned int i = 0; i < 2; i++)
		range__leaf_dequeue(sample->leaf, &sample->waiters[i]);
	range__leaf_erase(sample->leaf, &sample->held);
	CHECK(range__leaf_vacant(sample->leaf));
	CHECK(is_valid(sample));
	atomic_store(&sample->leaf->lo, 0);
	atomic_store(&sample->leaf->not_hi, ~UINT64_MAX);
	range__leaf_unlock(sample->leaf, NULL);
	check_quiet_and_destroy(&sample->lock);
}

TEST(corners, the_leaf_validator_detects_wrong_counts_and_orders_of_waiters)
{
	struct sample s;

	begin(&s);
	CHECK(is_valid(&s));
	s.leaf->nr_woken++;
	CHECK(!is_valid(&s));
	s.leaf->nr_woken--;
	s.leaf->nr_starving++;
	CHECK(!is_valid(&s));
	s.leaf->nr_starving--;
	s.waiters[1].place.kind |= WAITER_STARVING;
	CHECK(!is_valid(&s));
	s.waiters[1].place.kind &= (uint8_t)~WAITER_STARVING;
	s.leaf->waiters->place.min_arrival++;
	CHECK(!is_valid(&s));
	s.leaf->waiters->place.min_arrival--;
	s.waiters[1].in = NULL;
	CHECK(!is_valid(&s));
	s.waiters[1].in = s.leaf;
	end(&s);
}

TEST(corners, the_leaf_validator_detects_waiters_without_a_cause)
{
	struct sample s;

	begin(&s);
	range__leaf_erase(s.leaf, &s.held);
	CHECK(!is_valid(&s));
	s.held.end = 101;
	range__leaf_record(s.leaf, &s.held);
	/*
	 * The second waiter does not conflict with the held range, and the first waiter is not
	 * WOKEN.
	 */
	CHECK(!is_valid(&s));
	range__leaf_erase(s.leaf, &s.held);
	s.held.end = 110;
	range__leaf_record(s.leaf, &s.held);
	end(&s);
}

/* A range has node 0 in its first leaf, node 1 in its last leaf, and none in a leaf between. */
TEST(corners, the_leaf_validator_detects_a_range_recorded_by_the_wrong_node)
{
	static const uint64_t bounds[2][2] = { { 150, 300 }, { 50, 150 } };

	for (unsigned int which = 0; which < 2; which++) {
		struct range__hold across;
		struct sample s;

		begin(&s);
		fill(&across, bounds[which][0], bounds[which][1]);
		/*
		 * A range that reaches below the leaf's start, beside the held range: both are
		 * readers.
		 */
		if (which)
			across.mode = s.held.mode = RANGE_READ;
		range__tree_update(&s.leaf->held, &s.held.node[0]);
		range__leaf_record(s.leaf, &across);
		CHECK(range__hold_of(&across.node[which]) == &across);
		CHECK(is_valid(&s));
		range__leaf_erase(s.leaf, &across);
		range__tree_insert(&s.leaf->held, &across, !which);
		CHECK(!is_valid(&s));
		range__tree_erase(&s.leaf->held, &across.node[!which]);
		end(&s);
	}
}

TEST(corners, the_leaf_validator_detects_a_range_held_beside_a_covering_writer)
{
	struct range__hold over;
	struct sample s;

	begin(&s);
	fill(&over, 0, 1000);
	range__leaf_record(s.leaf, &over);
	CHECK_EQ(s.leaf->covers, RANGE__COVERS_WRITER);
	CHECK(!is_valid(&s));
	range__leaf_erase(s.leaf, &over);
	CHECK_EQ(s.leaf->covers, 0);
	over.mode = RANGE_READ;
	range__leaf_record(s.leaf, &over);
	range__leaf_record(s.leaf, &over);
	CHECK_EQ(s.leaf->covers, 2);
	/* The range held in the leaf is a writer's. */
	CHECK(!is_valid(&s));
	s.held.mode = RANGE_READ;
	range__tree_update(&s.leaf->held, &s.held.node[0]);
	CHECK(is_valid(&s));
	range__leaf_erase(s.leaf, &over);
	range__leaf_erase(s.leaf, &over);
	end(&s);
}
