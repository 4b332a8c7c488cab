/* SPDX-License-Identifier: MIT */
/*
 * Three kinds of code in one address space: code that knows only the coarse lock, code that locks
 * ranges, and code that calls operations and faults without any lock.
 *
 * The window consists of pairs of pages. Both pages of a pair contain the same word, and so does
 * plain data beside the address space. Only a thread that holds the pair for writing changes them:
 * one after the other, or by unmapping and mapping them again. So a holder of the pair sees them
 * equal, operations of other threads always succeed, and a child has them equal, too.
 *
 * In addition, each pair counts the threads inside, with relaxed atomics that order nothing.
 * Threads that lock wrongly on purpose show that the test detects them.
 */
#include "spaces.h"
#include "threads.h"

#define THREADS 6u
#define PAIRS   24u
#define PAGES_2 PAGES(2)
#define WRITER  0x10000u

/* The error that the first thread makes. */
enum flaw {
	FLAW_NONE,
	FLAW_FORGETS,       /* locks nothing */
	FLAW_READS_ONLY,    /* locks for reading the pairs that it changes */
	FLAW_TOO_SHORT,     /* does not lock the last pair */
	FLAW_UNLOCKS_EARLY, /* unlocks before it is done */
	NR_FLAWS
};

struct pair {
	_Alignas(64) atomic_uint inside; /* readers, plus WRITER for each writer */
	uint64_t word;                   /* plain */
};

struct mixed {
	struct mm *mm;
	enum flaw flaw;
	atomic_bool over;
	_Atomic(const char *) violation;
	struct pair pairs[PAIRS];
};

struct worker {
	struct mixed *mixed;
	pthread_t thread;
	uint64_t seed;
	unsigned int rounds;
	enum flaw flaw;
};

/* The lock of a worker: on pairs, or on everything. */
struct lock {
	unsigned int first;
	unsigned int end;
	enum range_mode mode;
	bool coarse;
	struct mm_hold hold;
};

static void expect(struct mixed *mixed, bool right, const char *what)
{
	if (right)
		return;
	atomic_store(&mixed->violation, what);
	atomic_store(&mixed->over, true);
}

static uint64_t addr_of(unsigned int pair)
{
	return BASE + pair * PAGES_2;
}

static struct lock random_lock(struct worker *worker)
{
	struct lock lock = { .first = 0, .end = PAIRS };

	lock.mode = test_random_below(&worker->seed, 2) ? RANGE_WRITE : RANGE_READ;
	lock.coarse = test_random_below(&worker->seed, 8) == 0;
	if (!lock.coarse) {
		lock.first = (unsigned int)test_random_below(&worker->seed, PAIRS - 1);
		lock.end = lock.first + 1 +
			   (unsigned int)test_random_below(&worker->seed, 3) % (PAIRS - lock.first);
	}
	return lock;
}

static void acquire(struct worker *worker, struct lock *lock)
{
	struct mm *mm = worker->mixed->mm;
	enum range_mode mode = worker->flaw == FLAW_READS_ONLY ? RANGE_READ : lock->mode;
	unsigned int end = lock->end - (worker->flaw == FLAW_TOO_SHORT);

	if (worker->flaw == FLAW_FORGETS || (!lock->coarse && lock->first == end))
		return;
	if (!lock->coarse)
		CHECK_EQ(mm_lock_range(mm, &lock->hold, addr_of(lock->first), addr_of(end), mode),
			 0);
	else
		CHECK_EQ(mode == RANGE_READ ? mm_read_lock(mm) : mm_write_lock(mm), 0);
}

static void release(struct worker *worker, struct lock *lock)
{
	struct mm *mm = worker->mixed->mm;
	unsigned int end = lock->end - (worker->flaw == FLAW_TOO_SHORT);

	if (worker->flaw == FLAW_FORGETS || (!lock->coarse && lock->first == end))
		return;
	if (!lock->coarse)
		mm_unlock_range(mm, &lock->hold);
	else if (lock->mode == RANGE_READ || worker->flaw == FLAW_READS_ONLY)
		mm_read_unlock(mm);
	else
		mm_write_unlock(mm);
}

/* relaxed, here and in leave(): must not order the threads */
static void enter(struct mixed *mixed, const struct lock *lock)
{
	unsigned int self = lock->mode == RANGE_WRITE ? WRITER : 1;

	for (unsigned int i = lock->first; i < lock->end; i++) {
		unsigned int before = atomic_fetch_add_explicit(&mixed->pairs[i].inside, self,
								memory_order_relaxed);

		expect(mixed, before < WRITER && (self == 1 || !before),
		       "two threads are inside that exclude each other");
	}
}

static void leave(struct mixed *mixed, const struct lock *lock)
{
	unsigned int self = lock->mode == RANGE_WRITE ? WRITER : 1;

	for (unsigned int i = lock->first; i < lock->end; i++)
		atomic_fetch_sub_explicit(&mixed->pairs[i].inside, self, memory_order_relaxed);
}

/*
 * By a thread that holds the pair
 */

static void check_pair(struct mixed *mixed, unsigned int pair)
{
	uint64_t left = 0, right = 1;

	expect(mixed, !mm_read(mixed->mm, addr_of(pair), &left, sizeof(left), NULL),
	       "a page can be read");
	expect(mixed, !mm_read(mixed->mm, addr_of(pair) + PAGES(1), &right, sizeof(right), NULL),
	       "the other page can be read");
	expect(mixed, left == right, "the pages are equal");
	/* Beside a thread that does not lock, this would be a data race. */
	if (mixed->flaw == FLAW_NONE)
		expect(mixed, left == mixed->pairs[pair].word, "the data beside is equal");
}

static void write_pair(struct worker *worker, unsigned int pair)
{
	struct mixed *mixed = worker->mixed;
	uint64_t word = test_random(&worker->seed), addr = addr_of(pair);

	expect(mixed, !mm_write(mixed->mm, addr, &word, sizeof(word), NULL),
	       "a page can be written");
	if (word % 8 == 0)
		sched_yield();
	expect(mixed, !mm_write(mixed->mm, addr + PAGES(1), &word, sizeof(word), NULL),
	       "the other page can be written");
	if (mixed->flaw == FLAW_NONE)
		mixed->pairs[pair].word = word;
}

/* In several operations. Only the holder may see the states in between. */
static void change_mapping(struct worker *worker, unsigned int pair)
{
	struct mixed *mixed = worker->mixed;
	struct mm *mm = mixed->mm;
	uint64_t addr = addr_of(pair);
	int flags = PRIVATE | MM_MAP_FIXED_NOREPLACE;
	int error;

	switch (test_random_below(&worker->seed, 3)) {
	case 0:
		error = mm_munmap(mm, addr, PAGES_2);
		if (!error)
			error = try_map(mm, addr, PAGES_2, flags);
		break;
	case 1:
		error = mm_mprotect(mm, addr, PAGES_2, NONE);
		if (!error)
			error = mm_mprotect(mm, addr, PAGES_2, RW);
		break;
	default:
		error = mm_madvise(mm, addr, PAGES_2, MM_MADV_DONTNEED);
	}
	expect(mixed, !error, "a thread that holds a pair can change its mapping");
	write_pair(worker, pair);
}

/* An operation that needs the pair for writing would wait for this reader itself. */
static void try_in_vain(struct mixed *mixed, unsigned int pair)
{
	expect(mixed, mm_munmap(mixed->mm, addr_of(pair), PAGES_2) == EDEADLK,
	       "a reader cannot unmap");
}

static void hold_and_use(struct worker *worker)
{
	struct mixed *mixed = worker->mixed;
	struct lock lock = random_lock(worker);
	/*
	 * A thread that holds a range may not call an operation beside it: if a thread in between
	 * waits for everything, the call would never return.
	 */
	unsigned int end = lock.end - (worker->flaw == FLAW_TOO_SHORT && !lock.coarse);

	acquire(worker, &lock);
	enter(mixed, &lock);
	if (worker->flaw == FLAW_UNLOCKS_EARLY)
		release(worker, &lock);
	for (unsigned int i = lock.first; i < end; i++) {
		check_pair(mixed, i);
		if (lock.mode == RANGE_WRITE && test_random_below(&worker->seed, 4) == 0)
			change_mapping(worker, i);
		else if (lock.mode == RANGE_WRITE)
			write_pair(worker, i);
		else if (mixed->flaw == FLAW_NONE)
			try_in_vain(mixed, i);
	}
	leave(mixed, &lock);
	if (worker->flaw != FLAW_UNLOCKS_EARLY)
		release(worker, &lock);
}

/*
 * By a thread that holds nothing
 */

static void fork_and_look(struct mixed *mixed)
{
	uint64_t left, right;
	struct mm *child;

	CHECK_EQ(mm_fork(mixed->mm, &child), 0);
	for (unsigned int i = 0; i < PAIRS; i++) {
		expect(mixed,
		       !mm_read(child, addr_of(i), &left, sizeof(left), NULL) &&
			       !mm_read(child, addr_of(i) + PAGES(1), &right, sizeof(right), NULL),
		       "the child's pages can be read");
		expect(mixed, left == right, "the child's pages are equal");
	}
	mm_destroy(child);
}

/* In a place that no other thread uses. */
static void use_own_memory(struct worker *worker)
{
	struct mm *mm = worker->mixed->mm;
	uint64_t addr, word = worker->seed, read = 0;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(3), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(mm_write(mm, addr + PAGES(1), &word, sizeof(word), NULL), 0);
	CHECK_EQ(mm_read(mm, addr + PAGES(1), &read, sizeof(read), NULL), 0);
	CHECK(read == word);
	CHECK_EQ(mm_munmap(mm, addr, PAGES(3)), 0);
}

/* A mapping is missing, or a protection wrong, only while another thread holds the pair. */
static void operate(struct worker *worker)
{
	struct mixed *mixed = worker->mixed;
	struct mm *mm = mixed->mm;
	unsigned int n = 1 + (unsigned int)test_random_below(&worker->seed, 8);
	unsigned int page = (unsigned int)test_random_below(&worker->seed, 2 * PAIRS - n);
	unsigned char vec[8];

	switch (test_random_below(&worker->seed, 8)) {
	case 0:
		expect(mixed, !mm_mincore(mm, AT(page), PAGES(n), vec), "all pages are mapped");
		break;
	case 1:
		expect(mixed, !mm_mprotect(mm, AT(page), PAGES(n), RW),
		       "all pages can be protected");
		break;
	case 2:
		expect(mixed, !mm_msync(mm, AT(page), PAGES(n), MM_MS_ASYNC),
		       "all pages can be stored");
		break;
	case 3:
		use_own_memory(worker);
		break;
	case 4:
		if (test_random_below(&worker->seed, 128) == 0)
			fork_and_look(mixed);
		break;
	default:
		expect(mixed, !mm_fault(mm, AT(page), n % 2 ? W : R, NULL), "a fault is served");
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned int i = 0; i < worker->rounds; i++) {
		if (atomic_load_explicit(&worker->mixed->over, memory_order_relaxed))
			break;
		if (test_random_below(&worker->seed, 2))
			hold_and_use(worker);
		else
			operate(worker);
	}
	return NULL;
}

/* Returns the rule that was violated, or NULL. */
static const char *run(enum mm_locking locking, enum flaw flaw, unsigned int rounds, uint64_t *seed)
{
	static struct mixed mixed;
	struct worker workers[THREADS];

	mixed = (struct mixed){ .mm = new_space_locking(locking), .flaw = flaw };
	map(mixed.mm, 0, 2 * PAIRS, RW);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .mixed = &mixed,
					      .seed = test_random(seed),
					      .rounds = rounds,
					      .flaw = i ? FLAW_NONE : flaw };
		workers[i].thread = thread_start(work, &workers[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(workers[i].thread);
	end_space(mixed.mm);
	return atomic_load(&mixed.violation);
}

TEST(mm_mixed, coarse_locks_ranges_and_operations_go_together)
{
	uint64_t seed = test_seed("mm_mixed");

	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		const char *violation = run(lockings[i], FLAW_NONE, test_scale(15000), &seed);

		if (violation)
			test_fail(__FILE__, __LINE__, "locking %d: not so: %s", (int)lockings[i],
				  violation);
	}
}

TEST(mm_mixed, a_thread_that_locks_wrongly_is_noticed)
{
	uint64_t seed = test_seed("mm_mixed");

	for (enum flaw flaw = FLAW_FORGETS; flaw < NR_FLAWS; flaw++) {
		CHECK(run(MM_LOCKING_RANGE, flaw, 1000000, &seed));
		CHECK(run(MM_LOCKING_SPECULATIVE, flaw, 1000000, &seed));
	}
}
