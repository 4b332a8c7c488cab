/* SPDX-License-Identifier: MIT */
/* The cost of a grant among many pending requests, counted in instructions. */
#include "instructions.h"
#include "requests.h"

/* n requests wait: behind one range, or each behind a range of its own. */
struct crowd {
	struct range_lock lock;
	bool full;
	unsigned int n;
	unsigned int next; /* the range that is released next */
	struct request *requests;
	struct range_hold *held;
};

static void crowd_begin(struct crowd *crowd, enum range_fairness fairness, bool full,
			unsigned int n)
{
	*crowd = (struct crowd){ .full = full, .n = n, .next = n / 2 };
	init_lock(&crowd->lock, fairness, 1);
	set_starvation(&crowd->lock, UINT64_MAX / 4);
	crowd->requests = calloc(n, sizeof(*crowd->requests));
	crowd->held = calloc(n, sizeof(*crowd->held));
	CHECK(crowd->requests && crowd->held);
	for (unsigned int i = 0; i < (full ? 1 : n); i++)
		take(&crowd->lock, &crowd->held[i], full ? 0 : 10 * (uint64_t)i,
		     full ? UINT64_MAX : 10 * (uint64_t)i + 8, RANGE_WRITE);
	for (unsigned int i = 0; i < n; i++)
		request_queue(&crowd->requests[i], &crowd->lock, full ? 0 : 10 * (uint64_t)i + 3,
			      full ? UINT64_MAX : 10 * (uint64_t)i + 6, RANGE_WRITE);
	if (full) {
		crowd->next = 0;
		range_unlock(&crowd->lock, &crowd->held[0]);
		request_check_ended(&crowd->requests[0], 0);
	}
}

/* Grants one request, and makes it wait again as the last one. */
static void grant_one(void *arg)
{
	struct crowd *crowd = arg;
	struct request *request = &crowd->requests[crowd->next];
	uint64_t at = 10 * (uint64_t)crowd->next;

	if (crowd->full) {
		range_unlock(&crowd->lock, &request->range);
		crowd->next = (crowd->next + 1) % crowd->n;
		CHECK(!request_waits(&crowd->requests[crowd->next]));
		request_queue(request, &crowd->lock, FULL, RANGE_WRITE);
		return;
	}
	range_unlock(&crowd->lock, &crowd->held[crowd->next]);
	request_release(request);
	take(&crowd->lock, &crowd->held[crowd->next], at, at + 8, RANGE_WRITE);
	request_queue(request, &crowd->lock, at + 3, at + 6, RANGE_WRITE);
}

/* All but those that are granted meanwhile are granted in turn, too. */
static void crowd_end(struct crowd *crowd)
{
	for (unsigned int i = 0; i < crowd->n; i++) {
		if (!crowd->full)
			range_unlock(&crowd->lock, &crowd->held[i]);
		request_release(&crowd->requests[i]);
	}
	check_quiet_and_destroy(&crowd->lock);
	free(crowd->requests);
	free(crowd->held);
}

static uint64_t cost_among(enum range_fairness fairness, bool full, unsigned int n)
{
	static struct crowd crowd;
	uint64_t cost;

	crowd_begin(&crowd, fairness, full, n);
	cost = count_instructions(grant_one, &crowd).all;
	crowd_end(&crowd);
	return cost;
}

/* log2 is 10 and 17: O(log n) work costs at most 1.7 times as much. */
TEST(async_cost, a_grant_costs_the_logarithm_of_the_pending_requests)
{
	if (checked_build || !can_count_instructions()) {
		printf("skipped: instructions cannot be counted, or the build costs more\n");
		return;
	}
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t few = cost_among(fairnesses[i % 2], i / 2, 1000);
		uint64_t many = cost_among(fairnesses[i % 2], i / 2, 100000);

		printf("%s, %s: %" PRIu64 " instructions beside 1000, %" PRIu64 " beside 100000\n",
		       i % 2 ? "FIFO" : "barging", i / 2 ? "the full range" : "disjoint keys", few,
		       many);
		CHECK(many <= 2 * few);
	}
}
