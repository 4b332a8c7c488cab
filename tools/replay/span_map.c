/* SPDX-License-Identifier: MIT */
#include "span_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void span_map_destroy(struct span_map *map)
{
	free(map->spans);
	*map = (struct span_map){ 0 };
}

size_t span_map_search(const struct span_map *map, uint64_t key)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->spans[middle].end > key)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct span *span_map_find(const struct span_map *map, uint64_t key)
{
	size_t i = span_map_search(map, key);

	return i < map->count && map->spans[i].start <= key ? &map->spans[i] : NULL;
}

bool span_map_overlaps(const struct span_map *map, uint64_t start, uint64_t end)
{
	size_t i = span_map_search(map, start);

	return i < map->count && map->spans[i].start < end;
}

bool span_map_covers(const struct span_map *map, uint64_t start, uint64_t end)
{
	for (size_t i = span_map_search(map, start); start < end; i++) {
		if (i == map->count || map->spans[i].start > start)
			return false;
		start = map->spans[i].end;
	}
	return true;
}

/* Makes room for two more spans: the most that one change adds. */
static int reserve(struct span_map *map)
{
	size_t capacity = map->capacity ? map->capacity * 2 : 16;
	struct span *spans;

	if (map->capacity - map->count >= 2)
		return 0;
	if (capacity > SIZE_MAX / sizeof *spans)
		return ENOMEM;
	spans = realloc(map->spans, capacity * sizeof *spans);
	if (!spans)
		return ENOMEM;
	map->spans = spans;
	map->capacity = capacity;
	return 0;
}

/* Replaces the spans in [first, last) by n spans. */
static void replace(struct span_map *map, size_t first, size_t last, const struct span *by,
		    size_t n)
{
	memmove(map->spans + first + n, map->spans + last,
		(map->count - last) * sizeof *map->spans);
	if (n)
		memcpy(map->spans + first, by, n * sizeof *by);
	map->count = map->count - (last - first) + n;
}

/* Sets or erases: the rests of the spans at both ends go into the array with the new span. */
static int change(struct span_map *map, struct span new, bool set)
{
	size_t first = span_map_search(map, new.start), last = first, n = 0;
	struct span by[3];

	if (new.start >= new.end)
		return 0;
	if (reserve(map))
		return ENOMEM;
	if (set && first > 0 && map->spans[first - 1].end == new.start)
		first--; /* the span touches, and may have the same value */
	while (last < map->count && map->spans[last].start < new.end)
		last++;
	if (set && last < map->count && map->spans[last].start == new.end)
		last++;
	if (first < last && map->spans[first].start < new.start) {
		by[n] = map->spans[first];
		by[n++].end = new.start;
	}
	if (set)
		by[n++] = new;
	if (first < last && map->spans[last - 1].end > new.end) {
		by[n] = map->spans[last - 1];
		by[n].start = by[n].start > new.end ? by[n].start : new.end;
		n++;
	}
	for (size_t i = 1; i < n;) {
		if (by[i - 1].end == by[i].start && by[i - 1].value == by[i].value) {
			by[i - 1].end = by[i].end;
			memmove(by + i, by + i + 1, (n - i - 1) * sizeof *by);
			n--;
		} else {
			i++;
		}
	}
	replace(map, first, last, by, n);
	return 0;
}

int span_map_set(struct span_map *map, uint64_t start, uint64_t end, uint64_t value)
{
	return change(map, (struct span){ start, end, value }, true);
}

int span_map_erase(struct span_map *map, uint64_t start, uint64_t end)
{
	return change(map, (struct span){ start, end, 0 }, false);
}
