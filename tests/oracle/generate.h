/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ORACLE_GENERATE_H
#define TESTS_ORACLE_GENERATE_H

#include "op.h"

/* Generates the sequence of a seed, of operations that use these features only. */
void generate(struct sequence *sequence, uint64_t seed, unsigned int features);

#endif
