/* SPDX-License-Identifier: MIT */
/* The files that operations map. Each side has its own, with the same bytes in them. */
#ifndef TESTS_ORACLE_FILES_H
#define TESTS_ORACLE_FILES_H

#include <stdbool.h>

#define NR_FILES 3 /* of some pages, not of whole pages, and an empty one */

/*
 * Each file opened for reading and writing, for reading, and for writing; a directory; and two
 * descriptors that are none.
 */
#define NR_DESCRIPTORS (3 * NR_FILES + 3)

struct files {
	int fd[NR_DESCRIPTORS];
};

/* Says whether it could. */
bool files_open(struct files *files);

void files_close(struct files *files);

/* Gives all files their first contents again. */
void files_reset(const struct files *files);

/* Says whether the same is in the files of both. */
bool files_same(const struct files *a, const struct files *b);

#endif
