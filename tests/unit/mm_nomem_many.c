/* SPDX-License-Identifier: MIT */
/*
 * Operations on hundreds of VMAs. The test refuses one allocation after the other, or all from one
 * on. The operation then succeeds, or returns ENOMEM and has changed nothing. The linker redirects
 * the library's allocations to this file.
 */
#include "mm/vmas.h"
#include "spaces.h"
#include "threads.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Only the limited thread sets it. */
static _Thread_local bool limited;
static _Thread_local bool only_one;         /* refuses one allocation, and not those after it */
static _Thread_local unsigned int grants;   /* allocations before the first refusal */
static _Thread_local unsigned int attempts; /* allocations that the operation asked for */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __real_posix_memalign(void **result, size_t align, size_t size);
int __wrap_posix_memalign(void **result, size_t align, size_t size);

void __real_mm__rcu_wait(void);
void __wrap_mm__rcu_wait(void);

static atomic_bool waiting; /* a thread has begun to wait for readers */

void __wrap_mm__rcu_wait(void)
{
	atomic_store(&waiting, true);
	__real_mm__rcu_wait();
}

static bool refused(void)
{
	unsigned int i = attempts;

	if (!limited)
		return false;
	attempts++;
	return only_one ? i == grants : i >= grants;
}

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return refused() ? NULL : __real_realloc(memory, size);
}

int __wrap_posix_memalign(void **result, size_t align, size_t size)
{
	return refused() ? ENOMEM : __real_posix_memalign(result, align, size);
}

/*
 * Rows of VMAs of two pages. Neighbours differ in
 */
enum row {
	PLAIN, /* the protection */
	PAIRS, /* the protection; and each pair of them in MM_MAP_NORESERVE from the pair before */
	LOCKS, /* the lock on their pages; and each pair of them in the protection */
};

enum { MOST_VMAS = 400, ROW_PAGES = 2 * MOST_VMAS, TARGET = 4 * ROW_PAGES, HEAP = 8 * ROW_PAGES };

/* More than an operation changes in one hold of the VMA tree lock, even in short runs. */
static unsigned int nr_areas(void)
{
	return test_scale(MOST_VMAS);
}

static unsigned int row_end(void)
{
	return 2 * nr_areas();
}

static void map_row(struct mm *mm, unsigned int first, enum row row)
{
	for (unsigned int i = 0; i < nr_areas(); i++) {
		bool pair = i / 2 % 2;
		int prot = (row == LOCKS ? pair : i % 2) ? R : RW;

		map_as(mm, first + 2 * i, 2, RW,
		       row == PAIRS && pair ? PRIVATE | MM_MAP_NORESERVE : PRIVATE);
		/* All pages are present, so locking them needs no memory. */
		CHECK_EQ(poke(mm, AT(first + 2 * i), (int)i % 251 + 1), 0);
		CHECK_EQ(poke(mm, AT(first + 2 * i + 1), (int)i % 251 + 2), 0);
		CHECK_EQ(mm_mprotect(mm, AT(first + 2 * i), PAGES(2), prot), 0);
		if (row == LOCKS && i % 2)
			CHECK_EQ(mm_mlock(mm, AT(first + 2 * i), PAGES(2)), 0);
	}
}

static void check_row(struct mm *mm, unsigned int first)
{
	for (unsigned int i = 0; i < nr_areas(); i++) {
		CHECK_EQ(peek(mm, AT(first + 2 * i)), (int)i % 251 + 1);
		CHECK_EQ(peek(mm, AT(first + 2 * i + 1)), (int)i % 251 + 2);
	}
}

/* The visible state of the VMAs. */
struct listing {
	uint64_t pages;
	uint64_t locked; /* bytes */
	unsigned int count;
	struct listed {
		uint64_t start;
		uint64_t end;
		struct mm__vma_kind kind;
	} vma[3 * MOST_VMAS];
};

static void list_vmas(struct mm *mm, struct listing *listing)
{
	struct mm__mapping m = { 0, 0, NULL };

	memset(listing, 0, sizeof(*listing));
	listing->pages = stats_of(mm).pages;
	while (mm__vma_tree_find(&mm->vmas, m.end, &m)) {
		struct listed *vma = &listing->vma[listing->count++];

		vma->start = m.start;
		vma->end = m.end;
		vma->kind = mm__kind_of(m.vma);
		if (vma->kind.flags & MM__VMA_LOCKED)
			listing->locked += m.end - m.start;
	}
	CHECK_EQ(listing->count, stats_of(mm).areas);
}

static void check_same(const struct listing *a, const struct listing *b)
{
	CHECK_EQ(a->pages, b->pages);
	CHECK_EQ(a->locked, b->locked);
	CHECK_EQ(a->count, b->count);
	for (unsigned int i = 0; i < a->count; i++) {
		CHECK_EQ(a->vma[i].start, b->vma[i].start);
		CHECK_EQ(a->vma[i].end, b->vma[i].end);
		CHECK_EQ(a->vma[i].kind.prot, b->vma[i].kind.prot);
		CHECK_EQ(a->vma[i].kind.flags, b->vma[i].kind.flags);
	}
}

/*
 * Operations and their places
 */
struct operation {
	enum row row;
	bool has_target; /* there is a row at TARGET, too, or a heap of many VMAs */
	bool has_heap;
	unsigned int needed; /* the least number of allocations */
	int (*run)(struct mm *mm);
};

/* Drops all spares, so that the operation has to allocate its whole reserve. */
static void drop_spares(struct mm *mm)
{
	for (int inner = 0; inner < 2; inner++) {
		struct mm__garbage *spare;

		while ((spare = mm->vmas.spares.first[inner])) {
			mm->vmas.spares.first[inner] = spare->next;
			free(spare);
		}
		atomic_store(&mm->vmas.spares.count[inner], 0);
	}
	while (mm__rcu_self && mm__rcu_self->kept) {
		struct mm__garbage *memory = mm__rcu_self->kept;

		mm__rcu_self->kept = memory->next;
		free(memory);
	}
	if (mm__rcu_self)
		mm__rcu_self->nr_kept = 0;
}

static void map_heap(struct mm *mm)
{
	uint64_t brk;

	CHECK_EQ(mm_brk(mm, AT(HEAP + row_end()), &brk), 0);
	for (unsigned int i = 1; i < nr_areas(); i += 2)
		CHECK_EQ(mm_mprotect(mm, AT(HEAP + 2 * i), PAGES(2), R), 0);
}

static struct mm *prepare(const struct operation *op)
{
	struct mm_attr attr;
	struct mm *mm;

	mm_attr_init(&attr);
	attr.brk_start = AT(HEAP);
	mm = new_space_with(&attr);
	map_row(mm, 0, op->row);
	if (op->has_target)
		map_row(mm, TARGET, PLAIN);
	if (op->has_heap)
		map_heap(mm);
	drop_spares(mm);
	return mm;
}

static struct listing before, after, now;

static void check_unchanged(struct mm *mm, const struct operation *op)
{
	list_vmas(mm, &now);
	check_same(&now, &before);
	check_row(mm, 0);
	if (op->has_target)
		check_row(mm, TARGET);
	check_space(mm);
}

/* The result is the same as without a limit, so the operation has changed all. */
static void check_changed(struct mm *mm)
{
	list_vmas(mm, &now);
	check_same(&now, &after);
	check_space(mm);
}

static int limit(struct mm *mm, int (*run)(struct mm *mm), unsigned int n)
{
	int error;

	grants = n;
	attempts = 0;
	limited = true;
	error = run(mm);
	limited = false;
	return error;
}

/* Returns the number of allocations that the operation asks for when all are granted. */
static unsigned int list_both(const struct operation *op)
{
	struct mm *mm = prepare(op);

	list_vmas(mm, &before);
	CHECK_EQ(limit(mm, op->run, UINT_MAX), 0);
	list_vmas(mm, &after);
	check_space(mm);
	mm_destroy(mm);
	return attempts;
}

/*
 * Refuses each allocation; or, if there are very many or the run is to be short, some of them from
 * a random one on.
 */
static void refuse_each(const struct operation *op, uint64_t *seed)
{
	unsigned int all = list_both(op);
	unsigned int stride = 1 + all / (2 * test_scale(100));
	unsigned int n = (unsigned int)test_random_below(seed, stride);
	bool granted = false;
	struct mm *mm = prepare(op);

	CHECK(all >= op->needed);
	while (!granted) {
		int error = limit(mm, op->run, n);

		granted = attempts <= n;
		CHECK(!error || (error == ENOMEM && !granted));
		if (error) {
			check_unchanged(mm, op);
			drop_spares(mm);
		} else {
			check_changed(mm);
			mm_destroy(mm);
			mm = granted ? NULL : prepare(op);
		}
		n += stride;
	}
}

static void refuse_all_ways(const struct operation *op)
{
	uint64_t seed = test_seed("mm_nomem_many");

	only_one = false;
	refuse_each(op, &seed);
	only_one = true;
	refuse_each(op, &seed);
}

#define ENDS_SPLIT AT(1), PAGES(row_end() - 2)

static int do_munmap(struct mm *mm)
{
	return mm_munmap(mm, ENDS_SPLIT);
}

static int do_map_fixed(struct mm *mm)
{
	return try_map(mm, ENDS_SPLIT, PRIVATE | MM_MAP_NORESERVE | MM_MAP_FIXED);
}

static int do_mremap(struct mm *mm)
{
	uint64_t result;

	/* Moves a page, unmaps many VMAs behind it, and replaces many. */
	return mm_mremap(mm, AT(1), PAGES(row_end() / 2), PAGES(1),
			 MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, AT(TARGET + 1), &result);
}

static int do_mremap_grow(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(0), PAGES(2), PAGES(row_end()), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			 AT(TARGET), &result);
}

static int do_shrink(struct mm *mm)
{
	uint64_t result;

	return mm_mremap(mm, AT(0), PAGES(row_end() - 1), PAGES(1), 0, 0, &result);
}

static int do_brk(struct mm *mm)
{
	uint64_t result;

	CHECK_EQ(mm_brk(mm, AT(HEAP + 1), &result), 0);
	return result == AT(HEAP + 1) ? 0 : ENOMEM;
}

static int do_fork(struct mm *mm)
{
	struct mm *child;
	int error = mm_fork(mm, &child);

	if (!error)
		mm_destroy(child);
	return error;
}

static int take_all_rights(struct mm *mm)
{
	return mm_mprotect(mm, ENDS_SPLIT, NONE);
}

static int make_readable(struct mm *mm)
{
	return mm_mprotect(mm, ENDS_SPLIT, R);
}

static int make_writable(struct mm *mm)
{
	return mm_mprotect(mm, ENDS_SPLIT, RW);
}

static int do_mlock(struct mm *mm)
{
	return mm_mlock(mm, ENDS_SPLIT);
}

static int do_munlock(struct mm *mm)
{
	return mm_munlock(mm, ENDS_SPLIT);
}

TEST(mm_nomem_many, munmap_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ .run = do_munmap, .needed = 8 });
}

TEST(mm_nomem_many, a_fixed_mapping_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ .run = do_map_fixed, .needed = 8 });
}

TEST(mm_nomem_many, mremap_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ .run = do_mremap, .has_target = true, .needed = 8 });
	refuse_all_ways(
		&(struct operation){ .run = do_mremap_grow, .has_target = true, .needed = 8 });
	refuse_all_ways(&(struct operation){ .run = do_shrink, .needed = 8 });
}

TEST(mm_nomem_many, brk_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ .run = do_brk, .has_heap = true, .needed = 8 });
}

TEST(mm_nomem_many, fork_makes_a_child_or_changes_nothing)
{
	refuse_all_ways(&(struct operation){ .run = do_fork, .needed = 8 });
}

/* One merge for each hold of the VMA tree lock, and one for every second VMA. */
TEST(mm_nomem_many, mprotect_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ PLAIN, .run = take_all_rights, .needed = 8 });
	refuse_all_ways(&(struct operation){ PAIRS, .run = make_readable, .needed = 8 });
	refuse_all_ways(&(struct operation){ LOCKS, .run = make_writable, .needed = 8 });
}

TEST(mm_nomem_many, mlock_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ PLAIN, .run = do_mlock, .needed = 8 });
	refuse_all_ways(&(struct operation){ LOCKS, .run = do_mlock, .needed = 8 });
}

TEST(mm_nomem_many, munlock_changes_all_or_nothing)
{
	refuse_all_ways(&(struct operation){ LOCKS, .run = do_munlock, .needed = 8 });
}

/*
 * As in Linux, mm_mprotect() changes the VMAs before a hole. It does so with less and less memory,
 * until it changes nothing.
 */
TEST(mm_nomem_many, mprotect_up_to_a_hole_changes_all_or_nothing)
{
	struct operation op = { PAIRS, .run = make_readable };
	bool changed = false;

	only_one = false;
	for (unsigned int n = 0; !changed; n++) {
		struct mm *mm = prepare(&op);

		CHECK_EQ(mm_munmap(mm, AT(row_end() - 4), PAGES(2)), 0);
		drop_spares(mm);
		list_vmas(mm, &before);
		CHECK_EQ(limit(mm, op.run, n), ENOMEM);
		CHECK(attempts > n);
		list_vmas(mm, &now);
		changed = now.count != before.count;
		if (changed) {
			/* With memory, up to the hole: nothing is left to change. */
			CHECK_EQ(op.run(mm), ENOMEM);
			list_vmas(mm, &after);
			check_same(&now, &after);
			CHECK_EQ(now.count, nr_areas() / 2 + 1);
		} else {
			check_same(&now, &before);
		}
		check_space(mm);
		mm_destroy(mm);
	}
}

TEST(mm_nomem_many, discarding_and_looking_need_no_memory)
{
	struct mm *mm = prepare(&(struct operation){ .row = PLAIN });
	static unsigned char vec[ROW_PAGES];

	only_one = false;
	grants = attempts = 0;
	limited = true;
	CHECK_EQ(mm_mincore(mm, ENDS_SPLIT, vec), 0);
	CHECK_EQ(mm_msync(mm, ENDS_SPLIT, MM_MS_SYNC), 0);
	CHECK_EQ(mm_madvise(mm, ENDS_SPLIT, MM_MADV_DONTNEED), 0);
	limited = false;
	CHECK_EQ(stats_of(mm).pages, 2);
	check_space(mm);
	mm_destroy(mm);
}

/*
 * Without memory for another merge, the tree reuses nodes that an edit took out.
 */

/* Makes a row readable with the least memory that suffices. */
static void change_with_least(struct mm *mm)
{
	only_one = false;
	for (unsigned int n = 0; limit(mm, make_readable, n); n++)
		drop_spares(mm);
}

struct changer {
	struct mm *mm;
	atomic_bool done;
};

static void *change_alone(void *arg)
{
	struct changer *changer = arg;

	change_with_least(changer->mm);
	atomic_store(&changer->done, true);
	return NULL;
}

TEST(mm_nomem_many, nodes_are_used_again_only_when_their_readers_have_left)
{
	struct operation op = { PAIRS, .run = make_readable };
	struct changer changer = { .mm = NULL };
	pthread_t thread;

	list_both(&op);
	changer.mm = prepare(&op);
	atomic_store(&waiting, false);
	mm__rcu_read_lock();
	thread = thread_start(change_alone, &changer);
	AWAIT(atomic_load(&waiting) || atomic_load(&changer.done));
	for (unsigned int i = 0; i < 100; i++)
		sched_yield();
	CHECK(atomic_load(&waiting));
	CHECK(!atomic_load(&changer.done));
	mm__rcu_read_unlock();
	thread_join(thread);
	check_changed(changer.mm);
	mm_destroy(changer.mm);
}

struct reader {
	struct mm *mm;
	atomic_bool stop;
};

static void *fault_on_and_on(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(&reader->stop))
		for (unsigned int i = 0; i < row_end(); i++)
			CHECK_EQ(mm_fault(reader->mm, AT(TARGET + i), R, NULL), 0);
	return NULL;
}

TEST(mm_nomem_many, faults_go_on_while_nodes_are_used_again)
{
	struct operation op = { PAIRS, .has_target = true, .run = make_readable };

	list_both(&op);
	for (unsigned int i = 0; i < test_scale(20); i++) {
		struct reader reader = { .mm = prepare(&op) };
		pthread_t thread = thread_start(fault_on_and_on, &reader);

		change_with_least(reader.mm);
		atomic_store(&reader.stop, true);
		thread_join(thread);
		check_changed(reader.mm);
		check_row(reader.mm, 0);
		check_row(reader.mm, TARGET);
		mm_destroy(reader.mm);
	}
}
