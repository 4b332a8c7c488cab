/* SPDX-License-Identifier: MIT */
/* The files that operations map and change. Each side has its own files, with the same contents. */
#ifndef TESTS_ORACLE_FILES_H
#define TESTS_ORACLE_FILES_H

#include "record.h"

#include <stdbool.h>

#define NR_FILES 3 /* one of some whole pages, one that ends within a page, and an empty one */
#define NR_SEALS 4 /* sealed files */

/*
 * Each file opened for reading and writing, for reading, and for writing; sealed files opened for
 * reading and writing, and for reading; the same files without seals; and descriptors that cannot
 * be mapped: of no regular file, not open at all, and opened with O_PATH.
 */
enum {
	FILES_SEALED = 3 * NR_FILES,
	FILES_BAD = FILES_SEALED + 2 * NR_SEALS,
	NR_OPEN_BAD = 5,
	NR_DESCRIPTORS = FILES_BAD + NR_OPEN_BAD + 3,
	FILES_UNSEALED = NR_DESCRIPTORS,
	NR_FDS = FILES_UNSEALED + 2 * NR_SEALS
};

struct files {
	int fd[NR_FDS];
};

/* Returns whether it succeeded. */
bool files_open(struct files *files);

void files_close(struct files *files);

/* Restores the initial contents of all files. */
void files_reset(const struct files *files);

/* Returns whether the files of both have the same contents. */
bool files_same(const struct files *a, const struct files *b);

/* The size of one of the NR_FILES. */
uint64_t files_size(const struct files *files, unsigned int file);

/* Carries out OP_TRUNCATE, OP_PWRITE or OP_PREAD. Does not allocate. */
void files_do(const struct files *files, const struct op *op, struct record *record);

#endif
