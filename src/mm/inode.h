/* SPDX-License-Identifier: MIT */
/*
 * inode - what a shared or file-backed VMA maps: a file, or an object of shared anonymous memory.
 *
 * Shared anonymous memory keeps its pages in frames. It gets a frame when a thread first uses the
 * page, and keeps it until the object dies.
 *
 * The system shows a file's pages through windows (window.h). All mappings of a file of one kind,
 * by any descriptors and in any address spaces, have one inode in the process, found by the file's
 * device and number. An inode keeps no descriptor.
 *
 * Lifetime: a VMA holds a reference. The thread that took the VMA out of its tree gives the
 * reference back when no thread can use a translation of the VMA's pages any more. When the last
 * reference of a file's inode goes, the program stops mapping the file before mm__inode_put()
 * returns. All memory is freed a grace period later. So a thread that found a VMA in an RCU read
 * section can read the VMA's inode and its pages until the section ends, although it may read
 * zeroes by then. With a reference of its own, the thread reads the true contents until it gives
 * the reference back. `refs` drops to 0 once, and never rises from 0: a thread without a reference
 * of its own may call mm__inode_get() only while some VMA keeps one.
 *
 * Locks: the locks in this module are innermost, except for those that frames take. No thread holds
 * one while a caller's function runs. The comment of a function that blocks says "Blocks": call it
 * without the VMA tree lock and the locks of page tables, and outside of RCU read sections. The
 * caller may hold ranges.
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
 * The inode of the file that fd refers to, with a reference for the caller and windows for pages
 * [first, end). The inode does not need fd afterwards. status is the file's. *may: the accesses
 * that mm_mprotect() may ever allow; for others it fails with EACCES. Blocks.
 *
 * The errors of mmap(2), except for EBADF and EOVERFLOW, see file.h; ENOMEM.
 */
int mm__inode_open(int fd, const struct stat *status, int prot, int flags, uint64_t first,
		   uint64_t end, struct mm__inode **inode, int *may);

/*
 * Shared anonymous memory of that many pages, with a reference for the caller. It gets its frames
 * from this pool, and keeps a reference to the pool. ENOMEM.
 */
int mm__inode_anonymous(struct mm__frames *frames, uint64_t pages, struct mm__inode **inode);

/* Whether the inode is a file: then its pages have no frames, and accesses to them need a guard. */
bool mm__inode_is_file(const struct mm__inode *inode);

/* Takes one more reference; another reference must stay meanwhile. Lock-free. */
void mm__inode_get(struct mm__inode *inode);

/* Gives a reference back. Waits for no reader. */
void mm__inode_put(struct mm__inode *inode);

/*
 * The same, when no thread can be in a read section in which it found anonymous memory of this
 * pool: the function frees such memory at once.
 */
void mm__inode_put_unshared(struct mm__inode *inode);

/*
 * The bytes of the page; of shared memory, those of a frame. NULL: the caller has to call
 * mm__inode_make() first. The bytes are valid as described under Lifetime. Lock-free, and writes
 * nothing.
 */
void *mm__inode_find(struct mm__inode *inode, uint64_t index);

/*
 * Makes the page, so that mm__inode_find() finds it; with write, the page can be stored to. The
 * caller has a reference. Blocks.
 *
 * EFAULT the file or the object ends before the page, or the page cannot be read or stored; ENOMEM.
 */
int mm__inode_make(struct mm__inode *inode, uint64_t index, bool write);

/*
 * Whether a file still has the page, which mm__inode_make() has made before. Takes no lock, but the
 * system may read the page from the file meanwhile.
 */
bool mm__inode_has(struct mm__inode *inode, uint64_t index);

/*
 * Has the system write the dirty pages in [first, end) to the file, as msync(2) with MS_SYNC. Goes
 * on after an error, and returns the first one. Does nothing for anonymous memory. Blocks.
 */
int mm__inode_sync(struct mm__inode *inode, uint64_t first, uint64_t end);

/* Called around fork(2); see child.c. */
void mm__inodes_before_fork(void);
void mm__inodes_after_fork(bool child);

#endif
