/* SPDX-License-Identifier: MIT */
/* Threads change ranges that they hold, all operations against each other. See counters.h. */
#include "counters.h"
#include "test.h"

#include <errno.h>
#include <stdatomic.h>

static void change(struct counting *thread, struct range_hold *range)
{
	uint64_t start = range->start + counting_below(thread, range->end - range->start);
	uint64_t end = start + 1 + counting_below(thread, range->end - start);
	struct range_hold upper;
	int error;

	switch (counting_below(thread, 5)) {
	case 0:
		range_downgrade(&counters_lock, range);
		break;
	case 1:
		error = range_tryupgrade(&counters_lock, range);
		CHECK(error == 0 || error == EBUSY);
		break;
	case 2:
		CHECK_EQ(range_shrink(&counters_lock, range, start, end), 0);
		break;
	case 3:
		error = range_tryextend(
			&counters_lock, range, counting_below(thread, range->start + 1),
			range->end + counting_below(thread, COUNTERS - range->end + 1));
		CHECK(error == 0 || error == EBUSY);
		break;
	case 4:
		if (start == range->start)
			break;
		CHECK_EQ(range_split(&counters_lock, range, start, &upper), 0);
		counting_use(thread, range);
		counting_use(thread, &upper);
		if (counting_below(thread, 2))
			CHECK_EQ(range_join(&counters_lock, range, &upper), 0);
		else
			range_unlock(&counters_lock, &upper);
		break;
	}
	counting_use(thread, range);
}

static void *work(void *arg)
{
	struct counting *thread = arg;

	for (unsigned int n = 0; n < test_scale(10000); n++) {
		uint64_t start = counting_below(thread, COUNTERS);
		uint64_t width =
			counting_below(thread, 16) ? 1 + counting_below(thread, 4) : COUNTERS;
		uint64_t end = start + width < COUNTERS ? start + width : COUNTERS;
		struct range_hold range;
		int error;

		error = acquire_somehow((int)counting_below(thread, 3), &counters_lock, &range,
					start, end,
					counting_below(thread, 2) ? RANGE_READ : RANGE_WRITE);
		CHECK(error == 0 || error == EBUSY || error == ETIMEDOUT);
		if (error)
			continue;
		counting_use(thread, &range);
		for (uint64_t changes = counting_below(thread, 4); changes > 0; changes--)
			change(thread, &range);
		range_unlock(&counters_lock, &range);
	}
	return NULL;
}

TEST(resize_torture, barging_threads_resize_held_ranges_and_lose_no_write)
{
	counting_run(RANGE_FAIRNESS_BARGING, 1, work);
	counting_run(RANGE_FAIRNESS_BARGING, 1024, work);
}

TEST(resize_torture, fifo_threads_resize_held_ranges_and_lose_no_write)
{
	counting_run(RANGE_FAIRNESS_FIFO, 1, work);
	counting_run(RANGE_FAIRNESS_FIFO, 1024, work);
}
