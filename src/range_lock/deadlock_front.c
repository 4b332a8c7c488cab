/* SPDX-License-Identifier: MIT */
#include "deadlock_front.h"

#ifdef MMRANGE_CHECKED

struct range__line range__line_of(const struct range__hold *range)
{
	return (struct range__line){
		.lock = range->lock,
		.start = range->start,
		.end = range->end,
		.mode = (uint8_t)range->mode,
		.request = range__marked(range, RANGE__ASYNC),
		/* A search comes to starving requests only. */
		.starving = range__marked(range, RANGE__ASYNC) || range->starving,
		.thread = range__thread_of(range->owner),
	};
}

/* Parts that touch become one. */
static bool add_part(struct range__front *front, uint64_t start, uint64_t end)
{
	unsigned int i = 0;

	while (i < front->nr_parts) {
		if (end < front->parts[i].start || front->parts[i].end < start) {
			i++;
			continue;
		}
		if (front->parts[i].start < start)
			start = front->parts[i].start;
		if (front->parts[i].end > end)
			end = front->parts[i].end;
		front->parts[i] = front->parts[--front->nr_parts];
	}
	if (front->nr_parts == RANGE__MOST_PARTS)
		return false;
	front->parts[front->nr_parts].start = start;
	front->parts[front->nr_parts].end = end;
	front->nr_parts++;
	return true;
}

void range__front_begin(struct range__front *front, const struct range__hold *range)
{
	front->own_start = front->start = range->start;
	front->own_end = front->end = range->end;
	front->own_mode = range->mode;
	front->except = range__marked(range, RANGE__UPGRADE) ? range->upgrades : NULL;
	front->nr_parts = front->nr_requests = 0;
	if (range->mode == RANGE_WRITE)
		add_part(front, range->start, range->end);
}

bool range__front_add(struct range__front *front, const struct range__hold *request)
{
	if (request->mode == RANGE_WRITE && !add_part(front, request->start, request->end))
		return false;
	if (request->start < front->start)
		front->start = request->start;
	if (request->end > front->end)
		front->end = request->end;
	front->last = range__line_of(request);
	front->nr_requests++;
	return true;
}

bool range__front_conflicts(const struct range__front *front, const struct range__hold *range)
{
	unsigned int i = 0;

	if (range->mode == RANGE_WRITE)
		return range__overlap(range, front->start, front->end);
	while (i < front->nr_parts &&
	       !range__overlap(range, front->parts[i].start, front->parts[i].end))
		i++;
	return i < front->nr_parts;
}

bool range__front_covers(const struct range__front *front, const struct range__hold *range)
{
	unsigned int i = 0;

	if (range->mode == RANGE_READ)
		return front->start <= range->start && range->end <= front->end;
	while (i < front->nr_parts &&
	       !(front->parts[i].start <= range->start && range->end <= front->parts[i].end))
		i++;
	return i < front->nr_parts;
}

bool range__front_is_covered(const struct range__front *front, const struct range__hold *range)
{
	return range->start <= front->start && front->end <= range->end &&
	       (range->mode == RANGE_WRITE || front->nr_parts == 0);
}

struct range__line range__front_via(const struct range__front *front,
				    const struct range__hold *range)
{
	bool own = range__overlap(range, front->own_start, front->own_end) &&
		   (range->mode == RANGE_WRITE || front->own_mode == RANGE_WRITE);

	return own || front->nr_requests == 0 ? front->before : front->last;
}

#endif
