/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number of pages in one request. */
#define CHUNK 4096u

/* Makes room for one more element in a list. */
static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : 256;
	void *memory;

	if (count < *capacity)
		return list;
	memory = more <= SIZE_MAX / size ? realloc(list, more * size) : NULL;
	if (memory)
		*capacity = more;
	return memory;
}

static int add_vma(const struct mm_area *vma, void *arg)
{
	struct snapshot *s = arg;
	struct mm_area *vmas = grow(s->vmas, s->vma_count, &s->vma_capacity, sizeof *vmas);

	if (!vmas)
		return ENOMEM;
	s->vmas = vmas;
	vmas[s->vma_count++] = *vma;
	return 0;
}

static int add_page(struct snapshot *s, uint64_t addr)
{
	uint64_t *pages = grow(s->pages, s->page_count, &s->page_capacity, sizeof *pages);

	if (!pages)
		return ENOMEM;
	s->pages = pages;
	pages[s->page_count++] = addr;
	return 0;
}

static int add_word(struct snapshot *s, uint64_t addr, const unsigned char *bytes)
{
	struct snapshot_word *words =
		grow(s->words, s->word_count, &s->word_capacity, sizeof *words);

	if (!words)
		return ENOMEM;
	s->words = words;
	words[s->word_count].addr = addr;
	memcpy(words[s->word_count++].bytes, bytes, 8);
	return 0;
}

static int add_pages_of(struct snapshot *s, struct mm *mm, const struct mm_area *vma)
{
	unsigned char present[CHUNK];
	uint64_t length;
	int error = 0;

	for (uint64_t addr = vma->start; addr < vma->end && !error; addr += length) {
		length = CHUNK * MM_PAGE_SIZE;
		if (length > vma->end - addr)
			length = vma->end - addr;
		error = mm_mincore(mm, addr, length, present);
		for (uint64_t i = 0; i < length / MM_PAGE_SIZE && !error; i++)
			if (present[i] & 1)
				error = add_page(s, addr + i * MM_PAGE_SIZE);
	}
	return error;
}

static int add_words_of(struct snapshot *s, struct mm *mm, uint64_t addr)
{
	static const unsigned char zeroes[8];
	unsigned char bytes[MM_PAGE_SIZE];
	int error = mm_read(mm, addr, bytes, sizeof bytes, NULL);

	for (unsigned int i = 0; i < sizeof bytes && !error; i += 8)
		if (memcmp(bytes + i, zeroes, 8) != 0)
			error = add_word(s, addr + i, bytes + i);
	return error;
}

static int make_readable(const struct snapshot *s, struct mm *mm)
{
	int error = 0;

	for (size_t i = 0; i < s->vma_count && !error; i++) {
		const struct mm_area *vma = &s->vmas[i];

		if (!(vma->prot & MM_PROT_READ))
			error = mm_mprotect(mm, vma->start, vma->end - vma->start, MM_PROT_READ);
	}
	return error;
}

static int take(struct snapshot *s, struct mm *mm, char *message, size_t size)
{
	struct mm_stats before, after;
	int error = mm_for_each_area(mm, add_vma, s);

	mm_get_stats(mm, &before, sizeof(before));
	for (size_t i = 0; i < s->vma_count && !error; i++)
		error = add_pages_of(s, mm, &s->vmas[i]);
	if (!error && before.pages != s->page_count) {
		snprintf(message, size,
			 "%" PRIu64 " pages are in use, but %zu are present in areas", before.pages,
			 s->page_count);
		return EINVAL;
	}
	if (!error)
		error = make_readable(s, mm);
	for (size_t i = 0; i < s->page_count && !error; i++)
		error = add_words_of(s, mm, s->pages[i]);
	mm_get_stats(mm, &after, sizeof(after));
	if (!error && after.pages != before.pages) {
		snprintf(message, size,
			 "%" PRIu64 " pages were in use, and %" PRIu64 " after these were read",
			 before.pages, after.pages);
		return EINVAL;
	}
	return error;
}

int snapshot_take(struct snapshot *snapshot, struct mm *mm, char *message, size_t size)
{
	int error;

	*snapshot = (struct snapshot){ 0 };
	message[0] = '\0';
	if (mm_validate(mm, message, size))
		return EINVAL;
	message[0] = '\0';
	error = take(snapshot, mm, message, size);
	if (error && !message[0])
		snprintf(message, size, "it cannot be looked at: %s", strerror(error));
	if (error)
		snapshot_destroy(snapshot);
	return error == 0 || error == ENOMEM ? error : EINVAL;
}

void snapshot_destroy(struct snapshot *snapshot)
{
	free(snapshot->vmas);
	free(snapshot->pages);
	free(snapshot->words);
	*snapshot = (struct snapshot){ 0 };
}
