/* SPDX-License-Identifier: MIT */
/*
 * The tree of waiters against brute force: random waiters come, go and change their kinds, and each
 * search finds what a search through all of them finds.
 */
#include "test.h"

#include "range_lock/wait_tree.h"

#include <stdbool.h>
#include <string.h>

enum { POOL = 128, KINDS = 16 };

struct pool {
	struct range__hold waiters[POOL];
	bool in[POOL];
	struct range__hold *root;
	uint64_t seed;
	uint64_t keys;  /* ranges lie below */
	uint64_t times; /* arrivals are below: few make many ties */
};

static uint64_t below(struct pool *pool, uint64_t limit)
{
	return test_random_below(&pool->seed, limit);
}

static void put(struct pool *pool, unsigned int i, unsigned int kind)
{
	range__waiters_insert(&pool->root, &pool->waiters[i], kind);
	pool->in[i] = true;
}

/* The tree must set all fields of its own. */
static void put_new(struct pool *pool, unsigned int i)
{
	struct range__hold *waiter = &pool->waiters[i];

	memset(waiter, 0xa5, sizeof(*waiter));
	waiter->start = below(pool, pool->keys);
	waiter->end = waiter->start + 1 + below(pool, below(pool, 4) ? 4 : pool->keys);
	if (below(pool, 16) == 0)
		waiter->end = UINT64_MAX;
	waiter->arrival = below(pool, pool->times);
	waiter->marks = 0;
	waiter->set = (struct range__set *)(void *)waiter; /* an address to compare */
	put(pool, i, (unsigned int)below(pool, KINDS));
}

static void step(struct pool *pool)
{
	unsigned int i = (unsigned int)below(pool, POOL);

	if (!pool->in[i]) {
		put_new(pool, i);
		return;
	}
	range__waiters_erase(&pool->root, &pool->waiters[i]);
	pool->in[i] = false;
	if (below(pool, 2))
		put(pool, i, (unsigned int)below(pool, KINDS));
}

struct question {
	unsigned int kinds;
	uint64_t start;
	uint64_t end;
	const struct range__hold *before;
};

static bool answers(const struct question *question, const struct range__hold *waiter)
{
	return (question->kinds >> waiter->place.kind & 1) && waiter->start < question->end &&
	       question->start < waiter->end &&
	       (!question->before || range__earlier(waiter, question->before));
}

static void check_answer(struct pool *pool, const struct question *question,
			 const struct range__hold *found, bool latest)
{
	const struct range__hold *best = NULL;

	for (unsigned int i = 0; i < POOL; i++) {
		const struct range__hold *waiter = &pool->waiters[i];

		if (pool->in[i] && answers(question, waiter) &&
		    (!best || range__earlier(waiter, best) != latest))
			best = waiter;
	}
	CHECK(found == best);
}

static void ask(struct pool *pool)
{
	struct question question = { .start = below(pool, pool->keys) };
	unsigned int before = (unsigned int)below(pool, POOL);

	question.kinds = below(pool, 4) ? (unsigned int)below(pool, KINDS_ALL + 1) : KINDS_ALL;
	question.end = question.start + 1 + below(pool, below(pool, 2) ? 3 : pool->keys);
	if (below(pool, 8) == 0) {
		question.start = 0;
		question.end = UINT64_MAX;
	}
	if (below(pool, 2) && pool->in[before])
		question.before = &pool->waiters[before];
	check_answer(pool, &question,
		     range__waiters_earliest(pool->root, question.kinds, question.start,
					     question.end, question.before),
		     false);
	check_answer(pool, &question,
		     range__waiters_latest(pool->root, question.kinds, question.start, question.end,
					   question.before),
		     true);
}

/* A walk comes to each waiter once, in order of kind and start. */
static void check_walk(struct pool *pool)
{
	const struct range__hold *previous = NULL;
	struct range__hold *waiter = range__waiters_first(pool->root);
	unsigned int n = 0;

	for (unsigned int i = 0; i < POOL; i++)
		n += pool->in[i];
	for (; waiter; waiter = range__waiters_next(pool->root, waiter)) {
		CHECK(pool->in[waiter - pool->waiters]);
		CHECK(n-- > 0);
		if (previous)
			CHECK(previous->place.kind < waiter->place.kind ||
			      (previous->place.kind == waiter->place.kind &&
			       previous->start <= waiter->start));
		previous = waiter;
	}
	CHECK_EQ(n, 0);
}

static void check_all(struct pool *pool)
{
	uint64_t last = 0;

	CHECK(range__waiters_valid(pool->root));
	check_walk(pool);
	for (unsigned int i = 0; i < POOL; i++) {
		struct range__hold *waiter = &pool->waiters[i];

		CHECK(range__waiters_with(pool->root, waiter) == (pool->in[i] ? waiter : NULL));
		if (pool->in[i] && waiter->arrival > last)
			last = waiter->arrival;
	}
	if (pool->root)
		CHECK_EQ(range__waiters_last_arrival(pool->root), last);
}

TEST(wait_tree, searches_agree_with_brute_force)
{
	static struct pool pool;
	uint64_t seed = test_seed("wait_tree");

	for (unsigned int round = 0; round < test_scale(100); round++) {
		pool = (struct pool){ .seed = seed + round };
		pool.keys = below(&pool, 2) ? 16 : 1000;
		pool.times = below(&pool, 2) ? 8 : 1000000;
		for (int i = 0; i < 2000; i++) {
			step(&pool);
			ask(&pool);
			if (i % 16 == 0)
				check_all(&pool);
		}
	}
}

/* The check finds each kind of damage, so that it is worth something. */
TEST(wait_tree, a_damaged_tree_is_not_valid)
{
	static struct pool pool;
	struct range__hold *root;

	pool = (struct pool){ .seed = 1, .keys = 100, .times = 100 };
	for (unsigned int i = 0; i < POOL; i++)
		put_new(&pool, i);
	root = pool.root;
	CHECK(range__waiters_valid(root));
	root->place.max_end--;
	CHECK(!range__waiters_valid(root));
	root->place.max_end++;
	root->place.min_arrival++;
	CHECK(!range__waiters_valid(root));
	root->place.min_arrival--;
	root->place.kinds ^= 1;
	CHECK(!range__waiters_valid(root));
	root->place.kinds ^= 1;
	root->place.height++;
	CHECK(!range__waiters_valid(root));
	root->place.height--;
	root->place.left->place.kind ^= 8;
	CHECK(!range__waiters_valid(root));
	root->place.left->place.kind ^= 8;
	CHECK(range__waiters_valid(root));
}
