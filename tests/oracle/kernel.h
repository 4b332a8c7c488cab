/* SPDX-License-Identifier: MIT */
/*
 * The kernel's side: a process whose address space is full except for the window, and its children
 * by fork().
 */
#ifndef TESTS_ORACLE_KERNEL_H
#define TESTS_ORACLE_KERNEL_H

#include "files.h"
#include "record.h"

bool kernel_is_since(unsigned int major, unsigned int minor);

/*
 * Those of FEATURE_ALL that can be compared on this system. Prints the reason for each other one.
 */
unsigned int kernel_features(void);

/* Runs the sequence. */
void kernel_run(const struct sequence *sequence, const struct files *files, struct side *side);

/*
 * Only the processes of the kernel's side use these functions. They must not allocate, because the
 * heap is in the window.
 */

struct kernel {
	const struct sequence *sequence;
	const struct files *files;
	struct side *side;
	uint64_t window; /* its address */
};

/*
 * Maps all of the address space but the window, which begins where the heap does, and drops
 * privileges that would change results. Returns NULL, or the reason of a failure.
 */
const char *kernel_enclose(struct kernel *kernel);

/* Carries out an operation other than OP_FORK and OP_EXIT. */
void kernel_do(const struct kernel *kernel, const struct op *op, struct record *record);

/* Lists the VMAs in the window; the VmFlags take more time. */
void kernel_vmas(const struct kernel *kernel, struct vmas *vmas, bool vm_flags);

/* The number of VMAs of the process. */
uint32_t kernel_count_vmas(void);

/* The maximum number of VMAs of a process. */
uint32_t kernel_max_vmas(void);

/*
 * Reads a number from a file such as /proc/self/stat: the number after `skip` blanks, which are
 * counted after the program's name, if there is one. Returns 0 if there is no such number.
 */
uint64_t kernel_number(const char *path, unsigned int skip);

/*
 * Accesses byte by byte, with the result in record: on a fault, error is EFAULT, and the bytes
 * before the fault have been accessed.
 */
void kernel_catch_faults(void);
void kernel_read(uint64_t addr, uint64_t length, struct record *record);
void kernel_write(uint64_t addr, const struct op *op, struct record *record);

/* Reads a whole page. Returns the element of pages for it. */
uint8_t kernel_scan_page(uint64_t addr, uint64_t *hash);

#endif
