/* SPDX-License-Identifier: MIT */
#include "trace_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Reads all of a file, up to TRACE_MAX_FILE bytes. Reads in steps, because the file's own size may
 * be wrong.
 */
static int read_all(FILE *file, unsigned char **data, size_t *size)
{
	size_t capacity = 0, n;

	*data = NULL;
	*size = 0;
	do {
		if (*size == capacity) {
			unsigned char *more;

			if (capacity >= TRACE_MAX_FILE)
				return EFBIG;
			capacity = capacity ? capacity * 2 : 65536;
			more = realloc(*data, capacity);
			if (!more)
				return ENOMEM;
			*data = more;
		}
		errno = 0;
		n = fread(*data + *size, 1, capacity - *size, file);
		*size += n;
		/* A file without a trace's beginning is not read to its end: it may have no end. */
		if (*size >= TRACE_MAGIC_SIZE && memcmp(*data, TRACE_MAGIC, TRACE_MAGIC_SIZE) != 0)
			return 0;
	} while (n > 0);
	if (ferror(file))
		return errno ? errno : EIO;
	return 0;
}

int trace_read(struct trace *trace, const char *path, char *message, size_t message_size)
{
	FILE *file = fopen(path, "rb");
	unsigned char *data = NULL;
	char what[128];
	size_t size = 0;
	int error = file ? read_all(file, &data, &size) : errno;

	*trace = (struct trace){ 0 };
	if (error)
		snprintf(what, sizeof what, "%s", strerror(error));
	else
		error = trace_decode(trace, data, size, what, sizeof what);
	if (error)
		snprintf(message, message_size, "%s: %s", path, what);
	free(data);
	if (file)
		fclose(file);
	return error;
}

/* Removes the written file, unless it is a pipe or a device. */
static void remove_file(const char *path)
{
	struct stat status;

	if (!lstat(path, &status) && S_ISREG(status.st_mode))
		remove(path);
}

/* Writes and closes. */
static int write_all(FILE *file, const unsigned char *data, size_t size)
{
	int error = 0;

	if (fwrite(data, 1, size, file) != size)
		error = errno ? errno : EIO;
	if (fclose(file) && !error)
		error = errno ? errno : EIO;
	return error;
}

int trace_write(const struct trace *trace, const char *path, char *message, size_t message_size)
{
	unsigned char *data = NULL;
	size_t size = 0;
	int error = trace_encode(trace, &data, &size);
	FILE *file;

	if (error) {
		snprintf(message, message_size, "%s: the trace cannot be coded: %s", path,
			 strerror(error));
		return error;
	}
	file = fopen(path, "wb");
	if (file) {
		error = write_all(file, data, size);
		if (error)
			remove_file(path);
	} else {
		error = errno;
	}
	if (error)
		snprintf(message, message_size, "%s: %s", path, strerror(error));
	free(data);
	return error;
}
