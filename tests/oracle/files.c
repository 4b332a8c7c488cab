/* SPDX-License-Identifier: MIT */
/*
 * The files are in memory. The kernel's writes to a disk, at times of its choice, are not compared.
 */
#define _GNU_SOURCE
#include "files.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_MAX 0x5000

static const unsigned int sizes[NR_FILES] = { FIRST_MAX, 0x3000 + 123, 0 };

/* Some C libraries are older than this flag. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static const int seals[NR_SEALS] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_SHRINK | F_SEAL_GROW,
				     F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int reopen(int fd, int mode)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, mode | O_CLOEXEC);
}

static void open_file(struct files *files, unsigned int i)
{
	static const int modes[3] = { O_RDWR, O_RDONLY, O_WRONLY };
	int fd = memfd_create("oracle", MFD_CLOEXEC);

	for (unsigned int mode = 0; mode < 3; mode++)
		files->fd[3 * i + mode] = reopen(fd, modes[mode]);
	close(fd);
}

/* Two pages and a part of a third. */
static void open_sealed(int *fds, int seal, bool sealed)
{
	static unsigned char bytes[0x2100];

	memset(bytes, 's', sizeof(bytes));
	fds[0] = memfd_create("oracle", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK_EQ(write(fds[0], bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	if (sealed)
		CHECK_EQ(fcntl(fds[0], F_ADD_SEALS, seal), 0);
	fds[1] = reopen(fds[0], O_RDONLY);
}

static void open_bad(int *fds)
{
	int ends[2];

	CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
	fds[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[1] = ends[0];
	fds[2] = ends[1];
	fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[4] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	fds[NR_OPEN_BAD] = -1;
	fds[NR_OPEN_BAD + 1] = 1 << 20;
	fds[NR_OPEN_BAD + 2] = -100;
}

bool files_open(struct files *files)
{
	bool all = true;

	for (unsigned int i = 0; i < NR_FILES; i++)
		open_file(files, i);
	for (unsigned int i = 0; i < NR_SEALS; i++) {
		open_sealed(&files->fd[FILES_SEALED + 2 * i], seals[i], true);
		open_sealed(&files->fd[FILES_UNSEALED + 2 * i], 0, false);
	}
	open_bad(&files->fd[FILES_BAD]);
	for (unsigned int i = 0; i < NR_FDS; i++)
		all = all &&
		      (files->fd[i] >= 0 || (i >= FILES_BAD + NR_OPEN_BAD && i < FILES_UNSEALED));
	return all;
}

void files_close(struct files *files)
{
	for (unsigned int i = 0; i < NR_FDS; i++)
		if (i < FILES_BAD + NR_OPEN_BAD || i >= FILES_UNSEALED)
			close(files->fd[i]);
}

void files_reset(const struct files *files)
{
	static unsigned char bytes[FIRST_MAX];

	for (unsigned int i = 0; i < NR_FILES; i++) {
		int fd = files->fd[3 * i + 2];

		for (unsigned int j = 0; j < sizes[i]; j++)
			bytes[j] = (unsigned char)(j / 16 + j % 251 + i);
		/*
		 * First to length 0, which also clears the bytes behind the end of the last page.
		 */
		CHECK_EQ(ftruncate(fd, 0), 0);
		CHECK_EQ(pwrite(fd, bytes, sizes[i], 0), sizes[i]);
	}
}

static bool same(int a, int b)
{
	static char bytes[2][1 << 16];
	off_t at = 0;
	ssize_t length;

	do {
		length = pread(a, bytes[0], sizeof(bytes[0]), at);
		if (pread(b, bytes[1], sizeof(bytes[1]), at) != length ||
		    memcmp(bytes[0], bytes[1], (size_t)length) != 0)
			return false;
		at += length;
	} while (length > 0);
	return true;
}

bool files_same(const struct files *a, const struct files *b)
{
	bool all = true;

	for (unsigned int i = 0; i < NR_FILES; i++)
		all = all && same(a->fd[3 * i + 1], b->fd[3 * i + 1]);
	return all;
}

uint64_t files_size(const struct files *files, unsigned int file)
{
	struct stat status;

	CHECK_EQ(fstat(files->fd[3 * file], &status), 0);
	return (uint64_t)status.st_size;
}

void files_do(const struct files *files, const struct op *op, struct record *record)
{
	static unsigned char bytes[MAX_ACCESS];
	const int *fd = &files->fd[3 * op->file];
	ssize_t result;

	if (op->kind == OP_TRUNCATE) {
		result = ftruncate(fd[2], (off_t)op->length);
	} else if (op->kind == OP_PWRITE) {
		for (uint64_t i = 0; i < op->length; i++)
			bytes[i] = op_byte(op, i);
		result = pwrite(fd[2], bytes, op->length, (off_t)op->offset);
	} else {
		result = pread(fd[1], bytes, op->length, (off_t)op->offset);
		for (ssize_t i = 0; i < result; i++)
			record->hash = op_hash(record->hash, bytes[i]);
	}
	record->error = result < 0 ? errno : 0;
	record->result = result < 0 ? 0 : (uint64_t)result;
}
