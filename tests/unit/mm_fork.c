/* SPDX-License-Identifier: MIT */
#include "mm/vmas.h"
#include "spaces.h"
#include "threads.h"

static struct mm *fork_of(struct mm *mm)
{
	struct mm *child = NULL;

	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK(child && child != mm);
	return child;
}

/* The pages contain 10, 11, .. */
static struct mm *new_parent_locking(enum mm_locking locking, unsigned int pages)
{
	struct mm *mm = new_space_locking(locking);

	map(mm, 0, pages, RW);
	for (unsigned int i = 0; i < pages; i++)
		CHECK_EQ(poke(mm, AT(i), 10 + (int)i), 0);
	return mm;
}

static struct mm *new_parent(unsigned int pages)
{
	return new_parent_locking(MM_LOCKING_SPECULATIVE, pages);
}

static void check_pages(struct mm *mm, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n; i++)
		CHECK_EQ(peek(mm, AT(i)), 10 + (int)i);
}

TEST(mm_fork, a_child_has_the_contents_of_its_parent_and_neither_sees_the_other_write)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_parent_locking(lockings[i], 3);
		struct mm *child = fork_of(mm);

		CHECK_VMAS(child, "0-3:rw-p");
		check_pages(child, 0, 3);
		check_pages(mm, 0, 3);
		CHECK_EQ(poke(mm, AT(0), 1), 0);
		CHECK_EQ(poke(child, AT(1), 2), 0);
		CHECK_EQ(peek(child, AT(0)), 10);
		CHECK_EQ(peek(mm, AT(1)), 11);
		CHECK_EQ(peek(mm, AT(0)), 1);
		CHECK_EQ(peek(child, AT(1)), 2);
		check_pages(mm, 2, 1);
		check_pages(child, 2, 1);
		end_space(mm);
		check_pages(child, 2, 1);
		end_space(child);
	}
}

TEST(mm_fork, a_page_is_copied_when_one_of_two_writes_to_it_and_not_before)
{
	struct mm *mm = new_parent(8);
	struct mm *child;

	CHECK_EQ(stats_of(mm).frames, 8);
	child = fork_of(mm);
	CHECK_EQ(stats_of(mm).frames, 8);
	CHECK_EQ(stats_of(child).frames, 8);
	CHECK_EQ(stats_of(child).pages, 8);
	check_pages(child, 0, 8);
	CHECK_EQ(stats_of(mm).frames, 8);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(stats_of(mm).frames, 9);
	/* The child has a page of its own now. */
	CHECK_EQ(poke(child, AT(0), 2), 0);
	CHECK_EQ(stats_of(mm).frames, 9);
	CHECK_EQ(poke(child, AT(1), 2), 0);
	CHECK_EQ(stats_of(mm).frames, 10);
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(stats_of(mm).frames, 10);
	CHECK_EQ(mm_munmap(child, AT(0), PAGES(2)), 0);
	CHECK_EQ(stats_of(mm).frames, 8);
	CHECK_EQ(mm_madvise(child, AT(2), PAGES(6), MM_MADV_DONTNEED), 0);
	CHECK_EQ(stats_of(child).pages, 0);
	CHECK_EQ(stats_of(mm).frames, 8);
	check_pages(mm, 2, 6);
	end_space(child);
	CHECK_EQ(stats_of(mm).frames, 8);
	end_space(mm);
}

TEST(mm_fork, new_pages_belong_to_one_of_the_two)
{
	struct mm *mm = new_space(), *child;

	map(mm, 0, 2, RW);
	child = fork_of(mm);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(peek(child, AT(0)), 0);
	CHECK_EQ(poke(child, AT(1), 1), 0);
	CHECK_EQ(peek(mm, AT(1)), 0);
	/* Where no mapping was at the fork, each space has its own. */
	map(child, 10, 1, RW);
	CHECK_EQ(peek(mm, AT(10)), -MM_SEGV_MAPERR);
	end_space(mm);
	end_space(child);
}

/* All orders in which three generations can end. */
static void end_in_order(unsigned int order)
{
	struct mm *family[3];

	family[0] = new_parent(4);
	family[1] = fork_of(family[0]);
	CHECK_EQ(poke(family[1], AT(1), 100), 0);
	family[2] = fork_of(family[1]);
	CHECK_EQ(poke(family[2], AT(2), 101), 0);
	CHECK_EQ(peek(family[2], AT(1)), 100);
	CHECK_EQ(peek(family[1], AT(2)), 12);
	CHECK_EQ(stats_of(family[0]).frames, 6);
	for (unsigned int left = 3; left; left--, order /= 3) {
		unsigned int i = order % left;

		mm_destroy(family[i]);
		for (; i + 1 < left; i++)
			family[i] = family[i + 1];
		for (i = 0; i + 1 < left; i++) {
			check_space(family[i]);
			check_pages(family[i], 0, 1);
			check_pages(family[i], 3, 1);
			CHECK_EQ(poke(family[i], AT(0), 10), 0);
		}
	}
}

TEST(mm_fork, relatives_end_in_any_order)
{
	for (unsigned int first = 0; first < 3; first++)
		for (unsigned int second = 0; second < 2; second++)
			end_in_order(first + 3 * second);
}

TEST(mm_fork, the_last_space_with_a_page_writes_to_it_without_a_copy)
{
	struct mm *mm = new_parent(1);
	struct mm *child = fork_of(mm), *grandchild = fork_of(child);

	mm_destroy(mm);
	mm_destroy(child);
	CHECK_EQ(stats_of(grandchild).frames, 1);
	CHECK_EQ(poke(grandchild, AT(0), 1), 0);
	CHECK_EQ(stats_of(grandchild).frames, 1);
	end_space(grandchild);
}

TEST(mm_fork, shared_memory_stays_shared)
{
	struct mm *mm = new_space(), *child;

	map_as(mm, 0, 3, RW, SHARED);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	child = fork_of(mm);
	CHECK_VMAS(child, "0-3:rw-s");
	CHECK_EQ(peek(child, AT(0)), 1);
	CHECK_EQ(poke(child, AT(0), 2), 0);
	CHECK_EQ(peek(mm, AT(0)), 2);
	/* A page that neither space had at the time of the fork. */
	CHECK_EQ(poke(mm, AT(1), 3), 0);
	CHECK_EQ(peek(child, AT(1)), 3);
	CHECK_EQ(stats_of(mm).frames, 2);
	mm_destroy(mm);
	CHECK_EQ(peek(child, AT(0)), 2);
	CHECK_EQ(peek(child, AT(1)), 3);
	CHECK_EQ(peek(child, AT(2)), 0);
	end_space(child);
}

static unsigned int locked_pages(struct mm *mm)
{
	struct mm__mapping m = { 0, 0, NULL };
	uint64_t pages = 0;

	while (mm__vma_tree_find(&mm->vmas, m.end, &m))
		if (m.vma->flags & MM__VMA_LOCKED)
			pages += (m.end - m.start) / PAGES(1);
	return (unsigned int)pages;
}

TEST(mm_fork, vmas_locked_by_the_parent_are_not_locked_in_the_child)
{
	struct mm *mm = new_space(), *child;

	map(mm, 0, 9, RW);
	CHECK_EQ(mm_mlock(mm, AT(3), PAGES(3)), 0);
	CHECK_VMAS(mm, "0-3:rw-p 3-6:rw-p 6-9:rw-p");
	child = fork_of(mm);
	/* The VMAs stay apart, as in Linux. */
	CHECK_VMAS(child, "0-3:rw-p 3-6:rw-p 6-9:rw-p");
	CHECK_EQ(locked_pages(mm), 3);
	CHECK_EQ(locked_pages(child), 0);
	CHECK_EQ(mm_madvise(child, AT(0), PAGES(9), MM_MADV_DONTNEED), 0);
	CHECK_EQ(mm_madvise(mm, AT(3), PAGES(3), MM_MADV_DONTNEED), EINVAL);
	check_space(mm);
	end_space(child);
	end_space(mm);
}

TEST(mm_fork, files_stay_mapped_and_private_changes_of_them_are_copied)
{
	struct mm *mm = new_space(), *child;
	FILE *file = tmpfile();
	uint64_t shared, private;

	CHECK(file);
	CHECK_EQ(fwrite("ab", 1, 2, file), 2);
	CHECK_EQ(fflush(file), 0);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, MM_MAP_SHARED, fileno(file), 0, &shared), 0);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, MM_MAP_PRIVATE, fileno(file), 0, &private), 0);
	CHECK_EQ(poke(mm, private, 'p'), 0);
	child = fork_of(mm);
	CHECK_EQ(peek(child, private), 'p');
	CHECK_EQ(peek(child, private + 1), 'b');
	CHECK_EQ(poke(child, private, 'c'), 0);
	CHECK_EQ(peek(mm, private), 'p');
	CHECK_EQ(poke(child, shared + 1, 'C'), 0);
	CHECK_EQ(peek(mm, shared + 1), 'C');
	CHECK_EQ(peek(mm, private + 1), 'b');
	end_space(mm);
	CHECK_EQ(peek(child, shared + 1), 'C');
	end_space(child);
	fclose(file);
}

TEST(mm_fork, protections_and_the_heap_are_inherited)
{
	struct mm *mm = new_parent(3), *child;
	uint64_t brk, childs;

	CHECK_EQ(mm_brk(mm, 0, &brk), 0);
	CHECK_EQ(mm_brk(mm, brk + 5000, &brk), 0);
	CHECK_EQ(poke(mm, brk - 1, 5), 0);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), R), 0);
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), NONE), 0);
	child = fork_of(mm);
	CHECK_EQ(mm_brk(child, 0, &childs), 0);
	CHECK(childs == brk);
	CHECK_EQ(peek(child, brk - 1), 5);
	CHECK_EQ(poke(child, AT(1), 1), -MM_SEGV_ACCERR);
	CHECK_EQ(peek(child, AT(1)), 11);
	CHECK_EQ(peek(child, AT(2)), -MM_SEGV_ACCERR);
	CHECK_EQ(mm_mprotect(child, AT(1), PAGES(2), RW), 0);
	CHECK_EQ(peek(child, AT(2)), 12);
	CHECK_EQ(poke(child, AT(2), 1), 0);
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), R), 0);
	CHECK_EQ(peek(mm, AT(2)), 12);
	check_space(mm);
	end_space(child);
	end_space(mm);
}

TEST(mm_fork, an_empty_space_has_an_empty_child)
{
	struct mm *mm = new_space();
	struct mm *child = fork_of(mm);

	CHECK_VMAS(child, "");
	CHECK_EQ(stats_of(child).frames, 0);
	end_space(mm);
	end_space(child);
}

TEST(mm_fork, many_vmas_in_many_tables)
{
	struct mm *mm = new_space(), *child;
	enum { VMAS = 700 };

	for (unsigned int i = 0; i < VMAS; i++) {
		map(mm, 300 * i, 1, i % 2 ? RW : RW | X);
		CHECK_EQ(poke(mm, AT(300 * i), (int)i % 256), 0);
	}
	child = fork_of(mm);
	check_space(mm);
	check_space(child);
	CHECK_EQ(stats_of(child).areas, VMAS);
	CHECK_EQ(stats_of(child).tables, stats_of(mm).tables);
	end_space(mm);
	for (unsigned int i = 0; i < VMAS; i++)
		CHECK_EQ(peek(child, AT(300 * i)), (int)i % 256);
	CHECK_EQ(stats_of(child).frames, VMAS);
	end_space(child);
}

TEST(mm_fork, counts_begin_anew_in_the_child)
{
	struct mm *mm = new_parent(3);
	struct mm *child = fork_of(mm);

	CHECK_EQ(stats_of(child).faults, 0);
	check_pages(child, 0, 3);
	CHECK_EQ(stats_of(child).faults, 3);
	CHECK_EQ(stats_of(child).faults_present, 3);
	CHECK_EQ(stats_of(child).faults_minor, 0);
	end_space(child);
	end_space(mm);
}

TEST(mm_fork, page_limits_are_those_of_the_family)
{
	struct mm *mm = new_space_of_pages(5);
	struct mm *child;

	map(mm, 0, 3, RW);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	child = fork_of(mm);
	CHECK_EQ(poke(child, AT(0), 2), 0);
	CHECK_EQ(poke(mm, AT(1), 3), 0);
	CHECK_EQ(mm_write(child, AT(2), "x", 1, NULL), ENOMEM);
	CHECK_EQ(peek(child, AT(2)), 1);
	CHECK_EQ(mm_munmap(mm, AT(2), PAGES(1)), 0);
	CHECK_EQ(poke(child, AT(2), 4), 0);
	check_space(mm);
	end_space(mm);
	end_space(child);
}

TEST(mm_fork, a_reader_of_a_range_cannot_fork_and_a_writer_of_everything_can)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_parent_locking(lockings[i], 1), *child = NULL;

		CHECK_EQ(mm_read_lock(mm), 0);
		CHECK_EQ(mm_fork(mm, &child), EDEADLK);
		CHECK(!child);
		mm_read_unlock(mm);
		CHECK_EQ(mm_write_lock(mm), 0);
		child = fork_of(mm);
		mm_write_unlock(mm);
		CHECK_EQ(peek(child, AT(0)), 10);
		check_space(mm);
		end_space(child);
		end_space(mm);
	}
}

TEST(mm_fork, a_stack_grows_on_in_the_child)
{
	struct mm *mm = new_space(), *child;

	map_as(mm, 1000, 1, RW, PRIVATE | MM_MAP_GROWSDOWN);
	child = fork_of(mm);
	CHECK_EQ(poke(child, AT(990), 1), 0);
	CHECK_VMAS(child, "990-1001:rw-p");
	CHECK_VMAS(mm, "1000-1001:rw-p");
	end_space(child);
	end_space(mm);
}
