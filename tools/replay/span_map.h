/* SPDX-License-Identifier: MIT */
/*
 * span_map - a map from disjoint half-open spans of numbers to values, in one sorted array.
 *
 * A lookup is a binary search; a change moves what lies behind it. Neighbours that touch and have
 * the same value become one span. Not for several threads at once.
 */
#ifndef REPLAY_SPAN_MAP_H
#define REPLAY_SPAN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t start;
	uint64_t end;
	uint64_t value;
};

/* All zeroes is an empty map. */
struct span_map {
	struct span *spans;
	size_t count;
	size_t capacity;
};

void span_map_destroy(struct span_map *map);

/* Gives [start, end) a value, whatever it had before. 0, or ENOMEM and nothing has changed. */
int span_map_set(struct span_map *map, uint64_t start, uint64_t end, uint64_t value);

/* Removes what lies in [start, end). 0, or ENOMEM and nothing has changed. */
int span_map_erase(struct span_map *map, uint64_t start, uint64_t end);

/*
 * The index of the first span that ends after key: the one with key in it, if there is such a span.
 */
size_t span_map_search(const struct span_map *map, uint64_t key);

/* The span with key in it, or NULL; gone with the next change. */
const struct span *span_map_find(const struct span_map *map, uint64_t key);

/* Whether any key of [start, end) is in the map, and whether all are. */
bool span_map_overlaps(const struct span_map *map, uint64_t start, uint64_t end);
bool span_map_covers(const struct span_map *map, uint64_t start, uint64_t end);

#endif
