/* SPDX-License-Identifier: MIT */
/* A simulated address space: map, write, protect, and see what Linux would do. */
#include <mmrange/mm.h>

#include <inttypes.h>
#include <stdio.h>

static int print_area(const struct mm_area *area, void *arg)
{
	(void)arg;
	printf("%" PRIx64 "-%" PRIx64 " %c%c%c\n", area->start, area->end,
	       area->prot & MM_PROT_READ ? 'r' : '-', area->prot & MM_PROT_WRITE ? 'w' : '-',
	       area->prot & MM_PROT_EXEC ? 'x' : '-');
	return 0;
}

int main(void)
{
	const uint64_t at = 0x100000;
	const int read_write = MM_PROT_READ | MM_PROT_WRITE;
	const int flags = MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED;
	struct mm_siginfo info;
	struct mm_stats stats;
	struct mm *mm;
	uint64_t addr;
	char text[6];

	if (mm_create(&mm, NULL) ||
	    mm_mmap(mm, at, 8 * MM_PAGE_SIZE, read_write, flags, -1, 0, &addr) ||
	    mm_write(mm, at + MM_PAGE_SIZE - 3, "hello", 6, NULL) ||
	    mm_mprotect(mm, at + MM_PAGE_SIZE, 2 * MM_PAGE_SIZE, MM_PROT_READ) ||
	    mm_munmap(mm, at + 6 * MM_PAGE_SIZE, MM_PAGE_SIZE) ||
	    mm_read(mm, at + MM_PAGE_SIZE - 3, text, sizeof text, NULL))
		return 1;
	mm_for_each_area(mm, print_area, NULL);
	mm_get_stats(mm, &stats, sizeof(stats));
	printf("%s, in %" PRIu64 " pages\n", text, stats.pages);

	/* Across the border of two areas, the second of which is read-only. */
	if (mm_write(mm, at + MM_PAGE_SIZE - 3, "HELLO", 6, &info))
		printf("writing stopped at %" PRIx64 ": %s\n", info.addr,
		       info.code == MM_SEGV_ACCERR ? "SEGV_ACCERR" : "SEGV_MAPERR");
	mm_destroy(mm);
	return 0;
}
