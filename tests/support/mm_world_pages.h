/* SPDX-License-Identifier: MIT */
/* What the operations of the model do to pages. */
#ifndef TESTS_MM_WORLD_PAGES_H
#define TESTS_MM_WORLD_PAGES_H

#include "mm_world.h"

struct world_object *world__new_memory(struct world *w, unsigned int pages);

/* What a page shows is gone from it; what it would show then is not. */
void world__zap(struct world *w, struct world_page *page);

/* Nothing is mapped in [first, end) any more. */
void world__clear(struct world *w, struct world_space *s, unsigned int first, unsigned int end);

bool world__all_free(const struct world_space *s, unsigned int first, unsigned int end);

/* The next mapped page from here on; WORLD_PAGES: none. */
unsigned int world__next_mapped(const struct world_space *s, unsigned int page);

bool world__is_stack(const struct world_space *s, unsigned int page);

/* Makes pages present, until one fails. */
int world__populate(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		    bool write);

/* Those of them that are locked, as mm_mlock() does. */
int world__populate_locked(struct world *w, struct world_space *s, unsigned int first,
			   unsigned int end);

/* Whether a page that is locked, or populated, gets a copy of its own. */
bool world__copies(const struct world_page *page);

#endif
