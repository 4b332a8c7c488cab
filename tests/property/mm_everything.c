/* SPDX-License-Identifier: MIT */
/*
 * All functions of mm.h together, one thread, against a model that knows each byte: several spaces
 * by mm_fork(), files that change size under their mappings, shared memory, private copies, locked
 * VMAs, stacks and the heap, in all locking modes, with many frames and with few.
 */
#include "mm_everything.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FEW_FRAMES 40

static void open_files(struct run *r)
{
	for (unsigned int i = 0; i < WORLD_FILES; i++) {
		char path[] = "/tmp/mm_everything.XXXXXX";

		r->fd[i][0] = mkstemp(path);
		r->fd[i][1] = open(path, O_RDONLY);
		CHECK(r->fd[i][0] >= 0 && r->fd[i][1] >= 0);
		CHECK_EQ(unlink(path), 0);
	}
}

static void check_file(const struct run *r, unsigned int number)
{
	const struct world_object *file = r->world.file[number];
	static unsigned char bytes[sizeof(file->bytes) + 1];

	CHECK_EQ(pread(r->fd[number][0], bytes, sizeof(bytes), 0), file->size);
	CHECK(memcmp(bytes, file->bytes, (size_t)file->size) == 0);
}

static struct world_space *random_space(struct run *r)
{
	struct world_space *s = &r->world.space[below(r, WORLD_SPACES)];

	return s->mm ? s : &r->world.space[0];
}

/* Some operations while the thread holds everything, or a range around them. */
static void step(struct run *r)
{
	struct world_space *s = random_space(r);
	unsigned int kind = below(r, NR_KINDS);
	bool within = kind >= FIRST_WITHIN && kind < END_WITHIN;
	struct mm_hold hold;

	if (below(r, 8)) {
		mm_everything_operate(r, s, kind);
	} else if (within && below(r, 2)) {
		CHECK_EQ(mm_lock_range(s->mm, &hold, WORLD_BASE, MM_ADDR_MAX, RANGE_WRITE), 0);
		mm_everything_operate(r, s, kind);
		mm_unlock_range(s->mm, &hold);
	} else if (kind != KIND_FORK) {
		CHECK_EQ(mm_write_lock(s->mm), 0);
		mm_everything_operate(r, s, kind);
		mm_write_unlock(s->mm);
	}
}

/*
 * Everything
 */

struct walk {
	const struct world_space *space;
	unsigned int page; /* the next page that the walk expects */
	unsigned int vmas;
};

static int check_vma(const struct mm_area *vma, void *arg)
{
	struct walk *walk = arg;
	const struct world_space *s = walk->space;

	while (walk->page < WORLD_PAGES && !s->page[walk->page].mapped)
		walk->page++;
	CHECK(walk->page < WORLD_PAGES);
	CHECK_EQ(vma->start, addr_of(walk->page));
	CHECK_EQ(vma->prot, s->page[walk->page].prot);
	CHECK_EQ(vma->flags, s->page[walk->page].flags & (PRIVATE | SHARED));
	walk->page = world_vma_end(s, walk->page);
	CHECK_EQ(vma->end, addr_of(walk->page));
	walk->vmas++;
	return 0;
}

static void check_one(struct run *r, struct world_space *s)
{
	struct walk walk = { s, 0, 0 };
	struct mm_stats stats;
	unsigned int present = 0;

	check_space(s->mm);
	CHECK_EQ(mm_for_each_area(s->mm, check_vma, &walk), 0);
	for (unsigned int i = 0; i < WORLD_PAGES; i++) {
		present += s->page[i].present;
		CHECK(i < walk.page || !s->page[i].mapped);
		if (s->page[i].mapped)
			mm_everything_mincore(s, i, 1);
	}
	mm_get_stats(s->mm, &stats, sizeof(stats));
	CHECK_EQ(stats.areas, walk.vmas);
	CHECK_EQ(stats.pages, present);
	for (unsigned int i = 0; i < WORLD_PAGES; i++)
		if (s->page[i].present && s->page[i].prot)
			mm_everything_read(r, s, PAGES(i), 4096);
}

static void check(struct run *r)
{
	struct mm_stats stats;

	for (unsigned int i = 0; i < WORLD_SPACES; i++)
		if (r->world.space[i].mm)
			check_one(r, &r->world.space[i]);
	mm_get_stats(r->world.space[0].mm, &stats, sizeof(stats));
	CHECK_EQ(stats.frames, world_frames(&r->world));
	for (unsigned int i = 0; i < WORLD_FILES; i++)
		check_file(r, i);
}

static void run_round(struct run *r, unsigned int steps, uint64_t max_pages, unsigned int locking)
{
	struct mm_attr attr;

	world_init(&r->world, max_pages);
	open_files(r);
	mm_attr_init(&attr);
	attr.locking = lockings[locking % NR_LOCKINGS];
	attr.max_pages = max_pages;
	attr.brk_start = r->world.space[0].brk = HEAP_START;
	r->world.space[0].mm = new_space_with(&attr);
	for (unsigned int i = 0; i < WORLD_FILES; i++)
		mm_everything_resize(r);
	for (unsigned int i = 0; i < steps && r->world.nr_memory < 250; i++) {
		step(r);
		if (i % 32 == 0)
			check(r);
	}
	check(r);
	for (unsigned int i = WORLD_SPACES; i--;) {
		if (r->world.space[i].mm)
			end_space(r->world.space[i].mm);
		world_exit(&r->world, &r->world.space[i]);
	}
	for (unsigned int i = 0; i < WORLD_FILES; i++) {
		check_file(r, i);
		close(r->fd[i][0]);
		close(r->fd[i][1]);
	}
	world_destroy(&r->world);
}

static void run(const char *name, unsigned int rounds, unsigned int steps, uint64_t max_pages)
{
	uint64_t seed = test_seed(name);

	for (unsigned int round = 0; round < test_scale(rounds); round++) {
		static struct run r;

		r.seed = test_random(&seed);
		run_round(&r, steps, max_pages, round);
	}
}

TEST(mm_everything, agrees_with_the_model)
{
	run("mm_everything/many_frames", 40, 3000, UINT64_MAX);
}

TEST(mm_everything, agrees_with_the_model_when_there_are_few_frames)
{
	run("mm_everything/few_frames", 20, 400, FEW_FRAMES);
}
