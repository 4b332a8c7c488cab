/* SPDX-License-Identifier: MIT */
/*
 * Two copies of the library in one process, and an address space that one of them made. The other
 * copy refuses the space: its grace periods do not wait for the readers of the first copy.
 */
#include "copies.h"
#include "test.h"

#include <string.h>

static const struct copy_module *owner, *other;
static struct mm *mm;
static uint64_t addr;

static void map(const struct copy_module *copy, struct mm **space, uint64_t *result)
{
	CHECK_EQ(copy->mm_create(space, NULL), 0);
	CHECK_EQ(copy->mm_mmap(*space, 0, MM_PAGE_SIZE, MM_PROT_READ | MM_PROT_WRITE,
			       MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1, 0, result),
		 0);
	CHECK_EQ(copy->mm_write(*space, *result, "x", 1, NULL), 0);
}

static void map_in_it(void)
{
	uint64_t result;

	other->mm_mmap(mm, 0, MM_PAGE_SIZE, MM_PROT_READ, MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1, 0,
		       &result);
}

static void unmap_in_it(void)
{
	other->mm_munmap(mm, addr, MM_PAGE_SIZE);
}

static void read_it(void)
{
	char byte;

	other->mm_read(mm, addr, &byte, 1, NULL);
}

static void write_it(void)
{
	other->mm_write(mm, addr, "y", 1, NULL);
}

static void fork_it(void)
{
	struct mm *child;

	other->mm_fork(mm, &child);
}

static void lock_it(void)
{
	(void)!other->mm_read_lock(mm);
}

static void read_its_stats(void)
{
	struct mm_stats stats;

	other->mm_get_stats(mm, &stats, sizeof(stats));
}

static void validate_it(void)
{
	other->mm_validate(mm, NULL, 0);
}

static void destroy_it(void)
{
	other->mm_destroy(mm);
}

static const struct {
	const char *name;
	void (*use)(void);
} uses[] = {
	{ "mm_mmap()", map_in_it },
	{ "mm_munmap()", unmap_in_it },
	{ "mm_read()", read_it },
	{ "mm_write()", write_it },
	{ "mm_fork()", fork_it },
	{ "mm_read_lock()", lock_it },
	{ "mm_get_stats()", read_its_stats },
	{ "mm_validate()", validate_it },
	{ "mm_destroy()", destroy_it },
};

static void (*use)(void);

/* The thread has a space in the other copy, too, which that copy must not take for this one. */
static void use_after_own(void)
{
	uint64_t own_addr;
	struct mm *own;

	map(other, &own, &own_addr);
	use();
}

TEST(mm_copies, a_space_of_another_plugin_is_refused)
{
	if (!modules_load(COPY_A))
		return;
	owner = load_module(COPY_A);
	other = load_module(COPY_B);
	map(owner, &mm, &addr);
	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
		use = uses[i].use;
		check_refused("address space", use, uses[i].name, COPY_A, COPY_B);
		check_refused("address space", use_after_own, uses[i].name, COPY_A, COPY_B);
	}
	owner->mm_destroy(mm);
}

TEST(mm_copies, modules_that_share_a_copy_share_spaces)
{
	char byte = 0;

	if (!modules_load(COPY_A))
		return;
	owner = load_module(USER_A);
	other = load_module(USER_B);
	map(owner, &mm, &addr);
	CHECK_EQ(other->mm_read(mm, addr, &byte, 1, NULL), 0);
	CHECK_EQ(byte, 'x');
	CHECK_EQ(other->mm_validate(mm, NULL, 0), 0);
	other->mm_destroy(mm);
}
