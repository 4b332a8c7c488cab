/* SPDX-License-Identifier: MIT */
/*
 * Border nodes of the VMA tree that change in place: a reader beside an edit, and edits beside each
 * other.
 */
#include "mm/attach.h"
#include "mm/vma.h"
#include "mm/vma_erase.h"
#include "mm/vma_node.h"
#include "stepper.h"

#define VMA(n) ((struct mm__vma *)(uintptr_t)(n))

static struct mm__vma_tree tree;
static struct mm__vma_budget budget;
static struct mm__vma_edit edit;

static void put(uint64_t start, uint64_t end, uintptr_t vma)
{
	struct mm__mapping m = { start, end, VMA(vma) };

	mm__vma_tree_insert(&edit, &m);
}

/* With the VMA tree lock. */
static void begin_locked(struct mm__vma_edit *locked, uint64_t start, uint64_t end)
{
	struct mm__vma_needs needs = { .now = 3 };

	CHECK_EQ(mm__vma_tree_reserve(&tree, &budget, &needs), 0);
	*locked = (struct mm__vma_edit){ .tree = &tree };
	mm__vma_edit_locked(locked, &tree, &budget, start, end);
}

static void end_locked(struct mm__vma_edit *locked)
{
	mm__vma_edit_end(locked);
	mm__vma_tree_release(&tree, &budget);
	mm__rcu_free(mm__vma_tree_take_retired(&tree));
}

static void begin(uint64_t start, uint64_t end, bool unmaps)
{
	mm__rcu_read_lock();
	CHECK(mm__vma_edit_in_place(&edit, &tree, start, end, 1, unmaps));
}

static void end(void)
{
	mm__vma_edit_end(&edit);
	mm__rcu_read_unlock();
}

/* A tree of one border node with one mapping. */
static struct border *plant(void)
{
	CHECK(mm__os_thread_attach());
	mm__vma_tree_init(&tree);
	begin_locked(&edit, 100, 110);
	put(100, 110, 1);
	end_locked(&edit);
	return mm__border(mm__root(&tree));
}

static void uproot(void)
{
	mm__rcu_barrier();
	mm__vma_tree_destroy(&tree);
}

static bool is_waited_for(struct border *border)
{
	return atomic_load(&border->lock.waiters);
}

static struct mm__mapping seen;
static atomic_bool has_seen;

static void *look_up(void *arg)
{
	(void)arg;
	CHECK(mm__os_thread_attach());
	mm__rcu_read_lock();
	CHECK(mm__vma_tree_at(&tree, 105, &seen));
	mm__rcu_read_unlock();
	atomic_store(&has_seen, true);
	return NULL;
}

TEST(mm_border, a_reader_sees_all_of_an_edit_or_nothing)
{
	struct border *border = plant();
	struct mm__mapping m = { 100, 120, VMA(2) };
	pthread_t thread;

	atomic_store(&has_seen, false);
	begin(110, 130, false);
	mm__vma_tree_set(&edit, 100, &m);
	thread = thread_start(look_up, NULL);
	AWAIT(is_waited_for(border) || atomic_load(&has_seen));
	m = (struct mm__mapping){ 100, 130, VMA(3) };
	mm__vma_tree_set(&edit, 100, &m);
	end();
	thread_join(thread);
	CHECK_EQ(seen.end, 130);
	CHECK(seen.vma == VMA(3));
	uproot();
}

static void *put_in_place(void *arg)
{
	(void)arg;
	CHECK(mm__os_thread_attach());
	begin(200, 210, false);
	put(200, 210, 4);
	end();
	return NULL;
}

TEST(mm_border, an_edit_in_place_is_not_lost_in_a_replaced_border_node)
{
	struct border *border = plant();
	struct mm__vma_edit locked;
	struct mm__mapping m = { 100, 105, VMA(5) };
	pthread_t thread;

	begin_locked(&locked, 100, 110);
	thread = thread_start(put_in_place, NULL);
	AWAIT(is_waited_for(border));
	mm__vma_tree_set(&locked, 100, &m);
	mm__vma_tree_refill(&locked, 100);
	end_locked(&locked);
	thread_join(thread);
	CHECK(mm__root(&tree) != &border->node);
	CHECK(mm__vma_tree_at(&tree, 104, &m));
	CHECK(mm__vma_tree_at(&tree, 205, &m));
	uproot();
}

static void *replace_border(void *arg)
{
	struct mm__mapping m = { 100, 105, VMA(5) };
	struct mm__vma_edit locked;

	(void)arg;
	CHECK(mm__os_thread_attach());
	begin_locked(&locked, 100, 110);
	mm__vma_tree_set(&locked, 100, &m);
	mm__vma_tree_refill(&locked, 100);
	end_locked(&locked);
	return NULL;
}

TEST(mm_border, a_border_node_is_not_replaced_during_an_edit_in_place)
{
	struct border *border = plant();
	struct mm__mapping m;
	pthread_t thread;

	begin(200, 210, false);
	thread = thread_start(replace_border, NULL);
	AWAIT(is_waited_for(border) || mm__root(&tree) != &border->node);
	put(200, 210, 4);
	end();
	thread_join(thread);
	CHECK(mm__vma_tree_at(&tree, 104, &m));
	CHECK(mm__vma_tree_at(&tree, 205, &m));
	uproot();
}

/*
 * A tree of two border nodes with a key between middle and 199. Two of its three mappings are below
 * the key, of which the upper one ends at middle.
 */
static void plant_two(uint64_t middle)
{
	plant();
	begin(130, middle, false);
	put(130, middle, 6);
	put(200, 210, 7);
	end();
	begin_locked(&edit, 160, 170);
	mm__vma_tree_tidy(&edit, 160, true, 1);
	end_locked(&edit);
	CHECK_EQ(tree.levels, 2);
}

TEST(mm_border, an_edit_in_place_does_not_go_over_a_key)
{
	plant_two(140);
	mm__rcu_read_lock();
	CHECK(!mm__vma_edit_in_place(&edit, &tree, 150, 170, 1, false));
	CHECK(!mm__vma_edit_in_place(&edit, &tree, 150, 160, 1, false));
	CHECK(!mm__vma_edit_in_place(&edit, &tree, 160, 170, 1, false));
	mm__rcu_read_unlock();
	begin(150, 159, false);
	end();
	begin(161, 170, false);
	end();
	uproot();
}

/* A mapping grows over the key, and then touches mappings of the border node. */
TEST(mm_border, a_border_node_knows_that_a_key_has_moved_into_it)
{
	struct mm__mapping m = { 130, 170, VMA(8) };

	plant_two(160);
	begin_locked(&edit, 160, 170);
	mm__vma_tree_clear(&edit, 160, 170);
	mm__vma_tree_set(&edit, 130, &m);
	end_locked(&edit);
	CHECK_EQ(tree.levels, 2);
	CHECK(mm__vma_tree_at(&tree, 165, &m));
	mm__rcu_read_lock();
	CHECK(!mm__vma_edit_in_place(&edit, &tree, 170, 180, 1, false));
	mm__rcu_read_unlock();
	begin(171, 180, false);
	end();
	uproot();
}

TEST(mm_border, an_edit_in_place_does_not_make_gaps_that_a_search_would_miss)
{
	uint64_t addr;

	plant_two(140);
	begin(110, 130, false);
	put(110, 130, 9);
	end();
	/* The search makes the recorded bounds as narrow as possible. */
	CHECK(!mm__vma_tree_highest_gap(&tree, 10, 100, 140, &addr));
	mm__rcu_read_lock();
	CHECK(!mm__vma_edit_in_place(&edit, &tree, 110, 130, 1, true));
	mm__rcu_read_unlock();
	CHECK(edit.widens);
	mm__vma_tree_widen(&tree, 110, 130);
	begin(110, 130, true);
	mm__vma_tree_erase(&edit, 110);
	end();
	CHECK(mm__vma_tree_highest_gap(&tree, 10, 100, 140, &addr));
	CHECK_EQ(addr, 120);
	uproot();
}

static atomic_bool has_tried;

/* An edit that moves a mapping from the upper border node to the lower one. */
static void *begin_second(void *arg)
{
	struct mm__vma_edit first;
	struct mm__vma_edit second;

	(void)arg;
	CHECK(mm__os_thread_attach());
	mm__rcu_read_lock();
	CHECK(mm__vma_edit_in_place(&first, &tree, 200, 210, 2, false));
	CHECK(!mm__vma_edit_second(&second, &first, 220, 230, 2, false));
	CHECK(!second.busy);
	if (mm__vma_edit_second(&second, &first, 120, 130, 2, false))
		mm__vma_edit_end(&second);
	CHECK(second.busy);
	atomic_store(&has_tried, true);
	mm__vma_edit_end(&first);
	mm__rcu_read_unlock();
	return NULL;
}

/*
 * Another thread may hold the second border node and wait for the first, or for the VMA tree lock.
 */
TEST(mm_border, a_second_edit_in_place_waits_for_no_other_thread)
{
	struct border *border;
	pthread_t thread;
	uint64_t low, high;

	plant_two(140);
	border = mm__border_of(&tree, 120, &low, &high);
	atomic_store(&has_tried, false);
	begin(130, 140, false);
	thread = thread_start(begin_second, NULL);
	AWAIT(is_waited_for(border) || atomic_load(&has_tried));
	CHECK(!is_waited_for(border));
	end();
	thread_join(thread);
	uproot();
}

static void *protect_15(void *mm)
{
	CHECK_EQ(mm_mprotect(mm, AT(30), PAGES(1), RW), 0);
	return NULL;
}

static struct border *border_at(struct mm *mm, uint64_t addr)
{
	uint64_t low, high;

	return mm__border_of(&mm->vmas, addr, &low, &high);
}

/*
 * Two threads change a border node in turn. The border node is to be divided when this thread
 * changes it next.
 */
static struct border *strain_border(struct mm *mm)
{
	struct border *border;

	for (unsigned int i = 0; i < 40; i++)
		map(mm, 2 * i, 1, RW);
	border = border_at(mm, AT(24));
	CHECK(border == border_at(mm, AT(30)));
	while (border->strain < MM__STRAIN_SPLIT - MM__STRAIN_STEP) {
		CHECK_EQ(mm_mprotect(mm, AT(24), PAGES(1), RW), 0);
		thread_join(thread_start(protect_15, mm));
	}
	return border;
}

/* The edit cannot begin, because it needs wider bounds. Then it begins anew. */
TEST(mm_border, an_edit_that_begins_twice_divides_a_border_node_that_the_first_attempt_found)
{
	struct mm *mm = new_space();
	uint32_t before;

	strain_border(mm);
	before = mm__root(&mm->vmas)->count;
	unmap(mm, 24, 1);
	CHECK_EQ(mm__root(&mm->vmas)->count, before + 1);
	CHECK(border_at(mm, AT(24)) != border_at(mm, AT(30)));
	end_space(mm);
}

/* The edit cannot begin in place, because its range ends in the next border node. */
TEST(mm_border, a_change_that_needs_the_lock_divides_a_border_node_that_it_found_in_place)
{
	struct mm *mm = new_space();
	struct border *border = strain_border(mm);
	uint32_t before = mm__root(&mm->vmas)->count;
	unsigned int next = 32;

	while (border_at(mm, AT(next)) == border)
		next += 2;
	CHECK(next > 34);
	/* There is no mapping between the two. */
	CHECK_EQ(mm_mprotect(mm, AT(next - 2), PAGES(3), RW), ENOMEM);
	CHECK_EQ(mm__root(&mm->vmas)->count, before + 1);
	CHECK(border_at(mm, AT(next - 2)) != border_at(mm, AT(30)));
	end_space(mm);
}
