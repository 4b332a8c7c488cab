/* SPDX-License-Identifier: MIT */
#include "simple_lock.h"

#include "test.h"

#include <errno.h>
#include <stdatomic.h>

const char *const fault_names[NR_FAULTS] = {
	"none",
	"last key",
	"lost wake-up",
	"cancel grants",
	"timeout grants",
	"split loses",
	"shrink keeps",
	"extend blind",
	"upgrade blind",
	"silent downgrade",
	"many first",
	"many shows first",
	"many cancels first",
	"many keeps first",
	"many counts each",
	"hidden waiter",
	"waiter ahead",
	"uncounted wait",
	"child holds",
};

enum { WAITS, CANCELED };

static struct simple_lock *enter(struct range_lock *lock)
{
	struct simple_lock *l = (struct simple_lock *)(void *)lock;

	pthread_mutex_lock(&l->mutex);
	return l;
}

/* Unlocks the mutex and returns the caller's result. */
static int leave(struct simple_lock *l, bool wake, int result)
{
	if (wake)
		pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mutex);
	return result;
}

static void push(struct own_range **list, struct own_range *range)
{
	while (*list)
		list = &(*list)->next;
	range->next = NULL;
	*list = range;
}

static void take_out(struct own_range **list, struct own_range *range)
{
	while (*list && *list != range)
		list = &(*list)->next;
	if (*list)
		*list = range->next;
}

/* Whether [start, end) conflicts with a range of the list before the given one. */
static bool conflicts(const struct simple_lock *l, const struct own_range *list,
		      const struct own_range *range, uint64_t start, uint64_t end,
		      enum range_mode mode)
{
	for (const struct own_range *r = list; r && (list == l->held || r != range); r = r->next) {
		uint64_t r_end = r->end;

		if (l->fault == FAULT_LAST_KEY && r->end - r->start > 1)
			r_end--;
		if (r != range && (r->mode == RANGE_WRITE || mode == RANGE_WRITE) &&
		    r->start < end && start < r_end)
			return true;
	}
	return false;
}

/* Whether a range has to wait for a waiter that is in the queue before place. */
static bool blocked_at(const struct simple_lock *l, const struct own_range *range,
		       const struct own_range *place)
{
	return conflicts(l, l->held, range, range->start, range->end, range->mode) ||
	       (l->fifo && l->waiting &&
		conflicts(l, l->waiting, place, range->start, range->end, range->mode));
}

/* Whether a range of the set has to wait. */
static bool blocked(const struct simple_lock *l, const struct range_request *requests, size_t n,
		    const struct own_range *place)
{
	for (size_t i = 0; i < n; i++)
		if (blocked_at(l, own(requests[i].range), place))
			return true;
		else if (l->fault == FAULT_MANY_FIRST)
			break;
	return false;
}

static void set(struct own_range *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	range->start = start;
	range->end = end;
	range->mode = mode;
	atomic_store(&range->state, WAITS);
}

static void push_all(struct own_range **list, const struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		own(requests[i].range)->first = own(requests[0].range);
		push(list, own(requests[i].range));
	}
}

/* 0 when nothing blocks the set any more. The set has left the queue then. */
static int wait(struct simple_lock *l, const struct range_request *requests, size_t n,
		const struct timespec *deadline)
{
	struct own_range *first = own(requests[0].range);
	int error = 0;

	while (!error && blocked(l, requests, n, first)) {
		error = deadline ? pthread_cond_timedwait(&l->changed, &l->mutex, deadline)
				 : pthread_cond_wait(&l->changed, &l->mutex);
		if (atomic_load(&first->state) == CANCELED)
			error = ECANCELED;
	}
	for (size_t i = 0; i < n; i++)
		take_out(&l->waiting, own(requests[i].range));
	if ((error == ECANCELED && l->fault == FAULT_CANCEL_GRANTS) ||
	    (error == ETIMEDOUT && l->fault == FAULT_TIMEOUT_GRANTS))
		error = 0;
	return error;
}

static bool bad(uint64_t start, uint64_t end, enum range_mode mode)
{
	return start >= end || (mode != RANGE_READ && mode != RANGE_WRITE);
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

static void keep_first(struct simple_lock *l, const struct range_request *requests, size_t n)
{
	if (l->fault != FAULT_MANY_KEEPS_FIRST || n == 1 || l->kept.end > 0 ||
	    blocked(l, requests, 1, NULL))
		return;
	set(&l->kept, requests[0].start, requests[0].end, requests[0].mode);
	push(&l->held, &l->kept);
}

static int acquire(struct range_lock *lock, struct range_request *requests, size_t n, bool try,
		   const struct timespec *deadline)
{
	struct simple_lock *l;
	int error = 0;

	if (bad_requests(requests, n))
		return EINVAL;
	for (size_t i = 0; i < n; i++)
		set(own(requests[i].range), requests[i].start, requests[i].end, requests[i].mode);
	l = enter(lock);
	if (blocked(l, requests, n, NULL)) {
		if (try) {
			keep_first(l, requests, n);
			return leave(l, false, EBUSY);
		}
		push_all(&l->waiting, requests, n);
		if (!deadline || l->fault != FAULT_UNCOUNTED_WAIT)
			l->waits += l->fault == FAULT_MANY_COUNTS_EACH ? n : 1;
		error = wait(l, requests, n, deadline);
	}
	if (!error)
		push_all(&l->held, requests, n);
	return leave(l, error != 0, error);
}

static int simple_lock_many(struct range_lock *lock, struct range_request *requests, size_t n)
{
	return acquire(lock, requests, n, false, NULL);
}

static int simple_trylock_many(struct range_lock *lock, struct range_request *requests, size_t n)
{
	return acquire(lock, requests, n, true, NULL);
}

static int simple_timedlock_many(struct range_lock *lock, struct range_request *requests, size_t n,
				 clockid_t clock, const struct timespec *deadline)
{
	if (clock != CLOCK_MONOTONIC || deadline->tv_nsec > 999999999)
		return EINVAL;
	return acquire(lock, requests, n, false, deadline);
}

static int simple_lock(struct range_lock *lock, struct range_hold *range, uint64_t start,
		       uint64_t end, enum range_mode mode)
{
	return simple_lock_many(lock, &(struct range_request){ range, start, end, mode }, 1);
}

static int simple_trylock(struct range_lock *lock, struct range_hold *range, uint64_t start,
			  uint64_t end, enum range_mode mode)
{
	return simple_trylock_many(lock, &(struct range_request){ range, start, end, mode }, 1);
}

static int simple_timedlock(struct range_lock *lock, struct range_hold *range, uint64_t start,
			    uint64_t end, enum range_mode mode, clockid_t clock,
			    const struct timespec *deadline)
{
	return simple_timedlock_many(lock, &(struct range_request){ range, start, end, mode }, 1,
				     clock, deadline);
}

/* Cancels all ranges of a set, one of which is in the queue. */
static void cancel_all(struct simple_lock *l, struct own_range *first)
{
	struct own_range *w, *next;

	atomic_store(&first->state, CANCELED);
	for (w = l->waiting; w; w = next) {
		next = w->next;
		if (w->first == first)
			take_out(&l->waiting, w);
	}
}

static int simple_cancel(struct range_lock *lock, struct range_hold *range_)
{
	struct own_range *range = own(range_);
	struct simple_lock *l = enter(lock);
	struct own_range *w = l->waiting;

	while (w && w != range)
		w = w->next;
	if (!w || (l->fault == FAULT_MANY_CANCELS_FIRST && w != w->first))
		return leave(l, false, ESRCH);
	cancel_all(l, w->first);
	return leave(l, true, 0);
}

static void simple_unlock(struct range_lock *lock, struct range_hold *range_)
{
	struct own_range *range = own(range_);
	struct simple_lock *l = enter(lock);

	take_out(&l->held, range);
	leave(l, l->fault != FAULT_LOST_WAKEUP, 0);
}

static void simple_downgrade(struct range_lock *lock, struct range_hold *range_)
{
	struct own_range *range = own(range_);
	struct simple_lock *l = enter(lock);

	range->mode = RANGE_READ;
	leave(l, l->fault != FAULT_SILENT_DOWNGRADE, 0);
}

static int simple_tryupgrade(struct range_lock *lock, struct range_hold *range_)
{
	struct own_range *range = own(range_);
	struct simple_lock *l = enter(lock);

	if (range->mode == RANGE_WRITE)
		return leave(l, false, 0);
	if (l->fault != FAULT_UPGRADE_BLIND &&
	    conflicts(l, l->held, range, range->start, range->end, RANGE_WRITE))
		return leave(l, false, EBUSY);
	for (const struct own_range *w = l->fifo ? l->waiting : NULL; w; w = w->next)
		if (w->mode == RANGE_READ && w->start < range->end && range->start < w->end)
			return leave(l, false, EBUSY);
	range->mode = RANGE_WRITE;
	return leave(l, false, 0);
}

static int simple_shrink(struct range_lock *lock, struct range_hold *range_, uint64_t start,
			 uint64_t end)
{
	struct own_range *range = own(range_);
	struct simple_lock *l = enter(lock);

	if (start >= end || start < range->start || range->end < end)
		return leave(l, false, EINVAL);
	if (l->fault == FAULT_SHRINK_KEEPS)
		return leave(l, true, 0);
	range->start = start;
	range->end = end;
	return leave(l, true, 0);
}

/* Whether the part to be added is taken. */
static bool taken(struct simple_lock *l, const struct own_range *range, uint64_t start,
		  uint64_t end)
{
	if (start >= end || l->fault == FAULT_EXTEND_BLIND)
		return false;
	return conflicts(l, l->held, range, start, end, range->mode) ||
	       (l->fifo && l->waiting && conflicts(l, l->waiting, range, start, end, range->mode));
}

static int simple_tryextend(struct range_lock *lock, struct range_hold *range_, uint64_t start,
			    uint64_t end)
{
	struct own_range *range = own(range_);
	struct simple_lock *l = enter(lock);

	if (start > range->start || end < range->end)
		return leave(l, false, EINVAL);
	if (taken(l, range, start, range->start) || taken(l, range, range->end, end))
		return leave(l, false, EBUSY);
	range->start = start;
	range->end = end;
	return leave(l, false, 0);
}

static int simple_split(struct range_lock *lock, struct range_hold *range_, uint64_t point,
			struct range_hold *upper_)
{
	struct own_range *range = own(range_);
	struct own_range *upper = own(upper_);
	struct simple_lock *l = enter(lock);

	if (point <= range->start || range->end <= point)
		return leave(l, false, EINVAL);
	set(upper, point, range->end, range->mode);
	range->end = point;
	if (l->fault != FAULT_SPLIT_LOSES)
		push(&l->held, upper);
	return leave(l, l->fault == FAULT_SPLIT_LOSES, 0);
}

static int simple_join(struct range_lock *lock, struct range_hold *lower_,
		       struct range_hold *upper_)
{
	struct own_range *lower = own(lower_);
	struct own_range *upper = own(upper_);
	struct simple_lock *l = enter(lock);

	if (lower->end != upper->start || lower->mode != upper->mode)
		return leave(l, false, EINVAL);
	take_out(&l->held, upper);
	lower->end = upper->end;
	return leave(l, false, 0);
}

static void simple_stats(struct range_lock *lock, struct range_lock_stats *stats)
{
	struct simple_lock *l = enter(lock);

	*stats = (struct range_lock_stats){ .leaves = 1, .waits = l->waits };
	leave(l, false, 0);
}

static bool is_hidden(const struct simple_lock *l, const struct own_range *range, bool waiting)
{
	return range == &l->kept ||
	       (waiting && l->fault == FAULT_MANY_SHOWS_FIRST && range != range->first);
}

/* All ranges are in one part. */
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

		for (struct own_range *r = waiting ? l->waiting : l->held; r; r = r->next) {
			if (is_hidden(l, r, waiting))
				continue;
			struct range_info info = { public(r),
						   r->start,
						   r->end,
						   r->mode,
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
	struct own_range *held = l->held;

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
	.trylock_many = simple_trylock_many,
	.timedlock_many = simple_timedlock_many,
	.cancel = simple_cancel,
	.unlock = simple_unlock,
	.downgrade = simple_downgrade,
	.tryupgrade = simple_tryupgrade,
	.shrink = simple_shrink,
	.tryextend = simple_tryextend,
	.split = simple_split,
	.join = simple_join,
	.stats = simple_stats,
	.foreach = simple_foreach,
	.child = simple_child,
};
