/* SPDX-License-Identifier: MIT */
/* Cycles over ranges and over mutexes of the program, of which it informs the library. */
#include "actors.h"
#include "child.h"
#include "forks.h"

#include "range_lock/deadlock.h"
#include "range_lock/deadlock_register.h"
#include "range_lock/leaf.h"
#include "range_lock/mutex_owner.h"

#include <errno.h>
#include <string.h>

enum { THINGS = 4, FILL = 65536 };

static pthread_mutex_t mutexes[THINGS];

static void *be_canceled(void *arg)
{
	pthread_cancel(pthread_self());
	errno = 4711;
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), 0);
	range_lock_mutex_locked(&mutexes[0]);
	if (checked_build)
		CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), EDEADLK);
	range_lock_mutex_unlocked(&mutexes[0]);
	CHECK_EQ(errno, 4711);
	*(bool *)arg = true;
	pthread_testcancel();
	return NULL;
}

static void run_canceled(void)
{
	bool returned = false;
	void *result;

	CHECK_EQ(pthread_join(thread_start(be_canceled, &returned), &result), 0);
	CHECK(returned && result == PTHREAD_CANCELED);
}

TEST(deadlock_mutex, no_function_is_a_cancellation_point_or_changes_errno)
{
	char errors[8192];

	CHECK_EQ(run_in_child(run_canceled, errors, sizeof errors), 0);
	CHECK_EQ(strstr(errors, "libmmrange: deadlock") != NULL, checked_build);
}

#ifndef MMRANGE_CHECKED

static void wait_for_itself(void)
{
	range_lock_mutex_locked(&mutexes[0]);
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), 0);
	range_lock_mutex_unlocked(&mutexes[0]);
}

TEST(deadlock_mutex, unchecked_builds_do_nothing)
{
	char errors[8192];

	CHECK_EQ(run_in_child(wait_for_itself, errors, sizeof errors), 0);
	CHECK_EQ(errors[0], '\0');
}

#else

static struct range_lock lock;
static struct range_hold held;

/* An object that threads hold and wait for: a mutex, or the key i. */
struct thing {
	bool is_mutex;
	unsigned int i;
};

static const struct thing keys[THINGS] = { { false, 0 }, { false, 1 }, { false, 2 }, { false, 3 } };
static const struct thing locks[THINGS] = { { true, 0 }, { true, 1 }, { true, 2 }, { true, 3 } };

static int lock_mutex(pthread_mutex_t *mutex)
{
	if (pthread_mutex_trylock(mutex)) {
		int error = range_lock_mutex_wait(mutex);

		if (error)
			return error;
		CHECK_EQ(pthread_mutex_lock(mutex), 0);
	}
	range_lock_mutex_locked(mutex);
	return 0;
}

static void unlock_mutex(pthread_mutex_t *mutex)
{
	range_lock_mutex_unlocked(mutex);
	CHECK_EQ(pthread_mutex_unlock(mutex), 0);
}

static int acquire(struct thing thing, struct range_hold *range)
{
	if (thing.is_mutex)
		return lock_mutex(&mutexes[thing.i]);
	return range_lock(&lock, range, thing.i, thing.i + 1, RANGE_WRITE);
}

static void release(struct thing thing, struct range_hold *range)
{
	if (thing.is_mutex)
		unlock_mutex(&mutexes[thing.i]);
	else
		range_unlock(&lock, range);
}

static void init_things(void)
{
	pthread_mutexattr_t attr;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 8);
	CHECK_EQ(pthread_mutexattr_init(&attr), 0);
	CHECK_EQ(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE), 0);
	for (int i = 0; i < THINGS; i++)
		CHECK_EQ(pthread_mutex_init(&mutexes[i], &attr), 0);
	pthread_mutexattr_destroy(&attr);
}

static void end_things(void)
{
	for (int i = 0; i < THINGS; i++) {
		CHECK_EQ(range__mutex_owner(&mutexes[i]), 0);
		CHECK_EQ(pthread_mutex_destroy(&mutexes[i]), 0);
	}
	check_quiet_and_destroy(&lock);
}

/* A thread that holds one thing, calls prepare, and waits for another one on request. */
struct party {
	struct thing first, second;
	void (*prepare)(void);
	pthread_t thread;
	uint64_t self;
	sem_t go, release;
	atomic_bool ready, through;
	int result;
};

static void *act(void *arg)
{
	struct party *p = arg;
	struct range_hold first, second;

	CHECK_EQ(acquire(p->first, &first), 0);
	if (p->prepare)
		p->prepare();
	p->self = mmrange__self();
	atomic_store(&p->ready, true);
	sem_await(&p->go);
	p->result = acquire(p->second, &second);
	atomic_store(&p->through, true);
	if (!p->result)
		release(p->second, &second);
	sem_await(&p->release);
	release(p->first, &first);
	return NULL;
}

static void party_start(struct party *p, struct thing first, void (*prepare)(void))
{
	memset(p, 0, sizeof *p);
	p->first = first;
	p->prepare = prepare;
	CHECK_EQ(sem_init(&p->go, 0, 0), 0);
	CHECK_EQ(sem_init(&p->release, 0, 0), 0);
	p->thread = thread_start(act, p);
	AWAIT(atomic_load(&p->ready));
}

static bool waits(const struct party *p)
{
	bool is_known;

	range__deadlock_lock();
	is_known = range__deadlock_wait_of(p->self) != NULL;
	range__deadlock_unlock();
	return is_known;
}

/* Returns when the thread waits (false) or is done (true). */
static bool party_go_on(struct party *p, struct thing second)
{
	p->second = second;
	sem_post(&p->go);
	AWAIT(waits(p) || atomic_load(&p->through));
	return atomic_load(&p->through);
}

static int party_finish(struct party *p)
{
	sem_post(&p->release);
	thread_join(p->thread);
	sem_destroy(&p->go);
	sem_destroy(&p->release);
	return p->result;
}

/* Thread i holds thing i of n and waits for the next one; the last one to wait is refused. */
static void go_round(unsigned int n, unsigned int are_mutexes, unsigned int last)
{
	struct party parties[THINGS];
	struct thing things[THINGS];

	init_things();
	for (unsigned int i = 0; i < n; i++) {
		things[i] = (struct thing){ are_mutexes >> i & 1, i };
		party_start(&parties[i], things[i], NULL);
	}
	for (unsigned int k = 1; k <= n; k++) {
		unsigned int i = (last + k) % n;

		party_go_on(&parties[i], things[(i + 1) % n]);
	}
	AWAIT(atomic_load(&parties[last].through));
	CHECK_EQ(parties[last].result, EDEADLK);
	for (unsigned int k = 0; k < n; k++) {
		unsigned int i = (last + n - k) % n;

		CHECK_EQ(party_finish(&parties[i]), i == last ? EDEADLK : 0);
	}
	end_things();
}

static unsigned int nr_rounds, nr_of_mutexes, nr_of_ranges;

static void note_round(unsigned int n, unsigned int are_mutexes)
{
	nr_rounds++;
	for (unsigned int i = 0; i < n; i++)
		(*(are_mutexes >> i & 1 ? &nr_of_mutexes : &nr_of_ranges))++;
}

/* All cycles with a mutex, from every thread. They are too many for a slow program. */
static void each_round(void (*run)(unsigned int n, unsigned int are_mutexes, unsigned int last))
{
	for (unsigned int n = 2; n <= (test_scale(10) > 1 ? 4 : 3); n++)
		for (unsigned int are_mutexes = 1; are_mutexes < 1u << n; are_mutexes++)
			for (unsigned int last = 0; last < n; last++)
				run(n, are_mutexes, last);
}

static void go_all_rounds(void)
{
	each_round(go_round);
}

static void note_all(unsigned int n, unsigned int are_mutexes, unsigned int last)
{
	(void)last;
	note_round(n, are_mutexes);
}

TEST(deadlock_mutex, the_wait_that_closes_a_cycle_is_refused_and_the_others_go_on)
{
	static char errors[200000];

	nr_rounds = nr_of_mutexes = nr_of_ranges = 0;
	each_round(note_all);
	if (run_in_child(go_all_rounds, errors, sizeof errors))
		test_fail(__FILE__, __LINE__, "%s", errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"), nr_rounds);
	CHECK_EQ(count_in(errors, "held\n"), nr_of_mutexes + nr_of_ranges);
	CHECK_EQ(count_in(errors, "waits for thread"), nr_of_mutexes + nr_of_ranges);
	CHECK_EQ(count_in(errors, ", mutex 0x"), 2 * nr_of_mutexes);
	CHECK_EQ(count_in(errors, ", range_lock 0x"), 2 * nr_of_ranges);
}

static void wait_for_own(void)
{
	init_things();
	CHECK_EQ(lock_mutex(&mutexes[0]), 0);
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), EDEADLK);
	CHECK(!range__deadlock_wait_of(mmrange__self()));
	CHECK_EQ(range_lock_mutex_wait(&mutexes[1]), 0);
	range_lock_mutex_unlocked(&mutexes[1]);
	unlock_mutex(&mutexes[0]);
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), 0);
	range_lock_mutex_unlocked(&mutexes[0]);
	end_things();
}

TEST(deadlock_mutex, a_thread_that_would_wait_for_itself_is_refused)
{
	char errors[8192];

	CHECK_EQ(run_in_child(wait_for_own, errors, sizeof errors), 0);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"), 1);
	CHECK_EQ(count_in(errors, ", mutex 0x"), 2);
}

/*
 * The climber owns a mutex and waits for key 1, behind a waiter for the holder's key 3 that is
 * starving before or becomes it afterwards. The holder waits for the mutex.
 */
static void climb(bool starving_first)
{
	struct party climber, holder;
	struct actor starving;

	init_things();
	set_starvation(&lock, 1);
	party_start(&climber, locks[0], NULL);
	party_start(&holder, keys[3], NULL);
	take(&lock, &held, 1, 2, RANGE_WRITE);
	actor_queue(&starving, &lock, 0, 4, RANGE_WRITE);
	actor_let_go(&starving);
	if (starving_first)
		range_unlock(&lock, &held);
	CHECK(!party_go_on(&climber, keys[1]));
	CHECK_EQ(party_go_on(&holder, locks[0]), starving_first);
	if (!starving_first) {
		range_unlock(&lock, &held);
		AWAIT(atomic_load(&climber.through));
	}
	CHECK_EQ(party_finish(starving_first ? &holder : &climber), EDEADLK);
	CHECK_EQ(party_finish(starving_first ? &climber : &holder), 0);
	CHECK_EQ(actor_finish(&starving), 0);
	end_things();
}

static void climb_both(void)
{
	climb(true);
	climb(false);
}

TEST(deadlock_mutex, a_cycle_over_a_mutex_and_a_starving_waiter_is_found)
{
	char errors[8192];

	if (run_in_child(climb_both, errors, sizeof errors))
		test_fail(__FILE__, __LINE__, "%s", errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"), 2);
	CHECK_EQ(count_in(errors, ", starving\n"), 2);
	CHECK_EQ(count_in(errors, ", mutex 0x"), 4);
}

/*
 * The thread has owned mutex 1, and has informed the library of both calls; or it has not informed
 * the library of the second one.
 */
static void lock_and_unlock(void)
{
	CHECK_EQ(lock_mutex(&mutexes[1]), 0);
	unlock_mutex(&mutexes[1]);
}

static void lock_and_unlock_untold(void)
{
	CHECK_EQ(lock_mutex(&mutexes[1]), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutexes[1]), 0);
}

/*
 * The first owner of mutex 1 waits for a key whose holder waits for the mutex, which the test owns
 * by now.
 */
static void pass_on(void (*lock_and_unlock_somehow)(void), bool tell)
{
	struct party owner, holder;

	init_things();
	party_start(&holder, keys[0], NULL);
	party_start(&owner, locks[2], lock_and_unlock_somehow);
	CHECK_EQ(pthread_mutex_lock(&mutexes[1]), 0);
	if (tell)
		range_lock_mutex_locked(&mutexes[1]);
	CHECK(!party_go_on(&owner, keys[0]));
	CHECK_EQ(party_go_on(&holder, locks[1]), lock_and_unlock_somehow == lock_and_unlock_untold);
	if (tell)
		unlock_mutex(&mutexes[1]);
	else
		CHECK_EQ(pthread_mutex_unlock(&mutexes[1]), 0);
	CHECK_EQ(party_finish(&holder),
		 lock_and_unlock_somehow == lock_and_unlock_untold ? EDEADLK : 0);
	CHECK_EQ(party_finish(&owner), 0);
	if (lock_and_unlock_somehow == lock_and_unlock)
		end_things();
}

static void pass_on_told(void)
{
	pass_on(lock_and_unlock, true);
	pass_on(lock_and_unlock, false);
}

static void pass_on_untold(void)
{
	pass_on(lock_and_unlock_untold, false);
}

static void check_silent(void (*run)(void))
{
	char errors[8192];

	if (run_in_child(run, errors, sizeof errors) || errors[0])
		test_fail(__FILE__, __LINE__, "the child printed: %s", errors);
}

TEST(deadlock_mutex, a_mutex_that_was_released_causes_no_report)
{
	char errors[8192];

	check_silent(pass_on_told);
	/* A program that does not inform the library gets a false report of a cycle. */
	CHECK_EQ(run_in_child(pass_on_untold, errors, sizeof errors), 0);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"), 1);
}

/* The test owns a mutex, for which the holder of key 0 waits, and tries that key. */
static void try_key(void)
{
	struct party holder;
	struct range_hold range;
	struct timespec soon = time_after(CLOCK_MONOTONIC, SECOND / 100);

	init_things();
	party_start(&holder, keys[0], NULL);
	CHECK_EQ(pthread_mutex_trylock(&mutexes[0]), 0);
	range_lock_mutex_locked(&mutexes[0]);
	CHECK(!party_go_on(&holder, locks[0]));
	CHECK_EQ(range_trylock(&lock, &range, 0, 1, RANGE_WRITE), EBUSY);
	CHECK_EQ(range_timedlock(&lock, &range, 0, 1, RANGE_WRITE, CLOCK_MONOTONIC, &soon),
		 ETIMEDOUT);
	unlock_mutex(&mutexes[0]);
	CHECK_EQ(party_finish(&holder), 0);
	end_things();
}

/* The test gives up its wait for the holder's mutex, and still holds the key. */
static void give_up(void)
{
	struct party owner;

	init_things();
	take(&lock, &held, 0, 1, RANGE_WRITE);
	party_start(&owner, locks[0], NULL);
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), 0);
	range_lock_mutex_unlocked(&mutexes[0]);
	CHECK_EQ(range__mutex_owner(&mutexes[0]), owner.self);
	CHECK(!party_go_on(&owner, keys[0]));
	range_unlock(&lock, &held);
	CHECK_EQ(party_finish(&owner), 0);
	end_things();
}

/*
 * The test waits for a mutex and gets it. Its wait is over when another thread waits for its key.
 */
static void get(void)
{
	struct party waiter;

	init_things();
	take(&lock, &held, 0, 1, RANGE_WRITE);
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), 0);
	CHECK_EQ(pthread_mutex_lock(&mutexes[0]), 0);
	range_lock_mutex_locked(&mutexes[0]);
	CHECK(!range__deadlock_wait_of(mmrange__self()));
	unlock_mutex(&mutexes[0]);
	party_start(&waiter, locks[0], NULL);
	CHECK(!party_go_on(&waiter, keys[0]));
	range_unlock(&lock, &held);
	CHECK_EQ(party_finish(&waiter), 0);
	end_things();
}

TEST(deadlock_mutex, waits_that_end_cause_no_report)
{
	check_silent(try_key);
	check_silent(give_up);
	check_silent(get);
}

/* The thread has locked the mutex once more than it has unlocked it. */
static void lock_again(void)
{
	CHECK_EQ(lock_mutex(&mutexes[0]), 0);
	CHECK_EQ(lock_mutex(&mutexes[0]), 0);
	unlock_mutex(&mutexes[0]);
}

static void recurse(void)
{
	static struct party owner, holder; /* in use when the function returns */

	init_things();
	party_start(&owner, locks[0], lock_again);
	party_start(&holder, keys[0], NULL);
	CHECK(!party_go_on(&holder, locks[0]));
	party_go_on(&owner, keys[0]);
	AWAIT(atomic_load(&owner.through));
	CHECK_EQ(owner.result, EDEADLK);
	CHECK_EQ(range__mutex_owner(&mutexes[0]), owner.self);
}

TEST(deadlock_mutex, a_recursive_mutex_is_owned_until_its_last_unlock)
{
	char errors[8192];

	init_things();
	lock_again();
	lock_again();
	CHECK_EQ(range__mutex_owner(&mutexes[0]), mmrange__self());
	unlock_mutex(&mutexes[0]);
	CHECK_EQ(range__mutex_owner(&mutexes[0]), mmrange__self());
	unlock_mutex(&mutexes[0]);
	end_things();
	CHECK_EQ(run_in_child(recurse, errors, sizeof errors), 0);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"), 1);
}

/* Threads that lock three things in any order, or in ascending order, which makes no cycle. */
struct worker {
	bool ascending;
	uint64_t seed;
	pthread_t thread;
};

static void choose(struct worker *w, struct thing things[3])
{
	static const struct thing all[6] = { { false, 0 }, { true, 0 }, { false, 1 },
					     { true, 1 },  { true, 2 }, { false, 2 } };
	uint64_t first = test_random_below(&w->seed, 3);
	uint64_t step = 1 + test_random_below(&w->seed, 2);

	for (unsigned int i = 0; i < 3; i++)
		if (w->ascending)
			things[i] = all[2 * i + test_random_below(&w->seed, 2)];
		else
			things[i] = all[(first + step * i) % 3];
}

/* A thread was refused because of a cycle. */
static atomic_bool found;

static void work_once(struct worker *w)
{
	struct range_hold ranges[3];
	struct thing things[3];
	unsigned int n = 0;
	int error = 0;

	choose(w, things);
	while (n < 3 && !(error = acquire(things[n], &ranges[n])))
		n++;
	CHECK(!error || (error == EDEADLK && !w->ascending));
	if (error)
		atomic_store(&found, true);
	while (n-- > 0)
		release(things[n], &ranges[n]);
}

/* In any order: all threads go on until there was a cycle. */
static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int left = test_scale(2000);

	while (left || !(w->ascending || atomic_load(&found))) {
		work_once(w);
		left -= left > 0;
	}
	return NULL;
}

static uint64_t seed;

static void work_together(bool ascending)
{
	struct worker workers[6];

	init_things();
	for (unsigned int i = 0; i < 6; i++) {
		workers[i] = (struct worker){ .ascending = ascending, .seed = seed + i };
		workers[i].thread = thread_start(work, &workers[i]);
	}
	for (unsigned int i = 0; i < 6; i++)
		thread_join(workers[i].thread);
	end_things();
}

static void work_in_any_order(void)
{
	work_together(false);
}

static void work_in_ascending_order(void)
{
	work_together(true);
}

TEST(deadlock_mutex, threads_that_lock_in_any_order_do_not_hang)
{
	static char errors[8192];

	seed = test_seed("deadlock_mutex");
	if (run_in_child(work_in_any_order, errors, sizeof errors))
		test_fail(__FILE__, __LINE__, "%s", errors);
	CHECK(count_in(errors, "libmmrange: deadlock\n") > 0);
}

TEST(deadlock_mutex, threads_that_lock_in_ascending_order_cause_no_report)
{
	seed = test_seed("deadlock_mutex");
	check_silent(work_in_ascending_order);
}

/*
 * In a child of a process with threads, ThreadSanitizer lets no thread start. AddressSanitizer of
 * GCC 12 may hang there, because its locks stay locked that another thread held.
 */
static bool may_start_threads(void)
{
#ifdef __SANITIZE_ADDRESS__
	return false;
#else
	return !under_thread_sanitizer();
#endif
}

static void be_forked(void *arg)
{
	const struct party *owner = arg;

	/* The thread has another system-wide number here. */
	CHECK(mmrange__same_thread(range__mutex_owner(&mutexes[0]), mmrange__self()));
	CHECK_EQ(range__mutex_owner(&mutexes[1]), 0);
	CHECK(!waits(owner));
	CHECK(range__mutex_owns(mmrange__self()));
	CHECK_EQ(range_lock_mutex_wait(&mutexes[1]), 0);
	CHECK(range__deadlock_wait_of(mmrange__self()));
	range_lock_mutex_locked(&mutexes[1]);
	range_lock_mutex_unlocked(&mutexes[1]);
	CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), EDEADLK);
	range_lock_mutex_unlocked(&mutexes[0]);
	CHECK(!range__mutex_owns(mmrange__self()));
	if (may_start_threads())
		go_round(2, 1, 0);
}

static atomic_bool over;

static void *hammer(void *arg)
{
	while (!atomic_load(&over)) {
		CHECK_EQ(lock_mutex(&mutexes[2]), 0);
		CHECK_EQ(lock_mutex(&mutexes[3]), 0);
		unlock_mutex(&mutexes[3]);
		unlock_mutex(&mutexes[2]);
	}
	return arg;
}

/* The test owns mutex 0; the owner of mutex 1 waits for it; other threads use the register. */
static void fork_often(void)
{
	struct party owner;
	pthread_t threads[3];

	init_things();
	CHECK_EQ(lock_mutex(&mutexes[0]), 0);
	party_start(&owner, locks[1], NULL);
	CHECK(!party_go_on(&owner, locks[0]));
	for (unsigned int i = 0; i < 3; i++)
		threads[i] = thread_start(hammer, NULL);
	for (unsigned int i = 0; i < test_scale(100); i++)
		check_in_child(be_forked, &owner);
	atomic_store(&over, true);
	for (unsigned int i = 0; i < 3; i++)
		thread_join(threads[i]);
	unlock_mutex(&mutexes[0]);
	CHECK_EQ(party_finish(&owner), 0);
	end_things();
}

TEST(deadlock_mutex, the_child_of_fork_knows_only_the_mutexes_that_its_thread_owns)
{
	static char errors[200000];

	if (run_in_child(fork_often, errors, sizeof errors))
		test_fail(__FILE__, __LINE__, "%s", errors);
	CHECK_EQ(count_in(errors, "libmmrange: deadlock\n"),
		 (may_start_threads() ? 2 : 1) * test_scale(100));
}

static char addresses[FILL];

static unsigned int nr_known(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FILL; i++)
		n += range__mutex_owner(&addresses[i]) == mmrange__self();
	return n;
}

/* One thread owns more mutexes than there is room for. */
static void fill_owners(void)
{
	for (unsigned int i = 0; i < FILL; i++)
		range_lock_mutex_locked(&addresses[i]);
	CHECK(nr_known() > FILL / 8 && nr_known() < FILL);
	CHECK(range__mutex_owns(mmrange__self()));
	for (unsigned int i = 0; i < FILL; i++)
		if (!range__mutex_owner(&addresses[i]))
			CHECK_EQ(range_lock_mutex_wait(&addresses[i]), 0);
	for (unsigned int i = 0; i < FILL; i++)
		range_lock_mutex_unlocked(&addresses[i]);
	CHECK_EQ(nr_known(), 0);
	CHECK(!range__mutex_owns(mmrange__self()));
}

static void wait_in_child(void *arg)
{
	CHECK_EQ(range_lock_mutex_wait(arg), 0);
	CHECK(range__deadlock_wait_of(mmrange__self()));
}

/*
 * More threads wait than there is room for, but not in a child. Of each thread, a registered wait
 * ends.
 */
static void fill_waits(void)
{
	uint64_t self = mmrange__self();
	struct party other;
	unsigned int known = 0;

	init_things();
	/* The child of a process with one thread would keep all of them. */
	party_start(&other, locks[0], NULL);
	for (uint64_t i = 1000; i < 5000; i++) {
		mmrange__thread = i << 32 | i;
		CHECK_EQ(range_lock_mutex_wait(&addresses[0]), 0);
		CHECK_EQ(range_lock_mutex_wait(&addresses[1]), 0);
		known += range__deadlock_wait_of(mmrange__thread) != NULL;
	}
	CHECK(known >= 256 && known < 4000);
	mmrange__thread = self;
	CHECK_EQ(range_lock_mutex_wait(&addresses[1]), 0);
	CHECK(!range__deadlock_wait_of(self));
	check_in_child(wait_in_child, &addresses[1]);
	for (uint64_t i = 1000; i < 5000; i++) {
		mmrange__thread = i << 32 | i;
		range_lock_mutex_unlocked(&addresses[1]);
		CHECK(!range__deadlock_wait_of(mmrange__thread));
	}
	mmrange__thread = self;
	party_go_on(&other, locks[1]);
	CHECK_EQ(party_finish(&other), 0);
	end_things();
}

TEST(deadlock_mutex, a_full_register_drops_waits_and_owners)
{
	char errors[8192];

	check_silent(fill_owners);
	check_silent(fill_waits);
	/* And the register does not stay full. */
	CHECK_EQ(run_in_child(wait_for_own, errors, sizeof errors), 0);
}

TEST(deadlock_mutex, a_thread_that_holds_nothing_looks_for_no_cycle)
{
	struct party owner;

	init_things();
	take(&lock, &held, 0, 1, RANGE_WRITE);
	party_start(&owner, locks[0], NULL);
	CHECK(!party_go_on(&owner, keys[0]));
	range_unlock(&lock, &held);
	AWAIT(atomic_load(&owner.through));
	range__deadlock_steps = 0;
	for (unsigned int i = 0; i < 1000; i++)
		CHECK_EQ(range_lock_mutex_wait(&mutexes[0]), 0);
	CHECK_EQ(range__deadlock_steps, 0);
	range_lock_mutex_unlocked(&mutexes[0]);
	CHECK_EQ(party_finish(&owner), 0);
	end_things();
}

#endif
