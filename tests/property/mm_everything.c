/* SPDX-License-Identifier: MIT */
/*
 * All functions of mm.h together, one thread, against a model that knows each byte: several spaces
 * by mm_fork(), files that change size under their mappings, shared memory, private copies, locked
 * areas, stacks and the heap, in all locking modes, with many frames and with few.
 */
#include "mm_world.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_LENGTH (3 * 4096)
#define FEW_FRAMES 40

struct run {
	struct world world;
	uint64_t seed;
	int fd[WORLD_FILES][2]; /* for reading and writing, and for reading only */
};

static unsigned int below(struct run *r, unsigned int limit)
{
	return (unsigned int)test_random_below(&r->seed, limit);
}

static uint64_t addr_of(unsigned int page)
{
	return WORLD_BASE + PAGES(page);
}

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

/*
 * Steps: the same operation on both
 */

static int random_prot(struct run *r)
{
	static const int prots[] = { RW, RW, RW, RW, R, NONE, R | X };

	return prots[below(r, 7)];
}

/* What is to be mapped, and by which descriptor. */
static struct world_page random_kind(struct run *r, int *fd)
{
	static const int flags[] = { PRIVATE,
				     PRIVATE,
				     PRIVATE | MM_MAP_NORESERVE,
				     PRIVATE | MM_MAP_GROWSDOWN,
				     SHARED,
				     MM_MAP_SHARED,
				     MM_MAP_SHARED,
				     MM_MAP_PRIVATE,
				     MM_MAP_PRIVATE };
	struct world_page kind = { .mapped = true, .prot = random_prot(r) };
	unsigned int file = below(r, WORLD_FILES);
	bool read_only = below(r, 4) == 0;

	kind.flags = flags[below(r, sizeof(flags) / sizeof(flags[0]))];
	if (below(r, 16) == 0)
		kind.flags |= MM_MAP_GROWSDOWN;
	*fd = -1;
	if (kind.flags & MM_MAP_ANONYMOUS)
		return kind;
	kind.object = r->world.file[file];
	kind.index = below(r, OBJECT_PAGES / 2);
	kind.no_write = read_only && kind.flags & MM_MAP_SHARED;
	*fd = r->fd[file][read_only];
	return kind;
}

static void step_map(struct run *r, struct world_space *s, unsigned int first, unsigned int n)
{
	static const int places[] = { MM_MAP_FIXED, MM_MAP_FIXED, MM_MAP_FIXED_NOREPLACE, 0 };
	int fd;
	struct world_page kind = random_kind(r, &fd);
	int flags = places[below(r, 4)] | (below(r, 6) ? 0 : MM_MAP_POPULATE);
	uint64_t result = 0;
	unsigned int where;
	int error;

	n = n > OBJECT_PAGES / 2 ? OBJECT_PAGES / 2 : n;
	error = world_map(&r->world, s, first, n, &kind, flags, &where);
	if (error == SKIP)
		return;
	CHECK_EQ(mm_mmap(s->mm, addr_of(first), PAGES(n), kind.prot, kind.flags | flags, fd,
			 PAGES(kind.index), &result),
		 error);
	if (!error)
		CHECK_EQ(result, addr_of(where));
}

/* No page may show more than there is in an object of the model. */
static bool fits_object(const struct world_space *s, unsigned int page, unsigned int n)
{
	return !s->page[page].object || s->page[page].index + n <= OBJECT_PAGES;
}

static void step_remap(struct run *r, struct world_space *s, unsigned int first, unsigned int n)
{
	static const int kinds[] = { 0, MM_MREMAP_MAYMOVE, MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED };
	unsigned int new_n = below(r, 2) ? n : 1 + below(r, 12);
	unsigned int to = below(r, WORLD_PAGES - new_n);
	int flags = kinds[below(r, 3)];
	uint64_t result = 0;
	unsigned int where;
	int error;

	n = below(r, 16) ? n : 0;
	if (!fits_object(s, first, new_n))
		return;
	error = world_remap(&r->world, s, first, n, new_n, flags, to, &where);
	if (error == SKIP)
		return;
	CHECK_EQ(mm_mremap(s->mm, addr_of(first), PAGES(n), PAGES(new_n), flags, addr_of(to),
			   &result),
		 error);
	if (!error)
		CHECK_EQ(result, addr_of(where));
}

static void step_brk(struct run *r, struct world_space *s)
{
	uint64_t brk = HEAP_START + test_random_below(&r->seed, PAGES(16)) - 10;
	uint64_t result;

	world_brk(&r->world, s, brk);
	CHECK_EQ(mm_brk(s->mm, brk, &result), 0);
	CHECK_EQ(result, s->brk);
}

/*
 * Whether a write would go behind the end of a file, in its last page: what becomes of such bytes is
 * up to the system.
 */
static bool writes_behind_end(const struct world_space *s, uint64_t offset, unsigned int length)
{
	for (uint64_t at = offset; at < offset + length; at++) {
		const struct world_page *page = &s->page[at / PAGES(1)];

		if (page->object && page->flags & MM_MAP_SHARED &&
		    PAGES(page->index) + at % PAGES(1) >= page->object->size)
			return true;
	}
	return false;
}

static void check_fault(const struct world_fault *fault, uint64_t offset,
			const struct mm_siginfo *info)
{
	if (fault->error != EFAULT)
		return;
	CHECK_EQ(info->addr, WORLD_BASE + offset + fault->done);
	CHECK_EQ(info->code, fault->code);
}

static void step_write(struct run *r, struct world_space *s, uint64_t offset, unsigned int length)
{
	unsigned char bytes[MAX_LENGTH];
	struct world_fault fault;
	struct mm_siginfo info;
	int value = (int)below(r, 256);

	if (writes_behind_end(s, offset, length))
		return;
	for (unsigned int i = 0; i < length; i++)
		bytes[i] = (unsigned char)(value + (int)i);
	fault = world_access(&r->world, s, offset, length, NULL, value);
	CHECK_EQ(mm_write(s->mm, WORLD_BASE + offset, bytes, length, &info), fault.error);
	check_fault(&fault, offset, &info);
}

static void step_read(struct run *r, struct world_space *s, uint64_t offset, unsigned int length)
{
	unsigned char expected[MAX_LENGTH], bytes[MAX_LENGTH];
	struct world_fault fault = world_access(&r->world, s, offset, length, expected, -1);
	struct mm_siginfo info;

	CHECK_EQ(mm_read(s->mm, WORLD_BASE + offset, bytes, length, &info), fault.error);
	check_fault(&fault, offset, &info);
	for (unsigned int i = 0; i < fault.done; i++)
		if (bytes[i] != expected[i])
			test_fail(__FILE__, __LINE__, "byte %u of page %u is %u, not %u",
				  (unsigned int)((offset + i) % PAGES(1)),
				  (unsigned int)((offset + i) / PAGES(1)), bytes[i], expected[i]);
}

/* A fault only: the model reads a byte, or writes the one that is there. */
static void step_fault(struct run *r, struct world_space *s, unsigned int page)
{
	struct world_fault fault;
	struct mm_siginfo info;
	unsigned char byte = 0;

	fault = world_access(&r->world, s, PAGES(page), 1, &byte, -1);
	CHECK_EQ(mm_fault(s->mm, addr_of(page), R, &info), fault.error);
	check_fault(&fault, PAGES(page), &info);
	if (fault.error || below(r, 2))
		return;
	fault = world_access(&r->world, s, PAGES(page), 1, NULL, byte);
	CHECK_EQ(mm_fault(s->mm, addr_of(page), W, &info), fault.error);
	check_fault(&fault, PAGES(page), &info);
}

static void step_mincore(struct world_space *s, unsigned int first, unsigned int n)
{
	int error = world_mapped(s, first, first + n) ? 0 : ENOMEM;
	unsigned char vec[WORLD_PAGES];

	CHECK_EQ(mm_mincore(s->mm, addr_of(first), PAGES(n), vec), error);
	for (unsigned int i = 0; !error && i < n; i++)
		if ((vec[i] & 1) != s->page[first + i].present)
			test_fail(__FILE__, __LINE__, "page %u is %spresent", first + i,
				  vec[i] & 1 ? "" : "not ");
}

static void step_advise(struct run *r, struct world_space *s, unsigned int first, unsigned int n)
{
	static const int advices[] = { MM_MADV_DONTNEED, MM_MADV_POPULATE_READ,
				       MM_MADV_POPULATE_WRITE };
	int advice = advices[below(r, 3)];

	CHECK_EQ(mm_madvise(s->mm, addr_of(first), PAGES(n), advice),
		 world_advise(&r->world, s, first, first + n, advice));
}

static void step_msync(struct run *r, struct world_space *s, unsigned int first, unsigned int n)
{
	CHECK_EQ(mm_msync(s->mm, addr_of(first), PAGES(n), below(r, 2) ? MM_MS_SYNC : MM_MS_ASYNC),
		 world_mapped(s, first, first + n) ? 0 : ENOMEM);
}

static void step_resize(struct run *r)
{
	unsigned int file = below(r, WORLD_FILES);
	uint64_t size = test_random_below(&r->seed, OBJECT_PAGES * PAGES(1));

	if (below(r, 2))
		size -= size % PAGES(1);
	world_resize(r->world.file[file], size);
	CHECK_EQ(ftruncate(r->fd[file][0], (off_t)size), 0);
}

static void step_write_file(struct run *r, unsigned int length)
{
	unsigned int number = below(r, WORLD_FILES);
	struct world_object *file = r->world.file[number];
	uint64_t offset = test_random_below(&r->seed, sizeof(file->bytes) - length);
	unsigned char value = (unsigned char)below(r, 256);

	if (offset + length > file->size)
		world_resize(file, offset + length);
	memset(file->bytes + offset, value, length);
	CHECK_EQ(pwrite(r->fd[number][0], file->bytes + offset, length, (off_t)offset), length);
}

static void check_file(const struct run *r, unsigned int number)
{
	const struct world_object *file = r->world.file[number];
	static unsigned char bytes[sizeof(file->bytes) + 1];

	CHECK_EQ(pread(r->fd[number][0], bytes, sizeof(bytes), 0), file->size);
	CHECK(memcmp(bytes, file->bytes, (size_t)file->size) == 0);
}

/* Whether two pages are of two areas only because one of them is locked. */
static bool lock_divides(const struct world_page *left, const struct world_page *right)
{
	struct world_page same = *left;

	same.locked = right->locked;
	return left->locked != right->locked && world_same_area(&same, right);
}

/* Such areas would stay apart in the child, where nothing is locked. */
static void unlock_dividing(struct run *r, struct world_space *s)
{
	for (unsigned int i = 1; i < WORLD_PAGES; i++) {
		unsigned int locked = s->page[i].locked ? i : i - 1;

		if (!lock_divides(&s->page[i - 1], &s->page[i]))
			continue;
		CHECK_EQ(world_lock(&r->world, s, locked, locked + 1, false), 0);
		CHECK_EQ(mm_munlock(s->mm, addr_of(locked), 1), 0);
		i = locked > 1 ? locked - 1 : 0;
	}
}

/* Space 0 stays. */
static void step_fork(struct run *r, struct world_space *s)
{
	struct world_space *other = &r->world.space[1 + below(r, WORLD_SPACES - 1)];

	if (other == s)
		return;
	if (other->mm) {
		mm_destroy(other->mm);
		world_exit(&r->world, other);
	}
	unlock_dividing(r, s);
	world_fork(&r->world, s, other);
	CHECK_EQ(mm_fork(s->mm, &other->mm), 0);
}

static struct world_space *random_space(struct run *r)
{
	struct world_space *s = &r->world.space[below(r, WORLD_SPACES)];

	return s->mm ? s : &r->world.space[0];
}

static void operate(struct run *r, struct world_space *s, unsigned int kind)
{
	unsigned int n = 1 + below(r, below(r, 8) ? 6 : 20);
	unsigned int first = below(r, WORLD_PAGES - n + 1);
	unsigned int length = 1 + below(r, below(r, 3) ? 200 : MAX_LENGTH);
	uint64_t offset = test_random_below(&r->seed, PAGES(WORLD_PAGES) - length);
	bool lock = below(r, 3) != 0;
	int prot = random_prot(r);

	if (kind < 9)
		step_map(r, s, first, n);
	else if (kind < 12)
		CHECK_EQ(mm_munmap(s->mm, addr_of(first), PAGES(n)),
			 world_unmap(&r->world, s, first, first + n));
	else if (kind < 18)
		CHECK_EQ(mm_mprotect(s->mm, addr_of(first), PAGES(n), prot),
			 world_protect(&r->world, s, first, first + n, prot));
	else if (kind < 24)
		step_remap(r, s, first, n);
	else if (kind < 27)
		step_advise(r, s, first, n);
	else if (kind < 29)
		step_brk(r, s);
	else if (kind < 31)
		step_msync(r, s, first, n);
	else if (kind < 33)
		CHECK_EQ((lock ? mm_mlock : mm_munlock)(s->mm, addr_of(first), PAGES(n)),
			 world_lock(&r->world, s, first, first + n, lock));
	else if (kind < 35)
		step_mincore(s, first, n);
	else if (kind < 38)
		step_fault(r, s, first);
	else if (kind < 48)
		step_read(r, s, offset, length);
	else if (kind < 58)
		step_write(r, s, offset, length);
	else if (kind < 60)
		step_resize(r);
	else if (kind < 62)
		step_write_file(r, length);
	else
		step_fork(r, s);
}

#define NR_KINDS 63u

/* Some operations while the thread holds everything, or so much that they lie within. */
static void step(struct run *r)
{
	struct world_space *s = random_space(r);
	unsigned int kind = below(r, NR_KINDS);
	bool within = kind >= 9 && kind < 18;
	struct mm_hold hold;

	if (below(r, 8)) {
		operate(r, s, kind);
	} else if (within && below(r, 2)) {
		CHECK_EQ(mm_lock_range(s->mm, &hold, WORLD_BASE, MM_ADDR_MAX, RANGE_WRITE), 0);
		operate(r, s, kind);
		mm_unlock_range(s->mm, &hold);
	} else if (kind != NR_KINDS - 1) {
		CHECK_EQ(mm_write_lock(s->mm), 0);
		operate(r, s, kind);
		mm_write_unlock(s->mm);
	}
}

/*
 * Everything
 */

struct walk {
	const struct world_space *space;
	unsigned int page; /* the next to be seen */
	unsigned int areas;
};

static int check_area(const struct mm_area *area, void *arg)
{
	struct walk *walk = arg;
	const struct world_space *s = walk->space;

	while (walk->page < WORLD_PAGES && !s->page[walk->page].mapped)
		walk->page++;
	CHECK(walk->page < WORLD_PAGES);
	CHECK_EQ(area->start, addr_of(walk->page));
	CHECK_EQ(area->prot, s->page[walk->page].prot);
	CHECK_EQ(area->flags, s->page[walk->page].flags & (PRIVATE | SHARED));
	walk->page = world_area_end(s, walk->page);
	CHECK_EQ(area->end, addr_of(walk->page));
	walk->areas++;
	return 0;
}

static void check_one(struct run *r, struct world_space *s)
{
	struct walk walk = { s, 0, 0 };
	struct mm_stats stats;
	unsigned int present = 0;

	check_space(s->mm);
	CHECK_EQ(mm_for_each_area(s->mm, check_area, &walk), 0);
	for (unsigned int i = 0; i < WORLD_PAGES; i++) {
		present += s->page[i].present;
		CHECK(i < walk.page || !s->page[i].mapped);
		if (s->page[i].mapped)
			step_mincore(s, i, 1);
	}
	mm_get_stats(s->mm, &stats);
	CHECK_EQ(stats.areas, walk.areas);
	CHECK_EQ(stats.pages, present);
	for (unsigned int i = 0; i < WORLD_PAGES; i++)
		if (s->page[i].present && s->page[i].prot)
			step_read(r, s, PAGES(i), 4096);
}

static void check(struct run *r)
{
	struct mm_stats stats;

	for (unsigned int i = 0; i < WORLD_SPACES; i++)
		if (r->world.space[i].mm)
			check_one(r, &r->world.space[i]);
	mm_get_stats(r->world.space[0].mm, &stats);
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
		step_resize(r);
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
