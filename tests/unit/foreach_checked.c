/* SPDX-License-Identifier: MIT */
/*
 * Misuse in the function of range_lock_foreach() that the checked build detects, as in
 * range_lock_checked.c.
 */
#include "actors.h"
#include "child.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static struct range_lock lock = RANGE_LOCK_INITIALIZER, other_lock = RANGE_LOCK_INITIALIZER;
static struct range_hold range, held, other_held;
static jmp_buf way_out;

static bool skipped(void)
{
	if (!checked_build)
		puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
	return !checked_build;
}

static void check_stops(void (*misuse)(void), const char *message)
{
	char errors[4096];
	int status = run_in_child(misuse, errors, sizeof errors);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
	    !strstr(errors, "libmmrange: ") || !strstr(errors, message))
		test_fail(__FILE__, __LINE__, "no abort with \"%s\", but status %#x and: %s",
			  message, (unsigned int)status, errors);
}

static int destroy(const struct range_info *info, void *arg)
{
	(void)info;
	range_lock_destroy(arg);
	return 0;
}

static int initialise(const struct range_info *info, void *arg)
{
	(void)info;
	range_lock_init(arg, NULL);
	return 0;
}

static int begin_as_child(const struct range_info *info, void *arg)
{
	(void)info;
	range_lock_child(arg);
	return 0;
}

static int end_thread(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	pthread_exit(NULL);
}

static int be_canceled(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_testcancel();
	return 0;
}

static int jump_out(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	longjmp(way_out, 1);
}

/* A walk through one lock inside a walk through another one. */
static int walk_the_other(const struct range_info *info, void *fn)
{
	(void)info;
	return range_lock_foreach(&other_lock, *(int (**)(const struct range_info *, void *))fn,
				  &lock);
}

static void walk(int (*fn)(const struct range_info *info, void *arg))
{
	take(&lock, &held, 0, 10, RANGE_WRITE);
	range_lock_foreach(&lock, fn, &lock);
}

static void destroy_in_walk(void)
{
	walk(destroy);
}

static void initialise_in_walk(void)
{
	walk(initialise);
}

static void begin_as_child_in_walk(void)
{
	walk(begin_as_child);
}

static void destroy_in_inner_walk(void)
{
	int (*fn)(const struct range_info *info, void *arg) = destroy;

	take(&lock, &held, 0, 10, RANGE_WRITE);
	take(&other_lock, &other_held, 0, 10, RANGE_WRITE);
	range_lock_foreach(&lock, walk_the_other, &fn);
}

TEST(foreach_checked, the_function_that_ends_the_life_of_its_lock_stops)
{
	if (skipped())
		return;
	check_stops(destroy_in_walk, "ends the life");
	check_stops(initialise_in_walk, "ends the life");
	check_stops(begin_as_child_in_walk, "ends the life");
	check_stops(destroy_in_inner_walk, "ends the life");
}

static void end_thread_in_walk(void)
{
	walk(end_thread);
}

static void be_canceled_in_walk(void)
{
	walk(be_canceled);
}

TEST(foreach_checked, the_function_that_ends_its_thread_stops)
{
	if (skipped())
		return;
	check_stops(end_thread_in_walk, "thread ended");
	check_stops(be_canceled_in_walk, "thread ended");
}

static void jump_and_lock(void)
{
	if (!setjmp(way_out))
		walk(jump_out);
	take(&other_lock, &range, 0, 10, RANGE_WRITE);
}

static void jump_and_walk(void)
{
	if (!setjmp(way_out))
		walk(jump_out);
	walk(jump_out);
}

static void jump_and_release(void)
{
	if (!setjmp(way_out))
		walk(jump_out);
	range_unlock(&lock, &held);
}

TEST(foreach_checked, the_next_call_after_the_function_was_left_by_longjmp_stops)
{
	if (skipped())
		return;
	check_stops(jump_and_lock, "by a jump");
	check_stops(jump_and_walk, "by a jump");
	check_stops(jump_and_release, "by a jump");
}

/*
 * Walks in walks, more than the checked build records, and calls from deeper in the stack: it
 * reports no fault.
 */
static int walk_deeper(const struct range_info *info, void *arg)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	volatile char deep[10000];
	unsigned int *depth = arg;
	struct range_hold mine_too;

	(void)info;
	deep[0] = deep[sizeof deep - 1] = 0;
	if (++*depth < 20)
		CHECK_EQ(range_lock_foreach(&lock, walk_deeper, depth), 0);
	take(&mine, &mine_too, 0, 1, RANGE_WRITE);
	range_unlock(&mine, &mine_too);
	CHECK_EQ(range_lock_destroy(&mine), 0);
	return 0;
}

TEST(foreach_checked, walks_in_walks_are_no_fault)
{
	unsigned int depth = 0;

	take(&lock, &held, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_lock_foreach(&lock, walk_deeper, &depth), 0);
	CHECK_EQ(depth, 20);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}
