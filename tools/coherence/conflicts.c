/* SPDX-License-Identifier: MIT */
#include "conflicts.h"
#include "caches.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TABLE_BITS = 18, TABLE_SIZE = 1 << TABLE_BITS };

struct watched {
	uint64_t number;   /* of the line, see caches.c */
	uint64_t watch;    /* in which this was noted; of an earlier watch: this place is free */
	unsigned int core; /* the first core to touch the line */
	bool shared;       /* other cores have touched the line, too */
	bool written;
	const struct site *first, *other; /* the instructions of that core, and of another one */
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
			*line = (struct watched){ .number = number, .watch = watch, .core = core };
		if (line->number == number)
			return line;
	}
	fprintf(stderr, "coherence: the calls that are watched use too many cache lines\n");
	_exit(1); /* as in caches.c */
}

static void copy_name(char *to, const struct site *site)
{
	snprintf(to, MARKER_FUNCTION_SIZE, "%s", site->function);
}

static void add_conflict(const struct watched *line)
{
	struct marker_conflict *conflict = &found.conflict[found.lines];

	if (found.lines++ >= MARKER_CONFLICTS_NAMED)
		return;
	conflict->line = line->number * LINE_SIZE;
	copy_name(conflict->function[0], line->first);
	copy_name(conflict->function[1], line->other);
}

static void note_line(unsigned int core, uint64_t number, bool store, const struct site *site)
{
	struct watched *line = find(number, core);
	bool before = line->shared && line->written;
	const struct site **place = line->core == core ? &line->first : &line->other;

	line->shared |= line->core != core;
	/* A function that writes the line tells more than a function that reads it. */
	if (!*place || (store && !line->written))
		*place = site;
	line->written |= store;
	if (!before && line->shared && line->written)
		add_conflict(line);
}

void conflicts_note(unsigned int core, uint64_t address, unsigned int size, bool store,
		    const struct site *site)
{
	uint64_t last = address + size - 1;

	note_line(core, address / LINE_SIZE, store, site);
	if (last / LINE_SIZE != address / LINE_SIZE)
		note_line(core, last / LINE_SIZE, store, site);
}

void conflicts_take(struct marker_conflicts *conflicts)
{
	*conflicts = found;
	found = (struct marker_conflicts){ 0 };
	watch++;
}
