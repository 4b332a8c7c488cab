/* SPDX-License-Identifier: MIT */
/*
 * detector_kinds - the race detectors that the library knows, for detector.c. detector.h says what
 * the functions are for.
 */
#ifndef PLATFORM_DETECTOR_KINDS_H
#define PLATFORM_DETECTOR_KINDS_H

#include <stdbool.h>
#include <stddef.h>

struct mmrange__detector {
	bool (*is_here)(void);
	/* An object is the address of 8 bytes that the program does not use. */
	void (*release)(void *object);
	void (*acquire)(void *object);
	void (*hush)(void);
	void (*listen)(void);
	void (*forget)(const void *memory, size_t size);
};

extern const struct mmrange__detector mmrange__tsan, mmrange__valgrind;

#endif
