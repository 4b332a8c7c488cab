/* SPDX-License-Identifier: MIT */
/*
 * There is room for ROOM more areas, in the pool or in the part of the first thread (PART). Two threads each
 * make one if they are told that there is room. There are not more areas than there was room for, and no
 * thread is refused while there is some.
 *
 * GIVE: the first thread has so much room that it gives some back when an area goes. The other one finds no more
 * than there is.
 */
#include "mm.h"

#ifndef ROOM
#define ROOM 1
#endif

static bool found[2];

#ifdef GIVE
enum { MUCH = 2 * SHARE };

static void *other(void *arg)
{
	(void)arg;
	found[0] = mm__room_for_areas(&model_cpus[2], 0);
	found[1] = mm__room_for_areas(&model_cpus[2], MUCH + 1);
	return NULL;
}

static void prepare(void)
{
	model_mm.room = 0;
	atomic_init(&model_cpus[1].room, MUCH);
}

static void first(void)
{
	mm__count_areas(&model_cpus[1], -1);
}

static void check(void)
{
	assert(found[0] && !found[1]);
}
#else
/* As mm_mmap(). */
static bool make_area(struct mm__cpu *cpu)
{
	if (!mm__room_for_areas(cpu, 0))
		return false;
	mm__count_areas(cpu, 1);
	return true;
}

static void *other(void *arg)
{
	(void)arg;
	found[1] = make_area(&model_cpus[2]);
	return NULL;
}

static void prepare(void)
{
#ifdef PART
	model_mm.room = 0;
	atomic_init(&model_cpus[1].room, ROOM);
#else
	model_mm.room = ROOM;
#endif
}

static void first(void)
{
	found[0] = make_area(&model_cpus[1]);
}

static void check(void)
{
	assert(found[0] + found[1] == ROOM);
}
#endif

int main(void)
{
	pthread_t thread;

	model_init();
	model_cpus[3].used = false;
	prepare();
	start(other, &thread);
	first();
	finish(thread);
	check();
	return 0;
}
