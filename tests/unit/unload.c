/* SPDX-License-Identifier: MIT */
/*
 * A program unloads a module that has a copy of the library, and a thread that has used the copy
 * ends afterwards. The test is a program of its own, so that no other test has loaded the module
 * and keeps it.
 */
#include "child.h"
#include "copies.h"
#include "threads.h"

#include "range_lock/slots.h"

#include <dlfcn.h>

/*
 * The library frees its memory for a thread when the thread ends, but not for a thread that is
 * still running while the program unloads the library. AddressSanitizer asks for this string.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static const struct copy_module *module;
static sem_t used, unloaded;

/* Leaves the thread with slots. */
static void use_a_lock(void)
{
	static struct range_lock lock;
	const struct lock_functions *copy = module->lock;
	struct range_lock_stats stats = { .biases = 0 };
	struct range_hold range;

	CHECK_EQ(module->lock_init(&lock, NULL), 0);
	for (int i = 0; i < 100000 && !stats.biases; i++) {
		CHECK_EQ(copy->trylock(&lock, &range, 0, 10, RANGE_READ), 0);
		copy->unlock(&lock, &range);
		copy->stats(&lock, &stats);
	}
	CHECK_EQ(copy->trylock(&lock, &range, 0, 10, RANGE_READ), 0);
	CHECK(!stats.biases || range__hold(&range)->how & RANGE__SLOT);
	copy->unlock(&lock, &range);
	CHECK_EQ(copy->destroy(&lock), 0);
}

/* Makes the thread known to RCU. */
static void use_a_space(void)
{
#ifdef MMRANGE_WITH_MM
	struct mm_siginfo info;
	struct mm *mm = NULL;
	uint64_t addr;

	CHECK_EQ(module->mm_create(&mm, NULL), 0);
	CHECK_EQ(module->mm_mmap(mm, 0, 4096, MM_PROT_WRITE, MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1,
				 0, &addr),
		 0);
	CHECK_EQ(module->mm_write(mm, addr, "a", 1, &info), 0);
	module->mm_destroy(mm);
#endif
}

static void *use_and_end_later(void *arg)
{
	use_a_lock();
	if (arg)
		use_a_space();
	sem_post(&used);
	sem_await(&unloaded);
	return arg;
}

static bool with_a_space;

static void unload_beside_a_thread(void)
{
	void *handle = dlopen(COPY_A, RTLD_NOW | RTLD_LOCAL);
	pthread_t thread;

	CHECK(handle);
	module = dlsym(handle, "copy_module");
	CHECK(module);
	CHECK_EQ(sem_init(&used, 0, 0), 0);
	CHECK_EQ(sem_init(&unloaded, 0, 0), 0);
	thread = thread_start(use_and_end_later, with_a_space ? &unloaded : NULL);
	sem_await(&used);
	CHECK_EQ(dlclose(handle), 0);
	if (dlopen(COPY_A, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD))
		puts("skipped in part: the system keeps modules that were closed");
	sem_post(&unloaded);
	thread_join(thread);
}

static void check_unloading(bool space)
{
	char errors[4096];
	int status;

	if (!modules_load(COPY_A))
		return;
	with_a_space = space;
	status = run_in_child(unload_beside_a_thread, errors, sizeof errors);
	if (status)
		test_fail(__FILE__, __LINE__, "status %#x and: %s", (unsigned int)status, errors);
}

TEST(unload, a_thread_that_has_used_a_lock_may_end_after_the_unload)
{
	check_unloading(false);
}

TEST(unload, a_thread_that_has_used_a_space_may_end_after_the_unload)
{
	check_unloading(true);
}
