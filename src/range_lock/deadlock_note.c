/* SPDX-License-Identifier: MIT */
#include "deadlock_note.h"

#ifdef MMRANGE_CHECKED

/* If there are more, all requests of the lock count. */
enum { MOST_NOTED = 8 };

static MMRANGE__THREAD_LOCAL struct range__noted noted[MOST_NOTED];
MMRANGE__THREAD_LOCAL unsigned int range__deadlock_nr_noted;

void range__deadlock_note_request(struct range__hold *request)
{
	struct range__hold *first = range__marked(request, RANGE__OTHER) ? request->first : request;

	if (range__deadlock_nr_noted == MOST_NOTED) {
		noted[MOST_NOTED - 1].name.first = NULL;
		return;
	}
	noted[range__deadlock_nr_noted++] = (struct range__noted){
		.lock = request->lock,
		.name = { .first = first, .start = first->start, .arrival = first->arrival },
	};
}

struct range__noted range__deadlock_take_noted(void)
{
	return noted[--range__deadlock_nr_noted];
}

#endif
