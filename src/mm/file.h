/* SPDX-License-Identifier: MIT */
/*
 * file - the descriptors by which the pages of a mapped file are read and written.
 *
 * A mapping outlives the descriptor it was made by, so the file's is a copy: one, or two when
 * somebody who may write came second. A copy shares the flags of the open file description, and
 * Linux appends what pwrite() writes where O_APPEND is set (pwrite(2), BUGS), and O_DIRECT wants
 * aligned lengths: then the file is opened anew, by /proc/self/fd.
 *
 * As close() of any descriptor does, the end of a mapped file drops the record locks (F_SETLK) that
 * the process has on it.
 *
 * Functions return 0 or an errno value and leave errno alone; no thread is cancelled in them.
 */
#ifndef MM_FILE_H
#define MM_FILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct mm__file {
	dev_t device;
	ino_t number;
	int fd;                /* for reading; -1: none */
	_Atomic(int) write_fd; /* -1: nobody may write; may be the same */
};

/*
 * Whether fd may be mapped so, as mmap(2), and what it is: EBADF; EACCES not open for reading, or
 * flags have MM_MAP_SHARED, prot has MM_PROT_WRITE, and it is not open for writing too; ENODEV not
 * a regular file. In this order, as do_mmap() in Linux's mm/mmap.c.
 */
int mm__file_check(int fd, int prot, int flags, struct stat *status);

/* Keeps a copy of fd, which mm__file_check() has found good. EMFILE and other errors of open(2). */
int mm__file_open(struct mm__file *file, int fd, int flags, const struct stat *status);

/* The same file once more: keeps a copy for writing if this is the first that may. */
int mm__file_open_again(struct mm__file *file, int fd, int flags);

void mm__file_close(struct mm__file *file);

/* Now. */
int mm__file_size(const struct mm__file *file, uint64_t *size);

/* Fills a page of real memory; zeroes behind the end. EFAULT: the file ends before it; EIO. */
int mm__file_read(const struct mm__file *file, void *page, uint64_t index);

/* Writes as much of a page as the file has. */
int mm__file_write(const struct mm__file *file, const void *page, uint64_t index);

#endif
