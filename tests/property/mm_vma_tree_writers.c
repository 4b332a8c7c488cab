/* SPDX-License-Identifier: MIT */
/*
 * Several writers of one VMA tree. Each has blocks of keys of its own, between those of the others.
 * They edit in place, in one border node or in two, and with the lock, search for gaps and tidy,
 * all at the same time. Each writer knows the mappings in its blocks, and must find exactly these
 * at any time.
 */
#include "mm/attach.h"
#include "mm/vma.h"
#include "threads.h"

#define WRITERS 3u
#define BLOCK   12u /* keys */
#define BLOCKS  60u /* of each writer */
#define KEYS    (WRITERS * BLOCK * BLOCKS)

static struct mm__vma_tree tree;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct writer {
	unsigned int number;
	uint64_t seed;
	uint64_t steps;
	uint64_t owner[KEYS]; /* the start of the mapping, plus 1; 0: free, or the key of another
				 writer */
	uint64_t count;
	uint64_t in_place;
	uint64_t in_two; /* moves from one border node to another */
	struct mm__vma_edit edit;
	struct mm__vma_edit second;
	struct mm__vma_budget budget;
	bool locked;
};

static struct writer writers[WRITERS];

/* The tree does not look into VMAs. */
static struct mm__vma *vma_of(uint64_t start, uint64_t end)
{
	return (struct mm__vma *)(uintptr_t)(start * KEYS + end);
}

static void take_lock(struct writer *writer, unsigned int changes)
{
	struct mm__vma_needs needs = { .now = changes };

	pthread_mutex_lock(&lock);
	CHECK_EQ(mm__vma_tree_reserve(&tree, &writer->budget, &needs), 0);
}

static void drop_lock(struct writer *writer)
{
	struct mm__garbage *retired;

	mm__vma_tree_release(&tree, &writer->budget);
	retired = mm__vma_tree_take_retired(&tree);
	pthread_mutex_unlock(&lock);
	mm__rcu_free(retired);
}

static bool begin_in_place(struct writer *writer, uint64_t start, uint64_t end, bool unmaps)
{
	mm__rcu_read_lock();
	if (mm__vma_edit_in_place(&writer->edit, &tree, start, end, writer->number + 1, unmaps)) {
		writer->in_place++;
		return true;
	}
	mm__rcu_read_unlock();
	return false;
}

static void begin(struct writer *writer, uint64_t start, uint64_t end, bool unmaps)
{
	writer->edit = (struct mm__vma_edit){ .tree = &tree };
	writer->locked = false;
	if (test_random_below(&writer->seed, 8) && begin_in_place(writer, start, end, unmaps))
		return;
	take_lock(writer, 3);
	writer->locked = true;
	if (writer->edit.widens)
		mm__vma_tree_widen(&tree, start, end);
	mm__vma_edit_locked(&writer->edit, &tree, &writer->budget, start, end);
}

static void tidy(struct writer *writer, uint64_t addr, bool divides)
{
	struct mm__vma_edit edit = { .tree = &tree };

	take_lock(writer, MM__TIDY_CHANGES);
	mm__vma_edit_locked(&edit, &tree, &writer->budget, addr, addr + 1);
	mm__vma_tree_tidy(&edit, addr, divides, mmrange__now() * 1000);
	mm__vma_edit_end(&edit);
	drop_lock(writer);
}

static void end(struct writer *writer)
{
	mm__vma_edit_end(&writer->edit);
	if (writer->locked)
		drop_lock(writer);
	else
		mm__rcu_read_unlock();
	if (writer->edit.tidy)
		tidy(writer, writer->edit.tidy, writer->edit.divides);
}

/* A random key of the writer, and the block of the key. */
static uint64_t random_key(struct writer *writer, uint64_t *low, uint64_t *high)
{
	uint64_t block = test_random_below(&writer->seed, BLOCKS) * WRITERS + writer->number;

	*low = block * BLOCK;
	*high = *low + BLOCK;
	return *low + test_random_below(&writer->seed, BLOCK);
}

static void set_owner(struct writer *writer, uint64_t start, uint64_t stop, uint64_t value)
{
	for (uint64_t i = start; i < stop; i++)
		writer->owner[i] = value;
}

static uint64_t end_of(const struct writer *writer, uint64_t key)
{
	uint64_t stop = key;

	while (stop < KEYS && writer->owner[stop] == writer->owner[key])
		stop++;
	return stop;
}

static void check_key(struct writer *writer, uint64_t key)
{
	struct mm__mapping m;
	bool found;

	mm__rcu_read_lock();
	found = mm__vma_tree_at(&tree, key, &m);
	mm__rcu_read_unlock();
	CHECK_EQ(found, writer->owner[key] != 0);
	if (!found)
		return;
	CHECK_EQ(m.start, writer->owner[key] - 1);
	CHECK_EQ(m.end, end_of(writer, key));
	CHECK(m.vma == vma_of(m.start, m.end));
}

static void insert(struct writer *writer, uint64_t key, uint64_t high)
{
	uint64_t stop = key + 1;
	struct mm__mapping m;

	while (stop < high && !writer->owner[stop] && test_random_below(&writer->seed, 2))
		stop++;
	m = (struct mm__mapping){ key, stop, vma_of(key, stop) };
	begin(writer, key, stop, false);
	mm__vma_tree_clear(&writer->edit, key, stop);
	mm__vma_tree_insert(&writer->edit, &m);
	end(writer);
	writer->count++;
	set_owner(writer, key, stop, key + 1);
}

static void erase(struct writer *writer, uint64_t low, uint64_t high)
{
	uint64_t n = 0;

	for (uint64_t i = low; i < high; i++)
		n += writer->owner[i] == i + 1;
	if (!n)
		return;
	begin(writer, low, high, true);
	mm__vma_tree_erase_range(&writer->edit, low, high, n);
	end(writer);
	writer->count -= n;
	set_owner(writer, low, high, 0);
}

static void grow(struct writer *writer, uint64_t key, uint64_t high)
{
	uint64_t start = writer->owner[key] - 1;
	uint64_t old_end = end_of(writer, key);
	struct mm__mapping m = { start, old_end, NULL };

	while (m.end < high && !writer->owner[m.end])
		m.end++;
	if (m.end == old_end)
		return;
	m.vma = vma_of(m.start, m.end);
	begin(writer, old_end, m.end, false);
	mm__vma_tree_clear(&writer->edit, old_end, m.end);
	mm__vma_tree_set(&writer->edit, start, &m);
	end(writer);
	set_owner(writer, start, m.end, start + 1);
}

/* Begins both edits of a move, or one edit for *from and *to. */
static bool begin_move_in_place(struct writer *writer, const struct mm__mapping *m, uint64_t to,
				struct mm__vma_edit **source, struct mm__vma_edit **target)
{
	uint64_t to_end = to + (m->end - m->start);
	bool up = m->start < to;
	uint64_t high = up ? to : m->start;
	uint64_t high_end = up ? to_end : m->end;

	*source = *target = &writer->edit;
	if (!begin_in_place(writer, up ? m->start : to, up ? m->end : to_end, up))
		return false;
	if (mm__vma_edit_includes(&writer->edit, high, high_end, !up))
		return true;
	if (mm__vma_edit_second(&writer->second, &writer->edit, high, high_end, writer->number + 1,
				!up)) {
		writer->in_two++;
		*source = up ? &writer->edit : &writer->second;
		*target = up ? &writer->second : &writer->edit;
		return true;
	}
	end(writer);
	return false;
}

/* To another block, if its keys are free. */
static void move(struct writer *writer, uint64_t key)
{
	uint64_t start = writer->owner[key] - 1;
	struct mm__mapping m = { start, end_of(writer, key), NULL };
	struct mm__vma_edit *source, *target;
	uint64_t low, high;
	uint64_t to = random_key(writer, &low, &high);
	uint64_t to_end = to + (m.end - m.start);

	writer->locked = false;
	for (uint64_t i = to; i < to_end; i++)
		if (i >= high || writer->owner[i])
			return;
	if (!begin_move_in_place(writer, &m, to, &source, &target))
		return;
	mm__vma_tree_erase(source, m.start);
	m = (struct mm__mapping){ to, to_end, vma_of(to, to_end) };
	mm__vma_tree_insert(target, &m);
	if (target != source)
		mm__vma_edit_end(&writer->second);
	end(writer);
	set_owner(writer, start, start + (to_end - to), 0);
	set_owner(writer, to, to_end, to + 1);
	check_key(writer, to);
}

/* Another writer may take the gap at once. But it was free, or belongs to this writer. */
static void search(struct writer *writer)
{
	uint64_t addr = 0;

	pthread_mutex_lock(&lock);
	if (mm__vma_tree_highest_gap(&tree, 1 + test_random_below(&writer->seed, 20), 0, KEYS,
				     &addr))
		CHECK(!writer->owner[addr]);
	pthread_mutex_unlock(&lock);
}

static void step(struct writer *writer)
{
	uint64_t low, high;
	uint64_t key = random_key(writer, &low, &high);
	uint64_t what = test_random_below(&writer->seed, 100);

	check_key(writer, key);
	if (what < 2)
		tidy(writer, key + 1, what);
	else if (what < 4)
		search(writer);
	else if (what < 10)
		erase(writer, low, high);
	else if (!writer->owner[key])
		insert(writer, key, high);
	else if (what < 30)
		move(writer, key);
	else if (what < 60)
		erase(writer, writer->owner[key] - 1, end_of(writer, key));
	else
		grow(writer, key, high);
	check_key(writer, key);
}

static void *write_for_a_while(void *arg)
{
	struct writer *writer = arg;

	CHECK(mm__os_thread_attach());
	for (uint64_t i = 0; i < writer->steps; i++)
		step(writer);
	for (uint64_t block = 0; block < BLOCKS; block++)
		for (uint64_t i = 0; i < BLOCK; i++)
			check_key(writer, (block * WRITERS + writer->number) * BLOCK + i);
	return NULL;
}

TEST(mm_vma_tree_writers, each_writer_finds_its_own_vmas)
{
	uint64_t seed = test_seed("mm_vma_tree_writers");
	pthread_t threads[WRITERS];
	const char *what = "";
	uint64_t count = 0;

	CHECK(mm__os_thread_attach());
	mm__vma_tree_init(&tree);
	for (unsigned int i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		writers[i].seed = test_random(&seed);
		writers[i].steps = test_scale(200000);
		threads[i] = thread_start(write_for_a_while, &writers[i]);
	}
	for (unsigned int i = 0; i < WRITERS; i++) {
		thread_join(threads[i]);
		count += writers[i].count;
		CHECK(writers[i].in_place > writers[i].steps / 10);
		CHECK(writers[i].in_two > writers[i].steps / 1000);
	}
	if (!mm__vma_tree_valid(&tree, count, &what))
		test_fail(__FILE__, __LINE__, "%s", what);
	mm__rcu_barrier();
	mm__vma_tree_destroy(&tree);
}
