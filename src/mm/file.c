/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* O_PATH, mremap() */
#include "file.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

#ifndef O_PATH
#define O_PATH 0
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_GROWSDOWN
#define MAP_GROWSDOWN 0
#endif

/*
 * The state of the thread that a system call may change, and that the caller must find unchanged.
 */
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

/* Returns 0, or errno if the call has failed. */
static int come_back(struct outside outside, bool failed)
{
	int error = failed ? errno : 0;

	pthread_setcancelstate(outside.cancel_state, NULL);
	errno = outside.saved_errno;
	return error;
}

/* The flags by F_GETFL. -1 and EBADF: fd is closed, or of O_PATH. */
static int flags_of(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && flags & O_PATH) {
		errno = EBADF;
		flags = -1;
	}
	return flags;
}

int mm__file_status(int fd, struct stat *status)
{
	struct outside outside = go_out();

	return come_back(outside, flags_of(fd) < 0 || fstat(fd, status));
}

static bool fits(uint64_t pages)
{
	return pages <= SIZE_MAX >> MM_PAGE_SHIFT;
}

static size_t size_of(uint64_t pages)
{
	return (size_t)pages << MM_PAGE_SHIFT;
}

/* The caller has checked for EOVERFLOW, so any page will do. */
static int try_map(int fd, int prot, int flags)
{
	int system_prot = (prot & MM_PROT_READ ? PROT_READ : 0) |
			  (prot & MM_PROT_WRITE ? PROT_WRITE : 0) |
			  (prot & MM_PROT_EXEC ? PROT_EXEC : 0);
	int system_flags = (flags & MM_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE) |
			   (flags & MM_MAP_GROWSDOWN ? MAP_GROWSDOWN : 0);
	struct outside outside = go_out();
	void *mapped = mmap(NULL, MM_PAGE_SIZE, system_prot, system_flags, fd, 0);

	if (mapped != MAP_FAILED)
		munmap(mapped, MM_PAGE_SIZE);
	return come_back(outside, mapped == MAP_FAILED);
}

/*
 * Refuses a descriptor that is no regular file, without a mapping: to map a device may have any
 * effect. Where mmap(2) would check the descriptor's rights first, so does this function.
 */
static int refuse_other(int fd, int prot, int flags)
{
	struct outside outside = go_out();
	int mode = flags_of(fd) & O_ACCMODE;

	come_back(outside, false);
	if (mode == O_WRONLY || (flags & MM_MAP_SHARED && prot & MM_PROT_WRITE && mode != O_RDWR))
		return EACCES;
	return ENODEV;
}

/* Whether a mapping that mmap(2) accepts may have another right, too. 0 or an errno value. */
static int try_right(int fd, int prot, int flags, int right, bool *may)
{
	int error = prot & right ? 0 : try_map(fd, prot | right, flags);

	*may = !error;
	return error == EACCES || error == EPERM ? 0 : error;
}

int mm__file_check(int fd, const struct stat *status, int prot, int flags, enum mm__file_kind *kind,
		   bool *may_exec)
{
	int error =
		S_ISREG(status->st_mode) ? try_map(fd, prot, flags) : refuse_other(fd, prot, flags);
	bool may_write = true;

	if (!error)
		error = try_right(fd, prot, flags, MM_PROT_EXEC, may_exec);
	if (!error && flags & MM_MAP_SHARED)
		error = try_right(fd, prot, flags, MM_PROT_WRITE, &may_write);
	if (error)
		return error == EAGAIN ? ENOMEM : error;
	if (!(flags & MM_MAP_SHARED))
		*kind = MM__FILE_PRIVATE;
	else
		*kind = may_write ? MM__FILE_WRITABLE : MM__FILE_READABLE;
	return 0;
}

int mm__file_map(int fd, enum mm__file_kind kind, uint64_t first, uint64_t end, char **bytes)
{
	int prot = kind == MM__FILE_WRITABLE ? PROT_READ | PROT_WRITE : PROT_READ;
	int flags = kind == MM__FILE_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
	struct outside outside = go_out();
	void *mapped = MAP_FAILED;

	errno = ENOMEM;
	if (fits(end - first))
		mapped = mmap(NULL, size_of(end - first), prot, flags, fd,
			      (off_t)(first << MM_PAGE_SHIFT));
	if (mapped != MAP_FAILED)
		*bytes = mapped;
	return come_back(outside, mapped == MAP_FAILED);
}

#ifdef MREMAP_MAYMOVE
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* mremap(2) with length 0 maps shared pages a second time. */
static void *map_more_shared(char *bytes, size_t more_size)
{
	return mremap(bytes, 0, more_size, MREMAP_MAYMOVE);
}

/*
 * For a private mapping, length 0 does not do that. With MREMAP_DONTUNMAP (since Linux 5.13 for
 * files) the pages move, and the old mapping stays and gets its pages from the file again. Then the
 * new mapping, which no thread knows yet, may move as it grows.
 */
static void *map_more_private(char *bytes, size_t size, size_t more_size)
{
	void *moved = mremap(bytes, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	void *grown = moved;

	if (moved != MAP_FAILED)
		grown = mremap(moved, size, more_size, MREMAP_MAYMOVE);
	if (moved != MAP_FAILED && grown == MAP_FAILED)
		munmap(moved, size);
	return grown;
}
#else
static void *map_more_shared(char *bytes, size_t more_size)
{
	(void)bytes, (void)more_size;
	return MAP_FAILED;
}

static void *map_more_private(char *bytes, size_t size, size_t more_size)
{
	(void)bytes, (void)size, (void)more_size;
	return MAP_FAILED;
}
#endif

int mm__file_map_more(enum mm__file_kind kind, uint64_t pages, uint64_t more_pages, char **bytes)
{
	struct outside outside = go_out();
	void *mapped = MAP_FAILED;

	if (fits(more_pages))
		mapped = kind == MM__FILE_PRIVATE
				 ? map_more_private(*bytes, size_of(pages), size_of(more_pages))
				 : map_more_shared(*bytes, size_of(more_pages));
	if (mapped != MAP_FAILED)
		*bytes = mapped;
	come_back(outside, false);
	return mapped == MAP_FAILED ? ENOMEM : 0;
}

void mm__file_withdraw(char *bytes, uint64_t pages)
{
	struct outside outside = go_out();
	/* RLIMIT_DATA and overcommit do not count a mapping that cannot be written to. */
	void *mapped = mmap(bytes, size_of(pages), PROT_READ,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	(void)mapped;
	come_back(outside, false);
}

void mm__file_unmap(char *bytes, uint64_t pages)
{
	struct outside outside = go_out();

	munmap(bytes, size_of(pages));
	come_back(outside, false);
}

int mm__file_sync(char *bytes, uint64_t pages)
{
	struct outside outside = go_out();

	return come_back(outside, msync(bytes, size_of(pages), MS_SYNC));
}
