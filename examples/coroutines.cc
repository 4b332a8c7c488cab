// SPDX-License-Identifier: MIT
// Coroutines edit a document. Four threads run all of them, and no thread ever waits for a range:
// a coroutine that has to wait is suspended, and its thread runs another one.
//
// lock_async() returns an object for co_await, whose result is the same guard that threads use. A
// coroutine may hold a range while it is suspended for other reasons, and go on in another thread,
// which then releases the range. The range_hold lives in the coroutine's frame, and so stays in
// place.
//
// The thread that releases a range finds out which coroutines can go on. Here it puts them into the
// queue of the pool (on_pool). Without an executor, it would resume them itself.
#include <mmrange/range_lock.hpp>

#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <iostream>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

static constexpr unsigned int nr_threads = 4, nr_editors = 1000, nr_edits = 20;
static constexpr std::uint64_t nr_lines = 256, longest = 8;

// Threads that resume coroutines, in the order in which they were posted.
class pool
{
public:
	pool()
	{
		for (unsigned int i = 0; i < nr_threads; i++)
			threads_.emplace_back([this] { run(); });
	}

	~pool()
	{
		post(nullptr);
		for (std::thread &thread : threads_)
			thread.join();
	}

	void post(std::coroutine_handle<> coroutine)
	{
		const std::lock_guard guard(mutex_);

		queue_.push_back(coroutine);
		posted_.notify_one();
	}

	// co_await pool.turn() lets other coroutines run first.
	auto turn()
	{
		struct awaitable : std::suspend_always {
			pool &threads;

			explicit awaitable(pool &all) : threads(all)
			{
			}
			void await_suspend(std::coroutine_handle<> coroutine)
			{
				threads.post(coroutine);
			}
		};
		return awaitable(*this);
	}

private:
	void run()
	{
		while (std::coroutine_handle<> coroutine = next())
			coroutine.resume();
		post(nullptr); // the next thread ends, too
	}

	std::coroutine_handle<> next()
	{
		std::unique_lock guard(mutex_);

		posted_.wait(guard, [this] { return !queue_.empty(); });
		const std::coroutine_handle<> coroutine = queue_.front();
		queue_.pop_front();
		return coroutine;
	}

	std::mutex mutex_;
	std::condition_variable posted_;
	std::deque<std::coroutine_handle<>> queue_;
	std::vector<std::thread> threads_;
};

// A coroutine that runs to its end, and is gone then.
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

static mmrange::range_mutex document;
static unsigned int revision[nr_lines]; // of each line
static std::latch editors_left(nr_editors);

static task edit(pool &threads, std::uint64_t editor)
{
	const auto on_pool = [&threads](std::coroutine_handle<> coroutine) {
		threads.post(coroutine);
	};
	range_hold hold;

	co_await threads.turn();
	for (std::uint64_t i = 0; i < nr_edits; i++) {
		const std::uint64_t first = (editor * 31 + i * 97) % (nr_lines - longest);
		const std::uint64_t end = first + 1 + (editor + i) % longest;
		mmrange::range_guard guard =
			co_await document.lock_async(hold, first, end, RANGE_WRITE, on_pool);

		const std::vector<unsigned int> old(revision + first, revision + end);

		// Other coroutines run here; the lines stay locked.
		co_await threads.turn();
		for (std::uint64_t line = first; line < end; line++)
			revision[line] = old[line - first] + 1;
	}
	editors_left.count_down();
}

// Waits for a line, and is resumed by the thread that ends the wait.
static task look(range_hold &hold, std::uint64_t line)
{
	try {
		mmrange::range_guard guard =
			co_await document.lock_async(hold, line, line + 1, RANGE_READ);

		std::cout << "line " << line << " has revision " << revision[line] << '\n';
	} catch (const std::system_error &error) {
		std::cout << "line " << line << ": "
			  << (error.code() == std::errc::operation_canceled ? "canceled" : "failed")
			  << '\n';
	}
}

int main()
{
	{
		pool threads;

		for (std::uint64_t editor = 0; editor < nr_editors; editor++)
			edit(threads, editor);
		editors_left.wait();
	}

	unsigned int lines = 0;
	range_hold hold, one, other;
	mmrange::range_guard all(document, hold, 0, nr_lines, RANGE_WRITE);

	for (unsigned int number : revision)
		lines += number;
	std::cout << nr_editors << " editors changed " << lines << " lines\n";

	// Both are suspended until this thread makes way.
	look(one, 10);
	look(other, 20);
	if (range_cancel(document.native_handle(), &one))
		return 1;
	all.unlock();
}
