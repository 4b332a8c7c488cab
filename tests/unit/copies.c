/* SPDX-License-Identifier: MIT */
/*
 * Two copies of the library in one process. A lock that one copy uses is refused by the other copy,
 * which would not see a reader that is published in the first one's slots.
 */
#include "copies.h"
#include "child.h"

#include "range_lock/slots.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

/* The program itself, which has linked the static library. */
static const struct copy_module program = { .lock = &library_functions,
					    .lock_init = range_lock_init };

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static struct range_hold reader, range, upper;
static const struct lock_functions *first, *second;

/* May be called any number of times, also for a module that is loaded already. */
static const struct copy_module *module(const char *file)
{
	return file ? load_module(file) : &program;
}

static void set_copies(const char *first_file, const char *second_file)
{
	first = module(first_file)->lock;
	second = module(second_file)->lock;
	CHECK_EQ(module(first_file)->lock_init(&lock, NULL), 0);
}

static void take_by(const struct lock_functions *copy, struct range_hold *taken,
		    enum range_mode mode)
{
	CHECK_EQ(copy->trylock(&lock, taken, 0, 10, mode), 0);
}

/* Holds a range through the first copy, in one of its slots. */
static void publish_reader(void)
{
	struct range_lock_stats stats;

	for (int i = 0; i < 100000; i++) {
		take_by(first, &reader, RANGE_READ);
		first->unlock(&lock, &reader);
		first->stats(&lock, &stats);
		if (stats.biases > 0)
			break;
	}
	take_by(first, &reader, RANGE_READ);
	CHECK(range__hold(&reader)->how & RANGE__SLOT);
}

/* The result does not matter: the call must not return. */

static void lock_it(void)
{
	(void)!second->lock(&lock, &range, 20, 30, RANGE_WRITE);
}

static void trylock_it(void)
{
	(void)!second->trylock(&lock, &range, 0, 10, RANGE_WRITE);
}

static void read_it(void)
{
	(void)!second->trylock(&lock, &range, 0, 10, RANGE_READ);
}

static void timedlock_it(void)
{
	static const struct timespec past;

	(void)!second->timedlock(&lock, &range, 0, 10, RANGE_WRITE, CLOCK_MONOTONIC, &past);
}

static void lock_many_of_it(void)
{
	struct range_request requests[] = { { &range, 20, 30, RANGE_WRITE },
					    { &upper, 40, 50, RANGE_WRITE } };

	(void)!second->lock_many(&lock, requests, 2);
}

static void ignore_end(int error, void *arg)
{
	(void)error, (void)arg;
}

static void lock_async_it(void)
{
	(void)!second->lock_async(&lock, &range, 0, 10, RANGE_WRITE, ignore_end, NULL);
}

static void lock_many_async_of_it(void)
{
	struct range_request request = { &range, 0, 10, RANGE_WRITE };

	(void)!second->lock_many_async(&lock, &request, 1, ignore_end, NULL);
}

static void unlock_it(void)
{
	second->unlock(&lock, &reader);
}

static void downgrade_it(void)
{
	second->downgrade(&lock, &reader);
}

static void upgrade_it(void)
{
	(void)!second->tryupgrade(&lock, &reader);
}

static void shrink_it(void)
{
	second->shrink(&lock, &reader, 0, 5);
}

static void extend_it(void)
{
	(void)!second->tryextend(&lock, &reader, 0, 20);
}

static void split_it(void)
{
	(void)!second->split(&lock, &reader, 5, &upper);
}

/* The two ranges do not meet, which a copy finds out only after it has looked at the lock. */
static void join_it(void)
{
	(void)!second->join(&lock, &reader, &reader);
}

static void upgrade_it_waiting(void)
{
	(void)!second->upgrade(&lock, &reader);
}

static void upgrade_it_in_time(void)
{
	static const struct timespec past;

	(void)!second->timedupgrade(&lock, &reader, CLOCK_MONOTONIC, &past);
}

static void ask_whether_it_is_held(void)
{
	second->is_held(&lock, 0, 10, RANGE_READ);
}

static void look_for_a_conflict(void)
{
	struct range_info info;

	second->conflict(&lock, 0, 10, RANGE_WRITE, &info);
}

static void close_it(void)
{
	second->close(&lock);
}

static void cancel_it(void)
{
	second->cancel(&lock, &reader);
}

static int look(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	return 0;
}

static void look_at_it(void)
{
	second->foreach (&lock, look, NULL);
}

static void read_its_stats(void)
{
	struct range_lock_stats stats;

	second->stats(&lock, &stats);
}

static void read_its_times(void)
{
	struct range_lock_times times;

	second->get_times(&lock, &times);
}

static void dump_it(void)
{
	second->dump(&lock, stdout);
}

static void destroy_it(void)
{
	second->destroy(&lock);
}

static void make_it_anew(void)
{
	second->child(&lock);
}

static const struct use {
	const char *name;
	void (*use)(void);
	bool needs_no_range;
} uses[] = {
	{ "range_lock()", lock_it, true },
	{ "range_trylock()", trylock_it, true },
	{ "range_trylock() of a reader", read_it, true },
	{ "range_timedlock()", timedlock_it, true },
	{ "range_lock_many()", lock_many_of_it, true },
	{ "range_lock_async()", lock_async_it, true },
	{ "range_lock_many_async()", lock_many_async_of_it, true },
	{ "range_unlock()", unlock_it, false },
	{ "range_downgrade()", downgrade_it, false },
	{ "range_tryupgrade()", upgrade_it, false },
	{ "range_shrink()", shrink_it, false },
	{ "range_tryextend()", extend_it, false },
	{ "range_split()", split_it, false },
	{ "range_join()", join_it, false },
	{ "range_upgrade()", upgrade_it_waiting, false },
	{ "range_timedupgrade()", upgrade_it_in_time, false },
	{ "range_is_held()", ask_whether_it_is_held, true },
	{ "range_lock_conflict()", look_for_a_conflict, true },
	{ "range_lock_close()", close_it, false },
	{ "range_cancel()", cancel_it, true },
	{ "range_lock_foreach()", look_at_it, true },
	{ "range_lock_stats()", read_its_stats, true },
	{ "range_lock_get_times()", read_its_times, true },
	{ "range_lock_dump()", dump_it, true },
	{ "range_lock_destroy()", destroy_it, false },
	{ "range_lock_child()", make_it_anew, false },
};

enum { NR_USES = sizeof uses / sizeof uses[0] };

static void check_all_refused(const char *first_file, const char *second_file,
			      const char *first_name, const char *second_name)
{
	set_copies(first_file, second_file);
	publish_reader();
	for (int i = 0; i < NR_USES; i++)
		check_refused("range_lock", uses[i].use, uses[i].name, first_name, second_name);
	first->unlock(&lock, &reader);
	/* The writer may be alone: without the refusal it would get its range. */
	check_refused("range_lock", trylock_it, "range_trylock() of a quiet lock", first_name,
		      second_name);
	take_by(first, &reader, RANGE_WRITE);
	for (int i = 0; i < NR_USES; i++)
		check_refused("range_lock", uses[i].use, uses[i].name, first_name, second_name);
	first->unlock(&lock, &reader);
	CHECK_EQ(first->destroy(&lock), 0);
}

TEST(copies, each_function_refuses_a_lock_of_another_plugin)
{
	if (!modules_load(COPY_A))
		return;
	check_all_refused(COPY_A, COPY_B, COPY_A, COPY_B);
}

TEST(copies, a_shared_library_refuses_a_lock_of_a_program_that_has_a_copy)
{
	if (!modules_load(COPY_A))
		return;
	check_all_refused(NULL, USER_A, "copies", "libmmrange.so");
}

TEST(copies, a_program_that_has_a_copy_refuses_a_lock_of_a_shared_library)
{
	if (!modules_load(COPY_A))
		return;
	check_all_refused(USER_A, NULL, "libmmrange.so", "copies");
}

static const struct use *first_use;

static void use_by_both(void)
{
	const struct lock_functions *other = second;

	second = first;
	first_use->use();
	second = other;
	trylock_it();
}

TEST(copies, the_first_use_of_any_kind_binds_a_lock_to_the_copy)
{
	if (!modules_load(COPY_A))
		return;
	set_copies(COPY_A, COPY_B);
	for (first_use = uses; first_use < uses + NR_USES; first_use++)
		if (first_use->needs_no_range)
			check_refused("range_lock", use_by_both, first_use->name, COPY_A, COPY_B);
}

static pthread_barrier_t both;

static void *use_at_once(void *copy)
{
	const struct lock_functions *functions = copy;
	struct range_hold own;

	pthread_barrier_wait(&both);
	if (!functions->trylock(&lock, &own, 0, 10, RANGE_READ))
		functions->unlock(&lock, &own);
	return NULL;
}

static void race(void)
{
	pthread_t threads[2];

	pthread_barrier_init(&both, NULL, 2);
	CHECK_EQ(pthread_create(&threads[0], NULL, use_at_once, (void *)(uintptr_t)first), 0);
	CHECK_EQ(pthread_create(&threads[1], NULL, use_at_once, (void *)(uintptr_t)second), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

TEST(copies, of_two_copies_that_first_use_a_lock_at_the_same_time_one_is_refused)
{
	if (!modules_load(COPY_A))
		return;
	set_copies(COPY_A, COPY_B);
	for (unsigned int i = 0; i < test_scale(50); i++)
		check_refused("range_lock", race, "range_trylock() at the same time", COPY_A,
			      COPY_B);
}

TEST(copies, a_destroyed_lock_is_free_for_another_copy)
{
	if (!modules_load(COPY_A))
		return;
	set_copies(COPY_A, COPY_B);
	take_by(first, &reader, RANGE_READ);
	CHECK_EQ(first->destroy(&lock), EBUSY);
	check_refused("range_lock", trylock_it, "range_trylock() of a lock in use", COPY_A, COPY_B);
	first->unlock(&lock, &reader);
	CHECK_EQ(first->destroy(&lock), 0);
	CHECK_EQ(module(COPY_B)->lock_init(&lock, NULL), 0);
	take_by(second, &range, RANGE_WRITE);
	second->unlock(&lock, &range);
	CHECK_EQ(second->destroy(&lock), 0);
}

TEST(copies, a_lock_that_was_only_initialised_is_free_for_another_copy)
{
	if (!modules_load(COPY_A))
		return;
	set_copies(COPY_A, COPY_B);
	take_by(second, &range, RANGE_WRITE);
	second->unlock(&lock, &range);
	CHECK_EQ(second->destroy(&lock), 0);
}

/* A failed check gives the child another status than 0. */
static void check_succeeds(void (*use)(void))
{
	char errors[4096];
	int status = run_in_child(use, errors, sizeof errors);

	if (status)
		test_fail(__FILE__, __LINE__, "status %#x: %s", (unsigned int)status, errors);
}

static void make_anew_and_hand_over(void)
{
	first->child(&lock);
	take_by(second, &range, RANGE_WRITE);
	second->unlock(&lock, &range);
}

static void use_again(void)
{
	CHECK_EQ(first->trylock(&lock, &range, 0, 10, RANGE_WRITE), EBUSY);
	first->unlock(&lock, &reader);
	take_by(first, &range, RANGE_WRITE);
	first->unlock(&lock, &range);
}

TEST(copies, the_child_of_fork_uses_the_lock_with_its_copy_or_initialises_it_for_any_copy)
{
	if (!modules_load(COPY_A))
		return;
	set_copies(COPY_A, COPY_B);
	publish_reader();
	check_succeeds(use_again);
	check_refused("range_lock", trylock_it, "range_trylock() in a child", COPY_A, COPY_B);
	check_succeeds(make_anew_and_hand_over);
	first->unlock(&lock, &reader);
	CHECK_EQ(first->destroy(&lock), 0);
}

static void check_agree(const char *first_file, const char *second_file)
{
	set_copies(first_file, second_file);
	publish_reader();
	CHECK_EQ(second->trylock(&lock, &range, 5, 6, RANGE_WRITE), EBUSY);
	take_by(second, &range, RANGE_READ);
	second->unlock(&lock, &reader);
	CHECK_EQ(first->trylock(&lock, &reader, 5, 6, RANGE_WRITE), EBUSY);
	first->unlock(&lock, &range);
	take_by(second, &range, RANGE_WRITE);
	second->unlock(&lock, &range);
	CHECK_EQ(second->destroy(&lock), 0);
}

TEST(copies, modules_that_share_a_copy_share_locks)
{
	if (!modules_load(COPY_A))
		return;
	check_agree(USER_A, USER_B);
}

TEST(copies, a_module_that_is_loaded_twice_is_one_copy)
{
	if (!modules_load(COPY_A))
		return;
	check_agree(COPY_A, COPY_A);
}

static void use_what_is_no_lock(void)
{
	memset(&lock, 0xa5, sizeof lock);
	trylock_it();
}

TEST(copies, a_copy_does_not_take_uninitialised_memory_for_another_copy_s_lock)
{
	char errors[4096];

	if (!modules_load(COPY_A))
		return;
	set_copies(COPY_A, COPY_B);
	CHECK(WIFSIGNALED(run_in_child(use_what_is_no_lock, errors, sizeof errors)));
	CHECK(strstr(errors, "use of a lock that was not initialised"));
}
