/* SPDX-License-Identifier: MIT */
#include "caches.h"
#include "hottest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLE_BITS = 20, TABLE_SIZE = 1 << TABLE_BITS, NO_CORE = -1 };
enum { SET_BITS = 64, SETS_AT_ONCE = 4096 };

struct line {
	uint64_t number;   /* address / LINE_SIZE */
	uint64_t age;      /* when it was filled; free if caches_forget() came after that */
	uint64_t *holders; /* a bit for each core, see set_words() */
	uint64_t moved;    /* when the line moved last */
	uint64_t busy;     /* until when the line is on its way */
	int owner;         /* the core that may write, as the only holder */
	int writer;        /* the core that wrote last */
	bool has_moved;    /* ever */
};

bool counting;
struct counts counts[MAX_CORES];
uint64_t caches_transfers;

static struct line *table;
static uint64_t age = 1; /* caches_forget() begins the next one */

bool caches_init(void)
{
	table = calloc(TABLE_SIZE, sizeof(*table));
	return table != NULL;
}

/* Not abort(): QEMU catches that, and all cores would wait for this one. */
_Noreturn static void fail(const char *why)
{
	fprintf(stderr, "coherence: %s\n", why);
	_exit(1);
}

/* The number of words in a set of cores. */
static unsigned int set_words(void)
{
	return (nr_cores + SET_BITS - 1) / SET_BITS;
}

/* An empty set of cores, which is never freed. */
static uint64_t *new_set(void)
{
	static uint64_t *sets;
	static unsigned int left;

	if (left < set_words()) {
		sets = calloc(SETS_AT_ONCE, set_words() * sizeof(*sets));
		if (!sets)
			fail("there is no memory");
		left = SETS_AT_ONCE * set_words();
	}
	left -= set_words();
	return sets + left;
}

/* Fills a free place, which may have the set of a line from before caches_forget(). */
static struct line *new_line(struct line *line, uint64_t number)
{
	uint64_t *holders = line->holders ? line->holders : new_set();

	memset(holders, 0, set_words() * sizeof(*holders));
	*line = (struct line){ .number = number,
			       .age = age,
			       .holders = holders,
			       .owner = NO_CORE,
			       .writer = NO_CORE };
	return line;
}

static struct line *find_line(uint64_t number)
{
	/* Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4) */
	uint64_t i = number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TABLE_BITS);
	unsigned int probes;

	for (probes = 0; probes < TABLE_SIZE; probes++) {
		struct line *line = &table[(i + probes) % TABLE_SIZE];

		if (line->age != age)
			return new_line(line, number);
		if (line->number == number)
			return line;
	}
	fail("the program uses too many cache lines");
}

static bool holds(const struct line *line, const struct core *core)
{
	return line->holders[core->id / SET_BITS] >> core->id % SET_BITS & 1;
}

static void add_holder(struct line *line, const struct core *core)
{
	line->holders[core->id / SET_BITS] |= UINT64_C(1) << core->id % SET_BITS;
}

/* Returns the number of holders that it removed. */
static uint64_t remove_holders(struct line *line)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < set_words(); i++) {
		n += (uint64_t)__builtin_popcountll(line->holders[i]);
		line->holders[i] = 0;
	}
	return n;
}

static bool is_other(int id, const struct core *core)
{
	return id != NO_CORE && id != (int)core->id;
}

/* Returns whether another core had to answer. */
static bool load(struct line *line, const struct core *core)
{
	bool asks =
		!holds(line, core) && (is_other(line->owner, core) || is_other(line->writer, core));

	add_holder(line, core);
	if (is_other(line->owner, core))
		line->owner = NO_CORE;
	return asks;
}

static bool store(struct line *line, const struct core *core, uint64_t *invalidated)
{
	bool hit = holds(line, core);
	uint64_t others = remove_holders(line) - hit;
	bool asks = others || (!hit && is_other(line->writer, core));

	*invalidated = others;
	add_holder(line, core);
	line->owner = line->writer = (int)core->id;
	return asks;
}

/* The line moves to one core after the other. */
static void move(struct line *line, struct core *core)
{
	if (core->clock < line->busy)
		core->clock = line->busy;
	core->clock += TRANSFER_CYCLES;
	line->busy = line->moved = core->clock;
	line->has_moved = true;
	caches_transfers++;
}

static void count(struct counts *c, bool is_store, bool transfer, uint64_t invalidated)
{
	c->loads += !is_store;
	c->stores += is_store;
	c->transfers += transfer;
	c->invalidations += invalidated;
}

static void access_line(struct core *core, uint64_t address, bool is_store, const struct site *site)
{
	struct line *line = find_line(address / LINE_SIZE);
	uint64_t invalidated = 0;
	bool transfer = is_store ? store(line, core, &invalidated) : load(line, core);

	if (transfer)
		move(line, core);
	if (counting) {
		count(&counts[core->id], is_store, transfer, invalidated);
		if (site)
			hottest_note(core->id, address, is_store, transfer, site);
	}
	if (line->has_moved && core->clock < line->moved + LATELY)
		lockstep_in_order(core);
	else
		lockstep_advance(core, 0);
}

void caches_access(struct core *core, uint64_t address, unsigned int size, bool is_store,
		   const struct site *site)
{
	uint64_t last = address + size - 1;

	access_line(core, address, is_store, site);
	if (last / LINE_SIZE != address / LINE_SIZE && !lockstep_over())
		access_line(core, last, is_store, site);
}

void caches_forget(void)
{
	age++;
}
