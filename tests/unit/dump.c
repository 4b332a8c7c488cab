/* SPDX-License-Identifier: MIT */
/* What range_lock_dump() prints, and what it does if it cannot. */
#include "actors.h"

#include <errno.h>
#include <string.h>

static struct range_lock lock;

/* What the lock prints now. */
static const char *dumped(void)
{
	static char text[4096];
	FILE *stream = fmemopen(text, sizeof text, "w");

	CHECK(stream);
	text[0] = 0;
	CHECK_EQ(range_lock_dump(&lock, stream), 0);
	CHECK_EQ(fclose(stream), 0);
	return text;
}

static int note_thread(const struct range_info *info, void *arg)
{
	uint32_t **thread = arg;

	*(*thread)++ = info->thread;
	return 0;
}

TEST(dump, each_range_is_a_line_in_the_manner_of_proc_locks)
{
	static const char *const names[] = { "WAITING", "STARVING" };

	for (int fair = 0; fair < 2; fair++) {
		struct range_hold low, high;
		struct actor writer, reader;
		uint32_t threads[4], *thread = threads;
		char expected[256];

		init_lock(&lock, fairnesses[fair], 1);
		take(&lock, &low, 0, 10, RANGE_WRITE);
		take(&lock, &high, UINT64_MAX - 1, UINT64_MAX, RANGE_READ);
		actor_queue(&writer, &lock, 5, UINT64_MAX - 1, RANGE_WRITE);
		actor_queue(&reader, &lock, 0, 5, RANGE_READ);
		CHECK_EQ(range_lock_foreach(&lock, note_thread, &thread), 0);
		CHECK_EQ(thread - threads, 4);
		snprintf(expected, sizeof expected,
			 "1: HELD WRITE %u 0 10\n"
			 "2: HELD READ %u 18446744073709551614 EOF\n"
			 "3: -> %s WRITE %u 5 18446744073709551614\n"
			 "4: -> %s READ %u 0 5\n",
			 (unsigned int)threads[0], (unsigned int)threads[1], names[fair],
			 (unsigned int)threads[2], names[fair], (unsigned int)threads[3]);
		CHECK_EQ(strcmp(dumped(), expected), 0);
		range_unlock(&lock, &low);
		CHECK_EQ(actor_finish(&writer), 0);
		CHECK_EQ(actor_finish(&reader), 0);
		range_unlock(&lock, &high);
		check_quiet_and_destroy(&lock);
	}
}

TEST(dump, a_quiet_lock_prints_nothing)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	CHECK_EQ(strcmp(dumped(), ""), 0);
	check_quiet_and_destroy(&lock);
}

/* A stream that may only be read. */
TEST(dump, an_error_of_the_stream_is_the_result_and_errno_stays)
{
	struct range_hold held;
	FILE *stream = fopen("/dev/null", "r");

	CHECK(stream);
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	errno = EDOM;
	CHECK_EQ(range_lock_dump(&lock, stream), 0);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_lock_dump(&lock, stream), EBADF);
	CHECK_EQ(errno, EDOM);
	fclose(stream);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}
