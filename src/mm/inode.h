/* SPDX-License-Identifier: MIT */
/*
 * inode - what shared and file-backed areas map: a file, or an object of shared anonymous memory;
 * and the cache of its pages.
 *
 * A file has one inode in the process, found by its device and number: all its mappings, by any
 * descriptors and in any address spaces, share its pages.
 *
 * Lifetime: an area holds a reference, and gives it back after it was taken out of its tree, when no
 * thread can use the translations of its pages any more. A page that is in the cache stays until the inode dies, and always in the same frame, to
 * which the cache holds a reference. The inode dies a grace period after its last reference is
 * given back. So the inode of an area that was found in an RCU read section, and the frames that
 * are found in it, are valid until the section ends; with a reference to the inode, until that is
 * given back. Meanwhile anybody may mm__frame_get() such a frame, to keep it longer.
 *
 * Real files can be changed behind our back. What write(2) does to a page that is in the cache is
 * not seen until the inode has died. That a file has become shorter is seen when a page behind its
 * end is looked for by mm__inode_read() or mm__inode_within(): from then on no page behind the end
 * is found, and if the file grows again, they are read again, into the same frames. Until then,
 * mm__inode_find() finds them; and entries of page tables are not taken back.
 *
 * Locks: the ones in here are innermost but for what frames take, and none is held by a caller's
 * callback. Functions that block say so: call them without the short mm lock, the locks of page
 * tables, and outside of RCU read sections; holding ranges is fine.
 *
 * Functions that can fail return 0 or an errno value.
 */
#ifndef MM_INODE_H
#define MM_INODE_H

#include <stdbool.h>
#include <stdint.h>

struct mm__frame;
struct mm__frames;
struct mm__inode;

/*
 * The file that fd is, with a reference for the caller; fd is not needed afterwards. Blocks, also
 * until the last mm__inode_put() of the same file is through.
 *
 * The errors of mmap(2), in Linux's order: EBADF bad descriptor, or one of O_PATH; EACCES not open
 * for reading, or flags have MM_MAP_SHARED, prot has MM_PROT_WRITE, and it is not open for writing;
 * ENODEV not a regular file. Others: EMFILE no descriptor left for a copy; ENOMEM.
 */
int mm__inode_open(int fd, int prot, int flags, struct mm__inode **inode);

/*
 * Whether mm_mprotect() may ever make writable what is mapped from fd with these flags: if not, it
 * fails with EACCES. fd is one that mm__inode_open() takes.
 */
bool mm__inode_may_write(int fd, int flags);

/*
 * Shared anonymous memory of so many pages, with a reference for the caller. It gets its frames
 * from this pool, which it keeps. ENOMEM.
 */
int mm__inode_anonymous(struct mm__frames *frames, uint64_t pages, struct mm__inode **inode);

/* One reference more; the caller has one. Lock-free. */
void mm__inode_get(struct mm__inode *inode);

/*
 * One reference less. The last one writes back what is dirty (errors are lost here: who wants to
 * know them calls mm__inode_sync() before), and puts all pages when a grace period is over. Blocks,
 * but for readers.
 */
void mm__inode_put(struct mm__inode *inode);

/*
 * The same, when no thread can be in a read section in which it found anonymous memory of this pool:
 * that is freed at once.
 */
void mm__inode_put_unshared(struct mm__inode *inode);

/*
 * The page, up to date; NULL: it is not in the cache. See above for how long it is valid. Lock-free,
 * and writes nothing.
 */
struct mm__frame *mm__inode_find(struct mm__inode *inode, uint64_t index);

/*
 * The page; if it is not in the cache, it is read, and who wants the same page meanwhile waits for
 * that. What the last page has behind the file's end is zeroes. The caller has a reference to the
 * inode, and gets none to the frame. Asks the system for the size, each time. Blocks.
 *
 * EFAULT the file ends before the page; EIO it cannot be read; ENOMEM.
 */
int mm__inode_read(struct mm__inode *inode, uint64_t index, struct mm__frame **frame);

/* Whether there is such a page, now. Asks the system. Blocks. */
bool mm__inode_within(struct mm__inode *inode, uint64_t index);

/*
 * A shared mapping is about to become able to write to the page, which is in the cache. Lock-free,
 * and writes nothing if it is dirty already.
 *
 * The page stays dirty for good: nobody says when the last entry that can write to it is gone, so
 * each mm__inode_sync() and the last mm__inode_put() write it again.
 */
void mm__inode_set_dirty(struct mm__inode *inode, uint64_t index);

/*
 * Writes what is dirty in [first, end) to the file, as far as that reaches now, so that read(2)
 * finds it there: not what fsync(2) does. Bytes written to a page before, and seen by the caller,
 * are written; those written meanwhile may be. Goes on after an error, and returns the first.
 * Nothing to do for anonymous memory. Blocks; of two for the same file, one waits for the other.
 */
int mm__inode_sync(struct mm__inode *inode, uint64_t first, uint64_t end);

/* Around fork(2); see child.c. */
void mm__inodes_before_fork(void);
void mm__inodes_after_fork(bool child);

#endif
