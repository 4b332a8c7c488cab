/* SPDX-License-Identifier: MIT */
/*
 * Threads open, make, find, write, sync and put a few files at random. In each page each thread has
 * a word of its own, which only it writes. So it knows the word's value, through each inode and in
 * the file, after any number of last puts.
 *
 * Each file has an inode that is published as that of a VMA is: threads without a reference find it
 * in a read section.
 */
#include "mm/attach.h"
#include "mm/bytes.h"
#include "mm/file.h"
#include "mm/inode.h"
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

static void *word_in(const struct worker *worker, void *bytes)
{
	return (char *)bytes + worker->number * sizeof(uint64_t);
}

static uint64_t load_word(const struct worker *worker, void *bytes)
{
	uint64_t word;

	mm__bytes_copy(&word, word_in(worker, bytes), sizeof(word));
	return word;
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
	struct stat status;
	int may;

	CHECK_EQ(mm__file_status(files[file].fd, &status), 0);
	CHECK_EQ(mm__inode_open(files[file].fd, &status, RW, MM_MAP_SHARED, 0, NR_PAGES, &inode,
				&may),
		 0);
	return inode;
}

/* Reads, writes and syncs, with a reference. */
static void use_file(struct worker *worker, unsigned int file)
{
	struct mm__inode *inode = open_file(file);
	uint64_t n = test_random_below(&worker->seed, 8);

	while (n--) {
		unsigned int page = (unsigned int)test_random_below(&worker->seed, NR_PAGES);
		void *bytes;

		CHECK_EQ(mm__inode_make(inode, page, true), 0);
		bytes = mm__inode_find(inode, page);
		CHECK_EQ(load_word(worker, bytes), worker->words[file][page]);
		if (test_random_below(&worker->seed, 2)) {
			worker->words[file][page]++;
			mm__bytes_copy(word_in(worker, bytes), &worker->words[file][page],
				       sizeof(uint64_t));
			check_file(worker, file, page);
		}
		if (!test_random_below(&worker->seed, 64))
			CHECK_EQ(mm__inode_sync(inode, page, page + 1), 0);
	}
	mm__inode_put(inode);
}

/*
 * Finds pages without a reference. Once the inode has died, they read as zeroes. Returns whether
 * there was an inode.
 */
static bool find_page(struct worker *worker, unsigned int file)
{
	unsigned int page = (unsigned int)test_random_below(&worker->seed, NR_PAGES);
	void *bytes = NULL;
	struct mm__inode *inode;

	mm__rcu_read_lock();
	/* acquire: pairs with the exchange in publish() */
	inode = atomic_load_explicit(&files[file].published, memory_order_acquire);
	if (inode)
		bytes = mm__inode_find(inode, page);
	if (bytes) {
		uint64_t word = load_word(worker, bytes);

		/*
		 * If the inode is still published, it had not died when the thread read the word.
		 */
		if (inode == atomic_load_explicit(&files[file].published, memory_order_acquire))
			CHECK_EQ(word, worker->words[file][page]);
		else
			CHECK(!word || word == worker->words[file][page]);
	}
	mm__rcu_read_unlock();
	return bytes != NULL;
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

	CHECK(mm__os_thread_attach());
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

	steps = test_scale(50000);
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
}
