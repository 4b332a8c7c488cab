/* SPDX-License-Identifier: MIT */
#include "deadlock.h"

#ifdef MMRANGE_CHECKED

#include "checked.h"
#include "deadlock_register.h"
#include "deadlock_report.h"
#include "deadlock_search.h"
#include "mutex_owner.h"
#include "queue.h"
#include "request.h"
#include "span.h"

#include <errno.h>

/* Nanoseconds until a look is repeated that could not see all. */
static const uint64_t AGAIN_INTERVAL = UINT64_C(1000000);

/* Looks for a request, an interval apart, for what the first one could not see. */
enum { ATTEMPTS = 16 };

/*
 * A wait for a mutex is passed over: the library cannot end it. So is a request: there is a thread
 * that waits behind it.
 */
static struct range__wait *youngest_in_cycle(struct range__wait *start)
{
	struct range__wait *youngest = start->set ? start : NULL;

	for (struct range__wait *wait = start->from; wait != start; wait = wait->from)
		if (wait->set && (!youngest || wait->since > youngest->since))
			youngest = wait;
	return youngest;
}

/* False: its leaf was not found. */
static bool expel_wait(struct range__wait *wait)
{
	struct range__leaf *leaf = range__search_lock_leaf(wait->lock, wait->first_start);

	if (!leaf)
		return false;
	if (!range__search_still_waits(wait)) {
		range__leaf_unlock(leaf, NULL);
		return true;
	}
	range__span_lock_from(wait->set, leaf, RANGE__KEEP_BIAS);
	range__expel_and_unlock(wait->set, RANGE_DEADLOCKED);
	return true;
}

/* False: the victim's leaf was not found. */
static bool break_cycle(struct range__wait *start, struct range__wait **victim)
{
	*victim = youngest_in_cycle(start);
	range__deadlock_note(&(*victim)->report, start);
	return expel_wait(*victim);
}

/* Another cycle may be left when one has been broken. */
static bool look(struct range__wait *wait)
{
	struct range__wait *victim = NULL;
	bool unsure = false;

	while (victim != wait && !unsure && range__deadlock_find(wait, &unsure))
		unsure = !break_cycle(wait, &victim);
	return !unsure;
}

bool range__deadlock_look(struct range__wait *wait)
{
	bool sure;

	range__deadlock_lock();
	sure = look(wait);
	range__deadlock_unlock();
	return sure;
}

/* A cycle through a request has a wait in the request's lock. */
static bool look_from_all(const struct range__lock *lock)
{
	struct range__wait *wait = NULL;
	bool sure = true;

	while ((wait = range__deadlock_next_in(lock, wait)))
		sure &= look(wait);
	return sure;
}

static bool look_for_request(struct range__noted n)
{
	struct range__wait stand_in, *victim;
	bool unsure = false;

	/* A registered wait says that the lock is alive, and stays so during the search. */
	if (!range__deadlock_next_in(n.lock, NULL))
		return true;
	if (!n.name.first)
		return look_from_all(n.lock);
	while (!unsure && range__deadlock_find_request(n.lock, &n.name, &stand_in, &unsure))
		unsure = !break_cycle(&stand_in, &victim);
	return !unsure;
}

/* A look may cause more requests to be noted. */
void range__deadlock_look_for_noted(void)
{
	while (range__deadlock_nr_noted > 0) {
		struct range__noted n = range__deadlock_take_noted();
		bool sure = false;

		for (int i = 0; i < ATTEMPTS && !sure; i++) {
			if (i > 0)
				range__deadlock_nap();
			range__deadlock_lock();
			sure = look_for_request(n);
			range__deadlock_unlock();
		}
	}
}

void range__deadlock_prepare(struct range__wait *wait, struct range__set *set, bool timed)
{
	set->wait = timed ? NULL : wait;
	wait->lock = set->lock;
	wait->set = set;
	wait->mutex = NULL;
	wait->first_start = range__set_hold(set, 0)->start;
	wait->thread = range__set_hold(set, 0)->owner;
	wait->timed = timed;
	wait->queued = true;
	atomic_init(&wait->promoted, false);
	wait->again = wait->registered = false;
	wait->search = 0;
}

void range__deadlock_register(struct range__wait *wait)
{
	range__deadlock_lock();
	/* The arrival of an upgrade says nothing. */
	wait->since = range__marked(range__set_hold(wait->set, 0), RANGE__UPGRADE)
			      ? mmrange__now()
			      : range__set_hold(wait->set, 0)->arrival;
	range__deadlock_add(wait);
	range__deadlock_unlock();
}

void range__deadlock_enter(struct range__wait *wait)
{
	if (wait->timed)
		return;
	range__deadlock_register(wait);
	if (range__checked_holds(wait->thread) || range__mutex_owns(wait->thread) ||
	    range__marked(range__set_hold(wait->set, 0), RANGE__UPGRADE))
		wait->again = !range__deadlock_look(wait);
}

void range__deadlock_leave(struct range__wait *wait, int error)
{
	if (wait->timed)
		return;
	range__deadlock_lock();
	range__deadlock_remove(wait);
	range__deadlock_unlock();
	if (error == EDEADLK)
		range__deadlock_print(&wait->report);
}

static void park_briefly(_Atomic(uint64_t) *word, uint64_t expected)
{
	uint64_t end = mmrange__now() + AGAIN_INTERVAL;
	const struct timespec time = { .tv_sec = (time_t)(end / 1000000000u),
				       .tv_nsec = (long)(end % 1000000000u) };

	mmrange__park(word, expected, CLOCK_MONOTONIC, &time);
}

void range__deadlock_nap(void)
{
	_Atomic(uint64_t) word = 0;

	park_briefly(&word, 0);
}

int range__deadlock_park(struct range__wait *wait, struct range__hold *range,
			 const struct range__limit *limit)
{
	uint64_t state = RANGE_LOOKS;

	if (limit->deadline)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
	/* acquire: pairs with the release in range__deadlock_promoted() */
	atomic_compare_exchange_strong_explicit(&range->state, &state, RANGE_WAITING,
						memory_order_acquire, memory_order_relaxed);
	if (atomic_exchange_explicit(&wait->promoted, false, memory_order_relaxed) || wait->again)
		wait->again = !range__deadlock_look(wait);
	/* The look may have made requests due, which come first. */
	if (range__due.first || range__deadlock_nr_noted > 0)
		return 0;
	if (!wait->again)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, NULL);
	park_briefly(&range->state, RANGE_WAITING);
	return 0;
}

#endif
