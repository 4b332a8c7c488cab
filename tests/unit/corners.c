/* SPDX-License-Identifier: MIT */
/*
 * Corners of the lock that its tests at large reach only by a rare chance, or whose loss only costs
 * time: each was found by a mutant that all other tests let live (mutants/RESULTS.md).
 */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/leaf.h"
#include "range_lock/seams.h"

#include <errno.h>
#include <string.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

TEST(corners, a_lock_knows_its_own_leaves_and_no_others)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER, other = RANGE_LOCK_INITIALIZER;

	CHECK(range__forest_owns(&lock, &lock.root));
	CHECK(!range__forest_owns(&lock, &other.root));
	/* More than one block of memory. */
	make_leaves(&lock, 300);
	make_leaves(&other, 300);
	for (uint32_t i = 0; i < 300; i++) {
		struct range__leaf *own = range__index_leaf(forest_of(&lock), i);
		struct range__leaf *of_other = range__index_leaf(forest_of(&other), i);

		CHECK(range__forest_owns(&lock, own) && !range__forest_owns(&other, own));
		CHECK(range__forest_owns(&other, of_other) && !range__forest_owns(&lock, of_other));
	}
	check_quiet_and_destroy(&lock);
	check_quiet_and_destroy(&other);
}

#ifdef __linux__
/* As /proc shows it: 'S' while the thread sleeps. */
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

/* It does not spin until then: its holder may have a lower priority. */
TEST(corners, a_thread_that_waits_for_a_locked_leaf_sleeps)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct sleeper sleeper = { &lock.root, 0 };
	pthread_t thread;
	char first, second = 'R';

	range__leaf_lock(&lock.root);
	thread = thread_start(lock_the_leaf, &sleeper);
	AWAIT(atomic_load(&sleeper.thread));
	/* Twice in a row: it may have been preempted on the way. */
	do {
		first = second;
		sched_yield();
		second = state_of(atomic_load(&sleeper.thread));
	} while (first != 'S' || second != 'S');
	range__leaf_unlock(&lock.root, NULL);
	thread_join(thread);
	check_quiet_and_destroy(&lock);
}
#endif

/* By hand, as three nodes that no tree of the library would have. */
TEST(corners, the_validator_of_trees_sees_a_tree_that_leans_to_either_side)
{
	for (int to_right = 0; to_right < 2; to_right++) {
		struct range_hold ranges[3], *root = NULL, *top, *middle, *low;

		memset(ranges, 0, sizeof(ranges));
		for (unsigned int i = 0; i < 3; i++) {
			ranges[i].start = i * 10;
			ranges[i].end = i * 10 + 5;
			ranges[i].mode = RANGE_READ;
			range__tree_insert(&root, &ranges[i]);
		}
		CHECK(range__tree_valid(root));
		top = to_right ? &ranges[0] : &ranges[2];
		middle = &ranges[1];
		low = to_right ? &ranges[2] : &ranges[0];
		middle->left = middle->right = top->left = top->right = NULL;
		*(to_right ? &top->right : &top->left) = middle;
		*(to_right ? &middle->right : &middle->left) = low;
		top->parent = NULL;
		middle->parent = top;
		low->parent = middle;
		low->height = 1;
		middle->height = 2;
		top->height = 3;
		low->max_end = low->end;
		middle->max_end = low->end > middle->end ? low->end : middle->end;
		top->max_end = ranges[2].end;
		CHECK(!range__tree_valid(top));
	}
}

static void fill(struct range_hold *range, uint64_t start, uint64_t end)
{
	memset(range, 0, sizeof(*range));
	range->start = start;
	range->end = end;
	range->mode = RANGE_WRITE;
}

TEST(corners, the_validator_of_leaves_sees_wrong_counts_of_waiters)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range__leaf *leaf = &lock.root;
	struct range_hold held, waiters[2];

	range__leaf_lock(leaf);
	fill(&held, 0, 10);
	range__tree_insert(&leaf->held, &held);
	for (unsigned int i = 0; i < 2; i++) {
		fill(&waiters[i], i, 10);
		range__leaf_enqueue(leaf, &waiters[i]);
	}
	CHECK(range__leaf_valid(leaf));
	leaf->nr_woken++;
	CHECK(!range__leaf_valid(leaf));
	leaf->nr_woken--;
	leaf->nr_starving++;
	CHECK(!range__leaf_valid(leaf));
	leaf->nr_starving--;
	leaf->wait_last = &waiters[0];
	CHECK(!range__leaf_valid(leaf));
	leaf->wait_last = &waiters[1];
	for (unsigned int i = 0; i < 2; i++)
		range__leaf_dequeue(leaf, &waiters[i]);
	range__tree_erase(&leaf->held, &held);
	CHECK(range__leaf_valid(leaf));
	range__leaf_unlock(leaf, NULL);
	check_quiet_and_destroy(&lock);
}

static bool seam_is_valid_at(struct range__leaf *leaf, uint64_t point)
{
	struct range__leaf seam;
	uint32_t n = 0;
	bool valid;

	memset(&seam, 0, sizeof(seam));
	range__leaf_init(&seam);
	atomic_store(&seam.lo, point);
	atomic_store(&seam.hi, point);
	leaf->seams = &seam;
	valid = range__seams_valid(leaf, &n);
	CHECK(!valid || n == 1);
	leaf->seams = NULL;
	return valid;
}

TEST(corners, the_validator_of_seams_sees_one_at_a_bound_of_its_leaf)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	range__leaf_lock(&lock.root);
	atomic_store(&lock.root.lo, 10);
	atomic_store(&lock.root.hi, 20);
	CHECK(!seam_is_valid_at(&lock.root, 10));
	CHECK(seam_is_valid_at(&lock.root, 11));
	CHECK(seam_is_valid_at(&lock.root, 19));
	CHECK(!seam_is_valid_at(&lock.root, 20));
	atomic_store(&lock.root.lo, 0);
	atomic_store(&lock.root.hi, UINT64_MAX);
	range__leaf_unlock(&lock.root, NULL);
	check_quiet_and_destroy(&lock);
}
