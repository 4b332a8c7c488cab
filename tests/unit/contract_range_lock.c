/* SPDX-License-Identifier: MIT */
/*
 * Promises of every function of range_lock.h: it keeps errno, an error leaves its arguments
 * unchanged, and only a split asks for memory. CONTRACT.md lists the tests of all other promises.
 */
#include "actors.h"

#include "range_lock/forest.h"
#include "range_lock/lock.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { OTHER = 4711 }; /* no function sets errno to this */

/* The result for a thread that waits for its own range until a deadline. */
static int own_range_waited_for(void)
{
	return checked_build ? EDEADLK : ETIMEDOUT;
}

#define CHECK_ERRNO(call)                                                                          \
	do {                                                                                       \
		errno = OTHER;                                                                     \
		call;                                                                              \
		CHECK_EQ(errno, OTHER);                                                            \
	} while (0)
#define CHECK_RESULT(call, result) CHECK_ERRNO(CHECK_EQ(call, result))

/* Each range shares a key with the one before and the one behind. */
static void check_errors(struct range_lock *lock, struct range_hold *held)
{
	static const struct timespec past = { 1, 0 };
	struct range_hold range, other;
	struct range_request none[1] = { { &range, 1, 1, RANGE_READ } };

	CHECK_RESULT(range_lock(lock, &range, 1, 1, RANGE_READ), EINVAL);
	CHECK_RESULT(range_trylock(lock, &range, 0, 100, RANGE_WRITE), EBUSY);
	CHECK_RESULT(range_timedlock(lock, &range, 0, 100, RANGE_WRITE, CLOCK_REALTIME, &past),
		     own_range_waited_for());
	CHECK_RESULT(range_cancel(lock, &range), ESRCH);
	CHECK_RESULT(range_lock_many(lock, none, 1), EINVAL);
	CHECK_RESULT(range_shrink(lock, held, held->start, held->start), EINVAL);
	CHECK_RESULT(range_tryextend(lock, held, held->start + 1, held->end), EINVAL);
	CHECK_RESULT(range_split(lock, held, held->end, &range), EINVAL);
	CHECK_RESULT(range_lock_destroy(lock), EBUSY);
	CHECK_RESULT(range_lock(lock, &other, held->end, held->end + 1, RANGE_WRITE), 0);
	CHECK_RESULT(range_tryextend(lock, held, held->start, held->end + 1), EBUSY);
	CHECK_ERRNO(range_unlock(lock, &other));
}

static int look_at_one(const struct range_info *info, void *arg)
{
	*(uint64_t *)arg += info->end - info->start;
	errno = EDOM; /* the caller's code may set errno; the lock must not */
	return 0;
}

static void check_changes(struct range_lock *lock, struct range_hold *held)
{
	struct range_hold upper;
	struct range_info info;

	CHECK_ERRNO(range_downgrade(lock, held));
	CHECK_RESULT(range_tryupgrade(lock, held), 0);
	CHECK_RESULT(range_shrink(lock, held, held->start + 1, held->end), 0);
	CHECK_RESULT(range_tryextend(lock, held, held->start - 1, held->end), 0);
	CHECK_RESULT(range_split(lock, held, held->start + 1, &upper), 0);
	CHECK_RESULT(range_join(lock, &upper, held), EINVAL);
	CHECK_RESULT(range_join(lock, held, &upper), 0);
	CHECK_ERRNO(range_downgrade(lock, held));
	CHECK_RESULT(range_upgrade(lock, held), 0);
	CHECK_ERRNO(range_downgrade(lock, held));
	CHECK_RESULT(range_timedupgrade(lock, held, CLOCK_MONOTONIC, NULL), 0);
	CHECK_RESULT(range_is_held(lock, held->start, held->end, RANGE_WRITE), 1);
	CHECK_RESULT(range_lock_conflict(lock, 0, UINT64_MAX, RANGE_READ, &info), 0);
	CHECK_RESULT(range_lock_conflict(lock, 1, 1, RANGE_READ, &info), EINVAL);
	CHECK_RESULT(range_split(lock, held, held->start + 1, &upper), 0);
	CHECK_ERRNO(range_unlock(lock, held));
	*held = (struct range_hold){ 0 };
	CHECK_RESULT(range_timedlock(lock, held, 10, 11, RANGE_WRITE, CLOCK_MONOTONIC, NULL), 0);
	CHECK_ERRNO(range_unlock(lock, &upper));
	CHECK_RESULT(range_tryextend(lock, held, 10, 20), 0);
}

static void count_end(int error, void *arg)
{
	CHECK_EQ(error, 0);
	++*(int *)arg;
}

/* A request of one range is granted, and then one of two ranges. */
static void check_requests(struct range_lock *lock)
{
	struct range_hold held, range, two[2];
	struct range_request requests[2] = { { &two[0], 30, 35, RANGE_READ },
					     { &two[1], 35, 40, RANGE_WRITE } };
	int ended = 0;

	take(lock, &held, 30, 40, RANGE_WRITE);
	CHECK_RESULT(range_lock_async(lock, &range, 1, 1, RANGE_READ, count_end, &ended), EINVAL);
	CHECK_RESULT(range_lock_async(lock, &range, 30, 40, RANGE_WRITE, count_end, &ended),
		     EINPROGRESS);
	CHECK_RESULT(range_lock_many_async(lock, requests, 2, count_end, &ended), EINPROGRESS);
	CHECK_ERRNO(range_unlock(lock, &held));
	CHECK_EQ(ended, 1);
	CHECK_ERRNO(range_unlock(lock, &range));
	CHECK_EQ(ended, 2);
	CHECK_ERRNO(range_unlock(lock, &two[0]));
	CHECK_ERRNO(range_unlock(lock, &two[1]));
}

/* Also where the call waits for a futex and a system call fails. */
static void check_waits(struct range_lock *lock)
{
	struct timespec soon = time_after(CLOCK_MONOTONIC, SECOND / 500);
	struct range_hold range, two[2];
	struct range_request requests[2] = { { &two[0], 50, 51, RANGE_READ },
					     { &two[1], 30, 40, RANGE_WRITE } };
	struct actor holder, waiter;

	actor_start(&holder, lock, 30, 40, RANGE_WRITE);
	actor_await(&holder);
	CHECK_RESULT(range_timedlock(lock, &range, 35, 36, RANGE_READ, CLOCK_MONOTONIC, &soon),
		     ETIMEDOUT);
	actor_queue(&waiter, lock, 31, 32, RANGE_READ);
	CHECK_RESULT(range_cancel(lock, &waiter.range), 0);
	CHECK_EQ(actor_finish(&waiter), ECANCELED);
	actor_let_go(&holder);
	CHECK_RESULT(range_lock_many(lock, requests, 2), 0);
	CHECK_ERRNO(range_unlock(lock, &two[0]));
	CHECK_ERRNO(range_unlock(lock, &two[1]));
	CHECK_EQ(actor_finish(&holder), 0);
}

TEST(contract_range_lock, no_function_changes_errno)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock_attr attr;
		struct range_lock_stats stats;
		struct range_lock_times times;
		struct range_lock_counters counters = { { 0 } };
		struct range_lock lock;
		struct range_hold held;
		uint64_t keys = 0;

		CHECK_ERRNO(range_lock_attr_init(&attr));
		attr.fairness = fairnesses[i];
		attr.counters = &counters;
		CHECK_RESULT(range_lock_init(&lock, &attr), 0);
		CHECK_RESULT(range_lock(&lock, &held, 10, 20, RANGE_WRITE), 0);
		check_errors(&lock, &held);
		check_changes(&lock, &held);
		check_waits(&lock);
		check_requests(&lock);
		range_lock_foreach(&lock, look_at_one, &keys);
		CHECK_EQ(keys, 10);
		CHECK_ERRNO(range_lock_stats(&lock, &stats));
		CHECK_RESULT(range_lock_get_times(&lock, &times), 0);
		CHECK_RESULT(range_lock_dump(&lock, stdout), 0);
		CHECK_ERRNO(range_unlock(&lock, &held));
		CHECK_RESULT(range_lock_destroy(&lock), 0);
		attr.max_leaves = 0;
		CHECK_RESULT(range_lock_init(&lock, &attr), EINVAL);
		CHECK_ERRNO((void)mmrange_version());
	}
}

static bool same(const struct range_hold *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	return range->start == start && range->end == end && range->mode == mode;
}

TEST(contract_range_lock, an_error_leaves_a_held_range_unchanged)
{
	for (int mode = RANGE_READ; mode <= RANGE_WRITE; mode++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		struct range_hold held, beside, reader, upper, before;

		take(&lock, &held, 10, 20, (enum range_mode)mode);
		take(&lock, &beside, 20, 30, RANGE_WRITE);
		memset(&upper, 0x77, sizeof(upper));
		before = upper;
		CHECK_EQ(range_shrink(&lock, &held, 9, 20), EINVAL);
		CHECK_EQ(range_shrink(&lock, &held, 10, 21), EINVAL);
		CHECK_EQ(range_shrink(&lock, &held, 15, 15), EINVAL);
		CHECK_EQ(range_tryextend(&lock, &held, 11, 20), EINVAL);
		CHECK_EQ(range_tryextend(&lock, &held, 10, 19), EINVAL);
		CHECK_EQ(range_tryextend(&lock, &held, 5, 21), EBUSY);
		CHECK_EQ(range_split(&lock, &held, 10, &upper), EINVAL);
		CHECK_EQ(range_split(&lock, &held, 20, &upper), EINVAL);
		CHECK(!memcmp(&upper, &before, sizeof(upper)));
		CHECK(same(&held, 10, 20, (enum range_mode)mode));
		if (mode == RANGE_READ) {
			take(&lock, &reader, 12, 13, RANGE_READ);
			CHECK_EQ(range_tryupgrade(&lock, &held), EBUSY);
			CHECK(same(&held, 10, 20, RANGE_READ));
			range_unlock(&lock, &reader);
		}
		CHECK(is_free(&lock, 5, 10, RANGE_WRITE));
		CHECK(!is_free(&lock, 10, 11, RANGE_WRITE));
		CHECK(!is_free(&lock, 19, 20, RANGE_WRITE));
		range_unlock(&lock, &held);
		range_unlock(&lock, &beside);
		check_quiet_and_destroy(&lock);
	}
}

/*
 * The caller can use the storage of a range that was not acquired at once: the checked build would
 * report it otherwise.
 */
TEST(contract_range_lock, an_error_leaves_the_storage_of_a_range_to_its_caller)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER, other = RANGE_LOCK_INITIALIZER;
	struct timespec past = { 1, 0 };
	struct range_hold held, range, two[2];
	struct range_request requests[2] = { { &two[0], 5, 7, RANGE_READ },
					     { &two[1], 6, 8, RANGE_READ } };

	take(&lock, &held, 0, 10, RANGE_WRITE);
	for (int i = 0; i < 4; i++) {
		if (i == 0)
			CHECK_EQ(range_lock(&lock, &range, 2, 1, RANGE_WRITE), EINVAL);
		else if (i == 1)
			CHECK_EQ(range_trylock(&lock, &range, 1, 2, RANGE_WRITE), EBUSY);
		else if (i == 2)
			CHECK_EQ(range_timedlock(&lock, &range, 1, 2, RANGE_READ, CLOCK_MONOTONIC,
						 &past),
				 own_range_waited_for());
		else
			CHECK_EQ(range_split(&lock, &held, 10, &range), EINVAL);
		memset(&range, i, sizeof(range));
		take(&other, &range, 1, 2, RANGE_WRITE);
		range_unlock(&other, &range);
	}
	CHECK_EQ(range_lock_many(&lock, requests, 2), EINVAL);
	for (int i = 0; i < 2; i++) {
		take(&other, &two[i], 1, 2, RANGE_WRITE);
		range_unlock(&other, &two[i]);
	}
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	check_quiet_and_destroy(&other);
}

/* The hooks belong to a lock that may not split, so each call of them is an error. */
TEST(contract_range_lock, only_a_split_asks_for_memory)
{
	struct range_lock_attr attr;
	struct range_lock lock;
	struct memory_books books;
	struct range_hold held;

	range_lock_attr_init(&attr);
	attr.max_leaves = 1;
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	alternate(&lock, 100, 200, 1000);
	CHECK_EQ(range_lock(&lock, &held, 10, 20, RANGE_WRITE), 0);
	check_errors(&lock, &held);
	check_changes(&lock, &held);
	check_waits(&lock);
	check_requests(&lock);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	CHECK_EQ(atomic_load(&books.allocations), 0);
	CHECK_EQ(atomic_load(&books.frees), 0);
}

/* Values that a program may have compiled in. */
TEST(contract_range_lock, constants_are_as_documented)
{
	CHECK_EQ(RANGE_READ, 0);
	CHECK_EQ(RANGE_WRITE, 1);
	CHECK_EQ(RANGE_FAIRNESS_BARGING, 0);
	CHECK_EQ(RANGE_FAIRNESS_FIFO, 1);
	CHECK_EQ(RANGE_BIAS_ADAPTIVE, 0);
	CHECK_EQ(RANGE_BIAS_NEVER, 1);
	CHECK_EQ(RANGE_LOCK_LEAVES_MAX, 65536);
	CHECK_EQ(RANGE_STATE_HELD, 0);
	CHECK_EQ(RANGE_STATE_WAITING, 1);
	CHECK_EQ(RANGE_STATE_STARVING, 2);
}

static void check_same_attributes(struct range_lock *a_, struct range_lock *b_)
{
	struct range__lock *a = range__lock(a_), *b = range__lock(b_);

	CHECK_EQ(range__max_leaves(a), range__max_leaves(b));
	CHECK_EQ(range__starvation(a), range__starvation(b));
	CHECK_EQ(a->fairness, b->fairness);
	CHECK_EQ(a->never_biased, b->never_biased);
	CHECK(a->alloc == b->alloc && a->free == b->free);
}

/* An initializer, zeros, and range_lock_init() with the defaults make the same lock. */
TEST(contract_range_lock, zeros_make_a_lock_with_the_default_attributes)
{
	static struct range_lock initialized = RANGE_LOCK_INITIALIZER;
	struct range_lock_attr attr;
	struct range_lock made, zeros;

	range_lock_attr_init(&attr);
	CHECK_EQ(range_lock_init(&made, &attr), 0);
	memset(&zeros, 0, sizeof(zeros));
	CHECK(!memcmp(&zeros, &initialized, sizeof(zeros)));
	check_same_attributes(&initialized, &made);
	check_same_attributes(&zeros, &made);
	check_quiet_and_destroy(&initialized);
	check_quiet_and_destroy(&zeros);
	check_quiet_and_destroy(&made);
}

TEST(contract_range_lock, requests_are_sorted_by_start_also_if_the_call_fails)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold ranges[4];
	struct range_request requests[4];

	for (int fails = 0; fails < 2; fails++) {
		for (unsigned int i = 0; i < 4; i++)
			requests[i] = (struct range_request){ &ranges[i], 10 * (4 - i),
							      10 * (4 - i) + 5, RANGE_WRITE };
		if (fails)
			requests[1].end = requests[0].start + 1;
		CHECK_EQ(range_lock_many(&lock, requests, 4), fails ? EINVAL : 0);
		for (unsigned int i = 0; i < 4; i++) {
			CHECK(requests[i].range == &ranges[3 - i]);
			CHECK_EQ(requests[i].start, 10 * (i + 1));
			CHECK_EQ(requests[i].mode, RANGE_WRITE);
			if (!fails)
				range_unlock(&lock, requests[i].range);
		}
	}
	check_quiet_and_destroy(&lock);
}

#ifndef __APPLE__
static atomic_uint mallocs;
static atomic_size_t mapped; /* bytes */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *memory, size_t size);

/* The linker replaces the functions of the C library by these, here and in the library. */
void *__wrap_malloc(size_t size)
{
	atomic_fetch_add(&mallocs, 1);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	atomic_fetch_add(&mallocs, 1);
	return __real_calloc(n, size);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	atomic_fetch_add(&mapped, size);
	return __real_mmap(at, size, prot, flags, fd, offset);
}

int __wrap_munmap(void *memory, size_t size)
{
	atomic_fetch_sub(&mapped, size);
	return __real_munmap(memory, size);
}

/* Nor do splits call it, so the lock can be used inside malloc(). */
TEST(contract_range_lock, malloc_is_never_called)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held;
	unsigned int before;

	free(malloc(1));
	before = atomic_load(&mallocs);
	make_leaves(&lock, 8);
	CHECK_EQ(range_lock(&lock, &held, 10, 20, RANGE_WRITE), 0);
	check_errors(&lock, &held);
	check_changes(&lock, &held);
	check_waits(&lock);
	check_requests(&lock);
	make_biased(&lock, 1000);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	CHECK_EQ(atomic_load(&mallocs), before);
}

TEST(contract_range_lock, without_hooks_destroy_unmaps_all_mapped_memory)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	size_t before = atomic_load(&mapped), with_leaves;

	make_leaves(&lock, 300);
	with_leaves = atomic_load(&mapped);
	CHECK(with_leaves > before);
	check_quiet_and_destroy(&lock);
	CHECK_EQ(atomic_load(&mapped), before);
}
#endif

TEST(contract_range_lock, only_destroy_frees_memory)
{
	struct range_lock_attr attr;
	struct memory_books books;
	struct range_lock lock;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	make_leaves(&lock, 200);
	CHECK_EQ(lock_stats(&lock).splits, 199);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	for (uint64_t i = 0; i < 100; i++) {
		struct range_hold full;

		take(&lock, &full, FULL, RANGE_WRITE);
		range_unlock(&lock, &full);
		alternate(&lock, 10000 * i, 10000 * i + 5000, 64);
	}
	CHECK(atomic_load(&books.allocations) > 1);
	CHECK_EQ(atomic_load(&books.frees), 0);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}

enum { LEAVES = 8 };

/* All memory of a lock that threads share, except for one leaf. */
struct shared {
	struct range_lock lock;
	unsigned char forest[offsetof(struct range__forest, entries)];
	struct range__entry entries[LEAVES];
	struct range__leaf leaves[LEAVES];
};

static void look(struct range_lock *lock, struct shared *shared, const struct range__leaf *but)
{
	struct range__forest *forest = forest_of(lock);

	memset(shared, 0, sizeof(*shared));
	memcpy(&shared->lock, lock, sizeof(*lock));
	memcpy(shared->forest, forest, sizeof(shared->forest));
	memcpy(shared->entries, forest->entries, sizeof(shared->entries));
	for (int i = 0; i < LEAVES; i++) {
		const struct range__leaf *leaf = atomic_load(&forest->entries[i].leaf);

		if (leaf != but)
			memcpy(&shared->leaves[i], leaf, sizeof(*leaf));
	}
}

TEST(contract_range_lock, a_thread_that_has_a_leaf_to_itself_writes_only_to_that_leaf)
{
	static struct shared before, after;
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	make_leaves(&lock, LEAVES);
	for (uint64_t key = 0; key < 10 * LEAVES; key += 10) {
		struct range__leaf *own = leaf_at(&lock, key);

		visit(&lock, 7, key);
		look(&lock, &before, own);
		for (int i = 0; i < 100; i++)
			visit(&lock, 7, key);
		look(&lock, &after, own);
		CHECK(!memcmp(&before, &after, sizeof(before)));
	}
	check_quiet_and_destroy(&lock);
}

/* A lock in a page of its own, which is unmapped as early as allowed. */
struct doomed {
	struct range_lock *lock;
	struct range_hold *held;
	struct range_hold range;
};

static void *wait_and_destroy(void *arg)
{
	struct doomed *doomed = arg;

	CHECK_EQ(range_lock(doomed->lock, &doomed->range, 0, 1, RANGE_WRITE), ECANCELED);
	range_unlock(doomed->lock, doomed->held);
	CHECK_EQ(range_lock_destroy(doomed->lock), 0);
	CHECK_EQ(munmap(doomed->lock, 4096), 0);
	return NULL;
}

static void *cancel_once(void *arg)
{
	struct doomed *doomed = arg;

	while (range_cancel(doomed->lock, &doomed->range) == ESRCH)
		sched_yield();
	return NULL;
}

TEST(contract_range_lock, a_lock_may_be_destroyed_while_the_cancel_that_ended_the_wait_returns)
{
	unsigned int rounds = test_scale(500);

	for (unsigned int i = 0; i < rounds; i++) {
		struct doomed doomed;
		struct range_hold held;
		pthread_t waiter, canceler;

		doomed.held = &held;
		doomed.lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
		CHECK(doomed.lock != MAP_FAILED);
		CHECK_EQ(range_lock_init(doomed.lock, NULL), 0);
		take(doomed.lock, &held, 0, 1, RANGE_WRITE);
		waiter = thread_start(wait_and_destroy, &doomed);
		canceler = thread_start(cancel_once, &doomed);
		thread_join(waiter);
		thread_join(canceler);
	}
}
