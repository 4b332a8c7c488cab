/* SPDX-License-Identifier: MIT */
/*
 * Threads open, read, find, write, sync and put a few files at random. In each page a thread has a
 * word of its own, which only it writes: so it knows what has to be there, through whichever inode
 * and after however many last puts, and in the file after each sync.
 *
 * Each file has an inode that is published as an area's would be: found in a read section by those
 * who have no reference.
 */
#include "mm/bytes.h"
#include "mm/cpu.h"
#include "mm/frames.h"
#include "mm/inode.h"
#include "mm/rcu.h"
#include "test.h"
#include "threads.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define NR_THREADS 4u
#define NR_FILES   2u
#define NR_PAGES   150u
#define RW         (MM_PROT_READ | MM_PROT_WRITE)

static struct {
	int fd;
	_Atomic(struct mm__inode *) published;
} files[NR_FILES];

struct worker {
	unsigned int number;
	uint64_t seed;
	uint64_t words[NR_FILES][NR_PAGES];
};

static unsigned int steps;

static int make_file(void)
{
	char path[] = "/tmp/inode_torture.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(ftruncate(fd, NR_PAGES * (off_t)MM_PAGE_SIZE), 0);
	return fd;
}

static void *word_in(const struct worker *worker, struct mm__frame *frame)
{
	return (char *)mm__frame_bytes(frame) + worker->number * sizeof(uint64_t);
}

static void check_frame(struct worker *worker, unsigned int file, unsigned int page,
			struct mm__frame *frame)
{
	uint64_t word;

	mm__bytes_copy(&word, word_in(worker, frame), sizeof(word));
	CHECK_EQ(word, worker->words[file][page]);
}

static void check_file(struct worker *worker, unsigned int file, unsigned int page)
{
	uint64_t offset = page * MM_PAGE_SIZE + worker->number * sizeof(uint64_t);
	uint64_t word;

	CHECK_EQ(pread(files[file].fd, &word, sizeof(word), (off_t)offset), sizeof(word));
	CHECK_EQ(word, worker->words[file][page]);
}

static struct mm__inode *open_file(unsigned int file)
{
	struct mm__inode *inode = NULL;

	CHECK_EQ(mm__inode_open(files[file].fd, RW, MM_MAP_SHARED, &inode), 0);
	return inode;
}

/* Reads, writes and syncs, with a reference. */
static void use_file(struct worker *worker, unsigned int file)
{
	struct mm__inode *inode = open_file(file);
	uint64_t n = test_random_below(&worker->seed, 8);

	while (n--) {
		unsigned int page = (unsigned int)test_random_below(&worker->seed, NR_PAGES);
		struct mm__frame *frame = NULL;

		CHECK_EQ(mm__inode_read(inode, page, &frame), 0);
		check_frame(worker, file, page, frame);
		if (test_random_below(&worker->seed, 2)) {
			worker->words[file][page]++;
			mm__inode_set_dirty(inode, page);
			mm__bytes_copy(word_in(worker, frame), &worker->words[file][page],
				       sizeof(uint64_t));
		}
		if (!test_random_below(&worker->seed, 8)) {
			CHECK_EQ(mm__inode_sync(inode, page, page + 1), 0);
			check_file(worker, file, page);
		}
	}
	mm__inode_put(inode);
}

/* Finds pages without a reference to anything. Returns whether there was one. */
static bool find_page(struct worker *worker, unsigned int file)
{
	unsigned int page = (unsigned int)test_random_below(&worker->seed, NR_PAGES);
	struct mm__frame *frame = NULL;
	struct mm__inode *inode;

	mm__rcu_read_lock();
	/* acquire: pairs with the exchange in publish() */
	inode = atomic_load_explicit(&files[file].published, memory_order_acquire);
	if (inode)
		frame = mm__inode_find(inode, page);
	if (frame && test_random_below(&worker->seed, 2)) {
		mm__frame_get(frame);
		mm__rcu_read_unlock();
		check_frame(worker, file, page, frame);
		mm__frame_put(frame);
		return true;
	}
	if (frame)
		check_frame(worker, file, page, frame);
	mm__rcu_read_unlock();
	return frame != NULL;
}

static void publish(unsigned int file, struct mm__inode *inode)
{
	struct mm__inode *old;

	old = atomic_exchange_explicit(&files[file].published, inode, memory_order_acq_rel);
	if (old)
		mm__inode_put(old);
}

static void *run_worker(void *arg)
{
	struct worker *worker = arg;
	unsigned int found = 0;

	CHECK(mm__thread_attach());
	for (unsigned int i = 0; i < steps; i++) {
		unsigned int file = (unsigned int)test_random_below(&worker->seed, NR_FILES);
		uint64_t what = test_random_below(&worker->seed, 32);

		if (what < 1)
			publish(file, NULL);
		else if (what < 3)
			publish(file, open_file(file));
		else if (what < 12)
			use_file(worker, file);
		else
			found += find_page(worker, file);
	}
	CHECK(found);
	return NULL;
}

TEST(inode_torture, no_word_is_lost)
{
	static struct worker workers[NR_THREADS];
	pthread_t threads[NR_THREADS];
	uint64_t seed = test_seed("inode_torture");

	steps = test_scale(100000);
	for (unsigned int i = 0; i < NR_FILES; i++)
		files[i].fd = make_file();
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		workers[i] = (struct worker){ .number = i, .seed = test_random(&seed) };
		threads[i] = thread_start(run_worker, &workers[i]);
	}
	for (unsigned int i = 0; i < NR_THREADS; i++)
		thread_join(threads[i]);
	for (unsigned int i = 0; i < NR_FILES; i++) {
		publish(i, NULL);
		for (unsigned int t = 0; t < NR_THREADS; t++)
			for (unsigned int page = 0; page < NR_PAGES; page++)
				check_file(&workers[t], i, page);
		close(files[i].fd);
	}
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(mm__frames_page_cache()), 0);
}
