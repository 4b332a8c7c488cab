/* SPDX-License-Identifier: MIT */
/*
 * inode - what shared and file-backed VMAs map: a file, or an object of shared anonymous memory.
 *
 * Shared anonymous memory keeps its pages in frames, which it gets when they are used first and keeps
 * until it dies.
 *
 * A file's pages are those that the system shows through windows (window.h). All mappings of a file of
 * one kind, by any descriptors and in any address spaces, have one inode in the process, found by
 * the file's device and number. No descriptor is kept.
 *
 * Lifetime: a VMA holds a reference, and gives it back when it was taken out of its tree and no
 * thread can use a translation of its pages any more. With the last reference of a file's inode the
 * program stops mapping the file, before mm__inode_put() returns. All memory is freed a grace period
 * later. So the inode of a VMA that was found in an RCU read section, and what is found in it, can
 * be read until the section ends, although what is read may be zeroes by then; with a reference, it
 * is what it says until that is given back. `refs` drops to 0 once, and never rises from 0: a thread
 * without a reference of its own may call mm__inode_get() only while some VMA keeps one.
 *
 * Locks: the ones in here are innermost but for what frames take, and none is held by a caller's
 * callback. Functions that block say so: call them without the VMA tree lock, the locks of page
 * tables, and outside of RCU read sections; holding ranges is fine.
 *
 * Functions that can fail return 0 or an errno value.
 */
#ifndef MM_INODE_H
#define MM_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct mm__frames;
struct mm__inode;

/*
 * The file that fd is, with a reference for the caller and windows for pages [first, end); fd is not
 * needed afterwards. status is the file's. *may: the accesses that mm_mprotect() may ever allow; for
 * others it fails with EACCES. Blocks.
 *
 * The errors of mmap(2) but for EBADF and EOVERFLOW, see file.h; ENOMEM.
 */
int mm__inode_open(int fd, const struct stat *status, int prot, int flags, uint64_t first,
		   uint64_t end, struct mm__inode **inode, int *may);

/*
 * Shared anonymous memory of so many pages, with a reference for the caller. It gets its frames
 * from this pool, which it keeps. ENOMEM.
 */
int mm__inode_anonymous(struct mm__frames *frames, uint64_t pages, struct mm__inode **inode);

/* Whether it is a file, so that its pages have no frames, and accesses to them need a guard. */
bool mm__inode_is_file(const struct mm__inode *inode);

/* One reference more; some other one stays meanwhile. Lock-free. */
void mm__inode_get(struct mm__inode *inode);

/* One reference less. Waits for no reader. */
void mm__inode_put(struct mm__inode *inode);

/*
 * The same, when no thread can be in a read section in which it found anonymous memory of this pool:
 * that is freed at once.
 */
void mm__inode_put_unshared(struct mm__inode *inode);

/*
 * The bytes of the page: of a frame, if it is shared memory. NULL: mm__inode_make() comes first. See
 * above for how long they are valid. Lock-free, and writes nothing.
 */
void *mm__inode_find(struct mm__inode *inode, uint64_t index);

/*
 * Makes the page one that mm__inode_find() finds, and if write, one that can be stored to. The caller
 * has a reference. Blocks.
 *
 * EFAULT the file or the object ends before the page, or the page cannot be read or stored; ENOMEM.
 */
int mm__inode_make(struct mm__inode *inode, uint64_t index, bool write);

/*
 * Whether a file now has the page, which mm__inode_make() has made at some time. Takes no lock; the
 * system may read the page from the file meanwhile.
 */
bool mm__inode_has(struct mm__inode *inode, uint64_t index);

/*
 * Has the system write what is dirty in [first, end) to the file, as msync(2) with MS_SYNC. Goes on
 * after an error, and returns the first. Nothing to do for anonymous memory. Blocks.
 */
int mm__inode_sync(struct mm__inode *inode, uint64_t first, uint64_t end);

/* Around fork(2); see child.c. */
void mm__inodes_before_fork(void);
void mm__inodes_after_fork(bool child);

#endif
