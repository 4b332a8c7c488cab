/* SPDX-License-Identifier: MIT */
#include "clocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int clocks_init(struct clocks *clocks, uint32_t threads, size_t max_bytes)
{
	*clocks = (struct clocks){ .threads = threads, .count = 1, .capacity = 1 };
	clocks->max = max_bytes / (threads * sizeof *clocks->values);
	clocks->values = calloc(threads, sizeof *clocks->values);
	return clocks->values ? 0 : ENOMEM;
}

void clocks_destroy(struct clocks *clocks)
{
	free(clocks->values);
	*clocks = (struct clocks){ 0 };
}

const uint32_t *clocks_get(const struct clocks *clocks, uint32_t clock)
{
	return clocks->values + (size_t)clock * clocks->threads;
}

int clocks_add(struct clocks *clocks, const uint32_t *elements, uint32_t before, uint32_t *clock)
{
	size_t size = clocks->threads * sizeof *clocks->values;

	if (clocks->count >= clocks->max) {
		*clock = before;
		return 0;
	}
	if (clocks->count == clocks->capacity) {
		size_t capacity =
			clocks->capacity * 2 < clocks->max ? clocks->capacity * 2 : clocks->max;
		uint32_t *values = realloc(clocks->values, capacity * size);

		if (!values)
			return ENOMEM;
		clocks->values = values;
		clocks->capacity = capacity;
	}
	memcpy(clocks->values + clocks->count * clocks->threads, elements, size);
	*clock = (uint32_t)clocks->count++;
	return 0;
}

void clocks_merge(const struct clocks *clocks, uint32_t clock, uint32_t *elements)
{
	const uint32_t *values = clocks_get(clocks, clock);

	for (uint32_t i = 0; i < clocks->threads; i++)
		if (values[i] > elements[i])
			elements[i] = values[i];
}
