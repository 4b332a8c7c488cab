/* SPDX-License-Identifier: MIT */
#include "simple_lock.h"

#include "test.h"

#include <errno.h>
#include <stdatomic.h>

const char *const fault_names[NR_FAULTS] = {
	"none",        "last key",      "lost wake-up", "cancel grants",  "timeout grants",
	"split loses", "shrink keeps",  "extend blind", "upgrade blind",  "silent downgrade",
	"many first",  "hidden waiter", "waiter ahead", "uncounted wait", "child holds",
};

enum { WAITS, CANCELED };

static struct simple_lock *enter(struct range_lock *lock)
{
	struct simple_lock *l = (struct simple_lock *)(void *)lock;

	pthread_mutex_lock(&l->mutex);
	return l;
}

/* Returns with what the caller has to return. */
static int leave(struct simple_lock *l, bool wake, int result)
{
	if (wake)
		pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mutex);
	return result;
}

static void push(struct range_hold **list, struct range_hold *range)
{
	while (*list)
		list = &(*list)->next;
	range->next = NULL;
	*list = range;
}

static void take_out(struct range_hold **list, struct range_hold *range)
{
	while (*list && *list != range)
		list = &(*list)->next;
	if (*list)
		*list = range->next;
}

/* Whether [start, end) conflicts with a range of the list before the given one. */
static bool conflicts(const struct simple_lock *l, const struct range_hold *list,
		      const struct range_hold *range, uint64_t start, uint64_t end, int mode)
{
	for (const struct range_hold *r = list; r && (list == l->held || r != range); r = r->next) {
		uint64_t r_end = r->end;

		if (l->fault == FAULT_LAST_KEY && r->end - r->start > 1)
			r_end--;
		if (r != range && (r->mode == RANGE_WRITE || mode == RANGE_WRITE) &&
		    r->start < end && start < r_end)
			return true;
	}
	return false;
}

/* Whether a range has to wait at its place in the queue, or at the place of another one. */
static bool blocked_at(const struct simple_lock *l, const struct range_hold *range,
		       const struct range_hold *place)
{
	return conflicts(l, l->held, range, range->start, range->end, range->mode) ||
	       (l->fifo && l->waiting &&
		conflicts(l, l->waiting, place, range->start, range->end, range->mode));
}

static bool blocked(const struct simple_lock *l, const struct range_hold *range)
{
	return blocked_at(l, range, range);
}

static void set(struct range_hold *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	range->start = start;
	range->end = end;
	range->mode = (uint8_t)mode;
	atomic_store(&range->state, WAITS);
}

static bool bad(uint64_t start, uint64_t end, enum range_mode mode)
{
	return start >= end || (mode != RANGE_READ && mode != RANGE_WRITE);
}

/* 0 when the range, which is in the queue, is not blocked any more; it is in the queue no more. */
static int wait(struct simple_lock *l, struct range_hold *range, const struct timespec *deadline)
{
	int error = 0;

	while (!error && blocked(l, range)) {
		error = deadline ? pthread_cond_timedwait(&l->changed, &l->mutex, deadline)
				 : pthread_cond_wait(&l->changed, &l->mutex);
		if (atomic_load(&range->state) == CANCELED)
			error = ECANCELED;
	}
	take_out(&l->waiting, range);
	if ((error == ECANCELED && l->fault == FAULT_CANCEL_GRANTS) ||
	    (error == ETIMEDOUT && l->fault == FAULT_TIMEOUT_GRANTS))
		error = 0;
	return error;
}

static int acquire(struct range_lock *lock, struct range_hold *range, bool try,
		   const struct timespec *deadline)
{
	struct simple_lock *l = enter(lock);
	int error = 0;

	if (blocked(l, range)) {
		if (try)
			return leave(l, false, EBUSY);
		push(&l->waiting, range);
		l->waits += !deadline || l->fault != FAULT_UNCOUNTED_WAIT;
		error = wait(l, range, deadline);
	}
	if (!error)
		push(&l->held, range);
	return leave(l, error != 0, error);
}

static int simple_lock(struct range_lock *lock, struct range_hold *range, uint64_t start,
		       uint64_t end, enum range_mode mode)
{
	if (bad(start, end, mode))
		return EINVAL;
	set(range, start, end, mode);
	return acquire(lock, range, false, NULL);
}

static int simple_trylock(struct range_lock *lock, struct range_hold *range, uint64_t start,
			  uint64_t end, enum range_mode mode)
{
	if (bad(start, end, mode))
		return EINVAL;
	set(range, start, end, mode);
	return acquire(lock, range, true, NULL);
}

static int simple_timedlock(struct range_lock *lock, struct range_hold *range, uint64_t start,
			    uint64_t end, enum range_mode mode, clockid_t clock,
			    const struct timespec *deadline)
{
	if (bad(start, end, mode) || clock != CLOCK_MONOTONIC || deadline->tv_nsec > 999999999)
		return EINVAL;
	set(range, start, end, mode);
	return acquire(lock, range, false, deadline);
}

static bool bad_requests(struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct range_request request = requests[i];
		size_t k = i;

		for (; k > 0 && request.start < requests[k - 1].start; k--)
			requests[k] = requests[k - 1];
		requests[k] = request;
	}
	for (size_t i = 0; i < n; i++)
		if (bad(requests[i].start, requests[i].end, requests[i].mode) ||
		    (i > 0 && requests[i].start < requests[i - 1].end))
			return true;
	return n == 0;
}

/* The first that has to wait, NULL if none has. */
static struct range_hold *first_blocked(const struct simple_lock *l,
					const struct range_request *requests, size_t n,
					const struct range_hold *place)
{
	for (size_t i = 0; i < n; i++)
		if (blocked_at(l, requests[i].range, place))
			return requests[i].range;
		else if (l->fault == FAULT_MANY_FIRST)
			break;
	return NULL;
}

static void put_in_place(struct range_hold **list, struct range_hold *old, struct range_hold *new)
{
	while (*list != old)
		list = &(*list)->next;
	new->next = old->next;
	*list = new;
}

/* The one that waits is in the queue for all of them. */
static int wait_for_all(struct simple_lock *l, const struct range_request *requests, size_t n,
			struct range_hold *first)
{
	int error = 0;

	push(&l->waiting, first);
	l->waits++;
	while (!error) {
		struct range_hold *next = first_blocked(l, requests, n, first);

		if (!next)
			break;
		if (next != first) {
			put_in_place(&l->waiting, first, next);
			/* Others may have waited behind the first. */
			pthread_cond_broadcast(&l->changed);
		}
		first = next;
		error = pthread_cond_wait(&l->changed, &l->mutex);
		if (atomic_load(&first->state) == CANCELED)
			error = ECANCELED;
	}
	take_out(&l->waiting, first);
	return l->fault == FAULT_CANCEL_GRANTS ? 0 : error;
}

static int simple_lock_many(struct range_lock *lock, struct range_request *requests, size_t n)
{
	struct simple_lock *l;
	struct range_hold *first;
	int error = 0;

	if (bad_requests(requests, n))
		return EINVAL;
	for (size_t i = 0; i < n; i++)
		set(requests[i].range, requests[i].start, requests[i].end, requests[i].mode);
	l = enter(lock);
	first = first_blocked(l, requests, n, NULL);
	if (first)
		error = wait_for_all(l, requests, n, first);
	for (size_t i = 0; i < n && !error; i++)
		push(&l->held, requests[i].range);
	return leave(l, true, error);
}

static int simple_cancel(struct range_lock *lock, struct range_hold *range)
{
	struct simple_lock *l = enter(lock);

	for (struct range_hold *w = l->waiting; w; w = w->next)
		if (w == range) {
			take_out(&l->waiting, range);
			atomic_store(&range->state, CANCELED);
			return leave(l, true, 0);
		}
	return leave(l, false, ESRCH);
}

static void simple_unlock(struct range_lock *lock, struct range_hold *range)
{
	struct simple_lock *l = enter(lock);

	take_out(&l->held, range);
	leave(l, l->fault != FAULT_LOST_WAKEUP, 0);
}

static void simple_downgrade(struct range_lock *lock, struct range_hold *range)
{
	struct simple_lock *l = enter(lock);

	range->mode = RANGE_READ;
	leave(l, l->fault != FAULT_SILENT_DOWNGRADE, 0);
}

static int simple_tryupgrade(struct range_lock *lock, struct range_hold *range)
{
	struct simple_lock *l = enter(lock);

	if (range->mode == RANGE_WRITE)
		return leave(l, false, 0);
	if (l->fault != FAULT_UPGRADE_BLIND &&
	    conflicts(l, l->held, range, range->start, range->end, RANGE_WRITE))
		return leave(l, false, EBUSY);
	for (const struct range_hold *w = l->fifo ? l->waiting : NULL; w; w = w->next)
		if (w->mode == RANGE_READ && w->start < range->end && range->start < w->end)
			return leave(l, false, EBUSY);
	range->mode = RANGE_WRITE;
	return leave(l, false, 0);
}

static int simple_shrink(struct range_lock *lock, struct range_hold *range, uint64_t start,
			 uint64_t end)
{
	struct simple_lock *l = enter(lock);

	if (start >= end || start < range->start || range->end < end)
		return leave(l, false, EINVAL);
	if (l->fault == FAULT_SHRINK_KEEPS)
		return leave(l, true, 0);
	range->start = start;
	range->end = end;
	return leave(l, true, 0);
}

/* Whether a part that is to be added is taken. */
static bool taken(struct simple_lock *l, const struct range_hold *range, uint64_t start,
		  uint64_t end)
{
	if (start >= end || l->fault == FAULT_EXTEND_BLIND)
		return false;
	return conflicts(l, l->held, range, start, end, range->mode) ||
	       (l->fifo && l->waiting && conflicts(l, l->waiting, range, start, end, range->mode));
}

static int simple_tryextend(struct range_lock *lock, struct range_hold *range, uint64_t start,
			    uint64_t end)
{
	struct simple_lock *l = enter(lock);

	if (start > range->start || end < range->end)
		return leave(l, false, EINVAL);
	if (taken(l, range, start, range->start) || taken(l, range, range->end, end))
		return leave(l, false, EBUSY);
	range->start = start;
	range->end = end;
	return leave(l, false, 0);
}

static int simple_split(struct range_lock *lock, struct range_hold *range, uint64_t point,
			struct range_hold *upper)
{
	struct simple_lock *l = enter(lock);

	if (point <= range->start || range->end <= point)
		return leave(l, false, EINVAL);
	set(upper, point, range->end, (enum range_mode)range->mode);
	range->end = point;
	if (l->fault != FAULT_SPLIT_LOSES)
		push(&l->held, upper);
	return leave(l, l->fault == FAULT_SPLIT_LOSES, 0);
}

static void simple_stats(struct range_lock *lock, struct range_lock_stats *stats)
{
	struct simple_lock *l = enter(lock);

	*stats = (struct range_lock_stats){ .leaves = 1, .waits = l->waits };
	leave(l, false, 0);
}

/* All are one part. */
static int simple_foreach(struct range_lock *lock,
			  int (*fn)(const struct range_info *info, void *arg), void *arg)
{
	struct simple_lock *l = enter(lock);
	enum { MOST = 1024 };
	struct range_info *infos = calloc(MOST, sizeof *infos);
	unsigned int n = 0;
	int result = 0;

	CHECK(infos);
	for (int waiting = 0; waiting < 2; waiting++) {
		unsigned int first = n;

		for (struct range_hold *r = waiting ? l->waiting : l->held; r; r = r->next) {
			struct range_info info = { r,
						   r->start,
						   r->end,
						   (enum range_mode)r->mode,
						   !waiting  ? RANGE_STATE_HELD
						   : l->fifo ? RANGE_STATE_STARVING
							     : RANGE_STATE_WAITING,
						   0 };
			unsigned int k = n++;

			CHECK(n <= MOST);
			for (; !waiting && k > first && info.start < infos[k - 1].start; k--)
				infos[k] = infos[k - 1];
			infos[k] = info;
		}
	}
	if (l->fault == FAULT_HIDDEN_WAITER && l->waiting)
		n--;
	if (l->fault == FAULT_WAITER_AHEAD && l->waiting && l->waiting->next) {
		struct range_info last = infos[n - 1];

		infos[n - 1] = infos[n - 2];
		infos[n - 2] = last;
	}
	leave(l, false, 0);
	for (unsigned int i = 0; i < n && !result; i++)
		result = fn(&infos[i], arg);
	free(infos);
	return result;
}

void simple_lock_init(struct simple_lock *lock, enum fault fault, bool fifo)
{
	pthread_condattr_t monotonic;

	*lock = (struct simple_lock){ .fault = fault, .fifo = fifo };
	CHECK_EQ(pthread_mutex_init(&lock->mutex, NULL), 0);
	CHECK_EQ(pthread_condattr_init(&monotonic), 0);
	CHECK_EQ(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC), 0);
	CHECK_EQ(pthread_cond_init(&lock->changed, &monotonic), 0);
	CHECK_EQ(pthread_condattr_destroy(&monotonic), 0);
}

static void simple_child(struct range_lock *lock)
{
	struct simple_lock *l = (struct simple_lock *)(void *)lock;
	struct range_hold *held = l->held;

	simple_lock_init(l, l->fault, l->fifo);
	if (l->fault == FAULT_CHILD_HOLDS)
		l->held = held;
}

static int simple_destroy(struct range_lock *lock)
{
	struct simple_lock *l = enter(lock);
	bool busy = l->held || l->waiting;

	leave(l, false, 0);
	if (busy)
		return EBUSY;
	CHECK_EQ(pthread_cond_destroy(&l->changed), 0);
	CHECK_EQ(pthread_mutex_destroy(&l->mutex), 0);
	return 0;
}

const struct lock_functions simple_functions = {
	.destroy = simple_destroy,
	.lock = simple_lock,
	.trylock = simple_trylock,
	.timedlock = simple_timedlock,
	.lock_many = simple_lock_many,
	.cancel = simple_cancel,
	.unlock = simple_unlock,
	.downgrade = simple_downgrade,
	.tryupgrade = simple_tryupgrade,
	.shrink = simple_shrink,
	.tryextend = simple_tryextend,
	.split = simple_split,
	.stats = simple_stats,
	.foreach = simple_foreach,
	.child = simple_child,
};
