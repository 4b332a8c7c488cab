/* SPDX-License-Identifier: MIT */
#include "deadlock_note.h"

#ifdef MMRANGE_CHECKED

/*
 * One entry, because the loader has little room for the threads' variables of a module. If there is
 * a second request, all of that lock count.
 */
static MMRANGE__THREAD_LOCAL struct range__noted noted;
MMRANGE__THREAD_LOCAL unsigned int range__deadlock_nr_noted;

void range__deadlock_note_request(struct range__hold *request)
{
	struct range__hold *first = range__marked(request, RANGE__OTHER) ? request->first : request;

	if (range__deadlock_nr_noted > 0) {
		noted.name.first = NULL;
		return;
	}
	range__deadlock_nr_noted = 1;
	noted = (struct range__noted){
		.lock = request->lock,
		.name = { .first = first, .start = first->start, .arrival = first->arrival },
	};
}

struct range__noted range__deadlock_take_noted(void)
{
	range__deadlock_nr_noted = 0;
	return noted;
}

#endif
