/* SPDX-License-Identifier: MIT */
/*
 * The limit of VMAs is exact, although threads keep room of their own. As in Linux, a space has
 * attr.max_areas VMAs and one more when no thread can map any more, and each VMA that is unmapped
 * makes room for one. After a look for room, and before it counts the VMA, the library allocates
 * the VMA's memory. The linker redirects that call to this file, where other threads run meanwhile.
 */
#include "mm/space.h"
#include "spaces.h"
#include "threads.h"

#define THREADS 8u
/*
 * The distance in pages between the places of two threads, which thus map in different border
 * nodes.
 */
#define APART 100000u

struct team {
	struct mm *mm;
	pthread_barrier_t barrier;
	unsigned int number; /* the number of the next member */
	pthread_mutex_t lock;
};

static atomic_bool yields;

bool __real_mm__vmas_stock(unsigned int n);
bool __wrap_mm__vmas_stock(unsigned int n);

bool __wrap_mm__vmas_stock(unsigned int n)
{
	for (unsigned int i = 0; i < 4 && atomic_load(&yields); i++)
		sched_yield();
	return __real_mm__vmas_stock(n);
}

/* Maps one page, not adjacent to another one. */
static int map_one(struct mm *mm, unsigned int place, unsigned int i)
{
	return try_map(mm, AT(place * APART + 2 * i), PAGES(1), PRIVATE | MM_MAP_FIXED);
}

static void unmap_one(struct mm *mm, unsigned int place, unsigned int i)
{
	CHECK_EQ(mm_munmap(mm, AT(place * APART + 2 * i), PAGES(1)), 0);
}

/* Maps pages from the i-th on until there is no room. Returns the number of pages then. */
static unsigned int fill(struct mm *mm, unsigned int place, unsigned int i)
{
	int error;

	while (!(error = map_one(mm, place, i)))
		i++;
	CHECK_EQ(error, ENOMEM);
	return i;
}

static unsigned int join(struct team *team)
{
	unsigned int number;

	pthread_mutex_lock(&team->lock);
	number = team->number++;
	pthread_mutex_unlock(&team->lock);
	return number;
}

static void begin(struct team *team, uint64_t max_areas)
{
	*team = (struct team){ .mm = new_space_of_vmas(max_areas) };
	CHECK_EQ(pthread_barrier_init(&team->barrier, NULL, THREADS), 0);
	CHECK_EQ(pthread_mutex_init(&team->lock, NULL), 0);
}

static void run(struct team *team, void *(*member)(void *))
{
	pthread_t threads[THREADS];

	atomic_store(&yields, true);
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(member, team);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	atomic_store(&yields, false);
}

static void end(struct team *team)
{
	end_space(team->mm);
	pthread_barrier_destroy(&team->barrier);
	pthread_mutex_destroy(&team->lock);
}

/*
 * Each thread maps until there is no room. Then all threads together have as many VMAs as allowed.
 */
static void *map_all(void *arg)
{
	struct team *team = arg;
	unsigned int self = join(team);

	for (unsigned int round = 0; round < test_scale(20); round++) {
		unsigned int n;

		pthread_barrier_wait(&team->barrier);
		n = fill(team->mm, self, 0);
		pthread_barrier_wait(&team->barrier);
		if (!self)
			CHECK_EQ(stats_of(team->mm).areas, team->mm->attr.max_areas + 1);
		pthread_barrier_wait(&team->barrier);
		for (unsigned int i = 0; i < n; i++)
			unmap_one(team->mm, self, i);
	}
	return NULL;
}

static void check_limit(uint64_t max_areas)
{
	struct team team;

	begin(&team, max_areas);
	run(&team, map_all);
	CHECK_EQ(stats_of(team.mm).areas, 0);
	end(&team);
}

TEST(mm_room, threads_have_as_many_vmas_together_as_one_could)
{
	check_limit(400);
}

TEST(mm_room, a_limit_below_the_room_that_a_thread_keeps_is_exact)
{
	check_limit(20);
	check_limit(1);
	check_limit(0);
}

/* A thread that unmaps or maps one page when the test tells it to, and does not end. */
struct helper {
	struct mm *mm;
	pthread_t thread;
	sem_t go;
	sem_t done;
	bool over;
	bool maps;
	unsigned int place;
	unsigned int i;
	int error;
};

static void *help(void *arg)
{
	struct helper *h = arg;

	for (;;) {
		sem_await(&h->go);
		if (h->over)
			return NULL;
		if (h->maps)
			h->error = map_one(h->mm, h->place, h->i);
		else
			unmap_one(h->mm, h->place, h->i);
		sem_post(&h->done);
	}
}

static void start_helper(struct helper *h, struct mm *mm)
{
	*h = (struct helper){ .mm = mm };
	CHECK_EQ(sem_init(&h->go, 0, 0), 0);
	CHECK_EQ(sem_init(&h->done, 0, 0), 0);
	h->thread = thread_start(help, h);
}

static void end_helper(struct helper *h)
{
	h->over = true;
	sem_post(&h->go);
	thread_join(h->thread);
	sem_destroy(&h->go);
	sem_destroy(&h->done);
}

static int helped(struct helper *h, bool maps, unsigned int place, unsigned int i)
{
	h->maps = maps;
	h->place = place;
	h->i = i;
	sem_post(&h->go);
	sem_await(&h->done);
	return h->error;
}

/* The room of a page that one thread unmaps serves any other thread that has no room of its own. */
static void pass_on(struct mm *mm, struct helper *from, struct helper *to, unsigned int i)
{
	helped(from, false, 0, i);
	CHECK_EQ(helped(to, true, 1, i), 0);
	CHECK_EQ(helped(to, true, 2, i), ENOMEM);
	CHECK_EQ(helped(from, true, 2, i), ENOMEM);
	CHECK_EQ(map_one(mm, 2, i), ENOMEM);
	CHECK_EQ(stats_of(mm).areas, mm->attr.max_areas + 1);
}

static void check_passing(uint64_t max_areas)
{
	struct mm *mm = new_space_of_vmas(max_areas);
	struct helper helpers[3];

	for (unsigned int i = 0; i < 3; i++)
		start_helper(&helpers[i], mm);
	CHECK_EQ(fill(mm, 0, 0), max_areas + 1);
	for (unsigned int i = 0; i < 12 && i <= max_areas; i++)
		pass_on(mm, &helpers[i % 3], &helpers[(i + 1) % 3], i);
	for (unsigned int i = 0; i < 3; i++)
		end_helper(&helpers[i]);
	end_space(mm);
}

TEST(mm_room, a_thread_can_use_the_room_of_vmas_that_another_unmapped)
{
	check_passing(0);
	check_passing(1);
	check_passing(20);
	check_passing(700);
}

/*
 * A thread that unmaps 700 VMAs keeps some of the room. Other threads can use that room all the
 * same.
 */
TEST(mm_room, a_thread_can_have_all_the_room_that_another_has)
{
	struct mm *mm = new_space_of_vmas(699);
	struct helper helper;

	start_helper(&helper, mm);
	CHECK_EQ(fill(mm, 0, 0), 700);
	for (unsigned int i = 0; i < 700; i++)
		helped(&helper, false, 0, i);
	CHECK_EQ(stats_of(mm).areas, 0);
	CHECK_EQ(fill(mm, 0, 0), 700);
	end_helper(&helper);
	end_space(mm);
}

static void *unmap_many(void *arg)
{
	for (unsigned int i = 0; i < 700; i++)
		unmap_one(arg, 0, i);
	return NULL;
}

TEST(mm_room, the_room_of_a_thread_that_ends_is_not_lost)
{
	struct mm *mm = new_space_of_vmas(699);

	for (unsigned int round = 0; round < 3; round++) {
		CHECK_EQ(fill(mm, 0, 0), 700);
		thread_join(thread_start(unmap_many, mm));
	}
	end_space(mm);
}

/* The child has the VMAs of its parent, and the same room left. */
TEST(mm_room, a_child_has_no_more_room_than_its_parent)
{
	struct mm *mm = new_space_of_vmas(300);
	struct mm *child;

	for (unsigned int i = 0; i < 290; i++)
		CHECK_EQ(map_one(mm, 0, i), 0);
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(fill(child, 0, 290), 301);
	CHECK_EQ(fill(mm, 0, 290), 301);
	end_space(child);
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(map_one(child, 1, 0), ENOMEM);
	end_space(child);
	end_space(mm);
}

TEST(mm_room, without_a_limit_there_is_always_room)
{
	struct mm *mm = new_space_of_vmas(UINT64_MAX);

	for (unsigned int i = 0; i < 2000; i++)
		CHECK_EQ(map_one(mm, 0, i), 0);
	CHECK_EQ(stats_of(mm).areas, 2000);
	end_space(mm);
}
