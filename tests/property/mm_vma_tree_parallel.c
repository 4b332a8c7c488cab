/* SPDX-License-Identifier: MIT */
/*
 * Readers of the VMA tree beside a writer, which edits in place or with the lock. Steady mappings
 * exist all the time, though their bounds and VMAs change: readers must find them whenever they
 * look. Other mappings come and go: readers may find them or not, but the parts of a result must
 * fit together. Each mapping has a VMA of its own, which records where it is mapped. RCU frees VMAs
 * like the nodes of the tree.
 */
#include "mm/attach.h"
#include "mm/rcu.h"
#include "mm/vma_tree.h"
#include "threads.h"

#define KEYS    4000u
#define READERS 3u
#define NOTHING UINT64_MAX

/* No other mapping ever contains the key of a steady mapping. */
struct mm__vma {
	struct mm__garbage garbage;
	uint64_t start;
	uint64_t end;
	uint64_t steady; /* the key that the mapping always contains; NOTHING: the mapping comes and
			    goes */
};

struct world {
	struct mm__vma_tree tree;
	struct mm__vma_edit edit;
	struct mm__vma_budget budget;
	uint64_t count; /* of mappings */
	uint64_t in_place;
	bool prefers_place; /* an edit is in place if it can be */
	uint64_t between;   /* steady mappings: the distance from one to the next */
	struct mm__vma *owner[KEYS];
	struct mm__garbage *garbage;
	atomic_bool stop;
	atomic_uint ready;
};

struct reader {
	struct world *world;
	uint64_t seed;
};

static uint64_t steady_key(const struct world *world, uint64_t i)
{
	return i * world->between + world->between / 2;
}

static void look_at(struct world *world, uint64_t key, uint64_t steady)
{
	struct mm__mapping m;
	bool found;

	mm__rcu_read_lock();
	found = mm__vma_tree_at(&world->tree, key, &m);
	CHECK(found || steady == NOTHING);
	if (found) {
		CHECK(m.start <= key && key < m.end);
		CHECK_EQ(m.vma->start, m.start);
		CHECK_EQ(m.vma->end, m.end);
		if (steady != NOTHING)
			CHECK_EQ(m.vma->steady, steady);
	}
	mm__rcu_read_unlock();
}

static void *read_all_the_time(void *arg)
{
	struct reader *reader = arg;
	struct world *world = reader->world;

	CHECK(mm__os_thread_attach());
	atomic_fetch_add(&world->ready, 1);
	while (!atomic_load_explicit(&world->stop, memory_order_relaxed)) {
		uint64_t i = test_random_below(&reader->seed, KEYS / world->between);

		look_at(world, steady_key(world, i), steady_key(world, i));
		look_at(world, test_random_below(&reader->seed, KEYS), NOTHING);
	}
	return NULL;
}

/*
 * The writer
 */

static void throw_away(struct world *world, struct mm__garbage *garbage)
{
	garbage->free = NULL;
	garbage->next = world->garbage;
	world->garbage = garbage;
}

static struct mm__mapping new_mapping(uint64_t start, uint64_t end, uint64_t steady)
{
	struct mm__vma *vma = malloc(sizeof(*vma));

	CHECK(vma);
	vma->start = start;
	vma->end = end;
	vma->steady = steady;
	return (struct mm__mapping){ start, end, vma };
}

static void set_owner(struct world *world, const struct mm__mapping *m, struct mm__vma *vma)
{
	for (uint64_t i = m->start; i < m->end; i++)
		world->owner[i] = vma;
}

static void begin_edit(struct world *world, uint64_t start, uint64_t end, bool unmaps)
{
	struct mm__vma_needs needs = { .now = 2 };

	world->edit = (struct mm__vma_edit){ .tree = &world->tree };
	mm__rcu_read_lock();
	if (world->prefers_place &&
	    mm__vma_edit_in_place(&world->edit, &world->tree, start, end, 1, unmaps)) {
		world->in_place++;
		return;
	}
	mm__rcu_read_unlock();
	if (world->edit.widens)
		mm__vma_tree_widen(&world->tree, start, end);
	CHECK_EQ(mm__vma_tree_reserve(&world->tree, &world->budget, &needs), 0);
	mm__vma_edit_locked(&world->edit, &world->tree, &world->budget, start, end);
}

static void keep_retired(struct world *world)
{
	struct mm__garbage *retired = mm__vma_tree_take_retired(&world->tree);
	struct mm__garbage *last = retired;

	if (!retired)
		return;
	while (last->next)
		last = last->next;
	last->next = world->garbage;
	world->garbage = retired;
}

static void tidy(struct world *world, uint64_t addr, bool divides)
{
	struct mm__vma_needs needs = { .now = MM__TIDY_CHANGES };
	struct mm__vma_edit edit = { .tree = &world->tree };
	static uint64_t now;

	CHECK_EQ(mm__vma_tree_reserve(&world->tree, &world->budget, &needs), 0);
	mm__vma_edit_locked(&edit, &world->tree, &world->budget, addr, addr + 1);
	mm__vma_tree_tidy(&edit, addr, divides, now += 1000000);
	mm__vma_edit_end(&edit);
	mm__vma_tree_release(&world->tree, &world->budget);
	keep_retired(world);
}

static void end_edit(struct world *world)
{
	bool in_place = world->edit.border;

	mm__vma_edit_end(&world->edit);
	if (in_place) {
		mm__rcu_read_unlock();
	} else {
		mm__vma_tree_release(&world->tree, &world->budget);
		keep_retired(world);
	}
	if (world->edit.tidy)
		tidy(world, world->edit.tidy, world->edit.divides);
}

static void insert(struct world *world, const struct mm__mapping *m)
{
	begin_edit(world, m->start, m->end, false);
	mm__vma_tree_clear(&world->edit, m->start, m->end);
	mm__vma_tree_insert(&world->edit, m);
	end_edit(world);
	world->count++;
	set_owner(world, m, m->vma);
}

static void erase(struct world *world, struct mm__vma *vma)
{
	struct mm__mapping m = { vma->start, vma->end, NULL };

	begin_edit(world, m.start, m.end, true);
	mm__vma_tree_erase(&world->edit, m.start);
	end_edit(world);
	world->count--;
	set_owner(world, &m, NULL);
	throw_away(world, &vma->garbage);
}

/* Erases all mappings between two steady ones. */
static void erase_range(struct world *world, uint64_t key)
{
	uint64_t start = key, end = key, n = 0;

	while (start && (!world->owner[start - 1] || world->owner[start - 1]->steady == NOTHING))
		start--;
	while (end < KEYS && (!world->owner[end] || world->owner[end]->steady == NOTHING))
		end++;
	for (uint64_t i = start; i < end; i++) {
		struct mm__vma *vma = world->owner[i];

		if (!vma || vma->start != i)
			continue;
		n++;
		throw_away(world, &vma->garbage);
	}
	for (uint64_t i = start; i < end; i++)
		world->owner[i] = NULL;
	begin_edit(world, start, end, true);
	mm__vma_tree_erase_range(&world->edit, start, end, n);
	end_edit(world);
	world->count -= n;
}

/*
 * New bounds and a new VMA: the mapping shrinks, or grows on one side as far as neighbours allow.
 */
static void set(struct world *world, struct mm__vma *vma, uint64_t *seed)
{
	struct mm__mapping old = { vma->start, vma->end, NULL };
	struct mm__mapping m = old;
	uint64_t inside = vma->steady != NOTHING ? vma->steady : vma->start;
	unsigned int how = (unsigned int)test_random_below(seed, 3);

	if (how == 0) {
		m.start += test_random_below(seed, inside - m.start + 1);
		m.end -= test_random_below(seed, m.end - inside);
	} else {
		while (how == 1 && m.start && m.end - m.start < 80 && !world->owner[m.start - 1])
			m.start--;
		while (how == 2 && m.end < KEYS && m.end - m.start < 80 && !world->owner[m.end])
			m.end++;
		m.start += test_random_below(seed, old.start - m.start + 1);
		m.end -= test_random_below(seed, m.end - old.end + 1);
		if (m.start == old.start && m.end == old.end)
			return;
	}
	m = new_mapping(m.start, m.end, vma->steady);
	if (how == 0)
		begin_edit(world, old.start, old.end, true);
	else if (how == 1)
		begin_edit(world, m.start, old.start, false);
	else
		begin_edit(world, old.end, m.end, false);
	if (how)
		mm__vma_tree_clear(&world->edit, how == 1 ? m.start : old.end,
				   how == 1 ? old.start : m.end);
	mm__vma_tree_set(&world->edit, old.start, &m);
	end_edit(world);
	set_owner(world, &old, NULL);
	set_owner(world, &m, m.vma);
	throw_away(world, &vma->garbage);
}

static void insert_around(struct world *world, uint64_t key, uint64_t *seed)
{
	uint64_t length = 1 + test_random_below(seed, test_random_below(seed, 50) ? 2 : 100);
	uint64_t end = key + 1;
	struct mm__mapping m;

	while (end < KEYS && end < key + length && !world->owner[end])
		end++;
	m = new_mapping(key, end, NOTHING);
	insert(world, &m);
}

static void step(struct world *world, uint64_t growth, uint64_t *seed)
{
	uint64_t key = test_random_below(seed, KEYS);
	struct mm__vma *vma = world->owner[key];
	bool grow = test_random_below(seed, 10) < growth;

	world->prefers_place = test_random_below(seed, 4);
	if (test_random_below(seed, 100) == 0)
		tidy(world, 1 + key, test_random_below(seed, 2));
	else if (!vma && grow)
		insert_around(world, key, seed);
	else if (vma && (grow || vma->steady != NOTHING))
		set(world, vma, seed);
	else if (vma && test_random_below(seed, 100) == 0)
		erase_range(world, key);
	else if (vma)
		erase(world, vma);
	mm__rcu_free(world->garbage);
	world->garbage = NULL;
}

static void check_tree(struct world *world)
{
	const char *what = "";

	if (!mm__vma_tree_valid(&world->tree, world->count, &what))
		test_fail(__FILE__, __LINE__, "%s", what);
}

static void write_for_a_while(struct world *world, uint64_t *seed)
{
	for (unsigned int round = 0; round < 12; round++) {
		uint64_t growth = round % 3 == 0 ? 9 : round % 3 == 1 ? 5 : 0;

		for (unsigned int i = 0; i < test_scale(40000); i++) {
			step(world, growth, seed);
			if (i % 1024 == 0)
				check_tree(world);
		}
		/* Frees the garbage, so that it does not pile up. */
		mm__rcu_barrier();
	}
}

static void run(uint64_t between, const char *name)
{
	static struct world world;
	uint64_t seed = test_seed(name);
	struct reader readers[READERS];
	pthread_t threads[READERS];

	CHECK(mm__os_thread_attach());
	mm__vma_tree_init(&world.tree);
	world.budget = (struct mm__vma_budget){ 0, { 0, 0 } };
	world.between = between;
	for (uint64_t i = 0; i < KEYS / between; i++) {
		uint64_t key = steady_key(&world, i);
		struct mm__mapping m = new_mapping(key, key + 1, key);

		insert(&world, &m);
	}
	atomic_init(&world.stop, false);
	atomic_init(&world.ready, 0);
	for (unsigned int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ &world, test_random(&seed) };
		threads[i] = thread_start(read_all_the_time, &readers[i]);
	}
	AWAIT(atomic_load(&world.ready) == READERS);
	write_for_a_while(&world, &seed);
	atomic_store(&world.stop, true);
	for (unsigned int i = 0; i < READERS; i++)
		thread_join(threads[i]);
	check_tree(&world);
	for (uint64_t i = 0; i < KEYS; i++) {
		if (world.owner[i])
			erase(&world, world.owner[i]);
	}
	CHECK_EQ(world.count, 0);
	CHECK(world.in_place > 1000);
	world.in_place = 0;
	mm__rcu_free(world.garbage);
	world.garbage = NULL;
	mm__rcu_barrier();
	mm__vma_tree_destroy(&world.tree);
}

/* Many mappings: the tree has at least two levels. */
TEST(mm_vma_tree_parallel, readers_find_permanent_vmas_among_many)
{
	run(40, "mm_vma_tree_parallel/many");
}

/* Few mappings: the tree shrinks to one border node again and again. */
TEST(mm_vma_tree_parallel, readers_find_permanent_vmas_among_few)
{
	run(1000, "mm_vma_tree_parallel/few");
}
