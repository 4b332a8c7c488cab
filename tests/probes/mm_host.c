/* SPDX-License-Identifier: MIT */
/*
 * A program to be traced: until its standard input ends, it maps a page, touches it, touches a page
 * that is not mapped, and unmaps the page. First it prints its process number.
 */
#include <mmrange/mm.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(int condition)
{
	if (!condition)
		abort();
}

static void map_and_touch(struct mm *mm)
{
	struct mm_siginfo info;
	uint64_t page;

	check(mm_mmap(mm, 0, MM_PAGE_SIZE, MM_PROT_READ | MM_PROT_WRITE,
		      MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1, 0, &page) == 0);
	check(mm_fault(mm, page, MM_PROT_WRITE, NULL) == 0);
	check(mm_fault(mm, page, MM_PROT_WRITE, NULL) == 0);
	check(mm_munmap(mm, page, MM_PAGE_SIZE) == 0);
	check(mm_fault(mm, page, MM_PROT_WRITE, &info) == EFAULT);
}

int main(void)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	struct mm *mm;

	check(mm_create(&mm, NULL) == 0);
	printf("%ld\n", (long)getpid());
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		map_and_touch(mm);
	mm_destroy(mm);
	return 0;
}
