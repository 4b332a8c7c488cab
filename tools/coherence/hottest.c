/* SPDX-License-Identifier: MIT */
#include "hottest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MAX_LINES = 1 << 16,
	MAX_USES = 24, /* of a line, counted separately */
	MAX_NAMES = 256,
	USES_PRINTED = 10,
};

struct tally {
	uint64_t loads;
	uint64_t stores;
	uint64_t transfers;
};

/* One instruction that uses one place in the line. */
struct use {
	const struct site *site;
	unsigned int offset;
	struct tally tally;
};

struct profile {
	uint64_t number; /* of the line, see caches.c */
	struct tally all;
	struct tally core[MAX_CORES];
	unsigned int nr_uses;
	struct use uses[MAX_USES];
};

static struct profile *profiles[MAX_LINES];

static struct name {
	uint64_t start;
	uint64_t size;
	const char *name;
} names[MAX_NAMES];

static unsigned int nr_names;

void hottest_name(uint64_t start, uint64_t size, const char *name)
{
	if (nr_names < MAX_NAMES)
		names[nr_names++] = (struct name){ start, size, name };
}

static struct profile *find_profile(uint64_t number)
{
	uint64_t i = number * UINT64_C(0x9e3779b97f4a7c15) >> 48;
	unsigned int probes;

	for (probes = 0; probes < MAX_LINES; probes++) {
		struct profile **place = &profiles[(i + probes) % MAX_LINES];

		if (!*place) {
			*place = calloc(1, sizeof(**place));
			if (!*place)
				return NULL;
			(*place)->number = number;
		}
		if ((*place)->number == number)
			return *place;
	}
	return NULL;
}

static void add(struct tally *tally, bool store, bool transfer)
{
	tally->loads += !store;
	tally->stores += store;
	tally->transfers += transfer;
}

static struct use *find_use(struct profile *profile, const struct site *site, unsigned int offset)
{
	unsigned int i;

	for (i = 0; i < profile->nr_uses; i++)
		if (profile->uses[i].site == site && profile->uses[i].offset == offset)
			return &profile->uses[i];
	if (i == MAX_USES)
		return NULL;
	profile->nr_uses++;
	profile->uses[i] = (struct use){ .site = site, .offset = offset };
	return &profile->uses[i];
}

void hottest_note(unsigned int core, uint64_t address, bool store, bool transfer,
		  const struct site *site)
{
	struct profile *profile = find_profile(address / LINE_SIZE);
	struct use *use;

	if (!profile)
		return;
	add(&profile->all, store, transfer);
	add(&profile->core[core], store, transfer);
	use = find_use(profile, site, (unsigned int)(address % LINE_SIZE));
	if (use)
		add(&use->tally, store, transfer);
}

static int more_first(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int by_transfers(const void *a, const void *b)
{
	const struct profile *const *x = a;
	const struct profile *const *y = b;

	return more_first(*x ? (*x)->all.transfers : 0, *y ? (*y)->all.transfers : 0);
}

static int by_use_transfers(const void *a, const void *b)
{
	return more_first(((const struct use *)a)->tally.transfers,
			  ((const struct use *)b)->tally.transfers);
}

static void print_place(uint64_t address)
{
	unsigned int i;

	for (i = 0; i < nr_names; i++)
		if (address + LINE_SIZE > names[i].start &&
		    address < names[i].start + names[i].size)
			printf(" %s%+" PRId64, names[i].name, (int64_t)(address - names[i].start));
}

static void print_cores(const struct profile *profile)
{
	unsigned int i;

	printf("  loads/stores/transfers by core");
	for (i = 0; i < nr_cores; i++) {
		const struct tally *tally = &profile->core[i];

		if (tally->loads || tally->stores)
			printf(" %u:%" PRIu64 "/%" PRIu64 "/%" PRIu64, i, tally->loads,
			       tally->stores, tally->transfers);
	}
	printf("\n");
}

static void print_uses(struct profile *profile)
{
	unsigned int i;

	qsort(profile->uses, profile->nr_uses, sizeof(profile->uses[0]), by_use_transfers);
	for (i = 0; i < profile->nr_uses && i < USES_PRINTED; i++) {
		const struct use *use = &profile->uses[i];

		printf("  +%-2u %s 0x%" PRIx64 ": %" PRIu64 " loads, %" PRIu64 " stores, %" PRIu64
		       " transfers\n",
		       use->offset, use->site->function, use->site->address, use->tally.loads,
		       use->tally.stores, use->tally.transfers);
	}
}

void hottest_print(unsigned int n, uint64_t operations)
{
	unsigned int i;

	qsort(profiles, MAX_LINES, sizeof(profiles[0]), by_transfers);
	for (i = 0; i < n && i < MAX_LINES && profiles[i] && profiles[i]->all.transfers; i++) {
		uint64_t address = profiles[i]->number * LINE_SIZE;

		printf("line 0x%" PRIx64, address);
		print_place(address);
		printf(": %" PRIu64 " transfers, %.4f per operation\n", profiles[i]->all.transfers,
		       (double)profiles[i]->all.transfers / (double)operations);
		print_cores(profiles[i]);
		print_uses(profiles[i]);
	}
}
