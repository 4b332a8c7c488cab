/* SPDX-License-Identifier: MIT */
/*
 * Files and shared anonymous memory, which the VMAs of all address spaces share. The tests look at
 * the program's own mappings of a file in /proc/self/maps, if the system has it.
 */
#define _GNU_SOURCE /* mremap() */
#include "files.h"
#include "mm/attach.h"
#include "mm/bytes.h"
#include "mm/inode.h"
#include "mm/window.h"
#include "threads.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static struct mm__inode *open_pages(int fd, int prot, int flags, uint64_t first, uint64_t n)
{
	struct mm__inode *inode = NULL;
	struct stat status;
	int may;

	CHECK_EQ(mm__file_status(fd, &status), 0);
	CHECK_EQ(mm__inode_open(fd, &status, prot, flags, first, first + n, &inode, &may), 0);
	return inode;
}

static struct mm__inode *open_shared(int fd)
{
	return open_pages(fd, RW, MM_MAP_SHARED, 0, 2);
}

static int make(struct mm__inode *inode, uint64_t index)
{
	return mm__inode_make(inode, index, false);
}

static unsigned char *bytes_of(struct mm__inode *inode, uint64_t index)
{
	CHECK_EQ(make(inode, index), 0);
	return mm__inode_find(inode, index);
}

static int byte_at(struct mm__inode *inode, uint64_t offset)
{
	unsigned char byte;

	mm__bytes_copy(&byte, bytes_of(inode, offset / MM_PAGE_SIZE) + offset % MM_PAGE_SIZE, 1);
	return byte;
}

static void store(struct mm__inode *inode, uint64_t offset, unsigned char byte)
{
	CHECK_EQ(mm__inode_make(inode, offset / MM_PAGE_SIZE, true), 0);
	mm__bytes_copy(bytes_of(inode, offset / MM_PAGE_SIZE) + offset % MM_PAGE_SIZE, &byte, 1);
}

/* The number of mappings of the file in the program, or -1 if the system does not report it. */
static int mappings_of(int fd)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	struct stat status;
	char line[512];
	char number[32];
	int n = 0;

	if (!maps)
		return -1;
	CHECK_EQ(fstat(fd, &status), 0);
	snprintf(number, sizeof(number), " %llu ", (unsigned long long)status.st_ino);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, number) && strstr(line, "/tmp/mm_file.");
	fclose(maps);
	return n;
}

static void check_mappings(int fd, int least, int most)
{
	int n = mappings_of(fd);

	CHECK(n == -1 || (n >= least && n <= most));
}

TEST(mm_inode, is_the_same_for_two_descriptors)
{
	int fd = new_file(PAGES(2)), other_fd = new_file(PAGES(2)), again = reopen(fd, O_RDWR);
	struct mm__inode *a = open_shared(fd), *b = open_shared(again);
	struct mm__inode *other = open_shared(other_fd);

	CHECK(a == b && a != other);
	close(fd);
	close(again);
	CHECK(!mm__inode_find(a, 1));
	CHECK_EQ(byte_at(a, PAGES(1) + 5), file_pattern(PAGES(1) + 5));
	CHECK(mm__inode_find(b, 1));
	CHECK(!mm__inode_find(other, 1));
	mm__inode_put(a);
	CHECK(mm__inode_find(b, 1));
	mm__inode_get(b);
	mm__inode_put(b);
	CHECK(mm__inode_find(b, 1));
	mm__inode_put(b);
	mm__inode_put(other);
	close(other_fd);
}

TEST(mm_inode, is_another_for_each_kind_of_mapping)
{
	int fd = new_file(PAGES(2)), reader = reopen(fd, O_RDONLY);
	struct mm__inode *inodes[] = {
		open_pages(fd, RW, MM_MAP_SHARED, 0, 2),
		open_pages(reader, R, MM_MAP_SHARED, 0, 2),
		open_pages(fd, RW, MM_MAP_PRIVATE, 0, 2),
	};

	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int j = 0; j < i; j++)
			CHECK(inodes[i] != inodes[j]);
	/* Neither the protection of shared VMAs nor the way a private file was opened matters. */
	CHECK(open_pages(fd, R, MM_MAP_SHARED, 0, 2) == inodes[0]);
	CHECK(open_pages(reader, R, MM_MAP_PRIVATE, 0, 2) == inodes[2]);
	mm__inode_put(inodes[0]);
	mm__inode_put(inodes[2]);
	/* All mappings show the same bytes. */
	store(inodes[0], 7, 200);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(byte_at(inodes[i], 7), 200);
	for (unsigned int i = 0; i < 3; i++)
		mm__inode_put(inodes[i]);
	close(reader);
	close(fd);
}

TEST(mm_inode, is_mapped_until_the_last_reference_is_given_back_and_no_longer)
{
	int fd = new_file(PAGES(2));
	struct mm__inode *inode = open_shared(fd);

	store(inode, 3, 200);
	check_mappings(fd, 1, 1);
	CHECK(open_shared(fd) == inode);
	mm__inode_put(inode);
	check_mappings(fd, 1, 1);
	mm__inode_put(inode);
	check_mappings(fd, 0, 0);
	CHECK_EQ(byte_in_file(fd, 3), 200);
	/* The call does not wait for readers of the earlier mapping. */
	inode = open_shared(fd);
	CHECK_EQ(byte_at(inode, 3), 200);
	mm__inode_put(inode);
	check_mappings(fd, 0, 0);
	close(fd);
}

TEST(mm_inode, can_be_looked_at_by_a_reader_that_found_it_before_it_died)
{
	int fd = new_file(PAGES(2));
	struct mm__inode *inode = open_shared(fd);
	unsigned char *bytes = bytes_of(inode, 0), byte;

	CHECK(mm__os_thread_attach());
	mm__rcu_read_lock();
	mm__inode_put(inode);
	CHECK(mm__inode_is_file(inode));
	CHECK(mm__inode_find(inode, 0) == bytes);
	/* Zeroes have replaced the mapping of the file. */
	mm__bytes_copy(&byte, bytes, 1);
	CHECK_EQ(byte, 0);
	mm__rcu_read_unlock();
	CHECK_EQ(byte_in_file(fd, 0), file_pattern(0));
	close(fd);
}

TEST(mm_inode, has_few_windows_however_much_is_mapped_piece_by_piece)
{
	enum { PIECES = 400, DISTANCE = 3000 };
	int fd = new_file(PAGES(1));
	struct mm__inode *inode = open_shared(fd);

	CHECK_EQ(ftruncate(fd, (off_t)PAGES((PIECES + 1) * DISTANCE)), 0);
	for (unsigned int i = 1; i <= PIECES; i++) {
		unsigned char byte = (unsigned char)i;
		uint64_t offset = PAGES(i * DISTANCE) + i;

		CHECK_EQ(pwrite(fd, &byte, 1, (off_t)offset), 1);
		CHECK(open_pages(fd, RW, MM_MAP_SHARED, i * DISTANCE, 1) == inode);
		CHECK_EQ(byte_at(inode, offset), byte);
		mm__inode_put(inode);
	}
	check_mappings(fd, 1, PIECES / 4);
	/* Opening a piece that is covered already adds no mapping, either. */
	for (unsigned int i = 1; i <= PIECES; i++) {
		CHECK(open_pages(fd, RW, MM_MAP_SHARED, i * DISTANCE, 1) == inode);
		mm__inode_put(inode);
	}
	check_mappings(fd, 1, PIECES / 4);
	mm__inode_put(inode);
	check_mappings(fd, 0, 0);
	close(fd);
}

TEST(mm_inode, a_window_reaches_to_the_last_page_that_was_asked_for)
{
	static const uint64_t ends[] = { 1, 63, 64, 65, 127, 128, 129, 193, 4097 };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct mm__windows windows;
		int fd = new_file(PAGES(ends[i]));
		struct stat status;

		CHECK_EQ(mm__file_status(fd, &status), 0);
		mm__windows_init(&windows, MM__FILE_WRITABLE);
		CHECK_EQ(mm__windows_cover(&windows, fd, &status, 0, ends[i]), 0);
		for (uint64_t page = 0; page < ends[i]; page++)
			CHECK_EQ(mm__windows_make_ready(&windows, page, false), 0);
		mm__windows_destroy(&windows);
		close(fd);
	}
}

#ifdef MREMAP_DONTUNMAP
void *__real_mremap(void *old, size_t old_size, size_t new_size, int flags, ...);
void *__wrap_mremap(void *old, size_t old_size, size_t new_size, int flags, ...);

/* If set, moved pages have room to grow behind their new place. */
static size_t room;

void *__wrap_mremap(void *old, size_t old_size, size_t new_size, int flags, ...)
{
	char *place;

	if (!room || !(flags & MREMAP_DONTUNMAP))
		return __real_mremap(old, old_size, new_size, flags);
	place = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(place != MAP_FAILED);
	CHECK_EQ(munmap(place + new_size, room - new_size), 0);
	return __real_mremap(old, old_size, new_size, flags | MREMAP_FIXED, place);
}

TEST(mm_inode, a_mapping_that_grew_where_it_was_is_there)
{
	int fd = new_file(PAGES(8));
	char *bytes, *grown;

	CHECK_EQ(mm__file_map(fd, MM__FILE_PRIVATE, 0, 2, &bytes), 0);
	grown = bytes;
	room = PAGES(8);
	if (mm__file_map_more(MM__FILE_PRIVATE, 2, 8, &grown)) {
		puts("skipped: mremap(2) does not keep the old mapping of a file");
	} else {
		CHECK_EQ((unsigned char)grown[0], file_pattern(0));
		CHECK_EQ((unsigned char)grown[PAGES(7)], file_pattern(PAGES(7)));
		mm__file_unmap(grown, 8);
	}
	room = 0;
	mm__file_unmap(bytes, 2);
	close(fd);
}
#endif

TEST(mm_inode, reaches_as_far_as_mappings_grow)
{
	static const int flags[] = { MM_MAP_SHARED, MM_MAP_SHARED, MM_MAP_PRIVATE };
	static const uint64_t far[] = { 64, 100, 1000, 4000, 4001 };
	int fd = new_file(PAGES(1));

	CHECK_EQ(ftruncate(fd, (off_t)PAGES(4002)), 0);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		unsigned char byte = (unsigned char)(i + 1);

		CHECK_EQ(pwrite(fd, &byte, 1, (off_t)PAGES(far[i])), 1);
	}
	for (size_t kind = 0; kind < 3; kind++) {
		int mine = kind == 1 ? reopen(fd, O_RDONLY) : reopen(fd, O_RDWR);
		struct mm__inode *inode = open_pages(mine, R, flags[kind], 0, 1);
		int error;

		close(mine);
		CHECK_EQ(byte_at(inode, 0), file_pattern(0));
		error = make(inode, 64);
		if (error) {
			CHECK_EQ(error, ENOMEM);
			puts("skipped: the system has no mremap() that maps a file again");
		}
		for (size_t i = 0; !error && i < sizeof(far) / sizeof(far[0]); i++)
			CHECK_EQ(byte_at(inode, PAGES(far[i])), (int)i + 1);
		/* A pointer that was found earlier still works. */
		CHECK_EQ(byte_at(inode, 0), file_pattern(0));
		if (!error)
			CHECK_EQ(make(inode, 4002), EFAULT);
		CHECK_EQ(make(inode, UINT64_C(1) << 51), EFAULT);
		mm__inode_put(inode);
	}
	close(fd);
}

TEST(mm_inode, a_page_is_there_as_long_as_the_file_has_it)
{
	int fd = new_file(PAGES(1) + 1);
	struct mm__inode *inode = open_shared(fd);

	CHECK_EQ(byte_at(inode, PAGES(1)), file_pattern(PAGES(1)));
	CHECK_EQ(byte_at(inode, PAGES(1) + 1), 0);
	CHECK_EQ(make(inode, 2), EFAULT);
	CHECK(!mm__inode_find(inode, 2));
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(1)), 0);
	CHECK_EQ(make(inode, 1), EFAULT);
	CHECK_EQ(mm__inode_make(inode, 1, true), EFAULT);
	CHECK_EQ(ftruncate(fd, (off_t)PAGES(3)), 0);
	CHECK_EQ(byte_at(inode, PAGES(1)), 0);
	CHECK_EQ(byte_at(inode, PAGES(2)), 0);
	mm__inode_put(inode);
	close(fd);
}

TEST(mm_inode, shared_memory_has_frames_of_the_pool_until_it_dies)
{
	struct mm__frames *pool = mm__frames_create(2);
	struct mm__inode *inode, *other;
	unsigned char byte;

	CHECK_EQ(mm__inode_anonymous(pool, 3, &inode), 0);
	CHECK_EQ(mm__inode_anonymous(pool, 3, &other), 0);
	CHECK(inode != other && !mm__inode_is_file(inode));
	CHECK(!mm__inode_find(inode, 1));
	CHECK_EQ(byte_at(inode, PAGES(1)), 0);
	store(inode, PAGES(1) + 9, 200);
	mm__frame_dirtied(mm__frame_of(mm__inode_find(inode, 1)), 9, 1);
	CHECK_EQ(byte_at(inode, PAGES(1) + 9), 200);
	CHECK_EQ(byte_at(other, PAGES(1) + 9), 0);
	CHECK_EQ(make(inode, 3), EFAULT);
	CHECK_EQ(make(inode, 2), ENOMEM);
	CHECK_EQ(mm__inode_sync(inode, 0, 3), 0);
	CHECK(mm__os_thread_attach());
	mm__rcu_read_lock();
	mm__inode_put(inode);
	mm__bytes_copy(&byte, (unsigned char *)mm__inode_find(inode, 1) + 9, 1);
	CHECK_EQ(byte, 200);
	mm__rcu_read_unlock();
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(pool), 1);
	CHECK_EQ(byte_at(other, PAGES(2) + 9), 0);
	mm__inode_put(other);
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(pool), 0);
	mm__frames_put(pool);
}

/*
 * Many threads make the same page
 */

enum { MAKERS = 4 };

static struct mm__inode *wanted;
static pthread_barrier_t together;
static void *found[MAKERS];

static void *make_one(void *arg)
{
	pthread_barrier_wait(&together);
	CHECK_EQ(make(wanted, 5), 0);
	*(void **)arg = mm__inode_find(wanted, 5);
	return NULL;
}

TEST(mm_inode, a_page_of_shared_memory_is_made_once)
{
	struct mm__frames *pool = mm__frames_create(UINT64_MAX);
	unsigned int rounds = test_scale(200);

	CHECK_EQ(pthread_barrier_init(&together, NULL, MAKERS), 0);
	while (rounds--) {
		pthread_t threads[MAKERS];

		CHECK_EQ(mm__inode_anonymous(pool, 6, &wanted), 0);
		for (unsigned int i = 0; i < MAKERS; i++)
			threads[i] = thread_start(make_one, &found[i]);
		for (unsigned int i = 0; i < MAKERS; i++)
			thread_join(threads[i]);
		for (unsigned int i = 0; i < MAKERS; i++)
			CHECK(found[i] && found[i] == found[0]);
		mm__inode_put(wanted);
		mm__rcu_barrier();
		CHECK_EQ(mm__frames_handed_out(pool), 0);
	}
	CHECK_EQ(pthread_barrier_destroy(&together), 0);
	mm__frames_put(pool);
}
