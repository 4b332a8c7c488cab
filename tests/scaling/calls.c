/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <errno.h>

enum { PIECE = 4 };

static struct footprint whole_interval(struct interval interval, enum range_mode mode)
{
	return (struct footprint){ 1, { interval }, mode };
}

/* A range that is held for writing afterwards excludes all others. */
static struct footprint for_writing(struct interval interval, enum range_mode mode)
{
	(void)mode;
	return whole_interval(interval, RANGE_WRITE);
}

/* Both ends of the interval, without the part between them. */
static struct footprint both_ends(struct interval interval, enum range_mode mode)
{
	struct footprint ends = { 2,
				  { { interval.start, interval.start + PIECE },
				    { interval.end - PIECE, interval.end } },
				  mode };

	return ends;
}

static bool intervals_overlap(struct interval a, struct interval b)
{
	return a.start < b.end && b.start < a.end;
}

bool footprints_conflict(const struct footprint *a, const struct footprint *b)
{
	unsigned int i, j;

	if (a->mode == RANGE_READ && b->mode == RANGE_READ)
		return false;
	for (i = 0; i < a->n; i++)
		for (j = 0; j < b->n; j++)
			if (intervals_overlap(a->part[i], b->part[j]))
				return true;
	return false;
}

static bool nothing(struct call *call)
{
	(void)call;
	return true;
}

static bool lock(struct call *call)
{
	return range_lock(call->lock, &call->hold, call->interval.start, call->interval.end,
			  call->mode) == 0;
}

static bool lock_inner(struct call *call)
{
	return range_lock(call->lock, &call->hold, call->interval.start + PIECE,
			  call->interval.end - PIECE, call->mode) == 0;
}

static bool lock_try(struct call *call)
{
	return range_trylock(call->lock, &call->hold, call->interval.start, call->interval.end,
			     call->mode) == 0;
}

static bool lock_timed(struct call *call)
{
	static const struct timespec some_day = { .tv_sec = INT32_MAX };

	return range_timedlock(call->lock, &call->hold, call->interval.start, call->interval.end,
			       call->mode, CLOCK_MONOTONIC, &some_day) == 0;
}

static bool unlock(struct call *call)
{
	range_unlock(call->lock, &call->hold);
	return true;
}

static bool unlock_both(struct call *call)
{
	range_unlock(call->lock, &call->upper);
	return unlock(call);
}

static bool downgrade(struct call *call)
{
	range_downgrade(call->lock, &call->hold);
	return true;
}

static bool upgrade(struct call *call)
{
	return range_tryupgrade(call->lock, &call->hold) == 0;
}

static bool shrink(struct call *call)
{
	return range_shrink(call->lock, &call->hold, call->interval.start + PIECE,
			    call->interval.end - PIECE) == 0;
}

static bool extend(struct call *call)
{
	return range_tryextend(call->lock, &call->hold, call->interval.start, call->interval.end) ==
	       0;
}

static bool split(struct call *call)
{
	return range_split(call->lock, &call->hold, call->interval.start + PIECE, &call->upper) ==
	       0;
}

static bool name_both(struct call *call)
{
	struct footprint ends = both_ends(call->interval, call->mode);
	struct range_hold *const holds[] = { &call->hold, &call->upper };
	unsigned int i;

	for (i = 0; i < ends.n; i++)
		call->requests[i] = (struct range_request){ holds[i], ends.part[i].start,
							    ends.part[i].end, call->mode };
	return true;
}

static bool lock_both(struct call *call)
{
	return range_lock_many(call->lock, call->requests, MAX_PARTS) == 0;
}

static bool cancel(struct call *call)
{
	return range_cancel(call->lock, &call->hold) == ESRCH;
}

static bool read_stats(struct call *call)
{
	struct range_lock_stats stats;

	range_lock_stats(call->lock, &stats);
	return true;
}

static bool read_times(struct call *call)
{
	struct range_lock_times times;

	return range_lock_get_times(call->lock, &times) == EINVAL;
}

static int ignore(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	return 0;
}

static bool visit(struct call *call)
{
	return range_lock_foreach(call->lock, ignore, NULL) == 0;
}

const struct function functions[] = {
	{ "range_lock", NULL, { nothing, lock, unlock }, whole_interval },
	{ "range_trylock", NULL, { nothing, lock_try, unlock }, whole_interval },
	{ "range_timedlock", NULL, { nothing, lock_timed, unlock }, whole_interval },
	{ "range_lock_many", NULL, { name_both, lock_both, unlock_both }, both_ends },
	{ "range_unlock", NULL, { lock, unlock, nothing }, whole_interval },
	/* The downgrade of a range that is held for reading changes nothing. */
	{ "range_downgrade", NULL, { lock, downgrade, unlock }, whole_interval },
	{ "range_tryupgrade", NULL, { lock, upgrade, unlock }, for_writing },
	{ "range_shrink", NULL, { lock, shrink, unlock }, whole_interval },
	{ "range_tryextend", NULL, { lock_inner, extend, unlock }, whole_interval },
	{ "range_split", NULL, { lock, split, unlock_both }, whole_interval },
	{ "range_cancel",
	  "looks for the waiter in every leaf, as only its address is known",
	  { nothing, cancel, nothing },
	  whole_interval },
	{ "range_lock_stats",
	  "adds up what every leaf has counted",
	  { nothing, read_stats, nothing },
	  whole_interval },
	{ "range_lock_get_times",
	  "adds up what every thread has counted",
	  { nothing, read_times, nothing },
	  whole_interval },
	{ "range_lock_foreach",
	  "reports what is held in every leaf",
	  { nothing, visit, nothing },
	  whole_interval },
};

const unsigned int nr_functions = sizeof(functions) / sizeof(functions[0]);
const unsigned int nr_acquiring_functions = 5;
