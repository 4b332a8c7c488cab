/* SPDX-License-Identifier: MIT */
/* Differences that README.md lists as intended are left out here, or by the kernel's side. */
#include "compare.h"

#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool same_vmas(const struct vmas *kernel, const struct vmas *simulated)
{
	unsigned int next = 0;

	for (unsigned int i = 0; i < simulated->count; i++) {
		const struct vma *whole = &simulated->vma[i];
		const struct vma *part = &kernel->vma[next];

		if (next == kernel->count || part->start != whole->start ||
		    !vmas_look_the_same(part, whole))
			return false;
		while (part->end < whole->end) {
			if (++next == kernel->count || !vma_continues(kernel, part, part + 1))
				return false;
			part++;
		}
		if (part->end != whole->end)
			return false;
		next++;
	}
	return next == kernel->count;
}

static bool same_presence(const struct sequence *sequence, const struct op *op,
			  const struct record *kernel, const struct record *simulated)
{
	for (unsigned int i = 0; i < NR_WATCHED; i++) {
		unsigned int found = vmas_find(&kernel->vmas, sequence->watched[i]);
		const struct vma *vma = &kernel->vmas.vma[found];

		/*
		 * For a file, and so for shared memory, mincore() reports the pages in the page
		 * cache.
		 */
		if (found < kernel->vmas.count && (vma->shared || !vma->anonymous))
			continue;
		/*
		 * fork() does not copy pages that a fault can make again: those of a VMA without
		 * writes.
		 */
		if (op->space && kernel->pages[i] == PAGE_ABSENT &&
		    simulated->pages[i] == PAGE_PRESENT)
			continue;
		if (kernel->pages[i] != simulated->pages[i])
			return false;
	}
	return true;
}

/*
 * Equal errors always agree, because the second side may be the kernel, too. Each rule below allows
 * the simulated space one other error.
 *
 * If the range to move wraps, Linux does not see that the target is in it: it unmaps the target and
 * then finds nothing to move. A VMA that has no room in the window may exceed the limit of locked
 * memory. A descriptor of no regular file may belong to a file system that allows no execution. And
 * the order of Linux's checks has changed between versions.
 */
static bool same_error(const struct sequence *sequence, const struct op *op, int kernel,
		       int simulated)
{
	bool wraps = op->addr + op->length < op->addr;
	bool replaces = op->addr - op->new_addr < op->new_length;

	if (kernel == simulated)
		return true;
	if (op->kind == OP_MREMAP && (op->flags & MM_MREMAP_FIXED) && wraps && replaces &&
	    kernel == EFAULT)
		return simulated == EINVAL;
	if (op->kind == OP_MLOCK && wraps && kernel == ENOMEM)
		return simulated == EINVAL;
	if (op->kind == OP_MREMAP && op->new_length > window_size(sequence) && kernel == EAGAIN)
		return simulated == ENOMEM;
	if (op->kind == OP_MMAP && op->file >= FILES_BAD && (op->prot & MM_PROT_EXEC) &&
	    kernel == EPERM)
		return simulated == ENODEV;
	if (op->kind == OP_MREMAP && !kernel_is_since(6, 17))
		return kernel && simulated;
	return false;
}

const char *compare(const struct sequence *sequence, unsigned int index,
		    const struct record *kernel, const struct record *simulated)
{
	const struct op *op = &sequence->ops[index];

	if (kernel->skipped)
		return NULL;
	if (!same_error(sequence, op, kernel->error, simulated->error))
		return "the error differs";
	if (kernel->result != simulated->result)
		return "the result differs";
	if (kernel->fault_code != simulated->fault_code ||
	    kernel->fault_addr != simulated->fault_addr)
		return "the fault differs";
	if (op->kind == OP_MINCORE && !same_presence(sequence, op, kernel, simulated))
		return "what is present differs";
	if (op->kind == OP_SCAN && memcmp(kernel->pages, simulated->pages, NR_WATCHED) != 0)
		return "what can be read differs";
	if (kernel->hash != simulated->hash)
		return "the bytes differ";
	if (!same_vmas(&kernel->vmas, &simulated->vmas))
		return "the VMAs differ";
	return NULL;
}

static void print_vmas(FILE *out, const struct vmas *vmas)
{
	for (unsigned int i = 0; i < vmas->count; i++) {
		const struct vma *vma = &vmas->vma[i];

		fprintf(out, " %02x-%02x:%c%c%c%c%s", vma->start, vma->end,
			vma->prot & MM_PROT_READ ? 'r' : '-', vma->prot & MM_PROT_WRITE ? 'w' : '-',
			vma->prot & MM_PROT_EXEC ? 'x' : '-', vma->shared ? 's' : 'p',
			vma->anonymous ? "" : "f");
		if (vma->vm_flags)
			fprintf(out, "(%#" PRIx64 ")", vma->vm_flags);
	}
}

static void print_pages(FILE *out, const struct record *record)
{
	fputs(" pages ", out);
	for (unsigned int i = 0; i < NR_WATCHED; i++)
		fputc("rMABapu?"[record->pages[i]], out);
}

void record_print(FILE *out, const struct op *op, const struct record *record)
{
	if (record->skipped) {
		fprintf(out, "not compared\n");
		return;
	}
	if (record->error)
		fprintf(out, "%s", strerror(record->error));
	else
		op_print_addr(out, record->result);
	if (record->fault_code) {
		fprintf(out, ", code %d at ", record->fault_code);
		op_print_addr(out, record->fault_addr);
	}
	if (op->kind == OP_READ || op->kind == OP_SCAN || op->kind == OP_PREAD)
		fprintf(out, ", hash %016" PRIx64, record->hash);
	if (op->kind == OP_SCAN || op->kind == OP_MINCORE)
		print_pages(out, record);
	fputs("; VMAs", out);
	print_vmas(out, &record->vmas);
	fputc('\n', out);
}
