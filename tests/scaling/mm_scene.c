/* SPDX-License-Identifier: MIT */
#include "mm_scene.h"
#include "markers.h"

#include <malloc.h>

enum {
	ROUNDS = 16,
	REPEATS = 8,     /* of a pair of calls in a round */
	LAPSE_US = 2000, /* between rounds, for the changes that the lock makes by time */
};

static struct mm *mm;
static struct call calls[2];

static bool is_in(uint64_t address, const void *object, size_t size)
{
	uint64_t start = (uint64_t)(uintptr_t)object;

	return address + 64 > start && address < start + size;
}

const char *scene_place(uint64_t address)
{
	if (is_in(address, calls, sizeof(calls)))
		return "a call";
	/* The size of struct mm is internal, but the struct is one allocation. */
	return is_in(address, mm, malloc_usable_size(mm)) ? "the space" : "elsewhere";
}

static bool nothing(struct call *call)
{
	(void)call;
	return true;
}

/* Runs on the core itself, so that the memory comes from the core's own caches. */
static void settle(unsigned int core, const struct function *function)
{
	const struct steps steps = { function->settle, nothing, nothing };

	stage_cast(core, &steps, &calls[core]);
	stage_step(core, STEP_BEFORE);
}

static void set_call(unsigned int core, const struct pair *pair)
{
	struct pages pages = pair_pages(pair, core);

	calls[core].mm = mm;
	calls[core].start = pages.start;
	calls[core].length = pages.end - pages.start;
	calls[core].flags = core == 0 && pair->relation == ADJACENT_APART ? MM_MAP_NORESERVE : 0;
	settle(core, pair->function[core]);
	stage_cast(core, &pair->function[core]->steps, &calls[core]);
}

/* The pages of mm_brk()'s call are its own only if the heap begins there. */
static uint64_t heap_of(const struct pair *pair, uint64_t otherwise)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (pair->function[i]->writes & HEAP)
			return pair_pages(pair, i).start;
	return otherwise;
}

bool scene_set(const struct pair *pair)
{
	struct mm_attr attr;
	unsigned int i;

	mm_attr_init(&attr);
	attr.brk_start = heap_of(pair, attr.brk_start);
	if (mm_create(&mm, &attr) != 0)
		return false;
	for (i = 0; i < 2; i++)
		set_call(i, pair);
	return stage_succeeded();
}

bool scene_clear(void)
{
	mm_destroy(mm);
	marker(MARKER_FORGET, 0, 0, 0);
	return true;
}

void scene_warm_up(void)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		stage_repeat(REPEATS);
		marker(MARKER_LAPSE, LAPSE_US, 0, 0);
	}
}
