/* SPDX-License-Identifier: MIT */
#include "mm_world_pages.h"

/*
 * The highest free place; SKIP: it is not in the window. The gap of a stack is larger than the
 * window, so with a stack in the way the place is below the window.
 */
static int find_place(const struct world_space *s, unsigned int n)
{
	for (unsigned int i = WORLD_PAGES - n; i > 0; i--)
		if (world__all_free(s, i, i + n))
			return world__is_stack(s, world__next_mapped(s, i)) ? SKIP : (int)i;
	return SKIP;
}

int world_map(struct world *w, struct world_space *s, unsigned int first, unsigned int n,
	      const struct world_page *kind, int flags, unsigned int *where)
{
	struct world_object *object = kind->object;
	int place;

	if (flags & MM_MAP_FIXED_NOREPLACE && !world__all_free(s, first, first + n))
		return EEXIST;
	if (!(flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)) &&
	    (first + n > WORLD_PAGES || !world__all_free(s, first, first + n) ||
	     world__is_stack(s, world__next_mapped(s, first + n)))) {
		place = find_place(s, n);
		if (place == SKIP)
			return SKIP;
		first = (unsigned int)place;
	}
	if (kind->prot & W && kind->no_write)
		return EACCES;
	if (kind->flags & MM_MAP_GROWSDOWN && (kind->flags & MM_MAP_SHARED || object))
		return EINVAL;
	if (kind->flags & MM_MAP_SHARED && !object)
		object = world__new_memory(w, n);
	world__clear(w, s, first, first + n);
	for (unsigned int i = 0; i < n; i++) {
		s->page[first + i] = *kind;
		s->page[first + i].object = object;
		s->page[first + i].index = object ? kind->index + i : 0;
	}
	if (flags & MM_MAP_POPULATE)
		(void)world__populate(w, s, first, first + n, world__copies(kind));
	*where = first;
	return 0;
}

int world_unmap(struct world *w, struct world_space *s, unsigned int first, unsigned int end)
{
	world__clear(w, s, first, end);
	return 0;
}

int world_protect(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		  int prot)
{
	while (first < end) {
		unsigned int stop = world_vma_end(s, first);
		struct world_page *page = &s->page[first];
		bool become = page->locked && !(page->prot & W);

		stop = stop < end ? stop : end;
		if (!page->mapped)
			return ENOMEM;
		if (prot & W && page->no_write)
			return EACCES;
		for (unsigned int i = first; i < stop; i++)
			s->page[i].prot = prot;
		if (become && world__copies(page))
			(void)world__populate(w, s, first, stop, true);
		first = stop;
	}
	return 0;
}

int world_advise(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		 int advice)
{
	int error = 0;

	for (; first < end; first++) {
		struct world_page *page = &s->page[first];

		if (advice != MM_MADV_DONTNEED) {
			bool write = advice == MM_MADV_POPULATE_WRITE;

			if (!page->mapped)
				return ENOMEM;
			if (!(page->prot & (write ? W : R)))
				return EINVAL;
			error = world__populate(w, s, first, first + 1, write);
			if (error)
				return error;
		} else if (!page->mapped) {
			error = ENOMEM;
		} else if (page->locked) {
			return EINVAL;
		} else {
			world__zap(w, page);
		}
	}
	return error;
}

int world_lock(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
	       bool lock)
{
	for (unsigned int i = first; i < end; i++) {
		if (!s->page[i].mapped)
			return ENOMEM;
		s->page[i].locked = lock;
	}
	return lock ? world__populate_locked(w, s, first, end) : 0;
}

/* Moves the pages with their contents; added pages continue where the old ones end. */
static void move_pages(struct world *w, struct world_space *s, unsigned int old, unsigned int old_n,
		       unsigned int new_n, unsigned int to)
{
	unsigned int kept = old_n < new_n ? old_n : new_n;
	struct world_page pages[WORLD_PAGES];
	struct world_page last = s->page[old + (kept ? kept - 1 : 0)];

	memcpy(pages, &s->page[old], kept * sizeof(pages[0]));
	memset(&s->page[old], 0, kept * sizeof(pages[0]));
	world__clear(w, s, old + kept, old + old_n);
	world__clear(w, s, to, to + new_n);
	memcpy(&s->page[to], pages, kept * sizeof(pages[0]));
	last.present = false;
	last.frame = NULL;
	last.index -= !kept;
	for (unsigned int i = kept; i < new_n; i++) {
		last.index += last.object != NULL;
		s->page[to + i] = last;
	}
	(void)world__populate_locked(w, s, to + kept, to + new_n);
}

static int remap_fixed(struct world *w, struct world_space *s, unsigned int old, unsigned int old_n,
		       unsigned int new_n, unsigned int to)
{
	if (old + old_n > to && to + new_n > old)
		return EINVAL;
	if (!s->page[old].mapped)
		return EFAULT;
	if (!old_n && !(s->page[old].flags & MM_MAP_SHARED))
		return EINVAL;
	if (to == old || (old_n < new_n ? old_n : new_n) > world_vma_end(s, old) - old)
		return EFAULT;
	if (!old_n) {
		/* The second view shows the same object from that page on. */
		struct world_page kept = s->page[old];

		move_pages(w, s, old, 0, new_n, to);
		CHECK(kept.object == s->page[to].object && kept.index == s->page[to].index);
		return 0;
	}
	move_pages(w, s, old, old_n, new_n, to);
	return 0;
}

int world_remap(struct world *w, struct world_space *s, unsigned int old, unsigned int old_n,
		unsigned int new_n, int flags, unsigned int to, unsigned int *where)
{
	unsigned int end = world_vma_end(s, old);
	int place;

	*where = flags & MM_MREMAP_FIXED ? to : old;
	if (flags & MM_MREMAP_FIXED)
		return remap_fixed(w, s, old, old_n, new_n, to);
	if (!s->page[old].mapped)
		return EFAULT;
	if (new_n <= old_n) {
		world__clear(w, s, old + new_n, old + old_n);
		return 0;
	}
	if (!old_n && !(s->page[old].flags & MM_MAP_SHARED))
		return EINVAL;
	if (old_n > end - old)
		return EFAULT;
	if (old_n == end - old && old + new_n <= WORLD_PAGES &&
	    world__all_free(s, end, old + new_n)) {
		move_pages(w, s, old, old_n, new_n, old);
		return 0;
	}
	if (!(flags & MM_MREMAP_MAYMOVE))
		return ENOMEM;
	place = find_place(s, new_n);
	if (place == SKIP)
		return SKIP;
	*where = (unsigned int)place;
	move_pages(w, s, old, old_n, new_n, *where);
	return 0;
}

void world_brk(struct world *w, struct world_space *s, uint64_t brk)
{
	unsigned int old_end = (unsigned int)((s->brk - WORLD_BASE + PAGES(1) - 1) / PAGES(1));
	unsigned int new_end = (unsigned int)((brk - WORLD_BASE + PAGES(1) - 1) / PAGES(1));

	if (brk < HEAP_START)
		return;
	if (new_end < old_end) {
		if (world__all_free(s, new_end, old_end))
			return;
		world__clear(w, s, new_end, old_end);
	}
	if (new_end > old_end) {
		if (!world__all_free(s, old_end, new_end + 1) ||
		    world__is_stack(s, world__next_mapped(s, new_end)))
			return;
		for (unsigned int i = old_end; i < new_end; i++)
			s->page[i] =
				(struct world_page){ .mapped = true, .prot = RW, .flags = PRIVATE };
	}
	s->brk = brk;
}

/* The child finds shared pages again when it first accesses them. */
void world_fork(struct world *w, const struct world_space *from, struct world_space *to)
{
	(void)w;
	to->brk = from->brk;
	for (unsigned int i = 0; i < WORLD_PAGES; i++) {
		struct world_page *page = &to->page[i];

		*page = from->page[i];
		page->locked = false;
		if (page->frame)
			page->frame->refs++;
		if (page->flags & MM_MAP_SHARED)
			page->present = false;
	}
}

void world_exit(struct world *w, struct world_space *s)
{
	world__clear(w, s, 0, WORLD_PAGES);
}
