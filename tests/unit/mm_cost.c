/* SPDX-License-Identifier: MIT */
/* The costs of accesses and faults that mm.h promises, counted in instructions. */
#include "instructions.h"
#include "spaces.h"
#include "threads.h"

/* A space with n VMAs of four pages each, every other page present. */
struct town {
	struct mm *mm;
	unsigned int n;
	unsigned int at; /* the next page to use */
};

/* mm.h states the costs of release builds. The checked build does more. */
static bool can_count(void)
{
	if (checked_build)
		printf("skipped: the checked build costs more\n");
	return !checked_build && can_count_instructions();
}

/* Runs in the child, which may make spaces of its own: the first of two runs. */
static void build(struct town *town)
{
	town->mm = new_space();
	for (unsigned int i = 0; i < town->n; i++) {
		map(town->mm, 8 * i, 4, RW);
		CHECK_EQ(poke(town->mm, AT(8 * i), 1), 0);
		CHECK_EQ(poke(town->mm, AT(8 * i + 2), 1), 0);
	}
	town->at = town->n / 2 * 8;
	CHECK_EQ(peek(town->mm, AT(town->at)), 1);
}

static void read_present(void *arg)
{
	struct town *town = arg;
	unsigned char byte;

	if (!town->mm)
		build(town);
	CHECK_EQ(mm_read(town->mm, AT(town->at), &byte, 1, NULL), 0);
}

static void fault_one_in(void *arg)
{
	struct town *town = arg;

	if (!town->mm)
		build(town);
	CHECK_EQ(mm_fault(town->mm, AT(town->at + 1), W, NULL), 0);
	town->at += 8;
}

static void map_and_unmap(void *arg)
{
	struct town *town = arg;

	if (!town->mm)
		build(town);
	map(town->mm, town->at + 4, 1, R);
	CHECK_EQ(mm_munmap(town->mm, AT(town->at + 4), PAGES(1)), 0);
}

static struct instructions cost_in(unsigned int n, void (*run)(void *arg))
{
	struct town town = { NULL, n, 0 };

	return count_instructions(run, &town);
}

TEST(mm_cost, of_an_access_to_a_page_that_was_used_lately_is_constant)
{
	struct instructions few, many;

	if (!can_count())
		return;
	few = cost_in(8, read_present);
	many = cost_in(8192, read_present);
	printf("%" PRIu64 " instructions in a space of 8 VMAs, %" PRIu64 " of 8192\n", few.all,
	       many.all);
	CHECK_EQ(few.all, many.all);
}

/* log2 is 3 and 13: a call that costs O(n) would cost a thousand times as much. */
static void check_logarithmic(const char *what, void (*run)(void *arg))
{
	uint64_t few = cost_in(8, run).all, many = cost_in(8192, run).all;

	printf("%s: %" PRIu64 " instructions in a space of 8 VMAs, %" PRIu64 " of 8192\n", what,
	       few, many);
	CHECK(many <= 8 * few);
}

TEST(mm_cost, of_a_fault_grows_with_the_logarithm_of_the_vmas)
{
	if (can_count())
		check_logarithmic("fault", fault_one_in);
}

TEST(mm_cost, of_a_mapping_grows_with_the_logarithm_of_the_vmas)
{
	if (can_count())
		check_logarithmic("mmap and munmap", map_and_unmap);
}

static void read_statistics(void *arg)
{
	struct town *town = arg;
	struct mm_stats stats;

	if (!town->mm)
		build(town);
	mm_get_stats(town->mm, &stats, sizeof(stats));
}

/* Compares after the range lock has as many leaves as in the other space: there is one thread. */
TEST(mm_cost, of_statistics_does_not_depend_on_the_vmas)
{
	uint64_t few, many;

	if (!can_count())
		return;
	few = cost_in(8, read_statistics).all;
	many = cost_in(8192, read_statistics).all;
	printf("%" PRIu64 " instructions in a space of 8 VMAs, %" PRIu64 " of 8192\n", few, many);
	CHECK(many <= few + few / 4);
}
