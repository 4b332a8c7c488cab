/* SPDX-License-Identifier: MIT */
/* The parser of perf's text: each kind of line, and lines of no known kind. */
#include "perf_text.h"
#include "test.h"

#include <string.h>

static struct perf_event event;

TEST(perf_text, a_fault_has_its_address_and_code)
{
	CHECK_EQ(perf_parse("22811/22812  1330.155263255:  exceptions:page_fault_user: "
			    "address=0x7f029a46be06 "
			    "ip=0x7f029a4537ad error_code=0x6",
			    &event),
		 PERF_FAULT);
	CHECK_EQ(event.pid, 22811);
	CHECK_EQ(event.tid, 22812);
	CHECK_EQ(event.time, 1330155263255);
	CHECK_EQ(event.args[0], 0x7f029a46be06);
	CHECK_EQ(event.args[1], 6);
}

TEST(perf_text, system_calls_have_their_arguments)
{
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_enter_mmap: addr: 0x00001000, len: 0x00002000, "
			    "prot: 0x00000003, "
			    "flags: 0x00000022, fd: 0xffffffff, off: 0x00000000",
			    &event),
		 PERF_ENTER);
	CHECK_EQ(event.syscall, PERF_MMAP);
	CHECK_EQ(event.args[0], 0x1000);
	CHECK_EQ(event.args[3], 0x22);
	CHECK_EQ(event.args[4], 0xffffffff);
	CHECK_EQ(
		perf_parse("1/2 1.5: syscalls:sys_enter_munmap: addr: 0x1000, len: 0xba07", &event),
		PERF_ENTER);
	CHECK_EQ(event.syscall, PERF_MUNMAP);
	CHECK_EQ(event.args[1], 0xba07);
	CHECK_EQ(perf_parse(
			 "1/2 1.5: syscalls:sys_enter_mprotect: start: 0x1000, len: 0x2, prot: 0x1",
			 &event),
		 PERF_ENTER);
	CHECK_EQ(event.syscall, PERF_MPROTECT);
	CHECK_EQ(event.args[2], 1);
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_enter_mremap: addr: 0x1000, old_len: 0x2, "
			    "new_len: 0x3, "
			    "flags: 0x1, new_addr: 0x5",
			    &event),
		 PERF_ENTER);
	CHECK_EQ(event.syscall, PERF_MREMAP);
	CHECK_EQ(event.args[4], 5);
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_enter_madvise: start: 0x1000, len_in: 0x2, "
			    "behavior: 0x4",
			    &event),
		 PERF_ENTER);
	CHECK_EQ(event.syscall, PERF_MADVISE);
	CHECK_EQ(event.args[2], 4);
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_enter_brk: brk: 0x00000000", &event),
		 PERF_ENTER);
	CHECK_EQ(event.syscall, PERF_BRK);
}

TEST(perf_text, ends_of_system_calls_have_their_result)
{
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_exit_mmap: 0x7f029a42e000", &event), PERF_EXIT);
	CHECK_EQ(event.syscall, PERF_MMAP);
	CHECK_EQ(event.args[0], 0x7f029a42e000);
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_exit_munmap: 0xfffffffffffffff4", &event),
		 PERF_EXIT);
	CHECK_EQ(event.args[0], UINT64_MAX - 11);
}

TEST(perf_text, programs_and_threads_are_known)
{
	CHECK_EQ(
		perf_parse(
			"7/7 1.5: sched:sched_process_exec: filename=/usr/bin/node pid=7 old_pid=7",
			&event),
		PERF_PROGRAM);
	CHECK(!strncmp(event.program, "/usr/bin/node ", 14));
	CHECK_EQ(perf_parse("7/7 1.5: sched:sched_process_fork: comm=VM Thread pid=7 child_comm=x "
			    "child_pid=8",
			    &event),
		 PERF_CLONE);
}

TEST(perf_text, a_fraction_of_a_second_may_have_fewer_digits)
{
	CHECK_EQ(perf_parse("1/2 3.000001: syscalls:sys_exit_brk: 0x1", &event), PERF_EXIT);
	CHECK_EQ(event.time, 3000001000);
}

TEST(perf_text, blanks_around_a_line_do_not_matter)
{
	CHECK_EQ(perf_parse("    1/2     1.5:      syscalls:sys_exit_brk:   0x1  ", &event),
		 PERF_EXIT);
	CHECK_EQ(
		perf_parse(
			"1/2 1.5: exceptions:page_fault_user:   address=0x1 ip=0x2 error_code=0x4 ",
			&event),
		PERF_FAULT);
}

TEST(perf_text, other_events_are_distinguished_from_malformed_lines)
{
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_enter_read: fd: 0x1", &event), PERF_OTHER_EVENT);
	CHECK_EQ(perf_parse("1/2 1.5: syscalls:sys_enter_mmap2: fd: 0x1", &event),
		 PERF_OTHER_EVENT);
	CHECK_EQ(perf_parse("1/2 1.5: exceptions:page_fault_kernel: address=0x1", &event),
		 PERF_OTHER_EVENT);
	CHECK_EQ(perf_parse("", &event), PERF_OTHER_SHAPE);
	CHECK_EQ(perf_parse("# captured on: today", &event), PERF_OTHER_SHAPE);
	CHECK_EQ(perf_parse("-1/-1 1.5: syscalls:sys_exit_brk: 0x1", &event), PERF_OTHER_SHAPE);
	CHECK_EQ(perf_parse("node 1/2 1.5: syscalls:sys_exit_brk: 0x1", &event), PERF_OTHER_SHAPE);
	CHECK_EQ(perf_parse("99999999999/2 1.5: syscalls:sys_exit_brk: 0x1", &event),
		 PERF_OTHER_SHAPE);
	CHECK_EQ(perf_parse("1/2 99999999999999999999.5: syscalls:sys_exit_brk: 0x1", &event),
		 PERF_OTHER_SHAPE);
	CHECK_EQ(perf_parse("1/2 1.5555555555: syscalls:sys_exit_brk: 0x1", &event),
		 PERF_OTHER_SHAPE);
}

TEST(perf_text, fields_that_are_missing_or_wrong_are_damage)
{
	static const char *const lines[] = {
		"1/2 1.5: exceptions:page_fault_user: address=0x1 ip=0x2 error_code=0x",
		"1/2 1.5: exceptions:page_fault_user: address=0x1 ip=0x2",
		"1/2 1.5: exceptions:page_fault_user: address=1 ip=0x2 error_code=0x4",
		"1/2 1.5: syscalls:sys_exit_mmap: 0x12345678123456781",
		"1/2 1.5: syscalls:sys_enter_munmap: addr: 0x1000",
		"1/2 1.5: syscalls:sys_enter_munmap: addr: 0x1000, len: 0xg",
		"1/2 1.5: syscalls:sys_enter_munmap: addr: 0x1000, len: 0x1, more: 0x1",
		"1/2 1.5: syscalls:sys_exit_mmap: -12",
		"1/2 1.5: syscalls:sys_exit_mmap:",
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		CHECK_EQ(perf_parse(lines[i], &event), PERF_DAMAGED);
}

TEST(perf_text, a_line_that_is_cut_anywhere_is_not_taken_for_another)
{
	static const char whole[] =
		"1/2 1.5: syscalls:sys_enter_mremap: addr: 0x1000, old_len: 0x2000, "
		"new_len: 0x3000, flags: 0x1, new_addr: 0x5";
	char line[sizeof whole];

	for (size_t length = 0; length + 1 < sizeof whole; length++) {
		char *exact = malloc(length + 1);

		memcpy(line, whole, length);
		line[length] = '\0';
		memcpy(exact, line, length + 1);
		CHECK(perf_parse(exact, &event) >= PERF_OTHER_EVENT);
		free(exact);
	}
	CHECK_EQ(perf_parse(whole, &event), PERF_ENTER);
}
