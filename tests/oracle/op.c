/* SPDX-License-Identifier: MIT */
#include "op.h"

#include <inttypes.h>

struct flag {
	int value;
	const char *name;
};

static const struct flag map_flags[] = { { MM_MAP_SHARED, "SHARED" },
					 { MM_MAP_PRIVATE, "PRIVATE" },
					 { MM_MAP_FIXED, "FIXED" },
					 { MM_MAP_ANONYMOUS, "ANONYMOUS" },
					 { MM_MAP_GROWSDOWN, "GROWSDOWN" },
					 { MM_MAP_NORESERVE, "NORESERVE" },
					 { MM_MAP_POPULATE, "POPULATE" },
					 { MM_MAP_STACK, "STACK" },
					 { MM_MAP_FIXED_NOREPLACE, "FIXED_NOREPLACE" },
					 { 0, NULL } };

static void print_flags(FILE *out, int flags)
{
	const char *between = "";

	for (const struct flag *flag = map_flags; flag->name; flag++) {
		if (!(flags & flag->value))
			continue;
		fprintf(out, "%s%s", between, flag->name);
		flags &= ~flag->value;
		between = "|";
	}
	if (flags || !*between)
		fprintf(out, "%s%#x", between, (unsigned int)flags);
}

static void print_prot(FILE *out, int prot)
{
	fprintf(out, "%c%c%c", prot & MM_PROT_READ ? 'r' : '-', prot & MM_PROT_WRITE ? 'w' : '-',
		prot & MM_PROT_EXEC ? 'x' : '-');
	if (prot & ~7)
		fprintf(out, "|%#x", (unsigned int)prot & ~7u);
}

void op_print_addr(FILE *out, uint64_t addr)
{
	if (addr >= WINDOW_START && addr <= WINDOW_START + LARGE_WINDOW * MM_PAGE_SIZE)
		fprintf(out, "w+0x%05" PRIx64, addr - WINDOW_START);
	else
		fprintf(out, "%#" PRIx64, addr);
}

const char *op_name(enum op_kind kind)
{
	static const char *const names[NR_OP_KINDS] = {
		[OP_MMAP] = "mmap",          [OP_MUNMAP] = "munmap",   [OP_MPROTECT] = "mprotect",
		[OP_MREMAP] = "mremap",      [OP_MADVISE] = "madvise", [OP_BRK] = "brk",
		[OP_READ] = "read",          [OP_WRITE] = "write",     [OP_SCAN] = "scan",
		[OP_MINCORE] = "mincore",    [OP_MSYNC] = "msync",     [OP_MLOCK] = "mlock",
		[OP_MUNLOCK] = "munlock",    [OP_FORK] = "fork",       [OP_EXIT] = "exit",
		[OP_TRUNCATE] = "ftruncate", [OP_PWRITE] = "pwrite",   [OP_PREAD] = "pread",
	};
	static const char *const forgotten[] = { "the limit", "stacks", "seals", "nothing" };

	return kind < NR_OP_KINDS ? names[kind] : forgotten[kind - NR_OP_KINDS];
}

const char *mode_name(enum mode mode)
{
	static const char *const names[NR_MODES] = { "plain",  "files", "locked",
						     "stacks", "large", "limit" };

	return names[mode];
}

static void print_range(FILE *out, const struct op *op)
{
	fprintf(out, "%s(", op_name(op->kind));
	op_print_addr(out, op->addr);
	fprintf(out, ", %#" PRIx64, op->length);
}

static void print_mmap(FILE *out, const struct op *op)
{
	print_range(out, op);
	fputs(", ", out);
	print_prot(out, op->prot);
	fputs(", ", out);
	print_flags(out, op->flags);
	fprintf(out, ", file %u, %#" PRIx64 ")", op->file, op->offset);
}

static void print_mremap(FILE *out, const struct op *op)
{
	print_range(out, op);
	fprintf(out, ", %#" PRIx64 ", %d, ", op->new_length, op->flags);
	op_print_addr(out, op->new_addr);
	fputc(')', out);
}

static void print_file(FILE *out, const struct op *op)
{
	fprintf(out, "%s(file %u, ", op_name(op->kind), op->file);
	if (op->kind != OP_TRUNCATE)
		fprintf(out, "%#" PRIx64 ", ", op->offset);
	fprintf(out, "%#" PRIx64, op->length);
	if (op->kind == OP_PWRITE)
		fprintf(out, ", bytes from %#x", op->data);
	fputc(')', out);
}

static void print_plain(FILE *out, const struct op *op)
{
	print_range(out, op);
	if (op->kind == OP_MPROTECT) {
		fputs(", ", out);
		print_prot(out, op->prot);
	} else if (op->kind == OP_MADVISE || op->kind == OP_MSYNC) {
		fprintf(out, ", %d", op->flags);
	} else if (op->kind == OP_WRITE) {
		fprintf(out, ", bytes from %#x", op->data);
	}
	fputc(')', out);
}

void op_print(FILE *out, const struct op *op)
{
	if (op->space)
		fprintf(out, "[space %u] ", op->space);
	if (op->kind == OP_MMAP)
		print_mmap(out, op);
	else if (op->kind == OP_MREMAP)
		print_mremap(out, op);
	else if (op->kind == OP_TRUNCATE || op->kind == OP_PWRITE || op->kind == OP_PREAD)
		print_file(out, op);
	else if (op->kind == OP_FORK)
		fprintf(out, "fork() = space %u", op->other);
	else if (op->kind == OP_EXIT)
		fprintf(out, "exit()");
	else
		print_plain(out, op);
}
