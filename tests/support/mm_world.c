/* SPDX-License-Identifier: MIT */
/* Frames, pages and accesses; the operations are in mm_world_operations.c. */
#include "mm_world_pages.h"

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

struct world_object *world__new_memory(struct world *w, unsigned int pages)
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

/* Gives the page a frame of its own, with these bytes or zeroes. False: there are too many. */
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

void world__zap(struct world *w, struct world_page *page)
{
	drop_frame(w, page);
	page->present = false;
}

void world__clear(struct world *w, struct world_space *s, unsigned int first, unsigned int end)
{
	for (; first < end; first++) {
		world__zap(w, &s->page[first]);
		memset(&s->page[first], 0, sizeof(s->page[first]));
	}
}

bool world_same_vma(const struct world_page *left, const struct world_page *right)
{
	return left->mapped && right->mapped && left->prot == right->prot &&
	       left->flags == right->flags && left->locked == right->locked &&
	       left->no_write == right->no_write && left->object == right->object &&
	       (!left->object || left->index + 1 == right->index);
}

unsigned int world_vma_end(const struct world_space *s, unsigned int page)
{
	for (page++; page < WORLD_PAGES && world_same_vma(&s->page[page - 1], &s->page[page]);)
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

bool world__all_free(const struct world_space *s, unsigned int first, unsigned int end)
{
	for (; first < end && first < WORLD_PAGES; first++)
		if (s->page[first].mapped)
			return false;
	return true;
}

unsigned int world__next_mapped(const struct world_space *s, unsigned int page)
{
	while (page < WORLD_PAGES && !s->page[page].mapped)
		page++;
	return page;
}

bool world__is_stack(const struct world_space *s, unsigned int page)
{
	return page < WORLD_PAGES && s->page[page].flags & MM_MAP_GROWSDOWN;
}

/* Whether the page was not mapped, and a stack above it has grown down to it. */
static bool grow_stack(struct world_space *s, unsigned int page)
{
	unsigned int stack = world__next_mapped(s, page);
	unsigned int below = page;

	if (!world__is_stack(s, stack))
		return false;
	while (below && !s->page[below - 1].mapped)
		below--;
	if (below && !world__is_stack(s, below - 1) && s->page[below - 1].prot)
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
		/* The private copy is dropped. */
		if (page->frame)
			world__zap(w, page);
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

int world__populate(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		    bool write)
{
	int error = 0, code;

	for (; first < end && !error; first++)
		error = touch(w, &s->page[first], write, &code);
	return error;
}

bool world__copies(const struct world_page *page)
{
	return page->prot & W && page->flags & MM_MAP_PRIVATE;
}

int world__populate_locked(struct world *w, struct world_space *s, unsigned int first,
			   unsigned int end)
{
	int error = 0;

	for (; first < end && !error; first++)
		if (s->page[first].locked)
			error = world__populate(w, s, first, first + 1,
						world__copies(&s->page[first]));
	return error == EFAULT ? ENOMEM : error == ENOMEM ? EAGAIN : error;
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
