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
	add_line(report, line);
}

void range__deadlock_note(struct range__report *report, const struct range__wait *start)
{
	const struct range__wait *wait = start;

	report->n = 0;
	do {
		if (wait->held.held)
			add_line(report, wait->held);
		note_wait(report, wait->from, wait);
		wait = wait->from;
	} while (wait != start);
}

static void add_what(struct mmrange__text *text, const struct range__line *line)
{
	mmrange__text_add(text, "  thread %" PRIu32 ", ", line->thread);
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
			mmrange__text_add(&text, "waits for thread %" PRIu32 "%s\n",
					  line->waits_for, line->starving ? ", starving" : "");
	}
	if (report->n > RANGE__MOST_LINES)
		mmrange__text_add(&text, "  and %u more\n", report->n - RANGE__MOST_LINES);
	mmrange__text_write(&text);
}

#endif
