/* SPDX-License-Identifier: MIT */
/*
 * Readers of biased leaves publish their ranges in slots, and writers adopt them: slots.h has the
 * protocol. One thread at a time acts here. A test makes a reader that another thread overtakes out
 * of the single steps of acquiring and releasing.
 */
#include "actors.h"

#include "range_lock/forest.h"
#include "range_lock/reader.h"
#include "range_lock/release.h"
#include "range_lock/wait.h"

#include <errno.h>
#include <string.h>

enum {
	/* Groups in a block: see slots.c. */
	BLOCK_GROUPS = 1024,
	/* More reads than a bias can cost: 100000 ns, at 4 ns each. */
	ENOUGH_READS = 25002,
	/* Fewer reads than a bias can cost: 1000 ns. */
	TOO_FEW_READS = 250,
};

static void read_once(struct range_lock *lock, uint64_t start, uint64_t end)
{
	struct range_hold range;

	take(lock, &range, start, end, RANGE_READ);
	range_unlock(lock, &range);
}

/* The slot in which a range is or was published. */
static struct range__slot *slot_of(struct range_hold *range)
{
	return range__hold(range)->slot;
}

/* Whether a range that does not span leaves has been adopted. */
static bool is_adopted(struct range_hold *range)
{
	return range__node_in_tree(&range__hold(range)->node[0]);
}

/* Reads until the leaf is biased. Returns the number of reads. */
static unsigned int reads_until_biased(struct range_lock *lock)
{
	unsigned int n = 0;

	while (!is_biased(lock, 0) && n < ENOUGH_READS) {
		read_once(lock, 0, 10);
		n++;
	}
	CHECK(is_biased(lock, 0));
	return n;
}

/* Makes a lock of one leaf, biased. */
static void init_biased(struct range_lock *lock, enum range_fairness fairness)
{
	init_lock(lock, fairness, 1);
	make_biased(lock, 1000);
}

/* Calls run(arg) in another thread, and waits for its end. */
static void elsewhere(void *(*run)(void *), void *arg)
{
	thread_join(thread_start(run, arg));
}

struct call {
	struct range_lock *lock;
	struct range_hold *range;
	uint64_t start;
	uint64_t end;
};

static void *do_unlock(void *arg)
{
	struct call *call = arg;

	range_unlock(call->lock, call->range);
	return NULL;
}

static void *do_take_published(void *arg)
{
	struct call *call = arg;

	take_published(call->lock, call->range, call->start, call->end);
	return NULL;
}

static void unlock_elsewhere(struct range_lock *lock, struct range_hold *range)
{
	struct call call = { .lock = lock, .range = range };

	elsewhere(do_unlock, &call);
}

static void take_published_elsewhere(struct range_lock *lock, struct range_hold *range,
				     uint64_t start, uint64_t end)
{
	struct call call = { lock, range, start, end };

	elsewhere(do_take_published, &call);
}

/* Exactly [start, end) is held for reading; also looks at the keys beside it. */
static void check_read_held(struct range_lock *lock, uint64_t start, uint64_t end)
{
	CHECK(is_free(lock, start, end, RANGE_READ));
	CHECK(!is_free(lock, start, start + 1, RANGE_WRITE));
	CHECK(!is_free(lock, end - 1, end, RANGE_WRITE));
	CHECK(is_free(lock, end, end + 1, RANGE_WRITE));
	CHECK(start == 0 || is_free(lock, start - 1, start, RANGE_WRITE));
}

TEST(slots, a_leaf_becomes_biased_once_reads_without_writes_outweigh_the_cost)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;

		init_lock(&lock, fairnesses[fair], 1);
		for (unsigned int biases = 1; biases <= 3; biases++) {
			CHECK(!is_biased(&lock, 0));
			CHECK(reads_until_biased(&lock) >= TOO_FEW_READS);
			CHECK_EQ(lock_stats(&lock).biases, biases);
			CHECK(is_biased(&lock, 0));
			CHECK(is_free(&lock, 5, 6, RANGE_WRITE));
			CHECK(!is_biased(&lock, 0));
			CHECK_EQ(lock_stats(&lock).biases, biases);
		}
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, readers_beside_a_reader_count_towards_a_bias_too)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold range;

		init_lock(&lock, fairnesses[fair], 1);
		take(&lock, &range, 5, 6, RANGE_READ);
		reads_until_biased(&lock);
		CHECK(!is_published(&range));
		CHECK(!is_free(&lock, 5, 6, RANGE_WRITE));
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, an_occasional_write_cancels_the_reads_counted_towards_a_bias)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;

		init_lock(&lock, fairnesses[fair], 1);
		for (unsigned int i = 0; i < test_scale(1000); i++) {
			for (unsigned int k = 0; k < 100; k++)
				read_once(&lock, 0, 10);
			CHECK(is_free(&lock, 20, 30, RANGE_WRITE));
		}
		CHECK_EQ(lock_stats(&lock).biases, 0);
		check_quiet_and_destroy(&lock);
	}
}

/* The same with another reader in the leaf, so that no call takes the fast path. */
TEST(slots, a_write_beside_a_reader_cancels_the_reads_counted_towards_a_bias)
{
	struct range_lock lock;
	struct range_hold range;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	take(&lock, &range, 50, 60, RANGE_READ);
	for (unsigned int i = 0; i < test_scale(10000); i++) {
		for (unsigned int k = 0; k < 5; k++)
			read_once(&lock, 0, 10);
		CHECK(is_free(&lock, 20, 30, RANGE_WRITE));
	}
	CHECK_EQ(lock_stats(&lock).biases, 0);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_leaf_does_not_become_biased_while_a_writer_is_in_it)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold writer, reader;

		init_lock(&lock, fairnesses[fair], 1);
		take(&lock, &writer, 0, 10, RANGE_WRITE);
		make_impatient(&lock);
		take(&lock, &reader, 20, 30, RANGE_READ);
		CHECK(!is_biased(&lock, 0));
		CHECK(!is_free(&lock, 0, 1, RANGE_READ));
		range_unlock(&lock, &reader);
		range_unlock(&lock, &writer);
		CHECK_EQ(lock_stats(&lock).biases, 0);
		make_biased(&lock, 0);
		CHECK_EQ(lock_stats(&lock).biases, 1);
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, a_leaf_does_not_become_biased_while_a_writer_waits_in_it)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold first, second;
		struct actor writer;

		init_lock(&lock, fairnesses[fair], 1);
		take(&lock, &first, 0, 10, RANGE_READ);
		actor_queue(&writer, &lock, 5, 6, RANGE_WRITE);
		make_impatient(&lock);
		take(&lock, &second, 20, 30, RANGE_READ);
		CHECK(!is_biased(&lock, 0));
		range_unlock(&lock, &second);
		range_unlock(&lock, &first);
		actor_await(&writer);
		CHECK_EQ(actor_finish(&writer), 0);
		check_quiet_and_destroy(&lock);
	}
}

/* All memory of a lock that threads share. */
struct snapshot {
	struct range_lock *lock;
	unsigned int n;
	struct {
		const void *from;
		size_t size;
		_Alignas(16) unsigned char bytes[512];
	} part[64];
};

static void snap(struct snapshot *snapshot, const void *from, size_t size)
{
	CHECK(snapshot->n < sizeof snapshot->part / sizeof snapshot->part[0]);
	CHECK(size <= sizeof snapshot->part[0].bytes);
	snapshot->part[snapshot->n].from = from;
	snapshot->part[snapshot->n].size = size;
	memcpy(snapshot->part[snapshot->n++].bytes, from, size);
}

static void take_snapshot(struct snapshot *snapshot, struct range_lock *lock)
{
	struct range__forest *forest = forest_of(lock);

	snapshot->lock = lock;
	snapshot->n = 0;
	snap(snapshot, lock, sizeof *lock);
	if (!forest)
		return;
	snap(snapshot, forest, sizeof *forest);
	for (uint32_t i = 0; i < atomic_load(&forest->count); i++) {
		snap(snapshot, &forest->entries[i], sizeof forest->entries[i]);
		snap(snapshot, atomic_load(&forest->entries[i].leaf), sizeof(struct range__leaf));
	}
}

static void check_unchanged(const struct snapshot *snapshot)
{
	for (unsigned int i = 0; i < snapshot->n; i++)
		CHECK(!memcmp(snapshot->part[i].from, snapshot->part[i].bytes,
			      snapshot->part[i].size));
}

/* Two reads at the same time, each in one of the three ways. */
static void *read_unnoticed(void *arg)
{
	struct snapshot *snapshot = arg;

	for (int how = 0; how < 3; how++) {
		struct range_hold first, second;

		CHECK_EQ(acquire_somehow(how, snapshot->lock, &first, 0, 10, RANGE_READ), 0);
		check_unchanged(snapshot);
		CHECK_EQ(acquire_somehow(how, snapshot->lock, &second, 5, 6, RANGE_READ), 0);
		check_unchanged(snapshot);
		range_unlock(snapshot->lock, &first);
		check_unchanged(snapshot);
		range_unlock(snapshot->lock, &second);
		check_unchanged(snapshot);
	}
	return NULL;
}

static void check_read_unnoticed(struct range_lock *lock)
{
	struct snapshot snapshot;
	struct range_hold range;

	take_snapshot(&snapshot, lock);
	read_unnoticed(&snapshot);
	elsewhere(read_unnoticed, &snapshot);
	take_published(lock, &range, 0, 10);
	elsewhere(read_unnoticed, &snapshot);
	range_unlock(lock, &range);
	check_unchanged(&snapshot);
}

TEST(slots, a_reader_of_a_biased_leaf_writes_to_no_shared_memory)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;

		init_biased(&lock, fairnesses[fair]);
		check_read_unnoticed(&lock);
		CHECK(is_biased(&lock, 0));
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, a_reader_of_one_of_many_biased_leaves_writes_to_no_shared_memory)
{
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&lock, 50, 100, 100000));
	make_biased(&lock, 0);
	check_read_unnoticed(&lock);
	CHECK(is_biased(&lock, 0));
	check_quiet_and_destroy(&lock);
}

/* So the snapshot would show a difference. */
TEST(slots, a_reader_of_a_leaf_that_is_not_biased_changes_it)
{
	struct range_lock lock;
	struct snapshot snapshot;
	struct range_hold range;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	take_snapshot(&snapshot, &lock);
	take(&lock, &range, 0, 10, RANGE_READ);
	CHECK(memcmp(&lock, snapshot.part[0].bytes, sizeof lock));
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, every_way_to_read_uses_slots_and_keeps_the_bias)
{
	for (int how = 0; how < 6; how++) {
		struct range_lock lock;
		struct range_hold range;

		init_biased(&lock, fairnesses[how / 3]);
		CHECK_EQ(acquire_somehow(how % 3, &lock, &range, 0, 10, RANGE_READ), 0);
		CHECK(is_published(&range));
		CHECK(is_biased(&lock, 0));
		CHECK(!is_free(&lock, 9, 10, RANGE_WRITE));
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, a_published_reader_excludes_writers_from_exactly_its_range)
{
	for (int how = 0; how < 6; how++) {
		struct range_lock lock;
		struct range_hold reader, writer;

		init_biased(&lock, fairnesses[how / 3]);
		take_published(&lock, &reader, 0, 10);
		CHECK_EQ(acquire_somehow(how % 3, &lock, &writer, 10, 20, RANGE_WRITE), 0);
		CHECK_EQ(lock_stats(&lock).waits, 0);
		CHECK(!is_free(&lock, 5, 6, RANGE_WRITE));
		CHECK(!is_free(&lock, 9, 10, RANGE_WRITE));
		CHECK(!is_free(&lock, FULL, RANGE_WRITE));
		range_unlock(&lock, &reader);
		CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
		CHECK(!is_free(&lock, 10, 11, RANGE_READ));
		range_unlock(&lock, &writer);
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, a_writer_waits_for_an_adopted_reader_and_is_granted_when_it_releases)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold range;
		struct actor writer, other;

		init_biased(&lock, fairnesses[fair]);
		take_published(&lock, &range, 0, 10);
		actor_queue(&writer, &lock, 5, 6, RANGE_WRITE);
		actor_queue(&other, &lock, 9, 20, RANGE_WRITE);
		range_unlock(&lock, &range);
		actor_await(&writer);
		actor_await(&other);
		CHECK_EQ(actor_finish(&writer), 0);
		CHECK_EQ(actor_finish(&other), 0);
		check_quiet_and_destroy(&lock);
	}
}

enum { MANY = RANGE__GROUP_SLOTS + 2 };

/* Order number i of all orders of n things. */
static void nth_order(unsigned int i, unsigned int n, unsigned int *order)
{
	for (unsigned int k = 0; k < n; k++) {
		unsigned int place = i % (k + 1);

		i /= k + 1;
		for (unsigned int m = k; m > place; m--)
			order[m] = order[m - 1];
		order[place] = k;
	}
}

TEST(slots, a_thread_may_read_more_ranges_than_it_has_slots)
{
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < 120; i++) {
		struct range_hold range[MANY];
		unsigned int order[MANY];

		if (!is_biased(&lock, 0))
			make_biased(&lock, 1000);
		/* Readers without a slot do not end the bias now, see the next test. */
		atomic_store(&range__lock(&lock)->root.unbiased_cost, 0);
		for (unsigned int k = 0; k < MANY; k++) {
			take(&lock, &range[k], 10 * k, 10 * k + 15, RANGE_READ);
			CHECK_EQ(is_published(&range[k]), k < RANGE__GROUP_SLOTS);
		}
		nth_order(i, MANY, order);
		for (unsigned int k = 0; k < MANY; k++)
			range_unlock(&lock, &range[order[k]]);
		CHECK(is_biased(&lock, 0));
	}
	check_quiet_and_destroy(&lock);
}

/* No other reader loses by it: ranges in slots stay held. */
TEST(slots, readers_without_a_slot_end_the_bias_once_they_outweigh_its_cost)
{
	struct range_hold range[RANGE__GROUP_SLOTS], other;
	struct range_lock lock;
	unsigned int n = 0;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
		take_published(&lock, &range[k], 10 * k, 10 * k + 15);
	while (is_biased(&lock, 0)) {
		CHECK(n++ < 1000);
		take(&lock, &other, 5, 50, RANGE_READ);
		range_unlock(&lock, &other);
	}
	CHECK(n > 1);
	CHECK_EQ(lock_stats(&lock).biases, 1);
	/* No slot, no bias: a bias would not help this thread. */
	for (unsigned int i = 0; i < 100000; i++) {
		take(&lock, &other, 5, 50, RANGE_READ);
		range_unlock(&lock, &other);
	}
	CHECK_EQ(lock_stats(&lock).biases, 1);
	CHECK(!is_free(&lock, 12, 13, RANGE_WRITE));
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
		range_unlock(&lock, &range[k]);
	check_quiet_and_destroy(&lock);
}

/* The same, with a writer that ends the bias before the n-th release. */
TEST(slots, published_and_other_readers_of_one_thread_are_all_adopted)
{
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < 120; i++) {
		struct range_hold range[MANY];
		unsigned int order[MANY];

		make_biased(&lock, 1000);
		for (unsigned int k = 0; k < MANY; k++)
			take(&lock, &range[k], 10 * k, 10 * k + 5, RANGE_READ);
		nth_order(i, MANY, order);
		for (unsigned int k = 0; k < MANY; k++) {
			if (k == i % MANY) {
				CHECK(is_free(&lock, 1000, 1001, RANGE_WRITE));
				CHECK(!is_biased(&lock, 0));
			}
			range_unlock(&lock, &range[order[k]]);
		}
		check_valid(&lock);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	}
	check_quiet_and_destroy(&lock);
}

TEST(slots, another_thread_may_release_a_published_range)
{
	for (int adopted = 0; adopted < 2; adopted++) {
		struct range_lock lock;
		struct range_hold range[RANGE__GROUP_SLOTS], next;

		init_biased(&lock, RANGE_FAIRNESS_BARGING);
		for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
			take_published(&lock, &range[k], 0, 10);
		if (adopted)
			check_read_held(&lock, 0, 10);
		CHECK_EQ(is_biased(&lock, 0), !adopted);
		unlock_elsewhere(&lock, &range[1]);
		CHECK_EQ(is_biased(&lock, 0), !adopted);
		/* The slot is free for its owner again. */
		if (adopted)
			make_biased(&lock, 1000);
		take_published(&lock, &next, 5, 20);
		check_read_held(&lock, 0, 20);
		unlock_elsewhere(&lock, &next);
		check_read_held(&lock, 0, 10);
		unlock_elsewhere(&lock, &range[0]);
		unlock_elsewhere(&lock, &range[2]);
		check_quiet_and_destroy(&lock);
	}
}

struct successor {
	struct range_lock *lock;
	struct range__slots *slots;
	struct range_hold range[RANGE__GROUP_SLOTS];
};

static void *succeed(void *arg)
{
	struct successor *s = arg;

	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
		take(s->lock, &s->range[k], 100 * k, 100 * k + 10, RANGE_READ);
	s->slots = range__slots_own;
	return NULL;
}

/* Its slots serve another thread once all of them are free. */
TEST(slots, a_thread_may_end_while_its_range_is_published)
{
	for (int adopted = 0; adopted < 2; adopted++) {
		struct range_lock lock;
		struct successor first, second, third;

		init_biased(&lock, RANGE_FAIRNESS_BARGING);
		first.lock = second.lock = third.lock = &lock;
		elsewhere(succeed, &first);
		for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
			CHECK(is_published(&first.range[k]));
		unlock_elsewhere(&lock, &first.range[1]);
		elsewhere(succeed, &second);
		CHECK(second.slots != first.slots);
		for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
			CHECK(is_published(&second.range[k]));
		if (adopted)
			check_read_held(&lock, 0, 10);
		range_unlock(&lock, &first.range[0]);
		check_read_held(&lock, 0, 10);
		range_unlock(&lock, &second.range[0]);
		check_read_held(&lock, 200, 210);
		CHECK(is_free(&lock, 0, 100, RANGE_WRITE));
		range_unlock(&lock, &first.range[2]);
		make_biased(&lock, 1000);
		elsewhere(succeed, &third);
		CHECK(third.slots == first.slots);
		for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++) {
			CHECK(is_published(&third.range[k]));
			range_unlock(&lock, &third.range[k]);
		}
		for (unsigned int k = 1; k < RANGE__GROUP_SLOTS; k++)
			range_unlock(&lock, &second.range[k]);
		check_quiet_and_destroy(&lock);
	}
}

/* Each thread holds a range of its own. valgrind allows 500 threads at once. */
#ifdef TEST_UNDER_VALGRIND
enum { CROWD = 300 };
#else
enum { CROWD = BLOCK_GROUPS + 44 };
#endif

static struct actor crowd[CROWD];

static bool was_slot_of_crowd(const struct range__slot *slot)
{
	unsigned int i = 0;

	while (i < CROWD && slot_of(&crowd[i].range) != slot)
		i++;
	return i < CROWD;
}

TEST(slots, more_threads_than_a_block_has_groups_of_slots_read_at_the_same_time)
{
	struct range_lock lock;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	/* This thread has a group, too. */
	read_once(&lock, 0, 10);
	for (unsigned int i = 0; i < CROWD; i++) {
		actor_start(&crowd[i], &lock, 10 * i, 10 * i + 15, RANGE_READ);
		actor_await(&crowd[i]);
		CHECK(is_published(&crowd[i].range));
	}
	for (unsigned int i = 0; i < CROWD; i++)
		CHECK(!is_free(&lock, 10 * i + 7, 10 * i + 8, RANGE_WRITE));
	check_valid(&lock);
	for (unsigned int i = 0; i < CROWD; i++)
		CHECK_EQ(actor_finish(&crowd[i]), 0);
	make_biased(&lock, 1000);
	/* The groups of the ended threads are free, and serve other threads. */
	for (unsigned int i = 0; i < 300; i++) {
		struct range_hold range;

		take_published_elsewhere(&lock, &range, 0, 10);
		CHECK(was_slot_of_crowd(slot_of(&range)));
		range_unlock(&lock, &range);
	}
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_range_that_was_adopted_is_not_adopted_again)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold range;

		init_biased(&lock, fairnesses[fair]);
		take_published(&lock, &range, 0, 10);
		for (unsigned int i = 2; i < 6; i++) {
			check_read_held(&lock, 0, 10);
			check_valid(&lock);
			make_biased(&lock, 1000);
			CHECK_EQ(lock_stats(&lock).biases, i);
		}
		check_read_held(&lock, 0, 10);
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

/* Each bias has its own generation: the reader sees that it has been adopted in between. */
TEST(slots, an_adopted_reader_leaves_a_leaf_that_is_biased_again)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold range;

		init_biased(&lock, fairnesses[fair]);
		take_published(&lock, &range, 0, 10);
		CHECK(is_free(&lock, 1000, 1001, RANGE_WRITE));
		make_biased(&lock, 1000);
		range_unlock(&lock, &range);
		CHECK(is_biased(&lock, 0));
		CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
		check_quiet_and_destroy(&lock);
	}
}

TEST(slots, readers_of_other_locks_are_not_adopted)
{
	struct range_lock lock[2];
	struct range_hold range[2];

	for (int i = 0; i < 2; i++) {
		init_biased(&lock[i], RANGE_FAIRNESS_BARGING);
		take_published(&lock[i], &range[i], 0, 10 + 10 * (unsigned int)i);
	}
	check_read_held(&lock[0], 0, 10);
	check_valid(&lock[0]);
	CHECK(is_biased(&lock[1], 0));
	CHECK(!is_adopted(&range[1]));
	range_unlock(&lock[0], &range[0]);
	CHECK(is_free(&lock[0], FULL, RANGE_WRITE));
	CHECK(is_biased(&lock[1], 0));
	check_read_held(&lock[1], 0, 20);
	range_unlock(&lock[1], &range[1]);
	check_quiet_and_destroy(&lock[0]);
	check_quiet_and_destroy(&lock[1]);
}

TEST(slots, readers_of_other_leaves_are_not_adopted)
{
	struct range_lock lock;
	struct range_hold low, high;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&lock, 50, 100, 100000));
	CHECK(leaf_at(&lock, 0) != leaf_at(&lock, 200));
	make_biased(&lock, 0);
	make_biased(&lock, 200);
	take_published(&lock, &low, 0, 10);
	take_published(&lock, &high, 200, 210);
	check_read_held(&lock, 0, 10);
	CHECK(!is_biased(&lock, 0));
	CHECK(is_biased(&lock, 200));
	CHECK(!is_adopted(&high));
	range_unlock(&lock, &low);
	range_unlock(&lock, &high);
	CHECK(is_biased(&lock, 200));
	check_quiet_and_destroy(&lock);
}

/* One writer that spans leaves adopts the readers of all of them. */
TEST(slots, published_readers_of_several_leaves_stay_held_when_a_writer_tries_to_span_them)
{
	struct range_lock lock;
	struct range_hold low, high;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&lock, 50, 100, 100000));
	make_biased(&lock, 0);
	make_biased(&lock, 200);
	take_published(&lock, &low, 0, 10);
	take_published(&lock, &high, 200, 210);
	CHECK(!is_free(&lock, 0, 300, RANGE_WRITE));
	CHECK(!is_biased(&lock, 0) && !is_biased(&lock, 200));
	CHECK(is_adopted(&low) && is_adopted(&high));
	CHECK_EQ(lock_stats(&lock).leaves, 2);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	check_read_held(&lock, 0, 10);
	check_read_held(&lock, 200, 210);
	make_biased(&lock, 0);
	make_biased(&lock, 220);
	check_read_held(&lock, 0, 10);
	check_read_held(&lock, 200, 210);
	check_valid(&lock);
	range_unlock(&lock, &high);
	CHECK(is_free(&lock, 200, 210, RANGE_WRITE));
	CHECK(!is_free(&lock, 0, 10, RANGE_WRITE));
	range_unlock(&lock, &low);
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_published_range_can_be_shrunk)
{
	struct range_lock lock;
	struct range_hold range;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 0, 30);
	CHECK_EQ(range_shrink(&lock, &range, 10, 10), EINVAL);
	CHECK_EQ(range_shrink(&lock, &range, 10, 31), EINVAL);
	CHECK(is_published(&range));
	CHECK(is_biased(&lock, 0));
	CHECK_EQ(range_shrink(&lock, &range, 10, 20), 0);
	CHECK(!is_published(&range));
	for (int i = 0; i < 2; i++) {
		check_read_held(&lock, 10, 20);
		CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
		CHECK(is_free(&lock, 20, 30, RANGE_WRITE));
		make_biased(&lock, 1000);
	}
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, shrinking_a_published_range_wakes_the_waiters_that_it_frees)
{
	struct range_lock lock;
	struct range_hold range;
	struct actor writer;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 0, 30);
	actor_queue(&writer, &lock, 25, 40, RANGE_WRITE);
	CHECK_EQ(range_shrink(&lock, &range, 10, 20), 0);
	actor_await(&writer);
	check_read_held(&lock, 10, 20);
	CHECK_EQ(actor_finish(&writer), 0);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_published_range_can_be_extended)
{
	struct range_lock lock;
	struct range_hold range, writer;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 10, 20);
	CHECK_EQ(range_tryextend(&lock, &range, 11, 30), EINVAL);
	CHECK(is_published(&range));
	CHECK_EQ(range_tryextend(&lock, &range, 5, 20), 0);
	CHECK(!is_published(&range));
	for (int i = 0; i < 2; i++) {
		check_read_held(&lock, 5, 20);
		make_biased(&lock, 1000);
	}
	CHECK_EQ(range_tryextend(&lock, &range, 5, 30), 0);
	check_read_held(&lock, 5, 30);
	take(&lock, &writer, 40, 41, RANGE_WRITE);
	CHECK_EQ(range_tryextend(&lock, &range, 0, 41), EBUSY);
	check_read_held(&lock, 5, 30);
	range_unlock(&lock, &writer);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_published_range_that_cannot_be_extended_is_held_as_before)
{
	struct range_lock lock;
	struct range_hold range, other;
	struct actor writer;

	init_biased(&lock, RANGE_FAIRNESS_FIFO);
	take_published(&lock, &range, 10, 20);
	take_published(&lock, &other, 30, 31);
	actor_queue(&writer, &lock, 30, 40, RANGE_WRITE);
	CHECK_EQ(range_tryextend(&lock, &range, 10, 31), EBUSY);
	check_read_held(&lock, 10, 20);
	range_unlock(&lock, &other);
	actor_await(&writer);
	CHECK_EQ(range_tryextend(&lock, &range, 10, 31), EBUSY);
	check_read_held(&lock, 10, 20);
	CHECK_EQ(actor_finish(&writer), 0);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_published_range_can_be_extended_into_other_leaves)
{
	struct range_lock lock;
	struct range_hold range, other;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&lock, 50, 100, 100000));
	make_biased(&lock, 0);
	make_biased(&lock, 200);
	take_published(&lock, &range, 10, 20);
	take_published(&lock, &other, 200, 210);
	CHECK_EQ(range_tryextend(&lock, &range, 5, 205), 0);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	CHECK(!is_published(&range));
	CHECK(!is_free(&lock, 204, 205, RANGE_WRITE));
	range_unlock(&lock, &other);
	check_read_held(&lock, 5, 205);
	make_biased(&lock, 0);
	range_unlock(&lock, &range);
	CHECK(is_free(&lock, 0, 300, RANGE_WRITE));
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_published_range_can_be_split)
{
	struct range_lock lock;
	struct range_hold range, upper;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 10, 30);
	CHECK_EQ(range_split(&lock, &range, 10, &upper), EINVAL);
	CHECK(is_published(&range));
	CHECK_EQ(range_split(&lock, &range, 20, &upper), 0);
	CHECK(!is_published(&range));
	CHECK(!is_published(&upper));
	make_biased(&lock, 1000);
	unlock_elsewhere(&lock, &range);
	check_read_held(&lock, 20, 30);
	make_biased(&lock, 1000);
	range_unlock(&lock, &upper);
	check_quiet_and_destroy(&lock);
}

TEST(slots, published_ranges_may_be_joined)
{
	struct range_lock lock;
	struct range_hold lower, upper, foreign;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &lower, 10, 20);
	take_published(&lock, &upper, 20, 30);
	take_published_elsewhere(&lock, &foreign, 30, 40);
	CHECK_EQ(range_join(&lock, &upper, &lower), EINVAL);
	CHECK(is_published(&lower) && is_published(&upper));
	CHECK_EQ(range_join(&lock, &upper, &foreign), EINVAL);
	check_read_held(&lock, 10, 40);
	range_unlock(&lock, &foreign);
	CHECK_EQ(range_join(&lock, &lower, &upper), 0);
	CHECK(!is_published(&lower));
	memset(&upper, 0xff, sizeof upper);
	check_read_held(&lock, 10, 30);
	make_biased(&lock, 1000);
	/* The slot of the upper range is free again. */
	take_published(&lock, &upper, 20, 30);
	range_unlock(&lock, &upper);
	range_unlock(&lock, &lower);
	CHECK(is_free(&lock, 0, 100, RANGE_WRITE));
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_published_range_can_be_upgraded_if_no_other_reader_overlaps)
{
	struct range_lock lock;
	struct range_hold range, other;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 0, 10);
	take_published_elsewhere(&lock, &other, 9, 20);
	CHECK_EQ(range_tryupgrade(&lock, &range), EBUSY);
	check_read_held(&lock, 0, 20);
	range_unlock(&lock, &other);
	make_biased(&lock, 1000);
	CHECK_EQ(range_tryupgrade(&lock, &range), 0);
	CHECK(!is_published(&range));
	CHECK(!is_biased(&lock, 0));
	CHECK(!is_free(&lock, 0, 1, RANGE_READ));
	CHECK(is_free(&lock, 10, 20, RANGE_WRITE));
	make_impatient(&lock);
	read_once(&lock, 10, 20);
	CHECK(!is_biased(&lock, 0));
	range_downgrade(&lock, &range);
	make_biased(&lock, 0);
	check_read_held(&lock, 0, 10);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, downgrading_a_published_range_changes_nothing)
{
	struct range_lock lock;
	struct range_hold range;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 0, 10);
	range_downgrade(&lock, &range);
	CHECK_EQ(range.mode, RANGE_READ);
	CHECK(is_biased(&lock, 0) && is_published(&range));
	check_read_held(&lock, 0, 10);
	make_biased(&lock, 0);
	check_read_held(&lock, 0, 10);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

/* A slot that a resize has left is free for the next range. */
TEST(slots, a_range_that_is_resized_frees_its_slot)
{
	struct range_lock lock;
	struct range_hold range[RANGE__GROUP_SLOTS], more[RANGE__GROUP_SLOTS];

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
		take_published(&lock, &range[k], 100 * k, 100 * k + 50);
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
		CHECK_EQ(range_shrink(&lock, &range[k], 100 * k, 100 * k + 10), 0);
	make_biased(&lock, 1000);
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++)
		take_published(&lock, &more[k], 100 * k + 10, 100 * k + 20);
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++) {
		CHECK(!is_free(&lock, 100 * k + 9, 100 * k + 10, RANGE_WRITE));
		CHECK(!is_free(&lock, 100 * k + 19, 100 * k + 20, RANGE_WRITE));
		CHECK(is_free(&lock, 100 * k + 20, 100 * k + 50, RANGE_WRITE));
	}
	for (unsigned int k = 0; k < RANGE__GROUP_SLOTS; k++) {
		range_unlock(&lock, &range[k]);
		range_unlock(&lock, &more[k]);
	}
	check_quiet_and_destroy(&lock);
}

TEST(slots, readers_of_several_ranges_use_slots_if_all_their_leaves_are_biased)
{
	struct range_lock lock;
	struct snapshot snapshot;
	struct range_hold range[2];
	struct range_request requests[2] = {
		{ &range[0], 0, 10, RANGE_READ },
		{ &range[1], 200, 210, RANGE_READ },
	};

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&lock, 50, 100, 100000));
	make_biased(&lock, 0);
	for (int all = 0; all < 2; all++) {
		if (all)
			make_biased(&lock, 200);
		take_snapshot(&snapshot, &lock);
		CHECK_EQ(range_lock_many(&lock, requests, 2), 0);
		CHECK_EQ(is_published(&range[0]), all);
		CHECK_EQ(is_published(&range[1]), all);
		if (all)
			check_unchanged(&snapshot);
		range_unlock(&lock, &range[0]);
		range_unlock(&lock, &range[1]);
		if (all)
			check_unchanged(&snapshot);
		CHECK(is_biased(&lock, 0));
	}
	CHECK_EQ(range_trylock_many(&lock, requests, 2), 0);
	CHECK(is_published(&range[0]) && is_published(&range[1]));
	check_read_held(&lock, 0, 10);
	check_read_held(&lock, 200, 210);
	range_unlock(&lock, &range[0]);
	range_unlock(&lock, &range[1]);
	check_quiet_and_destroy(&lock);
}

TEST(slots, several_ranges_are_locked_beside_published_readers)
{
	struct range_lock lock;
	struct range_hold reader, other, range[3];
	struct range_request requests[3] = {
		{ &range[0], 0, 10, RANGE_READ },
		{ &range[1], 20, 30, RANGE_READ },
		{ &range[2], 40, 50, RANGE_WRITE },
	};

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &reader, 5, 25);
	/* The thread has one free slot, and then two. */
	take_published(&lock, &other, 6, 7);
	for (int fit = 0; fit < 2; fit++) {
		CHECK_EQ(range_lock_many(&lock, requests, 2), 0);
		CHECK_EQ(is_published(&range[0]), fit);
		CHECK_EQ(is_published(&range[1]), fit);
		CHECK(is_biased(&lock, 0));
		range_unlock(&lock, &range[0]);
		range_unlock(&lock, &range[1]);
		if (!fit)
			range_unlock(&lock, &other);
	}
	CHECK_EQ(range_lock_many(&lock, requests, 3), 0);
	CHECK(!is_free(&lock, 40, 41, RANGE_READ));
	CHECK(!is_free(&lock, 0, 1, RANGE_WRITE));
	range_unlock(&lock, &range[0]);
	check_read_held(&lock, 5, 30);
	for (int i = 1; i < 3; i++)
		range_unlock(&lock, &range[i]);
	range_unlock(&lock, &reader);
	check_quiet_and_destroy(&lock);
}

struct shown {
	struct range_info info[4];
	unsigned int n;
};

static int show(const struct range_info *info, void *arg)
{
	struct shown *shown = arg;

	CHECK(shown->n < 4);
	shown->info[shown->n++] = *info;
	return 0;
}

TEST(slots, published_ranges_are_shown_once)
{
	struct range_lock lock;
	struct range_hold range[2];

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range[1], 20, 30);
	take_published_elsewhere(&lock, &range[0], 0, 10);
	for (int round = 0; round < 3; round++) {
		struct shown shown = { .n = 0 };

		CHECK_EQ(range_lock_foreach(&lock, show, &shown), 0);
		CHECK_EQ(shown.n, 2);
		for (unsigned int i = 0; i < 2; i++) {
			CHECK(shown.info[i].range == &range[i]);
			CHECK_EQ(shown.info[i].start, 20 * i);
			CHECK_EQ(shown.info[i].end, 20 * i + 10);
			CHECK_EQ(shown.info[i].mode, RANGE_READ);
			CHECK_EQ(shown.info[i].state, RANGE_STATE_HELD);
			CHECK_EQ(shown.info[i].thread, range__hold(&range[i])->owner >> 32);
		}
		if (round == 1)
			make_biased(&lock, 0);
	}
	range_unlock(&lock, &range[0]);
	range_unlock(&lock, &range[1]);
	check_quiet_and_destroy(&lock);
}

TEST(slots, the_wait_for_a_published_reader_can_be_canceled_and_the_reader_cannot)
{
	struct range_lock lock;
	struct range_hold range;
	struct actor writer;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 0, 10);
	CHECK_EQ(range_cancel(&lock, &range), ESRCH);
	CHECK(is_biased(&lock, 0));
	actor_queue(&writer, &lock, 5, 6, RANGE_WRITE);
	CHECK_EQ(range_cancel(&lock, &range), ESRCH);
	CHECK_EQ(range_cancel(&lock, &writer.range), 0);
	CHECK_EQ(actor_finish(&writer), ECANCELED);
	check_read_held(&lock, 0, 10);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(slots, a_lock_with_a_published_reader_is_not_destroyed)
{
	for (int leaves = 1; leaves <= 16; leaves += 15) {
		struct range_lock lock;
		struct range_hold range;

		init_lock(&lock, RANGE_FAIRNESS_BARGING, (uint32_t)leaves);
		if (leaves > 1)
			CHECK(split_by_turns(&lock, 50, 100, 100000));
		make_biased(&lock, 200);
		take_published(&lock, &range, 200, 210);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		check_read_held(&lock, 200, 210);
		range_unlock(&lock, &range);
		make_biased(&lock, 200);
		CHECK_EQ(range_lock_destroy(&lock), 0);
	}
}

/* As with a lock on the stack. */
TEST(slots, a_lock_may_reuse_the_storage_of_one_that_had_published_readers)
{
	struct range_lock lock;

	for (unsigned int i = 0; i < 10; i++) {
		struct range_hold range;

		init_biased(&lock, RANGE_FAIRNESS_BARGING);
		take_published(&lock, &range, 10 * i, 10 * i + 10);
		range_unlock(&lock, &range);
		CHECK(is_biased(&lock, 0));
		CHECK_EQ(range_lock_destroy(&lock), 0);
	}
}

static void *read_and_write(void *arg)
{
	struct range_lock *lock = arg;
	struct range_hold range[MANY];

	for (unsigned int k = 0; k < MANY; k++)
		take(lock, &range[k], 10 * k, 10 * k + 10, RANGE_READ);
	CHECK(!is_free(lock, 5, 6, RANGE_WRITE));
	for (unsigned int k = 0; k < MANY; k++)
		range_unlock(lock, &range[k]);
	return NULL;
}

TEST(slots, biases_and_published_readers_ask_for_no_memory)
{
	struct range_lock lock;
	struct range_lock_attr attr;
	struct memory_books books;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, 0);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	for (unsigned int i = 0; i < 10; i++) {
		make_biased(&lock, 0);
		read_and_write(&lock);
	}
	CHECK_EQ(atomic_load(&books.allocations), 0);
	CHECK_EQ(atomic_load(&books.refused), 0);
	check_quiet_and_destroy(&lock);
}

/* The word of a biased leaf, as loaded by a reader that another thread then overtakes. */
static uint64_t word_of(struct range_lock *lock, uint64_t key)
{
	CHECK(is_biased(lock, key));
	return atomic_load(&leaf_at(lock, key)->word);
}

/* A reader that is about to publish: it has looked up a leaf and its word. */
static void prepare_reader(struct range__hold *range, uint64_t start, uint64_t end,
			   struct range__leaf *leaf, uint64_t word)
{
	memset(range, 0, sizeof *range);
	range->start = start;
	range->end = end;
	range->mode = RANGE_READ;
	range->leaf[0] = leaf;
	range->saved_word[0] = word;
}

static uint64_t slot_tag(const struct range__slot *slot)
{
	return atomic_load(&slot->state) & SLOT_TAG;
}

/* The leaf's word has changed by then, so the reader is held as usual, unless it conflicts. */
TEST(slots, a_reader_that_publishes_too_late_is_not_held_through_its_slot)
{
	for (int biased_again = 0; biased_again < 2; biased_again++) {
		struct range_lock lock;
		struct range_hold writer;
		struct range__hold reader;
		uint64_t word;

		init_biased(&lock, RANGE_FAIRNESS_BARGING);
		word = word_of(&lock, 0);
		take(&lock, &writer, 5, 6, RANGE_WRITE);
		if (biased_again) {
			range_unlock(&lock, &writer);
			make_biased(&lock, 0);
		}
		prepare_reader(&reader, 0, 10, leaf_at(&lock, 0), word);
		CHECK_EQ(range__reader_enter(range__lock(&lock), &reader), biased_again);
		CHECK(!is_published(range__public(&reader)));
		CHECK_EQ(slot_tag(reader.slot), SLOT_FREE);
		CHECK_EQ(is_biased(&lock, 0), biased_again);
		if (biased_again) {
			check_read_held(&lock, 0, 10);
			range__release_slow(range__lock(&lock), &reader, 0);
		} else {
			range_unlock(&lock, &writer);
		}
		check_quiet_and_destroy(&lock);
	}
}

/*
 * A writer adopts the reader between its publishing and its second look at the word. The reader
 * holds its range, but not through the slot.
 */
TEST(slots, a_reader_that_is_adopted_while_it_acquires_releases_like_others)
{
	struct range_lock lock;
	struct range__hold reader;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	prepare_reader(&reader, 0, 10, leaf_at(&lock, 0), word_of(&lock, 0));
	CHECK(range__slot_publish(range__lock(&lock), &reader));
	CHECK(range__slot_undisturbed(&reader, 0));
	CHECK(!is_free(&lock, 5, 6, RANGE_WRITE));
	CHECK(!range__slot_undisturbed(&reader, 0));
	CHECK(range__node_in_tree(&reader.node[0]));
	check_read_held(&lock, 0, 10);
	range__reader_leave(range__lock(&lock), &reader);
	CHECK_EQ(slot_tag(reader.slot), SLOT_FREE);
	check_quiet_and_destroy(&lock);
}

/*
 * The reader publishes its range for the leaf that it looked up, which has been split since. A
 * thread that ends the bias of the leaf's present part does not adopt the range.
 */
TEST(slots, a_reader_that_publishes_for_a_leaf_that_lost_its_keys_is_not_adopted)
{
	struct range_lock lock;
	struct range__leaf *low;
	struct range__hold reader;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	CHECK(split_by_turns(&lock, 50, 100, 100000));
	make_biased(&lock, 0);
	low = leaf_at(&lock, 0);
	CHECK(!range__leaf_covers(low, 200, 210));
	prepare_reader(&reader, 200, 210, low, word_of(&lock, 0));
	CHECK(range__slot_publish(range__lock(&lock), &reader));
	CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
	CHECK(!range__node_in_tree(&reader.node[0]));
	CHECK(!range__slot_undisturbed(&reader, 0));
	CHECK(is_free(&lock, 200, 210, RANGE_WRITE));
	range__slot_vacate(&reader);
	check_quiet_and_destroy(&lock);
}

/* So a thread that looks at the slot twice sees that another range has used it in between. */
TEST(slots, a_slot_that_was_used_again_has_another_state)
{
	struct range_lock lock;
	struct range_hold range;
	uint64_t state;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	take_published(&lock, &range, 0, 10);
	state = atomic_load(&slot_of(&range)->state);
	range_unlock(&lock, &range);
	CHECK_EQ(slot_tag(slot_of(&range)), SLOT_FREE);
	take_published(&lock, &range, 0, 10);
	CHECK_EQ(slot_tag(slot_of(&range)), SLOT_IN);
	CHECK(atomic_load(&slot_of(&range)->state) > state);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

/* Until the reader has seen that it is not adopted, or has been released like other holders. */
TEST(slots, a_reader_keeps_its_slot_until_its_release_is_complete)
{
	struct range_lock lock;
	struct actor reader;

	init_biased(&lock, RANGE_FAIRNESS_BARGING);
	actor_start(&reader, &lock, 0, 10, RANGE_READ);
	actor_await(&reader);
	CHECK(is_published(&reader.range));
	range__leaf_lock(leaf_at(&lock, 0));
	actor_let_go(&reader);
	AWAIT(atomic_load(&leaf_at(&lock, 0)->word) == (WORD_LOCKED | WORD_LOCKED_SLEEPERS));
	CHECK_EQ(slot_tag(slot_of(&reader.range)), SLOT_LEAVING);
	range__leaf_unlock(leaf_at(&lock, 0), NULL);
	CHECK_EQ(actor_finish(&reader), 0);
	CHECK_EQ(slot_tag(slot_of(&reader.range)), SLOT_FREE);
	CHECK(is_biased(&lock, 0));
	check_quiet_and_destroy(&lock);
}
