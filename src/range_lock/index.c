/* SPDX-License-Identifier: MIT */
#include "index.h"

uint32_t range__index_search(struct range__forest *forest, uint64_t key)
{
	uint32_t base = 0;

	for (uint32_t n = range__index_count(forest); n > 1; n -= n / 2)
		if (range__index_lo(forest, base + n / 2) <= key)
			base += n / 2;
	return base;
}

void range__index_set(struct range__forest *forest, uint32_t i, uint64_t lo,
		      struct range__leaf *leaf)
{
	atomic_store_explicit(&forest->entries[i].lo, lo, memory_order_relaxed);
	/* release: pairs with the acquire in range__index_find() */
	atomic_store_explicit(&forest->entries[i].leaf, leaf, memory_order_release);
}

static void copy_index(struct range__forest *forest, uint32_t to, uint32_t from)
{
	range__index_set(forest, to, range__index_lo(forest, from),
			 range__index_leaf(forest, from));
}

static void set_count(struct range__forest *forest, uint32_t count)
{
	/* release: pairs with the acquire in range__index_find() */
	atomic_store_explicit(&forest->count, count, memory_order_release);
}

void range__index_insert(struct range__forest *forest, uint32_t i, struct range__leaf *leaf,
			 uint32_t n)
{
	uint32_t count = range__index_count(forest);

	for (uint32_t k = count; k > i; k--)
		copy_index(forest, k - 1 + n, k - 1);
	for (uint32_t k = i; k < i + n; k++, leaf = leaf->next)
		range__index_set(forest, k, atomic_load_explicit(&leaf->lo, memory_order_relaxed),
				 leaf);
	set_count(forest, count + n);
}

void range__index_remove(struct range__forest *forest, uint32_t i, uint32_t n)
{
	uint32_t count = range__index_count(forest);

	for (uint32_t k = i; k + n < count; k++)
		copy_index(forest, k, k + n);
	/* Entries above stay as they are: a reader that loaded the old count finds leaves there. */
	set_count(forest, count - n);
}
