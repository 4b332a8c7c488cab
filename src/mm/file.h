/* SPDX-License-Identifier: MIT */
/*
 * file - what the address space asks of the system about files: whether a descriptor may be mapped,
 * and mappings of the program's own that show pages of the file.
 *
 * No descriptor is kept: a mapping is made while the caller's descriptor is open, and outlives it. So
 * the record locks of the process (F_SETLK), which the close() of any descriptor of a file drops,
 * stay.
 *
 * Functions return 0 or an errno value and leave errno alone; no thread is canceled in them.
 */
#ifndef MM_FILE_H
#define MM_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * How a file is mapped. VMAs of different kinds have different mappings of the program's own, because
 * only a mapping with MAP_SHARED of a descriptor that is open for writing keeps F_SEAL_WRITE away, in
 * Linux as here.
 */
enum mm__file_kind {
	MM__FILE_PRIVATE,  /* it is read only, and what is written goes to copies */
	MM__FILE_READABLE, /* shared, and can never be written to */
	MM__FILE_WRITABLE  /* shared */
};

/* What a descriptor is. EBADF: no descriptor, or one of O_PATH. */
int mm__file_status(int fd, struct stat *status);

/*
 * Whether mmap(2) takes fd with these MM_PROT_ and MM_MAP_ bits, which kind of mapping that is, and
 * whether it may ever be made executable. The system itself answers, by mappings that are gone again on
 * return. EACCES, EPERM, ENODEV (also for what is no regular file), EINVAL MM_MAP_GROWSDOWN, and other
 * errors of mmap(2).
 */
int mm__file_check(int fd, const struct stat *status, int prot, int flags, enum mm__file_kind *kind,
		   bool *may_exec);

/* Maps pages [first, end) of the file. ENOMEM, and other errors of mmap(2). */
int mm__file_map(int fd, enum mm__file_kind kind, uint64_t first, uint64_t end, char **bytes);

/*
 * Maps pages again, more than before and without a descriptor: *bytes shows so many pages of the
 * file, and is replaced by a mapping of more_pages that begins with the same page. What is mapped at
 * the old place stays. ENOMEM, also where the system has no mremap(2) that does it.
 */
int mm__file_map_more(enum mm__file_kind kind, uint64_t pages, uint64_t more_pages, char **bytes);

/*
 * Ends a mapping of a file, and border nodes pages in its place that read as zeroes and cannot be stored
 * to, until mm__file_unmap(). Where there is no memory for that, the mapping stays until then.
 */
void mm__file_withdraw(char *bytes, uint64_t pages);

void mm__file_unmap(char *bytes, uint64_t pages);

/* msync(2) with MS_SYNC. Blocks. EIO, ENOSPC or another error of the file. */
int mm__file_sync(char *bytes, uint64_t pages);

#endif
