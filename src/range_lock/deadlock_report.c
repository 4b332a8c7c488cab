/* SPDX-License-Identifier: MIT */
#include "deadlock_report.h"

#ifdef MMRANGE_CHECKED

#include "platform/message.h"

#include <inttypes.h>

static void add_line(struct range__report *report, struct range__line line)
{
	if (report->n < RANGE__MOST_LINES)
		report->lines[report->n] = line;
	report->n++;
}

static void note_wait(struct range__report *report, const struct range__wait *wait,
		      const struct range__wait *waits_for)
{
	struct range__line line = wait->self;

	line.lock = wait->lock;
	line.mutex = wait->mutex;
	line.thread = range__thread_of(wait->thread);
	line.waits_for = range__thread_of(waits_for->thread);
	line.waits_for_request = waits_for->self.request;
	if (waits_for->via.request) {
		line.waits_for = waits_for->via.thread;
		line.waits_for_request = true;
	}
	add_line(report, line);
}

static void note_via(struct range__report *report, const struct range__wait *waits_for)
{
	struct range__line line = waits_for->via;

	line.waits_for = range__thread_of(waits_for->thread);
	line.waits_for_request = waits_for->self.request;
	add_line(report, line);
}

void range__deadlock_note(struct range__report *report, const struct range__wait *start)
{
	const struct range__wait *wait = start;

	report->n = 0;
	do {
		if (wait->held.held)
			add_line(report, wait->held);
		if (wait->via.request)
			note_via(report, wait);
		note_wait(report, wait->from, wait);
		wait = wait->from;
	} while (wait != start);
}

static void add_what(struct mmrange__text *text, const struct range__line *line)
{
	mmrange__text_add(text, "  %sthread %" PRIu32 ", ", line->request ? "request of " : "",
			  line->thread);
	if (line->lock)
		mmrange__text_add(text, "range_lock %p: [%#" PRIx64 ", %#" PRIx64 ") for %s, ",
				  (const void *)line->lock, line->start, line->end,
				  line->mode == RANGE_WRITE ? "writing" : "reading");
	else
		mmrange__text_add(text, "mutex %p: ", line->mutex);
}

void range__deadlock_print(const struct range__report *report)
{
	struct mmrange__text text = { .length = 0 };

	mmrange__text_add(&text, "libmmrange: deadlock\n");
	for (unsigned int i = 0; i < report->n && i < RANGE__MOST_LINES; i++) {
		const struct range__line *line = &report->lines[i];

		add_what(&text, line);
		if (line->held)
			mmrange__text_add(&text, "held\n");
		else
			mmrange__text_add(&text, "waits for %sthread %" PRIu32 "%s\n",
					  line->waits_for_request ? "a request of " : "",
					  line->waits_for, line->starving ? ", starving" : "");
	}
	if (report->n > RANGE__MOST_LINES)
		mmrange__text_add(&text, "  and %u more\n", report->n - RANGE__MOST_LINES);
	mmrange__text_write(&text);
}

#endif
