/* SPDX-License-Identifier: MIT */
/*
 * Random requests, acquisitions that try, releases, cancellations and changes of held ranges, by
 * one thread, against a model that compares each pair of ranges. No waiter becomes starving with
 * barging, so the model determines each result. At rest, no request is pending that nothing blocks.
 */
#include "requests.h"

enum { KEYS = 60, ACQUISITIONS = 24, RANGES = 8 };

/* CANCELED: the callback, which is still to come, says so. */
enum { FREE, PENDING, HELD, CANCELED };

struct acquisition {
	struct world *world;
	int state;
	unsigned int order; /* of its arrival */
	unsigned int calls;
	size_t n;
	bool live[RANGES]; /* HELD: this range has not been released */
	bool let_go;       /* the callback releases */
	struct range_request requests[RANGES];
	struct range_hold ranges[RANGES];
};

struct world {
	struct range_lock lock;
	bool fifo;
	uint64_t seed;
	unsigned int arrivals;
	unsigned int granted, canceled; /* by callbacks */
	struct acquisition acquisitions[ACQUISITIONS];
};

static uint64_t below(struct world *world, uint64_t limit)
{
	return test_random_below(&world->seed, limit);
}

static bool conflict(const struct range_request *a, const struct range_request *b)
{
	return a->start < b->end && b->start < a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE);
}

/* Whether a range conflicts with one of an acquisition that is pending, or that is held. */
static bool conflicts_with(const struct range_request *request, const struct acquisition *other)
{
	for (size_t i = 0; i < other->n; i++)
		if ((other->state == PENDING || other->live[i]) &&
		    other->requests[i].range != request->range &&
		    conflict(request, &other->requests[i]))
			return true;
	return false;
}

static bool is_blocked_by_state(struct world *world, const struct range_request *request, int state,
				unsigned int before)
{
	for (int i = 0; i < ACQUISITIONS; i++) {
		struct acquisition *other = &world->acquisitions[i];

		if (other->state == state && other->order < before &&
		    conflicts_with(request, other))
			return true;
	}
	return false;
}

/* Whether a range that arrived so has to wait: for a range that is held, or with FIFO a waiter. */
static bool is_blocked(struct world *world, const struct range_request *request, unsigned int order)
{
	return is_blocked_by_state(world, request, HELD, UINT32_MAX) ||
	       (world->fifo && is_blocked_by_state(world, request, PENDING, order));
}

static bool acquisition_blocked(struct acquisition *acquisition)
{
	for (size_t i = 0; i < acquisition->n; i++)
		if (is_blocked(acquisition->world, &acquisition->requests[i], acquisition->order))
			return true;
	return false;
}

static void release_range(struct acquisition *acquisition, size_t i)
{
	bool any = false;

	acquisition->live[i] = false;
	for (size_t other = 0; other < acquisition->n; other++)
		any |= acquisition->live[other];
	if (!any)
		acquisition->state = FREE;
	range_unlock(&acquisition->world->lock, acquisition->requests[i].range);
}

static void now_held(struct acquisition *acquisition)
{
	acquisition->state = HELD;
	for (size_t i = 0; i < acquisition->n; i++) {
		const struct range_request *request = &acquisition->requests[i];

		acquisition->live[i] = true;
		CHECK(request->range->start == request->start &&
		      request->range->end == request->end && request->range->mode == request->mode);
	}
}

static void ended(int error, void *arg)
{
	struct acquisition *acquisition = arg;

	CHECK_EQ(acquisition->state, error ? CANCELED : PENDING);
	CHECK_EQ(++acquisition->calls, 1);
	if (error) {
		CHECK_EQ(error, ECANCELED);
		acquisition->world->canceled++;
		acquisition->state = FREE;
		return;
	}
	CHECK(!acquisition_blocked(acquisition));
	acquisition->world->granted++;
	now_held(acquisition);
	for (size_t i = acquisition->n; acquisition->let_go && i-- > 0;)
		release_range(acquisition, i);
}

static struct acquisition *find(struct world *world, int state)
{
	uint64_t first = below(world, ACQUISITIONS);

	for (uint64_t i = 0; i < ACQUISITIONS; i++) {
		struct acquisition *acquisition = &world->acquisitions[(first + i) % ACQUISITIONS];

		if (acquisition->state == state)
			return acquisition;
	}
	return NULL;
}

/* Ranges that do not overlap, from left to right, or mixed up a bit. */
static void fill(struct world *world, struct acquisition *acquisition)
{
	size_t wanted = below(world, 2) ? 1 : 1 + below(world, RANGES);
	uint64_t at = below(world, wanted == 1 ? KEYS : 10);

	*acquisition = (struct acquisition){ .world = world, .order = world->arrivals++ };
	acquisition->let_go = below(world, 4) == 0;
	while (acquisition->n < wanted && at < KEYS) {
		size_t i = acquisition->n++;
		uint64_t end = at + 1 + below(world, below(world, 4) ? 4 : 30);

		acquisition->requests[i] =
			(struct range_request){ &acquisition->ranges[i], at,
						end < KEYS ? end : KEYS,
						below(world, 2) ? RANGE_READ : RANGE_WRITE };
		at = end + below(world, 8);
	}
	if (acquisition->n > 1 && below(world, 2)) {
		struct range_request first = acquisition->requests[0];

		acquisition->requests[0] = acquisition->requests[acquisition->n - 1];
		acquisition->requests[acquisition->n - 1] = first;
	}
}

static int begin_async(struct acquisition *acquisition)
{
	struct range_request *request = acquisition->requests;
	struct range_lock *lock = &acquisition->world->lock;

	if (acquisition->n > 1 || below(acquisition->world, 4) == 0)
		return range_lock_many_async(lock, request, acquisition->n, ended, acquisition);
	return range_lock_async(lock, request->range, request->start, request->end, request->mode,
				ended, acquisition);
}

static void do_async(struct world *world)
{
	struct acquisition *acquisition = find(world, FREE);
	bool blocked;

	if (!acquisition)
		return;
	fill(world, acquisition);
	blocked = acquisition_blocked(acquisition);
	acquisition->state = PENDING;
	CHECK_EQ(begin_async(acquisition), blocked ? EINPROGRESS : 0);
	if (!blocked)
		now_held(acquisition);
}

static void do_try(struct world *world)
{
	struct acquisition *acquisition = find(world, FREE);
	bool blocked;

	if (!acquisition)
		return;
	fill(world, acquisition);
	blocked = acquisition_blocked(acquisition);
	CHECK_EQ(range_trylock_many(&world->lock, acquisition->requests, acquisition->n),
		 blocked ? EBUSY : 0);
	if (!blocked)
		now_held(acquisition);
}

static void do_cancel(struct world *world)
{
	struct acquisition *acquisition = find(world, PENDING);
	unsigned int canceled = world->canceled;

	if (!acquisition)
		return;
	acquisition->state = CANCELED;
	CHECK_EQ(range_cancel(&world->lock, &acquisition->ranges[below(world, acquisition->n)]), 0);
	CHECK_EQ(world->canceled, canceled + 1);
	CHECK_EQ(acquisition->calls, 1);
}

/* One range of an acquisition that is held, or NULL. */
static struct range_request *find_held(struct world *world, struct acquisition **acquisition)
{
	size_t i;

	*acquisition = find(world, HELD);
	if (!*acquisition)
		return NULL;
	for (i = below(world, (*acquisition)->n); !(*acquisition)->live[i];)
		i = (i + 1) % (*acquisition)->n;
	return &(*acquisition)->requests[i];
}

static void do_unlock(struct world *world)
{
	struct acquisition *acquisition;
	struct range_request *request = find_held(world, &acquisition);

	if (request)
		release_range(acquisition, (size_t)(request - acquisition->requests));
}

static void do_shrink(struct world *world, struct range_request *request)
{
	uint64_t start = request->start, end = request->end;

	start += below(world, end - start);
	end -= below(world, end - start);
	/* A callback sees the new bounds. */
	request->start = start;
	request->end = end;
	CHECK_EQ(range_shrink(&world->lock, request->range, start, end), 0);
}

static void do_split(struct world *world, struct range_request *request)
{
	struct acquisition *upper = find(world, FREE);
	uint64_t point;

	if (!upper || request->end - request->start < 2)
		return;
	point = request->start + 1 + below(world, request->end - request->start - 1);
	*upper = (struct acquisition){ .world = world, .n = 1 };
	upper->requests[0] =
		(struct range_request){ &upper->ranges[0], point, request->end, request->mode };
	request->end = point;
	CHECK_EQ(range_split(&world->lock, request->range, point, &upper->ranges[0]), 0);
	now_held(upper);
}

/* Writers that wait for a part of the range do not count. */
static bool can_upgrade(struct world *world, const struct range_request *request)
{
	struct range_request reader = *request, writer = *request;

	writer.mode = RANGE_WRITE;
	if (is_blocked_by_state(world, &writer, HELD, UINT32_MAX))
		return false;
	for (int i = 0; world->fifo && i < ACQUISITIONS; i++) {
		struct acquisition *other = &world->acquisitions[i];

		for (size_t r = 0; other->state == PENDING && r < other->n; r++)
			if (other->requests[r].mode == RANGE_READ &&
			    other->requests[r].start < reader.end &&
			    reader.start < other->requests[r].end)
				return false;
	}
	return true;
}

static void do_mode(struct world *world, struct range_request *request)
{
	bool can;

	if (request->mode == RANGE_WRITE) {
		request->mode = RANGE_READ;
		range_downgrade(&world->lock, request->range);
		return;
	}
	can = can_upgrade(world, request);
	CHECK_EQ(range_tryupgrade(&world->lock, request->range), can ? 0 : EBUSY);
	if (can)
		request->mode = RANGE_WRITE;
}

static void do_extend(struct world *world, struct range_request *request)
{
	struct range_request left = *request, right = *request;
	bool blocked;

	left.start = below(world, request->start + 1);
	left.end = request->start;
	right.start = request->end;
	right.end = request->end + below(world, KEYS - request->end + 1);
	blocked = (left.start < left.end && is_blocked(world, &left, UINT32_MAX)) ||
		  (right.start < right.end && is_blocked(world, &right, UINT32_MAX));
	CHECK_EQ(range_tryextend(&world->lock, request->range, left.start, right.end),
		 blocked ? EBUSY : 0);
	if (!blocked) {
		request->start = left.start;
		request->end = right.end;
	}
}

static void do_change(struct world *world)
{
	struct acquisition *acquisition;
	struct range_request *request = find_held(world, &acquisition);

	if (!request)
		return;
	switch (below(world, 4)) {
	case 0:
		do_shrink(world, request);
		break;
	case 1:
		do_split(world, request);
		break;
	case 2:
		do_mode(world, request);
		break;
	default:
		do_extend(world, request);
	}
}

static void check_at_rest(struct world *world)
{
	for (int i = 0; i < ACQUISITIONS; i++)
		if (world->acquisitions[i].state == PENDING)
			CHECK(acquisition_blocked(&world->acquisitions[i]));
}

static void step(struct world *world)
{
	switch (below(world, 10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		do_async(world);
		break;
	case 4:
		do_try(world);
		break;
	case 5:
		do_cancel(world);
		break;
	case 6:
	case 7:
		do_change(world);
		break;
	default:
		do_unlock(world);
	}
	check_at_rest(world);
}

/* Every request is granted when all ranges are released. */
static void end(struct world *world)
{
	while (find(world, HELD)) {
		do_unlock(world);
		check_at_rest(world);
	}
	CHECK(!find(world, PENDING));
	check_quiet_and_destroy(&world->lock);
}

static void run(uint64_t seed, bool fifo, bool leaves, struct world *world)
{
	*world = (struct world){ .seed = seed, .fifo = fifo };
	init_lock(&world->lock, fairnesses[fifo], 64);
	set_starvation(&world->lock, UINT64_MAX / 4);
	if (leaves)
		make_leaves(&world->lock, KEYS / 10);
	for (int i = 0; i < 300; i++) {
		step(world);
		if (i % 16 == 0)
			check_valid(&world->lock);
	}
	end(world);
}

TEST(async_random, requests_agree_with_brute_force)
{
	uint64_t seed = test_seed("async_random");
	unsigned int rounds = test_scale(3000), granted = 0, canceled = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		struct world world;

		run(seed + i, i % 2, i / 2 % 2, &world);
		granted += world.granted;
		canceled += world.canceled;
	}
	CHECK(granted > rounds && canceled > rounds);
}
