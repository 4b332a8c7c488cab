/* SPDX-License-Identifier: MIT */
/*
 * mm_validate(): every structural invariant, at a quiet moment. It allocates nothing.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#ifdef EUCLEAN
#define BROKEN EUCLEAN
#else
#define BROKEN EINVAL
#endif

struct report {
	char *message;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int broken(struct report *report, const char *format,
							...)
{
	va_list args;

	va_start(args, format);
	if (report->message)
		vsnprintf(report->message, report->size, format, args);
	va_end(args);
	return BROKEN;
}

static int check_area(const struct mm *mm, struct report *report, const struct mm__area *area)
{
	int type = area->flags & (MM_MAP_SHARED | MM_MAP_PRIVATE);

	if (area->start < MM_ADDR_MIN || area->end > MM_ADDR_MAX)
		return broken(report, "the area at %#" PRIx64 " is out of bounds", area->start);
	if (!mm__page_aligned(area->start) || !mm__page_aligned(area->end))
		return broken(report, "the area at %#" PRIx64 " is not aligned", area->start);
	if (area->prot & ~MM__PROT_ALL)
		return broken(report, "the area at %#" PRIx64 " has a bad protection", area->start);
	if (!(area->flags & MM_MAP_ANONYMOUS) || (type != MM_MAP_SHARED && type != MM_MAP_PRIVATE))
		return broken(report, "the area at %#" PRIx64 " has bad flags", area->start);
	if (area->object > mm->last_object || (type == MM_MAP_PRIVATE && area->object))
		return broken(report, "the area at %#" PRIx64 " maps a bad object", area->start);
	if (type == MM_MAP_SHARED && (!area->object || !mm__page_aligned(area->offset)))
		return broken(report, "the area at %#" PRIx64 " maps no object", area->start);
	return 0;
}

static int check_areas(struct mm *mm, struct report *report)
{
	const struct mm__area *left = NULL;
	const struct mm__area *area;
	const char *what;
	int error = 0;

	if (!mm__area_tree_valid(&mm->areas, &what))
		return broken(report, "%s", what);
	for (uint64_t addr = 0; !error && (area = mm__area_tree_find(&mm->areas, addr));
	     addr = area->end) {
		error = check_area(mm, report, area);
		if (!error && left && mm__area_continues(left, area))
			error = broken(report, "the areas that meet at %#" PRIx64 " are not merged",
				       area->start);
		left = area;
	}
	return error;
}

static int check_page(struct mm *mm, struct report *report, uint64_t addr, uintptr_t entry)
{
	const struct mm__area *area = mm__area_at(mm, addr);

	if (!(entry & MM__PRESENT))
		return broken(report, "the entry of %#" PRIx64 " is not present, yet not empty",
			      addr);
	if (!area)
		return broken(report, "the page at %#" PRIx64 " lies in no area", addr);
	if ((entry & MM__BITS & ~MM__PRESENT) != (uintptr_t)mm__effective_prot(area->prot))
		return broken(report, "the page at %#" PRIx64 " allows %#x, its area %#x", addr,
			      (unsigned int)(entry & MM__BITS & ~MM__PRESENT),
			      (unsigned int)mm__effective_prot(area->prot));
	if (!mm__frames_check_see(&mm->frames, mm__entry_frame(entry)))
		return broken(report, "the frame at %#" PRIx64 " is bad, or mapped twice", addr);
	return 0;
}

/* Adds the table's pages to *pages. */
static int check_table(struct mm *mm, struct report *report, struct mm__table *table, uint64_t addr,
		       uint64_t *pages)
{
	uint64_t base = addr & ~(MM__TABLE_SPAN - 1);
	unsigned int present = 0;
	int error = 0;

	for (unsigned int i = 0; i < MM__TABLE_ENTRIES && !error; i++) {
		/* relaxed: it is a quiet moment */
		uintptr_t entry = atomic_load_explicit(&table->entry[i], memory_order_relaxed);

		if (!entry)
			continue;
		present++;
		error = check_page(mm, report, base + i * MM_PAGE_SIZE, entry);
	}
	if (!error && present != table->nr_present)
		error = broken(report, "the table at %#" PRIx64 " counts %u pages, and has %u",
			       base, table->nr_present, present);
	*pages += present;
	return error;
}

static int check_pages(struct mm *mm, struct report *report)
{
	struct mm__table *table;
	uint64_t addr = 0;
	uint64_t pages = 0;
	uint64_t used;
	int error = 0;

	mm__frames_check_begin(&mm->frames);
	while (!error && (table = mm__table_next(&mm->page_table, &addr, MM_ADDR_MAX))) {
		error = check_table(mm, report, table, addr, &pages);
		addr = (addr | (MM__TABLE_SPAN - 1)) + 1;
	}
	if (error)
		return error;
	used = mm__frames_used(&mm->frames);
	if (used != pages)
		return broken(report, "%" PRIu64 " pages are in use, and %" PRIu64 " are present",
			      used, pages);
	if (!mm__frames_check_end(&mm->frames))
		return broken(report, "a frame is neither in use nor free, or is both");
	return 0;
}

static int check_counts(struct mm *mm, struct report *report)
{
	uint64_t tables = mm__page_table_count(&mm->page_table);
	uint64_t counted = mm__events(&mm->frames, MM__TABLE_MADE);

	if (tables != counted)
		return broken(report,
			      "there are %" PRIu64 " page tables, and %" PRIu64 " were made",
			      tables, counted);
	if (mm->brk < mm->attr.brk_start || mm->brk > MM_ADDR_MAX)
		return broken(report, "the heap ends at %#" PRIx64, mm->brk);
	return 0;
}

int mm_validate(struct mm *mm, char *message, size_t size)
{
	struct report report = { message, size };
	int error = check_areas(mm, &report);

	if (!error)
		error = check_pages(mm, &report);
	return error ? error : check_counts(mm, &report);
}
