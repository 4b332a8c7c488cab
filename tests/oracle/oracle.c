/* SPDX-License-Identifier: MIT */
/*
 * The running kernel as the oracle: random operations, done by Linux and by the simulated space,
 * and compared after each of them.
 *
 * MMRANGE_OPERATIONS says how many, MMRANGE_MODE of which mode alone, MMRANGE_FEATURES which of enum
 * feature they may make use of. A sequence that fails is run again with the seed that is printed, as
 * the first one; and its operations are printed, as few of them as still fail.
 */
#include "compare.h"
#include "files.h"
#include "generate.h"
#include "kernel.h"
#include "simulated.h"

#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>

#define OPERATIONS     130000
#define SHRINK_SECONDS 30

/* One sequence on two sides. */
struct trial {
	struct sequence sequence;
	struct files files[2];
	struct side sides[2];
	unsigned int failed; /* the index of the operation */
	bool against_kernel; /* the second side is the kernel, too */
};

/* Says whether the sequence could be run here. */
static bool run_sides(struct trial *t)
{
	files_reset(&t->files[0]);
	files_reset(&t->files[1]);
	kernel_run(&t->sequence, &t->files[0], &t->sides[0]);
	if (t->sides[0].unable)
		return false;
	if (t->against_kernel)
		kernel_run(&t->sequence, &t->files[1], &t->sides[1]);
	else
		simulated_run(&t->sequence, &t->files[1], &t->sides[0], &t->sides[1]);
	return true;
}

/* What became of a side that has not finished. */
static const char *ended(const struct side *side)
{
	return side->errors[0] ? side->errors : "a process has ended";
}

/* What differs; NULL if nothing does. */
static const char *difference(struct trial *t)
{
	for (unsigned int i = 0; i < t->sequence.count; i++) {
		const char *what =
			compare(&t->sequence, i, &t->sides[0].records[i], &t->sides[1].records[i]);

		t->failed = i;
		for (unsigned int side = 0; side < 2; side++)
			if (!t->sides[side].finished && t->sides[side].reached == i)
				return ended(&t->sides[side]);
		if (what)
			return what;
	}
	return files_same(&t->files[0], &t->files[1]) ? NULL : "the files differ at the end";
}

static bool fails(struct trial *t)
{
	return run_sides(t) && difference(t);
}

/* Leaves out operations for as long as it fails without them, and there is time. */
static void shrink(struct trial *t)
{
	time_t end = time(NULL) + SHRINK_SECONDS;
	static struct sequence kept;

	t->sequence.count = t->failed + 1;
	for (unsigned int size = t->sequence.count / 2; size; size /= 2) {
		for (unsigned int i = 0; i + size <= t->sequence.count && time(NULL) < end;) {
			kept = t->sequence;
			t->sequence.count -= size;
			memmove(t->sequence.ops + i, t->sequence.ops + i + size,
				(t->sequence.count - i) * sizeof(t->sequence.ops[0]));
			if (!fails(t)) {
				t->sequence = kept;
				i += size;
			}
		}
	}
	CHECK(fails(t));
}

static void print(const struct trial *t)
{
	for (unsigned int i = 0; i <= t->failed; i++) {
		const struct op *op = &t->sequence.ops[i];

		fprintf(stderr, "%3u. ", i);
		op_print(stderr, op);
		fprintf(stderr, "\n     kernel:    ");
		record_print(stderr, op, &t->sides[0].records[i]);
		if (compare(&t->sequence, i, &t->sides[0].records[i], &t->sides[1].records[i])) {
			fprintf(stderr, "     %s",
				t->against_kernel ? "kernel 2:  " : "simulated: ");
			record_print(stderr, op, &t->sides[1].records[i]);
		}
	}
}

static void report(struct trial *t, uint64_t seed)
{
	const char *what;

	fprintf(stderr, "MMRANGE_SEED=%" PRIu64 " (%s) fails: %s, at operation %u\n", seed,
		mode_name(t->sequence.mode), difference(t), t->failed);
	shrink(t);
	what = difference(t);
	print(t);
	test_fail(__FILE__, __LINE__, "%s", what);
}

static unsigned int wanted(void)
{
	const char *given = getenv("MMRANGE_OPERATIONS");

	return given ? (unsigned int)strtoul(given, NULL, 0) : test_scale(OPERATIONS);
}

static unsigned int wanted_features(unsigned int features)
{
	const char *given = getenv("MMRANGE_FEATURES");

	return given ? features & (unsigned int)strtoul(given, NULL, 0) : features;
}

static bool wanted_mode(enum mode mode)
{
	const char *given = getenv("MMRANGE_MODE");

	return !given || !*given || strcmp(given, mode_name(mode)) == 0;
}

/* How often each kind of operation was compared that succeeded, and that failed. */
struct tally {
	unsigned int sequences[NR_MODES];
	unsigned int compared[2][NR_OP_KINDS];
};

static void count(struct tally *tally, const struct trial *t)
{
	tally->sequences[t->sequence.mode]++;
	for (unsigned int i = 0; i < t->sequence.count; i++)
		if (!t->sides[0].records[i].skipped)
			tally->compared[t->sides[0].records[i].error != 0]
				       [t->sequence.ops[i].kind]++;
}

static void print_tally(const char *name, const struct tally *tally)
{
	printf("%s:", name);
	for (unsigned int i = 0; i < NR_OP_KINDS; i++)
		if (tally->compared[0][i] + tally->compared[1][i])
			printf(" %s %u+%u", op_name((enum op_kind)i), tally->compared[0][i],
			       tally->compared[1][i]);
	printf(" (succeeded + failed); sequences:");
	for (unsigned int i = 0; i < NR_MODES; i++)
		printf(" %s %u", mode_name((enum mode)i), tally->sequences[i]);
	printf("\n");
}

static void run(struct trial *t, const char *name, unsigned int features, unsigned int operations)
{
	unsigned int available = wanted_features(kernel_features());
	uint64_t seed = test_seed(name);
	struct tally tally = { { 0 }, { { 0 } } };
	struct utsname kernel;

	CHECK(uname(&kernel) == 0);
	fprintf(stderr, "%s: %s %s\n", name, kernel.sysname, kernel.release);
	for (unsigned int done = 0; done < operations; seed++) {
		generate(&t->sequence, seed, features & available);
		if (!wanted_mode(t->sequence.mode))
			continue;
		done += t->sequence.count;
		if (!run_sides(t)) {
			printf("skipped: %s\n", t->sides[0].unable);
			return;
		}
		if (difference(t))
			report(t, seed);
		count(&tally, t);
	}
	print_tally(name, &tally);
}

static struct trial *new_trial(bool against_kernel)
{
	struct trial *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(t != MAP_FAILED);
	CHECK(files_open(&t->files[0]) && files_open(&t->files[1]));
	t->against_kernel = against_kernel;
	return t;
}

static void free_trial(struct trial *t)
{
	files_close(&t->files[0]);
	files_close(&t->files[1]);
	munmap(t, sizeof(*t));
}

TEST(oracle, does_what_linux_does)
{
	struct trial *t = new_trial(false);

	run(t, "does_what_linux_does", SIMULATED_FEATURES, wanted());
	free_trial(t);
}

/* What is compared does not depend on chance, nor on where the window is. */
TEST(oracle, linux_does_what_linux_does)
{
	struct trial *t = new_trial(true);

	run(t, "linux_does_what_linux_does", FEATURE_ALL, wanted() / 10);
	free_trial(t);
}

/*
 * No rule of compare() tells equal errors apart: also none about an error that Linux returns only
 * under a low limit, so that linux_does_what_linux_does seldom sees it.
 */
TEST(oracle, equals_do_not_differ)
{
	uint64_t seed = test_seed("equals_do_not_differ");
	static struct sequence sequence;
	static struct record record;

	for (unsigned int i = 0; i < 200; i++) {
		generate(&sequence, seed + i, FEATURE_ALL);
		for (unsigned int j = 0; j < sequence.count; j++)
			for (record.error = 0; record.error <= EHWPOISON; record.error++)
				CHECK(!compare(&sequence, j, &record, &record));
	}
}

/* Says whether that is found within some sequences. */
static bool finds(struct trial *t, enum op_kind forgotten, uint64_t seed, unsigned int features)
{
	for (unsigned int i = 0; i < 200; i++) {
		generate(&t->sequence, seed + i, features);
		/* Only there it makes a difference, and the others take long. */
		if ((t->sequence.mode == MODE_LIMIT) != (forgotten == FORGET_LIMIT))
			continue;
		t->sequence.forgotten = forgotten;
		if (!run_sides(t)) {
			printf("skipped: %s\n", t->sides[0].unable);
			return true;
		}
		if (difference(t)) {
			printf("forgotten %s: found in sequence %u\n", op_name(forgotten), i);
			return true;
		}
	}
	return false;
}

/* The detector detects: a simulated space that leaves out one kind of thing is found out. */
TEST(oracle, finds_what_is_forgotten)
{
	static const struct {
		enum op_kind kind;
		unsigned int feature;
	} forgotten[] = {
		{ OP_MMAP, 0 },
		{ OP_MUNMAP, 0 },
		{ OP_MPROTECT, 0 },
		{ OP_MREMAP, 0 },
		{ OP_MADVISE, 0 },
		{ OP_BRK, 0 },
		{ OP_READ, 0 },
		{ OP_WRITE, 0 },
		{ OP_MLOCK, FEATURE_MLOCK },
		{ OP_MUNLOCK, FEATURE_MLOCK },
		{ OP_TRUNCATE, FEATURE_SIZES },
		{ OP_PWRITE, FEATURE_SIZES },
		{ FORGET_LIMIT, FEATURE_LIMIT },
		{ FORGET_STACKS, FEATURE_GROWSDOWN },
		{ FORGET_SEALS, FEATURE_SEALS },
	};
	unsigned int features = SIMULATED_FEATURES & kernel_features();
	uint64_t seed = test_seed("finds_what_is_forgotten");
	struct trial *t = new_trial(false);

	for (unsigned int i = 0; i < sizeof(forgotten) / sizeof(forgotten[0]); i++)
		if ((forgotten[i].feature & ~features) == 0 &&
		    !finds(t, forgotten[i].kind, seed, features))
			test_fail(__FILE__, __LINE__, "%s", op_name(forgotten[i].kind));
	free_trial(t);
}
