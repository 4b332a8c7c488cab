/* SPDX-License-Identifier: MIT */
/* Two threads count in one array; they wait for each other only where their ranges overlap. */
#include <mmrange/range_lock.h>

#include <stdio.h>
#include <stdlib.h>

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static unsigned int counters[64];

static void *count(void *arg)
{
	for (unsigned int i = 0; i < 630000; i++) {
		unsigned int start = i % 63;
		struct range_hold range;

		if (range_lock(&lock, &range, start, start + 2, RANGE_WRITE))
			abort();
		counters[start]++;
		counters[start + 1]++;
		range_unlock(&lock, &range);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, count, NULL))
		return 1;
	count(NULL);
	pthread_join(thread, NULL);
	printf("%u %u %u\n", counters[0], counters[1], counters[63]);
	return range_lock_destroy(&lock);
}
