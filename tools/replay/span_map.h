/* SPDX-License-Identifier: MIT */
/*
 * span_map - a map from disjoint half-open spans of numbers to values, in one sorted array.
 *
 * A lookup is a binary search. A change moves the elements behind it. Neighbours that touch and
 * have the same value become one span. Only one thread at a time may use a map.
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

/* Gives [start, end) a value, and drops its old values. 0, or ENOMEM: nothing has changed. */
int span_map_set(struct span_map *map, uint64_t start, uint64_t end, uint64_t value);

/* Removes [start, end) from the map. 0, or ENOMEM: nothing has changed. */
int span_map_erase(struct span_map *map, uint64_t start, uint64_t end);

/*
 * The index of the first span that ends after key: the span that contains key, if there is one.
 */
size_t span_map_search(const struct span_map *map, uint64_t key);

/* The span that contains key, or NULL; valid until the next change. */
const struct span *span_map_find(const struct span_map *map, uint64_t key);

/* Whether any key of [start, end) is in the map, and whether all are. */
bool span_map_overlaps(const struct span_map *map, uint64_t start, uint64_t end);
bool span_map_covers(const struct span_map *map, uint64_t start, uint64_t end);

#endif
