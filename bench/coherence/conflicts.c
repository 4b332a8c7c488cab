/* SPDX-License-Identifier: MIT */
#include "conflicts.h"
#include "caches.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TABLE_BITS = 18, TABLE_SIZE = 1 << TABLE_BITS };

struct watched {
	uint64_t number;   /* of the line, see caches.c */
	uint64_t watch;    /* in which this was noted; of an earlier one: this place is free */
	unsigned int core; /* the first to touch the line */
	bool shared;       /* others have touched it, too */
	bool written;
};

static struct watched *table;
static uint64_t watch = 1;
static struct marker_conflicts found;

bool conflicts_init(void)
{
	table = calloc(TABLE_SIZE, sizeof(*table));
	return table != NULL;
}

static struct watched *find(uint64_t number, unsigned int core)
{
	/* Fibonacci hashing, as in caches.c */
	uint64_t i = number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TABLE_BITS);
	unsigned int probes;

	for (probes = 0; probes < TABLE_SIZE; probes++) {
		struct watched *line = &table[(i + probes) % TABLE_SIZE];

		if (line->watch != watch)
			*line = (struct watched){ number, watch, core, false, false };
		if (line->number == number)
			return line;
	}
	fprintf(stderr, "coherence: the calls that are watched use too many cache lines\n");
	_exit(1); /* as in caches.c */
}

static void note_line(unsigned int core, uint64_t number, bool store)
{
	struct watched *line = find(number, core);
	bool before = line->shared && line->written;

	line->shared |= line->core != core;
	line->written |= store;
	if (before || !line->shared || !line->written)
		return;
	if (found.lines < MARKER_CONFLICTS_NAMED)
		found.line[found.lines] = number * LINE_SIZE;
	found.lines++;
}

void conflicts_note(unsigned int core, uint64_t address, unsigned int size, bool store)
{
	uint64_t last = address + size - 1;

	note_line(core, address / LINE_SIZE, store);
	if (last / LINE_SIZE != address / LINE_SIZE)
		note_line(core, last / LINE_SIZE, store);
}

void conflicts_take(struct marker_conflicts *conflicts)
{
	*conflicts = found;
	found = (struct marker_conflicts){ 0 };
	watch++;
}
