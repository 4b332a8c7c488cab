/* SPDX-License-Identifier: MIT */
/*
 * Readers of the area tree beside a writer. Some mappings are there all the time, though their
 * bounds and areas change: readers must find them whenever they look. Others come and go: readers
 * may find them or not, but what they find must fit together. Areas say where they are mapped, are
 * made for one mapping, and are freed through RCU as the tree's nodes are.
 */
#include "mm/area_tree.h"
#include "mm/cpu.h"
#include "mm/rcu.h"
#include "threads.h"

#define KEYS    4000u
#define READERS 3u
#define NOTHING UINT64_MAX

/* The key of a steady mapping is never another's. */
struct mm__area {
	struct mm__garbage garbage;
	uint64_t start;
	uint64_t end;
	uint64_t steady; /* the key that it always contains; NOTHING: it comes and goes */
};

struct world {
	struct mm__area_tree tree;
	struct mm__area_budget budget;
	uint64_t between; /* steady mappings: this is how far one is from the next */
	struct mm__area *owner[KEYS];
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
	found = mm__area_tree_at(&world->tree, key, &m);
	CHECK(found || steady == NOTHING);
	if (found) {
		CHECK(m.start <= key && key < m.end);
		CHECK_EQ(m.area->start, m.start);
		CHECK_EQ(m.area->end, m.end);
		if (steady != NOTHING)
			CHECK_EQ(m.area->steady, steady);
	}
	mm__rcu_read_unlock();
}

static void *read_all_the_time(void *arg)
{
	struct reader *reader = arg;
	struct world *world = reader->world;

	CHECK(mm__thread_attach());
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
	struct mm__area *area = malloc(sizeof(*area));

	CHECK(area);
	area->start = start;
	area->end = end;
	area->steady = steady;
	return (struct mm__mapping){ start, end, area };
}

static void set_owner(struct world *world, const struct mm__mapping *m, struct mm__area *area)
{
	for (uint64_t i = m->start; i < m->end; i++)
		world->owner[i] = area;
}

static void reserve(struct world *world)
{
	struct mm__area_needs needs = { .now = 1 };

	mm__area_tree_release(&world->tree, &world->budget);
	CHECK_EQ(mm__area_tree_reserve(&world->tree, &world->budget, &needs), 0);
}

static void insert(struct world *world, const struct mm__mapping *m)
{
	reserve(world);
	mm__area_tree_insert(&world->tree, &world->budget, m);
	set_owner(world, m, m->area);
}

static void erase(struct world *world, struct mm__area *area)
{
	struct mm__mapping m = { area->start, area->end, NULL };

	reserve(world);
	mm__area_tree_erase(&world->tree, &world->budget, m.start);
	set_owner(world, &m, NULL);
	throw_away(world, &area->garbage);
}

/* All that lies between two steady mappings, which stay. */
static void erase_range(struct world *world, uint64_t key)
{
	uint64_t start = key, end = key, n = 0;

	while (start && (!world->owner[start - 1] || world->owner[start - 1]->steady == NOTHING))
		start--;
	while (end < KEYS && (!world->owner[end] || world->owner[end]->steady == NOTHING))
		end++;
	for (uint64_t i = start; i < end; i++) {
		struct mm__area *area = world->owner[i];

		if (!area || area->start != i)
			continue;
		n++;
		throw_away(world, &area->garbage);
	}
	for (uint64_t i = start; i < end; i++)
		world->owner[i] = NULL;
	reserve(world);
	mm__area_tree_erase_range(&world->tree, &world->budget, start, end, n);
}

/* Other bounds, and another area, between the neighbours. */
static void set(struct world *world, struct mm__area *area, uint64_t *seed)
{
	struct mm__mapping old = { area->start, area->end, NULL };
	uint64_t lo = area->start, hi = area->end, start, end;
	struct mm__mapping m;

	while (lo && hi - lo < 40 && !world->owner[lo - 1])
		lo--;
	while (hi < KEYS && hi - lo < 80 && !world->owner[hi])
		hi++;
	if (area->steady != NOTHING) {
		start = lo + test_random_below(seed, area->steady - lo + 1);
		end = area->steady + 1 + test_random_below(seed, hi - area->steady);
	} else {
		start = lo + test_random_below(seed, hi - lo);
		end = start + 1 + test_random_below(seed, hi - start);
	}
	m = new_mapping(start, end, area->steady);
	reserve(world);
	mm__area_tree_set(&world->tree, &world->budget, old.start, &m);
	set_owner(world, &old, NULL);
	set_owner(world, &m, m.area);
	throw_away(world, &area->garbage);
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
	struct mm__area *area = world->owner[key];
	bool grow = test_random_below(seed, 10) < growth;
	struct mm__garbage *retired;

	if (!area && grow)
		insert_around(world, key, seed);
	else if (area && (grow || area->steady != NOTHING))
		set(world, area, seed);
	else if (area && test_random_below(seed, 100) == 0)
		erase_range(world, key);
	else if (area)
		erase(world, area);
	while ((retired = mm__area_tree_take_retired(&world->tree))) {
		struct mm__garbage *last = retired;

		while (last->next)
			last = last->next;
		last->next = world->garbage;
		world->garbage = retired;
	}
	mm__rcu_free(world->garbage);
	world->garbage = NULL;
}

static void check_tree(struct world *world)
{
	const char *what = "";

	if (!mm__area_tree_valid(&world->tree, &what))
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
		/* What is not freed yet does not pile up. */
		mm__rcu_barrier();
	}
}

static void run(uint64_t between, const char *name)
{
	static struct world world;
	uint64_t seed = test_seed(name);
	struct reader readers[READERS];
	pthread_t threads[READERS];

	mm__area_tree_init(&world.tree);
	world.budget = (struct mm__area_budget){ 0, { 0, 0 } };
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
	CHECK_EQ(world.tree.count, 0);
	mm__rcu_free(world.garbage);
	world.garbage = NULL;
	mm__rcu_barrier();
	mm__area_tree_destroy(&world.tree);
}

/* Many: the tree has two levels at least. */
TEST(mm_area_tree_parallel, readers_find_what_is_always_there_among_many)
{
	run(40, "mm_area_tree_parallel/many");
}

/* Few: the tree shrinks to a leaf again and again. */
TEST(mm_area_tree_parallel, readers_find_what_is_always_there_among_few)
{
	run(1000, "mm_area_tree_parallel/few");
}
