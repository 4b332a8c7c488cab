/* SPDX-License-Identifier: MIT */
/* Like wakeup.c for a reader in the tree: the last range_unlock() is still on its way out. */
#include "actors.h"

#include <sys/mman.h>

struct heir {
	struct range_lock *lock;
	struct range_hold range;
	atomic_bool ready;
};

static void *destroy_after_the_last_release(void *arg)
{
	struct heir *heir = arg;

	atomic_store(&heir->ready, true);
	CHECK_EQ(range_lock(heir->lock, &heir->range, FULL, RANGE_WRITE), 0);
	range_unlock(heir->lock, &heir->range);
	CHECK_EQ(range_lock_destroy(heir->lock), 0);
	CHECK_EQ(munmap(heir->lock, sizeof *heir->lock), 0);
	return NULL;
}

TEST(adoption, a_lock_may_be_destroyed_while_the_last_published_reader_leaves)
{
	uint64_t seed = test_seed("adoption_destroy");

	for (unsigned int round = 0; round < test_scale(20000); round++) {
		struct heir heir;
		struct range_hold range;
		pthread_t thread;

		heir.lock = mmap(NULL, sizeof *heir.lock, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(heir.lock != MAP_FAILED);
		atomic_init(&heir.ready, false);
		init_lock(heir.lock, fairnesses[round % 2], 1);
		make_biased(heir.lock, 0);
		take_published(heir.lock, &range, 10, 30);
		thread = thread_start(destroy_after_the_last_release, &heir);
		AWAIT(atomic_load(&heir.ready));
		spin_ns(test_random_below(&seed, 4000));
		range_unlock(heir.lock, &range);
		thread_join(thread);
	}
}
