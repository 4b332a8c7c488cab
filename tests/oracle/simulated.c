/* SPDX-License-Identifier: MIT */
#include "simulated.h"
#include "child.h"
#include "mm/room.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct simulation {
	const struct sequence *sequence;
	const struct files *files;
	const struct side *kernel;
	struct side *side;
	struct mm *spaces[NR_SPACES];
	uint32_t kernel_vmas; /* in the window of space 0, when last counted */
};

static struct simulation simulation;

static int note_vma(const struct mm_area *vma, void *arg)
{
	struct vmas *vmas = arg;
	struct vma *noted = &vmas->vma[vmas->count];

	if (vma->start < WINDOW_START || vma->end > window_end(simulation.sequence))
		return 0; /* a VMA that encloses the window */
	noted->start = (uint16_t)((vma->start - WINDOW_START) / MM_PAGE_SIZE);
	noted->end = (uint16_t)((vma->end - WINDOW_START) / MM_PAGE_SIZE);
	noted->prot = (uint8_t)vma->prot;
	noted->shared = vma->flags & MM_MAP_SHARED;
	noted->anonymous = vma->flags & MM_MAP_ANONYMOUS;
	vmas->count++;
	return 0;
}

/* Maps all but the window. */
static struct mm *new_space(const struct sequence *sequence)
{
	int flags = MM_MAP_SHARED | MM_MAP_ANONYMOUS | MM_MAP_FIXED | MM_MAP_NORESERVE;
	struct mm_attr attr;
	struct mm *mm;
	uint64_t addr;

	mm_attr_init(&attr);
	attr.locking = (enum mm_locking)(sequence->locking % SIMULATED_LOCKINGS);
	attr.brk_start = WINDOW_START;
	CHECK(mm_create(&mm, &attr) == 0);
	CHECK(mm_mmap(mm, MM_ADDR_MIN, WINDOW_START - MM_ADDR_MIN, MM_PROT_NONE, flags, -1, 0,
		      &addr) == 0);
	CHECK(mm_mmap(mm, window_end(sequence), MM_ADDR_MAX - window_end(sequence), MM_PROT_NONE,
		      flags, -1, 0, &addr) == 0);
	return mm;
}

static void check_space(struct mm *mm)
{
	char message[200] = "";

	if (mm_validate(mm, message, sizeof(message)))
		test_fail(__FILE__, __LINE__, "mm_validate(): %s", message);
}

static void fault(struct record *record, const struct mm_siginfo *info)
{
	if (record->error != EFAULT)
		return;
	record->fault_code = (int)info->code;
	record->fault_addr = info->addr;
}

static void read_bytes(struct mm *mm, const struct op *op, struct record *record)
{
	static unsigned char bytes[MAX_ACCESS];
	uint64_t length = op->length;
	struct mm_siginfo info;

	record->error = mm_read(mm, op->addr, bytes, op->length, &info);
	fault(record, &info);
	if (record->error == EFAULT)
		length = info.addr - op->addr;
	for (uint64_t i = 0; i < length; i++)
		record->hash = op_hash(record->hash, bytes[i]);
}

static void write_bytes(struct mm *mm, const struct op *op, struct record *record)
{
	static unsigned char bytes[MAX_ACCESS];
	struct mm_siginfo info;

	for (uint64_t i = 0; i < op->length; i++)
		bytes[i] = op_byte(op, i);
	record->error = mm_write(mm, op->addr, bytes, op->length, &info);
	fault(record, &info);
}

static uint64_t watched(const struct simulation *s, unsigned int i)
{
	return WINDOW_START + s->sequence->watched[i] * MM_PAGE_SIZE;
}

static void scan(const struct simulation *s, struct mm *mm, const struct record *kernel,
		 struct record *record)
{
	uint64_t words[MM_PAGE_SIZE / sizeof(uint64_t)];

	for (unsigned int i = 0; i < NR_WATCHED; i++) {
		struct mm_siginfo info;

		record->pages[i] = kernel->pages[i];
		if (record->pages[i] == PAGE_LEFT_OUT)
			continue;
		record->pages[i] = PAGE_READ;
		if (mm_read(mm, watched(s, i), words, sizeof(words), &info)) {
			record->pages[i] = (uint8_t)(info.code == MM_SEGV_MAPERR   ? PAGE_MAPERR
						     : info.code == MM_SEGV_ACCERR ? PAGE_ACCERR
										   : PAGE_ADRERR);
			continue;
		}
		for (unsigned int j = 0; j < sizeof(words) / sizeof(words[0]); j++)
			record->hash = op_hash(record->hash, words[j]);
	}
}

static void presence(const struct simulation *s, struct mm *mm, const struct op *op,
		     struct record *record)
{
	static unsigned char vec[LARGE_WINDOW + 1];

	record->error = mm_mincore(mm, op->addr, op->length, vec);
	for (unsigned int i = 0; i < NR_WATCHED; i++) {
		if (mm_mincore(mm, watched(s, i), MM_PAGE_SIZE, vec))
			record->pages[i] = PAGE_UNMAPPED;
		else
			record->pages[i] = vec[0] & 1 ? PAGE_PRESENT : PAGE_ABSENT;
	}
}

static void do_fork(struct simulation *s, const struct op *op, struct record *record)
{
	if (SIMULATED_FEATURES & FEATURE_FORK)
		record->error = mm_fork(s->spaces[op->space], &s->spaces[op->other]);
}

static void do_exit(struct simulation *s, const struct op *op)
{
	mm_destroy(s->spaces[op->space]);
	s->spaces[op->space] = NULL;
}

static void do_later(struct mm *mm, const struct op *op, struct record *record)
{
	if ((SIMULATED_FEATURES & FEATURE_MSYNC) && op->kind == OP_MSYNC)
		record->error = mm_msync(mm, op->addr, op->length, op->flags);
	if ((SIMULATED_FEATURES & FEATURE_MLOCK) && op->kind == OP_MLOCK)
		record->error = mm_mlock(mm, op->addr, op->length);
	if ((SIMULATED_FEATURES & FEATURE_MLOCK) && op->kind == OP_MUNLOCK)
		record->error = mm_munlock(mm, op->addr, op->length);
}

/* Unmaps the pages of [start, end) that the kernel has unmapped. */
static void unmap_too(struct mm *mm, uint64_t start, uint64_t end, const struct vmas *kernel)
{
	if (start < WINDOW_START)
		return;
	if (end > window_end(simulation.sequence))
		end = window_end(simulation.sequence);
	for (uint64_t addr = start; addr < end; addr += MM_PAGE_SIZE)
		if (vmas_find(kernel, (addr - WINDOW_START) / MM_PAGE_SIZE) == kernel->count)
			CHECK(mm_munmap(mm, addr, MM_PAGE_SIZE) == 0);
}

/*
 * The simulated space notices that a private copy lies behind the end of its file when the copy is
 * used, and not if the file has grown again before that. So this uses all copies now.
 */
static int use_copies(const struct mm_area *vma, void *arg)
{
	struct mm *mm = arg;
	char byte;

	if (vma->flags & (MM_MAP_ANONYMOUS | MM_MAP_SHARED) || vma->start < WINDOW_START)
		return 0;
	if (!vma->prot)
		CHECK_EQ(mm_mprotect(mm, vma->start, vma->end - vma->start, MM_PROT_READ), 0);
	for (uint64_t addr = vma->start; addr < vma->end; addr += MM_PAGE_SIZE)
		(void)mm_read(mm, addr, &byte, 1, NULL);
	if (!vma->prot)
		CHECK_EQ(mm_mprotect(mm, vma->start, vma->end - vma->start, MM_PROT_NONE), 0);
	return 0;
}

static void change_size(struct simulation *s, const struct op *op, struct record *record)
{
	bool shrinks = op->length < files_size(s->files, op->file);

	files_do(s->files, op, record);
	for (unsigned int i = 0; i < NR_SPACES && shrinks; i++) {
		if (!s->spaces[i])
			continue;
		if (s->sequence->limit != NO_LIMIT)
			/* until the next set_limit() */
			mm__set_most_vmas(s->spaces[i], UINT64_MAX);
		mm_for_each_area(s->spaces[i], use_copies, s->spaces[i]);
	}
}

/*
 * A failed mremap() changes nothing in the simulated space. But Linux may have unmapped the target,
 * and the part that the call was to cut off.
 */
static void remap(struct mm *mm, const struct op *op, const struct record *kernel,
		  struct record *record)
{
	uint64_t tail =
		op->addr + (op->new_length + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE * MM_PAGE_SIZE;

	record->error = mm_mremap(mm, op->addr, op->length, op->new_length, op->flags, op->new_addr,
				  &record->result);
	if (!kernel->error || !(op->flags & MM_MREMAP_FIXED) ||
	    (op->addr | op->new_addr) % MM_PAGE_SIZE)
		return;
	unmap_too(mm, op->new_addr, op->new_addr + op->new_length, &kernel->vmas);
	unmap_too(mm, tail, op->addr + op->length, &kernel->vmas);
}

static void map(struct simulation *s, struct mm *mm, const struct op *op, struct record *record)
{
	unsigned int file = op->file;
	int flags = op->flags;

	if (s->sequence->forgotten == FORGET_STACKS)
		flags &= ~MM_MAP_GROWSDOWN;
	if (s->sequence->forgotten == FORGET_SEALS && file >= FILES_SEALED && file < FILES_BAD)
		file += FILES_UNSEALED - FILES_SEALED;
	record->error = mm_mmap(mm, op->addr, op->length, op->prot, flags, s->files->fd[file],
				op->offset, &record->result);
}

static void do_op(struct simulation *s, const struct op *op, const struct record *kernel,
		  struct record *record)
{
	struct mm *mm = s->spaces[op->space];

	switch (op->kind) {
	case OP_MMAP:
		map(s, mm, op, record);
		break;
	case OP_MUNMAP:
		record->error = mm_munmap(mm, op->addr, op->length);
		break;
	case OP_MPROTECT:
		record->error = mm_mprotect(mm, op->addr, op->length, op->prot);
		break;
	case OP_MREMAP:
		remap(mm, op, kernel, record);
		break;
	case OP_MADVISE:
		record->error = mm_madvise(mm, op->addr, op->length, op->flags);
		break;
	case OP_BRK:
		record->error = mm_brk(mm, op->addr, &record->result);
		break;
	case OP_READ:
		read_bytes(mm, op, record);
		break;
	case OP_WRITE:
		write_bytes(mm, op, record);
		break;
	case OP_SCAN:
		scan(s, mm, kernel, record);
		break;
	case OP_MINCORE:
		presence(s, mm, op, record);
		break;
	case OP_TRUNCATE:
		change_size(s, op, record);
		break;
	case OP_PWRITE:
	case OP_PREAD:
		files_do(s->files, op, record);
		break;
	case OP_FORK:
		do_fork(s, op, record);
		break;
	case OP_EXIT:
		do_exit(s, op);
		return;
	default:
		do_later(mm, op, record);
	}
	mm_for_each_area(mm, note_vma, &record->vmas);
}

/*
 * Allows as many more VMAs as the kernel has room for: the kernel may keep parts of a VMA apart.
 */
static void set_limit(struct simulation *s, const struct record *kernel)
{
	struct mm *mm = s->spaces[0];

	if (s->sequence->limit != NO_LIMIT && s->sequence->forgotten != FORGET_LIMIT)
		mm__set_most_vmas(mm, mm__nr_vmas(mm) + s->sequence->limit - s->kernel_vmas);
	s->kernel_vmas = kernel->vmas.count;
}

static void do_all(struct simulation *s)
{
	s->spaces[0] = new_space(s->sequence);
	for (unsigned int i = 0; i < s->sequence->count; i++) {
		const struct op *op = &s->sequence->ops[i];
		const struct record *kernel = &s->kernel->records[i];
		struct record *record = &s->side->records[i];

		s->side->reached = i;
		record->skipped = kernel->skipped;
		if (record->skipped)
			continue;
		set_limit(s, kernel);
		if (op->kind == s->sequence->forgotten)
			*record = *kernel;
		else
			do_op(s, op, kernel, record);
		if (s->spaces[op->space])
			check_space(s->spaces[op->space]);
	}
	for (unsigned int i = 0; i < NR_SPACES; i++)
		if (s->spaces[i])
			mm_destroy(s->spaces[i]);
}

/* In a process of its own, because the library under test may crash. */
static void run_here(void)
{
	alarm(20);
	do_all(&simulation);
	simulation.side->finished = true;
}

void simulated_run(const struct sequence *sequence, const struct files *files,
		   const struct side *kernel, struct side *side)
{
	simulation = (struct simulation){ sequence, files, kernel, side, { NULL }, 0 };
	side_clear(side);
	run_in_child(run_here, side->errors, sizeof(side->errors));
}
