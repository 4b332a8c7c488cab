/* SPDX-License-Identifier: MIT */
/* They are in memory: what the kernel writes to a disk at a time of its choice is not compared. */
#define _GNU_SOURCE
#include "files.h"

#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SIZE 0x5000

static const unsigned int sizes[NR_FILES] = { MAX_SIZE, 0x3000 + 123, 0 };

bool files_open(struct files *files)
{
	static const int modes[3] = { O_RDWR, O_RDONLY, O_WRONLY };
	bool all = true;

	for (unsigned int i = 0; i < NR_FILES; i++) {
		int fd = memfd_create("oracle", MFD_CLOEXEC);
		char name[64];

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		for (unsigned int mode = 0; mode < 3; mode++)
			files->fd[3 * i + mode] = open(name, modes[mode] | O_CLOEXEC);
		/* See README.md. */
		if (sizes[i] % 4096)
			CHECK_EQ(dup3(files->fd[3 * i + 1], files->fd[3 * i], O_CLOEXEC),
				 files->fd[3 * i]);
		close(fd);
	}
	files->fd[3 * NR_FILES] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned int i = 0; i <= 3 * NR_FILES; i++)
		all = all && files->fd[i] >= 0;
	files->fd[3 * NR_FILES + 1] = -1;
	files->fd[3 * NR_FILES + 2] = 1 << 20;
	return all;
}

void files_close(struct files *files)
{
	for (unsigned int i = 0; i <= 3 * NR_FILES; i++)
		close(files->fd[i]);
}

void files_reset(const struct files *files)
{
	static unsigned char bytes[MAX_SIZE];

	for (unsigned int i = 0; i < NR_FILES; i++) {
		for (unsigned int j = 0; j < sizes[i]; j++)
			bytes[j] = (unsigned char)(j / 16 + j % 251 + i);
		CHECK_EQ(pwrite(files->fd[3 * i + 2], bytes, sizes[i], 0), sizes[i]);
	}
}

static bool same(int a, int b)
{
	static char bytes[2][MAX_SIZE + 1];
	ssize_t length = pread(a, bytes[0], sizeof(bytes[0]), 0);

	return pread(b, bytes[1], sizeof(bytes[1]), 0) == length &&
	       memcmp(bytes[0], bytes[1], (size_t)length) == 0;
}

bool files_same(const struct files *a, const struct files *b)
{
	bool all = true;

	for (unsigned int i = 0; i < NR_FILES; i++)
		all = all && same(a->fd[3 * i + 1], b->fd[3 * i + 1]);
	return all;
}
