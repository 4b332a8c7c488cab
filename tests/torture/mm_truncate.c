/* SPDX-License-Identifier: MIT */
/*
 * A file shrinks and grows all the time, by ftruncate(2) and write(2), while threads read and write
 * it through mappings of two spaces with different locks, unmap and map it, and fork. Each access
 * succeeds, or reports that the file ends before it. No thread crashes, and none reads a value that
 * no thread has written there. Below the size that the file always has, each access succeeds, and
 * no write is lost.
 */
#include "files.h"
#include "threads.h"

#define NR_THREADS 16u /* for each space */
#define NR_PAGES   12u
#define KEPT       4u /* pages that the file never loses */

static int fd;
static struct mm *spaces[2];
static _Atomic(unsigned int) working;
static unsigned int steps;

struct worker {
	struct mm *mm;
	unsigned int number;
	uint64_t seed;
	uint64_t words[KEPT]; /* the values that this thread alone has written to the shared mapping
			       */
	unsigned int ended;
};

#define SHARED_AT  0u
#define PRIVATE_AT 50u
/* The place where worker i maps and unmaps. */
#define OWN_AT(i) (100u + 50u * (i))

static uint64_t word_of(const struct worker *w, unsigned int first, unsigned int page)
{
	return AT(first + page) + 8 * w->number;
}

/* A value is 0, or contains the number of its page. */
static uint64_t value_of(unsigned int page, uint64_t n)
{
	return n << 8 | (page + 1);
}

static bool check_access(struct worker *w, int error, const struct mm_siginfo *info, uint64_t addr,
			 unsigned int page)
{
	if (!error)
		return true;
	CHECK_EQ(error, EFAULT);
	CHECK_EQ(info->code, MM_BUS_ADRERR);
	CHECK_EQ(info->addr, addr);
	CHECK(page >= KEPT);
	w->ended++;
	return false;
}

static void read_word(struct worker *w, unsigned int first, unsigned int page)
{
	uint64_t addr = word_of(w, first, page), word = 0;
	struct mm_siginfo info = { 0, 0 };
	int error = mm_read(w->mm, addr, &word, sizeof(word), &info);

	if (!check_access(w, error, &info, addr, page))
		return;
	if (page < KEPT && first == SHARED_AT)
		CHECK_EQ(word, w->words[page]);
	else
		CHECK(!word || word % 256 == page + 1);
}

static void write_word(struct worker *w, unsigned int first, unsigned int page)
{
	uint64_t addr = word_of(w, first, page);
	uint64_t word = value_of(page, test_random(&w->seed) >> 8);
	struct mm_siginfo info = { 0, 0 };
	int error = mm_write(w->mm, addr, &word, sizeof(word), &info);

	if (check_access(w, error, &info, addr, page) && page < KEPT && first == SHARED_AT)
		w->words[page] = word;
}

static void map_own(struct worker *w)
{
	unsigned int first = OWN_AT(w->number);
	int type = test_random_below(&w->seed, 2) ? MM_MAP_SHARED : MM_MAP_PRIVATE;

	map_file_at(w->mm, first, NR_PAGES, RW, type, fd, 0);
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int page = (unsigned int)test_random_below(&w->seed, NR_PAGES);
		uint64_t word;
		int error = mm_read(w->mm, word_of(w, first, page), &word, sizeof(word), NULL);

		CHECK(!error || (error == EFAULT && page >= KEPT));
		CHECK(error || page >= KEPT || type != MM_MAP_SHARED || word == w->words[page]);
	}
	CHECK_EQ(mm_munmap(w->mm, AT(first), PAGES(NR_PAGES)), 0);
}

static void do_rarely(struct worker *w)
{
	struct mm *child;
	int error;

	switch (test_random_below(&w->seed, 4)) {
	case 0:
		map_own(w);
		break;
	case 1:
		CHECK_EQ(mm_madvise(w->mm, AT(PRIVATE_AT), PAGES(NR_PAGES), MM_MADV_DONTNEED), 0);
		break;
	case 2:
		error = mm_fault(w->mm, AT(PRIVATE_AT + NR_PAGES - 1), W, NULL);
		CHECK(!error || error == EFAULT);
		break;
	default:
		CHECK_EQ(mm_fork(w->mm, &child), 0);
		for (unsigned int page = 0; page < KEPT; page++) {
			uint64_t word;

			CHECK_EQ(mm_read(child, word_of(w, SHARED_AT, page), &word, 8, NULL), 0);
			CHECK_EQ(word, w->words[page]);
		}
		mm_destroy(child);
	}
}

static void *use_mappings(void *arg)
{
	struct worker *w = arg;

	/* Until the thread has seen the file shrink: otherwise the test would test nothing. */
	for (unsigned int i = 0; i < steps || !w->ended; i++) {
		unsigned int first = test_random_below(&w->seed, 2) ? SHARED_AT : PRIVATE_AT;
		unsigned int page = (unsigned int)test_random_below(&w->seed, NR_PAGES);

		if (!test_random_below(&w->seed, 100))
			do_rarely(w);
		else if (test_random_below(&w->seed, 2))
			read_word(w, first, page);
		else
			write_word(w, first, page);
	}
	atomic_fetch_sub(&working, 1);
	return NULL;
}

static void *change_size(void *arg)
{
	uint64_t *seed = arg;

	while (atomic_load(&working)) {
		/*
		 * The file ends behind the words of its last page, and write() writes to none of
		 * them.
		 */
		uint64_t size = PAGES(KEPT + test_random_below(seed, NR_PAGES - KEPT)) + 300 +
				test_random_below(seed, MM_PAGE_SIZE - 300);
		unsigned char zero = 0;

		if (test_random_below(seed, 2))
			CHECK_EQ(ftruncate(fd, (off_t)size), 0);
		else
			CHECK_EQ(pwrite(fd, &zero, 1, (off_t)size - 1), 1);
		sched_yield();
	}
	return NULL;
}

TEST(mm_truncate, every_access_succeeds_or_finds_the_end)
{
	static struct worker workers[2 * NR_THREADS];
	pthread_t threads[2 * NR_THREADS], resizer;
	uint64_t seed = test_seed("mm_truncate"), sizes = test_random(&seed);

	steps = test_scale(20000);
	fd = new_file(0);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(NR_PAGES)), 0);
	spaces[0] = new_space();
	spaces[1] = new_space_locking(MM_LOCKING_RANGE);
	atomic_store(&working, 2 * NR_THREADS);
	for (unsigned int i = 0; i < 2; i++) {
		map_file_at(spaces[i], SHARED_AT, NR_PAGES, RW, MM_MAP_SHARED, fd, 0);
		map_file_at(spaces[i], PRIVATE_AT, NR_PAGES, RW, MM_MAP_PRIVATE, fd, 0);
	}
	resizer = thread_start(change_size, &sizes);
	for (unsigned int i = 0; i < 2 * NR_THREADS; i++) {
		workers[i] = (struct worker){ .mm = spaces[i % 2],
					      .number = i,
					      .seed = test_random(&seed) };
		threads[i] = thread_start(use_mappings, &workers[i]);
	}
	for (unsigned int i = 0; i < 2 * NR_THREADS; i++)
		thread_join(threads[i]);
	thread_join(resizer);
	for (unsigned int i = 0; i < 2; i++)
		end_space(spaces[i]);
	for (unsigned int i = 0; i < 2 * NR_THREADS; i++)
		for (unsigned int page = 0; page < KEPT; page++) {
			uint64_t word;

			CHECK_EQ(pread(fd, &word, 8, (off_t)(PAGES(page) + 8 * i)), 8);
			CHECK_EQ(word, workers[i].words[page]);
		}
	close(fd);
}
