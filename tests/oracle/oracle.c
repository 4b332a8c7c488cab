/* SPDX-License-Identifier: MIT */
/*
 * The running kernel as the oracle: random operations, done by Linux and by the simulated space,
 * and compared after each of them.
 *
 * MMRANGE_OPERATIONS says how many. A sequence that fails is run again with the seed that is
 * printed, as the first one; and its operations are printed, as few of them as still fail.
 */
#include "compare.h"
#include "files.h"
#include "generate.h"
#include "kernel.h"
#include "simulated.h"

#include "test.h"

#include <string.h>
#include <unistd.h>

#define OPERATIONS 130000

/* One sequence on two sides. */
struct trial {
	struct sequence sequence;
	struct files files[2];
	struct record records[2][MAX_OPS];
	unsigned int failed; /* the index of the operation */
	bool against_kernel; /* the second side is the kernel, too */
};

static struct trial trial;

/* Why the test cannot be run here. NULL if it can. */
static const char *run_sides(struct trial *t)
{
	const char *reason;

	files_reset(&t->files[0]);
	files_reset(&t->files[1]);
	reason = kernel_run(&t->sequence, &t->files[0], t->records[0]);
	if (reason)
		return reason;
	if (t->against_kernel)
		return kernel_run(&t->sequence, &t->files[1], t->records[1]);
	simulated_run(&t->sequence, &t->files[1], t->records[0], t->records[1]);
	return NULL;
}

/* What differs; NULL if nothing does. */
static const char *difference(struct trial *t)
{
	for (unsigned int i = 0; i < t->sequence.count; i++) {
		const char *what =
			compare(&t->sequence.ops[i], &t->records[0][i], &t->records[1][i]);

		t->failed = i;
		if (what)
			return what;
	}
	return files_same(&t->files[0], &t->files[1]) ? NULL : "the files differ at the end";
}

static bool fails(struct trial *t)
{
	return !run_sides(t) && difference(t);
}

/* Leaves out operations for as long as it fails without them. */
static void shrink(struct trial *t)
{
	static struct sequence kept;

	t->sequence.count = t->failed + 1;
	for (unsigned int size = t->sequence.count / 2; size; size /= 2) {
		for (unsigned int i = 0; i + size <= t->sequence.count;) {
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
		record_print(stderr, op, &t->records[0][i]);
		if (compare(op, &t->records[0][i], &t->records[1][i])) {
			fprintf(stderr, "     simulated: ");
			record_print(stderr, op, &t->records[1][i]);
		}
	}
}

static void report(struct trial *t, uint64_t seed)
{
	const char *what;

	fprintf(stderr, "MMRANGE_SEED=%" PRIu64 " fails: %s, at operation %u\n", seed,
		difference(t), t->failed);
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

/* How often each kind of operation was compared that succeeded, and that failed. */
struct tally {
	unsigned int compared[2][NR_OP_KINDS];
};

static void count(struct tally *tally, const struct trial *t)
{
	for (unsigned int i = 0; i < t->sequence.count; i++)
		if (!t->records[0][i].skipped)
			tally->compared[t->records[0][i].error != 0][t->sequence.ops[i].kind]++;
}

static void print_tally(const char *name, const struct tally *tally)
{
	printf("%s:", name);
	for (unsigned int i = 0; i < NR_OP_KINDS; i++)
		if (tally->compared[0][i] + tally->compared[1][i])
			printf(" %s %u+%u", op_name((enum op_kind)i), tally->compared[0][i],
			       tally->compared[1][i]);
	printf(" (succeeded + failed)\n");
}

static void run(const char *name, unsigned int features, bool against_kernel,
		unsigned int operations)
{
	uint64_t seed = test_seed(name);
	struct tally tally = { { { 0 } } };
	unsigned int done = 0;

	trial.against_kernel = against_kernel;
	CHECK(files_open(&trial.files[0]) && files_open(&trial.files[1]));
	for (; done < operations; seed++) {
		const char *reason;

		generate(&trial.sequence, seed, features);
		reason = run_sides(&trial);
		if (reason) {
			printf("skipped: %s\n", reason);
			break;
		}
		if (difference(&trial))
			report(&trial, seed);
		done += trial.sequence.count;
		count(&tally, &trial);
	}
	print_tally(name, &tally);
	files_close(&trial.files[0]);
	files_close(&trial.files[1]);
}

TEST(oracle, does_what_linux_does)
{
	run("does_what_linux_does", SIMULATED_FEATURES, false, wanted());
}

/* What is compared does not depend on chance, nor on where the window is. */
TEST(oracle, linux_does_what_linux_does)
{
	run("linux_does_what_linux_does", FEATURE_ALL, true, wanted() / 10);
}
