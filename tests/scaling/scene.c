/* SPDX-License-Identifier: MIT */
#include "scene.h"
#include "markers.h"
#include "stage.h"

enum {
	ARENA = 1 << 20, /* memory for the leaves of a lock */
	MAX_LEAVES = 64,
	MAX_HELD = 4,
	DISTANCE = 1024, /* of the ranges that other threads hold from the intervals of the calls */
	FAR_AWAY = 64 * BOUNDARY,
	MARGIN = 64, /* how far readers read beyond the intervals, to bias the leaf */
	READS = 32,  /* of each thread in a round */
	MAX_ROUNDS = 16,
	REPEATS = 8, /* of a pair of calls in a round */
	TURNS = 100, /* of each thread in a longer warm-up */
	QUIET_ROUNDS = 3,
	LAPSE_US = 2000, /* between rounds, for the changes that the lock makes by time */
};

static alignas(4096) unsigned char arena[ARENA];
static size_t arena_used;

static alignas(TWO_LINES) struct range_lock lock;
static struct call calls[2];

static struct {
	alignas(TWO_LINES) struct range_hold hold;
} held[MAX_HELD];
static unsigned int nr_held;

static void *arena_alloc(size_t size, size_t align, void *arg)
{
	size_t start = (arena_used + align - 1) / align * align;

	(void)arg;
	if (size > ARENA - start)
		return NULL;
	arena_used = start + size;
	return arena + start;
}

/* The arena is freed as a whole, with the lock. */
static void arena_free(void *memory, size_t size, void *arg)
{
	(void)memory, (void)size, (void)arg;
}

static bool is_in(uint64_t address, const void *object, size_t size)
{
	uint64_t start = (uint64_t)(uintptr_t)object;

	return address + 64 > start && address < start + size;
}

const char *scene_place(uint64_t address)
{
	if (is_in(address, &lock, sizeof(lock)))
		return "the lock";
	if (is_in(address, arena, sizeof(arena)))
		return "its leaves";
	if (is_in(address, held, sizeof(held)) || is_in(address, calls, sizeof(calls)))
		return "a range";
	return "elsewhere";
}

static uint64_t changes(void)
{
	struct range_lock_stats stats;

	range_lock_stats(&lock, &stats);
	return stats.splits + stats.merges + stats.biases;
}

static void set_call(unsigned int core, const struct side *side, struct interval interval)
{
	struct call *call = &calls[core];

	call->lock = &lock;
	call->mode = side->mode;
	call->interval = interval;
	stage_cast(core, &side->function->steps, call);
}

/* Makes calls until the lock has changed, for a limited number of rounds. */
static void provoke(const struct side *side, struct interval first, struct interval second)
{
	uint64_t before = changes();
	unsigned int i;

	set_call(0, side, first);
	set_call(1, side, second);
	for (i = 0; i < MAX_ROUNDS && changes() == before; i++)
		stage_repeat(READS);
}

/* functions[0] is range_lock(), and range_unlock() follows its call. */
static void split_at(uint64_t key)
{
	static const struct side writer = { &functions[0], RANGE_WRITE };

	provoke(&writer, (struct interval){ key - MARGIN, key },
		(struct interval){ key, key + MARGIN });
}

/*
 * Such a function may not allocate, so it splits nothing in a lock that no acquisition has split.
 */
static bool changes_what_is_held(const struct side *side)
{
	return side->function >= functions + nr_acquiring_functions;
}

static void bias(void)
{
	static const struct side reader = { &functions[0], RANGE_READ };
	const struct interval around = { BOUNDARY - MARGIN, BOUNDARY + MARGIN };

	provoke(&reader, around, around);
}

static bool hold(unsigned int n)
{
	static const uint64_t start[MAX_HELD] = { BOUNDARY + DISTANCE, BOUNDARY - DISTANCE,
						  BOUNDARY + 2 * DISTANCE,
						  BOUNDARY - 2 * DISTANCE };

	while (nr_held < n) {
		enum range_mode mode = nr_held % 3 ? RANGE_READ : RANGE_WRITE;
		uint64_t at = start[nr_held];

		if (range_lock(&lock, &held[nr_held].hold, at, at + MARGIN, mode) != 0)
			return false;
		nr_held++;
	}
	return true;
}

bool scene_set(const struct pair *pair)
{
	struct range_lock_attr attr;
	unsigned int i;

	range_lock_attr_init(&attr);
	attr.max_leaves = MAX_LEAVES;
	attr.alloc = arena_alloc;
	attr.free = arena_free;
	arena_used = 0;
	if (range_lock_init(&lock, &attr) != 0)
		return false;
	if (changes_what_is_held(&pair->side[0]) || changes_what_is_held(&pair->side[1]))
		split_at(FAR_AWAY);
	if (pair->relation == ONE_STRADDLES || pair->relation == BOTH_STRADDLE)
		split_at(BOUNDARY);
	if (pair->state == BIASED)
		bias();
	if (!hold(pair->state == ONE_HELD ? 1 : pair->state == SEVERAL_HELD ? MAX_HELD : 0))
		return false;
	for (i = 0; i < 2; i++)
		set_call(i, &pair->side[i], pair_interval(pair, i));
	return stage_succeeded();
}

bool scene_clear(void)
{
	while (nr_held)
		range_unlock(&lock, &held[--nr_held].hold);
	return range_lock_destroy(&lock) == 0;
}

void scene_warm_up(void)
{
	unsigned int i, quiet = 0;
	uint64_t before, now = changes();

	for (i = 0; i < MAX_ROUNDS && quiet < QUIET_ROUNDS; i++) {
		before = now;
		stage_repeat(REPEATS);
		marker(MARKER_LAPSE, LAPSE_US, 0, 0);
		now = changes();
		quiet = now == before ? quiet + 1 : 0;
	}
}

void scene_warm_up_more(void)
{
	unsigned int i;

	for (i = 0; i < TURNS; i++)
		stage_repeat(1);
	marker(MARKER_LAPSE, LAPSE_US, 0, 0);
}
