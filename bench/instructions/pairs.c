/* SPDX-License-Identifier: MIT */
/*
 * instruction-pairs write|read|async PAIRS - one thread locks and unlocks a small range this many
 * times, as a writer, as a reader of a biased leaf, or as a writer by range_lock_async(). For
 * callgrind, see count.sh.
 *
 * Exits with 77 and its reason if leaves do not become biased here.
 */
#include <mmrange/range_lock.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 100000, SKIPPED = 77 };

static struct range_lock lock = RANGE_LOCK_INITIALIZER;

static bool pairs(unsigned long n, enum range_mode mode)
{
	struct range_hold hold;

	while (n--) {
		if (range_lock(&lock, &hold, 0, 1, mode) != 0)
			return false;
		range_unlock(&lock, &hold);
	}
	return true;
}

static void unexpected(int error, void *arg)
{
	(void)error;
	(void)arg;
	abort();
}

static bool async_pairs(unsigned long n)
{
	struct range_hold hold;

	while (n--) {
		if (range_lock_async(&lock, &hold, 0, 1, RANGE_WRITE, unexpected, NULL) != 0)
			return false;
		range_unlock(&lock, &hold);
	}
	return true;
}

static bool biased(void)
{
	struct range_lock_stats stats;

	range_lock_stats(&lock, &stats);
	return stats.biases > 0;
}

/* The same number of pairs each time, because count.sh takes the difference of two runs. */
static bool warm_up(enum range_mode mode)
{
	return pairs(WARM_UP, mode) && (mode == RANGE_WRITE || biased());
}

int main(int argc, char **argv)
{
	const char *kind = argc == 3 ? argv[1] : "";
	bool async = strcmp(kind, "async") == 0;
	enum range_mode mode = strcmp(kind, "read") == 0 ? RANGE_READ : RANGE_WRITE;
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	if (n == 0 || (mode == RANGE_WRITE && !async && strcmp(kind, "write") != 0)) {
		fprintf(stderr, "usage: instruction-pairs write|read|async PAIRS\n");
		return 2;
	}
	if (!warm_up(mode)) {
		printf("SKIPPED: the leaf did not become biased, as without membarrier()\n");
		return SKIPPED;
	}
	if (!(async ? async_pairs(n) : pairs(n, mode)))
		return 1;
	return range_lock_destroy(&lock) == 0 ? 0 : 1;
}
