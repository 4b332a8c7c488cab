/* SPDX-License-Identifier: MIT */
/*
 * The caller's locks beside operations: which calls a holder may make, and which calls of other
 * threads wait. Both depend on the held range and on the range that the operation locks. The test
 * combines all actions below with each hold and each locking.
 */
#include "child.h"
#include "spaces.h"
#include "threads.h"

/* These tests come first because they fork: later tests leave RCU's thread behind, which frees. */
static void unlock_what_is_not_held(void)
{
	struct mm *mm = new_space();

	CHECK_EQ(mm_read_lock(mm), 0);
	mm_read_unlock(mm);
	mm_read_unlock(mm);
	end_space(mm);
}

TEST(mm_hold, the_checked_build_finds_an_unlock_of_a_range_that_is_not_held)
{
	char errors[256];
	int status = run_in_child(unlock_what_is_not_held, errors, sizeof(errors));

	CHECK_EQ(status != 0, checked_build);
	CHECK(!checked_build || strstr(errors, "does not hold"));
}

static void *lock_everything(void *arg)
{
	CHECK_EQ(mm_write_lock(arg), 0);
	return NULL;
}

/*
 * After some calls that passed it the other thread is starving. Then this thread waits behind it,
 * and it waits for this thread.
 */
static void call_what_lies_outside(void)
{
	struct mm *mm = new_space();
	struct mm_hold hold;

	map(mm, 0, 8, RW);
	CHECK_EQ(mm_lock_range(mm, &hold, AT(0), AT(1), RANGE_WRITE), 0);
	thread_start(lock_everything, mm);
	for (;;)
		CHECK_EQ(mm_mprotect(mm, AT(4), PAGES(1), RW), 0);
}

TEST(mm_hold, the_checked_build_finds_a_wait_outside_of_the_held_range)
{
	char errors[512];

	/* Other builds hang. */
	if (!checked_build)
		return;
	CHECK(run_in_child(call_what_lies_outside, errors, sizeof(errors)) != 0);
	CHECK(strstr(errors, "deadlock"));
}

/* The held pages: the middle of the mapping of pages 0 to 7. Page 2 is present. */
#define FIRST 2u
#define LAST  4u
#define STACK 520u /* a page that grows down, with room below */

enum kind {
	LOCK,
	OPERATION,
	FAULT, /* an operation that may need no lock */
	NO_LOCK
};

/* An action that locks [start, end), in pages, for reading or writing. */
struct action {
	const char *name;
	int (*run)(struct mm *mm, const struct action *action);
	enum kind kind;
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
};

#define ALL 0, UINT64_MAX

static uint64_t length(const struct action *action)
{
	return action->end - action->start;
}

static uint64_t from(const struct action *action)
{
	return BASE + action->start * MM_PAGE_SIZE;
}

static int lock_range(struct mm *mm, const struct action *action)
{
	struct mm_hold hold;
	int error = mm_lock_range(mm, &hold, from(action),
				  from(action) + length(action) * MM_PAGE_SIZE, action->mode);

	if (!error)
		mm_unlock_range(mm, &hold);
	return error;
}

static int lock_all(struct mm *mm, const struct action *action)
{
	int error = action->mode == RANGE_READ ? mm_read_lock(mm) : mm_write_lock(mm);

	if (error)
		return error;
	if (action->mode == RANGE_READ)
		mm_read_unlock(mm);
	else
		mm_write_unlock(mm);
	return 0;
}

static int do_mmap(struct mm *mm, const struct action *action)
{
	uint64_t addr;

	return mm_mmap(mm, from(action), PAGES(length(action)), R, PRIVATE | MM_MAP_FIXED, -1, 0,
		       &addr);
}

static int do_mmap_anywhere(struct mm *mm, const struct action *action)
{
	(void)action;
	return try_map(mm, 0, PAGES(1), PRIVATE);
}

static int do_munmap(struct mm *mm, const struct action *action)
{
	return mm_munmap(mm, from(action), PAGES(length(action)));
}

static int do_mprotect(struct mm *mm, const struct action *action)
{
	return mm_mprotect(mm, from(action), PAGES(length(action)), R);
}

/* The target is far away, and locked in addition to the held range. */
static int do_mremap(struct mm *mm, const struct action *action)
{
	uint64_t addr;

	return mm_mremap(mm, from(action), PAGES(length(action)), PAGES(length(action)),
			 MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(1000), &addr);
}

static int do_mlock(struct mm *mm, const struct action *action)
{
	return mm_mlock(mm, from(action), PAGES(length(action)));
}

static int do_madvise(struct mm *mm, const struct action *action)
{
	return mm_madvise(mm, from(action), PAGES(length(action)), MM_MADV_DONTNEED);
}

static int do_mincore(struct mm *mm, const struct action *action)
{
	unsigned char vec[8];

	return mm_mincore(mm, from(action), PAGES(length(action)), vec);
}

static int do_msync(struct mm *mm, const struct action *action)
{
	return mm_msync(mm, from(action), PAGES(length(action)), MM_MS_SYNC);
}

static int do_brk(struct mm *mm, const struct action *action)
{
	struct mm_attr attr;
	uint64_t brk;

	(void)action;
	mm_attr_init(&attr);
	return mm_brk(mm, attr.brk_start + PAGES(1), &brk);
}

static int do_fork(struct mm *mm, const struct action *action)
{
	struct mm *child;
	int error = mm_fork(mm, &child);

	(void)action;
	if (!error)
		mm_destroy(child);
	return error;
}

static int do_write(struct mm *mm, const struct action *action)
{
	return mm_write(mm, from(action) + 1, "x", 1, NULL);
}

static int grow_stack(struct mm *mm, const struct action *action)
{
	(void)action;
	return mm_write(mm, AT(STACK - 1), "x", 1, NULL);
}

/* The held range contains page 3, overlaps pages 3 to 5, and does not overlap page 6. */
static const struct action actions[] = {
	{ "lock to read", lock_range, LOCK, 3, 4, RANGE_READ },
	{ "lock to write", lock_range, LOCK, 3, 6, RANGE_WRITE },
	{ "lock beside to read", lock_range, LOCK, LAST, 6, RANGE_READ },
	{ "lock beside to write", lock_range, LOCK, LAST, 6, RANGE_WRITE },
	{ "lock everything to read", lock_all, LOCK, ALL, RANGE_READ },
	{ "lock everything to write", lock_all, LOCK, ALL, RANGE_WRITE },
	{ "mmap", do_mmap, OPERATION, 3, 4, RANGE_WRITE },
	{ "mmap across", do_mmap, OPERATION, 3, 6, RANGE_WRITE },
	{ "mmap beside", do_mmap, OPERATION, 6, 7, RANGE_WRITE },
	{ "mmap anywhere", do_mmap_anywhere, OPERATION, 2000, 2001, RANGE_WRITE },
	{ "munmap", do_munmap, OPERATION, FIRST, LAST, RANGE_WRITE },
	{ "munmap across", do_munmap, OPERATION, 1, 3, RANGE_WRITE },
	{ "munmap beside", do_munmap, OPERATION, LAST, 5, RANGE_WRITE },
	{ "mprotect", do_mprotect, OPERATION, 3, 4, RANGE_WRITE },
	{ "mprotect around", do_mprotect, OPERATION, 1, 6, RANGE_WRITE },
	{ "mprotect beside", do_mprotect, OPERATION, 1, FIRST, RANGE_WRITE },
	{ "mremap", do_mremap, OPERATION, 3, 4, RANGE_WRITE },
	{ "mremap across", do_mremap, OPERATION, 3, 5, RANGE_WRITE },
	{ "mremap beside", do_mremap, OPERATION, 6, 8, RANGE_WRITE },
	{ "mlock", do_mlock, OPERATION, 3, 4, RANGE_WRITE },
	{ "madvise", do_madvise, OPERATION, 3, 4, RANGE_READ },
	{ "madvise across", do_madvise, OPERATION, 3, 6, RANGE_READ },
	{ "madvise beside", do_madvise, OPERATION, 6, 7, RANGE_READ },
	{ "mincore", do_mincore, OPERATION, FIRST, 3, RANGE_READ },
	{ "msync", do_msync, OPERATION, 3, 4, RANGE_READ },
	{ "brk", do_brk, OPERATION, 3000, 3001, RANGE_WRITE },
	{ "fork", do_fork, OPERATION, ALL, RANGE_WRITE },
	{ "a stack that grows", grow_stack, OPERATION, ALL, RANGE_WRITE },
	{ "a fault", do_write, FAULT, 3, 4, RANGE_READ },
	{ "a fault beside", do_write, FAULT, 6, 7, RANGE_READ },
	{ "a write to a present page", do_write, NO_LOCK, FIRST, 3, RANGE_READ },
};
#define NR_ACTIONS (sizeof(actions) / sizeof(actions[0]))

/* Holds, in the same form. */
static const struct action holds[] = {
	{ "a range for reading", NULL, LOCK, FIRST, LAST, RANGE_READ },
	{ "a range for writing", NULL, LOCK, FIRST, LAST, RANGE_WRITE },
	{ "everything for reading", NULL, LOCK, ALL, RANGE_READ },
	{ "everything for writing", NULL, LOCK, ALL, RANGE_WRITE },
};
#define NR_HOLDS (sizeof(holds) / sizeof(holds[0]))

static bool is_coarse(const struct action *hold)
{
	return hold->end == UINT64_MAX;
}

static void begin_hold(struct mm *mm, struct mm_hold *storage, const struct action *hold)
{
	if (!is_coarse(hold))
		CHECK_EQ(mm_lock_range(mm, storage, from(hold), AT(hold->end), hold->mode), 0);
	else if (hold->mode == RANGE_READ)
		CHECK_EQ(mm_read_lock(mm), 0);
	else
		CHECK_EQ(mm_write_lock(mm), 0);
}

static void end_hold(struct mm *mm, struct mm_hold *storage, const struct action *hold)
{
	if (!is_coarse(hold))
		mm_unlock_range(mm, storage);
	else if (hold->mode == RANGE_READ)
		mm_read_unlock(mm);
	else
		mm_write_unlock(mm);
}

static bool knows_ranges(enum mm_locking locking)
{
	return locking == MM_LOCKING_RANGE || locking == MM_LOCKING_SPECULATIVE;
}

static bool overlap(const struct action *a, const struct action *b)
{
	return a->start < b->end && b->start < a->end;
}

static bool exclude_each_other(const struct action *hold, const struct action *action)
{
	return hold->mode == RANGE_WRITE || action->mode == RANGE_WRITE;
}

static void set_scene(struct mm *mm)
{
	struct mm_attr attr;
	uint64_t brk;

	mm_attr_init(&attr);
	CHECK_EQ(mm_brk(mm, attr.brk_start, &brk), 0);
	CHECK_EQ(mm_munmap(mm, 0, MM_ADDR_MAX), 0);
	map(mm, 0, 8, RW);
	map_as(mm, STACK, 1, RW, PRIVATE | MM_MAP_GROWSDOWN);
	CHECK_EQ(poke(mm, AT(FIRST), 1), 0);
}

static struct mm *new_scene(enum mm_locking locking)
{
	struct mm *mm = new_space_locking(locking);

	set_scene(mm);
	return mm;
}

/* Each of the actions with each hold and each locking. */
static void check_all(void (*check)(struct mm *mm, enum mm_locking locking,
				    const struct action *hold, const struct action *action))
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		for (size_t h = 0; h < NR_HOLDS; h++)
			for (size_t a = 0; a < NR_ACTIONS; a++)
				check(mm, lockings[i], &holds[h], &actions[a]);
		end_space(mm);
	}
}

/* The error of an action whose own thread holds a lock. */
static int own_error(enum mm_locking locking, const struct action *hold,
		     const struct action *action)
{
	/* A lock that knows no ranges covers everything, so no action lies partly in it. */
	bool covers = hold->start <= action->start && action->end <= hold->end;
	bool too_weak = hold->mode == RANGE_READ && action->mode == RANGE_WRITE;

	if (action->kind == NO_LOCK)
		return 0;
	if (action->kind == LOCK && overlap(hold, action))
		return EDEADLK;
	if (!knows_ranges(locking))
		return too_weak ? EDEADLK : 0;
	return overlap(hold, action) && (!covers || too_weak) ? EDEADLK : 0;
}

static void list_vmas(struct mm *mm, struct vma_text *text)
{
	*text = (struct vma_text){ "", 0 };
	mm_for_each_area(mm, append_vma, text);
}

static void check_own(struct mm *mm, enum mm_locking locking, const struct action *hold,
		      const struct action *action)
{
	struct vma_text before, after;
	int error, expected = own_error(locking, hold, action);
	struct mm_hold storage;
	uint64_t pages;

	set_scene(mm);
	pages = stats_of(mm).pages;
	list_vmas(mm, &before);
	begin_hold(mm, &storage, hold);
	error = action->run(mm, action);
	if (error != expected)
		test_fail(__FILE__, __LINE__, "locking %d: holding %s, %s says %d, not %d",
			  (int)locking, hold->name, action->name, error, expected);
	list_vmas(mm, &after);
	if (error && (strcmp(before.text, after.text) || stats_of(mm).pages != pages))
		test_fail(__FILE__, __LINE__, "%s failed, but changed something", action->name);
	end_hold(mm, &storage, hold);
	/* Everything is unlocked. */
	CHECK_EQ(mm_write_lock(mm), 0);
	mm_write_unlock(mm);
	check_space(mm);
}

TEST(mm_hold, calls_within_a_held_range_succeed_and_calls_that_would_wait_for_it_fail)
{
	check_all(check_own);
}

/* A thread that does an action when the test tells it to. */
struct other {
	struct mm *mm;
	const struct action *action;
	atomic_bool ready;
	atomic_bool go;
	atomic_bool begun;
	atomic_bool done;
	int result;
};

static void *other_main(void *arg)
{
	struct other *other = arg;

	/* Gives the thread free frames, so that a fault needs no lock; and page FIRST. */
	CHECK_EQ(poke(other->mm, AT(7), 1), 0);
	CHECK_EQ(poke(other->mm, AT(FIRST), 1), 0);
	atomic_store(&other->ready, true);
	AWAIT(atomic_load(&other->go));
	atomic_store(&other->begun, true);
	other->result = other->action->run(other->mm, other->action);
	atomic_store(&other->done, true);
	return NULL;
}

/* Whether another thread has to wait. */
static bool others_wait(enum mm_locking locking, const struct action *hold,
			const struct action *action)
{
	if (action->kind == NO_LOCK)
		return false;
	if (action->kind == FAULT && locking == MM_LOCKING_SPECULATIVE)
		return false;
	return exclude_each_other(hold, action) &&
	       (!knows_ranges(locking) || overlap(hold, action));
}

static void check_other(struct mm *mm, enum mm_locking locking, const struct action *hold,
			const struct action *action)
{
	struct other other = { .mm = mm, .action = action };
	struct mm_hold storage;
	pthread_t thread;

	set_scene(mm);
	thread = thread_start(other_main, &other);
	AWAIT(atomic_load(&other.ready));
	begin_hold(mm, &storage, hold);
	atomic_store(&other.go, true);
	AWAIT(atomic_load(&other.begun));
	if (others_wait(locking, hold, action)) {
		for (unsigned int i = 0; i < 20; i++)
			sched_yield();
		if (atomic_load(&other.done))
			test_fail(__FILE__, __LINE__, "locking %d: %s is held, but %s goes on",
				  (int)locking, hold->name, action->name);
	} else {
		/* If the thread never finishes, the watchdog reports it. */
		AWAIT(atomic_load(&other.done));
	}
	end_hold(mm, &storage, hold);
	thread_join(thread);
	CHECK_EQ(other.result, 0);
	check_space(mm);
}

TEST(mm_hold, other_threads_wait_for_conflicting_ranges_only)
{
	check_all(check_other);
}

TEST(mm_hold, invalid_arguments_are_refused_and_nothing_is_held)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);
		struct mm_hold hold;

		CHECK_EQ(mm_lock_range(mm, &hold, AT(1), AT(1), RANGE_READ), EINVAL);
		CHECK_EQ(mm_lock_range(mm, &hold, AT(2), AT(1), RANGE_READ), EINVAL);
		CHECK_EQ(mm_lock_range(mm, &hold, AT(1) + 1, AT(2), RANGE_WRITE), EINVAL);
		CHECK_EQ(mm_lock_range(mm, &hold, AT(1), AT(2) - 1, RANGE_WRITE), EINVAL);
		CHECK_EQ(mm_lock_range(mm, &hold, AT(1), AT(2), (enum range_mode)7), EINVAL);
		CHECK_EQ(mm_lock_range(mm, &hold, AT(1), UINT64_MAX, RANGE_WRITE), 0);
		mm_unlock_range(mm, &hold);
		CHECK_EQ(mm_write_lock(mm), 0);
		mm_write_unlock(mm);
		end_space(mm);
	}
}

TEST(mm_hold, a_thread_may_hold_several_ranges_and_end_them_in_any_order)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_scene(lockings[i]);
		struct mm_hold hold[3];

		for (unsigned int order = 0; order < 6; order++) {
			unsigned int first = order % 3, second = (first + 1 + order / 3) % 3;

			for (unsigned int k = 0; k < 3; k++)
				CHECK_EQ(mm_lock_range(mm, &hold[k], AT(2 * k), AT(2 * k + 1),
						       RANGE_WRITE),
					 0);
			CHECK_EQ(mm_write_lock(mm), EDEADLK);
			mm_unlock_range(mm, &hold[first]);
			CHECK_EQ(mm_mprotect(mm, AT(2 * second), PAGES(1), RW), 0);
			mm_unlock_range(mm, &hold[second]);
			CHECK_EQ(mm_read_lock(mm), EDEADLK);
			mm_unlock_range(mm, &hold[3 - first - second]);
			CHECK_EQ(mm_write_lock(mm), 0);
			mm_write_unlock(mm);
		}
		end_space(mm);
	}
}

/* Two adjacent ranges stay two: an operation on a part of both lies only partly in each. */
TEST(mm_hold, two_ranges_side_by_side_are_not_one)
{
	struct mm *mm = new_scene(MM_LOCKING_RANGE);
	struct mm_hold left, right;

	CHECK_EQ(mm_lock_range(mm, &left, AT(0), AT(2), RANGE_WRITE), 0);
	CHECK_EQ(mm_lock_range(mm, &right, AT(2), AT(4), RANGE_WRITE), 0);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(2), R), EDEADLK);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), R), 0);
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), R), 0);
	mm_unlock_range(mm, &right);
	mm_unlock_range(mm, &left);
	end_space(mm);
}

/* The highest gap is taken by the hold, in part or altogether. */
TEST(mm_hold, no_place_for_a_mapping_is_chosen_outside_of_the_held_range)
{
	const uint64_t top = MM_ADDR_MAX;

	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_scene(lockings[i]);
		bool ranges = knows_ranges(lockings[i]);
		struct mm_hold hold;

		CHECK_EQ(mm_lock_range(mm, &hold, top - PAGES(1), top, RANGE_WRITE), 0);
		CHECK_EQ(try_map(mm, 0, PAGES(2), PRIVATE), ranges ? EDEADLK : 0);
		CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE), 0);
		mm_unlock_range(mm, &hold);
		CHECK_EQ(try_map(mm, 0, PAGES(2), PRIVATE), 0);
		end_space(mm);
	}
}

TEST(mm_hold, in_one_space_has_nothing_to_do_with_another)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_scene(lockings[i]), *other = new_scene(lockings[i]);

		CHECK_EQ(mm_write_lock(mm), 0);
		CHECK_EQ(mm_read_lock(other), 0);
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(4), R), 0);
		CHECK_EQ(mm_mprotect(other, AT(0), PAGES(4), R), EDEADLK);
		mm_write_unlock(mm);
		mm_read_unlock(other);
		end_space(mm);
		end_space(other);
	}
}
