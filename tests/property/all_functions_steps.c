/* SPDX-License-Identifier: MIT */
/*
 * All functions of the lock, one step after the other, against a model: see lock_model.h. Threads
 * execute commands, and wait where the lock makes them wait. After each step the lock and the model
 * must come to agree: the walk shows the ranges of the model, each waiting thread has a reason to
 * wait, and the result of each call was legal.
 *
 * Then the same with locks that have one fault each, which the test must detect.
 */
#include "actors.h"
#include "child.h"
#include "forks.h"
#include "lock_model.h"
#include "simple_lock.h"

#include "platform/platform.h"
#include "range_lock/lock.h"

#include <errno.h>
#include <string.h>

enum { KEYS = 40, MOST_ACTORS = 12, MOST = 3 };

enum operation {
	LOCK,
	LOCK_UNTIL_LATER,
	LOCK_MANY,
	LOCK_MANY_UNTIL_LATER,
	FIRST_THAT_RETURNS, /* operations from here on do not wait for other threads */
	TRYLOCK = FIRST_THAT_RETURNS,
	LOCK_UNTIL_PAST,
	TRYLOCK_MANY,
	LOCK_MANY_UNTIL_PAST,
	UNLOCK,
	DOWNGRADE,
	UPGRADE,
	SHRINK,
	EXTEND,
	SPLIT,
	CANCEL
};

struct command {
	enum operation operation;
	unsigned int n;
	struct object *objects[MOST];
	uint64_t start[MOST], end[MOST];
	enum range_mode mode[MOST];
	bool bad; /* the deadline is invalid */
	int result;
};

struct step_actor {
	struct steps *steps;
	pthread_t thread;
	unsigned int number; /* unique among all threads of the test, present and past */
	sem_t go;
	bool busy, leave;
	atomic_bool done;
	struct command command;
};

struct steps {
	const struct lock_functions *functions;
	struct range_lock *lock;
	bool library; /* the lock is the library's */
	struct lock_model model;
	struct step_actor actors[MOST_ACTORS];
	unsigned int nr_actors, threads;
	struct shown shown[2 * OBJECTS];
	unsigned int nr_shown;
	struct memory_books books;
	uint64_t seed, patience;
	uint64_t counts[CANCEL + 1];
};

static uint64_t below(struct steps *steps, uint64_t limit)
{
	return test_random_below(&steps->seed, limit);
}

static bool is_acquisition(enum operation operation)
{
	return operation <= LOCK_MANY_UNTIL_PAST;
}

static bool is_for_many(enum operation operation)
{
	return operation == LOCK_MANY || operation == LOCK_MANY_UNTIL_LATER ||
	       operation == TRYLOCK_MANY || operation == LOCK_MANY_UNTIL_PAST;
}

static bool has_passed(enum operation operation)
{
	return operation == LOCK_UNTIL_PAST || operation == LOCK_MANY_UNTIL_PAST;
}

/* A thread's part: the call itself, and nothing else. */

static struct timespec deadline_of(const struct command *c)
{
	if (has_passed(c->operation))
		return (struct timespec){ 1, c->bad ? 1000000000 : 0 };
	return time_after(CLOCK_MONOTONIC, 3600 * SECOND);
}

static int lock_many(struct steps *steps, struct command *c)
{
	const struct lock_functions *f = steps->functions;
	struct timespec deadline = deadline_of(c);
	struct range_request requests[MOST];

	/* In any order: the call sorts them. */
	for (unsigned int i = 0; i < c->n; i++)
		requests[c->n - 1 - i] = (struct range_request){ &c->objects[i]->range, c->start[i],
								 c->end[i], c->mode[i] };
	if (c->operation == LOCK_MANY)
		return f->lock_many(steps->lock, requests, c->n);
	if (c->operation == TRYLOCK_MANY)
		return f->trylock_many(steps->lock, requests, c->n);
	return f->timedlock_many(steps->lock, requests, c->n, CLOCK_MONOTONIC, &deadline);
}

static int lock_until(struct steps *steps, struct command *c)
{
	struct timespec deadline = deadline_of(c);

	return steps->functions->timedlock(steps->lock, &c->objects[0]->range, c->start[0],
					   c->end[0], c->mode[0], CLOCK_MONOTONIC, &deadline);
}

static int execute(struct steps *steps, struct command *c)
{
	const struct lock_functions *f = steps->functions;
	struct range_hold *range = &c->objects[0]->range;

	switch (c->operation) {
	case LOCK:
		return f->lock(steps->lock, range, c->start[0], c->end[0], c->mode[0]);
	case LOCK_UNTIL_LATER:
	case LOCK_UNTIL_PAST:
		return lock_until(steps, c);
	case LOCK_MANY:
	case LOCK_MANY_UNTIL_LATER:
	case TRYLOCK_MANY:
	case LOCK_MANY_UNTIL_PAST:
		return lock_many(steps, c);
	case TRYLOCK:
		return f->trylock(steps->lock, range, c->start[0], c->end[0], c->mode[0]);
	case UNLOCK:
		f->unlock(steps->lock, range);
		return 0;
	case DOWNGRADE:
		f->downgrade(steps->lock, range);
		return 0;
	case UPGRADE:
		return f->tryupgrade(steps->lock, range);
	case SHRINK:
		return f->shrink(steps->lock, range, c->start[0], c->end[0]);
	case EXTEND:
		return f->tryextend(steps->lock, range, c->start[0], c->end[0]);
	case SPLIT:
		return f->split(steps->lock, range, c->start[0], &c->objects[1]->range);
	case CANCEL:
		break;
	}
	return f->cancel(steps->lock, range);
}

static void *act(void *arg)
{
	struct step_actor *actor = arg;

	for (;;) {
		sem_await(&actor->go);
		if (actor->leave)
			return NULL;
		actor->command.result = execute(actor->steps, &actor->command);
		atomic_store(&actor->done, true);
	}
}

/* The result of the call, and its effect on the model. */

static bool bad_request(const struct command *c, unsigned int i)
{
	return c->start[i] >= c->end[i] || (c->mode[i] != RANGE_READ && c->mode[i] != RANGE_WRITE);
}

static bool bad_command(const struct command *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		if (bad_request(c, i))
			return true;
		for (unsigned int k = 0; k < i; k++)
			if (c->start[i] < c->end[k] && c->start[k] < c->end[i])
				return true;
	}
	return c->bad;
}

/*
 * Parts are leaves. While leaves split and merge, this may not be the leaf in which the walk showed
 * the range. A disagreement that results is looked at again.
 */
static const void *part_of(struct steps *steps, uint64_t key)
{
	return steps->library ? leaf_at(steps->lock, key) : NULL;
}

static int take_info(const struct range_info *info, void *arg)
{
	struct steps *steps = arg;
	struct range_lock_stats stats;

	CHECK(steps->nr_shown < 2 * OBJECTS);
	steps->shown[steps->nr_shown++] = (struct shown){ *info, part_of(steps, info->start) };
	/* The function that the walk calls may call the lock. */
	if (below(steps, 32) == 0) {
		steps->functions->stats(steps->lock, &stats);
		CHECK_EQ(steps->functions->cancel(steps->lock, (struct range_hold *)steps), ESRCH);
	}
	return 0;
}

static bool look(struct steps *steps)
{
	steps->nr_shown = 0;
	CHECK_EQ(steps->functions->foreach (steps->lock, take_info, steps), 0);
	return model_agrees(&steps->model, steps->shown, steps->nr_shown);
}

/* Whether a thread would wait for a range that it acquired itself. */
static bool waits_for_itself(const struct steps *steps, const struct command *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (model_waits_for_itself(&steps->model, c->objects[i]))
			return true;
	return false;
}

static bool may_refuse(const struct steps *steps, const struct command *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (model_may_refuse(&steps->model, c->objects[i], c->start[i], c->end[i],
				     c->mode[i]))
			return true;
	return false;
}

/* The acquisition has failed, which must be legal. */
static void check_refusal(struct steps *steps, struct command *c)
{
	bool passed = has_passed(c->operation);
	bool own = checked_build && steps->library && passed && waits_for_itself(steps, c);

	switch (c->result) {
	case EINVAL:
		CHECK(bad_command(c));
		return;
	case ECANCELED:
		if (c->objects[0]->canceled)
			return;
		break;
	case EDEADLK:
		if (own)
			return;
		break;
	case EBUSY:
	case ETIMEDOUT:
		/* A waiter may have become starving meanwhile. */
		look(steps);
		CHECK(c->operation >= FIRST_THAT_RETURNS && passed == (c->result == ETIMEDOUT));
		CHECK(!own);
		CHECK(may_refuse(steps, c));
		steps->model.waits += passed;
		return;
	default:
		break;
	}
	test_fail(__FILE__, __LINE__, "an acquisition returned %d", c->result);
}

static void finish_acquisition(struct steps *steps, struct command *c)
{
	if (c->result) {
		check_refusal(steps, c);
		for (unsigned int i = 0; i < c->n; i++)
			model_ended(c->objects[i]);
		return;
	}
	CHECK(!bad_command(c));
	for (unsigned int i = 0; i < c->n; i++) {
		c->objects[i]->start = c->start[i];
		c->objects[i]->end = c->end[i];
		c->objects[i]->mode = c->mode[i];
		model_granted(&steps->model, c->objects[i]);
	}
}

static void finish_upgrade(struct steps *steps, struct command *c)
{
	struct object *o = c->objects[0];

	if (c->result) {
		look(steps);
		CHECK_EQ(c->result, EBUSY);
		CHECK(model_may_refuse_upgrade(&steps->model, o));
	} else {
		CHECK(model_may_upgrade(&steps->model, o));
		o->mode = RANGE_WRITE;
	}
}

static void finish_shrink(struct command *c)
{
	struct object *o = c->objects[0];
	bool bad = c->start[0] >= c->end[0] || c->start[0] < o->start || o->end < c->end[0];

	CHECK_EQ(c->result, bad ? EINVAL : 0);
	if (!bad) {
		o->start = c->start[0];
		o->end = c->end[0];
	}
}

/* About the keys that the call would add, at either end. */
static bool may_extend(struct steps *steps, struct command *c, bool refuse)
{
	const struct object *o = c->objects[0];
	bool (*may)(const struct lock_model *, const struct object *, uint64_t, uint64_t,
		    enum range_mode) = refuse ? model_may_refuse : model_may_grant;
	bool below_it = c->start[0] < o->start, above_it = o->end < c->end[0];
	bool low = below_it && may(&steps->model, o, c->start[0], o->start, o->mode);
	bool high = above_it && may(&steps->model, o, o->end, c->end[0], o->mode);

	return refuse ? low || high : (low || !below_it) && (high || !above_it);
}

static void finish_extension(struct steps *steps, struct command *c)
{
	struct object *o = c->objects[0];

	if (c->start[0] > o->start || c->end[0] < o->end) {
		CHECK_EQ(c->result, EINVAL);
	} else if (c->result) {
		look(steps);
		CHECK_EQ(c->result, EBUSY);
		CHECK(may_extend(steps, c, true));
	} else {
		CHECK(may_extend(steps, c, false));
		o->start = c->start[0];
		o->end = c->end[0];
	}
}

static void finish_split(struct steps *steps, struct command *c)
{
	struct object *o = c->objects[0], *upper = c->objects[1];
	bool bad = c->start[0] <= o->start || o->end <= c->start[0];

	CHECK_EQ(c->result, bad ? EINVAL : 0);
	if (bad) {
		model_ended(upper);
		return;
	}
	upper->start = c->start[0];
	upper->end = o->end;
	upper->mode = o->mode;
	upper->owner = o->owner;
	o->end = c->start[0];
	upper->use = HELD;
	(void)steps;
}

static void finish_cancel(struct steps *steps, struct command *c)
{
	struct object *o = c->objects[0];

	CHECK_EQ(c->result, o->use == WAITS ? 0 : ESRCH);
	if (o->use == WAITS)
		model_canceled(&steps->model, o);
}

static void finish(struct steps *steps, struct command *c)
{
	struct object *o = c->objects[0];

	steps->counts[c->operation] += c->result == 0;
	switch (c->operation) {
	case UNLOCK:
		model_ended(o);
		return;
	case DOWNGRADE:
		o->mode = RANGE_READ;
		break;
	case UPGRADE:
		finish_upgrade(steps, c);
		break;
	case SHRINK:
		finish_shrink(c);
		break;
	case EXTEND:
		finish_extension(steps, c);
		break;
	case SPLIT:
		finish_split(steps, c);
		break;
	case CANCEL:
		finish_cancel(steps, c);
		break;
	default:
		finish_acquisition(steps, c);
	}
	if (o->use == HELD)
		CHECK(o->range.start == o->start && o->range.end == o->end &&
		      o->range.mode == o->mode);
}

/*
 * Finishes the calls that have returned: if may_wait, of the operations that may wait, otherwise of
 * the others. Returns whether all of these have returned.
 */
static bool finish_calls(struct steps *steps, bool may_wait)
{
	bool through = true;

	for (unsigned int i = 0; i < steps->nr_actors; i++) {
		struct step_actor *actor = &steps->actors[i];

		if (!actor->busy || (actor->command.operation < FIRST_THAT_RETURNS) != may_wait)
			continue;
		if (atomic_load(&actor->done)) {
			actor->busy = false;
			finish(steps, &actor->command);
		} else {
			through = false;
		}
	}
	return through;
}

/*
 * Whether every call has returned or waits with a reason, and the lock shows the state of the
 * model. A grant may be seen before the return of the call that released the range, so that call
 * is finished first.
 */
static bool agrees(struct steps *steps)
{
	if (!finish_calls(steps, false)) {
		strcpy(steps->model.reason, "a call does not return");
		return false;
	}
	finish_calls(steps, true);
	return look(steps);
}

static void check_statistics(struct steps *steps)
{
	struct range_lock_stats stats;

	steps->functions->stats(steps->lock, &stats);
	CHECK_EQ(stats.leaves, 1 + stats.splits - stats.merges);
	CHECK_EQ(stats.waits, steps->model.waits);
}

static void settle(struct steps *steps)
{
	uint64_t begin = now_ns();

	while (!agrees(steps)) {
		if (now_ns() - begin > steps->patience) {
			model_print(&steps->model);
			test_fail(__FILE__, __LINE__,
				  "the lock and the model do not come to agree: %s",
				  steps->model.reason);
		}
		sched_yield();
	}
	model_settled(&steps->model);
	check_statistics(steps);
}

/* Choosing a step. */

static void random_bounds(struct steps *steps, uint64_t *start, uint64_t *end)
{
	*start = below(steps, KEYS);
	*end = *start + 1 + below(steps, below(steps, 4) ? 6 : KEYS - *start);
	if (below(steps, 24) == 0) {
		*start = 0;
		*end = UINT64_MAX;
	} else if (below(steps, 64) == 0) {
		*end = *start;
	}
}

static enum range_mode random_mode(struct steps *steps)
{
	if (below(steps, 128) == 0)
		return (enum range_mode)7;
	return below(steps, 2) ? RANGE_READ : RANGE_WRITE;
}

/* Takes objects for an acquisition. Those of one set are mostly beside each other. */
static bool choose_acquisition(struct steps *steps, struct command *c, unsigned int owner)
{
	bool many = is_for_many(c->operation);
	unsigned int n = many ? 1 + (unsigned int)below(steps, MOST) : 1;
	uint64_t last = 0;

	model_next_call(&steps->model);
	for (c->n = 0; c->n < n; c->n++) {
		struct object *o = model_unused(&steps->model, below(steps, OBJECTS));
		uint64_t *start = &c->start[c->n], *end = &c->end[c->n];

		if (!o)
			break;
		random_bounds(steps, start, end);
		if (many && below(steps, 32)) {
			*start = last + below(steps, 8);
			*end = *start + 1 + below(steps, 6);
			last = *end;
		}
		c->mode[c->n] = random_mode(steps);
		c->objects[c->n] = o;
		model_begin(&steps->model, o, *start, *end, c->mode[c->n], owner);
	}
	c->bad = has_passed(c->operation) && below(steps, 32) == 0;
	return c->n > 0;
}

/* The change may be more than the held range allows. */
static bool choose_change(struct steps *steps, struct command *c, unsigned int owner)
{
	struct object *o = model_held(&steps->model, below(steps, OBJECTS));

	c->n = 1;
	c->objects[0] = o;
	if (!o)
		return false;
	random_bounds(steps, &c->start[0], &c->end[0]);
	if (c->operation == SHRINK && below(steps, 8)) {
		c->start[0] = o->start + below(steps, o->end - o->start);
		c->end[0] = c->start[0] + 1 + below(steps, o->end - c->start[0]);
	} else if (c->operation == EXTEND && below(steps, 8)) {
		c->start[0] = below(steps, o->start + 1);
		c->end[0] = o->end + below(steps, 8);
		if (c->end[0] < o->end)
			c->end[0] = o->end;
	} else if (c->operation == SPLIT) {
		c->start[0] = o->start + below(steps, 8);
		c->objects[1] = model_unused(&steps->model, below(steps, OBJECTS));
		if (!c->objects[1])
			return false;
		model_begin(&steps->model, c->objects[1], 0, 1, RANGE_READ, owner);
		/* The operation does not wait. */
	}
	return true;
}

static enum operation random_operation(struct steps *steps)
{
	static const enum operation often[] = { LOCK,
						LOCK,
						LOCK_UNTIL_LATER,
						LOCK_MANY,
						LOCK_MANY,
						LOCK_MANY_UNTIL_LATER,
						TRYLOCK,
						LOCK_UNTIL_PAST,
						TRYLOCK_MANY,
						LOCK_MANY_UNTIL_PAST,
						UNLOCK,
						UNLOCK,
						UNLOCK,
						UNLOCK,
						UNLOCK,
						UNLOCK,
						UNLOCK,
						DOWNGRADE,
						UPGRADE,
						SHRINK,
						EXTEND,
						SPLIT,
						CANCEL };

	return often[below(steps, sizeof often / sizeof often[0])];
}

static bool choose(struct steps *steps, struct command *c, unsigned int owner, bool may_wait)
{
	memset(c, 0, sizeof *c);
	c->operation = random_operation(steps);
	if (c->operation < FIRST_THAT_RETURNS && !may_wait)
		c->operation = is_for_many(c->operation) ? TRYLOCK_MANY : TRYLOCK;
	if (c->operation == CANCEL) {
		/* Any object: in most cases its range does not wait. */
		c->objects[0] = &steps->model.objects[below(steps, OBJECTS)];
		c->n = 1;
		return true;
	}
	if (is_acquisition(c->operation))
		return choose_acquisition(steps, c, owner);
	return choose_change(steps, c, owner);
}

static void actor_begin(struct steps *steps, struct step_actor *actor)
{
	actor->steps = steps;
	actor->number = ++steps->threads;
	actor->busy = actor->leave = false;
	atomic_store(&actor->done, false);
	CHECK_EQ(sem_init(&actor->go, 0, 0), 0);
	actor->thread = thread_start(act, actor);
}

static void actor_end(struct step_actor *actor)
{
	actor->leave = true;
	sem_post(&actor->go);
	thread_join(actor->thread);
	sem_destroy(&actor->go);
}

/* Gives a command to an idle thread. If the chosen thread is busy, this thread acts itself. */
static void do_step(struct steps *steps)
{
	struct step_actor *actor = &steps->actors[below(steps, steps->nr_actors)];
	unsigned int number = actor->busy ? 0 : actor->number;
	struct command command;

	if (!choose(steps, &command, number, number && !model_owns(&steps->model, number)))
		return;
	if (number) {
		actor->command = command;
		actor->busy = true;
		atomic_store(&actor->done, false);
		sem_post(&actor->go);
	} else {
		command.result = execute(steps, &command);
		finish(steps, &command);
	}
}

/* In a child the lock is as new, and the child can make others. */
static void use_in_child(void *arg)
{
	struct steps *steps = arg;
	struct range_lock other = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	steps->functions->child(steps->lock);
	CHECK_EQ(steps->functions->trylock(steps->lock, &range, FULL, RANGE_WRITE), 0);
	steps->functions->unlock(steps->lock, &range);
	CHECK_EQ(steps->functions->destroy(steps->lock), 0);
	if (steps->library)
		check_memory_balanced(&steps->books);
	CHECK_EQ(range_lock(&other, &range, 0, 10, RANGE_READ), 0);
	range_unlock(&other, &range);
	check_quiet_and_destroy(&other);
}

/* Between two steps: calls that concern no range. */
static void do_something_else(struct steps *steps)
{
	struct step_actor *actor = &steps->actors[below(steps, steps->nr_actors)];
	static const unsigned int grants[] = { 0, 1, 2, UINT32_MAX, UINT32_MAX };
	struct range_lock_stats stats;

	switch (below(steps, 64)) {
	case 0:
	case 1:
		if (!actor->busy) {
			actor_end(actor);
			actor_begin(steps, actor);
		}
		return;
	case 2:
	case 3:
	case 4:
		atomic_store(&steps->books.grants, grants[below(steps, 5)]);
		return;
	case 5:
		if (model_held(&steps->model, 0))
			CHECK_EQ(steps->functions->destroy(steps->lock), EBUSY);
		return;
	case 6:
		if (below(steps, 24) == 0)
			check_in_child(use_in_child, steps);
		return;
	default:
		if (!steps->library)
			return;
		if (below(steps, 8) == 0)
			make_impatient(steps->lock);
		steps->functions->stats(steps->lock, &stats);
		CHECK(stats.leaves <= range__max_leaves(range__lock(steps->lock)));
		if (below(steps, 16) == 0)
			check_valid(steps->lock);
	}
}

/* Ends waiting and held ranges one after the other, by any thread. */
static void drain(struct steps *steps)
{
	struct command c = { .n = 1 };

	for (int i = 0; i < OBJECTS; i++) {
		c.objects[0] = &steps->model.objects[i];
		c.operation = below(steps, 2) ? CANCEL : UNLOCK;
		if (c.objects[0]->use == HELD)
			c.operation = UNLOCK;
		else if (c.objects[0]->use == WAITS)
			c.operation = CANCEL;
		else
			continue;
		c.result = execute(steps, &c);
		finish(steps, &c);
		settle(steps);
	}
}

static void run(struct steps *steps, unsigned int n)
{
	steps->nr_actors = 2 + (unsigned int)below(steps, MOST_ACTORS - 1);
	for (unsigned int i = 0; i < steps->nr_actors; i++)
		actor_begin(steps, &steps->actors[i]);
	while (n-- > 0) {
		do_step(steps);
		settle(steps);
		do_something_else(steps);
	}
	/* The next round releases the ranges that were granted when another one ended. */
	while (model_held(&steps->model, 0))
		drain(steps);
	for (unsigned int i = 0; i < steps->nr_actors; i++) {
		CHECK(!steps->actors[i].busy);
		actor_end(&steps->actors[i]);
	}
	CHECK_EQ(steps->functions->destroy(steps->lock), 0);
}

static struct steps steps;

static void init(const struct lock_functions *functions, void *lock, bool fifo, uint64_t seed)
{
	memset(&steps, 0, sizeof steps);
	steps.functions = functions;
	steps.library = functions == &library_functions;
	steps.lock = lock;
	steps.seed = seed;
	steps.patience = 60 * SECOND;
	model_init(&steps.model, fifo);
}

static bool all_succeeded(const uint64_t *counts)
{
	for (int k = 0; k <= CANCEL; k++)
		if (!counts[k])
			return false;
	return true;
}

/* Uses as many locks as it takes until each operation has succeeded, where successes are rare. */
static void check_library(const char *test, enum range_fairness fairness, uint64_t starvation_ns)
{
	static const uint32_t leaves[] = { 1, 2, 5, 1024 };
	uint64_t seed = test_seed(test);
	uint64_t counts[CANCEL + 1] = { 0 };

	for (unsigned int i = 0; i < test_scale(40) || (i < 40 && !all_succeeded(counts)); i++) {
		static struct range_lock lock;
		struct range_lock_attr attr;

		init(&library_functions, &lock, fairness == RANGE_FAIRNESS_FIFO,
		     test_random(&seed));
		range_lock_attr_init(&attr);
		attr.fairness = fairness;
		attr.max_leaves = leaves[i % 4];
		attr.starvation_ns = starvation_ns;
		use_memory_books(&attr, &steps.books, UINT32_MAX);
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		run(&steps, 600);
		check_memory_balanced(&steps.books);
		for (int k = 0; k <= CANCEL; k++)
			counts[k] += steps.counts[k];
	}
	CHECK(all_succeeded(counts));
}

TEST(all_functions_steps, a_barging_lock_agrees_with_the_model)
{
	check_library("all_functions_steps/a_barging_lock_agrees_with_the_model",
		      RANGE_FAIRNESS_BARGING, UINT64_MAX);
}

TEST(all_functions_steps, a_barging_lock_whose_waiters_starve_agrees_with_the_model)
{
	check_library("all_functions_steps/"
		      "a_barging_lock_whose_waiters_starve_agrees_with_the_model",
		      RANGE_FAIRNESS_BARGING, 1);
}

TEST(all_functions_steps, a_fifo_lock_agrees_with_the_model)
{
	check_library("all_functions_steps/a_fifo_lock_agrees_with_the_model", RANGE_FAIRNESS_FIFO,
		      UINT64_MAX);
}

static enum fault fault;
static uint64_t fault_seed;

static void run_simple(void)
{
	struct simple_lock lock;

	for (int fifo = 0; fifo < 2; fifo++) {
		simple_lock_init(&lock, fault, fifo);
		init(&simple_functions, &lock, fifo, fault_seed + (uint64_t)fifo);
		/* Reports a hang early: a false report would count as a detected fault. */
		if (fault != FAULT_NONE)
			steps.patience = SECOND / 4;
		run(&steps, fault == FAULT_NONE ? test_scale(2000) : 20000);
	}
}

TEST(all_functions_steps, a_simple_lock_agrees_with_the_model)
{
	fault = FAULT_NONE;
	fault_seed = test_seed("all_functions_steps/a_simple_lock_agrees_with_the_model");
	run_simple();
}

TEST(all_functions_steps, the_test_detects_every_faulty_lock)
{
	uint64_t seed = test_seed("all_functions_steps/the_test_detects_every_faulty_lock");
	char errors[4096];

	for (fault = FAULT_NONE + 1; fault < NR_FAULTS; fault++) {
		fault_seed = test_random(&seed);
		if (!run_in_child(run_simple, errors, sizeof errors) || !strstr(errors, "failed: "))
			test_fail(__FILE__, __LINE__, "the test did not detect the fault \"%s\"",
				  fault_names[fault]);
		fprintf(stderr, "%s: %s", fault_names[fault], strstr(errors, "failed: "));
	}
}
