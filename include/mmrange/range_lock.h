/* SPDX-License-Identifier: MIT */
/*
 * range_lock - a reader/writer lock over ranges of a 64-bit key space.
 *
 * A struct range_lock covers the keys [0, UINT64_MAX). A struct range_hold is one acquisition of a
 * half-open part of it, for reading or for writing. Two ranges conflict when they overlap and at
 * least one of them is a writer. Conflicting ranges are never held together; all others are held in
 * parallel. Once the lock has adapted to where its users are, an operation on a range that overlaps
 * no other writes no cache line that another thread writes.
 *
 *	static struct range_lock lock = RANGE_LOCK_INITIALIZER;
 *
 *	struct range_hold r;
 *	if (range_lock(&lock, &r, offset, offset + length, RANGE_WRITE) == 0) {
 *		... no other thread reads or writes [offset, offset + length) ...
 *		range_unlock(&lock, &r);
 *	}
 *
 * Differences from a pthread_rwlock_t:
 *  - The unit of exclusion is a range. The full range is [0, UINT64_MAX), and behaves like one
 *    rwlock.
 *  - Every acquisition needs a struct range_hold that stays in place, untouched, until the unlock.
 *  - One thread may hold several ranges. To wait for one while holding another can deadlock. An
 *    order of addresses alone does not prevent it, because the thread may wait for a starving
 *    waiter (below) whose range overlaps the held one. So use range_lock_many(), or range_trylock()
 *    for the second range, or lock one range that spans both. A thread that waits for a range that
 *    conflicts with its own never stops waiting. The checked build (below) finds both.
 *  - The lock treats readers and writers alike. By default a newcomer may pass waiters, but only
 *    for a bounded time (see struct range_lock_attr).
 *
 * Where a thread knows only under the lock which range it needs, as to append n bytes to a file, it
 * locks a guess, looks again, and shrinks its range or tries again:
 *
 *	for (;;) {
 *		uint64_t guess = end_of_file();
 *		... range_lock(&lock, &r, guess, UINT64_MAX, RANGE_WRITE) ...
 *		if ((end = end_of_file()) >= guess)
 *			break;
 *		range_unlock(&lock, &r);
 *	}
 *	... move the end to end + n ...
 *	range_shrink(&lock, &r, end, end + n);
 *
 * Each thread that moves the end must hold the key `end` for writing, and the bytes that it adds or
 * cuts off. examples/append.c explains this, and shows readers.
 *
 * Where readers come again and again, they acquire ranges without a write to shared data: a part
 * of the lock (a leaf) becomes biased towards them. Every other operation in the leaf first revokes
 * the bias, which takes a few microseconds: its thread makes all other threads pass a fence (on
 * Linux by membarrier()), and looks for the readers. A leaf becomes biased again only after readers
 * without a bias have lost as much time. A thread has room for three ranges that it reads in biased
 * leaves, each in one leaf or two; for more ranges it locks the leaves.
 *
 * A process can have several copies of this library, as when two plugins link the static library. A
 * copy does not see the readers of another copy. So a lock belongs to the first copy that uses it,
 * until range_lock_destroy() returns 0 or range_lock_child() returns; range_lock_init() does not
 * count as a use. If a program calls any other function of a second copy with the lock, the call
 * names the files of both copies on stderr, and aborts the process; if another argument is invalid,
 * it may return EINVAL instead. A lock stays with a copy that has been unloaded. Plugins that link
 * the shared library share one copy, and a module that is loaded twice has one.
 *
 * A program may forbid itself system calls. The library asks the system all its questions before
 * main(), or while the program loads it. After that, on Linux, no function opens a file, or makes a
 * system call other than futex(), membarrier(), mmap(), munmap(), clock_gettime() and
 * sched_yield(). With memory hooks it needs neither mmap() nor munmap(), unless more than 1,024
 * threads read in biased leaves. Only messages on stderr, and range_lock_dump(), take other calls.
 * If the program forbids membarrier() while a leaf is biased, the next thread that ends the leaf's
 * bias aborts the process with a message. If the program forbids it before, leaves do not become
 * biased.
 *
 * No thread waits for another thread's progress by spinning without bound. After some microseconds
 * at most it sleeps, so that the other thread can run even if it has a lower priority. No internal
 * lock inherits priorities: a thread of high priority may have to wait for as long as the scheduler
 * does not run a thread of low priority that is at work in the same part of the lock.
 *
 * A race detector that watches the program (ThreadSanitizer, Helgrind or DRD) learns from the
 * library which ranges order which threads: what "Ordering" promises below, and no more. So it
 * reports no race of data that ranges protect, and still each race of data that they do not. Calls
 * take no fast path then. Without a detector, this costs nothing. mmrange_detectors(7) says what a
 * detector cannot learn.
 *
 * Functions that can fail return 0 or a positive errno value and leave errno alone. None of them is
 * safe in a signal handler. After range_lock_close(), those that acquire return ESHUTDOWN.
 *
 * The child of fork() can make locks and use them at once. It can also use each lock that no other
 * thread of the parent ever used; such a lock is as it was in the parent. For every other lock the
 * child first calls range_lock_child(). A thread must not call fork() in a memory hook, a callback,
 * or a function that range_lock_foreach() calls. A child that was made without the handlers of
 * pthread_atfork(), as by _Fork() or vfork(), must not use any lock. Neither may a handler of
 * pthread_atfork() in the child that was registered before the library was loaded, because it runs
 * before the library's handlers.
 *
 * The compiler warns where a caller ignores the result of a function whose failure leaves it
 * without a range that it would go on to use or to unlock (MMRANGE_CHECK_RESULT).
 *
 * No function is a cancellation point, in any build: a pending cancellation stays pending until
 * after the call. The library also disables cancellation while it calls a memory hook (struct
 * range_lock_attr). As for all functions that POSIX does not call async-cancel-safe, a thread that
 * calls one must not have enabled asynchronous cancellation (PTHREAD_CANCEL_ASYNCHRONOUS).
 *
 * A library that was built where there is <sys/sdt.h> has static probes (USDT) at waits, splits,
 * merges and biases: mmrange_probes(7) lists them. The fast paths have none.
 *
 * The checked build (CMake option MMRANGE_CHECKED) additionally stops the process with a message
 * when a thread unlocks a range that is not held or is held in another lock, locks with a struct
 * range_hold that is in use, uses or destroys a destroyed lock, or does in the function of
 * range_lock_foreach() what that must not do.
 *
 * It also finds deadlocks. A thread that waits for a range that it acquired itself gets EDEADLK.
 * Where threads without a deadline wait for each other in a cycle, over any number of range locks
 * that belong to one copy of the library, the thread that came last to wait gets EDEADLK. This
 * happens at once, when a thread or a waiter that becomes starving closes the cycle. Before its
 * call returns, the thread writes the cycle to stderr: which thread holds which range of which
 * lock, and which thread it waits for. The library assumes that the thread that acquired a range
 * will release it. It cannot foresee that another thread releases the range, or calls
 * range_cancel(), and reports a cycle that would have ended. A program that relies on this takes
 * EDEADLK as a request to try again, or does without the checked build. If another thread extends
 * or upgrades a range while the thread that acquired it waits, the library does not find a cycle
 * that this closes.
 *
 * A cycle may lead through requests (range_lock_async()): a thread waits behind a request, and the
 * request waits for a range of that thread. A thread of the cycle then gets EDEADLK; a request
 * never does. A range that range_lock_async() or range_lock_many_async() acquired, at once or
 * later, may be released by any thread. No thread counts as its owner, so a wait for it closes no
 * cycle. A search has room for 256 requests that span several parts of the lock or have several
 * ranges, and for a chain of 16 requests in one part by readers and writers in turns. Beyond that
 * it may miss a cycle.
 *
 * A program may tell the library about its mutexes (range_lock_mutex_wait()). The checked build
 * then finds cycles over ranges and mutexes, and cycles over mutexes alone.
 *
 * In the checked build, each acquisition locks a mutex twice more, and each release once more. An
 * acquisition that waits without a deadline locks one four times, and once more for each search for
 * a cycle. The library writes each message by one write(2), without stdio, and aborts the process
 * after it, unless it reports a deadlock. fork() takes O(ranges in use) longer.
 */
#ifndef MMRANGE_RANGE_LOCK_H
#define MMRANGE_RANGE_LOCK_H

#include <mmrange/version.h>

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
/* g++ -Wshadow warns of functions with the names of structures, such as stat(). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#define MMRANGE_ALIGN alignas(8)
#else
#define MMRANGE_ALIGN _Alignas(8)
#endif

/** How a range is held: RANGE_READ excludes writers, RANGE_WRITE excludes all others. */
enum range_mode { RANGE_READ, RANGE_WRITE };

/** Which of several conflicting ranges goes first. */
enum range_fairness {
	/**
	 * A newcomer may pass waiters, which keeps throughput up when there are more threads than
	 * cores. Each starvation_ns, the range that has waited longest in a leaf becomes starving,
	 * and no conflicting newcomer passes it any more.
	 */
	RANGE_FAIRNESS_BARGING,
	/** Conflicting ranges are granted in the order of their arrival. */
	RANGE_FAIRNESS_FIFO
};

/** Whether a lock serves readers by the fences of its head comment. */
enum range_bias {
	/** Where readers come again and again, their part of the lock becomes biased. */
	RANGE_BIAS_ADAPTIVE,
	/**
	 * Never. No call on the lock makes all threads pass a fence, which interrupts them; readers
	 * write to the words of their leaves. For programs with real-time threads.
	 */
	RANGE_BIAS_NEVER
};

#define RANGE_LOCK_LEAVES_MAX 65536

/**
 * What range_lock_get_times() reads: the caller's storage, zeroed by the caller before
 * range_lock_init(). The content is opaque. Threads with different numbers mostly count in
 * different cache lines.
 *
 * Several locks may share one, for example all locks of one kind, and then count together.
 *
 * Lifetime: in use until range_lock_destroy() of each lock that counts in it has returned 0. It
 * must be in the process's own memory, as a struct range_hold.
 */
struct range_lock_counters {
	MMRANGE_ALIGN uint64_t opaque[272];
};

/** Attributes for range_lock_init(). Fill them with range_lock_attr_init(), then change fields. */
struct range_lock_attr {
	/**
	 * Default RANGE_FAIRNESS_BARGING. There is no preference for readers: with it, readers that
	 * come again and again would keep a writer waiting without bound, and a program that has
	 * few writers gains nothing, because readers pass a waiting writer here for starvation_ns.
	 */
	enum range_fairness fairness;
	/** Default RANGE_BIAS_ADAPTIVE. */
	enum range_bias bias;
	/**
	 * The greatest number of leaves (independent parts) into which the lock may split itself;
	 * default 1024, 1 to RANGE_LOCK_LEAVES_MAX. More leaves than places that are busy at the
	 * same time are of no use; with fewer, disjoint ranges share a cache line.
	 */
	uint32_t max_leaves;
	/**
	 * With RANGE_FAIRNESS_BARGING, the time in nanoseconds for which newcomers may pass a
	 * waiter before it becomes starving, at the next release in its leaf; and the shortest time
	 * between two waiters of one leaf that become starving; default 500000. A waiter with n
	 * others before it in its leaves waits at most about (n + 2) times the greater of this and
	 * the time for which conflicting ranges are held.
	 */
	uint64_t starvation_ns;
	/**
	 * Memory for leaves. alloc returns size bytes aligned to align (a power of two, at most
	 * 4096), or NULL: the lock then stays coarser, and works. free gets the memory that alloc
	 * returned, with the same size. Default: mmap() and munmap(), so that the lock can be used
	 * inside malloc().
	 *
	 * range_lock(), range_lock_many() and the forms of them that try or have a deadline call
	 * alloc, twice at most for each range that they acquire, when the lock splits a leaf. So do
	 * their asynchronous forms if they return 0. range_lock_destroy() and range_lock_child()
	 * call free. No other function calls a hook.
	 *
	 * While alloc runs, the calling thread already holds the range, and an internal mutex of
	 * the lock. Other threads that acquire or release ranges that lie in one leaf go on. Calls
	 * on the lock that need the mutex wait until alloc has returned, also range_trylock(). So a
	 * hook must not call a function on its lock, nor wait for a thread that calls one, nor for
	 * anything that a thread holds while it calls one. It may use other locks, if their hooks
	 * and holders do not wait for this lock. It must return: it must not leave by longjmp() or
	 * an exception, and must not end its thread.
	 */
	void *(*alloc)(size_t size, size_t align, void *arg);
	void (*free)(void *memory, size_t size, void *arg);
	void *arg;
	/**
	 * Where the lock counts how often and how long acquisitions wait, see
	 * range_lock_get_times(); default NULL: it counts neither. Only an acquisition that the
	 * fast path does not serve costs more with counters: some nanoseconds, and if it waits, two
	 * looks at the clock.
	 */
	struct range_lock_counters *counters;
};

/**
 * The lock: the caller's storage, at most 256 bytes, in any memory of the process. All bytes zero
 * is a lock with the default attributes, in which no range is held.
 *
 * Lifetime: from RANGE_LOCK_INITIALIZER or range_lock_init() until range_lock_destroy() has
 * returned 0; the caller must not move or copy it meanwhile.
 */
struct range_lock {
	MMRANGE_ALIGN uint64_t opaque[32];
};

/**
 * A lock with the default attributes but RANGE_FAIRNESS_FIFO; it needs no range_lock_init().
 */
#define RANGE_LOCK_INITIALIZER_FIFO                                                                \
	{                                                                                          \
		{                                                                                  \
			0, 0, 1                                                                    \
		}                                                                                  \
	}

/** A lock with the default attributes; it needs no range_lock_init(). All bytes are zero. */
#define RANGE_LOCK_INITIALIZER                                                                     \
	{                                                                                          \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

/**
 * One acquisition: the caller's storage, at most 192 bytes, none of which the caller has to
 * initialise.
 *
 * Only the thread that holds the range may read start, end and mode. The library writes them; all
 * other fields are opaque.
 *
 * Lifetime: in use from the call that acquires it (range_lock() and its kin, range_lock_many(), or
 * range_split() for the upper part) until that call has failed or range_unlock() has returned.
 * Meanwhile the caller must not move, copy or free it, and no two threads may call functions on it
 * at the same time, except for range_cancel(). It may be on the stack. It must be in the process's
 * own memory, which a child of fork() has as it was: not shared, nor under MADV_DONTFORK or
 * MADV_WIPEONFORK.
 */
struct range_hold {
	MMRANGE_ALIGN uint64_t start;
	uint64_t end;
	enum range_mode mode;
	uint32_t opaque_flags;
	uint64_t opaque[21];
};

/**
 * Fills attributes with the defaults.
 *
 * Since: 0.1
 */
MMRANGE_API void range_lock_attr_init(struct range_lock_attr *attr);

/**
 * Makes a lock of the caller's storage, with no range held.
 *
 * @param attr  NULL for the defaults; the caller may free it after the call
 * @return 0; EINVAL an attribute is out of its bounds, or only one of alloc and free is given:
 *         *lock is unchanged
 *
 * Safety:    the lock must not be in use.
 * Cost:      allocates nothing.   Since: 0.1
 */
MMRANGE_API int range_lock_init(struct range_lock *lock, const struct range_lock_attr *attr);

/**
 * Ends the life of a lock and gives back the memory it allocated.
 *
 * @return 0; EBUSY a range is held or waits, or the callback of a request is still to come: the
 *         lock is unchanged and usable
 *
 * Requires:  no other thread calls a function on the lock at the same time. But a thread whose last
 *            range_unlock() made this thread's acquisition possible, or whose range_cancel() ended
 *            it, may still be returning from that call.
 * Cost:      O(leaves).   Since: 0.1
 */
MMRANGE_API int range_lock_destroy(struct range_lock *lock);

/**
 * Acquires [start, end), waiting for as long as conflicting ranges are held.
 *
 * @param range      caller's storage, not in use
 * @param start,end  half-open, in the caller's unit; start < end; the full range is [0, UINT64_MAX)
 * @return 0; EINVAL empty or inverted range, or a bad mode: nothing is held; ECANCELED
 *         range_cancel() ended the wait: nothing is held; checked build only: EDEADLK the calling
 *         thread acquired a range that conflicts and still is held, or the wait would not end
 *         because threads wait for each other: nothing is held
 *
 * Ensures:   until range_unlock(), no conflicting range is held.
 * Ordering:  acquire; pairs with the release in range_unlock() of every range that overlaps and
 *            conflicts.
 * Progress:  blocking. A request never waits for ranges that do not conflict, nor behind waiters
 *            that do not. Bounded bypass: see struct range_lock_attr.
 * Safety:    any number of threads; not from signal handlers; not a cancellation point.
 * Lifetime:  *range must stay in place until range_unlock() returns.
 * Cost:      needs no memory, and never fails for want of it; may ask for memory to split a leaf
 *            (see alloc in struct range_lock_attr). Uncontended: one compare-and-swap, or for a
 *            reader in a biased leaf, stores to a line of its own; plus O(log leaves) to find the
 *            leaf. A range that spans k leaves changes the words of all of them, twice at most. An
 *            acquisition that ends biases waits for one fence, however many they are. Otherwise
 *            O(log n) in the ranges of each end, and O(waiters) of each leaf while one of them is
 *            starving. Where a starving waiter spans leaves, or is one of range_lock_many(),
 *            O(ranges of all such waiters of the lock) for each leaf that it overlaps: with
 *            RANGE_FAIRNESS_FIFO each waiter is starving.   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_lock(struct range_lock *lock, struct range_hold *range,
						uint64_t start, uint64_t end, enum range_mode mode);

/**
 * Acquires [start, end) if that needs no waiting for a range.
 *
 * @return 0; EBUSY a conflicting range is held, or a starving waiter (FIFO: any waiter) waits for
 *         one: nothing is held; EINVAL as range_lock(): nothing is held
 *
 * A reader of two biased leaves, or of several ranges in biased leaves, publishes its ranges, and
 * then looks whether a writer was faster in any of the leaves. Until it has taken its ranges back,
 * other calls find them held: then this call returns EBUSY, a call with a deadline that passes
 * ETIMEDOUT, and range_lock_foreach() reports them.
 *
 * Ordering:  as range_lock() if it returns 0, otherwise none.
 * Progress:  never waits for the holder of a range; may wait for short internal locks, and for a
 *            memory hook that another thread is in.
 * Otherwise as range_lock().   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_trylock(struct range_lock *lock,
						   struct range_hold *range, uint64_t start,
						   uint64_t end, enum range_mode mode);

/**
 * Acquires [start, end), waiting until a deadline at most.
 *
 * @param clock     CLOCK_REALTIME or CLOCK_MONOTONIC
 * @param deadline  absolute time on clock; NULL: no deadline. The call acquires a free range even
 *                  when the deadline has passed.
 * @return 0; ETIMEDOUT the deadline passed: nothing is held; EINVAL as range_lock(), or a bad
 *         clock, or tv_nsec outside [0, 999999999]: nothing is held; ECANCELED and EDEADLK as
 *         range_lock()
 *
 * Otherwise as range_lock().   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int
range_timedlock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		enum range_mode mode, clockid_t clock, const struct timespec *deadline);

/**
 * Ends another thread's wait for a range: its range_lock(), range_timedlock() or range_lock_many()
 * returns ECANCELED.
 *
 * @param range  the range with which the other thread waits. Only the address counts: the function
 *               does not read *range to find it. The range may have gone, or be in use for another
 *               acquisition by now. Then the function ends that acquisition's wait.
 * @return 0: that call returns ECANCELED; ESRCH no call waited with range in this lock all the
 *         while: the call has not come to wait yet, or has come to wait only meanwhile, the range
 *         is held, or the call has returned. A call waits with a range from the moment at which
 *         range_lock_foreach() can report it waiting until it is granted, its deadline has passed,
 *         or the wait is ended; also after a release has woken its thread, and wherever leaves
 *         split and merge
 *
 * Ensures:   of a grant, a deadline and range_cancel(), one decides. The result of this call agrees
 *            with the result of the waiter's call. From the return on, the waiter holds back no
 *            other thread.
 * Ordering:  release if it returns 0; pairs with the acquire of the call that returns ECANCELED.
 * Progress:  never waits for the holder of a range; may wait for short internal locks. Delays other
 *            threads only in the leaf that it examines.
 * Safety:    any number of threads, also from the function of range_lock_foreach(); not from signal
 *            handlers. Any range of a range_lock_many() ends its wait.
 * Lifetime:  *range may go as soon as the waiter's call has returned, the lock as well.
 * Cost:      allocates nothing; O(leaves + waiters), and locks each leaf for a moment.   Since: 0.1
 */
MMRANGE_API int range_cancel(struct range_lock *lock, struct range_hold *range);

/**
 * Closes a lock, for a shutdown: all waits end, and later acquisitions fail.
 *
 * From the return on, range_lock(), range_lock_many(), range_lock_async() and the other forms of
 * them return ESHUTDOWN, and so do range_tryextend(), and range_upgrade() where it would wait; all
 * leave everything as it was. A call that waited returns ECANCELED, and so does a request's
 * callback come with it; a call that other threads make at the same time may still succeed. Ranges
 * that are held stay held until range_unlock(). All other functions work as before.
 *
 * A closed lock stays closed. After all ranges have been released, range_lock_destroy() ends its
 * life as usual. In the child of fork() the lock is open after range_lock_child().
 *
 * Ordering:  release; pairs with the acquire of each call that returns ECANCELED.
 * Progress:  never waits for the holder of a range; may wait for short internal locks.
 * Safety:    any thread, at any time, more than once; not from signal handlers.
 * Cost:      allocates nothing; O(leaves), and O(log n) for each of the n waiters of a leaf. Calls
 *            on a closed lock do not take the fast path.   Since: 0.2
 */
MMRANGE_API void range_lock_close(struct range_lock *lock);

/**
 * Releases a range.
 *
 * Requires:  *range is held in *lock. Any thread may release it.
 * Ensures:   wakes the waiters that can go on now.
 * Ordering:  release; pairs with the acquire of every later conflicting acquisition.
 * Progress:  never waits for the holder of a range; may wait for short internal locks.
 * Safety:    cannot fail and cannot allocate; not from signal handlers; not a cancellation point.
 * Lifetime:  *range is the caller's again when this returns; the library does not touch it
 *            afterwards.
 * Cost:      uncontended: one compare-and-swap, or stores; otherwise O(log n) in the ranges of the
 *            leaf, plus, if there are waiters in the leaf, O(waiters), and that again for each
 *            waiter that it wakes. All this for each leaf that the range spans.   Since: 0.1
 */
MMRANGE_API void range_unlock(struct range_lock *lock, struct range_hold *range);

/**
 * Makes a writer a reader: the range stays held throughout.
 *
 * Requires:  *range is held in *lock. If it is held for reading already, nothing happens.
 * Ensures:   other readers may acquire parts of it; no writer did in between.
 * Ordering:  release; pairs with the acquire of every later acquisition that overlaps.
 * Progress:  never waits for the holder of a range; may wait for the short internal lock of a leaf.
 * Cost:      cannot fail; allocates nothing. Ends the bias of the leaf; O(log n) in the ranges of
 *            the leaf, and the waiters as range_unlock().   Since: 0.1
 */
MMRANGE_API void range_downgrade(struct range_lock *lock, struct range_hold *range);

/**
 * Makes a reader a writer, if that needs no waiting.
 *
 * @return 0; EBUSY another range that overlaps is held, or a starving reader (FIFO: any reader)
 *         waits for a part of it: *range is held for reading, as before
 *
 * Requires:  *range is held in *lock. If it is held for writing already, the result is 0.
 * Ensures:   if it returns 0, no other writer held a part of the range since it was acquired.
 * Ordering:  acquire if it returns 0, as range_lock().
 * Progress:  never waits for the holder of a range. Two readers of the same keys never succeed if
 *            both try again and again without releasing their ranges.
 * Cost:      revokes the bias of the leaf; O(log n) in the ranges of the leaf; O(waiters) if there
 *            are any.   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_tryupgrade(struct range_lock *lock,
						      struct range_hold *range);

/**
 * Makes a reader a writer, waiting for as long as other readers hold parts of the range.
 *
 * @return 0; EDEADLK another reader, whose range overlaps, waits to become a writer: each would
 * wait for the other's range. Release *range, and acquire it for writing; ECANCELED range_cancel()
 * with *range ended the wait; checked build only: EDEADLK the wait would not end because threads
 * wait for each other. On error *range is held for reading, as before
 *
 * Requires:  *range is held in *lock. If it is held for writing already, the result is 0.
 * Ensures:   if it returns 0, no other writer held a part of the range since it was acquired.
 * Ordering:  acquire if it returns 0, as range_lock().
 * Progress:  blocking. It waits for ranges that are held, and not for waiters, which it passes. No
 *            newcomer passes it. While it waits, *range is held for reading, and
 *            range_lock_foreach() reports it twice: as held, and as starving.
 * Cost:      allocates nothing; revokes the bias of the leaf; otherwise as range_lock() for
 *            writing.   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_upgrade(struct range_lock *lock,
						   struct range_hold *range);

/**
 * Makes a reader a writer, waiting until a deadline at most.
 *
 * @param clock,deadline as for range_timedlock()
 * @return 0; ETIMEDOUT the deadline passed; EINVAL a bad clock, or tv_nsec outside [0, 999999999];
 *         EDEADLK and ECANCELED as range_upgrade(). On error *range is held for reading, as before
 *
 * Otherwise as range_upgrade().   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_timedupgrade(struct range_lock *lock,
							struct range_hold *range, clockid_t clock,
							const struct timespec *deadline);

/**
 * Releases a part of a range, at either end or both.
 *
 * @param start,end  the part that stays held: not empty, and inside the range
 * @return 0; EINVAL [start, end) is empty, or not within the range: nothing has changed
 *
 * Requires:  *range is held in *lock.
 * Ensures:   [start, end) stays held throughout; the call wakes waiters for the rest.
 * Ordering:  release of the part that is released, as range_unlock().
 * Cost:      allocates nothing; revokes the bias of the leaf, and as range_unlock().   Since: 0.1
 */
MMRANGE_API int range_shrink(struct range_lock *lock, struct range_hold *range, uint64_t start,
			     uint64_t end);

/**
 * Extends a range, at either end or both, if that needs no waiting.
 *
 * @param start,end  the new range: contains the old one
 * @return 0; EINVAL [start, end) does not contain the range; EBUSY an added part conflicts with a
 *         range that is held, or for which a starving waiter (FIFO: any waiter) waits. On error
 *         *range is held as before.
 *
 * Requires:  *range is held in *lock.
 * Ordering:  acquire of the part that is added, as range_lock(), if it returns 0.
 * Progress:  never waits for the holder of a range; may wait for short internal locks.
 * Cost:      allocates nothing; as range_trylock() of the added parts for writing.   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int
range_tryextend(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end);

/**
 * Splits a held range in two: [start, point) stays in *range, [point, end) is in *upper.
 *
 * @param point  inside the range: neither its start nor its end, nor beyond
 * @param upper  caller's storage, not in use; held like any other range when this returns 0
 * @return 0; EINVAL point is not inside the range: nothing has changed, *upper is not in use
 *
 * Requires:  *range is held in *lock.
 * Ensures:   no part of the range is released in between; both parts have the mode of the range.
 * Cost:      allocates nothing; revokes the bias of the leaf; O(log n) in the ranges of the
 *            leaf.   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_split(struct range_lock *lock, struct range_hold *range,
						 uint64_t point, struct range_hold *upper);

/**
 * Joins two held ranges, of which the second begins where the first ends: the inverse of
 * range_split(). *lower then holds both, and *upper is the caller's storage again.
 *
 * @return 0; EINVAL *upper does not begin where *lower ends, or has another mode, or another thread
 *         acquired it: nothing has changed
 *
 * Requires:  *lower and *upper are held in *lock.
 * Ensures:   no part of the ranges is released in between.
 * Cost:      as range_split().   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_join(struct range_lock *lock, struct range_hold *lower,
						struct range_hold *upper);

/** One of several ranges that range_lock_many() acquires together. */
struct range_request {
	struct range_hold *range; /* caller's storage, not in use, different for each request */
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
};

/**
 * Acquires several ranges, all or none of them, as one acquisition.
 *
 * @param requests  at least one; no two may overlap; the call sorts them by start, also if it
 *                  fails, and they must stay in place until it returns
 * @param n         the number of requests
 * @return 0: all are held, each to be released by range_unlock() on its own; EINVAL n is 0, a range
 *         is empty or inverted, a mode is bad, or two overlap: nothing is held; ECANCELED
 *         range_cancel() of one of them ended the wait: nothing is held; EDEADLK as range_lock():
 *         nothing is held
 *
 * Ensures:   while it waits, the call holds nothing. It waits only for ranges that conflict with
 *            one of its own: ranges between its own do not matter. Calls that acquire several
 *            ranges each do not wait for each other in a cycle, in whatever order they name them.
 * Ordering:  acquire, as range_lock() for each.
 * Progress:  blocking; the bounds of range_lock() hold. All ranges are granted in one moment.
 * Cost:      memory as range_lock(). As range_lock() for each range; O(n log n) to sort, O(n) if
 *            the requests are in order already. It locks all leaves of the ranges at once for a
 *            moment. Up to three ranges for reading, each in one biased leaf, lock none.
 *            Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_lock_many(struct range_lock *lock,
						     struct range_request *requests, size_t n);

/**
 * Acquires several ranges, all or none of them, if that needs no waiting for a range.
 *
 * @return 0; EBUSY as range_trylock() for one of them: nothing is held; EINVAL as range_lock_many()
 *
 * Otherwise as range_lock_many() and range_trylock().   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_trylock_many(struct range_lock *lock,
							struct range_request *requests, size_t n);

/**
 * Acquires several ranges, all or none of them, waiting until a deadline at most.
 *
 * @return 0; ETIMEDOUT the deadline passed: nothing is held; EINVAL as range_lock_many(), or a bad
 *         clock, or tv_nsec outside [0, 999999999]: nothing is held; ECANCELED and EDEADLK as
 *         range_lock_many()
 *
 * Otherwise as range_lock_many() and range_timedlock().   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_timedlock_many(struct range_lock *lock,
							  struct range_request *requests, size_t n,
							  clockid_t clock,
							  const struct timespec *deadline);

/**
 * What range_lock_async() and range_lock_many_async() call when a request ends.
 *
 * @param error 0: all its ranges are held; ECANCELED: range_cancel() ended the request, and nothing
 *               is held
 * @param arg    that of the request
 */
typedef void range_callback(int error, void *arg);

/**
 * Acquires [start, end), without making the thread wait: if the range is not free now, the call
 * makes a request, and the lock calls a function when it has granted the request.
 *
 * Requests stand in the same queue as threads that wait, and the lock grants both in the same order
 * and by the same rules (struct range_lock_attr). range_cancel() ends a request as it ends a wait.
 *
 *	static void granted(int error, void *arg)
 *	{
 *		struct job *job = arg;
 *
 *		job->error = error;
 *		... put the job into the queue of its event loop, and wake that loop ...
 *	}
 *
 *	error = range_lock_async(&lock, &job->range, start, end, RANGE_WRITE, granted, job);
 *	if (error != EINPROGRESS)
 *		granted(error, job);
 *
 * @param range    caller's storage, not in use
 * @param callback called once, if the result is EINPROGRESS; not otherwise. A thread calls it that
 *                 has made way for the request, by releasing a range or by range_cancel(), for
 *                 example; before its own call on the lock returns, and after that call has left
 *                 all internal locks. The callback may come before range_lock_async() returns.
 * @param arg      for the callback
 * @return 0: the range is held; EINPROGRESS: the callback will come; EINVAL as range_lock(), or
 *         callback is NULL: nothing is held; ESHUTDOWN as range_lock(): nothing is held
 *
 * The callback may call every function on every lock: release the range, acquire it again with the
 * same storage, end other requests, or destroy the lock. It must return: it must not leave by
 * longjmp() or an exception, end its thread, or call fork(). It runs with cancellation disabled. A
 * thread calls its callbacks one after the other: what a callback makes way for comes after it has
 * returned, so that a chain of grants does not use more stack than one.
 *
 * A callback had better not wait. It runs within a call of its thread, which may itself be waiting
 * for a range, or have just acquired one, and goes on only after the callback has returned. So a
 * callback must not wait for a range that overlaps that one, nor for anything that another thread
 * does after it gets such a range. Neither range_trylock() nor range_lock_async() waits. Before a
 * callback waits for another range, its thread calls the callbacks that are due.
 *
 * Ordering:  acquire, as range_lock(), in the thread that calls the callback, or in this one if the
 *            call returns 0. Release: what the thread did before the call happens before the
 *            callback.
 * Progress:  never waits for the holder of a range; may wait for short internal locks. Bounded
 *            bypass as for a thread that waits. If another callback runs that does not return, the
 *            callbacks of its thread do not come.
 * Safety:    any number of threads; not from signal handlers. A request does not wait for the
 *            thread that made it: the checked build reports no deadlock if that thread itself holds
 *            the range, or waits for a range that it got by a request. It reports one if a thread
 *            waits behind a request that waits for that thread: the thread gets EDEADLK, and the
 *            request stays (see the head of this file).
 * Lifetime:  *range is in use from the call until the callback comes with ECANCELED, or until
 *            range_unlock(). A request is a range that waits: range_lock_destroy() refuses. The
 *            child of fork() has no requests after range_lock_child(), and their callbacks do not
 *            come.
 * Cost:      a request needs no thread, and no memory but its range_hold. Otherwise as range_lock()
 *            and range_unlock(); with n waiters in a leaf, O(log n) to begin to wait, and for each
 *            waiter that a release looks at.   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_lock_async(struct range_lock *lock,
						      struct range_hold *range, uint64_t start,
						      uint64_t end, enum range_mode mode,
						      range_callback *callback, void *arg);

/**
 * Acquires several ranges, all or none of them, without making the thread wait.
 *
 * @param requests as for range_lock_many(), and in place until the callback is called
 * @return 0: all are held; EINPROGRESS: the callback will come, once; EINVAL as range_lock_many(),
 *         callback is NULL, or n is more than UINT32_MAX: nothing is held
 *
 * Ensures:   as range_lock_many(). range_cancel() of any of the ranges ends the request.
 * Otherwise as range_lock_async() and range_lock_many().   Since: 0.2
 */
MMRANGE_API MMRANGE_CHECK_RESULT int range_lock_many_async(struct range_lock *lock,
							   struct range_request *requests, size_t n,
							   range_callback *callback, void *arg);

/** Counters of a lock. */
struct range_lock_stats {
	uint64_t leaves; /* now: 1 + splits - merges */
	uint64_t splits; /* so far */
	uint64_t merges; /* so far, of leaves that were unused, or too fine for the ranges */
	uint64_t waits;  /* acquisitions so far that had to queue */
	uint64_t biases; /* how often a leaf became biased so far */
};

/**
 * Reads the statistics.
 *
 * The counters cover all events before the call, and some of the events during it. leaves, splits
 * and merges belong to one moment. range_cancel() and range_lock_foreach() can find an acquisition
 * that waits counts, if it still waits.
 *
 * Progress:  takes one short internal lock, for a constant time. Locks no leaf and ends no bias.
 * Safety:    any thread, at any time, also from the function of range_lock_foreach(); not from
 *            signal handlers.
 * Cost:      allocates nothing; O(the most leaves so far), and reads lines that the users of the
 *            lock write: not for hot paths.   Since: 0.1
 */
MMRANGE_API void range_lock_stats(struct range_lock *lock, struct range_lock_stats *stats);

/** What acquisitions for one mode have counted. */
struct range_mode_times {
	uint64_t holds;      /* that the slow path granted, with or without a wait */
	uint64_t waits;      /* that have ended: granted, canceled, timed out, or EDEADLK */
	uint64_t total_ns;   /* the sum of all these waits */
	uint64_t longest_ns; /* the longest of them; 0: there was none */
};

/** What the acquisitions of a lock have counted. */
struct range_lock_times {
	struct range_mode_times mode[2]; /* RANGE_READ, RANGE_WRITE */
};

/**
 * Reads how often acquisitions came by the slow path, and how often and for how long they waited:
 * whether a program that is slow waits for this lock.
 *
 * A wait begins when the acquisition enters the queue, as for waits in struct range_lock_stats, and
 * ends when it holds or fails. The counters have no wait that has not ended yet; range_lock_dump()
 * shows those. The fast path, which serves an acquisition that meets no other one, counts nothing.
 * An acquisition of several ranges counts as one, as one for writing if one of its ranges is.
 *
 * @return 0; EINVAL the lock has no counters (struct range_lock_attr): *times is unchanged
 *
 * The counts cover all acquisitions that returned before the call, and some of those that return
 * during it. If total_ns exceeds UINT64_MAX, it begins again at 0. range_lock_child() leaves the
 * counts as they are.
 *
 * Progress:  wait-free. Locks nothing and ends no bias.
 * Safety:    any thread, at any time, also from the function of range_lock_foreach(); not from
 *            signal handlers.
 * Cost:      allocates nothing; O(1), reads some lines that waiting threads write.   Since: 0.2
 */
MMRANGE_API int range_lock_get_times(struct range_lock *lock, struct range_lock_times *times);

/** The state of a range. */
enum range_state {
	RANGE_STATE_HELD,
	RANGE_STATE_WAITING,
	/** Waiting, and no conflicting newcomer passes it any more; FIFO: every waiter. */
	RANGE_STATE_STARVING
};

/** A range that range_lock_foreach() reports. */
struct range_info {
	/**
	 * The range: an address to compare, or for range_cancel(). The range may have been
	 * released, and its storage reused, by now.
	 */
	struct range_hold *range;
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	enum range_state state;
	/**
	 * The thread that acquired the range, or waits for it: on Linux the number that gettid()
	 * returned there, and that debuggers and /proc show; elsewhere a number that is unique to
	 * the thread. A range that was held at the time of fork() keeps the number of the parent's
	 * thread in the child.
	 */
	uint32_t thread;
};

/**
 * Whether the calling thread holds [start, end), for assertions:
 *
 *	assert(range_is_held(&lock, offset, offset + length, RANGE_WRITE));
 *
 * Several ranges may hold it together. A range belongs to the thread that acquired it, or that
 * asked for it by range_lock_async(), whichever thread uses it now.
 *
 * @param mode RANGE_READ: held for reading or for writing; RANGE_WRITE: held for writing
 * @return 1: each key of [start, end) is held by the thread, at least in that mode; 0: not, or the
 *         range is empty or inverted, or the mode bad
 *
 * The answer is a snapshot, as other threads may release or change the thread's ranges.
 *
 * Progress:  never waits for the holder of a range; may wait for short internal locks. Ends no
 *            bias.
 * Safety:    any thread; not from signal handlers.
 * Cost:      allocates nothing; O(the ranges that overlap), and O(leaves) if a range covers leaves
 *            there.   Since: 0.2
 */
MMRANGE_API int range_is_held(struct range_lock *lock, uint64_t start, uint64_t end,
			      enum range_mode mode);

/**
 * Finds a range that is held and conflicts with [start, end), as F_GETLK of fcntl() does.
 *
 * @param info  filled with the conflicting range that begins first; unchanged on error
 * @return 0; ESRCH no conflicting range is held; EINVAL as range_lock()
 *
 * The answer is a snapshot: by the time it is there, the range may have been released, and others
 * may have been acquired. Leaves are examined one after the other. The calling thread's own ranges
 * conflict like all others.
 *
 * Progress:  never waits for the holder of a range; may wait for short internal locks.
 * Safety:    any thread; not from signal handlers.
 * Cost:      allocates nothing; O(the ranges that overlap and do not conflict), and O(leaves) if a
 *            range covers leaves there. For RANGE_WRITE, revokes the bias of the leaves that it
 *            examines. For messages, not for hot paths.   Since: 0.2
 */
MMRANGE_API int range_lock_conflict(struct range_lock *lock, uint64_t start, uint64_t end,
				    enum range_mode mode, struct range_info *info);

/**
 * Calls a function for every range that is held or waits.
 *
 * The call goes through the lock in parts (its leaves), in the order of their keys. In each part,
 * it reports first the ranges that are held, by start, then the ranges that wait, in the order of
 * their arrival; ranges with the same start, or the same time of arrival, by address. It copies up
 * to 64 ranges of a part at a time, and calls fn for each of them with nothing locked. So fn learns
 * what was true a moment ago; for a part with up to 64 ranges, what was true at one moment.
 *
 * Meanwhile ranges come and go. A range that is held from the beginning of the call to its end is
 * reported exactly once, and so is a range that waits from the beginning to the end. From the
 * moment at which a range begins to wait, or is granted at once, until it is released, it is
 * reported once at most; a range that waits in range_upgrade(), once as held and once as starving.
 * A wait that begins during the call is not reported, and a range that is granted, or made by
 * range_split(), during the call may be left out. If range_shrink() or range_tryextend() moves the
 * start of a range during the call, or range_join() ends it, these promises do not hold for that
 * range.
 *
 * The call ends although other threads come again and again. Of a part it reports no more waiters
 * than waited when the call began, and no held range that starts beyond the last one that was held
 * there when the call came to the part. If a part has more than 64 held ranges, the call also
 * reports ranges that are granted meanwhile below that start, and behind the last one reported.
 *
 * To end all waits, for a shutdown, let fn call range_cancel() for each range that is not held. The
 * call does not find a thread that has not come to wait yet. So the program must first tell the
 * threads, by a flag for example, to begin no further acquisition, and must repeat the call until
 * it knows that each of them has left its acquisition.
 *
 * @param fn may call any function on any lock, and wait, but must not destroy or initialise this
 *             lock, nor call range_lock_child() on it. It must return: it must not leave by
 *             longjmp() or an exception, switch to another stack, as by swapcontext(), or end its
 *             thread. *info is gone when it returns. A result other than 0 ends the walk.
 * @param arg  for fn
 * @return 0, or the result of fn that ended the walk
 *
 * Progress:  never waits for the holder of a range, unless fn does; may wait for short internal
 *            locks. Delays other threads only in the leaf that it examines, and not while fn runs.
 * Safety:    any thread, at any time; not from signal handlers. fn runs with cancellation disabled:
 *            a pending cancellation stays pending until after the call. The checked build stops the
 *            process if fn ends the life of the lock or the thread, and at the thread's next call
 *            of a function on any lock if fn was left by longjmp().
 * Cost:      allocates nothing; about 4 KiB of stack; revokes every bias. O(leaves + ranges), and
 *            fn; in a part that has more than 64 ranges, for each 64 of its n waiters O(n). For
 *            debugging and supervision, not for hot paths.   Since: 0.1
 */
MMRANGE_API int range_lock_foreach(struct range_lock *lock,
				   int (*fn)(const struct range_info *info, void *arg), void *arg);

/**
 * Prints one line for every range that is held or waits, in the manner of /proc/locks:
 *
 *	1: HELD WRITE 4242 0 4096
 *	2: HELD READ 4243 8192 EOF
 *	3: -> WAITING WRITE 4244 0 EOF
 *
 * The fields are: the number of the line; "->" if the range waits; HELD, WAITING or STARVING (enum
 * range_state); READ or WRITE; the thread; start; and end, which is EOF if it is UINT64_MAX. As the
 * intervals of all functions here, and unlike those of /proc/locks, the interval does not contain
 * its end. The lines come in the order in which range_lock_foreach() reports the ranges.
 *
 * The lines are a snapshot, and out of date when the caller reads them: see range_lock_foreach()
 * for what it contains.
 *
 * @return 0; otherwise the errno value of the stream, which may have some of the lines. The
 *         function does not flush the stream.
 *
 * Safety:    as range_lock_foreach(). Not a cancellation point, although it prints. Makes the
 *            system calls of the stream.
 * Cost:      as range_lock_foreach(), and what the stream takes. No lock of the library is held
 *            meanwhile.   Since: 0.2
 */
MMRANGE_API int range_lock_dump(struct range_lock *lock, FILE *stream);

/**
 * In the child of fork(): makes the lock as it was when it was new, whatever the threads of the
 * parent were doing with it. No range is held, no thread waits, the attributes are the same.
 *
 * The child does not hold the ranges that the parent's threads held, not even those of the thread
 * that called fork(): such a range is the child's storage again, and the child must not unlock it.
 * Of the data that ranges protect, the child has the contents of memory at the moment of fork(),
 * which may be half written. If it needs them whole, acquire the full range before fork(), and
 * release it in the parent afterwards.
 *
 * The child also calls this, for each lock that another thread of the parent may have used, before
 * it reuses the lock's memory, or the memory of a range that the thread that called fork() held in
 * it, also for another lock or range.
 *
 * A child of a process that had only one thread may leave this out, and then has its copy of
 * all held ranges. Any child may leave it out that uses no lock before it executes another program.
 *
 * Requires:  called by the thread that fork() returned in, before it starts another thread and
 *            before it calls another function on the lock; for each lock that it is going to use
 *            and that another thread of the parent may have used. At the time of fork() no thread
 *            was in range_lock_init() or range_lock_destroy() of it, and the calling thread in no
 *            function of the lock, not even in its memory hooks. The function calls the hook free
 *            in the child, for the memory that alloc returned in the parent. The hook must work
 *            there, as the default does.
 * Ensures:   the memory of leaves is given back. A block that another thread was just getting from
 *            alloc at the time of fork() is not: the child loses it.
 * Cost:      cannot fail; allocates nothing; O(leaves); in the checked build also O(ranges in use
 *            in the process).   Since: 0.1
 */
MMRANGE_API void range_lock_child(struct range_lock *lock);

/**
 * Tells the library that the calling thread is about to block on a mutex of the program, so that
 * the checked build finds deadlocks over ranges and mutexes. Other builds do nothing.
 *
 * The program calls this before it blocks, range_lock_mutex_locked() as soon as it has the mutex,
 * and range_lock_mutex_unlocked() before it unlocks the mutex:
 *
 *	if (pthread_mutex_trylock(&mutex)) {
 *		if (range_lock_mutex_wait(&mutex))
 *			... release what others wait for, and try again ...
 *		pthread_mutex_lock(&mutex);
 *	}
 *	range_lock_mutex_locked(&mutex);
 *	...
 *	range_lock_mutex_unlocked(&mutex);
 *	pthread_mutex_unlock(&mutex);
 *
 * (Annotations for thread sanitizers are placed in the same way: __tsan_mutex_pre_lock(),
 * __tsan_mutex_post_lock(), __tsan_mutex_pre_unlock().)
 *
 * A mutex is any object that one thread at a time owns, that blocks others, and that its owner
 * unlocks. A thread that waits with a deadline must not call this function. Neither must a thread
 * that waits for a mutex that lets in several owners, as a read-write lock does. Around a wait on a
 * condition variable, the program calls range_lock_mutex_unlocked() before it, and
 * range_lock_mutex_locked() after it.
 *
 * @param mutex  an address to compare, not read; any that the program uses for this mutex alone
 * @return 0; checked build only: EDEADLK the wait would not end, because threads that wait without
 *         a deadline, for mutexes or ranges, wait for each other: the library has written the cycle
 *         to stderr, and forgotten the wait. Blocking on the mutex all the same is a deadlock.
 *
 * Requires:  from the return with 0 until range_lock_mutex_locked(), or range_lock_mutex_unlocked()
 *            if the program does not get the mutex, the thread calls no other function of the
 *            library. A thread that owns a recursive mutex does not call this function for it
 *            again, as above.
 * Ensures:   if a later wait completes a cycle, that wait finds it: range_lock(), range_timedlock()
 *            without a deadline, range_lock_many() or this function returns EDEADLK. Where a waiter
 *            for a range closes a cycle by becoming starving, the youngest wait for a range ends.
 * Progress:  never waits for the owner of a mutex or the holder of a range. May wait for short
 *            internal locks; in the checked build at most about 0.1 s for parts of a lock that are
 *            changing. After that time it may miss a cycle.
 * Safety:    any thread; not from signal handlers; not a cancellation point. After fork() the child
 *            knows the mutexes that its thread owns, and no others.
 * Lifetime:  the mutex may be destroyed, and its memory reused, when no thread owns it or waits for
 *            it.
 * Cost:      allocates nothing. The library has room for some thousand mutexes that are locked, and
 *            some hundred threads that wait for one. Beyond that it forgets some, and may miss
 *            cycles, but never reports a cycle that does not exist. O(1) if the thread holds no
 *            range and owns no mutex; otherwise O(waits and ranges that it reaches).   Since: 0.2
 */
MMRANGE_API int range_lock_mutex_wait(const void *mutex);

/**
 * Tells the library that the calling thread now owns a mutex, whether it called
 * range_lock_mutex_wait() or did not have to wait. Other builds than the checked one do nothing.
 *
 * A thread that locks a recursive mutex again calls this function again; the mutex is the thread's
 * until it has called range_lock_mutex_unlocked() as often.
 *
 * Progress:  never waits for the owner of a mutex or the holder of a range.
 * Safety:    as range_lock_mutex_wait().
 * Cost:      cannot fail; allocates nothing; O(1), under an internal mutex.   Since: 0.2
 */
MMRANGE_API void range_lock_mutex_locked(const void *mutex);

/**
 * Tells the library that the calling thread is about to unlock a mutex, or has given up its wait
 * for it. Other builds than the checked one do nothing.
 *
 * If another thread owns the mutex, or no thread does, only a wait of the calling thread ends. If a
 * thread unlocks a mutex without this call, the library takes it for the owner until another thread
 * calls range_lock_mutex_locked(), and may report a cycle that does not exist.
 *
 * Otherwise as range_lock_mutex_locked().   Since: 0.2
 */
MMRANGE_API void range_lock_mutex_unlocked(const void *mutex);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif
