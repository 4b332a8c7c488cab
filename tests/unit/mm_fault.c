/* SPDX-License-Identifier: MIT */
/*
 * How faults are served, and why some faults need a lock. The linker redirects mm__inode_find() to
 * this file. There a fault that looks for a page of shared memory is held up, after it has looked
 * at the VMA and at the table. The fault must notice the changes that another thread then makes.
 */
#include "mm/space.h"
#include "mm/vma.h"
#include "spaces.h"
#include "threads.h"

static atomic_bool hold_up; /* the next fault that looks for a page */
static sem_t is_held_up;
static sem_t let_go;

void *__real_mm__inode_find(struct mm__inode *inode, uint64_t index);
void *__wrap_mm__inode_find(struct mm__inode *inode, uint64_t index);

void *__wrap_mm__inode_find(struct mm__inode *inode, uint64_t index)
{
	void *bytes = __real_mm__inode_find(inode, index);

	if (atomic_exchange(&hold_up, false)) {
		sem_post(&is_held_up);
		sem_await(&let_go);
	}
	return bytes;
}

static uint64_t served(const struct mm_stats *stats)
{
	return stats->faults_speculative + stats->faults_ranged + stats->faults_coarse;
}

static uint64_t fallbacks(const struct mm_stats *stats)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++)
		sum += stats->fallbacks[i];
	return sum;
}

/*
 * Since before there was one fault, which fell back for this reason alone and was served with a
 * lock.
 */
static void check_fell_back(struct mm *mm, const struct mm_stats *before, enum mm_fallback reason)
{
	struct mm_stats now = stats_of(mm);

	CHECK_EQ(now.faults, before->faults + 1);
	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++)
		if (now.fallbacks[i] != before->fallbacks[i] + (i == reason))
			test_fail(__FILE__, __LINE__, "%s: %" PRIu64 " more, instead of %s",
				  mm_fallback_name((enum mm_fallback)i),
				  now.fallbacks[i] - before->fallbacks[i],
				  mm_fallback_name(reason));
	CHECK_EQ(now.faults_ranged, before->faults_ranged + 1);
	CHECK_EQ(now.faults_speculative, before->faults_speculative);
	CHECK_EQ(served(&now), now.faults);
}

/* Page 0 is present, so the space has a table, and the thread has frames. */
static struct mm *new_warm_space(void)
{
	struct mm *mm = new_space();

	map(mm, 0, 8, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	return mm;
}

static struct mm__vma *vma_of(struct mm *mm, unsigned int page)
{
	struct mm__mapping m;

	CHECK(mm__vma_tree_at(&mm->vmas, AT(page), &m));
	return m.vma;
}

TEST(mm_fault, an_easy_one_takes_no_lock)
{
	struct mm *mm = new_warm_space();
	struct mm_stats before = stats_of(mm), now;

	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(peek(mm, AT(2)), 0);
	CHECK_EQ(mm_fault(mm, AT(2), R, NULL), 0);
	now = stats_of(mm);
	CHECK_EQ(now.faults, before.faults + 3);
	CHECK_EQ(now.faults_speculative, before.faults_speculative + 3);
	CHECK_EQ(now.faults_minor, before.faults_minor + 2);
	CHECK_EQ(now.faults_present, before.faults_present + 1);
	CHECK_EQ(fallbacks(&now), fallbacks(&before));
	end_space(mm);
}

TEST(mm_fault, other_lockings_always_take_the_range)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);
		struct mm_stats now;

		if (lockings[i] == MM_LOCKING_SPECULATIVE) {
			end_space(mm);
			continue;
		}
		map(mm, 0, 8, RW);
		for (unsigned int page = 0; page < 8; page++)
			CHECK_EQ(poke(mm, AT(page), 1), 0);
		CHECK_EQ(peek(mm, AT(9)), -MM_SEGV_MAPERR);
		now = stats_of(mm);
		CHECK_EQ(now.faults, 9);
		CHECK_EQ(now.faults_ranged, 9);
		CHECK_EQ(now.faults_speculative + now.faults_coarse + fallbacks(&now), 0);
		end_space(mm);
	}
}

TEST(mm_fault, falls_back_where_nothing_is_mapped)
{
	struct mm *mm = new_warm_space();
	struct mm_stats before = stats_of(mm);

	CHECK_EQ(peek(mm, AT(9)), -MM_SEGV_MAPERR);
	check_fell_back(mm, &before, MM_FALLBACK_NO_AREA);
	CHECK_EQ(stats_of(mm).faults_failed, before.faults_failed + 1);
	end_space(mm);
}

TEST(mm_fault, falls_back_where_the_access_is_not_allowed)
{
	struct mm *mm = new_warm_space();
	struct mm_stats before;

	map(mm, 3, 1, R);
	before = stats_of(mm);
	CHECK_EQ(poke(mm, AT(3), 1), -MM_SEGV_ACCERR);
	check_fell_back(mm, &before, MM_FALLBACK_ACCESS);
	end_space(mm);
}

TEST(mm_fault, falls_back_while_the_vma_is_being_changed)
{
	struct mm *mm = new_warm_space();
	struct mm_stats before = stats_of(mm);

	mm__vma_change_begin(vma_of(mm, 1));
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	mm__vma_change_end(vma_of(mm, 1));
	check_fell_back(mm, &before, MM_FALLBACK_CHANGING);
	CHECK_EQ(poke(mm, AT(2), 1), 0);
	CHECK_EQ(stats_of(mm).faults_speculative, before.faults_speculative + 1);
	end_space(mm);
}

static void *write_first(void *arg)
{
	CHECK_EQ(poke(arg, AT(1), 1), 0);
	return NULL;
}

/* The fault then waits for the page, with its range locked. */
TEST(mm_fault, falls_back_where_another_thread_has_locked_the_page)
{
	struct mm *mm = new_warm_space();
	struct mm__table *table = mm__table_find(&mm->page_table, AT(1));
	uint64_t before = stats_of(mm).fallbacks[MM_FALLBACK_ENTRY];
	pthread_t thread;

	mm__rcu_read_lock();
	CHECK(mm__entry_trylock(table, AT(1), 0));
	thread = thread_start(write_first, mm);
	AWAIT(atomic_load(&table->waiters));
	mm__entry_unlock(table, AT(1), 0);
	mm__rcu_read_unlock();
	thread_join(thread);
	CHECK_EQ(atomic_load(&table->waiters), 0);
	CHECK_EQ(peek(mm, AT(1)), 1);
	CHECK_EQ(stats_of(mm).fallbacks[MM_FALLBACK_ENTRY], before + 1);
	end_space(mm);
}

TEST(mm_fault, falls_back_where_there_is_no_table)
{
	struct mm *mm = new_warm_space();
	struct mm_stats before;

	map(mm, 600, 1, RW);
	before = stats_of(mm);
	CHECK_EQ(poke(mm, AT(600), 1), 0);
	check_fell_back(mm, &before, MM_FALLBACK_NO_TABLE);
	end_space(mm);
}

static void *fault_once(void *mm)
{
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	return NULL;
}

TEST(mm_fault, falls_back_when_the_thread_has_no_frame)
{
	struct mm *mm = new_warm_space();
	struct mm_stats before = stats_of(mm);

	thread_join(thread_start(fault_once, mm));
	check_fell_back(mm, &before, MM_FALLBACK_NO_FRAME);
	end_space(mm);
}

TEST(mm_fault, falls_back_when_a_page_of_a_file_has_to_be_read)
{
	struct mm *mm = new_warm_space();
	FILE *file = tmpfile();
	struct mm_stats before;
	uint64_t addr;

	CHECK(file);
	CHECK_EQ(fwrite("text", 1, 4, file), 4);
	CHECK_EQ(fflush(file), 0);
	CHECK_EQ(mm_mmap(mm, AT(9), PAGES(1), R, MM_MAP_SHARED | MM_MAP_FIXED, fileno(file), 0,
			 &addr),
		 0);
	before = stats_of(mm);
	CHECK_EQ(peek(mm, addr), 't');
	check_fell_back(mm, &before, MM_FALLBACK_NO_PAGE);
	/* The page stays in the cache of the file. */
	CHECK_EQ(mm_madvise(mm, addr, PAGES(1), MM_MADV_DONTNEED), 0);
	before = stats_of(mm);
	CHECK_EQ(peek(mm, addr), 't');
	CHECK_EQ(stats_of(mm).faults_speculative, before.faults_speculative + 1);
	end_space(mm);
	fclose(file);
}

static void *read_once(void *mm)
{
	CHECK_EQ(peek(mm, AT(0)), 1);
	return NULL;
}

TEST(mm_fault, falls_back_when_others_have_to_lose_a_page)
{
	struct mm *mm = new_warm_space(), *child;
	struct mm_stats before;

	CHECK_EQ(mm_fork(mm, &child), 0);
	/* The entry now records that other threads may cache it. */
	thread_join(thread_start(read_once, mm));
	before = stats_of(mm);
	CHECK_EQ(poke(mm, AT(0), 2), 0);
	check_fell_back(mm, &before, MM_FALLBACK_FLUSH);
	CHECK_EQ(peek(child, AT(0)), 1);
	end_space(child);
	end_space(mm);
}

/*
 * Changes by another thread while the fault is held up
 */

static sem_t may_end;

struct intruder {
	struct mm *mm;
	void (*intrude)(struct mm *mm);
};

static void *intrude(void *arg)
{
	struct intruder *intruder = arg;

	sem_await(&is_held_up);
	intruder->intrude(intruder->mm);
	sem_post(&let_go);
	/* A thread that ends frees the empty tables that it keeps. */
	sem_await(&may_end);
	return NULL;
}

/*
 * A write fault at page 1, which is in the cache and not present. The intruder acts while it is
 * held up.
 */
static void check_aborted(struct mm *mm, void (*what)(struct mm *mm), enum mm_fallback reason)
{
	struct intruder intruder = { mm, what };
	struct mm_stats before, now;
	pthread_t thread;

	CHECK_EQ(sem_init(&is_held_up, 0, 0), 0);
	CHECK_EQ(sem_init(&let_go, 0, 0), 0);
	CHECK_EQ(sem_init(&may_end, 0, 0), 0);
	thread = thread_start(intrude, &intruder);
	before = stats_of(mm);
	atomic_store(&hold_up, true);
	CHECK_EQ(poke(mm, AT(1), 5), 0);
	sem_post(&may_end);
	thread_join(thread);
	now = stats_of(mm);
	CHECK_EQ(now.fallbacks[reason], before.fallbacks[reason] + 1);
	CHECK_EQ(now.faults_ranged + now.faults_speculative, now.faults);
	CHECK(now.faults_ranged > before.faults_ranged);
	CHECK_EQ(peek(mm, AT(1)), 5);
	check_space(mm);
}

static struct mm *new_space_to_intrude(void)
{
	struct mm *mm = new_space();

	map_as(mm, 0, 8, RW, SHARED);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(1) + 2, 2), 0);
	CHECK_EQ(mm_madvise(mm, AT(1), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_EQ(stats_of(mm).pages, 1);
	return mm;
}

static void change_and_change_back(struct mm *mm)
{
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), R), 0);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), RW), 0);
}

TEST(mm_fault, is_aborted_when_the_vma_has_changed)
{
	struct mm *mm = new_space_to_intrude();

	check_aborted(mm, change_and_change_back, MM_FALLBACK_CHANGED);
	CHECK_EQ(peek(mm, AT(1) + 2), 2);
	CHECK_EQ(stats_of(mm).pages, 2);
	end_space(mm);
}

static void map_anew(struct mm *mm)
{
	map_as(mm, 0, 8, RW, SHARED);
}

/* The fault has found a page of an earlier mapping, which is gone. */
TEST(mm_fault, is_aborted_when_something_else_is_mapped)
{
	struct mm *mm = new_space_to_intrude();

	/* Keeps the table, which the other thread would free at its end if it were empty. */
	map(mm, 20, 1, RW);
	CHECK_EQ(poke(mm, AT(20), 1), 0);
	check_aborted(mm, map_anew, MM_FALLBACK_CHANGED);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(peek(mm, AT(1) + 2), 0);
	end_space(mm);
}

static void fault_there(struct mm *mm)
{
	CHECK_EQ(poke(mm, AT(1) + 1, 6), 0);
}

TEST(mm_fault, is_aborted_when_another_was_faster)
{
	struct mm *mm = new_space_to_intrude();

	check_aborted(mm, fault_there, MM_FALLBACK_ENTRY);
	CHECK_EQ(peek(mm, AT(1) + 1), 6);
	CHECK_EQ(stats_of(mm).pages, 2);
	CHECK_EQ(stats_of(mm).frames, 2);
	end_space(mm);
}

/* Empties more tables than a thread keeps. */
static void free_the_table(struct mm *mm)
{
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
	for (unsigned int i = 1; i <= MM__KEPT_TABLES; i++) {
		map(mm, 512 * i, 1, RW);
		CHECK_EQ(poke(mm, AT(512 * i), 1), 0);
		CHECK_EQ(mm_munmap(mm, AT(512 * i), PAGES(1)), 0);
	}
}

TEST(mm_fault, is_aborted_when_the_table_was_freed)
{
	struct mm *mm = new_space_to_intrude();

	check_aborted(mm, free_the_table, MM_FALLBACK_TABLE);
	CHECK_EQ(peek(mm, AT(1) + 2), 2);
	end_space(mm);
}

/* The source changes while the fault copies it, so the fault must not use the copy. */
TEST(mm_fault, a_write_while_the_page_is_copied_is_not_lost)
{
	struct mm *mm = new_space();
	FILE *file = tmpfile();
	uint64_t addr;

	CHECK(file);
	CHECK_EQ(fputc('x', file), 'x');
	CHECK_EQ(fflush(file), 0);
	CHECK_EQ(mm_mmap(mm, AT(1), PAGES(1), RW, MM_MAP_PRIVATE | MM_MAP_FIXED, fileno(file), 0,
			 &addr),
		 0);
	/* Gives the thread frames. */
	map(mm, 3, 1, RW);
	CHECK_EQ(poke(mm, AT(3), 1), 0);
	CHECK_EQ(peek(mm, AT(1)), 'x');
	CHECK_EQ(mm_madvise(mm, AT(1), PAGES(1), MM_MADV_DONTNEED), 0);
	check_aborted(mm, fault_there, MM_FALLBACK_ENTRY);
	CHECK_EQ(peek(mm, AT(1) + 1), 6);
	CHECK_EQ(stats_of(mm).frames, 2);
	end_space(mm);
	fclose(file);
}

TEST(mm_fault, all_ways_add_up)
{
	struct mm *mm = new_warm_space();
	struct mm_stats stats;

	map_as(mm, 1000, 1, RW, PRIVATE | MM_MAP_GROWSDOWN);
	map(mm, 2000, 4, R);
	CHECK_EQ(poke(mm, AT(990), 1), 0);
	CHECK_EQ(peek(mm, AT(9)), -MM_SEGV_MAPERR);
	CHECK_EQ(poke(mm, AT(2000), 1), -MM_SEGV_ACCERR);
	CHECK_EQ(mm_madvise(mm, AT(2000), PAGES(4), MM_MADV_POPULATE_READ), 0);
	CHECK_EQ(peek(mm, MM_ADDR_MAX), -MM_SEGV_MAPERR);
	CHECK_EQ(mm_fault(mm, AT(0), R, NULL), 0);
	stats = stats_of(mm);
	CHECK_EQ(stats.faults_coarse, 1);
	CHECK_EQ(stats.faults_failed, 3);
	CHECK_EQ(stats.faults_present, 1);
	CHECK_EQ(stats.faults_minor, 6);
	CHECK_EQ(stats.faults, 10);
	CHECK_EQ(served(&stats), 10);
	CHECK_EQ(fallbacks(&stats), stats.faults_ranged + stats.faults_coarse);
	end_space(mm);
}

TEST(mm_fault, reasons_have_names_of_their_own)
{
	for (unsigned int i = 0; i < MM_NR_FALLBACKS; i++) {
		CHECK(mm_fallback_name((enum mm_fallback)i) != NULL);
		for (unsigned int k = 0; k < i; k++)
			CHECK(strcmp(mm_fallback_name((enum mm_fallback)i),
				     mm_fallback_name((enum mm_fallback)k)) != 0);
	}
	CHECK(!strcmp(mm_fallback_name(MM_FALLBACK_NO_AREA), "no_area"));
	CHECK(!strcmp(mm_fallback_name(MM_FALLBACK_ENTRY), "entry"));
	CHECK(!mm_fallback_name(MM_NR_FALLBACKS));
}
