/* SPDX-License-Identifier: MIT */
/*
 * A search for a place goes through the whole address space. So this code maps all of it, and the
 * VMAs that touch the window merge with no other VMA.
 */
#define _GNU_SOURCE
#include "kernel.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_IN_USE (512 * 1024)
#define PRIVATE_FILL (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* Grows the stack, which cannot grow any more when all is mapped. */
static void touch_stack(void)
{
	volatile char space[STACK_IN_USE];

	for (size_t i = 0; i < sizeof(space); i += MM_PAGE_SIZE)
		space[i] = 0;
}

static bool take(uint64_t start, uint64_t end, int flags)
{
	long result;

	if (start >= end)
		return true;
	result = syscall(SYS_mmap, start, end - start, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1,
			 0);
	return (uint64_t)result == start;
}

/* Maps the free parts of [start, end), except for the window. */
static bool take_gap(uint64_t window, uint64_t window_end, uint64_t start, uint64_t end)
{
	if (end <= window || start >= window_end)
		return take(start, end, PRIVATE_FILL);
	return start <= window && window_end <= end && take(start, window, PRIVATE_FILL) &&
	       take(window_end, end, PRIVATE_FILL);
}

static bool take_all(uint64_t window, uint64_t window_end, uint64_t addr)
{
	static char text[1 << 17];
	char *line = text;
	size_t length = 0;
	ssize_t got;
	int fd = open("/proc/self/maps", O_RDONLY);

	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(fd);
	while (*line) {
		char *rest;
		uint64_t start = strtoull(line, &rest, 16);

		if (start >= MM_ADDR_MAX)
			break;
		if (addr < start && !take_gap(window, window_end, addr, start))
			return false;
		addr = strtoull(rest + 1, &rest, 16);
		line = strchr(rest, '\n') + 1;
	}
	return addr >= MM_ADDR_MAX || take_gap(window, window_end, addr, MM_ADDR_MAX);
}

/* The pages next to the window. The one before it may be the program's own. */
static bool take_edges(uint64_t window, uint64_t end)
{
	(void)take(window - MM_PAGE_SIZE, window, MAP_SHARED | MAP_ANONYMOUS);
	return take(end, end + MM_PAGE_SIZE, MAP_SHARED | MAP_ANONYMOUS);
}

/* With these capabilities, low addresses would not cause EPERM. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	syscall(SYS_capset, &header, none);
}

/*
 * If a protection key is left, Linux uses it to make memory executable and not readable. The
 * simulated processor has no keys.
 */
static void use_up_protection_keys(void)
{
	while (syscall(SYS_pkey_alloc, 0, 0) >= 0)
		;
}

/* Allows the process to lock as much as it may, and limits stacks as the simulated space does. */
static void set_limits(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = MM_STACK_MAX;
	setrlimit(RLIMIT_STACK, &limit);
}

/*
 * Leaves room for as many VMAs as the sequence allows. It gives the middle one of three pages, in
 * the mapping above the window, another protection, and so on. Each adds two VMAs; the one at the
 * start, above a VMA of another kind, adds one.
 */
static bool use_up_vmas(const struct kernel *kernel)
{
	uint64_t addr = kernel->window + window_size(kernel->sequence) + MM_PAGE_SIZE;
	uint32_t count = kernel_count_vmas();
	uint32_t wanted;

	if (kernel->sequence->limit == NO_LIMIT)
		return true;
	wanted = kernel_max_vmas() - kernel->sequence->limit;
	if (wanted < count)
		return false;
	wanted -= count;
	if (wanted % 2 && syscall(SYS_mprotect, addr, MM_PAGE_SIZE, PROT_READ))
		return false;
	for (; wanted >= 2; wanted -= 2) {
		addr += 2 * MM_PAGE_SIZE;
		if (syscall(SYS_mprotect, addr, MM_PAGE_SIZE, PROT_READ))
			return false;
	}
	return true;
}

const char *kernel_enclose(struct kernel *kernel)
{
	uint64_t lowest = kernel_number("/proc/sys/vm/mmap_min_addr", 0);
	struct rlimit stack;
	uint64_t end;

	getrlimit(RLIMIT_STACK, &stack);
	if (stack.rlim_cur == RLIM_INFINITY)
		return "without a limit for the stack, Linux searches from below";
	if (kernel_number("/proc/sys/vm/overcommit_memory", 0) == 2)
		return "vm.overcommit_memory is 2, which makes MAP_NORESERVE go away";
	if (lowest < MM_PAGE_SIZE)
		return "vm.mmap_min_addr is 0";
	set_limits();
	kernel->window = kernel_number("/proc/self/stat", 45);
	if (!kernel->window || (uint64_t)syscall(SYS_brk, kernel->window) != kernel->window)
		return "where the heap begins is not known";
	touch_stack();
	kernel_catch_faults();
	end = kernel->window + window_size(kernel->sequence);
	if (!take_edges(kernel->window, end) || !take_all(kernel->window, end, lowest))
		return "the address space around the window could not be taken";
	if (!use_up_vmas(kernel))
		return "there could not be made as many VMAs as there may be";
	/* The whole of a page of more than 4096 bytes would be present. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	use_up_protection_keys();
	drop_capabilities();
	return NULL;
}
