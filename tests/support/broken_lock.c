/* SPDX-License-Identifier: MIT */
/* A list of held ranges, under a mutex. A thread that must wait yields and looks again. */
#include "broken_lock.h"

#include <errno.h>

const char *const flaw_names[NR_FLAWS] = {
	"none",        "last key",   "readers pass",   "writers pass",  "check then insert",
	"long ranges", "first only", "timeout grants", "early release",
};

void broken_lock_init(struct broken_lock *lock, enum flaw flaw)
{
	lock->flaw = flaw;
	lock->held = NULL;
	CHECK_EQ(pthread_mutex_init(&lock->mutex, NULL), 0);
}

static bool conflict(enum flaw flaw, const struct own_range *held, const struct own_range *wanted)
{
	uint64_t held_end = held->end;

	if (held->mode == RANGE_READ && wanted->mode == RANGE_READ)
		return false;
	if (flaw == FLAW_READERS_PASS && wanted->mode == RANGE_READ)
		return false;
	if (flaw == FLAW_WRITERS_PASS && held->mode == RANGE_READ)
		return false;
	if (flaw == FLAW_LAST_KEY && held_end - held->start > 1)
		held_end--;
	if (flaw == FLAW_LONG_RANGES && held->start < wanted->start)
		return false;
	return held->start < wanted->end && wanted->start < held_end;
}

static bool blocked(const struct broken_lock *lock, const struct own_range *wanted)
{
	for (const struct own_range *held = lock->held; held; held = held->next) {
		if (conflict(lock->flaw, held, wanted))
			return true;
		if (lock->flaw == FLAW_FIRST_ONLY)
			break;
	}
	return false;
}

static void insert(struct broken_lock *lock, struct own_range *range)
{
	range->next = lock->held;
	lock->held = range;
}

static bool try_once(struct broken_lock *lock, struct own_range *range)
{
	bool free;

	pthread_mutex_lock(&lock->mutex);
	free = !blocked(lock, range);
	if (free && lock->flaw == FLAW_CHECK_THEN_INSERT) {
		pthread_mutex_unlock(&lock->mutex);
		sched_yield();
		pthread_mutex_lock(&lock->mutex);
	}
	if (free)
		insert(lock, range);
	pthread_mutex_unlock(&lock->mutex);
	return free;
}

static bool passed(const struct timespec *deadline)
{
	return (uint64_t)deadline->tv_sec * SECOND + (uint64_t)deadline->tv_nsec <= now_ns();
}

static int broken_acquire(void *arg, struct range_hold *range_, uint64_t start, uint64_t end,
			  enum range_mode mode, enum how how, const struct timespec *deadline)
{
	struct broken_lock *lock = arg;
	struct own_range *range = own(range_);

	range->start = start;
	range->end = end;
	range->mode = mode;
	while (!try_once(lock, range)) {
		if (how == TRY)
			return EBUSY;
		if (how == TIMED && lock->flaw == FLAW_TIMEOUT_GRANTS) {
			/* At once: a holder is rarely still there when a deadline passes. */
			pthread_mutex_lock(&lock->mutex);
			insert(lock, range);
			pthread_mutex_unlock(&lock->mutex);
			return 0;
		}
		if (how == TIMED && passed(deadline))
			return ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

static void broken_release(void *arg, struct range_hold *range_)
{
	struct broken_lock *lock = arg;
	struct own_range *range = own(range_);
	bool all = lock->flaw == FLAW_EARLY_RELEASE && range->mode == RANGE_READ;
	struct own_range **link = &lock->held;

	pthread_mutex_lock(&lock->mutex);
	while (*link) {
		struct own_range *r = *link;

		if (r == range || (all && r->mode == RANGE_READ && r->start == range->start))
			*link = r->next;
		else
			link = &r->next;
	}
	pthread_mutex_unlock(&lock->mutex);
}

const struct lock_table broken_table = { broken_acquire, broken_release };
