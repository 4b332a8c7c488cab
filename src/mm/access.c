/* SPDX-License-Identifier: MIT */
/*
 * mm_read() and mm_write(): as the processor, page by page through the page table, asking nothing
 * but the entry. The lock of the table is held while the bytes of a page are copied, so that the
 * page is not freed meanwhile. Where the entry does not allow the access there is a fault, and then
 * another try: the page may be gone again.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

struct copy {
	void *to;         /* reading */
	const void *from; /* writing */
	size_t length;
};

static void copy_bytes(const struct copy *copy, void *bytes)
{
	if (copy->to)
		memcpy(copy->to, bytes, copy->length);
	else
		memcpy(bytes, copy->from, copy->length);
}

/* Copies within one page, if the page is present and allows it; says whether. */
static bool try_copy(struct mm *mm, uint64_t addr, const struct copy *copy, int access)
{
	const uintptr_t needed = MM__PRESENT | (uintptr_t)access;
	struct mm__table *table = mm__table_find(&mm->page_table, addr);
	uintptr_t entry;
	bool allowed;

	if (!table)
		return false;
	pthread_mutex_lock(&table->lock);
	/* relaxed: the lock is held */
	entry = atomic_load_explicit(mm__table_entry(table, addr), memory_order_relaxed);
	allowed = (entry & needed) == needed;
	if (allowed)
		copy_bytes(copy, (char *)mm__entry_frame(entry) + addr % MM_PAGE_SIZE);
	pthread_mutex_unlock(&table->lock);
	return allowed;
}

static int copy_all(struct mm *mm, uint64_t addr, struct copy *copy, size_t length, int access,
		    struct mm_siginfo *info)
{
	while (length) {
		uint64_t rest = MM_PAGE_SIZE - addr % MM_PAGE_SIZE;

		copy->length = rest < length ? (size_t)rest : length;
		while (addr >= MM_ADDR_MAX || !try_copy(mm, addr, copy, access)) {
			int error = mm__fault(mm, addr, access, info);

			if (error)
				return error;
		}
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
