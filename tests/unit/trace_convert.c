/* SPDX-License-Identifier: MIT */
/* From perf's text to operations: each pitfall of recordings. */
#include "convert.h"
#include "recording.h"
#include "test.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <string.h>

static struct drops drops;
static struct conversion conversion;
static struct trace trace;

static FILE *open_text(const char *text, size_t size)
{
	FILE *file = tmpfile();

	CHECK(file && fwrite(text, 1, size, file) == size);
	rewind(file);
	return file;
}

/* Converts a text into trace. Returns the result of recording_read(). */
static int convert_bytes(const char *text, size_t size, char message[256])
{
	FILE *file = open_text(text, size);
	struct recording recording;
	int error;

	memset(&drops, 0, sizeof drops);
	error = recording_read(&recording, file, &drops, message, 256);
	fclose(file);
	if (error)
		return error;
	CHECK_EQ(convert(&recording, &trace, &drops, &conversion), 0);
	recording_destroy(&recording);
	return 0;
}

static void convert_text(const char *text)
{
	char message[256];

	CHECK_EQ(convert_bytes(text, strlen(text), message), 0);
}

/* Lines of the tests: process 1, a time in nanoseconds. */
#define LINE(tid, time, event) "1/" #tid " 1.00000" #time ": " event "\n"
#define FAULT(tid, time, addr, code)                                                               \
	LINE(tid, time, "exceptions:page_fault_user: address=" #addr " ip=0x1 error_code=" #code)
#define ENTER(tid, time, call) LINE(tid, time, "syscalls:sys_enter_" call)
#define EXIT(tid, time, call)  LINE(tid, time, "syscalls:sys_exit_" call)
#define MMAP(prot, flags, length)                                                                  \
	"mmap: addr: 0x00000000, len: " #length ", prot: " #prot ", flags: " #flags                \
	", fd: 0xffffffff, off: 0x00000000"

/* A mapping of four pages at 0x100000, for reading and writing. */
#define MAPPING ENTER(1, 1000, MMAP(0x3, 0x22, 0x4000)) EXIT(1, 1001, "mmap: 0x100000")

static void check_op(size_t i, enum trace_kind kind, uint32_t thread, uint64_t addr,
		     uint64_t length)
{
	CHECK(i < trace.count);
	CHECK_EQ(trace.ops[i].kind, kind);
	CHECK_EQ(trace.ops[i].thread, thread);
	CHECK_EQ(trace.ops[i].addr, addr);
	CHECK_EQ(trace.ops[i].length, length);
}

TEST(convert, operations_come_in_their_order)
{
	convert_text(MAPPING FAULT(1, 1002, 0x100123, 0x6) FAULT(2, 1003, 0x101000, 0x4) ENTER(
		2, 1004, "munmap: addr: 0x100000, len: 0x1") EXIT(2, 1005, "munmap: 0x0"));
	CHECK_EQ(trace.count, 4);
	CHECK_EQ(trace.threads, 2);
	check_op(0, TRACE_MMAP, 0, 0x100000, 0x4000);
	CHECK_EQ(trace.ops[0].prot, 3);
	CHECK_EQ(trace.ops[0].flags, MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE);
	check_op(1, TRACE_WRITE, 0, 0x100123, 0);
	check_op(2, TRACE_READ, 1, 0x101000, 0);
	check_op(3, TRACE_MUNMAP, 1, 0x100000, 0x1000);
	CHECK_EQ(drops_total(&drops), 0);
	trace_destroy(&trace);
}

TEST(convert, lines_out_of_order_are_put_in_order)
{
	convert_text(FAULT(1, 1002, 0x100123, 0x6) MAPPING);
	check_op(0, TRACE_MMAP, 0, 0x100000, 0x4000);
	check_op(1, TRACE_WRITE, 0, 0x100123, 0);
	trace_destroy(&trace);
}

TEST(convert, a_fault_before_the_exit_of_its_mmap_comes_after_it)
{
	convert_text(ENTER(1, 1000, MMAP(0x3, 0x22, 0x4000)) FAULT(2, 1001, 0x101000, 0x6)
			     EXIT(1, 1002, "mmap: 0x100000"));
	CHECK_EQ(trace.count, 2);
	check_op(0, TRACE_MMAP, 0, 0x100000, 0x4000);
	check_op(1, TRACE_WRITE, 1, 0x101000, 0);
	CHECK_EQ(conversion.early, 1);
	CHECK_EQ(conversion.exec_vmas, 0);
	trace_destroy(&trace);
}

TEST(convert, a_fault_before_the_exit_of_an_mprotect_that_allows_it_comes_after_it)
{
	convert_text(ENTER(1, 1000, MMAP(0x0, 0x22, 0x4000)) EXIT(1, 1001, "mmap: 0x100000")
			     ENTER(1, 1002, "mprotect: start: 0x100000, len: 0x2000, prot: 0x3")
				     FAULT(2, 1003, 0x101000, 0x6) EXIT(1, 1004, "mprotect: 0x0"));
	CHECK_EQ(trace.count, 3);
	check_op(1, TRACE_MPROTECT, 0, 0x100000, 0x2000);
	check_op(2, TRACE_WRITE, 1, 0x101000, 0);
	trace_destroy(&trace);
}

TEST(convert, a_fault_during_an_mprotect_that_forbids_it_comes_before_it)
{
	convert_text(MAPPING ENTER(1, 1002, "mprotect: start: 0x100000, len: 0x2000, prot: 0x0")
			     FAULT(2, 1003, 0x101000, 0x6) EXIT(1, 1004, "mprotect: 0x0")
				     FAULT(2, 1005, 0x101000, 0x6));
	CHECK_EQ(trace.count, 3);
	check_op(1, TRACE_WRITE, 1, 0x101000, 0);
	check_op(2, TRACE_MPROTECT, 0, 0x100000, 0x2000);
	CHECK_EQ(drops.count[DROP_ACCESS][TRACE_WRITE], 1);
	trace_destroy(&trace);
}

TEST(convert, memory_that_is_being_unmapped_can_be_mapped_by_another_thread)
{
	convert_text(MAPPING ENTER(1, 1002, "munmap: addr: 0x100000, len: 0x4000")
			     ENTER(2, 1003, MMAP(0x3, 0x22, 0x2000)) EXIT(2, 1004, "mmap: 0x102000")
				     EXIT(1, 1005, "munmap: 0x0"));
	CHECK_EQ(trace.count, 3);
	check_op(1, TRACE_MUNMAP, 0, 0x100000, 0x4000);
	check_op(2, TRACE_MMAP, 1, 0x102000, 0x2000);
	CHECK(trace.ops[2].flags & MM_MAP_FIXED_NOREPLACE);
	CHECK_EQ(conversion.replaced, 0);
	trace_destroy(&trace);
}

TEST(convert, memory_that_is_being_moved_away_can_be_mapped_by_another_thread)
{
	convert_text(MAPPING ENTER(
		1, 1002,
		"mremap: addr: 0x100000, old_len: 0x4000, new_len: 0x8000, flags: 0x1, "
		"new_addr: 0x0") ENTER(2, 1003, MMAP(0x3, 0x22, 0x2000))
			     EXIT(2, 1004, "mmap: 0x102000") EXIT(1, 1005, "mremap: 0x200000"));
	CHECK_EQ(trace.count, 3);
	check_op(1, TRACE_MREMAP, 0, 0x100000, 0x4000);
	CHECK_EQ(trace.ops[1].new_addr, 0x200000);
	CHECK_EQ(trace.ops[1].new_length, 0x8000);
	check_op(2, TRACE_MMAP, 1, 0x102000, 0x2000);
	trace_destroy(&trace);
}

TEST(convert, mappings_of_exec_are_made_up)
{
	convert_text(/* a text segment, data behind it, and the stack */
		     FAULT(1, 1000, 0x400040, 0x14) FAULT(1, 1001, 0x410000, 0x4) FAULT(
			     1, 1002, 0x420000, 0x4) FAULT(1, 1003, 0x420008, 0x7)
			     FAULT(1, 1004, 0x7fffb39e9ef0, 0x6) FAULT(1, 1005, 0x7fffb39e7000, 0x6)
				     ENTER(1, 1006,
					   "mprotect: start: 0x421000, len: 0x1000, prot: 0x1")
					     EXIT(1, 1007, "mprotect: 0x0"));
	CHECK_EQ(conversion.exec_vmas, 3);
	check_op(0, TRACE_MMAP, 0, 0x400000, 0x20000);
	CHECK_EQ(trace.ops[0].prot, MM_PROT_READ | MM_PROT_EXEC);
	check_op(1, TRACE_MMAP, 0, 0x420000, 0x2000);
	CHECK_EQ(trace.ops[1].prot, MM_PROT_READ | MM_PROT_WRITE);
	check_op(2, TRACE_MMAP, 0, 0x7fffb39e7000, 0x3000);
	CHECK_EQ(trace.ops[2].prot, MM_PROT_READ | MM_PROT_WRITE);
	CHECK_EQ(trace.count, 10);
	CHECK_EQ(drops_total(&drops), 0);
	trace_destroy(&trace);
}

TEST(convert, a_system_call_may_map_between_two_of_exec_s_mappings)
{
	convert_text(FAULT(1, 1000, 0xff000, 0x6) FAULT(1, 1001, 0x105000, 0x6) MAPPING);
	CHECK_EQ(conversion.exec_vmas, 2);
	CHECK_EQ(conversion.exec_pages, 2);
	CHECK_EQ(conversion.replaced, 0);
	trace_destroy(&trace);
}

TEST(convert, memory_that_was_unmapped_is_not_exec_s)
{
	convert_text(MAPPING ENTER(1, 1002, "munmap: addr: 0x100000, len: 0x4000")
			     EXIT(1, 1003, "munmap: 0x0") FAULT(2, 1004, 0x100000, 0x6));
	CHECK_EQ(conversion.exec_vmas, 0);
	CHECK_EQ(drops.count[DROP_UNMAPPED][TRACE_WRITE], 1);
	CHECK_EQ(trace.count, 2);
	trace_destroy(&trace);
}

TEST(convert, the_heap_starts_at_the_first_brk)
{
	convert_text(ENTER(1, 1000, "brk: brk: 0x00000000") EXIT(1, 1001, "brk: 0x27e37000") ENTER(
		1, 1002, "brk: brk: 0x27e58000") EXIT(1, 1003, "brk: 0x27e58000")
			     FAULT(1, 1004, 0x27e37008, 0x6) ENTER(1, 1005, "brk: brk: 0x27e38000")
				     EXIT(1, 1006, "brk: 0x27e38000")
					     ENTER(1, 1007, "brk: brk: 0x1000")
						     EXIT(1, 1008, "brk: 0x27e38000")
							     FAULT(1, 1009, 0x27e40000, 0x6));
	CHECK_EQ(trace.brk_start, 0x27e37000);
	CHECK_EQ(trace.count, 4);
	check_op(1, TRACE_BRK, 0, 0x27e58000, 0);
	CHECK_EQ(trace.ops[1].new_length, 0x27e37000);
	check_op(2, TRACE_WRITE, 0, 0x27e37008, 0);
	check_op(3, TRACE_BRK, 0, 0x27e38000, 0);
	CHECK_EQ(drops.count[DROP_FAILED][TRACE_BRK], 1);
	CHECK_EQ(drops.count[DROP_UNMAPPED][TRACE_WRITE], 1);
	trace_destroy(&trace);
}

TEST(convert, of_several_processes_the_one_with_most_events_is_kept)
{
	convert_text("2/2 1.000000001: exceptions:page_fault_user: address=0x200000 ip=0x1 "
		     "error_code=0x6\n"
		     "2/2 1.000000002: syscalls:sys_enter_brk: brk: 0x0\n" MAPPING FAULT(
			     1, 1002, 0x100000, 0x6));
	CHECK_EQ(trace.count, 2);
	CHECK_EQ(drops.count[DROP_PROCESS][TRACE_WRITE], 1);
	CHECK_EQ(drops.count[DROP_PROCESS][TRACE_BRK], 1);
	trace_destroy(&trace);
}

TEST(convert, a_new_program_gets_a_new_address_space_and_names_the_trace)
{
	convert_text(
		LINE(1, 0001, "sched:sched_process_exec: filename=/bin/sh pid=1 old_pid=1")
			FAULT(1, 0002, 0x400000, 0x14) LINE(
				1, 0003,
				"sched:sched_process_exec: filename=/usr/bin/javac pid=1 old_pid=1")
				MAPPING FAULT(1, 1002, 0x100000, 0x6));
	CHECK_EQ(trace.count, 2);
	CHECK(!strcmp(trace.name, "javac"));
	CHECK_EQ(drops.count[DROP_PROCESS][TRACE_EXEC], 1);
	CHECK_EQ(drops.count[DROP_PROGRAM][DROP_LINE], 2);
	trace_destroy(&trace);
}

TEST(convert, halves_of_system_calls_are_counted)
{
	convert_text(EXIT(1, 0001, "brk: 0x1") ENTER(1, 0002, "brk: brk: 0x0")
			     ENTER(1, 0003, "brk: brk: 0x0") EXIT(1, 0004, "madvise: 0x0")
				     MAPPING ENTER(2, 1002, "munmap: addr: 0x100000, len: 0x1000"));
	CHECK_EQ(drops.count[DROP_NO_ENTER][TRACE_BRK], 1);
	CHECK_EQ(drops.count[DROP_NO_ENTER][TRACE_MADVISE], 1);
	CHECK_EQ(drops.count[DROP_NO_EXIT][TRACE_BRK], 2);
	CHECK_EQ(drops.count[DROP_NO_EXIT][TRACE_MUNMAP], 1);
	CHECK_EQ(trace.count, 1);
	trace_destroy(&trace);
}

TEST(convert, threads_interleave_their_system_calls)
{
	convert_text(ENTER(1, 1000, MMAP(0x3, 0x22, 0x1000)) ENTER(2, 1001, MMAP(0x1, 0x22, 0x1000))
			     EXIT(1, 1002, "mmap: 0x100000") EXIT(2, 1003, "mmap: 0x200000"));
	check_op(0, TRACE_MMAP, 0, 0x100000, 0x1000);
	CHECK_EQ(trace.ops[0].prot, 3);
	check_op(1, TRACE_MMAP, 1, 0x200000, 0x1000);
	CHECK_EQ(trace.ops[1].prot, 1);
	trace_destroy(&trace);
}

TEST(convert, failed_calls_and_calls_without_a_counterpart_are_counted)
{
	convert_text(
		MAPPING ENTER(1, 1002, MMAP(0x3, 0x22, 0x1000)) EXIT(
			1, 1003, "mmap: 0xfffffffffffffff4") ENTER(1, 1004,
								   "madvise: start: 0x100000, "
								   "len_in: 0x1000, behavior: 0xa")
			EXIT(1, 1005, "madvise: 0x0") ENTER(
				1, 1006, "madvise: start: 0x100000, len_in: 0x0, behavior: 0x4")
				EXIT(1, 1007, "madvise: 0x0") FAULT(1, 1008, 0x8, 0x4) FAULT(
					1, 1009, 0xffffffffff600000,
					0x15) ENTER(1, 1010,
						    "mremap: addr: 0x100000, old_len: 0x1000, "
						    "new_len: 0x1000, flags: 0x5, new_addr: 0x0")
					EXIT(1, 1011, "mremap: 0x200000") ENTER(
						1, 1012,
						"munmap: addr: 0x100000, len: 0xfffffffffffff000")
						EXIT(1, 1013, "munmap: 0x0"));
	CHECK_EQ(drops.count[DROP_FAILED][TRACE_MMAP], 1);
	CHECK_EQ(drops.count[DROP_COUNTERPART][TRACE_MADVISE], 1);
	CHECK_EQ(drops.count[DROP_NOTHING][TRACE_MADVISE], 1);
	CHECK_EQ(drops.count[DROP_RANGE][TRACE_READ], 1);
	CHECK_EQ(drops.count[DROP_RANGE][TRACE_EXEC], 1);
	CHECK_EQ(drops.count[DROP_COUNTERPART][TRACE_MREMAP], 1);
	CHECK_EQ(drops.count[DROP_RANGE][TRACE_MUNMAP], 1);
	CHECK_EQ(drops_total(&drops), 7);
	CHECK_EQ(trace.count, 1);
	trace_destroy(&trace);
}

TEST(convert, files_become_anonymous_and_fixed_mappings_replace)
{
	convert_text(MAPPING ENTER(
		1, 1002,
		"mmap: addr: 0x101000, len: 0x1801, prot: 0x00000005, flags: 0x00000812, "
		"fd: 0x00000003, off: 0x00001000") EXIT(1, 1003, "mmap: 0x101000")
			     FAULT(1, 1004, 0x102000, 0x14)
				     ENTER(1, 1005,
					   "mmap: addr: 0x0, len: 0x1000, prot: 0x3, flags: 0x1, "
					   "fd: 0x3, off: 0x0") EXIT(1, 1006, "mmap: 0x200000")
					     ENTER(1, 1007, MMAP(0x3, 0x21, 0x1000))
						     EXIT(1, 1008, "mmap: 0x300000"));
	CHECK_EQ(trace.count, 5);
	check_op(1, TRACE_MMAP, 0, 0x101000, 0x2000);
	CHECK_EQ(trace.ops[1].flags, MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED);
	CHECK_EQ(trace.ops[3].flags, MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE);
	CHECK_EQ(trace.ops[4].flags, MM_MAP_SHARED | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE);
	CHECK_EQ(conversion.files, 2);
	trace_destroy(&trace);
}

TEST(convert, lines_without_use_are_counted_by_kind)
{
	char text[8192] = MAPPING "# a comment\n\n"
				  "1/1 1.000002000: syscalls:sys_enter_read: fd: 0x1\n"
				  "1/1 1.000002000: syscalls:sys_exit_mmap: oops\n"
				  "1/1 1.000002000: sched:sched_process_fork: comm=a pid=1 "
				  "child_comm=a child_pid=2\n";
	size_t length = strlen(text);

	memset(text + length, 'x', 5000);
	text[length + 5000] = '\n';
	convert_text(text);
	CHECK_EQ(drops.count[DROP_SHAPE][DROP_LINE], 2);
	CHECK_EQ(drops.count[DROP_EVENT][DROP_LINE], 1);
	CHECK_EQ(drops.count[DROP_DAMAGED][DROP_LINE], 1);
	CHECK_EQ(drops.count[DROP_CLONE][DROP_LINE], 1);
	CHECK_EQ(drops.count[DROP_LONG][DROP_LINE], 1);
	CHECK_EQ(drops_total(&drops), 6);
	trace_destroy(&trace);
}

TEST(convert, a_text_that_is_cut_anywhere_does_no_harm)
{
	static const char text[] = MAPPING FAULT(1, 1002, 0x100123, 0x6);
	char message[256];

	for (size_t cut = 0; cut < sizeof text - 1; cut++) {
		int error = convert_bytes(text, cut, message);

		if (cut > 0 && text[cut - 1] == '\n') {
			CHECK_EQ(error, 0);
			trace_destroy(&trace);
		} else {
			CHECK_EQ(error, EINVAL);
			CHECK(strstr(message,
				     cut ? "ends in the middle of line" : "none of its 0 lines"));
		}
	}
}

TEST(convert, random_bytes_in_a_text_do_no_harm)
{
	static const char whole[] = MAPPING FAULT(1, 1002, 0x100123, 0x6) ENTER(
		2, 1003,
		"mremap: addr: 0x100000, old_len: 0x4000, new_len: 0x8000, flags: 0x1, new_addr: "
		"0x0") EXIT(2, 1004, "mremap: 0x200000") ENTER(1, 1005, "brk: brk: 0x0")
		EXIT(1, 1006, "brk: 0x300000") ENTER(1, 1007, "brk: brk: 0x302000")
			EXIT(1, 1008, "brk: 0x302000")
				ENTER(2, 1009, "mprotect: start: 0x200000, len: 0x2000, prot: 0x1")
					EXIT(2, 1010, "mprotect: 0x0");
	static const char replacements[] = "0123456789abcdefx:, \n/\t";
	uint64_t seed = test_seed("convert");
	char text[sizeof whole], message[256];

	for (int i = 0; i < 5000; i++) {
		unsigned char *data;
		size_t size;

		memcpy(text, whole, sizeof whole);
		for (int k = 0; k < 3; k++)
			text[test_random_below(&seed, sizeof whole - 2)] =
				replacements[test_random_below(&seed, sizeof replacements - 1)];
		if (convert_bytes(text, sizeof whole - 1, message))
			continue;
		CHECK(trace.count == 0 || trace_encode(&trace, &data, &size) == 0);
		if (trace.count)
			free(data);
		trace_destroy(&trace);
	}
}
