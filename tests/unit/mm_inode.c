/* SPDX-License-Identifier: MIT */
/*
 * Files and shared anonymous memory, as the areas of all address spaces share them. Calls to the
 * system are counted, and can be held up, cut short and made fail (--wrap of the linker).
 */
#define _GNU_SOURCE /* O_PATH */
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
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define R      MM_PROT_READ
#define RW     (MM_PROT_READ | MM_PROT_WRITE)
#define SHARED MM_MAP_SHARED
#define PAGE   ((size_t)MM_PAGE_SIZE)

/* What the calls to the system do. */
static struct {
	_Atomic(unsigned int) reads;
	_Atomic(unsigned int) writes;
	_Atomic(int) read_error;  /* of the next read only */
	_Atomic(int) write_error; /* of the next write only */
	_Atomic(size_t) most;     /* bytes at once; 0: all */
	_Atomic(bool) hold_reads;
	_Atomic(unsigned int) held_write; /* the how many-th; 0: none */
	_Atomic(int) size_askers; /* held up with the answer: 0 none, 1 the next, 2 one is */
	_Atomic(bool) no_memory;  /* for the next calloc() */
} system_calls;

ssize_t __real_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __real_pwrite(int fd, const void *buffer, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buffer, size_t length, off_t offset);
int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool fails(_Atomic(int) *error)
{
	int code = atomic_exchange(error, 0);

	if (code)
		errno = code;
	return code;
}

static size_t cut(size_t length)
{
	size_t most = atomic_load(&system_calls.most);

	return most && most < length ? most : length;
}

ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset)
{
	atomic_fetch_add(&system_calls.reads, 1);
	AWAIT(!atomic_load(&system_calls.hold_reads));
	return fails(&system_calls.read_error) ? -1 : __real_pread(fd, buffer, cut(length), offset);
}

ssize_t __wrap_pwrite(int fd, const void *buffer, size_t length, off_t offset)
{
	unsigned int mine = atomic_fetch_add(&system_calls.writes, 1) + 1;

	AWAIT(atomic_load(&system_calls.held_write) != mine);
	return fails(&system_calls.write_error) ? -1
						: __real_pwrite(fd, buffer, cut(length), offset);
}

int __wrap_fstat(int fd, struct stat *status)
{
	int result = __real_fstat(fd, status), next = 1;

	if (atomic_compare_exchange_strong(&system_calls.size_askers, &next, 2))
		AWAIT(!atomic_load(&system_calls.size_askers));
	return result;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return atomic_exchange(&system_calls.no_memory, false) ? NULL : __real_calloc(n, size);
}

/* A directory of the test's own. */
static char directory[] = "/tmp/mm_inode.XXXXXX";

static const char *path_of(const char *name)
{
	static char path[2][64];
	static unsigned int i;

	snprintf(path[++i % 2], sizeof(path[0]), "%s/%s", directory, name);
	return path[i % 2];
}

static void make_directory(void)
{
	strcpy(directory, "/tmp/mm_inode.XXXXXX");
	CHECK(mkdtemp(directory));
}

static unsigned char pattern(size_t offset)
{
	return (unsigned char)(1 + offset % 251);
}

/* A file of so many bytes; a descriptor for reading and writing. */
static int make_file(const char *name, size_t size)
{
	int fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned char *bytes = malloc(size + 1);

	CHECK(fd >= 0 && bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	CHECK_EQ(write(fd, bytes, size), size);
	free(bytes);
	return fd;
}

static void end_files(const char *name, const char *other)
{
	CHECK_EQ(unlink(path_of(name)), 0);
	if (other)
		CHECK_EQ(unlink(path_of(other)), 0);
	CHECK_EQ(rmdir(directory), 0);
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(mm__frames_page_cache()), 0);
}

static struct mm__inode *open_inode(int fd, int prot)
{
	struct mm__inode *inode = NULL;

	CHECK_EQ(mm__inode_open(fd, prot, SHARED, &inode), 0);
	return inode;
}

static struct mm__frame *find(struct mm__inode *inode, uint64_t index)
{
	struct mm__frame *frame;

	CHECK(mm__thread_attach());
	mm__rcu_read_lock();
	frame = mm__inode_find(inode, index);
	mm__rcu_read_unlock();
	return frame;
}

static unsigned char *read_bytes(struct mm__inode *inode, uint64_t index)
{
	struct mm__frame *frame = NULL;

	CHECK_EQ(mm__inode_read(inode, index, &frame), 0);
	CHECK(frame == find(inode, index));
	return mm__frame_bytes(frame);
}

static int try_read(struct mm__inode *inode, uint64_t index)
{
	struct mm__frame *frame;

	return mm__inode_read(inode, index, &frame);
}

/* As a shared mapping does it. */
static void write_byte(struct mm__inode *inode, size_t offset, unsigned char value)
{
	unsigned char *bytes = read_bytes(inode, offset / PAGE);

	mm__inode_set_dirty(inode, offset / PAGE);
	mm__bytes_copy(bytes + offset % PAGE, &value, 1);
}

static int file_byte(int fd, size_t offset)
{
	unsigned char byte;

	return __real_pread(fd, &byte, 1, (off_t)offset) == 1 ? byte : -1;
}

static off_t size_of(int fd)
{
	struct stat status;

	CHECK_EQ(fstat(fd, &status), 0);
	return status.st_size;
}

static unsigned int open_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int try_open(int fd, int prot, int flags)
{
	struct mm__inode *inode;
	int error = mm__inode_open(fd, prot, flags, &inode);

	if (!error)
		mm__inode_put(inode);
	return error;
}

TEST(inode, is_the_same_for_two_descriptors_and_a_hard_link)
{
	struct mm__inode *a, *b, *c, *other;
	int fd, again, link_fd, other_fd;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	other_fd = make_file("b", 2 * PAGE);
	again = open(path_of("a"), O_RDONLY);
	CHECK_EQ(link(path_of("a"), path_of("link")), 0);
	link_fd = open(path_of("link"), O_RDWR);
	a = open_inode(fd, RW);
	b = open_inode(again, R);
	c = open_inode(link_fd, RW);
	other = open_inode(other_fd, RW);
	CHECK(a == b && a == c && a != other);
	close(fd);
	close(again);
	close(link_fd);
	CHECK_EQ(read_bytes(a, 1)[5], pattern(PAGE + 5));
	CHECK(find(a, 1));
	CHECK(!find(other, 1));
	mm__inode_put(a);
	CHECK(find(b, 1) == find(c, 1));
	CHECK(find(b, 1));
	mm__inode_get(c);
	mm__inode_put(b);
	mm__inode_put(c);
	CHECK(find(c, 1));
	mm__inode_put(c);
	mm__inode_put(other);
	close(other_fd);
	unlink(path_of("link"));
	end_files("a", "b");
}

/* More than the table has buckets. */
TEST(inode, is_of_its_own_for_each_of_hundreds_of_files)
{
	enum { N = 300 };
	struct mm__inode *inodes[N];
	int fds[N];

	make_directory();
	for (unsigned int i = 0; i < N; i++) {
		fds[i] = make_file("a", i + 1);
		CHECK_EQ(unlink(path_of("a")), 0);
		inodes[i] = open_inode(fds[i], R);
	}
	for (unsigned int i = 0; i < N; i++) {
		CHECK_EQ(read_bytes(inodes[i], 0)[i], pattern(i));
		CHECK_EQ(read_bytes(inodes[i], 0)[i + 1], 0);
		CHECK(open_inode(fds[i], R) == inodes[i]);
		mm__inode_put(inodes[i]);
	}
	for (unsigned int i = 0; i < N; i++) {
		mm__inode_put(inodes[i]);
		close(fds[i]);
	}
	close(make_file("a", 0));
	end_files("a", NULL);
}

TEST(inode, opens_as_mmap_does)
{
	int fd, read_only, write_only, path_only, pipes[2], sockets[2], directory_fd, null;

	make_directory();
	fd = make_file("a", PAGE);
	read_only = open(path_of("a"), O_RDONLY);
	write_only = open(path_of("a"), O_WRONLY);
	directory_fd = open(directory, O_RDONLY);
	null = open("/dev/null", O_RDWR);
	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	errno = 4711;
	CHECK_EQ(try_open(-1, R, SHARED), EBADF);
	CHECK_EQ(try_open(1000, R, SHARED), EBADF);
	CHECK_EQ(try_open(read_only, RW, SHARED), EACCES);
	CHECK_EQ(try_open(read_only, R, SHARED), 0);
	CHECK_EQ(try_open(read_only, RW, MM_MAP_PRIVATE), 0);
	CHECK_EQ(try_open(write_only, R, SHARED), EACCES);
	CHECK_EQ(try_open(write_only, MM_PROT_NONE, MM_MAP_PRIVATE), EACCES);
	CHECK_EQ(try_open(write_only, RW, SHARED), EACCES);
	CHECK_EQ(try_open(directory_fd, R, SHARED), ENODEV);
	CHECK_EQ(try_open(directory_fd, RW, SHARED), EACCES);
	CHECK_EQ(try_open(pipes[0], R, SHARED), ENODEV);
	CHECK_EQ(try_open(pipes[1], R, SHARED), EACCES);
	CHECK_EQ(try_open(sockets[0], RW, SHARED), ENODEV);
	CHECK_EQ(try_open(null, RW, SHARED), ENODEV);
	CHECK_EQ(errno, 4711);
	CHECK(mm__inode_may_write(fd, SHARED));
	CHECK(!mm__inode_may_write(read_only, SHARED));
	CHECK(mm__inode_may_write(read_only, MM_MAP_PRIVATE));
#ifdef O_PATH
	path_only = open(path_of("a"), O_PATH);
	CHECK(path_only >= 0);
	CHECK_EQ(try_open(path_only, R, SHARED), EBADF);
	close(path_only);
#else
	(void)path_only;
	puts("no O_PATH here: its error is not tested");
#endif
	for (unsigned int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(sockets[i]);
	}
	close(null);
	close(directory_fd);
	close(write_only);
	close(read_only);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, keeps_one_descriptor_and_one_more_for_writing)
{
	unsigned int before;
	int fd, read_only;
	struct mm__inode *inode;

	make_directory();
	fd = make_file("a", PAGE);
	read_only = open(path_of("a"), O_RDONLY);
	before = open_descriptors();
	inode = open_inode(read_only, R);
	CHECK(open_inode(read_only, R) == inode);
	CHECK_EQ(mm__inode_open(fd, RW, MM_MAP_PRIVATE, &inode), 0);
	CHECK_EQ(open_descriptors(), before + 1);
	for (unsigned int i = 0; i < 3; i++)
		CHECK(open_inode(fd, R) == inode);
	CHECK_EQ(open_descriptors(), before + 2);
	write_byte(inode, 1, 200);
	CHECK_EQ(mm__inode_sync(inode, 0, 1), 0);
	CHECK_EQ(file_byte(fd, 1), 200);
	for (unsigned int i = 0; i < 6; i++)
		mm__inode_put(inode);
	CHECK_EQ(open_descriptors(), before);
	close(fd);
	close(read_only);
	end_files("a", NULL);
}

/* Linux appends what is written by pwrite() to a descriptor with O_APPEND. */
TEST(inode, writes_pages_in_place_through_a_descriptor_that_appends)
{
	struct mm__inode *inode;
	int fd, append;

	make_directory();
	fd = make_file("a", PAGE);
	append = open(path_of("a"), O_RDWR | O_APPEND);
	inode = open_inode(append, RW);
	write_byte(inode, 7, 201);
	CHECK_EQ(mm__inode_sync(inode, 0, 1), 0);
	CHECK_EQ(file_byte(fd, 7), 201);
	CHECK_EQ(size_of(fd), PAGE);
	mm__inode_put(inode);
	close(append);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, ends_in_zeroes_and_then_not_at_all)
{
	struct mm__inode *inode;
	unsigned char *bytes;
	int fd;

	make_directory();
	fd = make_file("a", PAGE + 100);
	inode = open_inode(fd, RW);
	bytes = read_bytes(inode, 1);
	for (size_t i = 0; i < PAGE; i++)
		CHECK_EQ(bytes[i], i < 100 ? pattern(PAGE + i) : 0);
	CHECK(mm__inode_within(inode, 1));
	CHECK(!mm__inode_within(inode, 2));
	CHECK_EQ(try_read(inode, 2), EFAULT);
	CHECK_EQ(try_read(inode, UINT64_MAX), EFAULT);
	CHECK(!find(inode, UINT64_MAX));
	CHECK_EQ(ftruncate(fd, 3 * MM_PAGE_SIZE), 0);
	CHECK_EQ(read_bytes(inode, 2)[0], 0);
	mm__inode_put(inode);
	close(fd);
	fd = make_file("a", 0);
	inode = open_inode(fd, RW);
	CHECK_EQ(try_read(inode, 0), EFAULT);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, writes_back_what_is_dirty_and_within_the_file)
{
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 3 * PAGE + 10);
	inode = open_inode(fd, RW);
	write_byte(inode, 0, 210);
	write_byte(inode, PAGE + 1, 211);
	write_byte(inode, 3 * PAGE + 9, 212);
	write_byte(inode, 3 * PAGE + 10, 213);
	read_bytes(inode, 2)[0] = 214; /* nobody has said so */
	atomic_store(&system_calls.writes, 0);
	CHECK_EQ(mm__inode_sync(inode, 1, 1), 0);
	CHECK_EQ(mm__inode_sync(inode, 2, 3), 0);
	CHECK_EQ(mm__inode_sync(inode, 100, UINT64_MAX), 0);
	CHECK_EQ(atomic_load(&system_calls.writes), 0);
	CHECK_EQ(mm__inode_sync(inode, 1, 3), 0);
	CHECK_EQ(atomic_load(&system_calls.writes), 1);
	CHECK_EQ(file_byte(fd, 0), pattern(0));
	CHECK_EQ(file_byte(fd, PAGE + 1), 211);
	CHECK_EQ(mm__inode_sync(inode, 0, 4), 0);
	CHECK_EQ(atomic_load(&system_calls.writes), 4);
	CHECK_EQ(file_byte(fd, 0), 210);
	CHECK_EQ(file_byte(fd, 2 * PAGE), pattern(2 * PAGE));
	CHECK_EQ(file_byte(fd, 3 * PAGE + 9), 212);
	CHECK_EQ(size_of(fd), 3 * PAGE + 10);
	/* Without a word, as through an entry that is still there. */
	mm__bytes_copy(read_bytes(inode, 1), &(unsigned char){ 215 }, 1);
	CHECK_EQ(mm__inode_sync(inode, 0, 4), 0);
	CHECK_EQ(file_byte(fd, PAGE), 215);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, writes_back_no_page_but_the_dirty_one)
{
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 200 * PAGE);
	inode = open_inode(fd, RW);
	for (uint64_t i = 0; i < 200; i++)
		read_bytes(inode, i)[0] = 214;
	write_byte(inode, 100 * PAGE + 1, 215);
	atomic_store(&system_calls.writes, 0);
	CHECK_EQ(mm__inode_sync(inode, 0, 200), 0);
	CHECK_EQ(atomic_load(&system_calls.writes), 1);
	CHECK_EQ(file_byte(fd, 100 * PAGE + 1), 215);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, is_written_back_by_the_last_put)
{
	struct mm__inode *inode;
	int fd, read_only;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	inode = open_inode(fd, RW);
	close(fd);
	read_only = open(path_of("a"), O_RDONLY);
	mm__inode_get(inode);
	write_byte(inode, PAGE, 220);
	mm__inode_put(inode);
	CHECK_EQ(file_byte(read_only, PAGE), pattern(PAGE));
	mm__inode_put(inode);
	CHECK_EQ(file_byte(read_only, PAGE), 220);
	inode = open_inode(read_only, R);
	CHECK(!find(inode, 1));
	CHECK_EQ(read_bytes(inode, 1)[0], 220);
	mm__inode_put(inode);
	close(read_only);
	end_files("a", NULL);
}

TEST(inode, reports_errors_of_reading_and_writing_and_goes_on)
{
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 3 * PAGE);
	inode = open_inode(fd, RW);
	atomic_store(&system_calls.read_error, EIO);
	CHECK_EQ(try_read(inode, 0), EIO);
	CHECK(!find(inode, 0));
	atomic_store(&system_calls.read_error, EINTR);
	CHECK_EQ(read_bytes(inode, 0)[1], pattern(1));
	for (size_t i = 0; i < 3; i++)
		write_byte(inode, i * PAGE, 230);
	atomic_store(&system_calls.write_error, ENOSPC);
	CHECK_EQ(mm__inode_sync(inode, 0, 3), ENOSPC);
	CHECK_EQ(file_byte(fd, 0), pattern(0));
	CHECK_EQ(file_byte(fd, PAGE), 230);
	CHECK_EQ(file_byte(fd, 2 * PAGE), 230);
	atomic_store(&system_calls.write_error, EINTR);
	CHECK_EQ(mm__inode_sync(inode, 0, 3), 0);
	CHECK_EQ(file_byte(fd, 0), 230);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, puts_pieces_together)
{
	struct mm__inode *inode;
	unsigned char *bytes;
	int fd;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	inode = open_inode(fd, RW);
	atomic_store(&system_calls.most, 1000);
	bytes = read_bytes(inode, 1);
	for (size_t i = 0; i < PAGE; i++)
		CHECK_EQ(bytes[i], pattern(PAGE + i));
	for (size_t i = 0; i < PAGE; i++)
		write_byte(inode, PAGE + i, (unsigned char)(i % 7));
	CHECK_EQ(mm__inode_sync(inode, 0, 2), 0);
	atomic_store(&system_calls.most, 0);
	for (size_t i = 0; i < PAGE; i++)
		CHECK_EQ(file_byte(fd, PAGE + i), i % 7);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, shorter_file_has_no_pages_behind_its_end)
{
	struct mm__inode *inode;
	struct mm__frame *frame;
	int fd;

	make_directory();
	fd = make_file("a", 200 * PAGE);
	inode = open_inode(fd, RW);
	for (size_t i = 0; i < 200; i++)
		write_byte(inode, i * PAGE, 240);
	frame = find(inode, 199);
	CHECK_EQ(ftruncate(fd, 70 * (off_t)PAGE), 0);
	CHECK_EQ(mm__inode_sync(inode, 0, 200), 0);
	CHECK_EQ(size_of(fd), 70 * PAGE);
	CHECK_EQ(try_read(inode, 150), EFAULT);
	for (uint64_t i = 0; i < 200; i++)
		CHECK_EQ(find(inode, i) != NULL, i < 70);
	CHECK_EQ(read_bytes(inode, 69)[0], 240);
	/* It grows again: what was there does not come back, nor is it written. */
	CHECK_EQ(ftruncate(fd, 200 * (off_t)PAGE), 0);
	CHECK_EQ(mm__inode_sync(inode, 0, 200), 0);
	CHECK_EQ(file_byte(fd, 150 * PAGE), 0);
	CHECK_EQ(read_bytes(inode, 199)[0], 0);
	CHECK(find(inode, 199) == frame);
	CHECK(!find(inode, 198));
	write_byte(inode, 199 * PAGE, 241);
	mm__inode_put(inode);
	CHECK_EQ(file_byte(fd, 199 * PAGE), 241);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, without_memory_for_a_frame_nothing_changes)
{
	struct mm__frames *pool = mm__frames_create(1);
	struct mm__frames *cache = mm__frames_page_cache();
	static struct mm__frame *taken[5000];
	struct mm__inode *inode, *memory;
	size_t n = 0;
	int fd;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	inode = open_inode(fd, RW);
	cache->max_frames = cache->nr_frames;
	while ((taken[n] = mm__frame_take(cache)))
		CHECK(++n < sizeof(taken) / sizeof(taken[0]));
	CHECK_EQ(try_read(inode, 0), ENOMEM);
	cache->max_frames = UINT64_MAX;
	while (n)
		mm__frame_put(taken[--n]);
	CHECK_EQ(read_bytes(inode, 0)[0], pattern(0));
	mm__inode_put(inode);
	CHECK_EQ(mm__inode_anonymous(pool, 2, &memory), 0);
	CHECK_EQ(try_read(memory, 1), 0);
	CHECK_EQ(try_read(memory, 0), ENOMEM);
	mm__inode_put(memory);
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(pool), 0);
	mm__frames_put(pool);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, without_memory_for_the_cache_nothing_changes)
{
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 100 * PAGE);
	atomic_store(&system_calls.no_memory, true);
	CHECK_EQ(try_open(fd, RW, SHARED), ENOMEM);
	inode = open_inode(fd, RW);
	for (uint64_t i = 0; i < 100; i += 64) { /* in the first leaf, then in the second */
		atomic_store(&system_calls.no_memory, true);
		CHECK_EQ(try_read(inode, i), ENOMEM);
		CHECK(!find(inode, i));
		CHECK_EQ(read_bytes(inode, i)[1], pattern(i * PAGE + 1));
	}
	CHECK_EQ(read_bytes(inode, 0)[0], pattern(0));
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, anonymous_memory_is_zero_and_stays)
{
	struct mm__frames *pool = mm__frames_create(UINT64_MAX);
	struct mm__inode *a, *b;
	unsigned char *bytes;

	CHECK_EQ(mm__inode_anonymous(pool, 100, &a), 0);
	CHECK_EQ(mm__inode_anonymous(pool, UINT64_C(1) << 35, &b), 0);
	CHECK(a != b);
	CHECK(!find(a, 0));
	CHECK(mm__inode_within(a, 99));
	CHECK(!mm__inode_within(a, 100));
	CHECK_EQ(try_read(a, 100), EFAULT);
	bytes = read_bytes(a, 99);
	for (size_t i = 0; i < PAGE; i++)
		CHECK_EQ(bytes[i], 0);
	write_byte(a, 99 * PAGE + 1, 250);
	CHECK_EQ(mm__inode_sync(a, 0, 100), 0);
	CHECK_EQ(read_bytes(a, 99)[1], 250);
	CHECK_EQ(read_bytes(b, 99)[1], 0);
	read_bytes(b, (UINT64_C(1) << 35) - 1)[0] = 251;
	read_bytes(b, 0)[0] = 252;
	CHECK_EQ(read_bytes(b, (UINT64_C(1) << 35) - 1)[0], 251);
	CHECK_EQ(read_bytes(b, 99)[0], 0);
	CHECK_EQ(mm__frames_handed_out(pool), 4);
	mm__inode_put(a);
	mm__inode_put(b);
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(pool), 0);
	mm__frames_put(pool);
}

TEST(inode, a_kept_frame_outlives_it)
{
	struct mm__frames *pool = mm__frames_create(UINT64_MAX);
	struct mm__inode *inode;
	struct mm__frame *frame;

	CHECK_EQ(mm__inode_anonymous(pool, 1, &inode), 0);
	CHECK_EQ(mm__inode_read(inode, 0, &frame), 0);
	mm__frame_get(frame);
	write_byte(inode, 3, 253);
	mm__inode_put(inode);
	CHECK_EQ(((unsigned char *)mm__frame_bytes(frame))[3], 253);
	CHECK_EQ(mm__frames_handed_out(pool), 1);
	mm__frame_put(frame);
	mm__rcu_barrier();
	CHECK_EQ(mm__frames_handed_out(pool), 0);
	mm__frames_put(pool);
}

TEST(inode, finds_each_of_thousands_of_pages)
{
	const unsigned int n = 10000;
	struct mm__inode *inode;
	uint64_t seed = test_seed("thousands of pages");
	int fd;

	make_directory();
	fd = make_file("a", 0);
	CHECK_EQ(ftruncate(fd, (off_t)n * 1000 * (off_t)PAGE), 0);
	for (off_t i = 0; i < n; i++)
		CHECK_EQ(__real_pwrite(fd, &i, sizeof(i), i * 997 * (off_t)PAGE), sizeof(i));
	inode = open_inode(fd, RW);
	for (unsigned int i = 0; i < n; i++) {
		off_t which = (off_t)test_random_below(&seed, n);
		off_t value;

		memcpy(&value, read_bytes(inode, (uint64_t)which * 997), sizeof(value));
		CHECK_EQ(value, which);
		CHECK(!find(inode, (uint64_t)which * 997 + 1));
		write_byte(inode, (size_t)which * 997 * PAGE + 8, 99);
	}
	mm__inode_put(inode);
	for (unsigned int i = 0; i < n; i++)
		CHECK(file_byte(fd, (size_t)i * 997 * PAGE + 8) % 99 == 0);
	close(fd);
	end_files("a", NULL);
}

struct reader {
	struct mm__inode *inode;
	uint64_t index;
	_Atomic(bool) begun;
	_Atomic(bool) done;
	struct mm__frame *frame;
	int error;
};

static void *run_reader(void *arg)
{
	struct reader *reader = arg;

	atomic_store(&reader->begun, true);
	reader->error = mm__inode_read(reader->inode, reader->index, &reader->frame);
	atomic_store(&reader->done, true);
	return NULL;
}

TEST(inode, readers_of_one_page_wait_for_one_read_and_those_of_others_do_not)
{
	struct reader readers[8];
	pthread_t threads[8];
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 3 * PAGE);
	inode = open_inode(fd, RW);
	read_bytes(inode, 1);
	atomic_store(&system_calls.reads, 0);
	atomic_store(&system_calls.hold_reads, true);
	for (unsigned int i = 0; i < 8; i++) {
		readers[i] = (struct reader){ .inode = inode, .index = 2 };
		threads[i] = thread_start(run_reader, &readers[i]);
	}
	for (unsigned int i = 0; i < 8; i++)
		AWAIT(atomic_load(&readers[i].begun));
	AWAIT(atomic_load(&system_calls.reads));
	CHECK(!find(inode, 2));
	CHECK(!find(inode, 0));
	CHECK_EQ(read_bytes(inode, 1)[0], pattern(PAGE));
	mm__inode_set_dirty(inode, 1);
	CHECK_EQ(mm__inode_sync(inode, 0, 3), 0);
	for (unsigned int i = 0; i < 8; i++)
		CHECK(!atomic_load(&readers[i].done));
	atomic_store(&system_calls.hold_reads, false);
	for (unsigned int i = 0; i < 8; i++) {
		thread_join(threads[i]);
		CHECK_EQ(readers[i].error, 0);
		CHECK(readers[i].frame == find(inode, 2));
	}
	CHECK_EQ(atomic_load(&system_calls.reads), 1);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, two_pages_are_read_at_the_same_time)
{
	struct reader readers[2];
	pthread_t threads[2];
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	inode = open_inode(fd, RW);
	atomic_store(&system_calls.reads, 0);
	atomic_store(&system_calls.hold_reads, true);
	for (unsigned int i = 0; i < 2; i++) {
		readers[i] = (struct reader){ .inode = inode, .index = i };
		threads[i] = thread_start(run_reader, &readers[i]);
	}
	AWAIT(atomic_load(&system_calls.reads) == 2);
	atomic_store(&system_calls.hold_reads, false);
	for (unsigned int i = 0; i < 2; i++) {
		thread_join(threads[i]);
		CHECK_EQ(readers[i].error, 0);
	}
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

/* One reads, and fails; the other, which has waited for that, reads for itself. */
TEST(inode, who_waited_for_a_read_that_failed_reads_again)
{
	struct reader readers[2];
	pthread_t threads[2];
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", PAGE);
	inode = open_inode(fd, RW);
	atomic_store(&system_calls.reads, 0);
	atomic_store(&system_calls.read_error, EIO);
	atomic_store(&system_calls.hold_reads, true);
	for (unsigned int i = 0; i < 2; i++) {
		readers[i] = (struct reader){ .inode = inode, .index = 0 };
		threads[i] = thread_start(run_reader, &readers[i]);
	}
	AWAIT(atomic_load(&system_calls.reads));
	atomic_store(&system_calls.hold_reads, false);
	for (unsigned int i = 0; i < 2; i++)
		thread_join(threads[i]);
	CHECK_EQ(readers[0].error + readers[1].error, EIO);
	CHECK_EQ(readers[0].error * readers[1].error, 0);
	CHECK(find(inode, 0));
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

TEST(inode, a_page_that_the_file_loses_while_it_is_read_is_not_there)
{
	struct reader reader;
	struct mm__inode *inode;
	pthread_t thread;
	int fd;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	inode = open_inode(fd, RW);
	reader = (struct reader){ .inode = inode, .index = 1 };
	atomic_store(&system_calls.reads, 0);
	atomic_store(&system_calls.hold_reads, true);
	thread = thread_start(run_reader, &reader);
	AWAIT(atomic_load(&system_calls.reads));
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	CHECK(!mm__inode_within(inode, 1));
	CHECK_EQ(ftruncate(fd, 2 * (off_t)PAGE), 0);
	atomic_store(&system_calls.hold_reads, false);
	thread_join(thread);
	CHECK_EQ(reader.error, EFAULT);
	CHECK(!find(inode, 1));
	CHECK_EQ(read_bytes(inode, 1)[0], 0);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

static void *run_within(void *arg)
{
	struct reader *reader = arg;

	CHECK(!mm__inode_within(reader->inode, reader->index));
	return NULL;
}

/* It grows between the answer, that it is too short, and what is done about it. */
TEST(inode, a_page_that_came_when_the_file_grew_again_is_not_outdated)
{
	struct reader reader;
	struct mm__inode *inode;
	pthread_t thread;
	int fd;

	make_directory();
	fd = make_file("a", PAGE);
	inode = open_inode(fd, RW);
	reader = (struct reader){ .inode = inode, .index = 1 };
	atomic_store(&system_calls.size_askers, 1);
	thread = thread_start(run_within, &reader);
	AWAIT(atomic_load(&system_calls.size_askers) == 2);
	CHECK_EQ(ftruncate(fd, 2 * (off_t)PAGE), 0);
	write_byte(inode, PAGE, 79);
	atomic_store(&system_calls.size_askers, 0);
	thread_join(thread);
	CHECK_EQ(read_bytes(inode, 1)[0], 79);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

/* Deferred cancellation: reading is no point for it, so nothing is left half done. */
TEST(inode, threads_that_read_are_not_cancelled)
{
	struct reader readers[2];
	pthread_t threads[2];
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", 2 * PAGE);
	inode = open_inode(fd, RW);
	atomic_store(&system_calls.hold_reads, true);
	for (unsigned int i = 0; i < 2; i++) {
		readers[i] = (struct reader){ .inode = inode, .index = 0 };
		threads[i] = thread_start(run_reader, &readers[i]);
		AWAIT(atomic_load(&readers[i].begun));
		CHECK_EQ(pthread_cancel(threads[i]), 0);
	}
	atomic_store(&system_calls.hold_reads, false);
	for (unsigned int i = 0; i < 2; i++) {
		thread_join(threads[i]);
		CHECK(atomic_load(&readers[i].done));
		CHECK_EQ(readers[i].error, 0);
	}
	CHECK_EQ(read_bytes(inode, 1)[0], pattern(PAGE));
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

struct syncer {
	struct mm__inode *inode;
	_Atomic(bool) done;
};

static void *run_sync(void *arg)
{
	struct syncer *syncer = arg;

	CHECK_EQ(mm__inode_sync(syncer->inode, 0, 1), 0);
	atomic_store(&syncer->done, true);
	return NULL;
}

/* One has copied the page and is about to write; it must not do so after one that copied later. */
TEST(inode, what_was_copied_first_is_not_written_last)
{
	struct syncer first, second;
	pthread_t threads[2];
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", PAGE);
	inode = open_inode(fd, RW);
	first = second = (struct syncer){ .inode = inode };
	write_byte(inode, 0, 81);
	atomic_store(&system_calls.writes, 0);
	atomic_store(&system_calls.held_write, 1);
	threads[0] = thread_start(run_sync, &first);
	AWAIT(atomic_load(&system_calls.writes));
	write_byte(inode, 0, 82);
	threads[1] = thread_start(run_sync, &second);
	/* It cannot be done: but if it could, it would get the time for it. */
	for (unsigned int i = 0; i < 10000 && !atomic_load(&second.done); i++)
		sched_yield();
	atomic_store(&system_calls.held_write, 0);
	for (unsigned int i = 0; i < 2; i++)
		thread_join(threads[i]);
	CHECK_EQ(file_byte(fd, 0), 82);
	mm__inode_put(inode);
	close(fd);
	end_files("a", NULL);
}

static void *run_put(void *arg)
{
	mm__inode_put(arg);
	return NULL;
}

struct opener {
	int fd;
	struct mm__inode *inode;
	int byte;
};

static void *run_open(void *arg)
{
	struct opener *opener = arg;

	opener->inode = open_inode(opener->fd, RW);
	opener->byte = read_bytes(opener->inode, 0)[0];
	return NULL;
}

/* Who opens a file that is being written back reads the new bytes. */
TEST(inode, opening_waits_for_the_last_put)
{
	struct opener opener;
	pthread_t putter, thread;
	struct mm__inode *inode;
	int fd;

	make_directory();
	fd = make_file("a", PAGE);
	inode = open_inode(fd, RW);
	write_byte(inode, 0, 77);
	atomic_store(&system_calls.writes, 0);
	atomic_store(&system_calls.reads, 0);
	atomic_store(&system_calls.held_write, 1);
	putter = thread_start(run_put, inode);
	AWAIT(atomic_load(&system_calls.writes));
	opener = (struct opener){ .fd = fd };
	thread = thread_start(run_open, &opener);
	for (unsigned int i = 0; i < 1000; i++)
		sched_yield();
	CHECK_EQ(atomic_load(&system_calls.reads), 0);
	atomic_store(&system_calls.held_write, 0);
	thread_join(putter);
	thread_join(thread);
	CHECK_EQ(opener.byte, 77);
	mm__inode_put(opener.inode);
	close(fd);
	end_files("a", NULL);
}

struct late_reader {
	struct mm__inode *inode;
	_Atomic(int) stage;
};

static void *run_late_reader(void *arg)
{
	struct late_reader *late = arg;
	struct mm__frame *frame;

	CHECK(mm__thread_attach());
	mm__rcu_read_lock();
	atomic_store(&late->stage, 1);
	AWAIT(atomic_load(&late->stage) == 2);
	frame = mm__inode_find(late->inode, 0);
	CHECK(frame);
	mm__frame_get(frame);
	mm__rcu_read_unlock();
	CHECK_EQ(((unsigned char *)mm__frame_bytes(frame))[0], pattern(0));
	mm__frame_put(frame);
	return NULL;
}

/* With no reference, but with an area that was in the tree when the read section began. */
TEST(inode, stays_for_who_is_in_a_read_section)
{
	struct late_reader late = { .stage = 0 };
	pthread_t thread, putter;
	int fd;

	make_directory();
	fd = make_file("a", PAGE);
	late.inode = open_inode(fd, RW);
	write_byte(late.inode, 1, 78);
	thread = thread_start(run_late_reader, &late);
	AWAIT(atomic_load(&late.stage) == 1);
	putter = thread_start(run_put, late.inode);
	AWAIT(file_byte(fd, 1) == 78);
	atomic_store(&late.stage, 2);
	thread_join(thread);
	thread_join(putter);
	close(fd);
	end_files("a", NULL);
}
