/* SPDX-License-Identifier: MIT */
#include "drops.h"

static const char *const reasons[DROPS] = {
	[DROP_SHAPE] = "of another shape",
	[DROP_LONG] = "longer than any event",
	[DROP_DAMAGED] = "of a known event, with fields missing or unreadable",
	[DROP_EVENT] = "of another event",
	[DROP_CLONE] = "of a new thread or process, which need no operation",
	[DROP_PROGRAM] = "of a program's start, which need no operation",
	[DROP_PROCESS] = "in another process, or before the start of the program",
	[DROP_NO_EXIT] = "without its end",
	[DROP_NO_ENTER] = "without its beginning",
	[DROP_FAILED] = "that failed",
	[DROP_RANGE] = "at an address out of range (null pointers, mostly)",
	[DROP_UNMAPPED] = "on memory that is not mapped then",
	[DROP_ACCESS] = "that the protection does not allow then",
	[DROP_COUNTERPART] = "of a kind that has no counterpart in the model",
	[DROP_NOTHING] = "that changes nothing",
	[DROP_HEAP] = "below the start of the heap, or into a mapping",
	[DROP_THREADS] = "of threads beyond the most that a trace can have",
};

enum trace_kind drop_kind_of_fault(uint64_t error_code)
{
	if (error_code & PERF_FAULT_FETCH)
		return TRACE_EXEC;
	return error_code & PERF_FAULT_WRITE ? TRACE_WRITE : TRACE_READ;
}

enum trace_kind drop_kind_of_syscall(enum perf_syscall syscall)
{
	static const enum trace_kind kinds[PERF_SYSCALLS] = {
		[PERF_MMAP] = TRACE_MMAP,         [PERF_MUNMAP] = TRACE_MUNMAP,
		[PERF_MPROTECT] = TRACE_MPROTECT, [PERF_MREMAP] = TRACE_MREMAP,
		[PERF_MADVISE] = TRACE_MADVISE,   [PERF_BRK] = TRACE_BRK,
	};

	return kinds[syscall];
}

size_t drops_total(const struct drops *drops)
{
	size_t total = 0;

	for (int reason = 0; reason < DROPS; reason++)
		for (int kind = 0; kind <= DROP_LINE; kind++)
			total += drops->count[reason][kind];
	return total;
}

void drops_print(const struct drops *drops, FILE *file)
{
	for (int reason = 0; reason < DROPS; reason++) {
		for (int kind = 0; kind <= DROP_LINE; kind++) {
			size_t n = drops->count[reason][kind];
			const char *name =
				kind == DROP_LINE ? "line" : trace_kind_name((enum trace_kind)kind);

			if (n)
				fprintf(file, "%10zu  %s %s\n", n, name, reasons[reason]);
		}
	}
}
