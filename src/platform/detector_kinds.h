/* SPDX-License-Identifier: MIT */
/*
 * detector_kinds - the race detectors that the library knows, for detector.c. detector.h says what
 * the functions are for.
 */
#ifndef PLATFORM_DETECTOR_KINDS_H
#define PLATFORM_DETECTOR_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mmrange__detector {
	bool (*begin)(
		void); /* true: it watches the process, and the other functions can be called */
	void (*release)(uint64_t tag);
	void (*acquire)(uint64_t tag);
	void (*hush)(void);
	void (*listen)(void);
	void (*forget)(const void *memory, size_t size);
};

extern const struct mmrange__detector mmrange__tsan, mmrange__valgrind;

#endif
