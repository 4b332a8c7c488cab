/* SPDX-License-Identifier: MIT */
/*
 * mm_validate() checks every structural invariant, at a quiet moment. It allocates no memory.
 */
#include "attach.h"
#include "brk.h"
#include "inode.h"
#include "page.h"
#include "room.h"
#include "vmas.h"

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

static int check_vma(struct report *report, const struct mm__mapping *m)
{
	const struct mm__vma *vma = m->vma;
	int type = mm__vma_flags(vma) & (MM_MAP_SHARED | MM_MAP_PRIVATE);
	bool maps_inode = type == MM_MAP_SHARED || !(mm__vma_flags(vma) & MM_MAP_ANONYMOUS);

	if (m->start < MM_ADDR_MIN || m->end > MM_ADDR_MAX)
		return broken(report, "the VMA at %#" PRIx64 " is out of bounds", m->start);
	if (!mm__page_aligned(m->start) || !mm__page_aligned(m->end))
		return broken(report, "the VMA at %#" PRIx64 " is not aligned", m->start);
	if (mm__vma_prot(vma) & ~MM__PROT_ALL)
		return broken(report, "the VMA at %#" PRIx64 " has a bad protection", m->start);
	if (type != MM_MAP_SHARED && type != MM_MAP_PRIVATE)
		return broken(report, "the VMA at %#" PRIx64 " has bad flags", m->start);
	if (maps_inode != !!vma->inode || !mm__page_aligned(vma->offset))
		return broken(report, "the VMA at %#" PRIx64 " maps the wrong thing", m->start);
	if (mm__vma_changing(vma))
		return broken(report, "the VMA at %#" PRIx64 " counts as being changed", m->start);
	return 0;
}

static int check_vmas(struct mm *mm, struct report *report)
{
	struct mm__mapping left = { 0, 0, NULL };
	struct mm__mapping m = left;
	const char *what;
	int error = 0;

	if (!mm__vma_tree_valid(&mm->vmas, mm__nr_vmas(mm), &what))
		return broken(report, "%s", what);
	if (mm->vmas.reserved[0] || mm->vmas.reserved[1])
		return broken(report, "an operation has kept what it reserved");
	while (!error && mm__vma_tree_find(&mm->vmas, left.end, &m)) {
		error = check_vma(report, &m);
		/* See fork.c for neighbours that a child does not merge. */
		if (!error && left.vma && !mm->forked && !mm->unmerged &&
		    mm__vmas_continue(&left, &m))
			error = broken(report, "the VMAs that meet at %#" PRIx64 " are not merged",
				       m.start);
		left = m;
	}
	return error;
}

static int check_frame(struct mm *mm, struct report *report, uint64_t addr, uint64_t entry,
		       const struct mm__vma *vma)
{
	struct mm__frame *frame = mm__entry_frame(entry);

	if (entry & MM_PROT_WRITE && mm__vma_flags(vma) & MM_MAP_PRIVATE &&
	    !mm__frame_exclusive(frame))
		return broken(report, "the page at %#" PRIx64 " can be written to, and is shared",
			      addr);
	if (!mm__frames_check_see(mm->frames, frame))
		return broken(report, "the frame at %#" PRIx64 " is bad", addr);
	return 0;
}

/*
 * Pages of files are in VMAs of files, and writable only if the VMA is shared. Copies are in
 * private VMAs of files.
 */
static bool kind_fits(uint64_t entry, const struct mm__vma *vma)
{
	bool file = vma->inode && mm__inode_is_file(vma->inode);
	bool private = mm__vma_flags(vma) & MM_MAP_PRIVATE;

	if (!file)
		return !(entry & (MM__FILE | MM__COPY));
	if (!private || entry & MM__FILE)
		return entry & MM__FILE && !(entry & MM__COPY) &&
		       !(private && entry & MM_PROT_WRITE);
	return entry & MM__COPY;
}

static int check_page(struct mm *mm, struct report *report, uint64_t addr, uint64_t entry)
{
	struct mm__mapping m;

	if (entry & MM__BUSY)
		return broken(report, "the entry of %#" PRIx64 " is locked", addr);
	if (!(entry & MM__PRESENT))
		return broken(report, "the entry of %#" PRIx64 " is not present, yet not empty",
			      addr);
	if (!mm__vma_tree_at(&mm->vmas, addr, &m))
		return broken(report, "the page at %#" PRIx64 " lies in no VMA", addr);
	if (entry & MM__PROT_BITS & ~(uint64_t)mm__effective_prot(mm__vma_prot(m.vma)))
		return broken(report, "the page at %#" PRIx64 " allows %#x, its VMA %#x", addr,
			      (unsigned int)(entry & MM__PROT_BITS),
			      (unsigned int)mm__effective_prot(mm__vma_prot(m.vma)));
	if (!kind_fits(entry, m.vma))
		return broken(report, "the page at %#" PRIx64 " is of the wrong kind", addr);
	return entry & MM__FILE ? 0 : check_frame(mm, report, addr, entry, m.vma);
}

/* Adds the number of the table's pages to *pages. */
static int check_table(struct mm *mm, struct report *report, struct mm__table *table, uint64_t addr,
		       uint64_t *pages)
{
	uint64_t base = addr & ~(MM__TABLE_SPAN - 1);
	int error = 0;

	for (unsigned int i = 0; i < MM__TABLE_ENTRIES && !error; i++) {
		uint64_t page = base + i * MM_PAGE_SIZE;
		uint64_t entry = mm__entry_load(table, page);

		if (!entry)
			continue;
		++*pages;
		error = check_page(mm, report, page, entry);
	}
	return error;
}

/* With the depot's lock: another thread may be giving back the frames of unmapped shared memory. */
static int check_pages(struct mm *mm, struct report *report, uint64_t pages_counted)
{
	bool alone = mm->frames->users == 1 &&
		     !atomic_load_explicit(&mm->frames->shared, memory_order_relaxed);
	struct mm__table *table;
	uint64_t addr = 0;
	uint64_t pages = 0;
	int error = 0;

	mm__frames_check_begin(mm->frames);
	while (!error && (table = mm__table_next(&mm->page_table, &addr, MM_ADDR_MAX))) {
		error = check_table(mm, report, table, addr, &pages);
		addr = mm__table_end(addr);
	}
	if (error)
		return error;
	if (pages != pages_counted)
		return broken(report, "%" PRIu64 " pages are counted, and %" PRIu64 " are present",
			      pages_counted, pages);
	/* Relatives and shared memory have references, too. */
	if (!mm__frames_check_end(mm->frames, alone))
		return broken(report, "a frame has not as many references as entries");
	return 0;
}

static int check_counts(struct mm *mm, struct report *report, uint64_t tables_counted)
{
	uint64_t tables = mm__page_table_count(&mm->page_table);
	uint64_t brk = mm__brk(mm);

	if (!mm__page_table_valid(&mm->page_table))
		return broken(report, "a page table counts wrong what it has");
	if (tables != tables_counted)
		return broken(report,
			      "there are %" PRIu64 " page tables, and %" PRIu64 " are counted",
			      tables, tables_counted);
	if (brk < mm->attr.brk_start || brk > MM_ADDR_MAX)
		return broken(report, "the heap ends at %#" PRIx64, brk);
	return 0;
}

int mm_validate(struct mm *mm, char *message, size_t size)
{
	struct report report = { message, size };
	uint64_t events[MM__NR_EVENTS];
	int error;

	mm__check_copy(mm);
	error = check_vmas(mm, &report);
	mm__events(mm, events);
	mm__frames_lock(mm->frames);
	if (!error)
		error = check_pages(mm, &report, events[MM__PAGE_IN] - events[MM__PAGE_OUT]);
	mm__frames_unlock(mm->frames);
	if (!error)
		error = check_counts(mm, &report, events[MM__TABLE_MADE] - events[MM__TABLE_FREED]);
	return error;
}
