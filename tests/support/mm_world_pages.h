/* SPDX-License-Identifier: MIT */
/* The effects of the model's operations on pages. */
#ifndef TESTS_MM_WORLD_PAGES_H
#define TESTS_MM_WORLD_PAGES_H

#include "mm_world.h"

struct world_object *world__new_memory(struct world *w, unsigned int pages);

/* Drops the private frame of a page and makes the page absent; the contents of its object stay. */
void world__zap(struct world *w, struct world_page *page);

/* Unmaps [first, end). */
void world__clear(struct world *w, struct world_space *s, unsigned int first, unsigned int end);

bool world__all_free(const struct world_space *s, unsigned int first, unsigned int end);

/* The next mapped page at or after page; WORLD_PAGES: none. */
unsigned int world__next_mapped(const struct world_space *s, unsigned int page);

bool world__is_stack(const struct world_space *s, unsigned int page);

/* Makes pages present, until one fails. */
int world__populate(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		    bool write);

/* Makes the locked ones of the pages present, as mm_mlock() does. */
int world__populate_locked(struct world *w, struct world_space *s, unsigned int first,
			   unsigned int end);

/* Whether locking or populating the page gives it a copy of its own. */
bool world__copies(const struct world_page *page);

#endif
