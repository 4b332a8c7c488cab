/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ORACLE_GENERATE_H
#define TESTS_ORACLE_GENERATE_H

#include "op.h"

/* The sequence of a seed, of operations that make use of nothing but the features. */
void generate(struct sequence *sequence, uint64_t seed, unsigned int features);

#endif
