/* SPDX-License-Identifier: MIT */
/*
 * The replay and its self-check: runs end alike with each lock, and the check finds and names a
 * difference of any kind.
 */
#include "replay.h"
#include "snapshot.h"
#include "test.h"
#include "vma_model.h"

#include <errno.h>
#include <string.h>

#define BASE    UINT64_C(0x100000000)
#define BRK     UINT64_C(0x20000000)
#define THREADS 6
#define OPS     4000
#define FIXED   (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED)

static const enum mm_locking modes[] = { MM_LOCKING_RWLOCK, MM_LOCKING_COARSE, MM_LOCKING_RANGE,
					 MM_LOCKING_SPECULATIVE };

static struct trace_op ops[OPS];

/* Any operation on a few pages, including operations that fail. */
static struct trace_op random_op(uint64_t *seed, uint64_t brk)
{
	uint64_t page = test_random_below(seed, 40), pages = 1 + test_random_below(seed, 8);
	struct trace_op op = { .thread = (uint32_t)test_random_below(seed, THREADS),
			       .addr = BASE + page * MM_PAGE_SIZE };

	switch (test_random_below(seed, 16)) {
	case 0:
	case 1:
		op.kind = TRACE_MMAP;
		op.flags = test_random_below(seed, 3)
				   ? FIXED
				   : MM_MAP_SHARED | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE;
		break;
	case 2:
		op.kind = TRACE_MUNMAP;
		break;
	case 3:
		op.kind = TRACE_MPROTECT;
		break;
	case 4:
		op.kind = TRACE_MADVISE;
		op.flags = MM_MADV_DONTNEED;
		break;
	case 5:
		op.kind = TRACE_MREMAP;
		op.new_addr = BASE + test_random_below(seed, 60) * MM_PAGE_SIZE;
		op.new_length = (1 + test_random_below(seed, 8)) * MM_PAGE_SIZE;
		break;
	case 6:
		op.kind = TRACE_BRK;
		op.addr = test_random_below(seed, 4)
				  ? BRK + test_random_below(seed, 8 * MM_PAGE_SIZE)
				  : 0;
		op.new_length = brk;
		op.new_addr = op.addr ? op.addr : brk;
		return op;
	case 7:
		op.addr = BRK;
		/* fall through */
	default:
		op.kind = (uint8_t)test_random_below(seed, 3);
		op.addr += test_random_below(seed, MM_PAGE_SIZE);
		return op;
	}
	op.length = pages * MM_PAGE_SIZE;
	op.prot = (uint8_t)test_random_below(seed, 8);
	return op;
}

static bool is_possible(struct vma_model *model, const struct trace_op *op)
{
	uint64_t page = op->addr >> MM_PAGE_SHIFT;

	if (op->kind == TRACE_MMAP && op->flags & MM_MAP_FIXED_NOREPLACE &&
	    span_map_overlaps(&model->vmas, page, page + (op->length >> MM_PAGE_SHIFT)))
		return false;
	return vma_model_apply(model, op) == MODEL_DONE;
}

/* Operations that can succeed, according to the model that the converter uses. */
static struct trace random_trace(uint64_t *seed)
{
	struct trace trace = { "", BRK, THREADS, 0, ops };
	struct vma_model model;

	vma_model_init(&model, false, BRK);
	while (trace.count < OPS) {
		struct trace_op op = random_op(seed, model.brk);

		if (!trace_op_check(&trace, &op) && is_possible(&model, &op))
			ops[trace.count++] = op;
	}
	vma_model_destroy(&model);
	return trace;
}

static void take_expected(const struct trace *trace, const struct schedule *schedule,
			  struct snapshot *expected)
{
	char message[REPLAY_MESSAGE_SIZE];
	uint64_t peak;
	struct mm *mm;

	CHECK_EQ(replay_create_mm(trace, MM_LOCKING_RWLOCK, &mm), 0);
	if (replay_sequential(trace, schedule, mm, &peak, message))
		test_fail(__FILE__, __LINE__, "one thread: %s", message);
	CHECK_EQ(snapshot_take(expected, mm, message, sizeof message), 0);
	CHECK(peak >= expected->page_count);
	mm_destroy(mm);
}

static void check_run(const struct trace *trace, const struct schedule *schedule,
		      enum mm_locking mode, const struct snapshot *expected)
{
	char message[REPLAY_MESSAGE_SIZE];
	struct replay_result result;
	struct snapshot actual;
	struct mm *mm;

	CHECK_EQ(replay_create_mm(trace, mode, &mm), 0);
	if (replay_parallel(trace, schedule, mm, &result, message) ||
	    snapshot_take(&actual, mm, message, sizeof message) ||
	    snapshot_compare(expected, &actual, message, sizeof message))
		test_fail(__FILE__, __LINE__, "mode %d: %s", (int)mode, message);
	snapshot_destroy(&actual);
	mm_destroy(mm);
}

TEST(replay, of_random_operations_ends_as_with_one_thread_with_every_lock)
{
	uint64_t seed = test_seed("replay");

	for (int round = 0; round < 8; round++) {
		struct trace trace = random_trace(&seed);
		struct snapshot expected;
		struct schedule schedule;
		uint32_t threads = (uint32_t)test_random_below(&seed, THREADS);

		CHECK_EQ(schedule_create(&schedule, &trace, threads), 0);
		take_expected(&trace, &schedule, &expected);
		for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
			check_run(&trace, &schedule, modes[m], &expected);
		snapshot_destroy(&expected);
		schedule_destroy(&schedule);
	}
}

TEST(replay, names_the_operation_that_fails_and_ends)
{
	struct trace_op list[] = {
		{ .kind = TRACE_MMAP,
		  .addr = BASE,
		  .length = MM_PAGE_SIZE,
		  .prot = MM_PROT_READ,
		  .flags = FIXED },
		{ .kind = TRACE_WRITE, .addr = BASE + 5, .thread = 1 },
		{ .kind = TRACE_MUNMAP, .addr = BASE, .length = MM_PAGE_SIZE },
	};
	struct trace trace = { "", 0, 2, 3, list };
	char message[REPLAY_MESSAGE_SIZE];
	struct replay_result result;
	struct schedule schedule;
	struct mm *mm;

	CHECK_EQ(schedule_create(&schedule, &trace, 0), 0);
	CHECK_EQ(replay_create_mm(&trace, MM_LOCKING_RANGE, &mm), 0);
	CHECK_EQ(replay_parallel(&trace, &schedule, mm, &result, message), EFAULT);
	CHECK(strstr(message, "operation 1, write fault at 0x100000005"));
	CHECK(strstr(message, "thread 1"));
	CHECK_EQ(replay_sequential(&trace, &schedule, mm, NULL, message), EFAULT);
	CHECK(strstr(message, "operation 1"));
	mm_destroy(mm);
	schedule_destroy(&schedule);
}

TEST(replay, detects_a_mapping_where_none_should_be)
{
	struct trace_op list[] = {
		{ .kind = TRACE_MMAP, .addr = BASE, .length = MM_PAGE_SIZE, .flags = FIXED },
		{ .kind = TRACE_MMAP,
		  .addr = BASE,
		  .length = MM_PAGE_SIZE,
		  .flags = MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE },
	};
	struct trace trace = { "", 0, 1, 2, list };
	char message[REPLAY_MESSAGE_SIZE];
	struct schedule schedule;
	struct mm *mm;

	CHECK_EQ(schedule_create(&schedule, &trace, 0), 0);
	CHECK_EQ(replay_create_mm(&trace, MM_LOCKING_RANGE, &mm), 0);
	CHECK_EQ(replay_sequential(&trace, &schedule, mm, NULL, message), EEXIST);
	mm_destroy(mm);
	schedule_destroy(&schedule);
}

TEST(replay, warming_up_leaves_nothing_behind)
{
	struct trace trace = { "", 0, 1, 0, NULL };
	char message[REPLAY_MESSAGE_SIZE];
	struct snapshot snapshot;
	struct mm *mm;

	CHECK_EQ(replay_create_mm(&trace, MM_LOCKING_RANGE, &mm), 0);
	CHECK_EQ(replay_warm_up(mm, 1000), 0);
	CHECK_EQ(snapshot_take(&snapshot, mm, message, sizeof message), 0);
	CHECK_EQ(snapshot.vma_count, 0);
	CHECK_EQ(snapshot.page_count, 0);
	snapshot_destroy(&snapshot);
	mm_destroy(mm);
}

/* Two VMAs: a readable one with two present pages, and an inaccessible one with one. */
static struct mm *make_example(void)
{
	uint64_t addr;
	struct mm *mm;

	CHECK_EQ(mm_create(&mm, NULL), 0);
	CHECK_EQ(mm_mmap(mm, BASE, 4 * MM_PAGE_SIZE, 3, FIXED, -1, 0, &addr), 0);
	CHECK_EQ(mm_mmap(mm, BASE + 0x100000, MM_PAGE_SIZE, 3, FIXED, -1, 0, &addr), 0);
	CHECK_EQ(mm_write(mm, BASE + 10, "bytes", 5, NULL), 0);
	CHECK_EQ(mm_fault(mm, BASE + MM_PAGE_SIZE, MM_PROT_READ, NULL), 0);
	CHECK_EQ(mm_write(mm, BASE + 0x100000, "x", 1, NULL), 0);
	CHECK_EQ(mm_mprotect(mm, BASE + 0x100000, MM_PAGE_SIZE, MM_PROT_NONE), 0);
	return mm;
}

/* Changes one of two equal address spaces; the check's message must contain where and what. */
static void check_found(void (*change)(struct mm *mm), const char *where, const char *what)
{
	struct mm *mm = make_example(), *other = make_example();
	struct snapshot expected, actual;
	char message[REPLAY_MESSAGE_SIZE] = "";

	if (change)
		change(other);
	CHECK_EQ(snapshot_take(&expected, mm, message, sizeof message), 0);
	CHECK_EQ(snapshot_take(&actual, other, message, sizeof message), 0);
	CHECK_EQ(snapshot_compare(&expected, &actual, message, sizeof message),
		 change ? EINVAL : 0);
	if (change && (!strstr(message, where) || !strstr(message, what)))
		test_fail(__FILE__, __LINE__, "\"%s\" has no \"%s\" or no \"%s\"", message, where,
			  what);
	CHECK_EQ(snapshot_compare(&actual, &expected, message, sizeof message),
		 change ? EINVAL : 0);
	snapshot_destroy(&expected);
	snapshot_destroy(&actual);
	mm_destroy(mm);
	mm_destroy(other);
}

static void change_byte(struct mm *mm)
{
	CHECK_EQ(mm_write(mm, BASE + 12, "T", 1, NULL), 0);
}

static void lose_write(struct mm *mm)
{
	CHECK_EQ(mm_write(mm, BASE + 10, "\0\0\0\0\0", 5, NULL), 0);
}

static void change_hidden_byte(struct mm *mm)
{
	CHECK_EQ(mm_mprotect(mm, BASE + 0x100000, MM_PAGE_SIZE, 3), 0);
	CHECK_EQ(mm_write(mm, BASE + 0x100fff, "y", 1, NULL), 0);
	CHECK_EQ(mm_mprotect(mm, BASE + 0x100000, MM_PAGE_SIZE, MM_PROT_NONE), 0);
}

static void add_page(struct mm *mm)
{
	CHECK_EQ(mm_fault(mm, BASE + 3 * MM_PAGE_SIZE, MM_PROT_READ, NULL), 0);
}

static void lose_page(struct mm *mm)
{
	CHECK_EQ(mm_madvise(mm, BASE + MM_PAGE_SIZE, MM_PAGE_SIZE, MM_MADV_DONTNEED), 0);
}

static void protect(struct mm *mm)
{
	CHECK_EQ(mm_mprotect(mm, BASE + 2 * MM_PAGE_SIZE, MM_PAGE_SIZE, MM_PROT_READ), 0);
}

static void unmap(struct mm *mm)
{
	CHECK_EQ(mm_munmap(mm, BASE + 0x100000, MM_PAGE_SIZE), 0);
}

TEST(self_check, finds_equal_spaces_equal)
{
	check_found(NULL, "", "");
}

TEST(self_check, finds_every_planted_difference_and_names_its_address)
{
	check_found(change_byte, "0x10000000c", "should be 0x74, but is 0x54");
	check_found(lose_write, "0x10000000a", "should be 0x62, but is 0");
	check_found(change_hidden_byte, "0x100100fff", "is 0x79");
	check_found(add_page, "0x100003000", "should not be");
	check_found(lose_page, "0x100001000", "should be present");
	check_found(protect, "0x100000000-0x100004000 rw-p", "0x100000000-0x100002000 rw-p");
	check_found(unmap, "0x100100000-0x100101000 ---p", "is none");
}

/*
 * With the dependency between two operations removed and the threads in the wrong order, the check
 * must fail.
 */
TEST(self_check, detects_a_missing_dependency)
{
	struct trace_op list[] = {
		{ .kind = TRACE_MMAP,
		  .addr = BASE,
		  .length = MM_PAGE_SIZE,
		  .prot = 3,
		  .flags = FIXED },
		{ .kind = TRACE_WRITE, .addr = BASE },
		{ .kind = TRACE_MADVISE,
		  .addr = BASE,
		  .length = MM_PAGE_SIZE,
		  .flags = MM_MADV_DONTNEED },
	};
	struct trace trace = { "", 0, 1, 3, list };
	struct snapshot expected, actual;
	char message[REPLAY_MESSAGE_SIZE];
	struct schedule schedule;
	struct mm *mm;

	CHECK_EQ(schedule_create(&schedule, &trace, 0), 0);
	take_expected(&trace, &schedule, &expected);
	schedule.order[1] = 2;
	schedule.order[2] = 1;
	CHECK_EQ(replay_create_mm(&trace, MM_LOCKING_RANGE, &mm), 0);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(replay_op(mm, &list[schedule.order[i]], schedule.epoch[schedule.order[i]]),
			 0);
	CHECK_EQ(snapshot_take(&actual, mm, message, sizeof message), 0);
	CHECK_EQ(snapshot_compare(&expected, &actual, message, sizeof message), EINVAL);
	CHECK(strstr(message, "page at 0x100000000 is present"));
	snapshot_destroy(&expected);
	snapshot_destroy(&actual);
	mm_destroy(mm);
	schedule_destroy(&schedule);
}
