/* SPDX-License-Identifier: MIT */
#include "modes.h"

struct mode_kind {
	unsigned int share; /* of 16 sequences */
	unsigned int needs; /* the features that it needs */
	unsigned int without;
	bool large;
};

static const struct mode_kind modes[NR_MODES] = {
	[MODE_PLAIN] = { 6, 0, 0, false },
	[MODE_FILES] = { 4, FEATURE_FILES | FEATURE_SIZES, 0, false },
	[MODE_LOCKED] = { 2, FEATURE_MLOCK, 0, false },
	[MODE_STACKS] = { 2, FEATURE_GROWSDOWN | FEATURE_LARGE, 0, true },
	[MODE_LARGE] = { 1, FEATURE_LARGE, 0, true },
	/* Copying so many VMAs takes long. */
	[MODE_LIMIT] = { 1, FEATURE_LIMIT, FEATURE_FORK, false },
};

/* The weight of a kind of operation, of 16, in each mode; and the features that the kind needs. */
struct kind_weight {
	enum op_kind kind;
	unsigned int feature;
	unsigned char weight[NR_MODES];
};

static const struct kind_weight kinds[] = {
	/*                            plain files locked stacks large limit */
	{ OP_MMAP, 0, { 18, 18, 18, 18, 18, 18 } },
	{ OP_MUNMAP, 0, { 8, 6, 4, 6, 8, 8 } },
	{ OP_MPROTECT, 0, { 14, 6, 20, 8, 14, 20 } },
	{ OP_MREMAP, 0, { 18, 8, 10, 8, 18, 14 } },
	{ OP_MADVISE, 0, { 8, 6, 8, 4, 8, 3 } },
	{ OP_BRK, 0, { 4, 1, 3, 3, 4, 6 } },
	{ OP_READ, 0, { 10, 18, 6, 14, 10, 4 } },
	{ OP_WRITE, 0, { 20, 20, 8, 20, 20, 4 } },
	{ OP_SCAN, 0, { 2, 3, 1, 2, 2, 1 } },
	{ OP_MINCORE, 0, { 3, 1, 14, 3, 3, 1 } },
	{ OP_MSYNC, FEATURE_MSYNC, { 4, 6, 2, 1, 4, 1 } },
	{ OP_MLOCK, FEATURE_MLOCK, { 3, 2, 20, 3, 3, 10 } },
	{ OP_MUNLOCK, FEATURE_MLOCK, { 2, 1, 3, 2, 2, 8 } },
	{ OP_TRUNCATE, FEATURE_SIZES, { 1, 14, 1, 1, 4, 1 } },
	{ OP_PWRITE, FEATURE_SIZES, { 1, 12, 1, 1, 4, 1 } },
	{ OP_PREAD, FEATURE_SIZES, { 1, 8, 1, 1, 3, 1 } },
	{ OP_FORK, FEATURE_FORK, { 5, 4, 3, 3, 3, 0 } },
	{ OP_EXIT, FEATURE_FORK, { 1, 1, 1, 1, 1, 0 } },
};

enum op_kind choose_kind(struct generator *g)
{
	for (;;) {
		const struct kind_weight *k = &PICK(g, kinds);

		if ((k->feature & ~g->features) == 0 && below(g, 20) < k->weight[g->mode])
			return k->kind;
	}
}

static bool possible(unsigned int features, const struct mode_kind *mode)
{
	return (mode->needs & ~features) == 0;
}

static enum mode pick_mode(struct generator *g)
{
	unsigned int total = 0;
	uint64_t at;

	for (unsigned int i = 0; i < NR_MODES; i++)
		total += possible(g->features, &modes[i]) ? modes[i].share : 0;
	at = below(g, total);
	for (unsigned int i = 0;; i++) {
		unsigned int share = possible(g->features, &modes[i]) ? modes[i].share : 0;

		if (at < share)
			return (enum mode)i;
		at -= share;
	}
}

/*
 * In a large window: its ends, the end of a table, two places, and the addresses that lie below
 * these places by the gap of a stack and by the maximum size of a stack.
 */
static void choose_anchors(struct generator *g)
{
	unsigned int gap = (unsigned int)(MM_STACK_GAP / MM_PAGE_SIZE);
	unsigned int most = (unsigned int)(MM_STACK_MAX / MM_PAGE_SIZE);
	unsigned int stack = most + (unsigned int)below(g, LARGE_WINDOW - most);
	unsigned int other = gap + (unsigned int)below(g, LARGE_WINDOW - gap);

	g->anchors[0] = 0;
	g->anchors[1] = g->pages - 1;
	if (g->pages != LARGE_WINDOW)
		return;
	g->anchors[2] = SMALL_WINDOW / 2 + 512 * (unsigned int)below(g, 8);
	g->anchors[3] = stack;
	g->anchors[4] = stack - gap;
	g->anchors[5] = stack - most;
	g->anchors[6] = other;
	g->anchors[7] = other - gap;
}

static unsigned int within(const struct generator *g, uint64_t page)
{
	return (unsigned int)(page < g->pages ? page : g->pages - 1);
}

uint64_t choose_page(struct generator *g)
{
	uint64_t offset = below(g, g->span);

	if (g->pages != LARGE_WINDOW)
		return one_in(g, 2) ? offset : g->pages - 1 - offset;
	if (one_in(g, 16))
		return below(g, g->pages);
	offset += g->anchors[below(g, NR_ANCHORS)];
	return within(g, offset < g->span / 2 ? 0 : offset - g->span / 2);
}

static void watch(struct generator *g, struct sequence *sequence)
{
	unsigned int each = NR_WATCHED / NR_ANCHORS;

	for (unsigned int i = 0; i < NR_WATCHED; i++) {
		unsigned int page = g->anchors[i / each] + i % each;

		sequence->watched[i] = g->pages != LARGE_WINDOW
					       ? i
					       : within(g, page < each / 2 ? 0 : page - each / 2);
	}
}

void choose_mode(struct generator *g, struct sequence *sequence)
{
	static const unsigned int spans[] = { 5, 12, 30 };

	sequence->mode = g->mode = pick_mode(g);
	g->features &= ~modes[g->mode].without;
	if (modes[g->mode].large && !(g->features & FEATURE_MLOCK_LARGE))
		g->features &= ~(unsigned int)FEATURE_MLOCK;
	sequence->features = g->features;
	sequence->pages = g->pages = modes[g->mode].large ? LARGE_WINDOW : SMALL_WINDOW;
	sequence->limit = g->mode == MODE_LIMIT ? (uint32_t)(3 + below(g, 14)) : NO_LIMIT;
	sequence->locking = (unsigned int)below(g, 12);
	g->span = PICK(g, spans);
	choose_anchors(g);
	watch(g, sequence);
}
