// SPDX-License-Identifier: MIT
// range_lock.hpp in C++20: each promise of range_mutex::lock_async().
#include "test.h"

#include <mmrange/range_lock.hpp>

#include <atomic>
#include <cerrno>
#include <coroutine>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

using mmrange::range_guard;
using mmrange::range_mutex;

static_assert(
	!std::is_copy_constructible<mmrange::range_async_lock<mmrange::inline_executor>>::value,
	"the callback has the address of the object");

// Counts what the C++ library allocates, coroutines' frames too. If gcc inlines only one of these,
// it warns of a mismatch.
static std::atomic<unsigned int> allocations;

__attribute__((noinline)) void *operator new(std::size_t size)
{
	void *memory = std::malloc(size ? size : 1);

	allocations++;
	if (!memory)
		throw std::bad_alloc();
	return memory;
}

__attribute__((noinline)) void operator delete(void *memory) noexcept
{
	std::free(memory);
}

__attribute__((noinline)) void operator delete(void *memory, std::size_t) noexcept
{
	std::free(memory);
}

// Runs between the return of range_lock_async() with EINPROGRESS and the suspension.
static std::function<void()> before_suspension;

extern "C" {
int __real_range_lock_async(struct range_lock *lock, range_hold *hold, uint64_t start, uint64_t end,
			    range_mode mode, range_callback *callback, void *arg);
int __wrap_range_lock_async(struct range_lock *lock, range_hold *hold, uint64_t start, uint64_t end,
			    range_mode mode, range_callback *callback, void *arg);
}

int __wrap_range_lock_async(struct range_lock *lock, range_hold *hold, uint64_t start, uint64_t end,
			    range_mode mode, range_callback *callback, void *arg)
{
	const int error = __real_range_lock_async(lock, hold, start, end, mode, callback, arg);

	if (error == EINPROGRESS && before_suspension)
		before_suspension();
	return error;
}

// A coroutine that runs until it first waits, and is gone at its end.
struct task {
	struct promise_type {
		task get_return_object()
		{
			return {};
		}
		std::suspend_never initial_suspend()
		{
			return {};
		}
		std::suspend_never final_suspend() noexcept
		{
			return {};
		}
		void return_void()
		{
		}
		void unhandled_exception()
		{
			std::terminate();
		}
	};
};

static bool is_free(range_mutex &mutex, uint64_t start, uint64_t end)
{
	range_hold hold;
	const bool free = mutex.try_lock(hold, start, end, RANGE_WRITE);

	if (free)
		mutex.unlock(hold);
	return free;
}

struct outcome {
	int error = -1;        // 0: the range was held; -1: the coroutine waits
	unsigned int came = 0; // how often the coroutine went on
	bool held = false;
	std::thread::id thread;
};

template <class Executor = mmrange::inline_executor>
static task wait_for(range_mutex &mutex, range_hold &hold, uint64_t start, uint64_t end,
		     range_mode mode, outcome &result, Executor executor = Executor())
{
	int error = 0;

	try {
		const range_guard guard =
			co_await mutex.lock_async(hold, start, end, mode, executor);

		result.held = guard.mutex() == &mutex && guard.hold() == &hold &&
			      !is_free(mutex, start, end);
	} catch (const std::system_error &thrown) {
		CHECK(thrown.code().category() == std::generic_category());
		error = thrown.code().value();
	}
	result.came++;
	result.thread = std::this_thread::get_id();
	result.error = error;
}

TEST(range_coroutines, a_coroutine_goes_on_at_once_with_a_free_range)
{
	range_mutex mutex;
	range_hold hold;
	outcome result;
	bool called = false;

	wait_for(mutex, hold, 0, 10, RANGE_WRITE, result,
		 [&called](std::coroutine_handle<>) { called = true; });
	CHECK_EQ(result.error, 0);
	CHECK(result.held);
	CHECK(!called);
	CHECK(is_free(mutex, 0, 10));
}

TEST(range_coroutines, bad_arguments_throw)
{
	range_mutex mutex;
	range_hold hold;
	outcome result;

	wait_for(mutex, hold, 10, 10, RANGE_WRITE, result);
	CHECK_EQ(result.error, EINVAL);
}

TEST(range_coroutines, the_thread_that_makes_way_resumes_the_coroutine)
{
	range_mutex mutex;
	range_hold held, hold;
	outcome result;
	std::thread::id maker;

	mutex.lock(held, 0, 10, RANGE_READ);
	wait_for(mutex, hold, 5, 15, RANGE_WRITE, result);
	CHECK_EQ(result.came, 0);
	std::thread thread([&] {
		maker = std::this_thread::get_id();
		mutex.unlock(held);
	});
	thread.join();
	CHECK_EQ(result.came, 1);
	CHECK_EQ(result.error, 0);
	CHECK(result.held);
	CHECK(result.thread == maker);
	CHECK(is_free(mutex, 0, 20));
}

TEST(range_coroutines, an_executor_gets_the_coroutine_that_holds_its_range)
{
	range_mutex mutex;
	range_hold held, hold;
	outcome result;
	std::vector<std::coroutine_handle<>> posted;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	wait_for(mutex, hold, 5, 15, RANGE_WRITE, result,
		 [&posted](std::coroutine_handle<> coroutine) { posted.push_back(coroutine); });
	CHECK(posted.empty());
	std::thread([&] { mutex.unlock(held); }).join();
	CHECK_EQ(posted.size(), 1);
	CHECK_EQ(result.came, 0);
	CHECK(!is_free(mutex, 14, 15));
	posted[0].resume();
	CHECK_EQ(result.came, 1);
	CHECK(result.held);
	CHECK(result.thread == std::this_thread::get_id());
	CHECK(is_free(mutex, 0, 20));
}

TEST(range_coroutines, a_canceled_wait_throws_ecanceled)
{
	range_mutex mutex;
	range_hold held, hold;
	outcome result;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	wait_for(mutex, hold, 5, 15, RANGE_WRITE, result);
	CHECK_EQ(range_cancel(mutex.native_handle(), &hold), 0);
	CHECK_EQ(result.came, 1);
	CHECK_EQ(result.error, ECANCELED);
	CHECK(is_free(mutex, 10, 15));
	mutex.unlock(held);
	CHECK_EQ(result.came, 1);
	CHECK(is_free(mutex, 0, 20));
}

TEST(range_coroutines, closing_the_lock_ends_waits_and_refuses_others)
{
	range_mutex mutex;
	range_hold held, hold;
	outcome waited, refused;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	wait_for(mutex, hold, 5, 15, RANGE_WRITE, waited);
	range_lock_close(mutex.native_handle());
	CHECK_EQ(waited.came, 1);
	CHECK_EQ(waited.error, ECANCELED);
	wait_for(mutex, hold, 20, 30, RANGE_WRITE, refused);
	CHECK_EQ(refused.error, ESHUTDOWN);
	mutex.unlock(held);
}

// The callback comes first, and await_suspend() lets the coroutine go on: in no call of the
// library.
TEST(range_coroutines, the_callback_may_come_before_the_coroutine_is_suspended)
{
	range_mutex mutex;
	range_hold held, hold;
	outcome result;
	bool called = false;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	before_suspension = [&] {
		mutex.unlock(held);
		CHECK_EQ(result.came, 0);
		CHECK(!is_free(mutex, 5, 15));
	};
	wait_for(mutex, hold, 5, 15, RANGE_WRITE, result,
		 [&called](std::coroutine_handle<>) { called = true; });
	before_suspension = nullptr;
	CHECK_EQ(result.came, 1);
	CHECK(result.held);
	CHECK(!called);
	CHECK(is_free(mutex, 0, 20));
}

TEST(range_coroutines, a_wait_may_be_canceled_before_the_coroutine_is_suspended)
{
	range_mutex mutex;
	range_hold held, hold;
	outcome result;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	before_suspension = [&] {
		CHECK_EQ(range_cancel(mutex.native_handle(), &hold), 0);
		CHECK_EQ(result.came, 0);
	};
	wait_for(mutex, hold, 5, 15, RANGE_WRITE, result);
	before_suspension = nullptr;
	CHECK_EQ(result.came, 1);
	CHECK_EQ(result.error, ECANCELED);
	mutex.unlock(held);
}

// How far apart the frames of functions that coroutines called were.
struct stack_use {
	uintptr_t lowest = UINTPTR_MAX;
	uintptr_t highest = 0;

	__attribute__((noinline)) void note()
	{
		const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));

		lowest = here < lowest ? here : lowest;
		highest = here > highest ? here : highest;
	}
};

static const uintptr_t some_calls = 16384; // bytes of stack; a million calls take many megabytes

static task relock(range_mutex &mutex, unsigned int times, unsigned int &grants, stack_use &stack)
{
	range_hold hold;

	for (unsigned int i = 0; i < times; i++) {
		const range_guard guard =
			co_await mutex.lock_async(hold, 0, UINT64_MAX, RANGE_WRITE);

		grants++;
		stack.note();
	}
}

TEST(range_coroutines, a_million_coroutines_in_a_row_need_no_stack)
{
	const unsigned int grants_each = test_scale(250000);
	range_mutex mutex;
	range_hold held;
	unsigned int grants = 0;
	stack_use stack;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	for (unsigned int i = 0; i < 4; i++)
		relock(mutex, grants_each, grants, stack);
	CHECK_EQ(grants, 0);
	mutex.unlock(held);
	CHECK_EQ(grants, 4 * grants_each);
	CHECK(stack.highest - stack.lowest < some_calls);
}

TEST(range_coroutines, a_million_grants_at_once_need_no_stack)
{
	const unsigned int times = test_scale(1000000);
	range_mutex mutex;
	unsigned int grants = 0;
	stack_use stack;

	relock(mutex, times, grants, stack);
	CHECK_EQ(grants, times);
	CHECK(stack.highest - stack.lowest < some_calls);
}

static task relock_held(range_mutex &mutex, range_hold &held, unsigned int times,
			unsigned int &grants, stack_use &stack)
{
	range_hold hold;

	for (unsigned int i = 0; i < times; i++) {
		mutex.lock(held, 0, 10, RANGE_WRITE);
		{
			const range_guard guard =
				co_await mutex.lock_async(hold, 5, 15, RANGE_WRITE);

			grants++;
			stack.note();
		}
	}
}

TEST(range_coroutines, grants_before_the_suspension_need_no_stack)
{
	const unsigned int times = test_scale(100000);
	range_mutex mutex;
	range_hold held;
	unsigned int grants = 0;
	stack_use stack;

	before_suspension = [&] { mutex.unlock(held); };
	relock_held(mutex, held, times, grants, stack);
	before_suspension = nullptr;
	CHECK_EQ(grants, times);
	CHECK(stack.highest - stack.lowest < some_calls);
}

TEST(range_coroutines, a_wait_allocates_nothing)
{
	range_mutex mutex;
	range_hold held;
	unsigned int grants = 0;
	stack_use stack;

	mutex.lock(held, 0, 10, RANGE_WRITE);
	relock(mutex, 10, grants, stack);
	relock(mutex, 10, grants, stack);
	const unsigned int before = allocations;
	mutex.unlock(held);
	CHECK_EQ(grants, 20);
	CHECK_EQ(allocations - before, 0);
}

// Coroutines of several threads, some of which are canceled, on counters that the ranges protect.
struct crowd {
	static constexpr unsigned int nr_threads = 4, nr_coroutines = 32;
	static constexpr uint64_t nr_keys = 64, longest = 16;

	range_mutex mutex;
	uint64_t counters[nr_keys] = {};
	std::atomic<uint64_t> added{ 0 };
	std::atomic<uint64_t> canceled{ 0 };
	std::atomic<uint64_t> cancels{ 0 };
	std::atomic<unsigned int> left{ nr_threads * nr_coroutines };
	unsigned int rounds = test_scale(500);
	range_hold holds[nr_threads * nr_coroutines];
	std::mutex queue_mutex;
	std::deque<std::coroutine_handle<>> queue;

	task run(unsigned int number, uint64_t seed);
	void resume_and_cancel(uint64_t seed);
};

task crowd::run(unsigned int number, uint64_t seed)
{
	const auto post = [this](std::coroutine_handle<> coroutine) {
		const std::lock_guard<std::mutex> guard(queue_mutex);

		queue.push_back(coroutine);
	};

	for (unsigned int i = 0; i < rounds; i++) {
		const uint64_t start = test_random_below(&seed, nr_keys - longest);
		const uint64_t end = start + 1 + test_random_below(&seed, longest);

		try {
			// Two kinds of awaitables, and the guard of either.
			range_guard guard;

			if (number % 2)
				guard = co_await mutex.lock_async(holds[number], start, end,
								  RANGE_WRITE);
			else
				guard = co_await mutex.lock_async(holds[number], start, end,
								  RANGE_WRITE, post);
			for (uint64_t key = start; key < end; key++)
				counters[key]++;
			added += end - start;
		} catch (const std::system_error &thrown) {
			CHECK_EQ(thrown.code().value(), ECANCELED);
			canceled++;
		}
	}
	left--;
}

void crowd::resume_and_cancel(uint64_t seed)
{
	while (left) {
		std::coroutine_handle<> coroutine = nullptr;

		if (test_random_below(&seed, 8) == 0) {
			range_hold *hold =
				&holds[test_random_below(&seed, nr_threads * nr_coroutines)];

			cancels += range_cancel(mutex.native_handle(), hold) == 0;
		}
		{
			const std::lock_guard<std::mutex> guard(queue_mutex);

			if (!queue.empty()) {
				coroutine = queue.front();
				queue.pop_front();
			}
		}
		if (coroutine)
			coroutine.resume();
		else
			std::this_thread::yield();
	}
}

TEST(range_coroutines, coroutines_of_many_threads_exclude_each_other_and_go_on_once)
{
	const uint64_t seed = test_seed("range_coroutines");
	crowd all;
	std::vector<std::thread> threads;
	uint64_t found = 0;

	for (unsigned int i = 0; i < crowd::nr_threads; i++)
		threads.emplace_back([&all, i, seed] {
			for (unsigned int j = 0; j < crowd::nr_coroutines; j++) {
				const unsigned int number = i * crowd::nr_coroutines + j;

				all.run(number, seed + number);
			}
			all.resume_and_cancel(seed + 1000 + i);
		});
	for (std::thread &thread : threads)
		thread.join();
	for (uint64_t counter : all.counters)
		found += counter;
	CHECK_EQ(found, all.added.load());
	CHECK_EQ(all.canceled.load(), all.cancels.load());
}
