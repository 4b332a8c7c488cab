/* SPDX-License-Identifier: MIT */
/* The steps. Where the model cannot predict a result, SKIP, the test leaves the step out. */
#include "mm_everything.h"

#include <unistd.h>

#define MAX_LENGTH (3 * 4096)

static int random_prot(struct run *r)
{
	static const int prots[] = { RW, RW, RW, RW, R, NONE, R | X };

	return prots[below(r, 7)];
}

/* A random kind of page, and the descriptor to map it by. */
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

/* A mapping may not show more pages than an object of the model has. */
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
 * Whether a write would touch bytes behind the end of a file, in its last page: the system decides
 * whether such bytes stay.
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

void mm_everything_read(struct run *r, struct world_space *s, uint64_t offset, unsigned int length)
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

/* A fault alone: the model reads a byte, or writes the byte that is there. */
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

void mm_everything_mincore(struct world_space *s, unsigned int first, unsigned int n)
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

/*
 * If the system's pages are larger than those of mm, a file ends where a page of the system ends.
 */
static uint64_t system_page(void)
{
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);

	return size < MM_PAGE_SIZE ? MM_PAGE_SIZE : size;
}

void mm_everything_resize(struct run *r)
{
	unsigned int file = below(r, WORLD_FILES);
	uint64_t size = test_random_below(&r->seed, OBJECT_PAGES * PAGES(1) + 1);

	if (below(r, 2) || system_page() > MM_PAGE_SIZE)
		size -= size % system_page();
	world_resize(r->world.file[file], size);
	CHECK_EQ(ftruncate(r->fd[file][0], (off_t)size), 0);
}

static void step_write_file(struct run *r, unsigned int length)
{
	unsigned int number = below(r, WORLD_FILES);
	struct world_object *file = r->world.file[number];
	uint64_t offset = test_random_below(&r->seed, sizeof(file->bytes) - length);
	unsigned char value = (unsigned char)below(r, 256);

	if (offset + length > file->size && system_page() > MM_PAGE_SIZE)
		return;
	if (offset + length > file->size)
		world_resize(file, offset + length);
	memset(file->bytes + offset, value, length);
	CHECK_EQ(pwrite(r->fd[number][0], file->bytes + offset, length, (off_t)offset), length);
}

/* Whether two pages lie in two VMAs only because one of the VMAs is locked. */
static bool lock_divides(const struct world_page *left, const struct world_page *right)
{
	struct world_page same = *left;

	same.locked = right->locked;
	return left->locked != right->locked && world_same_vma(&same, right);
}

/* Such VMAs would stay apart in the child, where no VMA is locked. */
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

void mm_everything_operate(struct run *r, struct world_space *s, unsigned int kind)
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
		mm_everything_mincore(s, first, n);
	else if (kind < 38)
		step_fault(r, s, first);
	else if (kind < 48)
		mm_everything_read(r, s, offset, length);
	else if (kind < 58)
		step_write(r, s, offset, length);
	else if (kind < 60)
		mm_everything_resize(r);
	else if (kind < 62)
		step_write_file(r, length);
	else
		step_fork(r, s);
}
