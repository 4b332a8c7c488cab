/* SPDX-License-Identifier: MIT */
#include "mm/attach.h"
#include "mm/frame_supply.h"
#include "spaces.h"
#include "threads.h"

#include <string.h>

static struct mm *mm;
static struct mm__frame *taken[5000];

static void create(uint64_t max_pages)
{

	mm = new_space_of_pages(max_pages);
}

static bool all_zero(const struct mm__frame *frame)
{
	const unsigned char *bytes = mm__frame_bytes(frame);

	for (size_t i = 0; i < MM_PAGE_SIZE; i++)
		if (bytes[i])
			return false;
	return true;
}

static struct mm__frame *alloc(void)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__frame *frame;

	while (!(frame = mm__thread_frame(thread)))
		if (mm__thread_refill(thread))
			return NULL;
	return frame;
}

static void release(struct mm__frame *frame)
{
	mm__thread_drop_frames(mm__this_thread(mm), &frame, 1);
}

static void fill(struct mm__frame *frame, int value)
{
	memset(mm__frame_bytes(frame), value, (size_t)MM_PAGE_SIZE);
	mm__frame_dirtied(frame, 0, MM_PAGE_SIZE);
}

static void check_frames(unsigned int used)
{
	CHECK_EQ(mm__frames_used(mm->frames), used);
	mm__frames_check_begin(mm->frames);
	for (unsigned int i = 0; i < used; i++)
		CHECK(mm__frames_check_see(mm->frames, taken[i]));
	CHECK(mm__frames_check_end(mm->frames, true));
}

static void release_all(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		release(taken[i]);
}

TEST(mm_frames, are_aligned_zeroed_and_distinct)
{
	create(UINT64_MAX);
	for (unsigned int i = 0; i < 1200; i++) {
		taken[i] = alloc();
		CHECK(taken[i]);
		CHECK_EQ((uintptr_t)mm__frame_bytes(taken[i]) % MM_PAGE_SIZE, 0);
		CHECK(mm__frame_of(mm__frame_bytes(taken[i])) == taken[i]);
		CHECK(mm__frame_pool(taken[i]) == mm->frames);
		CHECK(all_zero(taken[i]));
		fill(taken[i], 0xff);
	}
	check_frames(1200);
	for (unsigned int i = 1200; i-- > 100;)
		release(taken[i]);
	check_frames(100);
	for (unsigned int i = 100; i < 1200; i++) {
		taken[i] = alloc();
		CHECK(all_zero(taken[i]));
	}
	check_frames(1200);
	release_all(1200);
	mm_destroy(mm);
}

/* A frame zeroes only the lines that were written. The test writes each byte. */
TEST(mm_frames, are_zeroed_wherever_they_were_written)
{
	struct mm__frame *frame;

	create(1);
	for (unsigned int offset = 0; offset < MM_PAGE_SIZE; offset += 63) {
		for (unsigned int length = 1; length <= MM_PAGE_SIZE - offset;
		     length = 3 * length) {
			frame = alloc();
			CHECK(frame && all_zero(frame));
			memset((char *)mm__frame_bytes(frame) + offset, 1, length);
			mm__frame_dirtied(frame, offset, length);
			release(frame);
		}
	}
	frame = alloc();
	CHECK(frame && all_zero(frame));
	release(frame);
	mm_destroy(mm);
}

TEST(mm_frames, the_limit_is_exact)
{
	static const unsigned int limits[] = { 0, 1, 253, 254, 255, 508, 509, 2000 };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		create(limits[i]);
		for (unsigned int n = 0; n < limits[i]; n++) {
			taken[n] = alloc();
			CHECK(taken[n]);
		}
		CHECK(!alloc());
		check_frames(limits[i]);
		release_all(limits[i]);
		mm_destroy(mm);
	}
}

TEST(mm_frames, a_frame_is_free_when_its_last_reference_is_dropped)
{
	create(1);
	taken[0] = alloc();
	mm__frame_get(taken[0]);
	CHECK(!mm__frame_exclusive(taken[0]));
	release(taken[0]);
	CHECK(!alloc());
	CHECK(mm__frame_exclusive(taken[0]));
	check_frames(1);
	release(taken[0]);
	check_frames(0);
	mm_destroy(mm);
}

TEST(mm_frames, the_check_finds_a_frame_with_other_references_than_seen)
{
	create(UINT64_MAX);
	taken[0] = alloc();
	taken[1] = alloc();
	check_frames(2);
	mm__frames_check_begin(mm->frames);
	CHECK(mm__frames_check_see(mm->frames, taken[0]));
	CHECK(!mm__frames_check_end(mm->frames, true));
	CHECK(mm__frames_check_end(mm->frames, false));
	CHECK(mm__frames_check_see(mm->frames, taken[0]));
	CHECK(!mm__frames_check_end(mm->frames, false));
	release(taken[1]);
	CHECK(!mm__frames_check_see(mm->frames, taken[1]));
	release(taken[0]);
	mm_destroy(mm);
}

/* Takes a batch of frames: half a chunk, or all that are left. */
static void *take_batch(void *arg)
{
	const unsigned int *range = arg;

	for (unsigned int i = range[0]; i < range[1]; i++)
		taken[i] = alloc();
	return NULL;
}

static bool share_line(const struct mm__frame *a, const struct mm__frame *b)
{
	return (uintptr_t)a / 64 <= ((uintptr_t)(b + 1) - 1) / 64 &&
	       (uintptr_t)b / 64 <= ((uintptr_t)(a + 1) - 1) / 64;
}

/* The limit is odd, so one of the two batches is not full. */
TEST(mm_frames, no_line_is_of_frames_of_two_threads)
{
	unsigned int first[] = { 0, 254 };
	unsigned int second[] = { 254, 301 };

	create(301);
	take_batch(first);
	thread_join(thread_start(take_batch, second));
	for (unsigned int i = 0; i < 254; i++)
		for (unsigned int k = 254; k < 301; k++)
			CHECK(!share_line(taken[i], taken[k]));
	check_frames(301);
	release_all(301);
	mm_destroy(mm);
}

/* Runs in a thread of its own, with a cache of its own. */
static void *free_all(void *arg)
{
	const unsigned int *count = arg;

	release_all(*count);
	return NULL;
}

TEST(mm_frames, a_thread_can_have_every_frame_that_another_thread_freed)
{
	unsigned int count = 1500;

	create(count);
	for (int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < count; i++) {
			taken[i] = alloc();
			CHECK(taken[i]);
		}
		CHECK(!alloc());
		check_frames(count);
		thread_join(thread_start(free_all, &count));
		check_frames(0);
	}
	mm_destroy(mm);
}

static atomic_bool freed, checked;

static void *free_all_and_stay(void *arg)
{
	free_all(arg);
	atomic_store(&freed, true);
	while (!atomic_load(&checked))
		sched_yield();
	return NULL;
}

TEST(mm_frames, a_thread_can_have_every_free_frame_of_a_living_thread)
{
	unsigned int count = 1500;
	pthread_t thread;

	create(count);
	for (unsigned int i = 0; i < count; i++)
		taken[i] = alloc();
	thread = thread_start(free_all_and_stay, &count);
	while (!atomic_load(&freed))
		sched_yield();
	for (unsigned int i = 0; i < count; i++) {
		taken[i] = alloc();
		CHECK(taken[i]);
	}
	CHECK(!alloc());
	atomic_store(&checked, true);
	thread_join(thread);
	release_all(count);
	mm_destroy(mm);
}

/*
 * Threads never have more frames than the limit. No request fails, because no thread asks for more
 * than its share.
 */
static void *churn(void *arg)
{
	unsigned int share = *(unsigned int *)arg;
	struct mm__frame *mine[40];

	for (unsigned int round = 0; round < test_scale(2000); round++) {
		for (unsigned int i = 0; i < share; i++) {
			mine[i] = alloc();
			CHECK(mine[i]);
			fill(mine[i], (int)share);
		}
		for (unsigned int i = 0; i < share; i++)
			release(mine[i]);
	}
	return NULL;
}

TEST(mm_frames, threads_share_the_frames)
{
	unsigned int shares[8];
	pthread_t threads[8];

	create(UINT64_MAX);
	for (unsigned int i = 0; i < 8; i++)
		shares[i] = 5 * i + 1;
	for (unsigned int i = 0; i < 8; i++)
		threads[i] = thread_start(churn, &shares[i]);
	for (unsigned int i = 0; i < 8; i++)
		thread_join(threads[i]);
	check_frames(0);
	mm_destroy(mm);
}
