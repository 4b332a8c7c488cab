/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_DIRECT, O_PATH */
#include "file.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef O_PATH
#define O_PATH 0
#endif
#ifndef O_DIRECT
#define O_DIRECT 0
#endif

/* What a call into the system changes and the caller shall not see. */
struct outside {
	int saved_errno;
	int cancel_state;
};

static struct outside go_out(void)
{
	struct outside outside = { .saved_errno = errno };

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &outside.cancel_state);
	return outside;
}

/* 0, or what errno is if the call has failed. */
static int come_back(struct outside outside, bool failed)
{
	int error = failed ? errno : 0;

	pthread_setcancelstate(outside.cancel_state, NULL);
	errno = outside.saved_errno;
	return error;
}

/* F_GETFL of what may be used for more than its name; -1: EBADF. */
static int flags_of(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && flags & O_PATH) {
		errno = EBADF;
		flags = -1;
	}
	return flags;
}

static int may_map(int fd_flags, int prot, int flags)
{
	int mode = fd_flags & O_ACCMODE;

	if (mode == O_WRONLY)
		return EACCES;
	if (flags & MM_MAP_SHARED && prot & MM_PROT_WRITE && mode != O_RDWR)
		return EACCES;
	return 0;
}

int mm__file_check(int fd, int prot, int flags, struct stat *status)
{
	struct outside outside = go_out();
	int fd_flags = flags_of(fd);
	int error = come_back(outside, fd_flags < 0 || fstat(fd, status));

	if (!error)
		error = may_map(fd_flags, prot, flags);
	if (!error && !S_ISREG(status->st_mode))
		error = ENODEV;
	return error;
}

/* A descriptor of the same file, not of the same description if that has flags in our way. */
static int copy(int fd, int fd_flags)
{
	char path[32];

	if (!(fd_flags & (O_APPEND | O_DIRECT)))
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (fd_flags & O_ACCMODE) | O_CLOEXEC);
}

/* Whether what is mapped so by this descriptor may be written, now or after mm_mprotect(). */
static bool may_write(int fd_flags, int flags)
{
	return flags & MM_MAP_SHARED && (fd_flags & O_ACCMODE) == O_RDWR;
}

int mm__file_open(struct mm__file *file, int fd, int flags, const struct stat *status)
{
	struct outside outside = go_out();
	int fd_flags = flags_of(fd);

	file->device = status->st_dev;
	file->number = status->st_ino;
	file->fd = fd_flags < 0 ? -1 : copy(fd, fd_flags);
	atomic_init(&file->write_fd, may_write(fd_flags, flags) ? file->fd : -1);
	return come_back(outside, file->fd < 0);
}

int mm__file_open_again(struct mm__file *file, int fd, int flags)
{
	struct outside outside = go_out();
	int fd_flags = flags_of(fd);
	int write_fd = atomic_load_explicit(&file->write_fd, memory_order_relaxed);

	if (write_fd < 0 && fd_flags >= 0 && may_write(fd_flags, flags)) {
		write_fd = copy(fd, fd_flags);
		/* relaxed: the kernel knows the descriptor */
		atomic_store_explicit(&file->write_fd, write_fd, memory_order_relaxed);
		return come_back(outside, write_fd < 0);
	}
	return come_back(outside, fd_flags < 0);
}

void mm__file_close(struct mm__file *file)
{
	struct outside outside = go_out();
	int write_fd = atomic_load_explicit(&file->write_fd, memory_order_relaxed);

	if (write_fd >= 0 && write_fd != file->fd)
		close(write_fd);
	close(file->fd);
	come_back(outside, false);
}

int mm__file_size(const struct mm__file *file, uint64_t *size)
{
	struct outside outside = go_out();
	struct stat status;
	int error = come_back(outside, fstat(file->fd, &status));

	if (!error)
		*size = (uint64_t)status.st_size;
	return error;
}

/* As much as there is; less than 0: an error. */
static ssize_t read_all(int fd, char *page, off_t offset)
{
	size_t done = 0;
	ssize_t n = 1;

	while (n && done < MM_PAGE_SIZE) {
		n = pread(fd, page + done, MM_PAGE_SIZE - done, offset + (off_t)done);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}

int mm__file_read(const struct mm__file *file, void *page, uint64_t index)
{
	struct outside outside = go_out();
	ssize_t n = read_all(file->fd, page, (off_t)(index * MM_PAGE_SIZE));

	if (come_back(outside, n < 0))
		return EIO;
	memset((char *)page + n, 0, MM_PAGE_SIZE - (size_t)n);
	return n ? 0 : EFAULT;
}

static bool write_all(int fd, const char *bytes, size_t length, off_t offset)
{
	while (length) {
		ssize_t n = pwrite(fd, bytes, length, offset);

		if (n == 0)
			errno = EIO;
		if (n <= 0 && errno != EINTR)
			return false;
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
			offset += n;
		}
	}
	return true;
}

int mm__file_write(const struct mm__file *file, const void *page, uint64_t index)
{
	int fd = atomic_load_explicit(&file->write_fd, memory_order_relaxed);
	uint64_t offset = index * MM_PAGE_SIZE;
	struct outside outside;
	uint64_t size;
	int error = mm__file_size(file, &size);

	if (error || offset >= size)
		return error;
	outside = go_out();
	size -= offset;
	return come_back(outside, !write_all(fd, page, size < MM_PAGE_SIZE ? size : MM_PAGE_SIZE,
					     (off_t)offset));
}
