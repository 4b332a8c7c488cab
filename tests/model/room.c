/* SPDX-License-Identifier: MIT */
/*
 * The pool, or the part of the first thread (PART), has room for ROOM more VMAs. Each of two
 * threads claims, checks whether there is room for WANTS, makes as many VMAs if there is, and gives
 * back the rest. Never are there more VMAs than room, and a thread is refused only if the other one
 * has too many for both. No room is lost [ROOM-M1]. If the room is less than a claim, the edits are
 * exact ones.
 *
 * GIVE: the first thread takes a VMA out instead, which makes room for one more. With PART it may
 * then have so much room that it gives some back.
 *
 * UNCLAIMED: a thread makes VMAs without a second check, because there was room before it claimed.
 */
#include "mm.h"

#ifndef ROOM
#define ROOM 1
#endif
#ifndef WANTS
#define WANTS 1
#endif

/* The number of VMAs that each thread has made. */
static int64_t made[2];

static bool asks(struct mm__thread *thread)
{
#ifdef UNCLAIMED
	bool room = mm__room_now(thread, WANTS - 1);

	mm__room_claim(thread);
	return room;
#else
	mm__room_claim(thread);
	return mm__room_for_vmas(thread, WANTS - 1);
#endif
}

/* As mm_mmap(). */
static int64_t make_vmas(struct mm__thread *thread)
{
	bool room = asks(thread);

	if (room)
		mm__count_vmas(thread, WANTS);
	mm__room_give_back(thread);
	return room ? WANTS : 0;
}

#ifdef GIVE
/* As mm_munmap(). */
static int64_t first(struct mm__thread *thread)
{
	mm__room_claim(thread);
	mm__count_vmas(thread, -1);
	mm__room_give_back(thread);
	return -1;
}

/* A thread may have checked before the other one made its VMAs. */
static void check_refusals(void)
{
	assert(made[1] || ROOM < WANTS);
}
#else
static int64_t first(struct mm__thread *thread)
{
	return make_vmas(thread);
}

static void check_refusals(void)
{
	assert(made[0] || made[1] > ROOM - WANTS);
	assert(made[1] || made[0] > ROOM - WANTS);
}
#endif

static void *other(void *arg)
{
	(void)arg;
	made[1] = make_vmas(&model_threads[2]);
	return NULL;
}

static void prepare(void)
{
	for (int i = 1; i <= MODEL_SPACE_THREADS; i++)
		atomic_init(&model_threads[i].room, 0);
	model_threads[3].used = false;
#ifdef PART
	model_mm.room = 0;
	atomic_init(&model_threads[1].room, ROOM);
#else
	model_mm.room = ROOM;
#endif
}

static void check(void)
{
	int64_t left = model_mm.room;

	for (int i = 1; i <= 2; i++) {
		assert(!has_claim(&model_threads[i]) && !load_room(&model_threads[i].claim));
		assert(load_room(&model_threads[i].room) >= 0);
		left += load_room(&model_threads[i].room);
	}
	assert(made[0] + made[1] <= ROOM);
	assert(left == ROOM - made[0] - made[1]);
	check_refusals();
}

int main(void)
{
	pthread_t thread;

	model_init();
	prepare();
	start(other, &thread);
	made[0] = first(&model_threads[1]);
	finish(thread);
	check();
	return 0;
}
