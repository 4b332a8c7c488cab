/* SPDX-License-Identifier: MIT */
/*
 * An observer that looks while an operation is under way sees all of it, or nothing.
 */
#include "spaces.h"
#include "threads.h"

#define WINDOW 1200u /* pages: three tables */

struct scene {
	struct mm *mm;
	atomic_bool over;
	atomic_uint rounds; /* the number of operations that have begun */
	atomic_uint seen;   /* the number of rounds whose end the observer has seen */
	pthread_t observer;
};

static struct scene *new_scene(enum mm_locking locking, void *(*observe)(void *))
{
	static struct scene scene;

	scene.mm = new_space_locking(locking);
	atomic_store(&scene.over, false);
	atomic_store(&scene.rounds, 0);
	atomic_store(&scene.seen, 0);
	map(scene.mm, 0, WINDOW, RW);
	scene.observer = thread_start(observe, &scene);
	return &scene;
}

static void end_scene(struct scene *scene)
{
	atomic_store(&scene->over, true);
	thread_join(scene->observer);
	end_space(scene->mm);
}

/* Each page can be read at any time. */
static void *see_no_gap(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; !atomic_load(&scene->over); i++) {
		int byte = peek(scene->mm, AT(i * 7 % WINDOW));

		CHECK(byte == 0 || byte == 1);
		atomic_fetch_add(&scene->seen, 1);
	}
	return NULL;
}

TEST(mm_atomicity, a_fixed_mapping_replaces_another_without_a_gap)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *scene = new_scene(lockings[i], see_no_gap);

		for (unsigned int round = 0; round < test_scale(500); round++) {
			poke(scene->mm, AT(round % WINDOW), 1);
			map(scene->mm, 0, WINDOW, round % 2 ? R : RW);
			map(scene->mm, 100, 500, RW);
			map(scene->mm, 0, WINDOW, RW);
			AWAIT(atomic_load(&scene->seen) > round);
		}
		end_scene(scene);
	}
}

/* Once the observer has seen the last page empty, the first page is empty, too. */
static void *see_no_remains(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int round = 1;; round++) {
		AWAIT(atomic_load(&scene->rounds) >= round || atomic_load(&scene->over));
		if (atomic_load(&scene->over))
			return NULL;
		AWAIT(peek(scene->mm, AT(0)) == 0);
		CHECK_EQ(peek(scene->mm, AT(WINDOW - 1)), 0);
		CHECK_EQ(peek(scene->mm, AT(WINDOW / 2)), 0);
		atomic_store(&scene->seen, round);
	}
}

TEST(mm_atomicity, a_fixed_mapping_replaces_all_pages_at_once)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *scene = new_scene(lockings[i], see_no_remains);

		for (unsigned int round = 1; round <= test_scale(500); round++) {
			for (unsigned int page = 0; page < WINDOW; page++)
				CHECK_EQ(poke(scene->mm, AT(page), 1), 0);
			atomic_store(&scene->rounds, round);
			map(scene->mm, 0, WINDOW, RW);
			AWAIT(atomic_load(&scene->seen) == round);
		}
		end_scene(scene);
	}
}

/*
 * Once the observer has seen a page at the new place, none is left at the old one. A look that
 * comes too early waits until the operation is over. So the first look comes at a random moment,
 * before about the end of the operation.
 */
static void *see_one_place(void *arg)
{
	struct scene *scene = arg;
	uint64_t seed = test_seed("mm_atomicity/moves"), longest = 1000;

	for (unsigned int round = 1;; round++) {
		uint64_t begin;

		AWAIT(atomic_load(&scene->rounds) >= round || atomic_load(&scene->over));
		if (atomic_load(&scene->over))
			return NULL;
		begin = now_ns();
		spin_ns(test_random_below(&seed, longest));
		AWAIT(peek(scene->mm, AT(2 * WINDOW)) == 1);
		longest = now_ns() - begin + 1000 < 100000 ? now_ns() - begin + 1000 : 100000;
		CHECK_EQ(peek(scene->mm, AT(WINDOW - 1)), -MM_SEGV_MAPERR);
		CHECK_EQ(peek(scene->mm, AT(WINDOW / 2)), -MM_SEGV_MAPERR);
		CHECK_EQ(peek(scene->mm, AT(3 * WINDOW - 1)), 1);
		atomic_store(&scene->seen, round);
	}
}

static void move_window(struct mm *mm, unsigned int from, unsigned int to)
{
	uint64_t result;

	CHECK_EQ(mm_mremap(mm, AT(from), PAGES(WINDOW), PAGES(WINDOW),
			   MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(to), &result),
		 0);
}

TEST(mm_atomicity, a_moved_mapping_is_never_at_both_places)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *scene = new_scene(lockings[i], see_one_place);

		for (unsigned int page = 0; page < WINDOW; page++)
			CHECK_EQ(poke(scene->mm, AT(page), 1), 0);
		for (unsigned int round = 1; round <= test_scale(2000); round++) {
			atomic_store(&scene->rounds, round);
			move_window(scene->mm, 0, 2 * WINDOW);
			AWAIT(atomic_load(&scene->seen) == round);
			move_window(scene->mm, 2 * WINDOW, 0);
		}
		end_scene(scene);
	}
}

/* Once a write has been refused, all later writes are. */
static void *see_no_late_write(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int round = 1;; round++) {
		AWAIT(atomic_load(&scene->rounds) >= round || atomic_load(&scene->over));
		if (atomic_load(&scene->over))
			return NULL;
		AWAIT(poke(scene->mm, AT(0), 1));
		CHECK_EQ(poke(scene->mm, AT(WINDOW - 1), 2), -MM_SEGV_ACCERR);
		atomic_store(&scene->seen, round);
	}
}

TEST(mm_atomicity, write_permission_is_taken_from_all_pages_at_once)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct scene *scene = new_scene(lockings[i], see_no_late_write);

		for (unsigned int page = 0; page < WINDOW; page++)
			CHECK_EQ(poke(scene->mm, AT(page), 1), 0);
		for (unsigned int round = 1; round <= test_scale(500); round++) {
			atomic_store(&scene->rounds, round);
			CHECK_EQ(mm_mprotect(scene->mm, AT(0), PAGES(WINDOW), R), 0);
			AWAIT(atomic_load(&scene->seen) == round);
			CHECK_EQ(mm_mprotect(scene->mm, AT(0), PAGES(WINDOW), RW), 0);
		}
		end_scene(scene);
	}
}
