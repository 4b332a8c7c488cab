/* SPDX-License-Identifier: MIT */
/* The parts that the writer and the reader of trace files share. */
#ifndef REPLAY_TRACE_CODING_H
#define REPLAY_TRACE_CODING_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_KIND        0x0f
#define RECORD_THREAD      0x10 /* a thread's number follows */
#define RECORD_NEXT_PAGE   0x20
#define RECORD_SAME_OFFSET 0x40
#define RECORD_UNUSED      0x80

#define TRACE_CHECKSUM_SIZE 8

/* A thread's last position, from which the distances in the file count. */
struct trace_cursor {
	uint64_t page;
	uint64_t offset;
};

static inline uint64_t trace_checksum(const unsigned char *data, size_t size)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ data[i]) * UINT64_C(0x100000001b3);
	return sum;
}

#endif
