/* SPDX-License-Identifier: MIT */
/*
 * range_lock.hpp - the range lock for C++11 and later: a lock, and a guard that releases its range.
 *
 *	mmrange::range_mutex mutex;
 *
 *	range_hold hold;
 *	mmrange::range_guard guard(mutex, hold, offset, offset + length, RANGE_WRITE);
 *	... no other thread reads or writes [offset, offset + length) until guard is destroyed ...
 *
 * All members are inline, call the functions of range_lock.h, and keep their promises. They
 * allocate nothing beyond what those functions allocate. Call the functions of range_lock.h that
 * have no member here with native_handle().
 *
 * A range_hold must not move while it is held. So a guard does not contain it but refers to it:
 * moving the guard moves the reference only. A program can return a guard from a function, store it
 * in a container, or give it to another thread, which may release the range, as long as the
 * range_hold stays in place. A range_hold that is declared before its guard, in the same scope or a
 * wider one, stays in place.
 *
 * In C++20 a coroutine acquires a range without blocking its thread, by co_await and lock_async().
 *
 * A function that fails throws std::system_error, whose code() is the errno value that range_lock.h
 * documents for the failure, in std::generic_category(). A busy range or a passed deadline is no
 * failure but a result, false. An exception changes nothing: the same ranges are held as before the
 * call.
 */
#ifndef MMRANGE_RANGE_LOCK_HPP
#define MMRANGE_RANGE_LOCK_HPP

#include <mmrange/range_lock.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <utility>

/* Defined where lock_async() is: in C++20, if the compiler has coroutines. */
#if __cplusplus >= 202002L && defined(__cpp_impl_coroutine) && __has_include(<coroutine>)
#define MMRANGE_COROUTINES 1
#include <atomic>
#include <coroutine>
#endif

namespace mmrange
{

/** Internal. */
namespace detail
{

inline void check(int error)
{
	if (error)
		throw std::system_error(error, std::generic_category());
}

/* Whether a call succeeded; false if it returned the one error that is a result. */
inline bool succeeded(int error, int result)
{
	if (error == result)
		return false;
	check(error);
	return true;
}

/* The POSIX names of the C++ library's clocks, as in libstdc++, and in libc++ on Linux. */
template <class Clock> struct posix_clock;
template <> struct posix_clock<std::chrono::steady_clock> {
	static clockid_t id()
	{
		return CLOCK_MONOTONIC;
	}
};
template <> struct posix_clock<std::chrono::system_clock> {
	static clockid_t id()
	{
		return CLOCK_REALTIME;
	}
};

/*
 * Longer times are no limit. The nanoseconds of shorter ones fit into 64 bits, even together with
 * those since boot.
 */
template <class Rep, class Period>
bool without_limit(const std::chrono::duration<Rep, Period> &time)
{
	return std::chrono::duration<double>(time).count() >= 9e9;
}

/* Rounds up: a wait must not end before its deadline. */
template <class Rep, class Period>
std::chrono::nanoseconds round_up(const std::chrono::duration<Rep, Period> &time)
{
	if (time <= time.zero())
		return std::chrono::nanoseconds::zero();
	const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time);

	return ns < time ? ns + std::chrono::nanoseconds(1) : ns;
}

inline struct timespec to_timespec(std::chrono::nanoseconds since_epoch)
{
	const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
	struct timespec time = {};

	if (seconds.count() > std::numeric_limits<std::time_t>::max()) {
		time.tv_sec = std::numeric_limits<std::time_t>::max();
	} else {
		time.tv_sec = static_cast<std::time_t>(seconds.count());
		time.tv_nsec = static_cast<long>((since_epoch - seconds).count());
	}
	return time;
}

} /* namespace detail */

#ifdef MMRANGE_COROUTINES
struct inline_executor;
template <class Executor> class range_async_lock;
#endif

/** Chooses a constructor of range_mutex.   Since: 0.2 */
struct fifo_t {
	explicit fifo_t() = default;
};
__attribute__((unused)) constexpr fifo_t fifo{};

/**
 * A range lock: owns a struct range_lock, which it makes and destroys.
 *
 * Lifetime: as a struct range_lock, it stays in place, so it can be neither copied nor moved. An
 *           object with static storage and the default attributes, or with fifo, is initialised
 *           before any constructor runs.
 */
class range_mutex
{
public:
	using native_handle_type = struct ::range_lock *;

	/** Makes a lock with the default attributes.   Since: 0.1 */
	constexpr range_mutex() noexcept : lock_ RANGE_LOCK_INITIALIZER
	{
	}

	/**
	 * Makes a lock that is RANGE_FAIRNESS_FIFO: range_mutex mutex(mmrange::fifo).
	 *
	 * Since: 0.2
	 */
	constexpr explicit range_mutex(fifo_t) noexcept : lock_ RANGE_LOCK_INITIALIZER_FIFO
	{
	}

	/** Makes a lock with these attributes; throws if range_lock_init() fails.   Since: 0.1 */
	explicit range_mutex(const range_lock_attr &attributes) : lock_ RANGE_LOCK_INITIALIZER
	{
		detail::check(range_lock_init(&lock_, &attributes));
	}

	/**
	 * As range_lock_destroy(). If a range is held or waits, calls std::terminate().
	 *
	 * Since: 0.1
	 */
	~range_mutex()
	{
		if (range_lock_destroy(&lock_))
			std::terminate();
	}

	range_mutex(const range_mutex &) = delete;
	range_mutex &operator=(const range_mutex &) = delete;

	/** Acquires [start, end), waiting; throws if range_lock() fails.   Since: 0.1 */
	void lock(range_hold &hold, std::uint64_t start, std::uint64_t end, range_mode mode)
	{
		detail::check(::range_lock(&lock_, &hold, start, end, mode));
	}

	/**
	 * Acquires [start, end) if that needs no waiting for a range.
	 *
	 * @return whether the range is held; otherwise range_trylock() failed with EBUSY. Throws if
	 *         it fails with another error.   Since: 0.1
	 */
	MMRANGE_CHECK_RESULT bool try_lock(range_hold &hold, std::uint64_t start, std::uint64_t end,
					   range_mode mode)
	{
		return detail::succeeded(range_trylock(&lock_, &hold, start, end, mode), EBUSY);
	}

	/**
	 * Acquires [start, end), waiting until a deadline at most. Acquires a free range even after
	 * the deadline.
	 *
	 * @param deadline a time of std::chrono::steady_clock or std::chrono::system_clock, where
	 *                  changes of the clock move it; 285 years after the epoch of the clock or
	 *                  later, no deadline
	 * @return whether the range is held; otherwise the deadline has passed. Throws if
	 *         range_timedlock() fails with another error than ETIMEDOUT.   Since: 0.1
	 */
	template <class Clock, class Duration>
	MMRANGE_CHECK_RESULT bool
	try_lock_until(range_hold &hold, std::uint64_t start, std::uint64_t end, range_mode mode,
		       const std::chrono::time_point<Clock, Duration> &deadline)
	{
		const auto since_epoch = deadline.time_since_epoch();

		if (detail::without_limit(since_epoch)) {
			lock(hold, start, end, mode);
			return true;
		}
		const struct timespec time = detail::to_timespec(detail::round_up(since_epoch));

		return detail::succeeded(range_timedlock(&lock_, &hold, start, end, mode,
							 detail::posix_clock<Clock>::id(), &time),
					 ETIMEDOUT);
	}

	/** As try_lock_until() with now + timeout, by std::chrono::steady_clock.   Since: 0.1 */
	template <class Rep, class Period>
	MMRANGE_CHECK_RESULT bool try_lock_for(range_hold &hold, std::uint64_t start,
					       std::uint64_t end, range_mode mode,
					       const std::chrono::duration<Rep, Period> &timeout)
	{
		if (detail::without_limit(timeout)) {
			lock(hold, start, end, mode);
			return true;
		}
		return try_lock_until(hold, start, end, mode,
				      std::chrono::steady_clock::now() + detail::round_up(timeout));
	}

	/** Releases a range of this lock, as range_unlock().   Since: 0.1 */
	void unlock(range_hold &hold) noexcept
	{
		range_unlock(&lock_, &hold);
	}

	/** Ends all waits and refuses new ones, as range_lock_close().   Since: 0.2 */
	void close() noexcept
	{
		range_lock_close(&lock_);
	}

	/** Whether the thread holds all of [start, end), as range_is_held().   Since: 0.2 */
	bool is_held(std::uint64_t start, std::uint64_t end, range_mode mode) noexcept
	{
		return range_is_held(&lock_, start, end, mode) != 0;
	}

	/**
	 * Finds a held range that conflicts, as range_lock_conflict().
	 *
	 * @return whether there is one, which info then describes. Throws if range_lock_conflict()
	 *         fails with another error than ESRCH.   Since: 0.2
	 */
	bool conflict(std::uint64_t start, std::uint64_t end, range_mode mode, range_info &info)
	{
		return detail::succeeded(range_lock_conflict(&lock_, start, end, mode, &info),
					 ESRCH);
	}

	/** The lock, for functions of range_lock.h other than range_lock_destroy().   Since: 0.1 */
	native_handle_type native_handle() noexcept
	{
		return &lock_;
	}

#ifdef MMRANGE_COROUTINES
	/**
	 * For a coroutine: acquires [start, end), by range_lock_async(), and suspends the coroutine
	 * instead of blocking its thread.
	 *
	 *	mmrange::range_guard guard = co_await mutex.lock_async(hold, 0, 10, RANGE_WRITE);
	 *
	 * If the range is free, the coroutine goes on at once. Otherwise the coroutine is suspended
	 * until the range is granted or the wait is canceled. Then the thread that made way calls
	 * executor once, with the std::coroutine_handle<> of the coroutine. The executor must let
	 * the coroutine be resumed once, there or in another thread. inline_executor resumes it
	 * there: a call that makes way, as range_guard::unlock(), may then do much work of other
	 * coroutines before it returns.
	 *
	 * @return for co_await in the same expression, whose result is a guard that holds the range
	 *
	 * co_await throws if range_lock_async() fails, and with ECANCELED if the wait is canceled,
	 * by range_cancel(mutex.native_handle(), &hold) or by range_lock_close().
	 *
	 * Requires:  the coroutine is not destroyed while it is suspended here: cancel the wait
	 *            first. The executor throws no exception, and with inline_executor, resuming
	 *            the coroutine throws none; otherwise std::terminate() is called.
	 * Ordering:  as range_lock(), when co_await returns.
	 * Cost:      allocates nothing. The stack does not grow with the number of coroutines that
	 *            make way for each other.   Since: 0.2
	 */
	template <class Executor = inline_executor>
	range_async_lock<Executor> lock_async(range_hold &hold, std::uint64_t start,
					      std::uint64_t end, range_mode mode,
					      Executor executor = Executor());
#endif

private:
	struct ::range_lock lock_;
};

/**
 * Holds a range of a range_mutex, or nothing, and releases the range in its destructor.
 *
 * Requires: the range_hold and the range_mutex outlive the guard, or the time for which it holds a
 *           range.
 * Safety:   one guard is for one thread at a time. A thread other than the one that acquired the
 *           range may release it, or destroy the guard.
 */
class range_guard
{
public:
	/** Holds nothing.   Since: 0.1 */
	range_guard() noexcept = default;

	/** Acquires [start, end), as range_mutex::lock().   Since: 0.1 */
	range_guard(range_mutex &mutex, range_hold &hold, std::uint64_t start, std::uint64_t end,
		    range_mode mode)
	    : mutex_(&mutex), hold_(&hold)
	{
		mutex.lock(hold, start, end, mode);
	}

	/** Acquires [start, end), or holds nothing, as range_mutex::try_lock().   Since: 0.1 */
	range_guard(range_mutex &mutex, range_hold &hold, std::uint64_t start, std::uint64_t end,
		    range_mode mode, std::try_to_lock_t)
	{
		set(mutex, hold, mutex.try_lock(hold, start, end, mode));
	}

	/** Acquires [start, end) or nothing, as range_mutex::try_lock_until().   Since: 0.1 */
	template <class Clock, class Duration>
	range_guard(range_mutex &mutex, range_hold &hold, std::uint64_t start, std::uint64_t end,
		    range_mode mode, const std::chrono::time_point<Clock, Duration> &deadline)
	{
		set(mutex, hold, mutex.try_lock_until(hold, start, end, mode, deadline));
	}

	/** Acquires [start, end), or holds nothing, as range_mutex::try_lock_for().   Since: 0.1 */
	template <class Rep, class Period>
	range_guard(range_mutex &mutex, range_hold &hold, std::uint64_t start, std::uint64_t end,
		    range_mode mode, const std::chrono::duration<Rep, Period> &timeout)
	{
		set(mutex, hold, mutex.try_lock_for(hold, start, end, mode, timeout));
	}

	/** Takes over a held range, for example of range_lock_many().   Since: 0.1 */
	range_guard(range_mutex &mutex, range_hold &hold, std::adopt_lock_t) noexcept
	    : mutex_(&mutex), hold_(&hold)
	{
	}

	/**
	 * Takes over the range of other, which then holds nothing. *hold() stays in place.
	 *
	 * Since: 0.1
	 */
	range_guard(range_guard &&other) noexcept : mutex_(other.mutex_), hold_(other.hold_)
	{
		other.release();
	}

	/** Takes over the range of other, and releases the old one.   Since: 0.1 */
	range_guard &operator=(range_guard &&other) noexcept
	{
		range_guard taken(std::move(other));

		swap(taken);
		return *this;
	}

	range_guard(const range_guard &) = delete;
	range_guard &operator=(const range_guard &) = delete;

	/** Releases the range, if the guard holds one.   Since: 0.1 */
	~range_guard()
	{
		reset();
	}

	/** Exchanges the ranges of two guards.   Since: 0.1 */
	void swap(range_guard &other) noexcept
	{
		std::swap(mutex_, other.mutex_);
		std::swap(hold_, other.hold_);
	}

	/** Whether the guard holds a range.   Since: 0.1 */
	bool owns_lock() const noexcept
	{
		return mutex_;
	}
	explicit operator bool() const noexcept
	{
		return owns_lock();
	}

	/** The range's lock, or its storage; nullptr if the guard holds nothing.   Since: 0.1 */
	range_mutex *mutex() const noexcept
	{
		return mutex_;
	}
	range_hold *hold() const noexcept
	{
		return hold_;
	}

	/** Gives up the range without releasing it: the caller has to release it.   Since: 0.1 */
	range_hold *release() noexcept
	{
		range_hold *hold = hold_;

		mutex_ = nullptr;
		hold_ = nullptr;
		return hold;
	}

	/*
	 * The following members change the range that the guard holds. If it holds none, they throw
	 * std::system_error with EPERM, as std::unique_lock::unlock() does.
	 */

	/** Releases the range.   Since: 0.1 */
	void unlock()
	{
		require_range();
		reset();
	}

	/** Makes a writer a reader, as range_downgrade().   Since: 0.1 */
	void downgrade()
	{
		range_downgrade(require_range(), hold_);
	}

	/**
	 * Makes a reader a writer, as range_tryupgrade(). False: the range is busy, and still a
	 * reader's.
	 *
	 * Since: 0.1
	 */
	MMRANGE_CHECK_RESULT bool try_upgrade()
	{
		return detail::succeeded(range_tryupgrade(require_range(), hold_), EBUSY);
	}

	/** Makes a reader a writer, waiting; throws if range_upgrade() fails.   Since: 0.2 */
	void upgrade()
	{
		detail::check(range_upgrade(require_range(), hold_));
	}

	/**
	 * Makes a reader a writer, waiting until a deadline at most, as
	 * range_mutex::try_lock_until(). False: the deadline has passed, and the range is still a
	 * reader's. Throws if range_timedupgrade() fails with another error than ETIMEDOUT.
	 *
	 * Since: 0.2
	 */
	template <class Clock, class Duration>
	MMRANGE_CHECK_RESULT bool
	try_upgrade_until(const std::chrono::time_point<Clock, Duration> &deadline)
	{
		const auto since_epoch = deadline.time_since_epoch();

		if (detail::without_limit(since_epoch)) {
			upgrade();
			return true;
		}
		const struct timespec time = detail::to_timespec(detail::round_up(since_epoch));

		return detail::succeeded(range_timedupgrade(require_range(), hold_,
							    detail::posix_clock<Clock>::id(),
							    &time),
					 ETIMEDOUT);
	}

	/** As try_upgrade_until() with now + timeout, by std::chrono::steady_clock.   Since: 0.2 */
	template <class Rep, class Period>
	MMRANGE_CHECK_RESULT bool try_upgrade_for(const std::chrono::duration<Rep, Period> &timeout)
	{
		if (detail::without_limit(timeout)) {
			upgrade();
			return true;
		}
		return try_upgrade_until(std::chrono::steady_clock::now() +
					 detail::round_up(timeout));
	}

	/** Releases all but [start, end); throws if range_shrink() fails.   Since: 0.1 */
	void shrink(std::uint64_t start, std::uint64_t end)
	{
		detail::check(range_shrink(require_range(), hold_, start, end));
	}

	/**
	 * Extends the range to [start, end), as range_tryextend(). False: the added part is busy,
	 * and the range is as before. Throws if range_tryextend() fails with another error.
	 *
	 * Since: 0.1
	 */
	MMRANGE_CHECK_RESULT bool try_extend(std::uint64_t start, std::uint64_t end)
	{
		return detail::succeeded(range_tryextend(require_range(), hold_, start, end),
					 EBUSY);
	}

	/**
	 * Keeps [start, point), and returns a guard of the rest, whose storage is upper. Throws if
	 * range_split() fails.   Since: 0.1
	 */
	MMRANGE_CHECK_RESULT range_guard split(std::uint64_t point, range_hold &upper)
	{
		detail::check(range_split(require_range(), hold_, point, &upper));
		return range_guard(*mutex_, upper, std::adopt_lock);
	}

	/**
	 * Takes over the range of upper, which begins where this one ends; upper then holds
	 * nothing. Throws if range_join() fails, or upper holds a range of another lock (EINVAL),
	 * or nothing (EPERM).   Since: 0.2
	 */
	void join(range_guard &upper)
	{
		const auto lock = require_range();

		detail::check(upper.require_range() == lock ? 0 : EINVAL);
		detail::check(range_join(lock, hold_, upper.hold_));
		upper.release();
	}

private:
	range_mutex::native_handle_type require_range() const
	{
		detail::check(mutex_ ? 0 : EPERM);
		return mutex_->native_handle();
	}

	void set(range_mutex &mutex, range_hold &hold, bool held) noexcept
	{
		mutex_ = held ? &mutex : nullptr;
		hold_ = held ? &hold : nullptr;
	}

	void reset() noexcept
	{
		if (mutex_)
			mutex_->unlock(*hold_);
		release();
	}

	range_mutex *mutex_ = nullptr;
	range_hold *hold_ = nullptr;
};

/** Exchanges the ranges of two guards.   Since: 0.1 */
inline void swap(range_guard &one, range_guard &other) noexcept
{
	one.swap(other);
}

/**
 * Holds several ranges of a range_mutex that it acquired together, as range_lock_many(), and
 * releases all of them in its destructor.
 *
 *	range_hold from, to;
 *	range_request requests[] = { { &from, 0, 10, RANGE_READ }, { &to, 90, 99, RANGE_WRITE } };
 *	mmrange::ranges_guard guard(mutex, requests, 2);
 *
 * Requires: the requests and their range_holds stay in place while the guard holds the ranges, and
 *           the caller does not change the requests, nor release the ranges itself.
 */
class ranges_guard
{
public:
	/** Acquires all ranges; throws if range_lock_many() fails.   Since: 0.2 */
	ranges_guard(range_mutex &mutex, range_request *requests, std::size_t n)
	    : mutex_(&mutex), requests_(requests), n_(n)
	{
		detail::check(range_lock_many(mutex.native_handle(), requests, n));
	}

	/**
	 * Acquires all ranges, or holds nothing because one is busy; throws if range_trylock_many()
	 * fails with another error than EBUSY.   Since: 0.2
	 */
	ranges_guard(range_mutex &mutex, range_request *requests, std::size_t n, std::try_to_lock_t)
	    : mutex_(&mutex), requests_(requests), n_(n)
	{
		if (!detail::succeeded(range_trylock_many(mutex.native_handle(), requests, n),
				       EBUSY))
			mutex_ = nullptr;
	}

	ranges_guard(const ranges_guard &) = delete;
	ranges_guard &operator=(const ranges_guard &) = delete;

	/** Releases the ranges, if the guard holds them.   Since: 0.2 */
	~ranges_guard()
	{
		reset();
	}

	/** Whether the guard holds the ranges.   Since: 0.2 */
	bool owns_lock() const noexcept
	{
		return mutex_;
	}
	explicit operator bool() const noexcept
	{
		return owns_lock();
	}

	/** Releases the ranges; throws EPERM if the guard holds none.   Since: 0.2 */
	void unlock()
	{
		detail::check(mutex_ ? 0 : EPERM);
		reset();
	}

private:
	void reset() noexcept
	{
		for (std::size_t i = 0; mutex_ && i < n_; i++)
			mutex_->unlock(*requests_[i].range);
		mutex_ = nullptr;
	}

	range_mutex *mutex_;
	range_request *requests_;
	std::size_t n_;
};

#ifdef MMRANGE_COROUTINES

/** Resumes a coroutine in the calling thread.   Since: 0.2 */
struct inline_executor {
	void operator()(std::coroutine_handle<> coroutine) const
	{
		coroutine.resume();
	}
};

/**
 * The result of range_mutex::lock_async(), for co_await. It lives in the coroutine's frame.
 *
 * The callback may come before the coroutine is suspended, and in another thread. Therefore the
 * callback and await_suspend() exchange the state, and the second of them lets the coroutine go on:
 * await_suspend() by not suspending it, so that the stack does not grow; the callback by the
 * executor. The first does not touch the object after its exchange.   Since: 0.2
 */
template <class Executor> class [[nodiscard]] range_async_lock
{
public:
	range_async_lock(range_mutex &mutex, range_hold &hold, std::uint64_t start,
			 std::uint64_t end, range_mode mode, Executor executor)
	    : mutex_(mutex), hold_(hold), start_(start), end_(end), mode_(mode),
	      executor_(std::move(executor))
	{
	}

	range_async_lock(const range_async_lock &) = delete;
	range_async_lock &operator=(const range_async_lock &) = delete;

	/* Internal: co_await calls these. */

	bool await_ready() noexcept
	{
		const int error = ::range_lock_async(mutex_.native_handle(), &hold_, start_, end_,
						     mode_, answer, this);

		if (error == EINPROGRESS)
			return false; /* error_ is the callback's, which may have come */
		error_ = error;
		return true;
	}

	bool await_suspend(std::coroutine_handle<> coroutine) noexcept
	{
		coroutine_ = coroutine;
		/* release: publishes coroutine_ to answer(); acquire: pairs with its exchange */
		return state_.exchange(state::suspended, std::memory_order_acq_rel) !=
		       state::answered;
	}

	MMRANGE_CHECK_RESULT range_guard await_resume()
	{
		detail::check(error_);
		return range_guard(mutex_, hold_, std::adopt_lock);
	}

private:
	enum class state { running, suspended, answered };

	/* The callback. */
	static void answer(int error, void *arg) noexcept
	{
		auto *self = static_cast<range_async_lock *>(arg);

		self->error_ = error;
		/* release: publishes error_ to await_suspend(); acquire: pairs with its exchange */
		if (self->state_.exchange(state::answered, std::memory_order_acq_rel) !=
		    state::suspended)
			return;
		/* The executor may end the coroutine, and *self with it. */
		const std::coroutine_handle<> coroutine = self->coroutine_;
		Executor executor(std::move(self->executor_));

		executor(coroutine);
	}

	range_mutex &mutex_;
	range_hold &hold_;
	const std::uint64_t start_;
	const std::uint64_t end_;
	const range_mode mode_;
	Executor executor_;
	int error_ = 0;
	std::coroutine_handle<> coroutine_{};
	std::atomic<state> state_{ state::running };
};

template <class Executor>
range_async_lock<Executor> range_mutex::lock_async(range_hold &hold, std::uint64_t start,
						   std::uint64_t end, range_mode mode,
						   Executor executor)
{
	return range_async_lock<Executor>(*this, hold, start, end, mode, std::move(executor));
}

#endif /* MMRANGE_COROUTINES */

} /* namespace mmrange */

#endif
