// SPDX-License-Identifier: MIT
// range_lock.hpp: each promise of the lock and of the guard.
#include "child.h"
#include "test.h"

#include <mmrange/range_lock.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <type_traits>
#include <vector>

using mmrange::range_guard;
using mmrange::range_mutex;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

static_assert(!std::is_copy_constructible<range_mutex>::value &&
		      !std::is_move_constructible<range_mutex>::value &&
		      !std::is_copy_assignable<range_mutex>::value &&
		      !std::is_move_assignable<range_mutex>::value,
	      "a range_mutex stays where it is");
static_assert(!std::is_copy_constructible<range_guard>::value &&
		      !std::is_copy_assignable<range_guard>::value,
	      "one guard holds a range");
static_assert(std::is_nothrow_move_constructible<range_guard>::value &&
		      std::is_nothrow_move_assignable<range_guard>::value &&
		      std::is_nothrow_default_constructible<range_guard>::value,
	      "a guard can be moved, and containers of guards do not copy");
static_assert(std::is_nothrow_default_constructible<range_mutex>::value,
	      "the default attributes are valid");

// The order of these objects matters: those in front lock locks that are defined behind them.
extern range_mutex late, late_fifo;
static range_hold early_hold, early_fifo_hold;
static const bool early = (late.lock(early_hold, 0, 10, RANGE_WRITE),
			   late_fifo.lock(early_fifo_hold, 0, 10, RANGE_WRITE), true);
range_mutex late, late_fifo(mmrange::fifo);

static bool is_free(range_mutex &mutex, uint64_t start, uint64_t end, range_mode mode = RANGE_WRITE)
{
	range_hold hold;
	const bool free = mutex.try_lock(hold, start, end, mode);

	if (free)
		mutex.unlock(hold);
	return free;
}

static bool release_early()
{
	const bool busy = early && !is_free(late, 9, 20) && !is_free(late_fifo, 9, 20);

	late.unlock(early_hold);
	late_fifo.unlock(early_fifo_hold);
	return busy;
}

static const bool early_was_kept = release_early();

// Calls fn, which must throw the error.
template <class Function> static void check_throws(int error, Function fn)
{
	try {
		fn();
	} catch (const std::system_error &thrown) {
		CHECK_EQ(thrown.code().value(), error);
		CHECK(thrown.code().category() == std::generic_category());
		return;
	}
	test_fail(__FILE__, __LINE__, "error %d was not thrown", error);
}

static int count_waiter(const struct range_info *info, void *arg)
{
	if (info->state != RANGE_STATE_HELD)
		++*static_cast<unsigned int *>(arg);
	return 0;
}

static void await_waiter(range_mutex &mutex)
{
	unsigned int waiters = 0;

	while (range_lock_foreach(mutex.native_handle(), count_waiter, &waiters) == 0 && !waiters)
		std::this_thread::yield();
}

// Locked by another thread, so that the checked build does not say that a thread waits for itself.
static void lock_elsewhere(range_mutex &mutex, range_hold &hold, uint64_t start, uint64_t end,
			   range_mode mode = RANGE_WRITE)
{
	std::thread([&] { mutex.lock(hold, start, end, mode); }).join();
}

// Counts what the C++ library allocates.
static std::atomic<unsigned int> allocations;

void *operator new(std::size_t size)
{
	void *memory = std::malloc(size ? size : 1);

	allocations++;
	if (!memory)
		throw std::bad_alloc();
	return memory;
}

void operator delete(void *memory) noexcept
{
	std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
	std::free(memory);
}

TEST(range_guard, a_static_lock_can_be_used_before_constructors_run)
{
	CHECK(early_was_kept);
	CHECK(is_free(late, 0, UINT64_MAX));
	CHECK(is_free(late_fifo, 0, UINT64_MAX));
}

TEST(range_guard, a_lock_has_its_attributes)
{
	range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = RANGE_FAIRNESS_FIFO;
	range_mutex mutex(attr);
	range_hold held, waits;

	mutex.lock(held, 0, 10, RANGE_READ);
	std::thread writer([&] { range_guard guard(mutex, waits, 0, 10, RANGE_WRITE); });
	await_waiter(mutex);
	// By default, this reader would pass the writer.
	CHECK(!is_free(mutex, 5, 6, RANGE_READ));
	mutex.unlock(held);
	writer.join();
}

TEST(range_guard, bad_attributes_are_refused)
{
	range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.max_leaves = 0;
	check_throws(EINVAL, [&] { range_mutex mutex(attr); });
}

static std::atomic<unsigned int> blocks, blocks_so_far;

static void *count_alloc(size_t size, size_t align, void *)
{
	void *memory = nullptr;

	if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size))
		return nullptr;
	blocks++;
	blocks_so_far++;
	return memory;
}

static void count_free(void *memory, size_t, void *)
{
	blocks--;
	std::free(memory);
}

TEST(range_guard, the_destructor_of_a_lock_gives_its_memory_back)
{
	range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.alloc = count_alloc;
	attr.free = count_free;
	{
		range_mutex mutex(attr);

		// Threads meet in a leaf, with ranges far apart, until the lock has split it.
		for (unsigned int i = 0; !blocks_so_far; i++) {
			range_hold hold;
			range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

			if (i % 2)
				guard.unlock();
			std::thread([&] { CHECK(is_free(mutex, 1000, 1010)); }).join();
		}
		CHECK(blocks > 0);
	}
	CHECK_EQ(blocks.load(), 0);
}

static void destroy_while_held()
{
	range_hold hold;
	range_mutex mutex;

	std::set_terminate([] { std::_Exit(77); });
	mutex.lock(hold, 0, 1, RANGE_READ);
}

TEST(range_guard, destroying_a_lock_in_use_terminates)
{
	char errors[1000];
	const int status = run_in_child(destroy_while_held, errors, sizeof errors);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 77);
}

TEST(range_guard, a_lock_excludes_until_unlock)
{
	range_mutex mutex;
	range_hold hold;

	mutex.lock(hold, 10, 20, RANGE_READ);
	CHECK(!is_free(mutex, 19, 30));
	CHECK(is_free(mutex, 20, 30));
	CHECK(is_free(mutex, 0, UINT64_MAX, RANGE_READ));
	mutex.unlock(hold);
	CHECK(is_free(mutex, 0, UINT64_MAX));
}

TEST(range_guard, native_handle_is_the_lock)
{
	range_mutex mutex;
	range_hold hold, other;

	mutex.lock(hold, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_trylock(mutex.native_handle(), &other, 5, 6, RANGE_READ), EBUSY);
	range_unlock(mutex.native_handle(), &hold);
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, a_range_that_is_busy_is_no_exception)
{
	range_mutex mutex;
	range_hold held, hold;
	range_guard first(mutex, held, 0, 10, RANGE_WRITE, std::try_to_lock);

	CHECK(first.owns_lock());
	CHECK(!mutex.try_lock(hold, 9, 20, RANGE_READ));
	range_guard second(mutex, hold, 9, 20, RANGE_READ, std::try_to_lock);
	CHECK(!second.owns_lock());
	CHECK(!second);
	CHECK(!second.mutex() && !second.hold());
	CHECK(mutex.try_lock(hold, 10, 20, RANGE_WRITE));
	mutex.unlock(hold);
}

TEST(range_guard, errors_are_exceptions_with_their_errno_value)
{
	range_mutex mutex;
	range_hold hold;
	const auto soon = steady_clock::now() + milliseconds(1);

	check_throws(EINVAL, [&] { mutex.lock(hold, 1, 1, RANGE_READ); });
	check_throws(EINVAL, [&] { (void)!mutex.try_lock(hold, 2, 1, RANGE_READ); });
	check_throws(EINVAL,
		     [&] { (void)!mutex.try_lock_for(hold, 1, 1, RANGE_READ, milliseconds(1)); });
	check_throws(EINVAL, [&] { (void)!mutex.try_lock_until(hold, 1, 1, RANGE_READ, soon); });
	check_throws(EINVAL, [&] { range_guard guard(mutex, hold, 1, 1, RANGE_READ); });
	check_throws(EINVAL,
		     [&] { range_guard guard(mutex, hold, 1, 1, RANGE_READ, std::try_to_lock); });
	check_throws(EINVAL, [&] { range_guard guard(mutex, hold, 1, 1, RANGE_READ, soon); });
	check_throws(EINVAL,
		     [&] { range_guard guard(mutex, hold, 1, 1, RANGE_READ, milliseconds(1)); });
	CHECK(is_free(mutex, 0, UINT64_MAX));
}

TEST(range_guard, a_wait_that_is_canceled_is_an_exception)
{
	range_mutex mutex;
	range_hold held, hold;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	std::thread waiter([&] {
		check_throws(ECANCELED,
			     [&] { range_guard guard(mutex, hold, 0, 10, RANGE_WRITE); });
	});
	await_waiter(mutex);
	CHECK_EQ(range_cancel(mutex.native_handle(), &hold), 0);
	waiter.join();
	mutex.unlock(held);
	CHECK(is_free(mutex, 0, 10));
}

#ifdef MMRANGE_CHECKED
TEST(range_guard, a_deadlock_that_the_checked_build_finds_is_an_exception)
{
	range_mutex mutex;
	range_hold held, hold;
	range_guard guard(mutex, held, 0, 10, RANGE_WRITE);

	check_throws(EDEADLK, [&] { mutex.lock(hold, 0, 10, RANGE_WRITE); });
	CHECK(guard.owns_lock());
}
#endif

template <class Clock, class Duration>
static void check_waits_until(const std::chrono::time_point<Clock, Duration> &deadline)
{
	range_mutex mutex;
	range_hold held, hold;

	lock_elsewhere(mutex, held, 0, 10);
	CHECK(!mutex.try_lock_until(hold, 0, 10, RANGE_READ, deadline));
	CHECK(Clock::now() >= deadline);
	CHECK(!range_guard(mutex, hold, 0, 10, RANGE_READ, deadline).owns_lock());
	mutex.unlock(held);
	// The deadline has passed, and the range is free.
	CHECK(range_guard(mutex, hold, 0, 10, RANGE_READ, deadline).owns_lock());
}

TEST(range_guard, a_wait_ends_at_its_deadline_and_not_before)
{
	check_waits_until(steady_clock::now() + milliseconds(20));
	check_waits_until(system_clock::now() + milliseconds(20));
	check_waits_until(std::chrono::time_point_cast<milliseconds>(steady_clock::now()) +
			  milliseconds(20));
	check_waits_until(steady_clock::time_point(std::chrono::nanoseconds(-5)));
	check_waits_until(std::chrono::time_point<system_clock, std::chrono::duration<double>>());
}

TEST(range_guard, a_wait_ends_when_its_time_has_passed_and_not_before)
{
	range_mutex mutex;
	range_hold held, hold;
	const auto begin = steady_clock::now();
	const std::chrono::duration<int64_t, std::pico> time(20000000000 - 1);

	lock_elsewhere(mutex, held, 0, 10);
	CHECK(!mutex.try_lock_for(hold, 0, 10, RANGE_READ, time));
	CHECK(steady_clock::now() - begin >= milliseconds(20));
	CHECK(!range_guard(mutex, hold, 0, 10, RANGE_READ, milliseconds(-1)).owns_lock());
	CHECK(!range_guard(mutex, hold, 0, 10, RANGE_READ, std::chrono::hours::min()).owns_lock());
	mutex.unlock(held);
	CHECK(range_guard(mutex, hold, 0, 10, RANGE_READ, std::chrono::seconds(0)).owns_lock());
}

// No test of a wait could see this: it lasts longer than a nanosecond in any case.
TEST(range_guard, parts_of_a_nanosecond_are_rounded_up)
{
	using pico = std::chrono::duration<int64_t, std::pico>;

	CHECK_EQ(mmrange::detail::round_up(pico(1)).count(), 1);
	CHECK_EQ(mmrange::detail::round_up(pico(2000)).count(), 2);
	CHECK_EQ(mmrange::detail::round_up(pico(2001)).count(), 3);
	CHECK_EQ(mmrange::detail::round_up(std::chrono::duration<double, std::nano>(0.5)).count(),
		 1);
}

template <class Limit> static void check_waits_for_release(Limit limit)
{
	range_mutex mutex;
	range_hold held, hold;

	lock_elsewhere(mutex, held, 0, 10);
	std::thread waiter(
		[&] { CHECK(range_guard(mutex, hold, 0, 10, RANGE_READ, limit).owns_lock()); });
	await_waiter(mutex);
	mutex.unlock(held);
	waiter.join();
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, a_limit_that_is_too_far_to_count_is_none)
{
	check_waits_for_release(std::chrono::hours::max());
	check_waits_for_release(std::chrono::duration<double>(1e300));
	check_waits_for_release(std::chrono::seconds(8999999999));
	check_waits_for_release(std::chrono::seconds(10000000000));
	check_waits_for_release(system_clock::time_point() + std::chrono::seconds(8999999999));
	check_waits_for_release(std::chrono::time_point<system_clock, std::chrono::seconds>(
		std::chrono::seconds(20000000000)));
	check_waits_for_release(steady_clock::time_point::max());
	check_waits_for_release(system_clock::time_point::max());
	check_waits_for_release(std::chrono::time_point<system_clock, std::chrono::hours>::max());
}

TEST(range_guard, a_guard_holds_until_the_end_of_its_scope)
{
	range_mutex mutex;
	range_hold hold;

	{
		range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

		CHECK(guard.owns_lock());
		CHECK(guard);
		CHECK(guard.mutex() == &mutex);
		CHECK(guard.hold() == &hold);
		CHECK_EQ(hold.end, 10);
		CHECK(!is_free(mutex, 0, 1));
	}
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, an_exception_releases_what_a_guard_holds)
{
	range_mutex mutex;
	range_hold hold;

	try {
		range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);
		throw std::runtime_error("of the program");
	} catch (const std::runtime_error &) {
	}
	CHECK(is_free(mutex, 0, 10));
}

static range_guard lock_for_caller(range_mutex &mutex, range_hold &hold)
{
	range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

	return guard;
}

TEST(range_guard, a_guard_that_moves_leaves_the_range_where_it_is)
{
	range_mutex mutex;
	range_hold hold;
	range_guard first = lock_for_caller(mutex, hold);
	range_guard second(std::move(first));

	CHECK(!first.owns_lock() && !first.mutex() && !first.hold());
	CHECK(second.owns_lock() && second.mutex() == &mutex && second.hold() == &hold);
	CHECK(!is_free(mutex, 0, 1));
	first = std::move(second);
	CHECK(first.hold() == &hold && !second.owns_lock());
	CHECK(!is_free(mutex, 0, 1));
	first = range_guard();
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, a_guard_releases_its_range_when_it_takes_over_another)
{
	range_mutex mutex, other_mutex;
	range_hold hold, other_hold;
	range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);
	range_guard other(other_mutex, other_hold, 0, 10, RANGE_WRITE);

	guard = std::move(other);
	CHECK(is_free(mutex, 0, 10));
	CHECK(!is_free(other_mutex, 0, 10));
	CHECK(guard.mutex() == &other_mutex && guard.hold() == &other_hold);
	range_guard &self = guard;
	guard = std::move(self);
	CHECK(guard.owns_lock());
	CHECK(!is_free(other_mutex, 0, 10));
}

TEST(range_guard, guards_may_lie_in_a_container_that_moves_them)
{
	range_mutex mutex;
	range_hold holds[20];
	std::vector<range_guard> guards;

	for (uint64_t i = 0; i < 20; i++)
		guards.emplace_back(mutex, holds[i], i, i + 1, RANGE_WRITE);
	for (uint64_t i = 0; i < 20; i++)
		CHECK(!is_free(mutex, i, i + 1));
	guards.erase(guards.begin() + 3);
	CHECK(is_free(mutex, 3, 4));
	CHECK(!is_free(mutex, 4, 5));
	guards.clear();
	CHECK(is_free(mutex, 0, UINT64_MAX));
}

TEST(range_guard, another_thread_may_release_what_a_guard_holds)
{
	range_mutex mutex;
	range_hold hold;
	range_guard guard;

	std::thread([&] { guard = range_guard(mutex, hold, 0, 10, RANGE_WRITE); }).join();
	CHECK(!is_free(mutex, 0, 1));
	guard.unlock();
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, swap_exchanges_what_guards_hold)
{
	range_mutex mutex;
	range_hold hold, other_hold;
	range_guard guard(mutex, hold, 0, 10, RANGE_WRITE),
		other(mutex, other_hold, 10, 20, RANGE_WRITE), none;

	guard.swap(other);
	CHECK(guard.hold() == &other_hold && other.hold() == &hold);
	swap(guard, none);
	CHECK(!guard.owns_lock() && none.hold() == &other_hold);
	none.unlock();
	CHECK(is_free(mutex, 10, 20));
	CHECK(!is_free(mutex, 0, 10));
}

TEST(range_guard, release_leaves_the_range_to_the_caller)
{
	range_mutex mutex;
	range_hold hold;

	{
		range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

		CHECK(guard.release() == &hold);
		CHECK(!guard.owns_lock());
		CHECK(guard.release() == nullptr);
	}
	CHECK(!is_free(mutex, 0, 1));
	range_guard again(mutex, hold, std::adopt_lock);
	CHECK(again.owns_lock());
	again.unlock();
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, a_guard_adopts_what_range_lock_many_acquired)
{
	range_mutex mutex;
	range_hold low, high;
	range_request requests[] = { { &low, 0, 10, RANGE_WRITE }, { &high, 90, 99, RANGE_WRITE } };

	CHECK_EQ(range_lock_many(mutex.native_handle(), requests, 2), 0);
	{
		range_guard first(mutex, low, std::adopt_lock),
			second(mutex, high, std::adopt_lock);

		CHECK(!is_free(mutex, 95, 96));
	}
	CHECK(is_free(mutex, 0, UINT64_MAX));
}

TEST(range_guard, unlock_releases_once)
{
	range_mutex mutex;
	range_hold hold;
	range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

	guard.unlock();
	CHECK(!guard.owns_lock());
	CHECK(is_free(mutex, 0, 10));
	check_throws(EPERM, [&] { guard.unlock(); });
}

TEST(range_guard, what_needs_a_range_throws_without_one)
{
	range_hold hold;
	range_guard guard;

	check_throws(EPERM, [&] { guard.unlock(); });
	check_throws(EPERM, [&] { guard.downgrade(); });
	check_throws(EPERM, [&] { (void)!guard.try_upgrade(); });
	check_throws(EPERM, [&] { guard.shrink(0, 1); });
	check_throws(EPERM, [&] { (void)!guard.try_extend(0, 1); });
	check_throws(EPERM, [&] { range_guard upper = guard.split(1, hold); });
}

TEST(range_guard, a_range_changes_its_mode_without_letting_go)
{
	range_mutex mutex;
	range_hold hold, reader_hold;
	range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

	guard.downgrade();
	CHECK_EQ(hold.mode, RANGE_READ);
	range_guard reader(mutex, reader_hold, 5, 6, RANGE_READ, std::try_to_lock);
	CHECK(reader.owns_lock());
	CHECK(!guard.try_upgrade());
	CHECK(!is_free(mutex, 0, 1));
	reader.unlock();
	CHECK(guard.try_upgrade());
	CHECK(!is_free(mutex, 0, 1, RANGE_READ));
}

TEST(range_guard, a_range_changes_its_bounds_without_letting_go)
{
	range_mutex mutex;
	range_hold hold, other_hold;
	range_guard guard(mutex, hold, 10, 20, RANGE_WRITE);

	guard.shrink(10, 15);
	CHECK(is_free(mutex, 15, 20));
	CHECK(!is_free(mutex, 14, 15));
	check_throws(EINVAL, [&] { guard.shrink(10, 16); });
	CHECK(guard.try_extend(5, 20));
	CHECK(!is_free(mutex, 5, 6));
	check_throws(EINVAL, [&] { (void)!guard.try_extend(6, 30); });
	range_guard other(mutex, other_hold, 25, 26, RANGE_WRITE);
	CHECK(!guard.try_extend(5, 30));
	CHECK(guard.owns_lock());
	CHECK(is_free(mutex, 20, 25));
	CHECK(!is_free(mutex, 19, 20));
}

TEST(range_guard, split_makes_a_guard_of_the_upper_part)
{
	range_mutex mutex;
	range_hold hold, upper_hold;
	range_guard guard(mutex, hold, 0, 10, RANGE_WRITE);

	check_throws(EINVAL, [&] { range_guard upper = guard.split(10, upper_hold); });
	range_guard upper = guard.split(4, upper_hold);
	CHECK(upper.hold() == &upper_hold && upper.mutex() == &mutex);
	guard.unlock();
	CHECK(is_free(mutex, 0, 4));
	CHECK(!is_free(mutex, 4, 5));
	upper.unlock();
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_guard, neither_locks_nor_guards_allocate)
{
	const unsigned int before = allocations;
	{
		range_mutex mutex;
		range_hold hold, upper;
		range_guard guard(mutex, hold, 0, 10, RANGE_READ, milliseconds(1));
		range_guard moved(std::move(guard));
		range_guard rest = moved.split(5, upper);

		swap(moved, rest);
		CHECK(moved.try_upgrade());
		moved.downgrade();
	}
	CHECK_EQ(allocations.load(), before);
}

static constexpr bool fifo_is_constant = noexcept(range_mutex(mmrange::fifo));
static_assert(fifo_is_constant, "the constructor does not throw");

TEST(range_guard, a_fifo_lock_lets_no_newcomer_pass)
{
	range_mutex fifo_mutex(mmrange::fifo);
	range_hold mine, other;
	range_guard guard(fifo_mutex, mine, 0, 10, RANGE_WRITE);
	std::thread waiter([&] { range_guard(fifo_mutex, other, 5, 20, RANGE_WRITE); });

	await_waiter(fifo_mutex);
	CHECK(!is_free(fifo_mutex, 15, 16));
	guard.unlock();
	waiter.join();
	CHECK(is_free(fifo_mutex, 0, 20));
}

TEST(range_guard, a_reader_waits_to_become_a_writer)
{
	range_mutex mutex;
	range_hold mine, other;
	range_guard guard(mutex, mine, 0, 10, RANGE_READ);

	lock_elsewhere(mutex, other, 5, 6, RANGE_READ);
	CHECK(!guard.try_upgrade_until(steady_clock::now() - milliseconds(1)));
	CHECK(!guard.try_upgrade_until(system_clock::now()));
	CHECK(!guard.try_upgrade_for(milliseconds(1)));
	CHECK_EQ(mine.mode, RANGE_READ);
	std::thread releaser([&] {
		await_waiter(mutex);
		mutex.unlock(other);
	});
	guard.upgrade();
	releaser.join();
	CHECK_EQ(mine.mode, RANGE_WRITE);
	CHECK(!is_free(mutex, 0, 1, RANGE_READ));
	guard.downgrade();
	CHECK(guard.try_upgrade_for(std::chrono::hours::max()));
	CHECK(guard.try_upgrade_until(steady_clock::time_point::max()));
	guard.unlock();
	check_throws(EPERM, [&] { guard.upgrade(); });
	check_throws(EPERM, [&] { (void)!guard.try_upgrade_for(milliseconds(1)); });
}

TEST(range_guard, an_upgrade_that_would_deadlock_is_an_exception)
{
	range_mutex mutex;
	range_hold mine, other;
	range_guard guard(mutex, mine, 0, 10, RANGE_READ);
	std::thread waiter([&] {
		range_guard theirs(mutex, other, 5, 20, RANGE_READ);

		theirs.upgrade();
	});

	await_waiter(mutex);
	check_throws(EDEADLK, [&] { guard.upgrade(); });
	CHECK(guard && mine.mode == RANGE_READ);
	guard.unlock();
	waiter.join();
}

TEST(range_guard, two_guards_are_joined_into_one)
{
	range_mutex mutex, another;
	range_hold low, high, apart, elsewhere;
	range_guard lower(mutex, low, 0, 10, RANGE_WRITE);
	range_guard upper(mutex, high, 10, 20, RANGE_WRITE);
	range_guard far(mutex, apart, 30, 40, RANGE_WRITE);
	range_guard foreign(another, elsewhere, 10, 20, RANGE_WRITE);
	range_guard none;

	check_throws(EINVAL, [&] { lower.join(far); });
	check_throws(EINVAL, [&] { lower.join(foreign); });
	check_throws(EPERM, [&] { lower.join(none); });
	check_throws(EPERM, [&] { none.join(lower); });
	CHECK(lower && upper && far && foreign);
	lower.join(upper);
	CHECK(lower && !upper);
	CHECK(low.start == 0 && low.end == 20);
	CHECK(mutex.is_held(0, 20, RANGE_WRITE));
	lower.unlock();
	CHECK(is_free(mutex, 0, 30));
}

TEST(range_guard, a_lock_tells_what_is_held_and_what_is_in_the_way)
{
	range_mutex mutex;
	range_hold mine;
	range_info info;
	range_guard guard(mutex, mine, 10, 20, RANGE_READ);

	CHECK(mutex.is_held(10, 20, RANGE_READ) && !mutex.is_held(10, 20, RANGE_WRITE));
	CHECK(!mutex.is_held(9, 11, RANGE_READ));
	CHECK(!mutex.conflict(0, 100, RANGE_READ, info));
	CHECK(mutex.conflict(0, 100, RANGE_WRITE, info));
	CHECK(info.range == &mine && info.start == 10);
	check_throws(EINVAL, [&] { (void)mutex.conflict(5, 5, RANGE_READ, info); });
}

TEST(range_guard, a_closed_lock_throws)
{
	range_mutex mutex;
	range_hold mine, other;
	range_guard guard(mutex, mine, 0, 10, RANGE_WRITE);
	std::thread waiter(
		[&] { check_throws(ECANCELED, [&] { mutex.lock(other, 5, 6, RANGE_READ); }); });

	await_waiter(mutex);
	mutex.close();
	waiter.join();
	check_throws(ESHUTDOWN, [&] { mutex.lock(other, 20, 30, RANGE_READ); });
	CHECK(guard);
}

TEST(range_guard, several_ranges_are_held_together)
{
	range_mutex mutex;
	range_hold one, two, three;
	range_request requests[] = { { &two, 20, 30, RANGE_WRITE }, { &one, 0, 10, RANGE_READ } };
	range_request more[] = { { &three, 25, 26, RANGE_READ } };

	{
		mmrange::ranges_guard guard(mutex, requests, 2);
		mmrange::ranges_guard busy(mutex, more, 1, std::try_to_lock);

		CHECK(guard && !busy);
		CHECK(!is_free(mutex, 0, 1) && !is_free(mutex, 29, 30, RANGE_READ));
		CHECK(is_free(mutex, 0, 10, RANGE_READ) && is_free(mutex, 10, 20));
		check_throws(EPERM, [&] { busy.unlock(); });
		check_throws(EINVAL, [&] { mmrange::ranges_guard(mutex, more, 0); });
	}
	CHECK(is_free(mutex, 0, 30));
	mmrange::ranges_guard guard(mutex, requests, 2, std::try_to_lock);

	guard.unlock();
	CHECK(!guard && is_free(mutex, 0, 30));
}
