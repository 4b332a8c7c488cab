/* SPDX-License-Identifier: MIT */
#include "assign.h"

#include <errno.h>
#include <stdlib.h>

struct load {
	size_t ops;
	uint32_t thread;
};

static int by_load(const void *left, const void *right)
{
	const struct load *a = left, *b = right;

	if (a->ops != b->ops)
		return a->ops > b->ops ? -1 : 1;
	return a->thread < b->thread ? -1 : 1;
}

static uint32_t least_loaded(const size_t *loads, uint32_t threads)
{
	uint32_t least = 0;

	for (uint32_t i = 1; i < threads; i++)
		if (loads[i] < loads[least])
			least = i;
	return least;
}

int assign_threads(const struct trace *trace, uint32_t threads, uint32_t *to)
{
	struct load *recorded = calloc(trace->threads, sizeof *recorded);
	size_t *loads = calloc(threads, sizeof *loads);

	if (!recorded || !loads) {
		free(recorded);
		free(loads);
		return ENOMEM;
	}
	for (uint32_t i = 0; i < trace->threads; i++)
		recorded[i].thread = i;
	for (size_t i = 0; i < trace->count; i++)
		recorded[trace->ops[i].thread].ops++;
	qsort(recorded, trace->threads, sizeof *recorded, by_load);
	for (uint32_t i = 0; i < trace->threads; i++) {
		uint32_t least = least_loaded(loads, threads);

		to[recorded[i].thread] = least;
		loads[least] += recorded[i].ops;
	}
	free(recorded);
	free(loads);
	return 0;
}
