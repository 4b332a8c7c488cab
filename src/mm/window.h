/* SPDX-License-Identifier: MIT */
/*
 * window - the pages of a file, as mappings of the program's own show them.
 *
 * An entry of a page table that shows a file has an address in a window. So the system itself keeps
 * such pages the same as write(2) and read(2) see them, knows which are dirty, writes them back, and
 * raises SIGBUS where the file has become too short (see guard.h). There is no copy of a page here
 * that could be older than the file.
 *
 * A file has few windows, which stay until its inode dies: each new one is made when a mapping is not
 * covered by one that is there, and the more there are, the larger it is made. It takes addresses of
 * the program, but no memory before its pages are used.
 *
 * A page is ready once it has been accessed through the window: then it is normally in memory, and an
 * access to it does not wait for the file.
 *
 * Ordering: a window is added with a release [F1], and found with an acquire [F2]: a thread that finds
 * it sees it initialised.
 */
#ifndef MM_WINDOW_H
#define MM_WINDOW_H

#include "file.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mm__window;

struct mm__windows {
	_Atomic(struct mm__window *) newest;
	unsigned int count;
	enum mm__file_kind kind;
};

void mm__windows_init(struct mm__windows *windows, enum mm__file_kind kind);

/*
 * Makes sure that there is a window for pages [first, end) of a file that mm__file_check() has found
 * good. One caller at a time. 0; ENOMEM; EBADF fd is not the file of status any more.
 */
int mm__windows_cover(struct mm__windows *windows, int fd, const struct stat *status, uint64_t first,
		      uint64_t end);

/*
 * Makes sure that there is one for a page behind some window, which the file was mapped to further down.
 * One caller at a time. 0; EFAULT no file has such a page; ENOMEM.
 */
int mm__windows_extend(struct mm__windows *windows, uint64_t index);

/* The page's bytes if it is ready, or else NULL. Lock-free, and writes nothing. */
void *mm__windows_find(const struct mm__windows *windows, uint64_t index);

/*
 * Makes the page ready, also for being stored to if write. 0; EFAULT the file ends before it, or it
 * cannot be read or stored; ENOENT there is no window for it. Blocks.
 */
int mm__windows_make_ready(const struct mm__windows *windows, uint64_t index, bool write);

/* Has the system write what is dirty in [first, end) to the file. Returns its first error. Blocks. */
int mm__windows_sync(const struct mm__windows *windows, uint64_t first, uint64_t end);

/*
 * On return the program does not map the file any more. A thread that has found a page before may
 * still read it, and reads zeroes. Nothing may be found, made or synced any more.
 */
void mm__windows_withdraw(struct mm__windows *windows);

/*
 * What they weigh until then, in ordinary objects: few of the mappings that a process may have, and
 * 256 GiB of its addresses, are as much as a thread may leave for later.
 */
uint64_t mm__windows_weight(const struct mm__windows *windows);

/* No thread can have found anything. */
void mm__windows_destroy(struct mm__windows *windows);

#endif
