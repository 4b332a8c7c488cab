/* SPDX-License-Identifier: MIT */
/*
 * mm_read() and mm_write() access memory as a processor does, page by page. The thread uses a
 * translation that its TLB has without asking any other thread. Otherwise it looks the page up in
 * the page table, and faults if the page is not there: see fault.c. Between mm__thread_enter() and
 * mm__thread_leave() no thread takes away the translation or the frame that it leads to. But the
 * system may take a page of a file away at any time, as the file becomes shorter.
 */
#include "attach.h"
#include "bytes.h"
#include "fault.h"
#include "guard.h"
#include "page.h"
#include "tlb.h"

#include <errno.h>

struct copy {
	void *to;         /* mm_read() */
	const void *from; /* mm_write() */
	size_t length;
};

enum outcome {
	COPIED,
	MISSED, /* the TLB does not have the page, or does not allow the access */
	ENDED   /* the file does not have the page any more */
};

static void copy_bytes(const struct copy *copy, uint64_t entry, uint64_t addr)
{
	unsigned int offset = (unsigned int)(addr % MM_PAGE_SIZE);
	char *bytes = (char *)mm__entry_bytes(entry) + offset;

	if (copy->to) {
		mm__bytes_copy(copy->to, bytes, copy->length);
	} else {
		mm__bytes_copy(bytes, copy->from, copy->length);
		mm__frame_dirtied(mm__entry_frame(entry), offset, (unsigned int)copy->length);
	}
}

/* The page belongs to a file, or is a private copy of a file's page and lives as long as that. */
static enum outcome copy_guarded(const struct copy *copy, const struct mm__tlb_entry *slot,
				 uint64_t addr)
{
	char *bytes = (char *)mm__entry_bytes(slot->entry) + addr % MM_PAGE_SIZE;
	bool copied;

	if (slot->entry & MM__FILE) {
		copied = copy->to ? mm__guard_copy(copy->to, bytes, copy->length, bytes)
				  : mm__guard_copy(bytes, copy->from, copy->length, bytes);
	} else {
		copied = mm__guard_probe(slot->file, false);
		if (copied)
			copy_bytes(copy, slot->entry, addr);
	}
	return copied ? COPIED : ENDED;
}

/* Copies within one page. Sets *entry, unless the access missed: to the entry in the TLB. */
static enum outcome try_copy(struct mm__thread *thread, uint64_t addr, const struct copy *copy,
			     int access, uint64_t *entry)
{
	uint64_t page = mm__page_start(addr);
	const struct mm__tlb_entry *slot = mm__tlb_slot(thread, page);
	enum outcome outcome = MISSED;

	mm__thread_enter(thread);
	if (slot->page == page + 1 && mm__entry_allows(slot->entry, access)) {
		*entry = slot->entry;
		outcome = COPIED;
		if (slot->entry & (MM__FILE | MM__COPY))
			outcome = copy_guarded(copy, slot, addr);
		else
			copy_bytes(copy, slot->entry, addr);
	}
	mm__thread_leave(thread);
	return outcome;
}

static int copy_in_page(struct mm__thread *thread, uint64_t addr, const struct copy *copy,
			int access, struct mm_siginfo *info)
{
	for (;;) {
		uint64_t entry;
		enum outcome outcome = try_copy(thread, addr, copy, access, &entry);
		int error;

		if (outcome == COPIED)
			return 0;
		if (outcome == ENDED)
			return mm__file_ended(thread, addr, entry, info);
		error = mm__tlb_fill(thread, addr, access, info);
		if (error)
			return error;
	}
}

static int copy_all(struct mm *mm, uint64_t addr, struct copy *copy, size_t length, int access,
		    struct mm_siginfo *info)
{
	struct mm__thread *thread = mm__this_thread(mm);

	if (!thread)
		return ENOMEM;
	while (length) {
		uint64_t rest = MM_PAGE_SIZE - addr % MM_PAGE_SIZE;
		int error;

		copy->length = rest < length ? (size_t)rest : length;
		error = copy_in_page(thread, addr, copy, access, info);
		if (error)
			return error;
		addr += copy->length;
		length -= copy->length;
		if (copy->to)
			copy->to = (char *)copy->to + copy->length;
		else
			copy->from = (const char *)copy->from + copy->length;
	}
	return 0;
}

int mm_read(struct mm *mm, uint64_t addr, void *buffer, size_t length, struct mm_siginfo *info)
{
	struct copy copy = { buffer, NULL, 0 };

	return copy_all(mm, addr, &copy, length, MM_PROT_READ, info);
}

int mm_write(struct mm *mm, uint64_t addr, const void *buffer, size_t length,
	     struct mm_siginfo *info)
{
	struct copy copy = { NULL, buffer, 0 };

	return copy_all(mm, addr, &copy, length, MM_PROT_WRITE, info);
}
