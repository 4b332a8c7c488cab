/* SPDX-License-Identifier: MIT */
/*
 * Grace periods, and the garbage that waits for them. One lock guards all state but the limbos'
 * fresh batches. A thread takes it when it begins or ends, and once for each batch. No thread waits
 * for readers while it holds the lock: a thread that has to wait backs off and checks again.
 *
 * Locks: rcu.lock is inner to all other locks of lock.h, and the lock of a limbo is inner to
 * rcu.lock.
 *
 *	RCU-B1  After a thread has checked for garbage to free, it has less than two batches
 *	        pending, not counting a batch that waits for readers; with few threads, less than
 *	        one.
 *	RCU-B2  A thread that gives garbage away continues only with less than LIMIT pending, or in
 *	        a read section or a free function of garbage, where it may not wait.
 *	RCU-B3  Garbage of ended threads is pending in a limbo of its own, with the same bounds.
 *	RCU-B4  A batch is BATCH, or FOR_EACH for each thread if that is more, but at most
 *	        MAX_BATCH. For each batch, a thread looks at all threads, and each of them is on a
 *	        cache line of its own. So up to 128 threads, one line moves for 32 objects. With
 *	        more threads, one line moves for fewer objects.
 */
#include "rcu.h"

#include "backoff.h"
#include "memory.h"

#include <pthread.h>

/*
 * BATCH is 256 ordinary objects, or 64 pages. LIMIT is 16,384 ordinary objects, or 4,096 pages,
 * which are 16 MiB.
 */
#define BATCH     (256 * MM__RCU_OBJECT)
#define MAX_BATCH (4096 * MM__RCU_OBJECT)
#define LIMIT     (16384 * MM__RCU_OBJECT)
/* The share of each thread in a batch. */
#define FOR_EACH (32 * MM__RCU_OBJECT)

MMRANGE__THREAD_LOCAL struct mm__rcu_thread *mm__rcu_self;
struct mm__rcu_epoch mm__rcu_epoch = { 1 };

static struct {
	pthread_mutex_t lock;
	struct mm__rcu_thread *threads;
	uint64_t nr_threads;
	struct mm__rcu_thread *late; /* a thread that the current period waits for, or NULL */
	uint64_t completed; /* the grace period of this epoch is over; the epoch, or one less */
	uint64_t tickets;
	struct mm__rcu_limbo orphans;
	struct mm__garbage *left_behind; /* in the child of fork(2): the parent's garbage */
} rcu = { .lock = PTHREAD_MUTEX_INITIALIZER, .completed = 1 };

static void lock_rcu(void)
{
	mm__mutex_lock(&rcu.lock, MM__ORDER_RCU);
}

static void unlock_rcu(void)
{
	mm__mutex_unlock(&rcu.lock, MM__ORDER_RCU);
}

/*
 * Grace periods. The lock is held.
 */

static uint64_t epoch_now(void)
{
	/* relaxed: it changes only under the lock */
	return atomic_load_explicit(&mm__rcu_epoch.now, memory_order_relaxed);
}

/* Whether the current grace period need not wait for the thread. */
static bool has_passed(struct mm__rcu_thread *thread, uint64_t epoch)
{
	uint64_t seen;

	if (thread->passed == epoch)
		return true;
	/* acquire [RCU-G3]: pairs with [RCU-R3] and a later [RCU-R1] */
	seen = atomic_load_explicit(&thread->seen, memory_order_acquire);
	if (seen && seen < epoch)
		return false;
	thread->passed = epoch;
	return true;
}

/* While the same thread stays in its section, looks at that thread only. */
static bool have_all_passed(uint64_t epoch)
{
	if (rcu.late && !has_passed(rcu.late, epoch))
		return false;
	rcu.late = NULL;
	/*
	 * Looks at all threads, so that a later call need not look again at those that have passed.
	 */
	for (struct mm__rcu_thread *thread = rcu.threads; thread; thread = thread->next)
		if (!has_passed(thread, epoch))
			rcu.late = thread;
	return !rcu.late;
}

static void begin_period(void)
{
	mmrange__heavy_fence(); /* [RCU-G1] */
	/* relaxed [RCU-G2]: the fences order it */
	atomic_store_explicit(&mm__rcu_epoch.now, epoch_now() + 1, memory_order_relaxed);
}

static void end_period_if_over(void)
{
	if (rcu.completed < epoch_now() && have_all_passed(epoch_now()))
		rcu.completed = epoch_now();
}

/*
 * Ends the current period if it is over. Begins the next one if the period of target is not over.
 */
static void advance_period(uint64_t target)
{
	end_period_if_over();
	if (rcu.completed == epoch_now() && rcu.completed < target) {
		begin_period();
		end_period_if_over();
	}
}

/* The epoch of the next period. Its fence will come after everything unlinked so far. */
static uint64_t next_period(void)
{
	return epoch_now() + 1;
}

/*
 * Batches
 */

static void append_batch(struct mm__rcu_batch *batch, struct mm__garbage *first,
			 struct mm__garbage *last, uint64_t weight)
{
	if (!first)
		return;
	if (batch->first)
		batch->last->next = first;
	else
		batch->first = first;
	batch->last = last;
	batch->weight += weight;
}

static struct mm__rcu_batch take_batch(struct mm__rcu_batch *batch)
{
	struct mm__rcu_batch taken = *batch;

	*batch = (struct mm__rcu_batch){ .first = NULL };
	return taken;
}

/* With the lock: the weight that a thread gives away before it checks for garbage to free. */
static uint64_t batch_size(void)
{
	uint64_t size = FOR_EACH * rcu.nr_threads;

	if (size < BATCH)
		return BATCH;
	return size < MAX_BATCH ? size : MAX_BATCH;
}

/* Returns whether the thread has to check for garbage to free. */
static bool put_in_limbo(struct mm__rcu_limbo *limbo, struct mm__garbage *first,
			 struct mm__garbage *last, uint64_t weight)
{
	bool due;

	mm__table_lock_take(&limbo->lock);
	append_batch(&limbo->fresh, first, last, weight);
	limbo->weight += weight;
	due = limbo->weight >= limbo->due;
	mm__table_lock_drop(&limbo->lock);
	return due;
}

/* With the lock: moves the fresh batch to waiting, which must be empty. */
static void let_fresh_wait(struct mm__rcu_limbo *limbo)
{
	mm__table_lock_take(&limbo->lock);
	limbo->waiting = take_batch(&limbo->fresh);
	mm__table_lock_drop(&limbo->lock);
	if (limbo->waiting.first)
		limbo->waiting.target = next_period();
}

/* With the lock: moves all garbage of the limbo to the batch. */
static void empty_limbo(struct mm__rcu_limbo *limbo, struct mm__rcu_batch *batch)
{
	struct mm__rcu_batch waiting = take_batch(&limbo->waiting);
	struct mm__rcu_batch fresh;

	mm__table_lock_take(&limbo->lock);
	fresh = take_batch(&limbo->fresh);
	limbo->weight = 0;
	limbo->due = batch_size();
	mm__table_lock_drop(&limbo->lock);
	append_batch(batch, waiting.first, waiting.last, waiting.weight);
	append_batch(batch, fresh.first, fresh.last, fresh.weight);
}

/* With the lock: takes the waiting batch if its period is over. */
static struct mm__rcu_batch take_ready(struct mm__rcu_limbo *limbo)
{
	if (limbo->waiting.first && limbo->waiting.target <= rcu.completed)
		return take_batch(&limbo->waiting);
	return (struct mm__rcu_batch){ .first = NULL };
}

/*
 * With the lock: the same, for more threads than fill one BATCH. Begins no period for a batch that
 * has just begun to wait. The first thread that checks again begins one period for all batches that
 * wait by then.
 */
static struct mm__rcu_batch take_of_many(struct mm__rcu_limbo *limbo)
{
	struct mm__rcu_batch taken = { .first = NULL };

	if (limbo->waiting.first) {
		advance_period(limbo->waiting.target);
		taken = take_ready(limbo);
	}
	if (!limbo->waiting.first)
		let_fresh_wait(limbo);
	return taken;
}

/* With the lock: the same, for few threads. Begins a period at once, if none is in progress. */
static struct mm__rcu_batch take_of_few(struct mm__rcu_limbo *limbo)
{
	if (!limbo->waiting.first)
		let_fresh_wait(limbo);
	advance_period(limbo->waiting.first ? limbo->waiting.target : 0);
	return take_ready(limbo);
}

/* With the lock: takes the batch whose period is over. *heavy: too much is still pending. */
static struct mm__garbage *take_free(struct mm__rcu_limbo *limbo, bool *heavy, bool patient)
{
	bool shares = patient && batch_size() > BATCH;
	struct mm__rcu_batch taken = shares ? take_of_many(limbo) : take_of_few(limbo);

	mm__table_lock_take(&limbo->lock);
	limbo->weight -= taken.weight;
	limbo->due = limbo->weight + batch_size();
	*heavy = limbo->weight >= LIMIT;
	mm__table_lock_drop(&limbo->lock);
	return taken.first;
}

static void free_list(struct mm__garbage *list)
{
	while (list) {
		struct mm__garbage *next = list->next;

		if (list->free)
			list->free(list);
		else
			mm__free(list);
		list = next;
	}
}

/*
 * Freeing. A thread publishes a ticket while it frees, because mm__rcu_barrier() waits for the
 * threads that began to free before it.
 */

/* With the lock. */
static uint64_t begin_freeing(struct mm__rcu_thread *self)
{
	uint64_t ticket = ++rcu.tickets;

	/* relaxed: other threads read it under the lock */
	atomic_store_explicit(&self->freeing, ticket, memory_order_relaxed);
	return ticket;
}

static bool is_freeing(const struct mm__rcu_thread *self)
{
	/* relaxed: only this thread writes it */
	return atomic_load_explicit(&self->freeing, memory_order_relaxed);
}

static void end_freeing(struct mm__rcu_thread *self)
{
	/* release: pairs with the acquire in freed_before() */
	atomic_store_explicit(&self->freeing, 0, memory_order_release);
}

/*
 * Frees the garbage of the limbo whose period is over. wait: repeats this while too much is
 * pending. patient: need not begin a period for a batch before the thread checks again.
 */
static void collect_limbo(struct mm__rcu_thread *self, struct mm__rcu_limbo *limbo, bool wait,
			  bool patient)
{
	struct mm__backoff backoff = { 0 };
	bool heavy = true;

	while (heavy) {
		struct mm__garbage *ready;

		lock_rcu();
		ready = take_free(limbo, &heavy, patient);
		self->batch = batch_size();
		begin_freeing(self);
		unlock_rcu();
		free_list(ready);
		end_freeing(self);
		if (!wait)
			return;
		if (heavy && !ready)
			mm__backoff(&backoff);
	}
}

/* The thread must neither wait for its own section nor recurse from a free function. */
static bool may_collect(const struct mm__rcu_thread *self)
{
	return !self->nesting && !is_freeing(self);
}

static void collect_own(struct mm__rcu_thread *self)
{
	if (!may_collect(self))
		return;
	self->due = false;
	collect_limbo(self, &self->limbo, true, true);
}

/*
 * Threads
 */

void mm__rcu_begin_thread(struct mm__rcu_thread *thread)
{
	*thread = (struct mm__rcu_thread){ .nesting = 0 };
	atomic_init(&thread->seen, 0);
	atomic_init(&thread->freeing, 0);
	mm__table_lock_init(&thread->limbo.lock);
	lock_rcu();
	thread->passed = epoch_now();
	thread->next = rcu.threads;
	thread->link = &rcu.threads;
	if (thread->next)
		thread->next->link = &thread->next;
	rcu.threads = thread;
	rcu.nr_threads++;
	thread->limbo.due = thread->batch = batch_size();
	unlock_rcu();
	mm__rcu_self = thread;
}

/* With the lock. */
static void orphan_garbage(struct mm__rcu_limbo *limbo)
{
	struct mm__rcu_batch batch = { .first = NULL };

	empty_limbo(limbo, &batch);
	put_in_limbo(&rcu.orphans, batch.first, batch.last, batch.weight);
}

static void free_kept(struct mm__rcu_thread *thread)
{
	while (thread->kept) {
		struct mm__garbage *memory = thread->kept;

		thread->kept = memory->next;
		mm__free(memory);
	}
}

void mm__rcu_end_thread(struct mm__rcu_thread *thread)
{
	lock_rcu();
	orphan_garbage(&thread->limbo);
	unlock_rcu();
	collect_limbo(thread, &rcu.orphans, true, false);
	lock_rcu();
	/* The free functions may have given garbage away. */
	orphan_garbage(&thread->limbo);
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
	rcu.nr_threads--;
	if (rcu.late == thread)
		rcu.late = NULL;
	unlock_rcu();
	mm__rcu_self = NULL;
	free_kept(thread);
}

/*
 * Giving away. An unregistered thread registers for the time of the call.
 */

static struct mm__rcu_thread *begin_use(struct mm__rcu_thread *stand_in)
{
	if (!mm__rcu_self)
		mm__rcu_begin_thread(stand_in);
	return mm__rcu_self;
}

static void end_use(struct mm__rcu_thread *stand_in)
{
	if (mm__rcu_self == stand_in)
		mm__rcu_end_thread(stand_in);
}

/* weight 0: all objects are of ordinary size. */
static void give_away(struct mm__rcu_thread *self, struct mm__garbage *list, uint64_t weight)
{
	struct mm__garbage *last = list;
	uint64_t length = 1;

	for (; last->next; last = last->next)
		length++;
	self->due =
		put_in_limbo(&self->limbo, list, last, weight ? weight : length * MM__RCU_OBJECT);
}

void mm__rcu_defer(struct mm__garbage *list, uint64_t weight)
{
	struct mm__rcu_thread stand_in;

	if (!list)
		return;
	give_away(begin_use(&stand_in), list, weight);
	end_use(&stand_in);
}

void mm__rcu_free(struct mm__garbage *list)
{
	struct mm__rcu_thread stand_in;
	struct mm__rcu_thread *self;

	if (!list)
		return;
	self = begin_use(&stand_in);
	give_away(self, list, 0);
	if (self->due)
		collect_own(self);
	end_use(&stand_in);
}

void mm__rcu_throttle(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	if (self && self->due)
		collect_own(self);
}

void mm__rcu_poll(void)
{
	struct mm__rcu_thread *self = mm__rcu_self;

	if (!self || !may_collect(self))
		return;
	collect_limbo(self, &self->limbo, false, false);
	collect_limbo(self, &rcu.orphans, false, false);
}

/*
 * The barrier
 */

/*
 * Takes all garbage. It may be freed when the period of *target is over. Returns the ticket of the
 * calling thread.
 */
static uint64_t take_all(struct mm__rcu_thread *self, struct mm__rcu_batch *batch, uint64_t *target)
{
	uint64_t ticket;

	lock_rcu();
	for (struct mm__rcu_thread *thread = rcu.threads; thread; thread = thread->next)
		empty_limbo(&thread->limbo, batch);
	empty_limbo(&rcu.orphans, batch);
	*target = batch->first ? next_period() : 0;
	ticket = begin_freeing(self);
	unlock_rcu();
	return ticket;
}

static bool is_over(uint64_t target)
{
	bool over;

	lock_rcu();
	advance_period(target);
	over = rcu.completed >= target;
	unlock_rcu();
	return over;
}

/* Whether all threads that began to free before this ticket have finished. */
static bool freed_before(uint64_t ticket)
{
	bool freed = true;

	lock_rcu();
	for (struct mm__rcu_thread *thread = rcu.threads; thread; thread = thread->next) {
		/* acquire: pairs with the release in end_freeing() */
		uint64_t freeing = atomic_load_explicit(&thread->freeing, memory_order_acquire);

		freed = freed && (!freeing || freeing >= ticket);
	}
	unlock_rcu();
	return freed;
}

static void wait_until(bool (*is_true)(uint64_t number), uint64_t number)
{
	struct mm__backoff backoff = { 0 };

	while (!is_true(number))
		mm__backoff(&backoff);
}

void mm__rcu_wait(void)
{
	uint64_t target;

	mm__check(!mm__rcu_self || !mm__rcu_self->nesting, "a reader waits for itself");
	lock_rcu();
	target = next_period();
	unlock_rcu();
	wait_until(is_over, target);
}

void mm__rcu_barrier(void)
{
	struct mm__rcu_batch batch = { .first = NULL };
	struct mm__rcu_thread stand_in;
	struct mm__rcu_thread *self;
	uint64_t target;
	uint64_t ticket;

	self = begin_use(&stand_in);
	mm__check(may_collect(self), "a reader waits for itself");
	ticket = take_all(self, &batch, &target);
	wait_until(is_over, target);
	free_list(batch.first);
	end_freeing(self);
	wait_until(freed_before, ticket);
	end_use(&stand_in);
}

/*
 * fork(2)
 */

void mm__rcu_before_fork(void)
{
	pthread_mutex_lock(&rcu.lock);
}

/*
 * Keeps the garbage of the parent's spaces and never frees it, because threads that are gone may
 * hold the locks of these spaces.
 */
static void leave_behind(void)
{
	struct mm__rcu_batch batch = { .first = NULL };

	if (mm__rcu_self)
		empty_limbo(&mm__rcu_self->limbo, &batch);
	empty_limbo(&rcu.orphans, &batch);
	if (!batch.first)
		return;
	batch.last->next = rcu.left_behind;
	rcu.left_behind = batch.first;
}

static void forget_other_threads(void)
{
	rcu.threads = mm__rcu_self;
	rcu.nr_threads = mm__rcu_self ? 1 : 0;
	rcu.late = NULL;
	if (!mm__rcu_self)
		return;
	mm__rcu_self->next = NULL;
	mm__rcu_self->link = &rcu.threads;
}

void mm__rcu_after_fork(bool child)
{
	if (child) {
		forget_other_threads();
		leave_behind();
	}
	pthread_mutex_unlock(&rcu.lock);
}
