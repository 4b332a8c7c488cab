/* SPDX-License-Identifier: MIT */
/*
 * The child of fork(2) makes spaces of its own, in whatever state the threads of its parent left
 * theirs at that moment.
 */
#include "files.h"
#include "forks.h"

enum { WORKERS = 4, FAMILIES = 3 };

static struct mm *parents_space;
static int parents_file;
static atomic_bool stop;
static atomic_uint rounds[WORKERS];

/* Uses all kinds of memory, copies the space, and ends both. */
static void use_spaces(int file)
{
	struct mm *mm = new_space(), *copy;
	uint64_t brk;

	map(mm, 0, 4, RW);
	map_as(mm, 8, 4, RW, SHARED);
	map_file_at(mm, 16, 2, RW, MM_MAP_SHARED, file, 0);
	map_file_at(mm, 20, 2, RW, MM_MAP_PRIVATE, file, 0);
	for (unsigned int at = 0; at < 24; at += 4)
		CHECK_EQ(poke(mm, AT(at == 4 ? 1 : at == 12 ? 9 : at), (int)at + 1), 0);
	CHECK_EQ(mm_brk(mm, UINT64_C(0x555555560000), &brk), 0);
	CHECK_EQ(mm_fork(mm, &copy), 0);
	CHECK_EQ(poke(mm, AT(0), 77), 0);
	CHECK_EQ(peek(copy, AT(0)), 1);
	CHECK_EQ(peek(copy, AT(8)), 9);
	CHECK_EQ(mm_munmap(mm, AT(8), PAGES(2)), 0);
	CHECK_EQ(stats_of(copy).areas, 5);
	mm_destroy(copy);
	mm_destroy(mm);
}

static void *work(void *arg)
{
	atomic_uint *round = arg;
	struct mm_stats stats;
	uint64_t addr;

	do {
		CHECK_EQ(mm_mmap(parents_space, 0, PAGES(8), RW, SHARED, -1, 0, &addr), 0);
		CHECK_EQ(poke(parents_space, addr, 1), 0);
		CHECK_EQ(mm_munmap(parents_space, addr, PAGES(8)), 0);
		mm_get_stats(parents_space, &stats, sizeof(stats));
		use_spaces(parents_file);
		atomic_fetch_add(round, 1);
	} while (!atomic_load(&stop));
	return NULL;
}

static void be_a_child(void *arg)
{
	int file = new_file(PAGES(2));

	(void)arg;
	for (unsigned int i = 0; i < FAMILIES; i++) {
		use_spaces(parents_file);
		use_spaces(file);
	}
}

/*
 * In a child, the allocator of GCC 12's AddressSanitizer stays locked if another thread was in it.
 * So with it the other threads end after one round.
 */
#ifdef __SANITIZE_ADDRESS__
#define WITHOUT_FORK_HANDLERS true
#else
#define WITHOUT_FORK_HANDLERS false
#endif

static void start_workers(pthread_t *threads)
{
	atomic_store(&stop, WITHOUT_FORK_HANDLERS);
	if (WITHOUT_FORK_HANDLERS)
		puts("skipped: calls of the parent's threads during fork()");
	for (unsigned int i = 0; i < WORKERS; i++) {
		atomic_store(&rounds[i], 0);
		threads[i] = thread_start(work, &rounds[i]);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		AWAIT(atomic_load(&rounds[i]));
}

static void stop_workers(pthread_t *threads)
{
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < WORKERS; i++)
		thread_join(threads[i]);
}

static void begin(void)
{
	parents_space = new_space();
	parents_file = new_file(PAGES(2));
}

static void end(void)
{
	end_space(parents_space);
	close(parents_file);
}

TEST(mm_child, makes_spaces_while_its_parents_threads_use_theirs)
{
	pthread_t threads[WORKERS];

	begin();
	start_workers(threads);
	for (unsigned int i = 0; i < test_scale(100); i++)
		check_in_child(be_a_child, NULL);
	stop_workers(threads);
	end();
}

/* The thread that forks has used spaces, and has garbage to free. */
TEST(mm_child, makes_spaces_in_a_thread_that_used_its_parents)
{
	begin();
	use_spaces(parents_file);
	for (unsigned int i = 0; i < test_scale(30); i++) {
		uint64_t addr;

		CHECK_EQ(mm_mmap(parents_space, 0, PAGES(8), RW, SHARED, -1, 0, &addr), 0);
		CHECK_EQ(poke(parents_space, addr, 1), 0);
		CHECK_EQ(mm_munmap(parents_space, addr, PAGES(8)), 0);
		check_in_child(be_a_child, NULL);
	}
	end();
}

/*
 * The end of the thread that forked. Existing C libraries call destructors in the order of their
 * keys, so this destructor runs last in the child.
 */
static pthread_key_t last_key;

static void leave(void *arg)
{
	(void)arg;
	_exit(0);
}

static void end_thread(void *arg)
{
	be_a_child(NULL);
	CHECK_EQ(pthread_key_create(&last_key, leave), 0);
	CHECK_EQ(pthread_setspecific(last_key, arg), 0);
	pthread_exit(NULL);
}

static void *use_and_fork(void *arg)
{
	use_spaces(parents_file);
	CHECK_EQ(poke(parents_space, AT(0), 1), 0);
	check_in_child(end_thread, arg);
	return NULL;
}

TEST(mm_child, may_end_a_thread_that_used_its_parents_spaces)
{
	pthread_t threads[WORKERS];

	begin();
	map(parents_space, 0, 1, RW);
	start_workers(threads);
	for (unsigned int i = 0; i < test_scale(30); i++)
		thread_join(thread_start(use_and_fork, &last_key));
	stop_workers(threads);
	end();
}

/* A grandchild can do the same. */
static void fork_again(void *arg)
{
	be_a_child(arg);
	check_in_child(be_a_child, arg);
	be_a_child(arg);
}

TEST(mm_child, may_fork_again)
{
	begin();
	check_in_child(fork_again, NULL);
	end();
}
