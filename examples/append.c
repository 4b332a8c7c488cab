/* SPDX-License-Identifier: MIT */
/*
 * Which range to lock is known only under the lock: threads append records to one file.
 *
 * An append writes [end, end + n), and then the end is elsewhere. A thread that reads the end and
 * locks [end, end + n) may be late: by the time it has the range, another thread has appended
 * there. And while it does not hold the end, it cannot know the end. So it guesses:
 *
 *   1. Lock. Read the end without a lock, and lock [guess, UINT64_MAX).
 *   2. Look. Read the end again. If it is not below the guess, it stays, because of the rule below.
 *   3. Move. If it is below, the file became shorter meanwhile, and the bytes that the record needs
 *      are not locked. Release the range, and begin again with a better guess.
 *   4. Shrink. Otherwise move the end, and then release all but [end, end + n). From here on other
 *      threads append behind, while this one fills in its record. (If it released them first, the
 *      next thread could find the old end, and would wait for the record.)
 *
 * The rule: a thread that moves the end holds the key `end` for writing, as well as the bytes that
 * it adds or cuts off. So while a thread holds a range in which it found the end, no other thread
 * moves it.
 *
 * If the file only grows, no guess is too high, and the first one will do. A thread may also lock
 * no more than [guess, guess + n). Then it goes on only if the end is what it guessed, and begins
 * again otherwise. It waits for no thread that is at work further up, but can be late again and
 * again.
 *
 * A reader that wants whole records locks [0, guess) for reading. The threads that fill in records
 * there hold them, so what it then finds in its range is whole. It may have locked a part of the
 * last record, or, if the file became shorter, bytes behind the end: it looks again, too.
 */
#include <mmrange/range_lock.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITERS = 4, READERS = 2, RECORDS = 500 /* of each writer */, MAX_TEXT = 60 };

struct record {
	uint32_t bytes; /* of the record, together with this */
	uint16_t writer;
	uint16_t number;
	char text[MAX_TEXT];
};

static const uint64_t header_bytes = offsetof(struct record, text);

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static int file;
static atomic_bool all_collected;

static void check(bool good)
{
	if (!good)
		abort();
}

/* Only a guess, unless the caller holds a range that keeps the end in place. */
static uint64_t end_of_file(void)
{
	struct stat status;

	check(fstat(file, &status) == 0);
	return (uint64_t)status.st_size;
}

static struct record make_record(unsigned int writer, unsigned int number)
{
	const uint32_t length = 1 + (number * 7 + writer * 13) % MAX_TEXT;
	struct record record = { (uint32_t)header_bytes + length, (uint16_t)writer,
				 (uint16_t)number, "" };

	memset(record.text, 'a' + (int)((number + writer) % 26), length);
	return record;
}

/* Steps 1 to 3: returns the end, which stays while *range is held. */
static uint64_t lock_end(struct range_hold *range)
{
	for (;;) {
		const uint64_t guess = end_of_file();

		check(range_lock(&lock, range, guess, UINT64_MAX, RANGE_WRITE) == 0);
		const uint64_t end = end_of_file();

		if (end >= guess)
			return end;
		range_unlock(&lock, range);
	}
}

static void append(const struct record *record)
{
	struct range_hold range;
	const uint64_t start = lock_end(&range), end = start + record->bytes;

	check(ftruncate(file, (off_t)end) == 0);
	check(range_shrink(&lock, &range, start, end) == 0);
	check(pwrite(file, record, header_bytes, (off_t)start) == (ssize_t)header_bytes);
	check(pwrite(file, record->text, record->bytes - header_bytes,
		     (off_t)(start + header_bytes)) == (ssize_t)(record->bytes - header_bytes));
	range_unlock(&lock, &range);
}

static void *write_records(void *arg)
{
	for (unsigned int number = 0; number < RECORDS; number++) {
		const struct record record = make_record(*(unsigned int *)arg, number);

		append(&record);
	}
	return NULL;
}

/*
 * Reads a record that begins at start, if it lies within end as a whole. The caller holds [start,
 * end).
 */
static bool read_record(uint64_t start, uint64_t end, struct record *record)
{
	if (end - start < header_bytes)
		return false;
	check(pread(file, record, header_bytes, (off_t)start) == (ssize_t)header_bytes);
	if (end - start < record->bytes)
		return false;
	const struct record good = make_record(record->writer, record->number);

	check(record->bytes == good.bytes);
	check(pread(file, record->text, record->bytes - header_bytes,
		    (off_t)(start + header_bytes)) == (ssize_t)(record->bytes - header_bytes));
	check(memcmp(record->text, good.text, record->bytes - header_bytes) == 0);
	return true;
}

/* Readers wait for no thread that appends beyond what they saw of the file. */
static void *read_records(void *arg)
{
	while (!atomic_load(&all_collected)) {
		const uint64_t guess = end_of_file();
		struct range_hold range;
		struct record record;

		if (guess == 0)
			continue;
		check(range_lock(&lock, &range, 0, guess, RANGE_READ) == 0);
		const uint64_t now = end_of_file();
		const uint64_t end = now < guess ? now : guess;

		for (uint64_t start = 0; read_record(start, end, &record);)
			start += record.bytes;
		range_unlock(&lock, &range);
	}
	return arg;
}

/* Takes all records out of the file: the file becomes shorter. Returns how many there were. */
static unsigned int collect(unsigned int next[WRITERS], uint64_t *bytes)
{
	struct range_hold range;
	struct record record;
	unsigned int records = 0;
	uint64_t start = 0;

	check(range_lock(&lock, &range, 0, UINT64_MAX, RANGE_WRITE) == 0);
	const uint64_t end = end_of_file();

	for (; read_record(start, end, &record); start += record.bytes) {
		/* The records of a writer are in order, and none is missing. */
		check(record.number == next[record.writer]++);
		records++;
	}
	check(start == end && ftruncate(file, 0) == 0);
	range_unlock(&lock, &range);
	*bytes += end;
	return records;
}

int main(void)
{
	FILE *stream = tmpfile();
	pthread_t threads[WRITERS + READERS];
	unsigned int numbers[WRITERS], next[WRITERS] = { 0 }, collected = 0;
	uint64_t bytes = 0;

	if (!stream)
		return 1;
	file = fileno(stream);
	for (unsigned int i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		check(pthread_create(&threads[i], NULL, write_records, &numbers[i]) == 0);
	}
	for (unsigned int i = WRITERS; i < WRITERS + READERS; i++)
		check(pthread_create(&threads[i], NULL, read_records, NULL) == 0);
	while (collected < WRITERS * RECORDS)
		collected += collect(next, &bytes);
	atomic_store(&all_collected, true);
	for (unsigned int i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	printf("%u records, %" PRIu64 " bytes, each record whole and in its writer's order\n",
	       collected, bytes);
	fclose(stream);
	return range_lock_destroy(&lock);
}
