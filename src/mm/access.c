/* SPDX-License-Identifier: MIT */
/*
 * mm_read() and mm_write(): as the processor, page by page. What is in the thread's TLB is used
 * without asking anybody; what is not is looked up in the page table, without a lock either; and
 * what is not there faults. Between mm__cpu_enter() and mm__cpu_leave() nobody takes the translation
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

/*
 * The entry of the page, if the thread may have it in its TLB and it allows the access; else 0. That
 * it may is told by the number in the entry: so whoever changes the entry knows whom to stop.
 */
static uint64_t walk(struct mm__cpu *cpu, uint64_t page, int access)
{
	struct mm__table *table;
	uint64_t entry = 0;

	mm__rcu_read_lock();
	table = mm__table_find(&cpu->mm->page_table, page);
	if (table)
		entry = mm__entry_load(table, page);
	mm__rcu_read_unlock();
	return mm__entry_allows(entry, access) && mm__entry_is_for(entry, cpu->number) ? entry : 0;
}

/* The entry that allows the access; 0: there has to be a fault. The cpu is entered. */
static uint64_t translate(struct mm__cpu *cpu, uint64_t page, int access)
{
	struct mm__tlb_entry *slot = &cpu->tlb[page >> MM_PAGE_SHIFT & (MM__TLB_ENTRIES - 1)];
	uint64_t entry;

	if (slot->page == page + 1 && mm__entry_allows(slot->entry, access))
		return slot->entry;
	entry = walk(cpu, page, access);
	if (entry)
		*slot = (struct mm__tlb_entry){ page + 1, entry };
	return entry;
}

/* Copies within one page, if that is allowed; says whether. */
static bool try_copy(struct mm__cpu *cpu, uint64_t addr, const struct copy *copy, int access)
{
	uint64_t entry;

	mm__cpu_enter(cpu);
	entry = translate(cpu, mm__page_start(addr), access);
	if (entry)
		copy_bytes(copy, entry, addr);
	mm__cpu_leave(cpu);
	return entry;
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
		while (addr >= MM_ADDR_MAX || !try_copy(cpu, addr, copy, access)) {
			int error = mm__fault(cpu, addr, access, info);

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
