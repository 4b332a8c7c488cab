/* SPDX-License-Identifier: MIT */
/*
 * file - what the address space asks of the system about files: whether it may map a descriptor,
 * and mappings of the program's own that show pages of the file.
 *
 * No function keeps a descriptor. It makes a mapping while the caller's descriptor is open, and the
 * mapping outlives the descriptor. So the process keeps its record locks (F_SETLK), which a close()
 * of any descriptor of the file would drop.
 *
 * Functions return 0 or an errno value and leave errno alone. They disable cancellation.
 */
#ifndef MM_FILE_H
#define MM_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * How a file is mapped. VMAs of different kinds have different mappings of the program's own,
 * because only a mapping with MAP_SHARED of a descriptor that is open for writing prevents
 * F_SEAL_WRITE, in Linux and here.
 */
enum mm__file_kind {
	MM__FILE_PRIVATE,  /* the mapping is read only, and writes go to copies */
	MM__FILE_READABLE, /* shared, and never writable */
	MM__FILE_WRITABLE  /* shared */
};

/* The status of an open descriptor. EBADF: fd is no descriptor, or one of O_PATH. */
int mm__file_status(int fd, struct stat *status);

/*
 * Whether mmap(2) accepts fd with these MM_PROT_ and MM_MAP_ bits, which kind of mapping that is,
 * and whether it may ever be made executable. The function asks the system, by mappings that are
 * gone again when it returns. EACCES; EPERM; ENODEV, also if fd is no regular file; EINVAL for
 * MM_MAP_GROWSDOWN; and other errors of mmap(2).
 */
int mm__file_check(int fd, const struct stat *status, int prot, int flags, enum mm__file_kind *kind,
		   bool *may_exec);

/* Maps pages [first, end) of the file. ENOMEM, and other errors of mmap(2). */
int mm__file_map(int fd, enum mm__file_kind kind, uint64_t first, uint64_t end, char **bytes);

/*
 * Maps pages again, more than before and without a descriptor. *bytes shows that many pages of the
 * file. The function replaces it by a mapping of more_pages that begins with the same page, and
 * leaves the old mapping in place. ENOMEM, also where the system has no mremap(2) that does it.
 */
int mm__file_map_more(enum mm__file_kind kind, uint64_t pages, uint64_t more_pages, char **bytes);

/*
 * Ends a mapping of a file, and leaves pages in its place that read as zeroes and cannot be stored
 * to, until mm__file_unmap(). Where there is no memory for that, the mapping stays until then.
 */
void mm__file_withdraw(char *bytes, uint64_t pages);

void mm__file_unmap(char *bytes, uint64_t pages);

/* msync(2) with MS_SYNC. Blocks. EIO, ENOSPC or another error of the file. */
int mm__file_sync(char *bytes, uint64_t pages);

#endif
