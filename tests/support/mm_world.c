/* SPDX-License-Identifier: MIT */
#include "mm_world.h"

#include <stdlib.h>

void world_init(struct world *w, uint64_t max_pages)
{
	memset(w, 0, sizeof(*w));
	w->max_pages = max_pages;
	for (unsigned int i = 0; i < WORLD_FILES; i++) {
		w->file[i] = calloc(1, sizeof(*w->file[i]));
		CHECK(w->file[i] != NULL);
		w->file[i]->is_file = true;
	}
}

void world_destroy(struct world *w)
{
	for (unsigned int i = 0; i < WORLD_FILES; i++)
		free(w->file[i]);
	for (unsigned int i = 0; i < w->nr_memory; i++)
		free(w->memory[i]);
}

static struct world_object *new_memory(struct world *w, unsigned int pages)
{
	struct world_object *object = calloc(1, sizeof(*object));

	CHECK(object != NULL && w->nr_memory < 256 && pages <= OBJECT_PAGES);
	object->size = PAGES(pages);
	w->memory[w->nr_memory++] = object;
	return object;
}

static bool is_used(const struct world *w, const struct world_object *object)
{
	for (unsigned int i = 0; i < WORLD_SPACES * WORLD_PAGES; i++)
		if (w->space[i / WORLD_PAGES].page[i % WORLD_PAGES].object == object)
			return true;
	return false;
}

unsigned int world_frames(const struct world *w)
{
	unsigned int count = w->nr_frames;

	for (unsigned int i = 0; i < w->nr_memory; i++)
		if (is_used(w, w->memory[i]))
			for (unsigned int page = 0; page < OBJECT_PAGES; page++)
				count += w->memory[i]->touched[page];
	return count;
}

static void drop_frame(struct world *w, struct world_page *page)
{
	if (page->frame && --page->frame->refs == 0) {
		free(page->frame);
		w->nr_frames--;
	}
	page->frame = NULL;
}

/* A frame of its own, with these bytes, or zeroes. False: there are too many. */
static bool new_frame(struct world *w, struct world_page *page, const unsigned char *bytes)
{
	struct world_frame *frame;

	if (world_frames(w) >= w->max_pages)
		return false;
	frame = calloc(1, sizeof(*frame));
	CHECK(frame != NULL);
	frame->refs = 1;
	if (bytes)
		memcpy(frame->bytes, bytes, sizeof(frame->bytes));
	w->nr_frames++;
	drop_frame(w, page);
	page->frame = frame;
	return true;
}

/* What a page shows is gone from it; what it would show then is not. */
static void zap(struct world *w, struct world_page *page)
{
	drop_frame(w, page);
	page->present = false;
}

static void clear(struct world *w, struct world_space *s, unsigned int first, unsigned int end)
{
	for (; first < end; first++) {
		zap(w, &s->page[first]);
		memset(&s->page[first], 0, sizeof(s->page[first]));
	}
}

bool world_same_area(const struct world_page *left, const struct world_page *right)
{
	return left->mapped && right->mapped && left->prot == right->prot &&
	       left->flags == right->flags && left->locked == right->locked &&
	       left->no_write == right->no_write && left->object == right->object &&
	       (!left->object || left->index + 1 == right->index);
}

unsigned int world_area_end(const struct world_space *s, unsigned int page)
{
	for (page++; page < WORLD_PAGES && world_same_area(&s->page[page - 1], &s->page[page]);)
		page++;
	return page;
}

bool world_mapped(const struct world_space *s, unsigned int first, unsigned int end)
{
	for (; first < end; first++)
		if (!s->page[first].mapped)
			return false;
	return true;
}

static bool all_free(const struct world_space *s, unsigned int first, unsigned int end)
{
	for (; first < end && first < WORLD_PAGES; first++)
		if (s->page[first].mapped)
			return false;
	return true;
}

/* The next mapped page from here on; WORLD_PAGES: none. */
static unsigned int next_mapped(const struct world_space *s, unsigned int page)
{
	while (page < WORLD_PAGES && !s->page[page].mapped)
		page++;
	return page;
}

static bool is_stack(const struct world_space *s, unsigned int page)
{
	return page < WORLD_PAGES && s->page[page].flags & MM_MAP_GROWSDOWN;
}

/*
 * The highest place; SKIP: it is not in the window. The gap of a stack is larger than the window, so
 * with a stack in the way the place is below the window.
 */
static int find_place(const struct world_space *s, unsigned int n)
{
	for (unsigned int i = WORLD_PAGES - n; i > 0; i--)
		if (all_free(s, i, i + n))
			return is_stack(s, next_mapped(s, i)) ? SKIP : (int)i;
	return SKIP;
}

/* The page is not mapped, and a stack above it grows down to it. */
static bool grow_stack(struct world_space *s, unsigned int page)
{
	unsigned int stack = next_mapped(s, page);
	unsigned int below = page;

	if (!is_stack(s, stack))
		return false;
	while (below && !s->page[below - 1].mapped)
		below--;
	if (below && !is_stack(s, below - 1) && s->page[below - 1].prot)
		return false;
	for (; page < stack; page++) {
		s->page[page] = s->page[stack];
		s->page[page].present = false;
		s->page[page].frame = NULL;
	}
	return true;
}

static bool allows(const struct world_page *page, bool write)
{
	return write ? page->prot & W : page->prot;
}

/* Makes a mapped page present. */
static int touch_object(struct world *w, struct world_page *page, bool write, int *code)
{
	struct world_object *object = page->object;

	*code = MM_BUS_ADRERR;
	if (PAGES(page->index) >= object->size) {
		/* A private copy goes. */
		if (page->frame)
			zap(w, page);
		return EFAULT;
	}
	if (!object->is_file && !object->touched[page->index]) {
		if (world_frames(w) >= w->max_pages)
			return ENOMEM;
		object->touched[page->index] = true;
	}
	if (write && page->flags & MM_MAP_PRIVATE && !page->frame &&
	    !new_frame(w, page, object->bytes + PAGES(page->index)))
		return ENOMEM;
	return 0;
}

static int touch(struct world *w, struct world_page *page, bool write, int *code)
{
	int error = 0;

	*code = page->mapped ? MM_SEGV_ACCERR : MM_SEGV_MAPERR;
	if (!page->mapped || !allows(page, write))
		return EFAULT;
	if (page->object)
		error = touch_object(w, page, write, code);
	else if (!page->frame && !new_frame(w, page, NULL))
		error = ENOMEM;
	if (!error && write && page->frame && page->frame->refs > 1 &&
	    !new_frame(w, page, page->frame->bytes))
		error = ENOMEM;
	if (!error)
		page->present = true;
	return error;
}

/* Until one fails. */
static int populate(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		    bool write)
{
	int error = 0, code;

	for (; first < end && !error; first++)
		error = touch(w, &s->page[first], write, &code);
	return error;
}

static bool copies(const struct world_page *page)
{
	return page->prot & W && page->flags & MM_MAP_PRIVATE;
}

/* The locked ones that are mapped. */
static int populate_locked(struct world *w, struct world_space *s, unsigned int first,
			   unsigned int end)
{
	int error = 0;

	for (; first < end && !error; first++)
		if (s->page[first].locked)
			error = populate(w, s, first, first + 1, copies(&s->page[first]));
	return error == EFAULT ? ENOMEM : error == ENOMEM ? EAGAIN : error;
}

int world_map(struct world *w, struct world_space *s, unsigned int first, unsigned int n,
	      const struct world_page *kind, int flags, unsigned int *where)
{
	struct world_object *object = kind->object;
	int place;

	if (flags & MM_MAP_FIXED_NOREPLACE && !all_free(s, first, first + n))
		return EEXIST;
	if (!(flags & (MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE)) &&
	    (first + n > WORLD_PAGES || !all_free(s, first, first + n) ||
	     is_stack(s, next_mapped(s, first + n)))) {
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
		object = new_memory(w, n);
	clear(w, s, first, first + n);
	for (unsigned int i = 0; i < n; i++) {
		s->page[first + i] = *kind;
		s->page[first + i].object = object;
		s->page[first + i].index = object ? kind->index + i : 0;
	}
	if (flags & MM_MAP_POPULATE)
		(void)populate(w, s, first, first + n, copies(kind));
	*where = first;
	return 0;
}

int world_unmap(struct world *w, struct world_space *s, unsigned int first, unsigned int end)
{
	clear(w, s, first, end);
	return 0;
}

int world_protect(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		  int prot)
{
	while (first < end) {
		unsigned int stop = world_area_end(s, first);
		struct world_page *page = &s->page[first];
		bool become = page->locked && !(page->prot & W);

		stop = stop < end ? stop : end;
		if (!page->mapped)
			return ENOMEM;
		if (prot & W && page->no_write)
			return EACCES;
		for (unsigned int i = first; i < stop; i++)
			s->page[i].prot = prot;
		if (become && copies(page))
			(void)populate(w, s, first, stop, true);
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
			error = populate(w, s, first, first + 1, write);
			if (error)
				return error;
		} else if (!page->mapped) {
			error = ENOMEM;
		} else if (page->locked) {
			return EINVAL;
		} else {
			zap(w, page);
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
	return lock ? populate_locked(w, s, first, end) : 0;
}

/* The pages move with what they have; what is added goes on where they end. */
static void move_pages(struct world *w, struct world_space *s, unsigned int old, unsigned int old_n,
		       unsigned int new_n, unsigned int to)
{
	unsigned int kept = old_n < new_n ? old_n : new_n;
	struct world_page pages[WORLD_PAGES];
	struct world_page last = s->page[old + (kept ? kept - 1 : 0)];

	memcpy(pages, &s->page[old], kept * sizeof(pages[0]));
	memset(&s->page[old], 0, kept * sizeof(pages[0]));
	clear(w, s, old + kept, old + old_n);
	clear(w, s, to, to + new_n);
	memcpy(&s->page[to], pages, kept * sizeof(pages[0]));
	last.present = false;
	last.frame = NULL;
	last.index -= !kept;
	for (unsigned int i = kept; i < new_n; i++) {
		last.index += last.object != NULL;
		s->page[to + i] = last;
	}
	(void)populate_locked(w, s, to + kept, to + new_n);
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
	if (to == old || (old_n < new_n ? old_n : new_n) > world_area_end(s, old) - old)
		return EFAULT;
	if (!old_n) {
		/* The second view is of the same page on. */
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
	unsigned int end = world_area_end(s, old);
	int place;

	*where = flags & MM_MREMAP_FIXED ? to : old;
	if (flags & MM_MREMAP_FIXED)
		return remap_fixed(w, s, old, old_n, new_n, to);
	if (!s->page[old].mapped)
		return EFAULT;
	if (new_n <= old_n) {
		clear(w, s, old + new_n, old + old_n);
		return 0;
	}
	if (!old_n && !(s->page[old].flags & MM_MAP_SHARED))
		return EINVAL;
	if (old_n > end - old)
		return EFAULT;
	if (old_n == end - old && old + new_n <= WORLD_PAGES && all_free(s, end, old + new_n)) {
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
		if (all_free(s, new_end, old_end))
			return;
		clear(w, s, new_end, old_end);
	}
	if (new_end > old_end) {
		if (!all_free(s, old_end, new_end + 1) || is_stack(s, next_mapped(s, new_end)))
			return;
		for (unsigned int i = old_end; i < new_end; i++)
			s->page[i] =
				(struct world_page){ .mapped = true, .prot = RW, .flags = PRIVATE };
	}
	s->brk = brk;
}

/* What is shared is found again when it is used. */
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
	clear(w, s, 0, WORLD_PAGES);
}

/* The bytes that a present page shows. */
static unsigned char *bytes_of(struct world_page *page)
{
	return page->frame ? page->frame->bytes : page->object->bytes + PAGES(page->index);
}

struct world_fault world_access(struct world *w, struct world_space *s, uint64_t offset,
				unsigned int length, unsigned char *bytes, int value)
{
	struct world_fault result = { 0, 0, 0 };

	while (result.done < length) {
		unsigned int number = (unsigned int)((offset + result.done) / PAGES(1));
		unsigned int at = (unsigned int)((offset + result.done) % PAGES(1));
		struct world_page *page = &s->page[number];

		if (!page->mapped)
			(void)grow_stack(s, number);
		result.error = touch(w, page, value >= 0, &result.code);
		if (result.error)
			return result;
		for (; at < 4096 && result.done < length; at++, result.done++) {
			unsigned char *byte = bytes_of(page) + at;

			if (value >= 0)
				*byte = (unsigned char)(value + (int)result.done);
			else
				bytes[result.done] = *byte;
		}
	}
	return result;
}

void world_resize(struct world_object *file, uint64_t size)
{
	if (size < file->size)
		memset(file->bytes + size, 0, (size_t)(file->size - size));
	file->size = size;
}
