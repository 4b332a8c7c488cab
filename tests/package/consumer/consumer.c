/* SPDX-License-Identifier: MIT */
/* consumer VERSION: uses the installed library, which must be of that version. */
#include <mmrange/mmrange.h>

#include <stdio.h>
#include <string.h>

static struct range_lock lock = RANGE_LOCK_INITIALIZER;

int main(int argc, char **argv)
{
	struct range_hold one, other;

	if (argc != 2 || strcmp(argv[1], mmrange_version()) != 0) {
		printf("this is libmmrange %s\n", mmrange_version());
		return 1;
	}
	if (range_lock(&lock, &one, 0, 10, RANGE_WRITE) ||
	    range_trylock(&lock, &other, 10, 20, RANGE_WRITE))
		return 1;
	range_unlock(&lock, &other);
	range_unlock(&lock, &one);
	return range_lock_destroy(&lock);
}
