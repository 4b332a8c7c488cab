/* SPDX-License-Identifier: MIT */
#include "actors.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/lock.h"
#include "range_lock/short_lock.h"
#include "range_lock/slots.h"

#include <errno.h>
#include <string.h>

static atomic_uint_fast64_t turns;

static void *act(void *arg)
{
	struct actor *a = arg;

	if (a->deadline)
		a->result = range_timedlock(a->lock, &a->range, a->start, a->end, a->mode,
					    CLOCK_MONOTONIC, a->deadline);
	else
		a->result = range_lock(a->lock, &a->range, a->start, a->end, a->mode);
	if (a->result) {
		atomic_store(&a->state, ACTOR_FAILED);
		return NULL;
	}
	a->turn = atomic_fetch_add(&turns, 1);
	atomic_store(&a->state, ACTOR_HOLDS);
	sem_await(&a->release);
	range_unlock(a->lock, &a->range);
	return NULL;
}

static void launch(struct actor *actor, struct range_lock *lock, const struct timespec *deadline)
{
	actor->lock = lock;
	actor->deadline = deadline;
	atomic_init(&actor->state, ACTOR_WAITS);
	CHECK_EQ(sem_init(&actor->release, 0, 0), 0);
	actor->thread = thread_start(act, actor);
}

void actor_start(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		 enum range_mode mode)
{
	actor->start = start;
	actor->end = end;
	actor->mode = mode;
	launch(actor, lock, NULL);
}

void actor_start_timed(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		       enum range_mode mode, uint64_t ns)
{
	actor->start = start;
	actor->end = end;
	actor->mode = mode;
	actor->time = time_after(CLOCK_MONOTONIC, ns);
	launch(actor, lock, &actor->time);
}

/* Whether the lock counts more waits than before at some time before the actor is done. */
static bool queued(struct actor *actor, uint64_t waits)
{
	AWAIT(lock_stats(actor->lock).waits > waits || atomic_load(&actor->state) != ACTOR_WAITS);
	return lock_stats(actor->lock).waits > waits;
}

bool actor_queues(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		  enum range_mode mode)
{
	uint64_t waits = lock_stats(lock).waits;

	actor_start(actor, lock, start, end, mode);
	return queued(actor, waits);
}

void actor_queue(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		 enum range_mode mode)
{
	CHECK(actor_queues(actor, lock, start, end, mode));
	CHECK(!actor_holds(actor));
}

void actor_queue_timed(struct actor *actor, struct range_lock *lock, uint64_t start, uint64_t end,
		       enum range_mode mode, uint64_t ns)
{
	uint64_t waits = lock_stats(lock).waits;

	actor_start_timed(actor, lock, start, end, mode, ns);
	CHECK(queued(actor, waits));
	CHECK(!actor_holds(actor));
}

bool actor_holds(struct actor *actor)
{
	return atomic_load(&actor->state) == ACTOR_HOLDS;
}

void actor_await(struct actor *actor)
{
	AWAIT(atomic_load(&actor->state) != ACTOR_WAITS);
	CHECK_EQ(actor->result, 0);
}

void actor_let_go(struct actor *actor)
{
	sem_post(&actor->release);
}

int actor_finish(struct actor *actor)
{
	actor_let_go(actor);
	thread_join(actor->thread);
	sem_destroy(&actor->release);
	return actor->result;
}

void take(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
	  enum range_mode mode)
{
	CHECK_EQ(range_trylock(lock, range, start, end, mode), 0);
}

int acquire_somehow(int how, struct range_lock *lock, struct range_hold *range, uint64_t start,
		    uint64_t end, enum range_mode mode)
{
	static const struct timespec past = { 1, 0 };

	if (how == 0)
		return range_lock(lock, range, start, end, mode);
	if (how == 1)
		return range_trylock(lock, range, start, end, mode);
	return range_timedlock(lock, range, start, end, mode, CLOCK_MONOTONIC, &past);
}

struct range_lock_stats lock_stats(struct range_lock *lock)
{
	struct range_lock_stats stats;

	range_lock_stats(lock, &stats);
	return stats;
}

bool is_free(struct range_lock *lock, uint64_t start, uint64_t end, enum range_mode mode)
{
	struct range_hold range;
	int result = range_trylock(lock, &range, start, end, mode);

	if (!result)
		range_unlock(lock, &range);
	else
		CHECK_EQ(result, EBUSY);
	return !result;
}

void check_valid(struct range_lock *lock)
{
	CHECK(range__forest_valid(range__lock(lock)));
}

void check_quiet_and_destroy(struct range_lock *lock)
{
	struct range_lock_stats stats;

	check_valid(lock);
	CHECK(is_free(lock, FULL, RANGE_WRITE));
	stats = lock_stats(lock);
	CHECK(stats.leaves >= 1);
	CHECK_EQ(stats.leaves, 1 + stats.splits - stats.merges);
	CHECK_EQ(range_lock_destroy(lock), 0);
}

void init_lock(struct range_lock *lock, enum range_fairness fairness, uint32_t max_leaves)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.max_leaves = max_leaves;
	CHECK_EQ(range_lock_init(lock, &attr), 0);
}

void set_starvation(struct range_lock *lock, uint64_t ns)
{
	range__lock(lock)->starvation_more_ns = ns - RANGE__DEFAULT_STARVATION;
}

struct turn_taker {
	struct range_lock *lock;
	uint64_t start;
	unsigned int rounds;
	atomic_bool *done;
	sem_t mine;
	sem_t *other;
};

static void *take_turns(void *arg)
{
	struct turn_taker *taker = arg;
	uint64_t splits = lock_stats(taker->lock).splits;
	struct range_hold range;

	for (unsigned int i = 0; i < taker->rounds && !atomic_load(taker->done); i++) {
		sem_await(&taker->mine);
		CHECK_EQ(range_lock(taker->lock, &range, taker->start, taker->start + 1,
				    RANGE_WRITE),
			 0);
		range_unlock(taker->lock, &range);
		if (lock_stats(taker->lock).splits > splits)
			atomic_store(taker->done, true);
		sem_post(taker->other);
	}
	return NULL;
}

bool split_by_turns(struct range_lock *lock, uint64_t a, uint64_t b, unsigned int rounds)
{
	struct turn_taker takers[2];
	pthread_t threads[2];
	atomic_bool done;

	atomic_init(&done, false);
	for (int i = 0; i < 2; i++) {
		takers[i].lock = lock;
		takers[i].start = i ? b : a;
		takers[i].rounds = rounds;
		takers[i].done = &done;
		takers[i].other = &takers[!i].mine;
		CHECK_EQ(sem_init(&takers[i].mine, 0, !i), 0);
	}
	for (int i = 0; i < 2; i++)
		threads[i] = thread_start(take_turns, &takers[i]);
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	for (int i = 0; i < 2; i++)
		sem_destroy(&takers[i].mine);
	return atomic_load(&done);
}

/* As if readers had already covered the cost of a bias. */
static void pay_rent(struct range__leaf *leaf)
{
	/* relaxed: the lock's counter is an estimate */
	atomic_store_explicit(&leaf->unbiased_cost, UINT32_MAX / 2, memory_order_relaxed);
}

void play_thread(unsigned int thread)
{
	mmrange__thread = 1000 + thread;
}

void visit(struct range_lock *lock, unsigned int thread, uint64_t key)
{
	struct range_hold range;

	play_thread(thread);
	CHECK_EQ(range_lock(lock, &range, key, key + 1, RANGE_WRITE), 0);
	range_unlock(lock, &range);
}

void alternate(struct range_lock *lock, uint64_t a, uint64_t b, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		visit(lock, i % 2, i % 2 ? b : a);
}

void make_leaves(struct range_lock *lock, unsigned int n)
{
	for (uint64_t key = 10; lock_stats(lock).leaves < n; key += 10) {
		CHECK(key < 100 * n);
		alternate(lock, key - 1, key, 8);
	}
}

struct range__forest *forest_of(struct range_lock *lock)
{
	return atomic_load(&range__lock(lock)->forest);
}

void make_impatient(void *arg)
{
	struct range__lock *lock = range__lock(arg);
	struct range__forest *forest;

	range__short_lock(&lock->mutex);
	/* relaxed: forest changes only under the mutex; of the other fields any age will do */
	forest = atomic_load_explicit(&lock->forest, memory_order_relaxed);
	pay_rent(&lock->root);
	for (uint32_t i = 0; forest && i < atomic_load(&forest->count); i++) {
		struct range__leaf *leaf = atomic_load(&forest->entries[i].leaf);

		atomic_store_explicit(&leaf->split_doublings, 0, memory_order_relaxed);
		pay_rent(leaf);
		/* As if no thread had used every second leaf since the last sweep. */
		if (i % 2)
			atomic_store_explicit(&leaf->last_owner, 0, memory_order_relaxed);
	}
	if (forest) {
		atomic_store_explicit(&forest->sweep_due, 0, memory_order_relaxed);
		forest->spent = 0;
		forest->calm_until = 0;
	}
	range__short_unlock(&lock->mutex);
}

struct range__leaf *leaf_at(struct range_lock *lock, uint64_t key)
{
	return range__index_find(range__lock(lock), key);
}

bool is_biased(struct range_lock *lock, uint64_t key)
{
	/* relaxed: a look */
	return range__word_biased(
		atomic_load_explicit(&leaf_at(lock, key)->word, memory_order_relaxed));
}

void make_biased(struct range_lock *lock, uint64_t key)
{
	struct range_hold range;

	/* The first reader that comes from another thread may split the leaf. */
	for (int i = 0; i < 2 && !is_biased(lock, key); i++) {
		pay_rent(leaf_at(lock, key));
		take(lock, &range, key, key + 1, RANGE_READ);
		range_unlock(lock, &range);
	}
	CHECK(is_biased(lock, key));
}

bool is_published(struct range_hold *range)
{
	return range__hold(range)->how & RANGE__SLOT;
}

void take_published(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end)
{
	take(lock, range, start, end, RANGE_READ);
	CHECK(is_published(range));
}

void *memory_alloc(size_t size, size_t align, void *arg)
{
	struct memory_books *books = arg;
	unsigned int grants = atomic_load(&books->grants);
	void *memory;

	CHECK(size > 0);
	CHECK(align > 0 && align <= 4096 && (align & (align - 1)) == 0);
	while (grants != UINT32_MAX &&
	       (!grants || !atomic_compare_exchange_weak(&books->grants, &grants, grants - 1))) {
		if (!grants) {
			atomic_fetch_add(&books->refused, 1);
			return NULL;
		}
	}
	CHECK_EQ(posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size), 0);
	/* The lock must not rely on zeroes. */
	memset(memory, 0xa5, size);
	atomic_fetch_add(&books->allocations, 1);
	atomic_fetch_add(&books->live, size);
	return memory;
}

void memory_free(void *memory, size_t size, void *arg)
{
	struct memory_books *books = arg;

	CHECK(memory);
	atomic_fetch_add(&books->frees, 1);
	CHECK(atomic_fetch_sub(&books->live, size) >= size);
	free(memory);
}

void use_memory_books(struct range_lock_attr *attr, struct memory_books *books, unsigned int grants)
{
	memset(books, 0, sizeof *books);
	atomic_store(&books->grants, grants);
	attr->alloc = memory_alloc;
	attr->free = memory_free;
	attr->arg = books;
}

void check_memory_balanced(struct memory_books *books)
{
	CHECK_EQ(atomic_load(&books->allocations), atomic_load(&books->frees));
	CHECK_EQ(atomic_load(&books->live), 0);
}
