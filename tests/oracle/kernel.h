/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side: a process in which nothing is free but the window, and its children by fork().
 */
#ifndef TESTS_ORACLE_KERNEL_H
#define TESTS_ORACLE_KERNEL_H

#include "files.h"
#include "record.h"

bool kernel_is_since(unsigned int major, unsigned int minor);

/* The features that can be compared here, of FEATURE_ALL. Prints why one cannot. */
unsigned int kernel_features(void);

/* Runs the sequence. */
void kernel_run(const struct sequence *sequence, const struct files *files, struct side *side);

/*
 * What follows is used in the processes of the kernel's side only. They must not allocate: the heap
 * is in the window.
 */

struct kernel {
	const struct sequence *sequence;
	const struct files *files;
	struct side *side;
	uint64_t window; /* where it is */
};

/*
 * Takes all of the address space but the window, which begins where the heap does, and takes away
 * the privileges that would make a difference. Returns NULL, or what went wrong.
 */
const char *kernel_enclose(struct kernel *kernel);

/* Carries out an operation other than OP_FORK and OP_EXIT. */
void kernel_do(const struct kernel *kernel, const struct op *op, struct record *record);

/* Lists the VMAs in the window; the VmFlags take more time. */
void kernel_vmas(const struct kernel *kernel, struct vmas *vmas, bool vm_flags);

/* How many VMAs the process has. */
uint32_t kernel_count_vmas(void);

/* How many it may have. */
uint32_t kernel_max_vmas(void);

/*
 * Reads a file of numbers, after the program's name if there is one, as in /proc/self/stat: what
 * follows `skip` blanks. 0 if there is none.
 */
uint64_t kernel_number(const char *path, unsigned int skip);

/*
 * Access byte by byte. What it comes to is in record: on a fault error is EFAULT, and what lies
 * before it has been accessed.
 */
void kernel_catch_faults(void);
void kernel_read(uint64_t addr, uint64_t length, struct record *record);
void kernel_write(uint64_t addr, const struct op *op, struct record *record);

/* Reads a whole page; the element of pages for it. */
uint8_t kernel_scan_page(uint64_t addr, uint64_t *hash);

#endif
