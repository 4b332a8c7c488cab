/* SPDX-License-Identifier: MIT */
/*
 * The VMA tree against an array that records, for each key, the mapping that it belongs to. Keys
 * are few, so gaps close and open all the time. Mappings are many, so the tree has several levels.
 * Edits are in place where they can be, or use the lock. Border nodes are divided as if several
 * threads used them.
 */
#include "mm/attach.h"
#include "mm/edit.h"
#include "mm/vma.h"
#include "test.h"

#include <string.h>

#define KEYS 3000u

static struct mm__vma_tree tree;
static struct mm__vma_edit edit;
static struct mm__vma_budget budget;
static bool prefers_place;           /* edits are in place if they can be */
static uint64_t in_place;            /* the number of edits that were in place */
static uint64_t count;               /* of mappings */
static uint64_t owner[KEYS];         /* the start of the mapping, plus 1; 0: free */
static struct mm__vma *vma_of[KEYS]; /* of the mapping that starts there */

/* Two changes at most. The first may remove a mapping to make room for the second. */
static void begin_edit(struct mm__vma_tree *of, uint64_t start, uint64_t end, bool unmaps)
{
	struct mm__vma_needs needs = { .now = 2 };

	edit = (struct mm__vma_edit){ .tree = of };
	mm__rcu_read_lock();
	if (prefers_place && mm__vma_edit_in_place(&edit, of, start, end, 1, unmaps)) {
		in_place++;
		return;
	}
	if (edit.widens) {
		mm__vma_tree_widen(of, start, end);
		CHECK(mm__vma_edit_in_place(&edit, of, start, end, 1, unmaps));
		return;
	}
	mm__rcu_read_unlock();
	CHECK_EQ(mm__vma_tree_reserve(of, &budget, &needs), 0);
	mm__vma_edit_locked(&edit, of, &budget, start, end);
}

static void tidy(struct mm__vma_tree *of, uint64_t addr, bool divides)
{
	struct mm__vma_needs needs = { .now = MM__TIDY_CHANGES };
	struct mm__vma_edit tidying = { .tree = of };
	static uint64_t now;

	CHECK_EQ(mm__vma_tree_reserve(of, &budget, &needs), 0);
	mm__vma_edit_locked(&tidying, of, &budget, addr, addr + 1);
	mm__vma_tree_tidy(&tidying, addr, divides, now += 1000000);
	mm__vma_edit_end(&tidying);
	mm__vma_tree_release(of, &budget);
	mm__rcu_free(mm__vma_tree_take_retired(of));
}

static void end_edit(struct mm__vma_tree *of)
{
	bool locked = !edit.border;

	mm__vma_edit_end(&edit);
	if (locked) {
		mm__vma_tree_release(of, &budget);
		mm__rcu_free(mm__vma_tree_take_retired(of));
	} else {
		mm__rcu_read_unlock();
	}
	if (edit.tidy)
		tidy(of, edit.tidy, edit.divides);
}

/* A new VMA for each change. The tree does not look into VMAs. */
static struct mm__vma *new_vma(void)
{
	static uintptr_t last;

	return (struct mm__vma *)++last;
}

static void check_find(uint64_t key)
{
	struct mm__mapping m, same;
	bool found = mm__vma_tree_find(&tree, key, &m);
	uint64_t i = key;

	CHECK_EQ(mm__vma_tree_at(&tree, key, &same), owner[key] != 0);
	while (i < KEYS && !owner[i])
		i++;
	CHECK_EQ(found, i < KEYS);
	if (!found)
		return;
	CHECK_EQ(m.start, owner[i] - 1);
	CHECK(m.vma == vma_of[m.start]);
	CHECK(m.start == i || i == key);
	CHECK(owner[m.end - 1] == owner[i] && (m.end == KEYS || owner[m.end] != owner[i]));
	if (i == key)
		CHECK(same.start == m.start && same.end == m.end && same.vma == m.vma);
}

/* A list must contain the mappings that single look-ups find one after the other. */
static void check_lists(uint64_t key)
{
	struct mm__vma_list list = { .count = 0 };

	for (unsigned int i = 0; i < 3 * MM__VMA_LIST; i++) {
		struct mm__mapping m, found;
		bool more = mm__vma_list_next(&tree, &list, key, &m);

		CHECK_EQ(more, mm__vma_tree_find(&tree, key, &found));
		if (!more)
			return;
		CHECK(m.start == found.start && m.end == found.end && m.vma == found.vma);
		key = m.end;
	}
}

static void check_gap(uint64_t length, uint64_t low, uint64_t high)
{
	uint64_t addr = 0;
	bool found = mm__vma_tree_highest_gap(&tree, length, low, high, &addr);
	uint64_t run = 0;

	for (uint64_t i = high; i-- > low && run < length;) {
		run = owner[i] ? 0 : run + 1;
		if (run == length) {
			CHECK(found);
			CHECK_EQ(addr, i);
		}
	}
	CHECK_EQ(found, run == length);
}

static void check_lowest_gap(uint64_t length, uint64_t low, uint64_t high)
{
	uint64_t addr = 0;
	bool found = mm__vma_tree_lowest_gap(&tree, length, low, high, &addr);
	uint64_t run = 0;

	for (uint64_t i = low; i < high && run < length; i++) {
		run = owner[i] ? 0 : run + 1;
		if (run == length) {
			CHECK(found);
			CHECK_EQ(addr, i + 1 - length);
		}
	}
	CHECK_EQ(found, run == length);
}

static void set_owner(const struct mm__mapping *m, uint64_t value)
{
	for (uint64_t i = m->start; i < m->end; i++)
		owner[i] = value;
	vma_of[m->start] = m->vma;
}

static void insert_at(uint64_t key, uint64_t length)
{
	struct mm__mapping m = { key, key, new_vma() };

	while (m.end < KEYS && m.end < key + length && !owner[m.end])
		m.end++;
	begin_edit(&tree, m.start, m.end, false);
	mm__vma_tree_clear(&edit, m.start, m.end);
	mm__vma_tree_insert(&edit, &m);
	end_edit(&tree);
	count++;
	set_owner(&m, m.start + 1);
}

/* Extends the mapping of a key, up to its neighbours at most. */
static void change_at(uint64_t key, uint64_t *seed)
{
	struct mm__mapping old = { 0, 0, NULL }, m = { 0, 0, new_vma() };
	uint64_t lo, hi;
	bool up = test_random_below(seed, 2);

	mm__vma_tree_find(&tree, key, &old);
	lo = old.start;
	hi = old.end;
	while (!up && lo && !owner[lo - 1])
		lo--;
	while (up && hi < KEYS && !owner[hi])
		hi++;
	if (hi - lo == old.end - old.start)
		return;
	m.start = lo + test_random_below(seed, old.start - lo + 1);
	m.end = old.end + test_random_below(seed, hi - old.end + 1);
	if (m.start == old.start && m.end == old.end)
		return;
	begin_edit(&tree, up ? old.end : m.start, up ? m.end : old.start, false);
	mm__vma_tree_clear(&edit, up ? old.end : m.start, up ? m.end : old.start);
	mm__vma_tree_set(&edit, old.start, &m);
	end_edit(&tree);
	set_owner(&old, 0);
	set_owner(&m, m.start + 1);
}

/* Shrinks it, likewise. */
static void cut_at(uint64_t key, uint64_t *seed)
{
	struct mm__mapping old = { 0, 0, NULL }, m;

	mm__vma_tree_find(&tree, key, &old);
	m = (struct mm__mapping){ old.start, old.end, new_vma() };
	m.start += test_random_below(seed, old.end - old.start);
	m.end -= test_random_below(seed, m.end - m.start);
	begin_edit(&tree, old.start, old.end, true);
	mm__vma_tree_set(&edit, old.start, &m);
	end_edit(&tree);
	set_owner(&old, 0);
	set_owner(&m, m.start + 1);
}

static void erase_at(uint64_t key)
{
	struct mm__mapping m = { 0, 0, NULL };

	mm__vma_tree_find(&tree, key, &m);
	set_owner(&m, 0);
	begin_edit(&tree, m.start, m.end, true);
	mm__vma_tree_erase(&edit, m.start);
	end_edit(&tree);
	count--;
}

/* Erases all mappings around a key, up to the ends of the outermost ones or somewhat beyond. */
static void erase_range_at(uint64_t key, uint64_t *seed)
{
	uint64_t start = key - test_random_below(seed, (key < 400 ? key : 400) + 1);
	uint64_t end = key + 1 + test_random_below(seed, KEYS - key < 400 ? KEYS - key : 400);
	uint64_t n = 0;

	/* No mapping may extend over the ends of the range. */
	while (start && owner[start] && owner[start] == owner[start - 1])
		start--;
	while (end < KEYS && owner[end] && owner[end] == owner[end - 1])
		end++;
	for (uint64_t i = start; i < end; i++)
		n += owner[i] == i + 1;
	memset(&owner[start], 0, (end - start) * sizeof(owner[0]));
	begin_edit(&tree, start, end, true);
	mm__vma_tree_erase_range(&edit, start, end, n);
	end_edit(&tree);
	count -= n;
}

static void step(uint64_t *seed, uint64_t growth)
{
	uint64_t key = test_random_below(seed, KEYS);

	prefers_place = test_random_below(seed, 4);
	if (test_random_below(seed, 100) == 0)
		tidy(&tree, 1 + key, test_random_below(seed, 2));
	else if (!owner[key]) {
		if (test_random_below(seed, 10) < growth)
			insert_at(key, 1 + test_random_below(seed, 4));
	} else if (test_random_below(seed, 10) >= growth) {
		erase_at(key);
	} else if (test_random_below(seed, 1000) == 0) {
		erase_range_at(key, seed);
	} else if (test_random_below(seed, 4) == 0) {
		change_at(key, seed);
	} else if (test_random_below(seed, 8) == 0) {
		cut_at(key, seed);
	}
}

static void check_tree(void)
{
	const char *what = "";

	if (!mm__vma_tree_valid(&tree, count, &what))
		test_fail(__FILE__, __LINE__, "%s", what);
}

TEST(mm_vma_tree, random_changes_leave_it_as_an_array_would_be)
{
	uint64_t seed = test_seed("mm_vma_tree_random");

	CHECK(mm__os_thread_attach());

	for (unsigned int round = 0; round < 30; round++) {
		/* The number of mappings grows, stays, shrinks. */
		uint64_t growth = round % 3 == 0 ? 9 : round % 3 == 1 ? 5 : 1;

		for (unsigned int i = 0; i < test_scale(60000); i++) {
			uint64_t low = test_random_below(&seed, KEYS);
			uint64_t before = count ? count - 1 : 0;

			step(&seed, growth);
			/* Always while the tree is small, else now and then. */
			if (count < 64 || count < before)
				check_tree();
			check_find(test_random_below(&seed, KEYS + 10) % KEYS);
			if (i % 16)
				continue;
			check_lists(low);
			check_gap(1 + test_random_below(&seed, 40), 0, KEYS);
			check_lowest_gap(1 + test_random_below(&seed, 40), low, KEYS);
			check_lowest_gap(1 + test_random_below(&seed, 10), 0, low);
			check_gap(1 + test_random_below(&seed, 10), low,
				  low + 1 + test_random_below(&seed, KEYS - low));
			if (i % 256 == 0)
				check_tree();
		}
	}
	CHECK(in_place > 1000);
	mm__vma_tree_destroy(&tree);
}

/* The number of mappings that gives the tree four levels. Ranges of any size are erased. */
#define MANY 20000u

static uint64_t erase_some(struct mm__vma_tree *many, bool *present, uint64_t *seed)
{
	uint64_t size = test_random_below(seed, 2) ? MANY / 2 : 300;
	uint64_t start = test_random_below(seed, MANY);
	uint64_t end = start + 1 + test_random_below(seed, size);
	uint64_t n = 0;

	if (end > MANY)
		end = MANY;
	for (uint64_t i = start; i < end; i++)
		n += present[i];
	if (!n)
		return 0;
	memset(present + start, 0, (end - start) * sizeof(*present));
	begin_edit(many, start * 2, end * 2, true);
	mm__vma_tree_erase_range(&edit, start * 2, end * 2, n);
	end_edit(many);
	return n;
}

static uint64_t insert_some(struct mm__vma_tree *many, bool *present, uint64_t *seed)
{
	uint64_t inserted = 0;
	uint64_t first = test_random_below(seed, MANY);
	uint64_t step_size = test_random_below(seed, 2) ? 1 : 7919;

	for (uint64_t n = test_random_below(seed, MANY), i = first; n--;
	     i = (i + step_size) % MANY) {
		struct mm__mapping m = { i * 2, i * 2 + 1, new_vma() };

		if (present[i])
			continue;
		present[i] = true;
		begin_edit(many, m.start, m.end, false);
		mm__vma_tree_clear(&edit, m.start, m.end);
		mm__vma_tree_insert(&edit, &m);
		end_edit(many);
		inserted++;
	}
	return inserted;
}

TEST(mm_vma_tree, ranges_of_any_size_can_be_erased)
{
	static struct mm__vma_tree many;
	static bool present[MANY];
	uint64_t seed = test_seed("mm_vma_tree_ranges");
	const char *what = "";
	uint64_t erased = 0;
	uint64_t present_now = 0;

	CHECK(mm__os_thread_attach());
	for (unsigned int i = 0; i < test_scale(400); i++) {
		struct mm__mapping m;
		uint64_t gone;

		prefers_place = i % 2;
		if (i % 8 == 0)
			present_now += insert_some(&many, present, &seed);
		gone = erase_some(&many, present, &seed);
		erased += gone;
		present_now -= gone;
		if (!mm__vma_tree_valid(&many, present_now, &what))
			test_fail(__FILE__, __LINE__, "%s", what);
		for (uint64_t j = 0; j < MANY; j += 1 + test_random_below(&seed, 3))
			CHECK_EQ(mm__vma_tree_at(&many, j * 2, &m), present[j]);
	}
	CHECK(erased > 1000);
	mm__rcu_barrier();
	mm__vma_tree_destroy(&many);
}
