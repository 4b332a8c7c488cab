/* SPDX-License-Identifier: MIT */
/*
 * A storage engine's use: accounts are records of a file, and threads move money between them.
 *
 * A transfer locks the bytes of its two records. It only tries the second one, because threads that
 * wait for a second range while they hold a first can wait for each other in a cycle. If the second
 * is not free, the transfer releases the first, and locks both records and everything in between as
 * one range. An audit reads the whole file under one range, and always finds the same total.
 */
#include <mmrange/range_lock.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, TRANSFERS = 5000, AUDITS = 50, ACCOUNTS = 100, DEPOSIT = 1000 };

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static int file;

static uint64_t offset_of(unsigned int account)
{
	return account * sizeof(int64_t);
}

static int64_t get(unsigned int account)
{
	int64_t balance;

	if (pread(file, &balance, sizeof balance, (off_t)offset_of(account)) != sizeof balance)
		abort();
	return balance;
}

/* Without range_cancel(), and with bounds that are right, it cannot fail. */
static void lock_range(struct range_hold *range, uint64_t start, uint64_t end, enum range_mode mode)
{
	if (range_lock(&lock, range, start, end, mode))
		abort();
}

static void put(unsigned int account, int64_t balance)
{
	if (pwrite(file, &balance, sizeof balance, (off_t)offset_of(account)) != sizeof balance)
		abort();
}

/* Moves an amount from low to high, low < high; a negative one the other way. */
static void transfer(unsigned int low, unsigned int high, int64_t amount)
{
	struct range_hold first, second;
	int both;

	lock_range(&first, offset_of(low), offset_of(low + 1), RANGE_WRITE);
	both = range_trylock(&lock, &second, offset_of(high), offset_of(high + 1), RANGE_WRITE) !=
	       0;
	if (both) {
		range_unlock(&lock, &first);
		lock_range(&first, offset_of(low), offset_of(high + 1), RANGE_WRITE);
	}
	put(low, get(low) - amount);
	put(high, get(high) + amount);
	if (!both)
		range_unlock(&lock, &second);
	range_unlock(&lock, &first);
}

static int64_t audit(void)
{
	struct range_hold range;
	int64_t total = 0;

	lock_range(&range, 0, offset_of(ACCOUNTS), RANGE_READ);
	for (unsigned int account = 0; account < ACCOUNTS; account++)
		total += get(account);
	range_unlock(&lock, &range);
	return total;
}

static void *clerk(void *arg)
{
	unsigned int number = *(unsigned int *)arg;

	for (unsigned int i = 0; i < TRANSFERS; i++) {
		unsigned int low = (i * 7 + number * 25) % (ACCOUNTS - 1);
		unsigned int high = low + 1 + i % (ACCOUNTS - 1 - low);

		transfer(low, high, i % 2 ? 1 : -1);
		if (i % (TRANSFERS / AUDITS) == 0 && audit() != (int64_t)ACCOUNTS * DEPOSIT)
			abort();
	}
	return NULL;
}

int main(void)
{
	FILE *stream = tmpfile();
	pthread_t threads[THREADS];
	unsigned int numbers[THREADS];

	if (!stream)
		return 1;
	file = fileno(stream);
	for (unsigned int account = 0; account < ACCOUNTS; account++)
		put(account, DEPOSIT);
	for (unsigned int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], NULL, clerk, &numbers[i]))
			return 1;
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%d transfers, %d audits, total %" PRId64 "\n", THREADS * TRANSFERS,
	       THREADS * AUDITS, audit());
	fclose(stream);
	return range_lock_destroy(&lock);
}
