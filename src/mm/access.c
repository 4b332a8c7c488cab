/* SPDX-License-Identifier: MIT */
/*
 * mm_read() and mm_write(): as the processor, page by page. What is in the thread's TLB is used
 * without asking anybody; what is not is looked up in the page table, and faults if it is not there:
 * see fault.c. Between mm__cpu_enter() and mm__cpu_leave() nobody takes the translation
 * away, nor the frame that it leads to.
 */
#include "bytes.h"
#include "internal.h"

#include <errno.h>

struct copy {
	void *to;         /* reading */
	const void *from; /* writing */
	size_t length;
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

/* Copies within one page, if the TLB has it and it allows that; says whether. */
static bool try_copy(struct mm__cpu *cpu, uint64_t addr, const struct copy *copy, int access)
{
	uint64_t page = mm__page_start(addr);
	const struct mm__tlb_entry *slot = mm__tlb_slot(cpu, page);
	bool hit;

	mm__cpu_enter(cpu);
	hit = slot->page == page + 1 && mm__entry_allows(slot->entry, access);
	if (hit)
		copy_bytes(copy, slot->entry, addr);
	mm__cpu_leave(cpu);
	return hit;
}

static int copy_all(struct mm *mm, uint64_t addr, struct copy *copy, size_t length, int access,
		    struct mm_siginfo *info)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);

	if (!cpu)
		return ENOMEM;
	while (length) {
		uint64_t rest = MM_PAGE_SIZE - addr % MM_PAGE_SIZE;

		copy->length = rest < length ? (size_t)rest : length;
		while (!try_copy(cpu, addr, copy, access)) {
			int error = mm__tlb_fill(cpu, addr, access, info);

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
