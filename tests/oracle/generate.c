/* SPDX-License-Identifier: MIT */
/*
 * Random operations. No operation may touch mappings outside of the window, where the kernel's side
 * has its code and its stack. So a range either ends in the window, or the operation is certain to
 * fail before it changes anything.
 */
#include "generate.h"

#include "files.h"
#include "modes.h"

#define HUGE_PAGES 512u /* the pages of a huge page on x86-64 */

static uint64_t end_of_window(const struct generator *g)
{
	return WINDOW_START + PAGES(g->pages);
}

static uint64_t address(struct generator *g)
{
	return WINDOW_START + PAGES(choose_page(g)) + (one_in(g, 24) ? below(g, MM_PAGE_SIZE) : 0);
}

/* The length of a range that ends in the window. */
static uint64_t length(struct generator *g, uint64_t addr)
{
	uint64_t bytes = PAGES(1 + below(g, one_in(g, 8) ? g->span : 6));
	uint64_t room = end_of_window(g) - addr;

	if (g->pages == LARGE_WINDOW && one_in(g, 8))
		bytes = PAGES(1 + below(g, g->pages));
	/* Locks or changes everything. */
	if (g->mode == MODE_LOCKED && one_in(g, 4))
		bytes = PAGES(g->pages);
	if (one_in(g, 4))
		bytes -= below(g, MM_PAGE_SIZE);
	if (one_in(g, 32))
		bytes = 0;
	return bytes < room ? bytes : room;
}

/* With such a length, every range of the window wraps around. */
static uint64_t wrapping(struct generator *g)
{
	static const uint64_t lengths[] = { UINT64_MAX, UINT64_MAX - 0xfff, UINT64_MAX - 0x7ff };

	return PICK(g, lengths);
}

static uint64_t too_long(struct generator *g)
{
	return one_in(g, 2) ? wrapping(g) : UINT64_C(1) << (47 + below(g, 2) * 16);
}

/* An address where no mapping is possible. At most one page fits there. */
static uint64_t address_outside(struct generator *g)
{
	static const uint64_t addresses[] = { 0, UINT64_C(1) << 60, UINT64_MAX - 0xfff };

	return PICK(g, addresses);
}

static void range(struct generator *g, struct op *op)
{
	op->addr = address(g);
	op->length = one_in(g, 40) ? wrapping(g) : length(g, op->addr);
	if (one_in(g, 40)) {
		op->addr = address_outside(g);
		op->length = below(g, MM_PAGE_SIZE + 1);
	}
}

static int protection(struct generator *g)
{
	/* A page that cannot be made present stays absent, although it is locked. */
	if (g->mode == MODE_LOCKED && one_in(g, 3))
		return MM_PROT_NONE;
	return one_in(g, 2) ? MM_PROT_READ | MM_PROT_WRITE : (int)below(g, 8);
}

static int sharing(struct generator *g, bool anonymous)
{
	if (one_in(g, 32))
		return 0;
	/*
	 * Both flags together are MAP_SHARED_VALIDATE, with which Linux reports more about files.
	 */
	if (anonymous && one_in(g, 32))
		return MM_MAP_PRIVATE | MM_MAP_SHARED;
	return one_in(g, 3) ? MM_MAP_SHARED : MM_MAP_PRIVATE;
}

static int map_flags(struct generator *g)
{
	bool anonymous = !(g->features & FEATURE_FILES) || one_in(g, 2);
	int flags = anonymous ? MM_MAP_ANONYMOUS : 0;

	flags |= sharing(g, anonymous);
	if (one_in(g, 2))
		flags |= MM_MAP_FIXED;
	if (one_in(g, 6))
		flags |= MM_MAP_FIXED_NOREPLACE;
	/*
	 * At the limit, the number of VMAs depends on which VMAs Linux keeps apart for its
	 * accounting.
	 */
	if (one_in(g, 8) || g->mode == MODE_LIMIT)
		flags |= MM_MAP_NORESERVE;
	if ((g->features & FEATURE_GROWSDOWN) && one_in(g, g->mode == MODE_STACKS ? 2 : 40))
		flags |= MM_MAP_GROWSDOWN;
	if ((g->features & FEATURE_STACK) && one_in(g, 8))
		flags |= MM_MAP_STACK;
	if ((g->features & FEATURE_POPULATE) && one_in(g, 8))
		flags |= MM_MAP_POPULATE;
	return flags;
}

static unsigned int descriptor(struct generator *g)
{
	unsigned int any = (unsigned int)below(g, NR_DESCRIPTORS);
	bool sealed = any >= FILES_SEALED && any < FILES_BAD;

	if (one_in(g, g->mode == MODE_FILES ? 4 : 2) && (!sealed || (g->features & FEATURE_SEALS)))
		return any;
	return 3 * (unsigned int)below(g, NR_FILES);
}

static uint64_t map_offset(struct generator *g)
{
	if (one_in(g, 32))
		return too_long(g);
	if (g->pages == LARGE_WINDOW && one_in(g, 4))
		return PAGES(below(g, 1200));
	return one_in(g, 2) ? 0 : PAGES(below(g, 7)) + (one_in(g, 24) ? 0x800 : 0);
}

static bool in_window(const struct generator *g, const struct op *op)
{
	return op->addr >= WINDOW_START && op->addr < end_of_window(g);
}

/* For whole huge pages Linux looks for an aligned place; the simulated space does not. */
static uint64_t not_huge(uint64_t length)
{
	uint64_t pages = (length + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE;

	return pages && pages % HUGE_PAGES == 0 ? length - MM_PAGE_SIZE : length;
}

static void map(struct generator *g, struct op *op)
{
	op->flags = map_flags(g);
	op->prot = protection(g) | (one_in(g, 32) ? 0x40 : 0);
	op->offset = map_offset(g);
	op->file = descriptor(g);
	range(g, op);
	if (one_in(g, 40) && in_window(g, op))
		op->length = too_long(g);
	if (!(op->flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)) && one_in(g, 2)) {
		op->addr = one_in(g, 8) ? MM_ADDR_MAX - MM_PAGE_SIZE : 0;
		op->length = PAGES(1 + below(g, one_in(g, 8) ? g->pages + 16 : 6));
	}
	if (!(op->flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)))
		op->length = not_huge(op->length);
	/* With five levels of tables, a hint up there has a meaning of its own. */
	if (op->addr > MM_ADDR_MAX && !(op->flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)))
		op->addr = 0;
}

static void remap(struct generator *g, struct op *op)
{
	static const int flags[] = { 0, MM_MREMAP_MAYMOVE, MM_MREMAP_MAYMOVE,
				     MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
				     MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED };

	range(g, op);
	if (one_in(g, 40) && in_window(g, op))
		op->length = too_long(g);
	op->flags = one_in(g, 32) ? (int)below(g, 16) & ~4 : PICK(g, flags);
	op->new_addr = address(g);
	op->new_length =
		one_in(g, 3) ? op->length : PAGES(below(g, one_in(g, 8) ? g->pages + 16 : 10));
	if ((op->flags & MM_MREMAP_FIXED) && op->new_length < MM_ADDR_MAX &&
	    op->new_length > end_of_window(g) - op->new_addr)
		op->new_length = end_of_window(g) - op->new_addr;
	if (one_in(g, 40)) {
		op->new_addr = address_outside(g);
		op->new_length = below(g, MM_PAGE_SIZE + 1);
	}
	if (one_in(g, 40))
		op->new_length = too_long(g);
	if (!(op->flags & MM_MREMAP_FIXED))
		op->new_length = not_huge(op->new_length);
}

static void advise(struct generator *g, struct op *op)
{
	range(g, op);
	op->flags = MM_MADV_DONTNEED;
	if ((g->features & FEATURE_POPULATE) && one_in(g, 3))
		op->flags = one_in(g, 2) ? MM_MADV_POPULATE_READ : MM_MADV_POPULATE_WRITE;
	if (one_in(g, 32))
		op->flags = one_in(g, 2) ? -1 : 1000;
}

static uint64_t far_break(struct generator *g)
{
	return g->pages == LARGE_WINDOW && one_in(g, 2) ? g->pages : g->span;
}

static void move_break(struct generator *g, struct op *op)
{
	op->addr =
		one_in(g, 16) ? address_outside(g) : WINDOW_START + below(g, PAGES(far_break(g)));
	if (one_in(g, 3))
		op->addr &= ~(MM_PAGE_SIZE - 1);
}

static void access_bytes(struct generator *g, struct op *op)
{
	op->addr = one_in(g, 64) ? 0 : address(g) + below(g, MM_PAGE_SIZE);
	/* Far below a mapping, where stacks grow. */
	if (g->mode == MODE_STACKS && op->addr && one_in(g, 3))
		op->addr -= PAGES(below(g, 300));
	if (op->addr && op->addr < WINDOW_START)
		op->addr = WINDOW_START;
	if (op->addr && op->addr >= end_of_window(g))
		op->addr = end_of_window(g) - 1;
	op->length = 1 + below(g, one_in(g, 4) ? PAGES(3) : 100);
	if (op->addr && op->length > end_of_window(g) - op->addr)
		op->length = end_of_window(g) - op->addr;
	op->data = (unsigned char)below(g, 256);
}

static int sync_flags(struct generator *g)
{
	return one_in(g, 8) ? (int)below(g, 16) : (one_in(g, 2) ? MM_MS_SYNC : MM_MS_ASYNC);
}

/* Most sizes are close to the places that the other operations use. */
static uint64_t file_place(struct generator *g)
{
	uint64_t place = PAGES(below(g, 8)) + (one_in(g, 2) ? below(g, MM_PAGE_SIZE) : 0);

	if (g->pages == LARGE_WINDOW && one_in(g, 2))
		place += PAGES(below(g, 1200));
	return place;
}

static void use_file(struct generator *g, struct op *op)
{
	op->file = (unsigned int)below(g, NR_FILES);
	op->offset = file_place(g);
	op->length = op->kind == OP_TRUNCATE ? file_place(g)
					     : 1 + below(g, one_in(g, 4) ? PAGES(3) : 100);
	op->data = (unsigned char)below(g, 256);
}

static void operation(struct generator *g, struct op *op)
{
	*op = (struct op){ .kind = choose_kind(g), .vm_flags = one_in(g, 8) };
	if (g->features & FEATURE_FORK)
		op->space = one_in(g, 2) ? 0 : (unsigned int)below(g, NR_SPACES);
	switch (op->kind) {
	case OP_MMAP:
		map(g, op);
		break;
	case OP_MREMAP:
		remap(g, op);
		break;
	case OP_MADVISE:
		advise(g, op);
		break;
	case OP_BRK:
		move_break(g, op);
		break;
	case OP_READ:
	case OP_WRITE:
		access_bytes(g, op);
		break;
	case OP_TRUNCATE:
	case OP_PWRITE:
	case OP_PREAD:
		use_file(g, op);
		break;
	case OP_FORK:
		op->other = 1 + (unsigned int)below(g, NR_SPACES - 1);
		break;
	case OP_EXIT:
		op->space = 1 + (unsigned int)below(g, NR_SPACES - 1);
		break;
	default:
		range(g, op);
		op->prot = one_in(g, 32) ? 0x40 : protection(g);
		op->flags = sync_flags(g);
	}
}

/* With everything mapped, fewer operations fail. */
static struct op map_whole_window(struct generator *g)
{
	return (struct op){ .kind = OP_MMAP,
			    .addr = WINDOW_START,
			    .length = PAGES(g->pages),
			    .prot = g->mode == MODE_LOCKED ? protection(g)
							   : MM_PROT_READ | MM_PROT_WRITE,
			    .flags = MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED |
				     (g->mode == MODE_LIMIT ? MM_MAP_NORESERVE : 0) };
}

void generate(struct sequence *sequence, uint64_t seed, unsigned int features)
{
	struct generator g = { .random = seed, .features = features };

	choose_mode(&g, sequence);
	sequence->forgotten = FORGET_NOTHING;
	sequence->count = MAX_OPS;
	for (unsigned int i = 0; i < MAX_OPS; i++)
		operation(&g, &sequence->ops[i]);
	if (one_in(&g, g.pages == LARGE_WINDOW ? 8 : 2))
		sequence->ops[0] = map_whole_window(&g);
	/* At the end, reads the memory of all spaces. */
	for (unsigned int i = 0; i < NR_SPACES; i++)
		sequence->ops[MAX_OPS - 1 - i] = (struct op){ .kind = OP_SCAN, .space = i };
}
