/* SPDX-License-Identifier: MIT */
/*
 * fcntl_ofd - Linux's byte-range locks, on a file without bytes: fcntl() with F_OFD_SETLKW, see
 * fcntl_locking(2). A lock belongs to an open file description, so each thread opens the file.
 * Offsets have 63 bits; a length of 0 reaches to the end.
 */
#define _GNU_SOURCE /* memfd_create(), F_OFD_SETLKW */
#include "lock_node.h"
#include "lock_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel walks a list of all locks of the file. */
enum { MAX_RANGES = 10000 };

static int init(void *lock)
{
	int *fd = lock;

	*fd = memfd_create("mmrange-bench", MFD_CLOEXEC);
	return *fd < 0 ? errno : 0;
}

static int destroy(void *lock)
{
	const int *fd = lock;

	close(*fd);
	return 0;
}

static int join(void *lock, void **thread)
{
	const int *fd = lock;
	int *own = malloc(sizeof(*own));
	char path[32];
	int error;

	if (!own)
		return ENOMEM;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	*own = open(path, O_RDWR | O_CLOEXEC);
	if (*own < 0) {
		error = errno;
		free(own);
		return error;
	}
	*thread = own;
	return 0;
}

static void leave(void *lock, void *thread)
{
	const int *own = thread;

	(void)lock;
	close(*own);
	free(thread);
}

static int set(const struct lock_node *node, int command, short type)
{
	const struct range_hold *range = &node->range;
	const int *own = node->thread;
	struct flock flock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)range->start,
		.l_len = range->end == UINT64_MAX ? 0 : (off_t)(range->end - range->start),
	};

	return fcntl(*own, command, &flock) ? errno : 0;
}

static int lock_range(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		      enum range_mode mode)
{
	(void)lock;
	node->range.start = start;
	node->range.end = end;
	return set(node, F_OFD_SETLKW, mode == RANGE_WRITE ? F_WRLCK : F_RDLCK);
}

static void unlock_range(void *lock, struct lock_node *node)
{
	(void)lock;
	/*
	 * fcntl() fails only for want of memory, when it splits a lock, which this call does not.
	 */
	set(node, F_OFD_SETLK, F_UNLCK);
}

const struct lock_ops fcntl_ofd_ops = {
	.name = "fcntl_ofd",
	.size = sizeof(int),
	.max_ranges = MAX_RANGES,
	.init = init,
	.destroy = destroy,
	.join = join,
	.leave = leave,
	.lock = lock_range,
	.unlock = unlock_range,
};
