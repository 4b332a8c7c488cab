/* SPDX-License-Identifier: MIT */
/* The lock in the child of fork(), with the parent's threads at known places. */
#include "actors.h"
#include "forks.h"

#include "platform/platform.h"
#include "range_lock/forest.h"
#include "range_lock/lock.h"
#include "range_lock/short_lock.h"
#include "range_lock/slots.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

static struct range_lock lock, other_lock = RANGE_LOCK_INITIALIZER;
static struct range_hold held, other_held, range;
static struct actor holder, waiter;
static struct memory_books books;

/* A thread that does something, waits until the child has ended, and undoes it. */
struct bystander {
	void (*begin)(void);
	void (*end)(void);
	pthread_t thread;
	sem_t began, over;
};

static void *stand_by(void *arg)
{
	struct bystander *b = arg;

	b->begin();
	sem_post(&b->began);
	sem_await(&b->over);
	b->end();
	return NULL;
}

static void bystander_start(struct bystander *b, void (*begin)(void), void (*end)(void))
{
	b->begin = begin;
	b->end = end;
	CHECK_EQ(sem_init(&b->began, 0, 0), 0);
	CHECK_EQ(sem_init(&b->over, 0, 0), 0);
	b->thread = thread_start(stand_by, b);
	sem_await(&b->began);
}

static void bystander_finish(struct bystander *b)
{
	sem_post(&b->over);
	thread_join(b->thread);
	sem_destroy(&b->began);
	sem_destroy(&b->over);
}

/* The lock works, and no range is in it. */
static void check_new(struct range_lock *new)
{
	struct range_lock_stats stats = lock_stats(new);

	CHECK_EQ(stats.leaves, 1);
	CHECK_EQ(stats.splits + stats.merges + stats.waits, 0);
	CHECK(is_free(new, FULL, RANGE_WRITE));
	take(new, &range, 0, 10, RANGE_WRITE);
	CHECK(!is_free(new, 9, 20, RANGE_READ));
	range_unlock(new, &range);
	check_quiet_and_destroy(new);
}

static void use_in_child(void *arg)
{
	(void)arg;
	range_lock_child(&lock);
	check_new(&lock);
}

TEST(fork, ranges_of_the_forking_thread_are_not_held_in_the_child)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	check_in_child(use_in_child, NULL);
	/* And the parent's lock has not changed. */
	CHECK(!is_free(&lock, 9, 10, RANGE_READ));
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

static void reuse_the_waiters_storage(void *arg)
{
	(void)arg;
	range_lock_child(&lock);
	CHECK(!holder.result);
	take(&lock, &waiter.range, 0, 10, RANGE_WRITE);
	take(&lock, &holder.range, 10, 20, RANGE_WRITE);
	range_unlock(&lock, &waiter.range);
	range_unlock(&lock, &holder.range);
	check_new(&lock);
}

TEST(fork, other_threads_hold_and_wait_for_no_range_in_the_child)
{
	for (int fair = 0; fair < 2; fair++) {
		init_lock(&lock, fairnesses[fair], 8);
		actor_start(&holder, &lock, 0, 10, RANGE_WRITE);
		actor_await(&holder);
		actor_queue(&waiter, &lock, 5, 20, RANGE_WRITE);
		check_in_child(reuse_the_waiters_storage, NULL);
		check_valid(&lock);
		CHECK_EQ(actor_finish(&holder), 0);
		CHECK_EQ(actor_finish(&waiter), 0);
		check_quiet_and_destroy(&lock);
	}
}

static void lock_mutex(void)
{
	range__short_lock(&range__lock(&lock)->mutex);
}

static void unlock_mutex(void)
{
	range__short_unlock(&range__lock(&lock)->mutex);
}

static void lock_claims(void)
{
	range__short_lock(&range__lock(&lock)->claims_mutex);
}

static void unlock_claims(void)
{
	range__short_unlock(&range__lock(&lock)->claims_mutex);
}

static struct range__leaf *root(void)
{
	return &range__lock(&lock)->root;
}

static void lock_root(void)
{
	range__leaf_lock(root());
}

static void unlock_root(void)
{
	range__leaf_unlock(root(), NULL);
}

TEST(fork, internal_locks_of_vanished_threads_do_not_block_the_child)
{
	struct bystander b;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	bystander_start(&b, lock_mutex, unlock_mutex);
	check_in_child(use_in_child, NULL);
	bystander_finish(&b);
	bystander_start(&b, lock_root, unlock_root);
	check_in_child(use_in_child, NULL);
	bystander_finish(&b);
	bystander_start(&b, lock_claims, unlock_claims);
	check_in_child(use_in_child, NULL);
	bystander_finish(&b);
	check_quiet_and_destroy(&lock);
}

/* A half-done change of a queue: the waiter is linked at one end only. */
static void tear_queue(void)
{
	lock_mutex();
	lock_root();
	root()->waiters = root()->wide = range__lock(&lock)->claims = (struct range__hold *)8;
	root()->held = (struct range__node *)8;
	root()->nr_woken = root()->nr_claims = root()->covers = 7;
}

static void mend_queue(void)
{
	root()->waiters = root()->wide = range__lock(&lock)->claims = NULL;
	root()->held = NULL;
	root()->nr_woken = root()->nr_claims = root()->covers = 0;
	unlock_root();
	unlock_mutex();
}

TEST(fork, the_child_reads_no_memory_that_may_be_torn)
{
	struct bystander b;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	bystander_start(&b, tear_queue, mend_queue);
	check_in_child(use_in_child, NULL);
	bystander_finish(&b);
	check_quiet_and_destroy(&lock);
}

static void check_attributes(void *arg)
{
	struct range__lock *l = range__lock(&lock);
	struct range_lock copy = lock;
	struct range__lock *before = range__lock(&copy);

	(void)arg;
	CHECK(atomic_load(&books.live) > 0);
	range_lock_child(&lock);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	check_memory_balanced(&books);
	CHECK_EQ(l->fairness, before->fairness);
	CHECK_EQ(l->never_biased, before->never_biased);
	CHECK_EQ(range__max_leaves(l), range__max_leaves(before));
	CHECK_EQ(range__starvation(l), range__starvation(before));
	CHECK(l->alloc == memory_alloc && l->free == memory_free && l->arg == &books);
	/* A second call does no harm. */
	range_lock_child(&lock);
	check_new(&lock);
}

/*
 * More leaves than the first chunk has. Real threads that take turns may take so long to make them,
 * on a busy machine, that the lock merges the first ones again.
 */
static void split_often(void)
{
	uint64_t self = mmrange__self();

	make_leaves(&lock, 50);
	mmrange__thread = self;
}

TEST(fork, the_child_frees_memory_and_keeps_the_attributes)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = RANGE_FAIRNESS_FIFO;
	attr.max_leaves = 77;
	attr.starvation_ns = 12345;
	attr.bias = RANGE_BIAS_NEVER;
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	split_often();
	CHECK(atomic_load(&books.allocations) > 1);
	check_in_child(check_attributes, NULL);
	CHECK(atomic_load(&books.live) > 0);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}

/* Memory that faults at its first access, which shows the lock at that moment. */
static void *guarded;
static size_t guarded_size;
static bool linked_too_early;

static void *guarded_alloc(size_t size, size_t align, void *arg)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)align, (void)arg;
	CHECK(memory != MAP_FAILED);
	if (forest_of(&lock)) {
		guarded = memory;
		guarded_size = size;
		CHECK_EQ(mprotect(memory, size, PROT_NONE), 0);
	}
	return memory;
}

static void guarded_free(void *memory, size_t size, void *arg)
{
	(void)arg;
	CHECK_EQ(munmap(memory, size), 0);
}

static void on_touch(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr, begin = (uintptr_t)guarded;

	(void)context;
	if (at < begin || at - begin >= guarded_size)
		signal(sig, SIG_DFL);
	else if (mprotect(guarded, guarded_size, PROT_READ | PROT_WRITE))
		abort();
	else
		linked_too_early = (void *)atomic_load(&forest_of(&lock)->chunks) == guarded;
}

/* A child made in between would follow a pointer that has not been written. */
TEST(fork, memory_is_linked_after_its_own_link_has_been_written)
{
	struct sigaction action = { .sa_sigaction = on_touch, .sa_flags = SA_SIGINFO }, old;
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.alloc = guarded_alloc;
	attr.free = guarded_free;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	sigemptyset(&action.sa_mask);
	CHECK_EQ(sigaction(SIGSEGV, &action, &old), 0);
	split_often();
	CHECK_EQ(sigaction(SIGSEGV, &old, NULL), 0);
	CHECK(guarded && !linked_too_early);
	check_quiet_and_destroy(&lock);
}

static void unlock_the_other(void *arg)
{
	(void)arg;
	range_lock_child(&lock);
	CHECK(!is_free(&other_lock, 0, 1, RANGE_READ));
	if (checked_build)
		CHECK_EQ(range_lock(&other_lock, &range, 0, 1, RANGE_READ), EDEADLK);
	range_unlock(&other_lock, &other_held);
	check_quiet_and_destroy(&other_lock);
	check_new(&lock);
}

TEST(fork, a_lock_used_only_by_the_forking_thread_stays_unchanged)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	take(&other_lock, &other_held, 0, 10, RANGE_WRITE);
	actor_start(&holder, &lock, 0, 10, RANGE_WRITE);
	actor_await(&holder);
	check_in_child(unlock_the_other, NULL);
	range_unlock(&other_lock, &other_held);
	CHECK_EQ(actor_finish(&holder), 0);
	check_quiet_and_destroy(&lock);
}

/* The checked build knows every range in use by its address. */
static void overwrite_the_stacks_of_others(void *arg)
{
	enum { MANY = 2000 };
	static struct range_hold ranges[MANY];

	(void)arg;
	range_lock_child(&lock);
	memset(&waiter.range, 0xff, sizeof waiter.range);
	memset(&holder.range, 0xff, sizeof holder.range);
	for (unsigned int i = 0; i < MANY; i++)
		take(&lock, &ranges[i], i, i + 1, RANGE_WRITE);
	for (unsigned int i = 0; i < MANY; i++)
		range_unlock(&lock, &ranges[i]);
	check_quiet_and_destroy(&lock);
}

TEST(fork, ranges_of_vanished_threads_are_not_read_in_the_child)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	actor_start(&holder, &other_lock, 0, 10, RANGE_WRITE);
	actor_await(&holder);
	actor_queue(&waiter, &other_lock, 0, 10, RANGE_WRITE);
	check_in_child(overwrite_the_stacks_of_others, NULL);
	CHECK_EQ(actor_finish(&holder), 0);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}

static int check_thread(const struct range_info *info, void *arg)
{
	const uint32_t *expected = arg;

	CHECK_EQ(info->thread, *expected);
	return 0;
}

/* The expected range_info.thread: own is the number that the library has given the thread. */
static uint32_t my_number(uint32_t own)
{
#ifdef __linux__
	/* The library may be built for POSIX on Linux, too. */
	if (mmrange__system_thread(UINT32_MAX) != UINT32_MAX)
		return (uint32_t)syscall(SYS_gettid);
#endif
	return own;
}

static void look_at_my_thread(void *arg)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	uint32_t *own = arg, number = my_number(*own);

	take(&mine, &range, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_lock_foreach(&mine, check_thread, &number), 0);
	range_unlock(&mine, &range);
	CHECK_EQ(range_lock_destroy(&mine), 0);
}

static void look_at_my_thread_and_my_childs(void *arg)
{
	look_at_my_thread(arg);
	check_in_child(look_at_my_thread, arg);
	look_at_my_thread(arg);
}

static void *fork_and_look(void *arg)
{
	uint32_t own = (uint32_t)mmrange__self();

	look_at_my_thread_and_my_childs(&own);
	check_in_child(look_at_my_thread_and_my_childs, &own);
	return arg;
}

/* A thread that publishes a range in a slot, and then ends or stays. */
static void *publish(void *arg)
{
	take_published(&lock, &range, 0, 10);
	return arg;
}

static void find_published(void *arg)
{
	CHECK_EQ(is_free(&lock, 0, 10, RANGE_WRITE), arg == NULL);
	if (!arg)
		return;
	range_unlock(&lock, &range);
	CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
	make_biased(&lock, 1000);
	take_published(&lock, &range, 0, 10);
	range_lock_child(&lock);
	CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
	make_biased(&lock, 1000);
	CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
}

/* The parent has one thread: the child gets its locks unchanged. */
TEST(fork, a_range_left_by_a_thread_that_ended_is_held_in_the_child)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	thread_join(thread_start(publish, NULL));
	check_in_child(find_published, &lock);
	CHECK(!is_free(&lock, 0, 10, RANGE_WRITE));
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

static void forget_published(void *arg)
{
	(void)arg;
	range_lock_child(&lock);
	for (int i = 0; i < 2; i++) {
		make_biased(&lock, 1000);
		CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
	}
	check_quiet_and_destroy(&lock);
}

/* Not even a new lock at the same address finds the range. */
static void make_lock_anew(void *arg)
{
	(void)arg;
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	find_published(NULL);
	make_biased(&lock, 1000);
	find_published(NULL);
	check_quiet_and_destroy(&lock);
}

static struct actor reader;

TEST(fork, ranges_published_by_other_threads_are_not_held_in_the_child)
{
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	actor_start(&reader, &lock, 0, 10, RANGE_READ);
	actor_await(&reader);
	CHECK(is_published(&reader.range));
	check_in_child(forget_published, NULL);
	check_in_child(make_lock_anew, NULL);
	CHECK(!is_free(&lock, 0, 10, RANGE_WRITE));
	CHECK_EQ(actor_finish(&reader), 0);
	check_quiet_and_destroy(&lock);
}

/* Without range_lock_child(): the lock is the child's own. */
TEST(fork, each_thread_has_its_number_in_the_system_also_in_children_of_children)
{
	fork_and_look(NULL);
	thread_join(thread_start(fork_and_look, NULL));
}

/* Only the memory of the lock that another thread uses on its way out of a release. */
static struct range__slot *my_slot;
static uint64_t free_again;

static void begin_to_release_what_i_read(void)
{
	free_again = range__slot_leave(my_slot);
}

static void end_to_release_what_i_read(void)
{
	range__slot_free(my_slot, free_again);
}

static void have_all_slots(void *arg)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	struct range_hold read[RANGE__GROUP_SLOTS];

	(void)arg;
	make_biased(&mine, 1000);
	for (int i = 0; i < RANGE__GROUP_SLOTS; i++)
		take_published(&mine, &read[i], 0, 10);
	for (int i = 0; i < RANGE__GROUP_SLOTS; i++)
		range_unlock(&mine, &read[i]);
	CHECK_EQ(range_lock_destroy(&mine), 0);
	/* Another lock may be in the storage of the lock that was in use. */
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	CHECK_EQ(range_lock_destroy(&lock), 0);
}

TEST(fork, a_slot_that_another_thread_was_leaving_is_free_in_the_child)
{
	struct bystander b;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	take_published(&lock, &range, 0, 10);
	my_slot = range__hold(&range)->slot;
	bystander_start(&b, begin_to_release_what_i_read, end_to_release_what_i_read);
	check_in_child(have_all_slots, NULL);
	bystander_finish(&b);
}

static struct range_hold left;

static void *leave_published(void *arg)
{
	take_published(&lock, &left, 0, 10);
	return arg;
}

TEST(fork, a_slot_of_a_thread_that_had_ended_that_another_was_leaving_is_free_in_the_child)
{
	struct bystander b;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	thread_join(thread_start(leave_published, NULL));
	my_slot = range__hold(&left)->slot;
	bystander_start(&b, begin_to_release_what_i_read, end_to_release_what_i_read);
	check_in_child(have_all_slots, NULL);
	bystander_finish(&b);
}

static void use_threads_in_child(void *arg)
{
	(void)arg;
	range_lock_child(&lock);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	actor_queue(&waiter, &lock, 0, 10, RANGE_WRITE);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&waiter), 0);
	CHECK(split_by_turns(&lock, 0, 1000, 100000));
	check_quiet_and_destroy(&lock);
}

TEST(fork, threads_of_the_child_wait_and_wake_each_other)
{
	if (under_thread_sanitizer()) {
		puts("skipped: ThreadSanitizer ends children of such processes that start threads");
		return;
	}
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	actor_start(&holder, &lock, FULL, RANGE_WRITE);
	actor_await(&holder);
	actor_queue(&waiter, &lock, 0, 10, RANGE_WRITE);
	check_in_child(use_threads_in_child, NULL);
	CHECK_EQ(actor_finish(&holder), 0);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}

/* A thread that uses all its slots. */
static struct range_hold published[3];

static void *publish_three(void *arg)
{
	struct bystander *b = arg;

	for (uint64_t i = 0; i < 3; i++)
		take_published(&lock, &published[i], 20 * i, 20 * i + 10);
	sem_post(&b->began);
	sem_await(&b->over);
	for (int i = 0; i < 3; i++)
		range_unlock(&lock, &published[i]);
	return NULL;
}

static void find_none_in_a_new_lock(void *arg)
{
	(void)arg;
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	for (uint64_t i = 0; i < 3; i++)
		CHECK(is_free(&lock, 20 * i, 20 * i + 10, RANGE_WRITE));
	check_quiet_and_destroy(&lock);
}

TEST(fork, no_slot_of_a_vanished_thread_is_in_use_in_the_child)
{
	struct bystander b;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	make_biased(&lock, 1000);
	CHECK_EQ(sem_init(&b.began, 0, 0), 0);
	CHECK_EQ(sem_init(&b.over, 0, 0), 0);
	b.thread = thread_start(publish_three, &b);
	sem_await(&b.began);
	check_in_child(find_none_in_a_new_lock, NULL);
	bystander_finish(&b);
	check_quiet_and_destroy(&lock);
}
