/* SPDX-License-Identifier: MIT */
#include "mm/frames.h"
#include "threads.h"

#include <mmrange/mm.h>
#include <string.h>

static struct mm__frames frames;
static void *taken[5000];

static bool all_zero(const unsigned char *bytes)
{
	for (size_t i = 0; i < MM_PAGE_SIZE; i++)
		if (bytes[i])
			return false;
	return true;
}

static void check_frames(unsigned int used)
{
	CHECK_EQ(mm__frames_used(&frames), used);
	mm__frames_check_begin(&frames);
	for (unsigned int i = 0; i < used; i++)
		CHECK(mm__frames_check_see(&frames, taken[i]));
	CHECK(mm__frames_check_end(&frames));
}

TEST(mm_frames, are_aligned_zeroed_and_distinct)
{
	CHECK_EQ(mm__frames_init(&frames, UINT64_MAX), 0);
	for (unsigned int i = 0; i < 300; i++) {
		taken[i] = mm__frame_alloc(&frames);
		CHECK(taken[i]);
		CHECK_EQ((uintptr_t)taken[i] % MM_PAGE_SIZE, 0);
		CHECK(all_zero(taken[i]));
		memset(taken[i], 0xff, (size_t)MM_PAGE_SIZE);
	}
	check_frames(300);
	for (unsigned int i = 300; i-- > 100;)
		mm__frame_free(&frames, taken[i]);
	check_frames(100);
	for (unsigned int i = 100; i < 300; i++) {
		taken[i] = mm__frame_alloc(&frames);
		CHECK(all_zero(taken[i]));
	}
	check_frames(300);
	mm__frames_destroy(&frames);
}

TEST(mm_frames, the_limit_is_exact)
{
	static const unsigned int limits[] = { 0, 1, 62, 63, 64, 65, 300 };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		CHECK_EQ(mm__frames_init(&frames, limits[i]), 0);
		for (unsigned int n = 0; n < limits[i]; n++) {
			taken[n] = mm__frame_alloc(&frames);
			CHECK(taken[n]);
		}
		CHECK(!mm__frame_alloc(&frames));
		check_frames(limits[i]);
		mm__frames_destroy(&frames);
	}
}

TEST(mm_frames, the_check_finds_a_frame_that_is_used_twice_or_lost)
{
	CHECK_EQ(mm__frames_init(&frames, UINT64_MAX), 0);
	taken[0] = mm__frame_alloc(&frames);
	taken[1] = mm__frame_alloc(&frames);
	check_frames(2);
	mm__frames_check_begin(&frames);
	CHECK(mm__frames_check_see(&frames, taken[0]));
	CHECK(!mm__frames_check_see(&frames, taken[0]));
	CHECK(!mm__frames_check_end(&frames));
	mm__frames_check_begin(&frames);
	CHECK(!mm__frames_check_see(&frames, (char *)taken[0] + 1));
	mm__frames_destroy(&frames);
}

/* Runs in a thread of its own, which is in another shard than the caller. */
static void *free_all(void *arg)
{
	const unsigned int *count = arg;

	for (unsigned int i = 0; i < *count; i++)
		mm__frame_free(&frames, taken[i]);
	return NULL;
}

TEST(mm_frames, what_one_thread_frees_another_can_have_to_the_last)
{
	unsigned int count = 500;

	CHECK_EQ(mm__frames_init(&frames, count), 0);
	for (int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < count; i++) {
			taken[i] = mm__frame_alloc(&frames);
			CHECK(taken[i]);
		}
		CHECK(!mm__frame_alloc(&frames));
		check_frames(count);
		thread_join(thread_start(free_all, &count));
		check_frames(0);
	}
	mm__frames_destroy(&frames);
}

TEST(mm_frames, what_one_thread_frees_is_used_before_there_are_new_ones)
{
	unsigned int count = 4096;

	CHECK_EQ(mm__frames_init(&frames, UINT64_MAX), 0);
	for (int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < count; i++)
			taken[i] = mm__frame_alloc(&frames);
		thread_join(thread_start(free_all, &count));
	}
	/* What the shards of the freeing threads keep is all that is made anew. */
	CHECK(frames.nr_frames < count + 11 * 256);
	mm__frames_destroy(&frames);
}

static atomic_uint live;

/*
 * Never more than the limit are out, and, as no thread asks for one more than its share, no request
 * fails.
 */
static void *churn(void *arg)
{
	unsigned int share = *(unsigned int *)arg;
	void *mine[40];

	for (unsigned int round = 0; round < test_scale(2000); round++) {
		for (unsigned int i = 0; i < share; i++) {
			mine[i] = mm__frame_alloc(&frames);
			CHECK(mine[i]);
			atomic_fetch_add(&live, 1);
			memset(mine[i], (int)share, 8);
		}
		for (unsigned int i = 0; i < share; i++) {
			atomic_fetch_sub(&live, 1);
			mm__frame_free(&frames, mine[i]);
		}
	}
	return NULL;
}

TEST(mm_frames, a_request_within_the_limit_never_fails)
{
	unsigned int shares[8];
	pthread_t threads[8];
	unsigned int sum = 0;

	for (unsigned int i = 0; i < 8; i++)
		sum += shares[i] = 5 * i + 1;
	CHECK_EQ(mm__frames_init(&frames, sum), 0);
	for (unsigned int i = 0; i < 8; i++)
		threads[i] = thread_start(churn, &shares[i]);
	for (unsigned int i = 0; i < 8; i++)
		thread_join(threads[i]);
	check_frames(0);
	mm__frames_destroy(&frames);
}
