/* SPDX-License-Identifier: MIT */
/*
 * window - the pages of a file, as mappings of the program's own show them.
 *
 * An entry of a page table that shows a file's page has an address in a window. So the system
 * itself keeps such pages consistent with write(2) and read(2), knows which pages are dirty, writes
 * them back, and raises SIGBUS where the file has become too short (see guard.h). The address space
 * has no copy of a page that could be older than the file.
 *
 * A file has few windows, which stay until its inode dies. A thread makes a new window when no
 * window covers a mapping. The more windows a file has, the larger the next one is. A window takes
 * addresses of the program, but no memory before a thread uses its pages.
 *
 * A page is ready once a thread has accessed it through the window. Then it is normally in memory,
 * and an access to it does not wait for the file.
 *
 * Ordering: a thread that finds a window sees it initialised.
 *
 *	[WINDOW-W1]  the release with which a thread adds a window to the list
 *	[WINDOW-W2]  the acquire with which a thread loads the newest window of the list
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
 * Makes sure that a window covers pages [first, end) of a file that mm__file_check() has accepted.
 * One caller at a time. 0; ENOMEM; EBADF fd does not refer to the file of status any more.
 */
int mm__windows_cover(struct mm__windows *windows, int fd, const struct stat *status,
		      uint64_t first, uint64_t end);

/*
 * Makes sure that a window covers a page that lies behind the pages with which the file was mapped.
 * One caller at a time. 0; EFAULT no file has such a page; ENOMEM.
 */
int mm__windows_extend(struct mm__windows *windows, uint64_t index);

/* The page's bytes if the page is ready; otherwise NULL. Lock-free, and writes nothing. */
void *mm__windows_find(const struct mm__windows *windows, uint64_t index);

/*
 * Makes the page ready; with write, the page can also be stored to. 0; EFAULT the file ends before
 * the page, or the system cannot read or store it; ENOENT no window covers it. Blocks.
 */
int mm__windows_make_ready(const struct mm__windows *windows, uint64_t index, bool write);

/*
 * Has the system write the dirty pages in [first, end) to the file. Returns the first error;
 * blocks.
 */
int mm__windows_sync(const struct mm__windows *windows, uint64_t first, uint64_t end);

/*
 * When the function returns, the program does not map the file any more. A thread that has found a
 * page before may still read it, and reads zeroes. No thread may find, make or sync a page any
 * more.
 */
void mm__windows_withdraw(struct mm__windows *windows);

/*
 * What the windows weigh until mm__windows_destroy(), in ordinary objects. A thread may leave few
 * of the mappings that a process may have, and 256 GiB of its addresses, to be freed later.
 */
uint64_t mm__windows_weight(const struct mm__windows *windows);

/* No thread can have found a window or a page. */
void mm__windows_destroy(struct mm__windows *windows);

#endif
