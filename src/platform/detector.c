/* SPDX-License-Identifier: MIT */
#include "detector.h"
#include "detector_kinds.h"

#include <errno.h>

bool mmrange__detector_found;

static const struct mmrange__detector *detector;

/* Early among the constructors: those of the program may use locks. */
__attribute__((constructor(101))) static void find_detector(void)
{
	int saved = errno;

	if (mmrange__valgrind.begin())
		detector = &mmrange__valgrind;
	else if (mmrange__tsan.begin())
		detector = &mmrange__tsan;
	mmrange__detector_found = detector != NULL;
	errno = saved;
}

void mmrange__detector_release(uint64_t tag)
{
	detector->release(tag);
}

void mmrange__detector_acquire(uint64_t tag)
{
	detector->acquire(tag);
}

void mmrange__detector_hush(void)
{
	detector->hush();
}

void mmrange__detector_listen(void)
{
	detector->listen();
}

void mmrange__detector_forget(const void *memory, size_t size)
{
	detector->forget(memory, size);
}
