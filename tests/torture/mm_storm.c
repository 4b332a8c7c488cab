/* SPDX-License-Identifier: MIT */
/*
 * Everything at once in one address space:
 *
 *	models     each has a window of its own, which must agree with its model
 *	writers    write consecutive numbers to several pages, in a known order
 *	forker     makes children all the time; each child must be a snapshot of these pages
 *	users      share slots: a user finds the values that were written there when it gets the
 *	           slot, and no user finds a value that was written to an earlier mapping of the
 *	           slot
 *	wild ones  do anything in a window that they share, and find no value there that belongs
 *	           elsewhere
 *
 * A few times all threads pause, and the test checks everything.
 *
 * A fault without locks is so short that other threads seldom change its VMA meanwhile. Where such
 * a fault takes a frame or looks for a page, the linker redirects the call to a function that may
 * yield to other threads first.
 */
#include "mm/inode.h"
#include "mm/space.h"
#include "space_model.h"
#include "threads.h"

#include <stdatomic.h>

#define MODELS  3u
#define WRITERS 3u
#define USERS   3u
#define WILD    2u
#define PHASES  4u

static struct mm *mm;
static _Atomic(unsigned int) working; /* all but the forker */
static unsigned int steps;

struct mm__frame *__real_mm__frame_cache_get(struct mm__frame_cache *cache);
struct mm__frame *__wrap_mm__frame_cache_get(struct mm__frame_cache *cache);
void *__real_mm__inode_find(struct mm__inode *inode, uint64_t index);
void *__wrap_mm__inode_find(struct mm__inode *inode, uint64_t index);

static void let_others_go_first(void)
{
	static _Thread_local unsigned int calls;

	if (++calls % 8 == 0)
		sched_yield();
}

struct mm__frame *__wrap_mm__frame_cache_get(struct mm__frame_cache *cache)
{
	let_others_go_first();
	return __real_mm__frame_cache_get(cache);
}

void *__wrap_mm__inode_find(struct mm__inode *inode, uint64_t index)
{
	void *bytes = __real_mm__inode_find(inode, index);

	let_others_go_first();
	return bytes;
}

struct worker {
	unsigned int number; /* of its kind */
	uint64_t seed;
	pthread_t thread;
	struct model model;
};

static unsigned int below(struct worker *w, unsigned int limit)
{
	return (unsigned int)test_random_below(&w->seed, limit);
}

static uint64_t word_at(struct mm *space, uint64_t addr)
{
	uint64_t word = 0;

	CHECK_EQ(mm_read(space, addr, &word, sizeof(word), NULL), 0);
	return word;
}

/*
 * Models
 */

/* The models share page tables. Holes keep their VMAs apart. */
#define MODEL_BASE(i) (BASE + (i)*PAGES(MODEL_PAGES + 3))

static void *follow_model(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < steps; i++)
		model_step(&w->model);
	model_check(&w->model);
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/*
 * Writers: a writer writes its n-th number to the first page, then to the next, and last to shared
 * memory. All writers use the same pages, each its own words.
 */

#define LOG_PAGES  5u
#define LOG(page)  (BASE + PAGES(1000) + PAGES(page))
#define LOG_SHARED (BASE + PAGES(1010))
#define WORD(i)    (64 + 8 * (uint64_t)(i))
/* A word that the forker writes in its children. */
#define CHILD_WORD 1024

static uint64_t written[WRITERS];

/* The write fails while another thread has protected the page. */
static void write_word(uint64_t addr, uint64_t value)
{
	int error;

	while ((error = mm_write(mm, addr, &value, sizeof(value), NULL)) == EFAULT)
		sched_yield();
	CHECK_EQ(error, 0);
}

static void *write_log(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < steps; i++) {
		uint64_t n = ++written[w->number];

		for (unsigned int page = 0; page < LOG_PAGES; page++)
			write_word(LOG(page) + WORD(w->number), n);
		write_word(LOG_SHARED + WORD(w->number), n);
		if (!below(w, 32)) {
			unsigned int page = below(w, LOG_PAGES);

			CHECK_EQ(mm_mprotect(mm, LOG(page), PAGES(1), R), 0);
			CHECK_EQ(mm_mprotect(mm, LOG(page), PAGES(1), RW), 0);
		}
		CHECK(word_at(mm, LOG(below(w, LOG_PAGES)) + WORD(w->number)) == n);
	}
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/*
 * Forker
 */

struct snapshot {
	uint64_t log[LOG_PAGES][WRITERS];
};

static void take_snapshot(struct mm *child, struct snapshot *s)
{
	/* From the last page to the first: in a child the order does not matter. */
	for (unsigned int page = LOG_PAGES; page--;)
		for (unsigned int i = 0; i < WRITERS; i++)
			s->log[page][i] = word_at(child, LOG(page) + WORD(i));
}

/* A child has all that a writer wrote up to some moment, and nothing that it wrote later. */
static void check_snapshot(struct mm *child, const struct snapshot *s, const struct snapshot *last)
{
	for (unsigned int i = 0; i < WRITERS; i++) {
		uint64_t first = s->log[0][i];

		CHECK(first >= last->log[0][i]);
		for (unsigned int page = 1; page < LOG_PAGES; page++)
			CHECK(s->log[page][i] <= s->log[page - 1][i]);
		CHECK(s->log[LOG_PAGES - 1][i] + 1 >= first);
		/* Shared memory has the current number. */
		CHECK(word_at(child, LOG_SHARED + WORD(i)) + 1 >= first);
	}
}

/* Writes to a child do not appear in its parent. */
static void write_to_child(struct worker *w, struct mm *child)
{
	for (unsigned int page = 0; page < LOG_PAGES; page++) {
		uint64_t value = test_random(&w->seed) | 1;

		CHECK_EQ(word_at(child, LOG(page) + CHILD_WORD), 0);
		if (below(w, 2))
			continue;
		CHECK_EQ(mm_write(child, LOG(page) + CHILD_WORD, &value, sizeof(value), NULL), 0);
		CHECK(word_at(child, LOG(page) + CHILD_WORD) == value);
		CHECK_EQ(word_at(mm, LOG(page) + CHILD_WORD), 0);
	}
}

/* The log may be write-protected at the moment of the fork. */
static struct mm *fork_of(struct mm *parent)
{
	struct mm *child;

	CHECK_EQ(mm_fork(parent, &child), 0);
	CHECK_EQ(mm_mprotect(child, LOG(0), PAGES(LOG_PAGES), RW), 0);
	return child;
}

static struct mm *last_child;

static void *fork_always(void *arg)
{
	struct worker *w = arg;
	struct snapshot last = { { { 0 } } };

	while (atomic_load(&working)) {
		struct mm *child = fork_of(mm), *grandchild;
		struct snapshot first, second;

		take_snapshot(child, &first);
		check_snapshot(child, &first, &last);
		grandchild = below(w, 4) ? NULL : fork_of(child);
		write_to_child(w, child);
		if (grandchild) {
			take_snapshot(grandchild, &second);
			CHECK(!memcmp(&first, &second, sizeof(first)));
			mm_destroy(grandchild);
		}
		take_snapshot(child, &second);
		CHECK(!memcmp(&first, &second, sizeof(first)));
		last = first;
		/*
		 * The last child is left for check_all(): now other threads change the memory that
		 * it shares.
		 */
		mm_destroy(last_child);
		last_child = child;
	}
	return NULL;
}

/*
 * Users. A thread that uses a slot holds the slot's lock for reading; a thread that hands the slot
 * over holds it for writing.
 */

#define SLOTS           4u
#define SLOT_PAGES      12u
#define PLACE(i, where) (BASE + PAGES(1100) + ((i) + SLOTS * (where)) * PAGES(SLOT_PAGES + (where)))

static struct slot {
	pthread_rwlock_t lock;
	unsigned int where;
	uint64_t generation;
	uint64_t wrote[SLOT_PAGES][USERS];
} slots[SLOTS];

static uint64_t slot_word(unsigned int i, unsigned int page, unsigned int user)
{
	return PLACE(i, slots[i].where) + PAGES(page) + WORD(user);
}

static void use_slot(struct worker *w, unsigned int i)
{
	struct slot *slot = &slots[i];
	unsigned int page = below(w, SLOT_PAGES);
	unsigned int user = below(w, USERS);
	uint64_t value = slot->generation << 32 | (uint64_t)w->number << 24 | below(w, 1u << 24);

	switch (below(w, 8)) {
	case 0:
		CHECK_EQ(mm_mprotect(mm, PLACE(i, slot->where) + PAGES(page), PAGES(1), R), 0);
		break;
	case 1:
		CHECK_EQ(mm_mprotect(mm, PLACE(i, slot->where), PAGES(SLOT_PAGES), RW), 0);
		break;
	case 2:
	case 3:
		value = word_at(mm, slot_word(i, page, user));
		if (value) {
			CHECK(value >> 32 == slot->generation);
			CHECK_EQ(value >> 24 & 255, user);
		}
		break;
	default:
		/* The page may be protected. */
		if (!mm_write(mm, slot_word(i, page, w->number), &value, sizeof(value), NULL))
			slot->wrote[page][w->number] = value;
		CHECK(word_at(mm, slot_word(i, page, w->number)) == slot->wrote[page][w->number]);
	}
}

static void check_slot(unsigned int i)
{
	for (unsigned int page = 0; page < SLOT_PAGES; page++)
		for (unsigned int user = 0; user < USERS; user++)
			CHECK(word_at(mm, slot_word(i, page, user)) == slots[i].wrote[page][user]);
}

static void map_slot(unsigned int i)
{
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, PLACE(i, slots[i].where), PAGES(SLOT_PAGES), RW,
			 PRIVATE | MM_MAP_FIXED, -1, 0, &addr),
		 0);
	memset(slots[i].wrote, 0, sizeof(slots[i].wrote));
	slots[i].generation++;
}

static void move_slot(unsigned int i)
{
	uint64_t from = PLACE(i, slots[i].where), to = PLACE(i, !slots[i].where), addr;

	CHECK_EQ(mm_mprotect(mm, from, PAGES(SLOT_PAGES), RW), 0);
	CHECK_EQ(mm_mremap(mm, from, PAGES(SLOT_PAGES), PAGES(SLOT_PAGES),
			   MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, to, &addr),
		 0);
	slots[i].where = !slots[i].where;
	for (unsigned int page = 0; page < SLOT_PAGES; page++)
		CHECK_EQ(peek(mm, from + PAGES(page)), -MM_SEGV_MAPERR);
}

static void hand_over(struct worker *w, unsigned int i)
{
	uint64_t place = PLACE(i, slots[i].where);

	check_slot(i);
	switch (below(w, 4)) {
	case 0:
		map_slot(i);
		break;
	case 1:
		CHECK_EQ(mm_munmap(mm, place, PAGES(SLOT_PAGES)), 0);
		CHECK_EQ(peek(mm, place + PAGES(below(w, SLOT_PAGES))), -MM_SEGV_MAPERR);
		map_slot(i);
		break;
	case 2:
		CHECK_EQ(mm_madvise(mm, place, PAGES(SLOT_PAGES), MM_MADV_DONTNEED), 0);
		memset(slots[i].wrote, 0, sizeof(slots[i].wrote));
		slots[i].generation++;
		break;
	default:
		move_slot(i);
	}
	check_slot(i);
}

static void *use_slots(void *arg)
{
	struct worker *w = arg;

	for (unsigned int n = 0; n < steps; n++) {
		unsigned int i = below(w, SLOTS);

		if (below(w, 32)) {
			pthread_rwlock_rdlock(&slots[i].lock);
			for (unsigned int k = 0; k < 4; k++)
				use_slot(w, i);
		} else {
			pthread_rwlock_wrlock(&slots[i].lock);
			hand_over(w, i);
		}
		pthread_rwlock_unlock(&slots[i].lock);
	}
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/*
 * Wild ones
 */

#define WILD_PAGES    64u
#define WILD_AT(page) (BASE + PAGES(1300) + PAGES(page))
#define WILD_MARK     UINT64_C(0x3117d)

static void check_wild(int error, int expected)
{
	CHECK(!error || error == expected);
}

static void be_wild(struct worker *w)
{
	unsigned int n = 1 + below(w, 20);
	uint64_t addr = WILD_AT(below(w, WILD_PAGES - n)), to = WILD_AT(below(w, WILD_PAGES - n));
	uint64_t value = WILD_MARK << 32 | below(w, 1u << 31), result;
	int error;

	switch (below(w, 10)) {
	case 0:
	case 1:
		CHECK_EQ(mm_mmap(mm, addr, PAGES(n), below(w, 3) ? RW : R,
				 (below(w, 4) ? PRIVATE : SHARED) | MM_MAP_FIXED, -1, 0, &result),
			 0);
		break;
	case 2:
		CHECK_EQ(mm_munmap(mm, addr, PAGES(n)), 0);
		break;
	case 3:
		check_wild(mm_mprotect(mm, addr, PAGES(n), below(w, 2) ? RW : R), ENOMEM);
		break;
	case 4:
		error = mm_mremap(mm, addr, PAGES(n), PAGES(n), 3, to, &result);
		CHECK(!error || error == EFAULT || error == EINVAL);
		break;
	case 5:
		check_wild(mm_madvise(mm, addr, PAGES(n), MM_MADV_DONTNEED), ENOMEM);
		break;
	case 6:
		error = mm_madvise(mm, addr, PAGES(n), MM_MADV_POPULATE_WRITE);
		/* EFAULT: another thread changed the VMA while its pages were made present. */
		CHECK(!error || error == ENOMEM || error == EINVAL || error == EFAULT);
		break;
	case 7:
	case 8:
		check_wild(mm_write(mm, addr + 8 * below(w, 512), &value, sizeof(value), NULL),
			   EFAULT);
		break;
	default:
		value = 0;
		check_wild(mm_read(mm, addr + 8 * below(w, 512), &value, sizeof(value), NULL),
			   EFAULT);
		CHECK(!value || value >> 32 == WILD_MARK);
	}
}

static void *run_wild(void *arg)
{
	for (unsigned int n = 0; n < steps; n++)
		be_wild(arg);
	atomic_fetch_sub(&working, 1);
	return NULL;
}

/*
 * All together
 */

static struct worker models[MODELS], writers[WRITERS], users[USERS], wild[WILD], forker;

static void start(struct worker *w, unsigned int n, void *(*run)(void *), uint64_t *seed)
{
	for (unsigned int i = 0; i < n; i++) {
		w[i].number = i;
		w[i].seed = test_random(seed);
		w[i].thread = thread_start(run, &w[i]);
	}
}

static void join(struct worker *w, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		thread_join(w[i].thread);
}

static void prepare(enum mm_locking locking, uint64_t *seed)
{
	uint64_t addr;

	mm = new_space_locking(locking);
	last_child = new_space();
	map(mm, 1000, LOG_PAGES, RW);
	CHECK_EQ(mm_mmap(mm, LOG_SHARED, PAGES(1), RW, SHARED | MM_MAP_FIXED, -1, 0, &addr), 0);
	memset(written, 0, sizeof(written));
	memset(models, 0, sizeof(models));
	for (unsigned int i = 0; i < MODELS; i++) {
		models[i].model.mm = mm;
		models[i].model.base = MODEL_BASE(i);
		models[i].model.seed = test_random(seed);
		models[i].model.max_areas = UINT64_MAX;
		models[i].model.max_pages = UINT64_MAX;
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		slots[i].where = 0;
		CHECK_EQ(pthread_rwlock_init(&slots[i].lock, NULL), 0);
		map_slot(i);
	}
}

static void run_phase(uint64_t *seed)
{
	atomic_store(&working, MODELS + WRITERS + USERS + WILD);
	start(models, MODELS, follow_model, seed);
	start(writers, WRITERS, write_log, seed);
	start(users, USERS, use_slots, seed);
	start(wild, WILD, run_wild, seed);
	start(&forker, 1, fork_always, seed);
	join(models, MODELS);
	join(writers, WRITERS);
	join(users, USERS);
	join(wild, WILD);
	join(&forker, 1);
}

/* All other threads are paused. */
static void check_all(void)
{
	struct mm_stats stats = stats_of(mm);

	check_space(mm);
	check_space(last_child);
	for (unsigned int i = 0; i < MODELS; i++)
		model_check(&models[i].model);
	for (unsigned int i = 0; i < SLOTS; i++)
		check_slot(i);
	for (unsigned int i = 0; i < WRITERS; i++)
		for (unsigned int page = 0; page < LOG_PAGES; page++)
			CHECK(word_at(mm, LOG(page) + WORD(i)) == written[i]);
	CHECK_EQ(stats.faults_speculative + stats.faults_ranged + stats.faults_coarse,
		 stats.faults);
}

/* How faults were served, for a human reader. */
static void print_faults(void)
{
	struct mm_stats stats = stats_of(mm);

	fprintf(stderr, "faults %" PRIu64 ", fell back:", stats.faults);
	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++)
		fprintf(stderr, " %s %" PRIu64, mm_fallback_name((enum mm_fallback)i),
			stats.fallbacks[i]);
	fputc('\n', stderr);
}

static void end_all(void)
{
	mm_destroy(last_child);
	CHECK_EQ(mm_munmap(mm, 0, MM_ADDR_MAX), 0);
	mm__rcu_barrier();
	CHECK_EQ(stats_of(mm).frames, 0);
	CHECK_EQ(stats_of(mm).pages, 0);
	for (unsigned int i = 0; i < SLOTS; i++)
		CHECK_EQ(pthread_rwlock_destroy(&slots[i].lock), 0);
	end_space(mm);
}

static void storm(const char *name, enum mm_locking locking)
{
	uint64_t seed = test_seed(name);

	steps = test_scale(1500);
	prepare(locking, &seed);
	for (unsigned int i = 0; i < PHASES; i++) {
		run_phase(&seed);
		check_all();
	}
	print_faults();
	end_all();
}

TEST(mm_storm, with_speculative_faults)
{
	storm("mm_storm/speculative", MM_LOCKING_SPECULATIVE);
}

TEST(mm_storm, with_range_locks)
{
	storm("mm_storm/range", MM_LOCKING_RANGE);
}

TEST(mm_storm, with_the_full_range)
{
	storm("mm_storm/coarse", MM_LOCKING_COARSE);
}

TEST(mm_storm, with_an_rwlock)
{
	storm("mm_storm/rwlock", MM_LOCKING_RWLOCK);
}
