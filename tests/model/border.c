/* SPDX-License-Identifier: MIT */
/*
 * A border node of the VMA tree that changes in place: its sequence count, its slots, its lock, and
 * its replacement. The protocol stands here by itself. Its labels are those of vma_path.h,
 * vma_border.h and vma.h:
 *
 *	reader                              writer, with the lock of the border node
 *	[TREE-R1]   child, acquire          [BORDER-L4] seq odd, relaxed
 *	[BORDER-L1] seq, acquire; odd:      [BORDER-L5] slots, each by release
 *	            again                   [BORDER-L6] seq even, release
 *	[BORDER-L2] slots, each by acquire
 *	[BORDER-L3] seq, relaxed: as in     writer, with T and the lock of the border node
 *	            BORDER-L1               [TREE-W1]   a copy; child, release; the original is dead
 *
 * There is one thread of each kind:
 *
 *	(nothing)	a reader; a writer that inserts a mapping, so that all others move by a slot
 *	TWICE		the same; and the writer erases the mapping again
 *	REPLACE		a reader; a writer that inserts a mapping; and a writer with T, which
 *			inserts another one into a copy of the border node
 *	RANGE		as REPLACE, but the reader gets the range of the first writer after that
 *	FAULT		a fault on a page of a mapping; a writer that erases the mapping and zaps it
 *	ANEW		the same, and the writer inserts another mapping in its place
 *	PROTECT		a fault; a writer of the same range takes away a right; a writer of the
 *			range before it inserts a mapping that merges with it if it is unchanged
 *
 * ADDR: the address that the reader looks up: 25, which is always mapped; 12, of the first writer;
 * 45, of the writer with T. LOCKED: the reader has the lock of the border node.
 *
 * Checked: the reader finds the mapping that always exists, unchanged; of a mapping that is
 * inserted or erased, it finds all or nothing; a VMA that it finds is initialised, which is plain
 * memory; no change is lost; an unmapped page stays unmapped, and a page of the new mapping stays
 * mapped; no page allows more than its VMA; each mapping has the requested protection.
 *
 * WEAK: the number of one order that is weakened:
 *
 *	1	[BORDER-L5] a start is relaxed
 *	2	[BORDER-L5] an end is relaxed
 *	3	[BORDER-L5] a VMA is relaxed
 *	4	[BORDER-L2] a start is relaxed
 *	5	[BORDER-L2] an end is relaxed
 *	6	[BORDER-L2] a VMA is relaxed
 *	7	[BORDER-L4] left out
 *	8	[BORDER-L3] not compared
 *	9	[BORDER-L1] an odd count is not noticed
 *	10	[TREE-W1] the child is relaxed
 *	11	[TREE-R1] relaxed
 *	12	a writer does not check whether the border node is dead
 *	13	[TREE-W1] without the lock of the border node
 *	14	the border node is unlocked, and then dead
 *	15	unlocking is relaxed
 *	16	locking is relaxed
 *	17	[BORDER-L6] relaxed
 *	18	[BORDER-L1] relaxed
 *	20	[VMA-Q2] not compared
 *	21	the count becomes odd after the page is gone
 *	22	[VMA-Q1] relaxed
 *	23	the new VMA is even at once
 *	24	[VMA-Q1] an odd count is not noticed
 *	25	[VMA-W5] relaxed
 *	26	[VMA-N] a VMA changes without the lock of the border node
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

/* The model explores a thread that has to wait, or to try again, only where it need not. */
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

static struct border borders[2];
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

static uint64_t start_of(struct border *border, int i)
{
	/* acquire [BORDER-L2]: pairs with [BORDER-L5] */
	return atomic_load_explicit(&border->slot[i].start, WEAKER(4, acquire));
}

static struct mapping load(struct border *border, int i)
{
	struct mapping m;

	m.start = start_of(border, i);
	/* acquire [BORDER-L2]: pairs with [BORDER-L5] */
	m.end = atomic_load_explicit(&border->slot[i].end, WEAKER(5, acquire));
	/* acquire [BORDER-L2]: pairs with [BORDER-L5] */
	m.vma = atomic_load_explicit(&border->slot[i].vma, WEAKER(6, acquire));
	return m;
}

static void store(struct border *border, int i, uint64_t start, uint64_t end, struct vma *vma)
{
	/* release [BORDER-L5]: pairs with [BORDER-L2], so that BORDER-L3 sees BORDER-L4 */
	atomic_store_explicit(&border->slot[i].start, start, WEAKER(1, release));
	/* release [BORDER-L5]: the same */
	atomic_store_explicit(&border->slot[i].end, end, WEAKER(2, release));
	/* release [BORDER-L5]: the same */
	atomic_store_explicit(&border->slot[i].vma, vma, WEAKER(3, release));
}

static void copy_slot(struct border *to, int i, struct border *from, int j)
{
	struct mapping m = load(from, j);

	store(to, i, m.start, m.end, m.vma);
}

static void clear_slot(struct border *border, int i)
{
	store(border, i, UINT64_MAX, 0, NULL);
}

/* The number of the slot that may contain addr, + 1. */
static int begun(struct border *border, uint64_t addr)
{
	int n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += start_of(border, i) <= addr;
	return n;
}

/*
 * Reading
 */

static struct mapping look(struct border *border, uint64_t addr)
{
	struct mapping none = { 0, 0, NULL };
	struct mapping m = none;
	int i = begun(border, addr);

	if (i)
		m = load(border, i - 1);
	return m.end > addr ? m : none;
}

static struct border *find(void)
{
	/* acquire [TREE-R1]: pairs with [TREE-W1] */
	return atomic_load_explicit(&child, WEAKER(11, acquire));
}

static struct mapping look_up(uint64_t addr)
{
	struct border *border = find();
	struct mapping m;
	uint64_t seq;

	if (LOCKED) {
		lock(&border->locked);
		m = look(border, addr);
		unlock(&border->locked);
		return m;
	}
	/* acquire [BORDER-L1]: pairs with [BORDER-L6] */
	seq = atomic_load_explicit(&border->seq, WEAKER(18, acquire));
	assume(!(seq & 1) || WEAK == 9);
	m = look(border, addr);
	/* relaxed [BORDER-L3]: ordered by the acquires of [BORDER-L2] */
	assume(atomic_load_explicit(&border->seq, memory_order_relaxed) == seq || WEAK == 8);
	return m;
}

/*
 * Writing
 */

static void begin(struct border *border)
{
	uint64_t seq = atomic_load_explicit(&border->seq, memory_order_relaxed);

	/* relaxed [BORDER-L4]: ordered by the releases of [BORDER-L5] */
	if (WEAK != 7)
		atomic_store_explicit(&border->seq, seq + 1, memory_order_relaxed);
}

static void end(struct border *border)
{
	uint64_t seq = atomic_load_explicit(&border->seq, memory_order_relaxed);

	/* release [BORDER-L6]: pairs with [BORDER-L1] */
	atomic_store_explicit(&border->seq, (seq | 1) + 1, WEAKER(17, release));
}

/* Locks the border node, which is not dead then. It is replaced once at most. */
static struct border *lock_border(void)
{
	struct border *border = find();

	lock(&border->locked);
	/* relaxed: with the lock */
	if (WEAK != 12 && atomic_load_explicit(&border->dead, memory_order_relaxed)) {
		unlock(&border->locked);
		border = find();
		lock(&border->locked);
		assert(!atomic_load_explicit(&border->dead, memory_order_relaxed));
	}
	return border;
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
	store(&borders[0], 0, 20, 30, &vmas[0]);
	for (int i = 1; i < SLOTS; i++)
		clear_slot(&borders[0], i);
	atomic_init(&child, &borders[0]);
}

#if !defined(FAULT) && !ANEW && !defined(PROTECT)

/* In the first slot; all others move up. */
static void insert(struct border *border)
{
	make_vma(1);
	begin(border);
	for (int i = SLOTS - 1; i; i--)
		copy_slot(border, i, border, i - 1);
	store(border, 0, 10, 15, &vmas[1]);
	end(border);
}

static bool is(struct mapping m, uint64_t start, uint64_t end, int i)
{
	return m.start == start && m.end == end && m.vma == &vmas[i] && m.vma->what == i + 1;
}

/* At 25 there is always a mapping. */
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
	struct border *border = lock_border();

	(void)arg;
	insert(border);
	unlock(&border->locked);
	/* release: as the unlocking of the range does */
	atomic_store_explicit(&range_released, true, memory_order_release);
	return NULL;
}

/* Adds a mapping behind the others. The copy is locked when other threads find it. */
static void make_copy(struct border *copy, struct border *border)
{
	int n = 0;

	/* relaxed: no other thread finds it yet */
	atomic_store_explicit(&copy->locked, 1, memory_order_relaxed);
	for (; n < SLOTS - 1 && start_of(border, n) != UINT64_MAX; n++)
		copy_slot(copy, n, border, n);
	make_vma(2);
	store(copy, n, 40, 50, &vmas[2]);
	while (++n < SLOTS)
		clear_slot(copy, n);
}

static void set_dead(struct border *border)
{
	/* relaxed: with the lock of the border node */
	atomic_store_explicit(&border->dead, true, memory_order_relaxed);
}

static void with_t(struct border *border, struct border *copy)
{
	if (WEAK != 13)
		lock(&border->locked);
	make_copy(copy, border);
	/* release [TREE-W1]: pairs with [TREE-R1] */
	atomic_store_explicit(&child, copy, WEAKER(10, release));
	if (WEAK != 14)
		set_dead(border);
	if (WEAK != 13)
		unlock(&border->locked);
	if (WEAK == 14)
		set_dead(border);
	unlock(&copy->locked);
}

static void *reader(void *arg)
{
	bool after = false;

	(void)arg;
#ifdef RANGE
	/* acquire: as the locking of the range does */
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
	with_t(&borders[0], &borders[1]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert(find() == &borders[1]);
	assert(is_right(12, look(&borders[1], 12), true));
	assert(is_right(25, look(&borders[1], 25), true));
	assert(is_right(45, look(&borders[1], 45), true));
	return 0;
}

#elif defined(FAULT) || ANEW || defined(PROTECT)

/*
 * The page at 25: the VMA that it was mapped for, and its rights. The lock stands for the lock in
 * the entry of the page. Here a writer takes it even if the entry need not change.
 */
static _Atomic(int) table;
static struct vma *page_of;
static int page_prot;
static struct vma *installed;

/* A present page stays as it is. */
static void install(struct vma *vma, uint64_t seq, int prot)
{
	lock(&table);
	/* relaxed [VMA-Q2]: with the lock of the table */
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
	/* acquire [VMA-Q1]: pairs with [VMA-W5] */
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
	/* relaxed: the lock of the table orders it before [VMA-Q2] */
	atomic_store_explicit(&vma->seq, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static void make_even(struct vma *vma)
{
	/* release [VMA-W5]: pairs with [VMA-Q1] */
	atomic_store_explicit(&vma->seq, 2, WEAKER(25, release));
}

/* Sets the rights of the page; 0 takes it out. */
static void restrict_page(int prot)
{
	lock(&table);
	if (!prot)
		page_of = NULL;
	page_prot = page_prot < prot ? page_prot : prot;
	unlock(&table);
}

#ifdef PROTECT

/* Executions in which the other writer has merged with the mapping before are not explored. */
static void *protector(void *arg)
{
	struct border *border = find();

	(void)arg;
	if (WEAK != 26)
		lock(&border->locked);
	assume(start_of(border, 0) != 10 || start_of(border, 1) == 20);
	mark(&vmas[0]);
	/* release: pairs with fault() */
	atomic_store_explicit(&vmas[0].prot, 1, memory_order_release);
	if (WEAK != 26)
		unlock(&border->locked);
	restrict_page(1);
	lock(&border->locked);
	make_even(&vmas[0]);
	unlock(&border->locked);
	return NULL;
}

static bool mergeable(const struct vma *vma)
{
	/* relaxed: with the lock of the border node */
	return !(atomic_load_explicit(&vma->seq, memory_order_relaxed) & 1) &&
	       atomic_load_explicit(&vma->prot, memory_order_relaxed) == 2;
}

/* Maps [10, 20), with protection 2. */
static void map(void)
{
	struct border *border = lock_border();

	begin(border);
	if (mergeable(&vmas[0])) {
		store(border, 0, 10, 30, &vmas[0]);
	} else {
		make_vma(1);
		copy_slot(border, 1, border, 0);
		store(border, 0, 10, 20, &vmas[1]);
	}
	end(border);
	unlock(&border->locked);
}

static int prot_at(uint64_t addr)
{
	return atomic_load_explicit(&look(&borders[0], addr).vma->prot, memory_order_relaxed);
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

static void change(struct border *border)
{
	begin(border);
	if (ANEW) {
		make_vma(1);
		if (WEAK != 23)
			mark(&vmas[1]);
		store(border, 0, 20, 30, &vmas[1]);
	} else {
		copy_slot(border, 0, border, 1);
		clear_slot(border, 1);
	}
	end(border);
}

int main(void)
{
	pthread_t thread;
	struct border *border;

	plant();
	pthread_create(&thread, NULL, fault, NULL);
	border = lock_border();
	if (WEAK != 21)
		mark(&vmas[0]);
	change(border);
	unlock(&border->locked);
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
static void erase(struct border *border)
{
	begin(border);
	for (int i = 1; i < SLOTS; i++)
		copy_slot(border, i - 1, border, i);
	clear_slot(border, SLOTS - 1);
	end(border);
}
#endif

int main(void)
{
	pthread_t thread;
	struct border *border;

	plant();
	pthread_create(&thread, NULL, reader, NULL);
	border = lock_border();
	insert(border);
#ifdef TWICE
	erase(border);
#endif
	unlock(&border->locked);
	pthread_join(thread, NULL);
	return 0;
}

#endif
