/* SPDX-License-Identifier: MIT */
#include "async.h"
#include "checked.h"
#include "look.h"
#include "platform/platform.h"
#include "probes.h"
#include "race.h"
#include "times.h"

#include <errno.h>

/* The request, which was made at since, holds, or is in no queue any more. */
static void end_request(struct range__set *set, struct range__callback callback, uint64_t since,
			int error)
{
	bool busy = range__due.busy;
	int saved = errno;
	int cancel_state = mmrange__cancel_disable();

	range__times_waited(set, since);
	range__probe_waited(set, error);
	if (!error) {
		range__times_held(set);
		range__note_acquired(set, RANGE__NO_MEMORY);
	}
	for (size_t i = 0; i < set->n; i++)
		range__checked_end(range__set_hold(set, i), error);
	range__race_answer(set);
	range__race_ended(set, error);
	if (error)
		range__request_left(set->lock);
	range__due.busy = true;
	range__race_callback_begins();
	callback.call(error, callback.arg);
	range__race_callback_ends();
	range__due.busy = busy;
	errno = saved;
	mmrange__cancel_restore(cancel_state);
}

static void look_after(struct range__hold *range)
{
	struct range__set room, *set = range__request_set(range, &room);
	/* A range that is held has no room for them. */
	struct range__callback callback = range__request_callback(set);
	uint64_t since = range->arrival;
	int error = range__look_again(set, NULL, 0);

	if (error != EINPROGRESS)
		end_request(set, callback, since, error);
}

void range__async_work(void)
{
	while (range__due.first) {
		look_after(range__request_take());
		range__deadlock_run();
	}
}
