/* SPDX-License-Identifier: MIT */
/* The compact trace file: reading returns the written trace, and refuses other files. */
#include "trace_format.h"
#include "test.h"
#include "trace_coding.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BRK_START UINT64_C(0x555555556000)
#define FIXED     (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED)
#define NOREPLACE (MM_MAP_SHARED | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE)

/* One operation of each kind, by three threads. */
static struct trace_op all_kinds[] = {
	{ .kind = TRACE_MMAP,
	  .addr = 0x7f0000000000,
	  .length = 0x10000,
	  .prot = 3,
	  .flags = FIXED },
	{ .kind = TRACE_WRITE, .addr = 0x7f0000000123 },
	{ .kind = TRACE_WRITE, .addr = 0x7f0000001123 },
	{ .kind = TRACE_READ, .addr = 0x7f0000001fff, .thread = 1 },
	{ .kind = TRACE_EXEC, .addr = 0x7f000000ffff, .thread = 2 },
	{ .kind = TRACE_MPROTECT,
	  .addr = 0x7f0000002000,
	  .length = 0x1000,
	  .prot = 0,
	  .thread = 2 },
	{ .kind = TRACE_MADVISE,
	  .addr = 0x7f0000001000,
	  .length = 0x2000,
	  .flags = MM_MADV_DONTNEED },
	{ .kind = TRACE_BRK, .new_addr = BRK_START, .new_length = BRK_START },
	{ .kind = TRACE_BRK,
	  .addr = BRK_START + 5000,
	  .new_addr = BRK_START + 5000,
	  .new_length = BRK_START },
	{ .kind = TRACE_BRK,
	  .new_addr = BRK_START + 5000,
	  .new_length = BRK_START + 5000,
	  .thread = 1 },
	{ .kind = TRACE_MREMAP,
	  .addr = 0x7f0000008000,
	  .length = 0x1000,
	  .new_addr = 0x10000,
	  .new_length = 0x3000 },
	{ .kind = TRACE_MMAP,
	  .addr = MM_ADDR_MAX - 0x1000,
	  .length = 0x1000,
	  .prot = 7,
	  .flags = NOREPLACE },
	{ .kind = TRACE_MUNMAP, .addr = MM_ADDR_MIN, .length = MM_ADDR_MAX - MM_ADDR_MIN },
};

static struct trace trace_of(struct trace_op *ops, size_t count)
{
	return (struct trace){ "a program", BRK_START, 3, count, ops };
}

static void check_equal(const struct trace *a, const struct trace *b)
{
	CHECK(!strcmp(a->name, b->name));
	CHECK_EQ(a->brk_start, b->brk_start);
	CHECK_EQ(a->threads, b->threads);
	CHECK_EQ(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct trace_op *x = &a->ops[i], *y = &b->ops[i];

		CHECK_EQ(x->kind, y->kind);
		CHECK_EQ(x->addr, y->addr);
		CHECK_EQ(x->length, y->length);
		CHECK_EQ(x->new_addr, y->new_addr);
		CHECK_EQ(x->new_length, y->new_length);
		CHECK_EQ(x->thread, y->thread);
		CHECK_EQ(x->flags, y->flags);
		CHECK_EQ(x->prot, y->prot);
	}
}

static void encode_all_kinds(unsigned char **data, size_t *size)
{
	struct trace trace = trace_of(all_kinds, sizeof all_kinds / sizeof *all_kinds);

	CHECK_EQ(trace_encode(&trace, data, size), 0);
}

/* Corrects the checksum, so that the decoder reaches the rest of the file. */
static void seal(unsigned char *data, size_t size)
{
	uint64_t sum = trace_checksum(data, size - TRACE_CHECKSUM_SIZE);

	for (unsigned int i = 0; i < TRACE_CHECKSUM_SIZE; i++)
		data[size - TRACE_CHECKSUM_SIZE + i] = (unsigned char)(sum >> (8 * i));
}

/*
 * Decodes a copy of exactly size bytes, so that a sanitizer sees a read beyond it. Returns the
 * result of trace_decode().
 */
static int decode(const unsigned char *data, size_t size, char message[128])
{
	unsigned char *copy = malloc(size ? size : 1);
	struct trace trace;
	int error;

	memcpy(copy, data, size);
	message[0] = '\0';
	error = trace_decode(&trace, copy, size, message, 128);
	CHECK(!error || (message[0] && !trace.ops && trace.count == 0));
	trace_destroy(&trace);
	free(copy);
	return error;
}

TEST(trace_format, a_trace_of_all_kinds_is_read_as_it_was_written)
{
	struct trace trace = trace_of(all_kinds, sizeof all_kinds / sizeof *all_kinds), back;
	unsigned char *data;
	char message[128];
	size_t size;

	encode_all_kinds(&data, &size);
	CHECK_EQ(trace_decode(&back, data, size, message, sizeof message), 0);
	check_equal(&trace, &back);
	trace_destroy(&back);
	free(data);
}

TEST(trace_format, random_faults_are_read_as_they_were_written)
{
	uint64_t seed = test_seed("trace_format");
	static struct trace_op ops[5000];
	struct trace trace = trace_of(ops, 5000), back;
	unsigned char *data;
	char message[128];
	size_t size;

	for (size_t i = 0; i < trace.count; i++) {
		uint64_t page = MM_ADDR_MIN + (test_random_below(&seed, 64)
					       << (12 + test_random_below(&seed, 28)));

		ops[i] = (struct trace_op){ .kind = (uint8_t)test_random_below(&seed, 3),
					    .thread = (uint32_t)test_random_below(&seed, 3),
					    .addr = page + test_random_below(&seed, MM_PAGE_SIZE) };
		if (i && test_random_below(&seed, 2))
			ops[i].addr = ops[i - 1].addr + MM_PAGE_SIZE;
	}
	CHECK_EQ(trace_encode(&trace, &data, &size), 0);
	CHECK_EQ(trace_decode(&back, data, size, message, sizeof message), 0);
	check_equal(&trace, &back);
	trace_destroy(&back);
	free(data);
}

TEST(trace_format, faults_of_one_thread_on_consecutive_pages_take_a_byte_each)
{
	static struct trace_op ops[1000];
	struct trace trace = trace_of(ops, 1000);
	unsigned char *data;
	size_t size;

	for (size_t i = 0; i < trace.count; i++)
		ops[i] = (struct trace_op){ .kind = TRACE_WRITE,
					    .addr = MM_ADDR_MIN + i * MM_PAGE_SIZE };
	CHECK_EQ(trace_encode(&trace, &data, &size), 0);
	CHECK(size < 1000 + 64);
	free(data);
}

TEST(trace_format, a_trace_that_a_reader_would_refuse_is_not_written)
{
	struct trace_op op = { .kind = TRACE_WRITE, .addr = MM_ADDR_MAX };
	struct trace trace = trace_of(&op, 1);
	unsigned char *data;
	size_t size;

	CHECK_EQ(trace_encode(&trace, &data, &size), EINVAL);
	op = (struct trace_op){ .kind = TRACE_WRITE, .addr = MM_ADDR_MIN, .thread = 3 };
	CHECK_EQ(trace_encode(&trace, &data, &size), EINVAL);
	op = (struct trace_op){ .kind = TRACE_MUNMAP, .addr = MM_ADDR_MIN, .length = 1 };
	CHECK_EQ(trace_encode(&trace, &data, &size), EINVAL);
	op = (struct trace_op){
		.kind = TRACE_MMAP, .addr = MM_ADDR_MIN, .length = 4096, .flags = MM_MAP_PRIVATE
	};
	CHECK_EQ(trace_encode(&trace, &data, &size), EINVAL);
	op = (struct trace_op){ .kind = TRACE_BRK,
				.new_addr = BRK_START + 1,
				.new_length = BRK_START };
	CHECK_EQ(trace_encode(&trace, &data, &size), EINVAL);
	trace.threads = 0;
	CHECK_EQ(trace_encode(&trace, &data, &size), EINVAL);
}

TEST(trace_format, a_file_that_is_cut_anywhere_is_refused)
{
	unsigned char *data;
	char message[128];
	size_t size;

	encode_all_kinds(&data, &size);
	for (size_t cut = 0; cut < size; cut++)
		CHECK_EQ(decode(data, cut, message), EINVAL);
	free(data);
}

TEST(trace_format, a_file_with_a_changed_byte_is_refused)
{
	unsigned char *data;
	char message[128];
	size_t size;

	encode_all_kinds(&data, &size);
	for (size_t i = 0; i < size; i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			data[i] ^= (unsigned char)(1u << bit);
			CHECK_EQ(decode(data, size, message), EINVAL);
			data[i] ^= (unsigned char)(1u << bit);
		}
	}
	CHECK_EQ(decode(data, size, message), 0);
	free(data);
}

TEST(trace_format, a_sealed_file_that_is_cut_anywhere_is_refused)
{
	unsigned char *data;
	char message[128];
	size_t size;

	encode_all_kinds(&data, &size);
	for (size_t cut = TRACE_MAGIC_SIZE + TRACE_CHECKSUM_SIZE; cut < size; cut++) {
		unsigned char saved[TRACE_CHECKSUM_SIZE];

		memcpy(saved, data + cut - TRACE_CHECKSUM_SIZE, sizeof saved);
		seal(data, cut);
		CHECK_EQ(decode(data, cut, message), EINVAL);
		memcpy(data + cut - TRACE_CHECKSUM_SIZE, saved, sizeof saved);
	}
	free(data);
}

TEST(trace_format, sealed_bytes_of_any_value_do_no_harm)
{
	unsigned char *data;
	char message[128];
	size_t size;

	encode_all_kinds(&data, &size);
	for (size_t i = TRACE_MAGIC_SIZE; i < size - TRACE_CHECKSUM_SIZE; i++) {
		unsigned char saved = data[i];

		for (unsigned int value = 0; value < 256; value++) {
			int error;

			data[i] = (unsigned char)value;
			seal(data, size);
			error = decode(data, size, message);
			CHECK(error == 0 || error == EINVAL);
		}
		data[i] = saved;
	}
	free(data);
}

/* Decodes a file with this body behind the magic, sealed. */
static int decode_body(const unsigned char *body, size_t length, char message[128])
{
	unsigned char data[256];
	size_t size = TRACE_MAGIC_SIZE + length + TRACE_CHECKSUM_SIZE;

	memcpy(data, TRACE_MAGIC, TRACE_MAGIC_SIZE);
	memcpy(data + TRACE_MAGIC_SIZE, body, length);
	seal(data, size);
	return decode(data, size, message);
}

#define CHECK_REFUSED(why, ...)                                                                    \
	do {                                                                                       \
		const unsigned char body_[] = { __VA_ARGS__ };                                     \
		char message_[128];                                                                \
		CHECK_EQ(decode_body(body_, sizeof body_, message_), EINVAL);                      \
		if (!strstr(message_, why))                                                        \
			test_fail(__FILE__, __LINE__, "\"%s\", not \"%s\"", message_, why);        \
	} while (0)

TEST(trace_format, a_refusal_gives_its_reason)
{
	CHECK_REFUSED("version", 2, 0, 1, 16, 0);
	CHECK_REFUSED("ends too early", 1);
	CHECK_REFUSED("name that is too long", 1, 64);
	CHECK_REFUSED("cannot be printed", 1, 1, 27, 1, 16, 0);
	CHECK_REFUSED("no threads", 1, 0, 0, 16, 0);
	CHECK_REFUSED("too many threads", 1, 0, 0x81, 0x20, 16, 0);
	CHECK_REFUSED("more operations than", 1, 0, 1, 16, 2, TRACE_WRITE);
	CHECK_REFUSED("more operations than", 1, 0, 1, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		      0x7f);
	CHECK_REFUSED("too large", 1, 0, 1, 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		      0xff, 0x7f);
	CHECK_REFUSED("no known kind", 1, 0, 1, 16, 1, 15);
	CHECK_REFUSED("unknown bits", 1, 0, 1, 16, 1, TRACE_WRITE | 0x80, 0x20, 0);
	CHECK_REFUSED("unknown bits", 1, 0, 1, 16, 1, TRACE_BRK | 0x20, 0);
	CHECK_REFUSED("thread that does not exist", 1, 0, 1, 16, 1, TRACE_WRITE | RECORD_THREAD, 1,
		      0x20, 0);
	CHECK_REFUSED("out of range", 1, 0, 1, 16, 1, TRACE_WRITE, 0, 0);
	CHECK_REFUSED("out of range", 1, 0, 1, 16, 1, TRACE_WRITE, 1, 0);
	CHECK_REFUSED("beyond its page", 1, 0, 1, 16, 1, TRACE_WRITE, 0x20, 0x80, 0x20);
	CHECK_REFUSED("no pages", 1, 0, 1, 16, 1, TRACE_MUNMAP, 0x20, 0);
	CHECK_REFUSED("protection", 1, 0, 1, 16, 1, TRACE_MPROTECT, 0x20, 1, 8);
	CHECK_REFUSED("flags", 1, 0, 1, 16, 1, TRACE_MMAP, 0x20, 1, 3, 0);
	CHECK_REFUSED("advice", 1, 0, 1, 16, 1, TRACE_MADVISE, 0x20, 1, 3);
	CHECK_REFUSED("onto itself", 1, 0, 1, 16, 1, TRACE_MREMAP, 0x40, 2, 1, 2);
	CHECK_REFUSED("heap", 1, 0, 1, 0, 1, TRACE_BRK, 0);
	CHECK_REFUSED("bytes after its end", 1, 0, 1, 16, 0, 0);
}

TEST(trace_format, a_file_is_read_again_and_messages_name_it)
{
	struct trace trace = trace_of(all_kinds, sizeof all_kinds / sizeof *all_kinds), back;
	char path[64], message[256];

	snprintf(path, sizeof path, "/tmp/mmrange-trace-test-%ld", (long)getpid());
	CHECK_EQ(trace_write(&trace, path, message, sizeof message), 0);
	CHECK_EQ(trace_read(&back, path, message, sizeof message), 0);
	check_equal(&trace, &back);
	trace_destroy(&back);
	CHECK_EQ(remove(path), 0);
	CHECK_EQ(trace_read(&back, path, message, sizeof message), ENOENT);
	CHECK(strstr(message, path));
}

TEST(trace_format, a_file_that_is_no_trace_is_not_read_to_its_end)
{
	struct trace trace;
	char message[256];

	CHECK_EQ(trace_read(&trace, "/dev/zero", message, sizeof message), EINVAL);
	CHECK(strstr(message, "not a trace"));
}
