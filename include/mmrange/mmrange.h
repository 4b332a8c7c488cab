/* SPDX-License-Identifier: MIT */
/*
 * All of libmmrange: the range lock, and the simulated address space built on it.
 */
#ifndef MMRANGE_MMRANGE_H
#define MMRANGE_MMRANGE_H

#include <mmrange/mm.h>
#include <mmrange/range_lock.h>
#include <mmrange/version.h>

#endif
