/* SPDX-License-Identifier: MIT */
/* The oracle of the simulation: brute force over its threads. */
#include "leaf_sim.h"
#include "range_lock/waiters.h"

void leaf_sim_expect(struct leaf_sim *sim, bool right, const char *what)
{
	if (!right && !sim->blind && !sim->violation)
		sim->violation = what;
}

bool leaf_sim_conflict(const struct range__hold *a, const struct range__hold *b)
{
	return (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE) && a->start < b->end &&
	       b->start < a->end;
}

/* Whether a held part of the range of t conflicts with the range. */
static bool holds_conflict(const struct sim_thread *t, const struct range__hold *range)
{
	struct range__hold rest = t->range;

	if (t->state != SIM_HOLDS && t->state != SIM_RELEASES)
		return false;
	if (rest.start < t->from)
		rest.start = t->from;
	return leaf_sim_conflict(&rest, range);
}

bool leaf_sim_has_to_wait(const struct leaf_sim *sim, const struct sim_thread *thread)
{
	for (const struct sim_thread *t = sim->threads; t < sim->threads + SIM_THREADS; t++) {
		if (t == thread)
			continue;
		if (holds_conflict(t, &thread->range))
			return true;
		if (t->state == SIM_WAITS && t->range.starving &&
		    leaf_sim_conflict(&t->range, &thread->range) &&
		    (thread->state == SIM_IDLE || t->arrival < thread->arrival))
			return true;
	}
	return false;
}

/* Whether the leaf counts t as starving, and t holds back a later waiter of the leaf's queue. */
static bool keeps_back(const struct sim_thread *t, struct range__leaf *leaf,
		       const struct sim_thread *later)
{
	return t->state == SIM_WAITS && t->range.starving && t->arrival < later->arrival &&
	       leaf_sim_conflict(&t->range, &later->range) &&
	       (t->range.in == leaf ||
		(range__set_claims(&t->set) && t->range.start < range__leaf_hi(leaf) &&
		 range__leaf_lo(leaf) < t->range.end));
}

struct sim_thread *leaf_sim_next_to_starve(struct leaf_sim *sim, struct range__leaf *leaf)
{
	struct sim_thread *next = NULL;

	for (struct sim_thread *t = sim->threads; t < sim->threads + SIM_THREADS; t++) {
		bool behind = false;

		if (t->state != SIM_WAITS || t->range.starving ||
		    atomic_load(&t->range.state) == RANGE_PROMOTED || t->range.in != leaf)
			continue;
		for (const struct sim_thread *s = sim->threads; s < sim->threads + SIM_THREADS; s++)
			behind = behind || keeps_back(s, leaf, t);
		if (!behind && (!next || t->arrival < next->arrival))
			next = t;
	}
	return next;
}

static void check_queue(struct leaf_sim *sim, struct range__leaf *leaf)
{
	const struct range__hold *w = range__waiters_first(leaf->waiters);

	for (; w; w = range__waiters_next(leaf->waiters, w)) {
		const struct sim_thread *thread = (const struct sim_thread *)(const void *)w;

		leaf_sim_expect(sim, thread->state == SIM_WAITS,
				"a range that does not wait is in the queue");
		leaf_sim_expect(sim, thread->arrival == w->arrival,
				"a waiter has lost its place in the queue");
	}
}

void leaf_sim_check(struct leaf_sim *sim)
{
	if (sim->blind)
		return;
	for (int i = 0; i < SIM_THREADS; i++)
		for (int j = 0; j < i; j++)
			leaf_sim_expect(sim,
					sim->threads[i].state != SIM_HOLDS ||
						sim->threads[j].state != SIM_HOLDS ||
						!leaf_sim_conflict(&sim->threads[i].range,
								   &sim->threads[j].range),
					"conflicting ranges are held together");
	for (int i = 0; i < SIM_LEAVES; i++) {
		struct range__leaf *leaf = &sim->leaves[i];

		if (range__leaf_lo(leaf) == range__leaf_hi(leaf))
			continue;
		range__leaf_lock(leaf);
		check_queue(sim, leaf);
		leaf_sim_expect(sim, range__leaf_valid(&sim->lock, leaf), "a leaf is not valid");
		range__leaf_unlock(leaf, NULL);
	}
}
