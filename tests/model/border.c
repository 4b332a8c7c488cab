/* SPDX-License-Identifier: MIT */
/*
 * A leaf of the tree of VMAs that changes in place: its sequence count, its slots, its lock, and its
 * replacement. The protocol stands here by itself:
 *
 *	reader                              writer, with the lock of the leaf
 *	[R0] child, acquire                 [W1] seq odd, relaxed
 *	[R1] seq, acquire; odd: again       [W2] slots, each by release
 *	[R2] slots, each by acquire         [W3] seq even, release
 *	[R3] seq, relaxed, as in R1
 *	                                    writer, with T and the lock of the leaf
 *	                                    [W4] a copy; child, release; the original is dead
 *
 * One thread each; which ones there are:
 *
 *	(nothing)	a reader; a writer that puts a mapping in, so that all others move to the next slot
 *	TWICE		the same; and the writer takes the mapping out again
 *	REPLACE		a reader; a writer that puts a mapping in; and one with T, which puts another one
 *			into a copy of the leaf
 *	RANGE		as REPLACE, but the reader gets the range of the first writer when that is done
 *	FAULT		a fault on a page of a mapping; a writer that takes the mapping out, and the page
 *	ANEW		the same, and the writer puts another mapping in its place
 *	PROTECT		a fault; a writer of the same range takes away a right; a writer of the range before
 *			it maps what merges with it, unless it has changed
 *
 * ADDR: what the reader looks up: 25, which is mapped all the time; 12, the first writer's; 45, that of the
 * one with T. LOCKED: with the lock of the leaf.
 *
 * Checked: the reader finds what is mapped all the time, as it is; of what is put in or taken out, it
 * finds all or nothing; a VMA that it finds is initialised, which is plain memory; no change is lost; a
 * page that is unmapped stays so, and one that the new mapping has got stays, too; no page allows more
 * than its VMA; what is mapped has the protection that was asked for.
 *
 * WEAK: a number: weakened, each alone:
 *
 *	1	[W2] a start is relaxed			12	a writer does not ask whether it is dead
 *	2	[W2] an end is relaxed			13	[W4] without the lock of the leaf
 *	3	[W2] a VMA is relaxed			14	unlocked, and then dead
 *	4	[R2] a start is relaxed			15	unlocking is relaxed
 *	5	[R2] an end is relaxed			16	locking is relaxed
 *	6	[R2] a VMA is relaxed			17	[W3] relaxed
 *	7	[W1] left out				18	[R1] relaxed
 *	8	[R3] not compared			20	[Q2] not compared
 *	9	[R1] odd is not noticed			21	the count is odd after the page is gone
 *	10	[W4] the child is relaxed		22	[Q1] relaxed
 *	11	[R0] relaxed				23	the new VMA is even at once
 *	26	[N] a VMA changes without		24	[Q1] odd is not noticed
 *		the lock of the leaf			25	[W5] relaxed
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#ifndef WEAK
#define WEAK 0
#endif

/* A thread that has to wait, or to try again, is looked at only where it need not. */
#ifdef MODEL_GENMC
void __VERIFIER_assume(bool condition);
#define assume(condition) __VERIFIER_assume(condition)
#else
#define assume(condition)                                                                          \
	do {                                                                                       \
	} while (!(condition))
#endif

#define WEAKER(n, order) (WEAK == (n) ? memory_order_relaxed : memory_order_##order)

#if defined(REPLACE) || defined(RANGE)
enum { SLOTS = 3 };
#else
enum { SLOTS = 2 };
#endif

struct vma {
	int what; /* plain */
	_Atomic(int) prot;
	_Atomic(uint64_t) seq;
};

struct mapping {
	uint64_t start, end;
	struct vma *vma;
};

struct slot {
	_Atomic(uint64_t) start, end;
	_Atomic(struct vma *) vma;
};

struct border {
	_Atomic(int) locked;
	_Atomic(bool) dead;
	_Atomic(uint64_t) seq;
	struct slot slot[SLOTS];
};

static struct border leaves[2];
static _Atomic(struct border *) child;
static struct vma vmas[3];

#ifndef ADDR
#define ADDR 25
#endif
#ifndef LOCKED
#define LOCKED 0
#endif
#ifndef ANEW
#define ANEW 0
#endif

/*
 * The lock
 */

static void lock(_Atomic(int) *word)
{
	int unlocked = 0;

	assume(atomic_compare_exchange_strong_explicit(word, &unlocked, 1, WEAKER(16, acquire),
						       memory_order_relaxed));
}

static void unlock(_Atomic(int) *word)
{
	atomic_store_explicit(word, 0, WEAKER(15, release));
}

/*
 * Slots
 */

static uint64_t start_of(struct border *leaf, int i)
{
	/* acquire [R2]: pairs with [W2] */
	return atomic_load_explicit(&leaf->slot[i].start, WEAKER(4, acquire));
}

static struct mapping load(struct border *leaf, int i)
{
	struct mapping m;

	m.start = start_of(leaf, i);
	/* acquire [R2]: pairs with [W2] */
	m.end = atomic_load_explicit(&leaf->slot[i].end, WEAKER(5, acquire));
	/* acquire [R2]: pairs with [W2] */
	m.vma = atomic_load_explicit(&leaf->slot[i].vma, WEAKER(6, acquire));
	return m;
}

static void store(struct border *leaf, int i, uint64_t start, uint64_t end, struct vma *vma)
{
	/* release [W2]: pairs with [R2]; so R3 sees W1 */
	atomic_store_explicit(&leaf->slot[i].start, start, WEAKER(1, release));
	/* release [W2]: the same */
	atomic_store_explicit(&leaf->slot[i].end, end, WEAKER(2, release));
	/* release [W2]: the same */
	atomic_store_explicit(&leaf->slot[i].vma, vma, WEAKER(3, release));
}

static void copy_slot(struct border *to, int i, struct border *from, int j)
{
	struct mapping m = load(from, j);

	store(to, i, m.start, m.end, m.vma);
}

static void clear_slot(struct border *leaf, int i)
{
	store(leaf, i, UINT64_MAX, 0, NULL);
}

/* The number of the slot that may contain addr, + 1. */
static int begun(struct border *leaf, uint64_t addr)
{
	int n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += start_of(leaf, i) <= addr;
	return n;
}

/*
 * Reading
 */

static struct mapping look(struct border *leaf, uint64_t addr)
{
	struct mapping none = { 0, 0, NULL };
	struct mapping m = none;
	int i = begun(leaf, addr);

	if (i)
		m = load(leaf, i - 1);
	return m.end > addr ? m : none;
}

static struct border *find(void)
{
	/* acquire [R0]: pairs with [W4] */
	return atomic_load_explicit(&child, WEAKER(11, acquire));
}

static struct mapping look_up(uint64_t addr)
{
	struct border *leaf = find();
	struct mapping m;
	uint64_t seq;

	if (LOCKED) {
		lock(&leaf->locked);
		m = look(leaf, addr);
		unlock(&leaf->locked);
		return m;
	}
	/* acquire [R1]: pairs with [W3] */
	seq = atomic_load_explicit(&leaf->seq, WEAKER(18, acquire));
	assume(!(seq & 1) || WEAK == 9);
	m = look(leaf, addr);
	/* relaxed [R3]: ordered by the acquires of [R2] */
	assume(atomic_load_explicit(&leaf->seq, memory_order_relaxed) == seq || WEAK == 8);
	return m;
}

/*
 * Writing
 */

static void begin(struct border *leaf)
{
	uint64_t seq = atomic_load_explicit(&leaf->seq, memory_order_relaxed);

	/* relaxed [W1]: ordered by the releases of [W2] */
	if (WEAK != 7)
		atomic_store_explicit(&leaf->seq, seq + 1, memory_order_relaxed);
}

static void end(struct border *leaf)
{
	uint64_t seq = atomic_load_explicit(&leaf->seq, memory_order_relaxed);

	/* release [W3]: pairs with [R1] */
	atomic_store_explicit(&leaf->seq, (seq | 1) + 1, WEAKER(17, release));
}

/* The leaf, locked, which is not dead. One replacement at most. */
static struct border *lock_leaf(void)
{
	struct border *leaf = find();

	lock(&leaf->locked);
	/* relaxed: with the lock */
	if (WEAK != 12 && atomic_load_explicit(&leaf->dead, memory_order_relaxed)) {
		unlock(&leaf->locked);
		leaf = find();
		lock(&leaf->locked);
		assert(!atomic_load_explicit(&leaf->dead, memory_order_relaxed));
	}
	return leaf;
}

static void make_vma(int i)
{
	vmas[i].what = i + 1;
	/* relaxed: a thread that finds the VMA has acquired it */
	atomic_store_explicit(&vmas[i].prot, 2, memory_order_relaxed);
	atomic_store_explicit(&vmas[i].seq, 0, memory_order_relaxed);
}

static void plant(void)
{
	make_vma(0);
	store(&leaves[0], 0, 20, 30, &vmas[0]);
	for (int i = 1; i < SLOTS; i++)
		clear_slot(&leaves[0], i);
	atomic_init(&child, &leaves[0]);
}

#if !defined(FAULT) && !ANEW && !defined(PROTECT)

/* In the first slot; all others move up. */
static void insert(struct border *leaf)
{
	make_vma(1);
	begin(leaf);
	for (int i = SLOTS - 1; i; i--)
		copy_slot(leaf, i, leaf, i - 1);
	store(leaf, 0, 10, 15, &vmas[1]);
	end(leaf);
}

static bool is(struct mapping m, uint64_t start, uint64_t end, int i)
{
	return m.start == start && m.end == end && m.vma == &vmas[i] && m.vma->what == i + 1;
}

/* At 25 there is something all the time. */
static bool is_right(uint64_t addr, struct mapping m, bool must_be_there)
{
	if (addr == 25)
		return is(m, 20, 30, 0);
	if (!m.vma && !must_be_there)
		return true;
	return addr == 12 ? is(m, 10, 15, 1) : is(m, 40, 50, 2);
}

#endif

#if defined(REPLACE) || defined(RANGE)

static _Atomic(bool) range_released;

static void *in_place(void *arg)
{
	struct border *leaf = lock_leaf();

	(void)arg;
	insert(leaf);
	unlock(&leaf->locked);
	/* release: as the range does */
	atomic_store_explicit(&range_released, true, memory_order_release);
	return NULL;
}

/* Behind the others. The copy is locked when others find it. */
static void make_copy(struct border *copy, struct border *leaf)
{
	int n = 0;

	/* relaxed: no other thread finds it yet */
	atomic_store_explicit(&copy->locked, 1, memory_order_relaxed);
	for (; n < SLOTS - 1 && start_of(leaf, n) != UINT64_MAX; n++)
		copy_slot(copy, n, leaf, n);
	make_vma(2);
	store(copy, n, 40, 50, &vmas[2]);
	while (++n < SLOTS)
		clear_slot(copy, n);
}

static void set_dead(struct border *leaf)
{
	/* relaxed: with the lock of the leaf */
	atomic_store_explicit(&leaf->dead, true, memory_order_relaxed);
}

static void with_t(struct border *leaf, struct border *copy)
{
	if (WEAK != 13)
		lock(&leaf->locked);
	make_copy(copy, leaf);
	/* release [W4]: pairs with [R0] */
	atomic_store_explicit(&child, copy, WEAKER(10, release));
	if (WEAK != 14)
		set_dead(leaf);
	if (WEAK != 13)
		unlock(&leaf->locked);
	if (WEAK == 14)
		set_dead(leaf);
	unlock(&copy->locked);
}

static void *reader(void *arg)
{
	bool after = false;

	(void)arg;
#ifdef RANGE
	/* acquire: as the range does */
	assume(atomic_load_explicit(&range_released, memory_order_acquire));
	after = ADDR == 12;
#endif
	assert(is_right(ADDR, look_up(ADDR), after));
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	plant();
	pthread_create(&threads[0], NULL, reader, NULL);
	pthread_create(&threads[1], NULL, in_place, NULL);
	with_t(&leaves[0], &leaves[1]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert(find() == &leaves[1]);
	assert(is_right(12, look(&leaves[1], 12), true));
	assert(is_right(25, look(&leaves[1], 25), true));
	assert(is_right(45, look(&leaves[1], 45), true));
	return 0;
}

#elif defined(FAULT) || ANEW || defined(PROTECT)

/*
 * The page at 25: the VMA that it was mapped for, and what it allows. The lock stands for that of its entry,
 * which a writer takes here even if the entry is as it has to be.
 */
static _Atomic(int) table;
static struct vma *page_of;
static int page_prot;
static struct vma *installed;

/* A page that is there stays as it is. */
static void install(struct vma *vma, uint64_t seq, int prot)
{
	lock(&table);
	/* relaxed [Q2]: with the lock of the table */
	if ((WEAK == 20 || atomic_load_explicit(&vma->seq, memory_order_relaxed) == seq) &&
	    !page_of) {
		page_of = installed = vma;
		page_prot = prot;
	}
	unlock(&table);
}

static void *fault(void *arg)
{
	struct mapping m = look_up(25);
	uint64_t seq;

	(void)arg;
	if (!m.vma)
		return NULL;
	/* acquire [Q1]: pairs with [W5] */
	seq = atomic_load_explicit(&m.vma->seq, WEAKER(22, acquire));
	if (seq & 1 && WEAK != 24)
		return NULL;
	assert(m.vma->what);
	/* acquire: pairs with set_prot() */
	install(m.vma, seq, atomic_load_explicit(&m.vma->prot, memory_order_acquire));
	return NULL;
}

static void mark(struct vma *vma)
{
	/* relaxed: the lock of the table orders it before [Q2] */
	atomic_store_explicit(&vma->seq, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static void make_even(struct vma *vma)
{
	/* release [W5]: pairs with [Q1] */
	atomic_store_explicit(&vma->seq, 2, WEAKER(25, release));
}

/* What the page allows; 0: it is taken out. */
static void restrict_page(int prot)
{
	lock(&table);
	if (!prot)
		page_of = NULL;
	page_prot = page_prot < prot ? page_prot : prot;
	unlock(&table);
}

#ifdef PROTECT

/* Where the other writer has merged with it before, there is no more to see. */
static void *protector(void *arg)
{
	struct border *leaf = find();

	(void)arg;
	if (WEAK != 26)
		lock(&leaf->locked);
	assume(start_of(leaf, 0) != 10 || start_of(leaf, 1) == 20);
	mark(&vmas[0]);
	/* release: pairs with fault() */
	atomic_store_explicit(&vmas[0].prot, 1, memory_order_release);
	if (WEAK != 26)
		unlock(&leaf->locked);
	restrict_page(1);
	lock(&leaf->locked);
	make_even(&vmas[0]);
	unlock(&leaf->locked);
	return NULL;
}

static bool mergeable(const struct vma *vma)
{
	/* relaxed: with the lock of the leaf */
	return !(atomic_load_explicit(&vma->seq, memory_order_relaxed) & 1) &&
	       atomic_load_explicit(&vma->prot, memory_order_relaxed) == 2;
}

/* [10, 20), which allows 2. */
static void map(void)
{
	struct border *leaf = lock_leaf();

	begin(leaf);
	if (mergeable(&vmas[0])) {
		store(leaf, 0, 10, 30, &vmas[0]);
	} else {
		make_vma(1);
		copy_slot(leaf, 1, leaf, 0);
		store(leaf, 0, 10, 20, &vmas[1]);
	}
	end(leaf);
	unlock(&leaf->locked);
}

static int prot_at(uint64_t addr)
{
	return atomic_load_explicit(&look(&leaves[0], addr).vma->prot, memory_order_relaxed);
}

int main(void)
{
	pthread_t threads[2];

	plant();
	pthread_create(&threads[0], NULL, fault, NULL);
	pthread_create(&threads[1], NULL, protector, NULL);
	map();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert(prot_at(15) == 2);
	assert(prot_at(25) == 1);
	assert(!page_of || page_prot == 1);
	return 0;
}

#else

static void change(struct border *leaf)
{
	begin(leaf);
	if (ANEW) {
		make_vma(1);
		if (WEAK != 23)
			mark(&vmas[1]);
		store(leaf, 0, 20, 30, &vmas[1]);
	} else {
		copy_slot(leaf, 0, leaf, 1);
		clear_slot(leaf, 1);
	}
	end(leaf);
}

int main(void)
{
	pthread_t thread;
	struct border *leaf;

	plant();
	pthread_create(&thread, NULL, fault, NULL);
	leaf = lock_leaf();
	if (WEAK != 21)
		mark(&vmas[0]);
	change(leaf);
	unlock(&leaf->locked);
	restrict_page(0);
	if (WEAK == 21)
		mark(&vmas[0]);
	if (ANEW)
		make_even(&vmas[1]);
	pthread_join(thread, NULL);
	assert(page_of != &vmas[0]);
	assert(!installed || installed == &vmas[0] || page_of == installed);
	return 0;
}

#endif

#else

static void *reader(void *arg)
{
	(void)arg;
	assert(is_right(ADDR, look_up(ADDR), false));
	return NULL;
}

#ifdef TWICE
static void erase(struct border *leaf)
{
	begin(leaf);
	for (int i = 1; i < SLOTS; i++)
		copy_slot(leaf, i - 1, leaf, i);
	clear_slot(leaf, SLOTS - 1);
	end(leaf);
}
#endif

int main(void)
{
	pthread_t thread;
	struct border *leaf;

	plant();
	pthread_create(&thread, NULL, reader, NULL);
	leaf = lock_leaf();
	insert(leaf);
#ifdef TWICE
	erase(leaf);
#endif
	unlock(&leaf->locked);
	pthread_join(thread, NULL);
	return 0;
}

#endif
