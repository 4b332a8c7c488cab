/* SPDX-License-Identifier: MIT */
#include "lock_model.h"

#include <string.h>

enum { PATTERN = 0xa5 };

static bool conflict(uint64_t start, uint64_t end, enum range_mode mode, uint64_t other_start,
		     uint64_t other_end, enum range_mode other_mode)
{
	return start < other_end && other_start < end &&
	       (mode == RANGE_WRITE || other_mode == RANGE_WRITE);
}

static void fill(struct object *object)
{
	memset(&object->range, PATTERN, sizeof object->range);
}

static void check_untouched(const struct object *object)
{
	const unsigned char *bytes = (const unsigned char *)&object->range;

	for (size_t i = 0; i < sizeof object->range; i++)
		if (bytes[i] != PATTERN)
			test_fail(__FILE__, __LINE__, "byte %zu of an unused range was written", i);
}

void model_init(struct lock_model *model, bool fifo)
{
	memset(model, 0, sizeof *model);
	model->fifo = fifo;
	for (int i = 0; i < OBJECTS; i++)
		fill(&model->objects[i]);
}

static struct object *find(struct lock_model *model, uint64_t random, enum use use)
{
	for (uint64_t i = 0; i < OBJECTS; i++) {
		struct object *object = &model->objects[(random + i) % OBJECTS];

		if (object->use == use)
			return object;
	}
	return NULL;
}

struct object *model_unused(struct lock_model *model, uint64_t random)
{
	struct object *object = find(model, random, UNUSED);

	if (object)
		check_untouched(object);
	return object;
}

struct object *model_held(struct lock_model *model, uint64_t random)
{
	return find(model, random, HELD);
}

struct object *model_object(struct lock_model *model, const struct range_hold *range)
{
	uintptr_t at = (uintptr_t)range - (uintptr_t)model->objects;
	struct object *object = &model->objects[at / sizeof *object];

	CHECK(at < sizeof model->objects && range == &object->range);
	return object;
}

bool model_owns(const struct lock_model *model, unsigned int owner)
{
	for (int i = 0; i < OBJECTS; i++)
		if (model->objects[i].use == HELD && model->objects[i].owner == owner)
			return true;
	return false;
}

void model_next_call(struct lock_model *model)
{
	model->calls++;
}

void model_begin(struct lock_model *model, struct object *object, uint64_t start, uint64_t end,
		 enum range_mode mode, unsigned int owner)
{
	CHECK_EQ(object->use, UNUSED);
	object->use = CALLED;
	object->start = start;
	object->end = end;
	object->mode = mode;
	object->owner = owner;
	object->call = model->calls;
	object->canceled = object->starving = object->starved_before = false;
}

void model_ended(struct object *object)
{
	object->use = UNUSED;
	fill(object);
}

static bool conflicts(const struct object *object, uint64_t start, uint64_t end,
		      enum range_mode mode)
{
	return conflict(start, end, mode, object->start, object->end, object->mode);
}

static bool held_conflict(const struct lock_model *model, const struct object *but, uint64_t start,
			  uint64_t end, enum range_mode mode)
{
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o != but && o->use == HELD && conflicts(o, start, end, mode))
			return true;
	}
	return false;
}

/* Whether a waiter that is or was starving may hold a newcomer back. */
static bool may_hold_back(const struct object *o, uint64_t start, uint64_t end,
			  enum range_mode mode)
{
	return (o->starved_before || (o->use == WAITS && o->starving)) &&
	       conflicts(o, start, end, mode);
}

/* Whether it must hold the newcomer back. */
static bool must_hold_back(const struct object *o, uint64_t start, uint64_t end,
			   enum range_mode mode)
{
	return o->use == WAITS && o->starved_before && conflicts(o, start, end, mode);
}

static bool starving_conflict(const struct lock_model *model, const struct object *object,
			      uint64_t start, uint64_t end, enum range_mode mode,
			      bool (*holds_back)(const struct object *o, uint64_t start,
						 uint64_t end, enum range_mode mode))
{
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o != object && holds_back(o, start, end, mode))
			return true;
	}
	return false;
}

bool model_may_refuse(const struct lock_model *model, const struct object *object, uint64_t start,
		      uint64_t end, enum range_mode mode)
{
	return held_conflict(model, object, start, end, mode) ||
	       starving_conflict(model, object, start, end, mode, may_hold_back);
}

bool model_may_grant(const struct lock_model *model, const struct object *object, uint64_t start,
		     uint64_t end, enum range_mode mode)
{
	return !held_conflict(model, object, start, end, mode) &&
	       !starving_conflict(model, object, start, end, mode, must_hold_back);
}

/* A reader holds an upgrade back as a writer would hold a reader back. */
static bool may_hold_back_upgrade(const struct object *o, uint64_t start, uint64_t end,
				  enum range_mode mode)
{
	return o->mode == RANGE_READ && may_hold_back(o, start, end, mode);
}

static bool must_hold_back_upgrade(const struct object *o, uint64_t start, uint64_t end,
				   enum range_mode mode)
{
	return o->mode == RANGE_READ && must_hold_back(o, start, end, mode);
}

static bool starving_reader(const struct lock_model *model, const struct object *object, bool may)
{
	return starving_conflict(model, object, object->start, object->end, RANGE_WRITE,
				 may ? may_hold_back_upgrade : must_hold_back_upgrade);
}

bool model_may_refuse_upgrade(const struct lock_model *model, const struct object *object)
{
	return object->mode == RANGE_READ &&
	       (held_conflict(model, object, object->start, object->end, RANGE_WRITE) ||
		starving_reader(model, object, true));
}

bool model_may_upgrade(const struct lock_model *model, const struct object *object)
{
	return object->mode == RANGE_WRITE ||
	       (!held_conflict(model, object, object->start, object->end, RANGE_WRITE) &&
		!starving_reader(model, object, false));
}

bool model_waits_for_itself(const struct lock_model *model, const struct object *object)
{
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o != object && o->use == HELD && o->owner == object->owner &&
		    conflicts(o, object->start, object->end, object->mode))
			return true;
	}
	return false;
}

static bool came_before(const struct object *a, const struct object *b)
{
	return a->call < b->call;
}

void model_granted(struct lock_model *model, struct object *object)
{
	CHECK(object->use == CALLED || object->use == WAITS);
	CHECK(!object->canceled);
	if (held_conflict(model, object, object->start, object->end, object->mode))
		test_fail(__FILE__, __LINE__,
			  "[%" PRIu64 ", %" PRIu64 ") was granted beside a conflict", object->start,
			  object->end);
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o->use == WAITS && o->starved_before && !o->canceled &&
		    came_before(o, object) &&
		    conflicts(o, object->start, object->end, object->mode))
			test_fail(__FILE__, __LINE__,
				  "[%" PRIu64 ", %" PRIu64 ") passed a starving waiter",
				  object->start, object->end);
	}
	object->use = HELD;
}

void model_canceled(struct lock_model *model, const struct object *object)
{
	for (int i = 0; i < OBJECTS; i++)
		if (model->objects[i].use == WAITS && model->objects[i].call == object->call)
			model->objects[i].canceled = true;
}

static bool disagree(struct lock_model *model, const char *what, const struct object *o)
{
	snprintf(model->reason, sizeof model->reason, "%s: [%" PRIu64 ", %" PRIu64 ") for %s", what,
		 o->start, o->end, o->mode == RANGE_WRITE ? "writing" : "reading");
	return false;
}

/* Whether a call has been seen waiting, by any of its ranges. */
static bool call_waits(const struct lock_model *model, unsigned int call)
{
	for (int i = 0; i < OBJECTS; i++)
		if (model->objects[i].use == WAITS && model->objects[i].call == call)
			return true;
	return false;
}

static bool show_waiting(struct lock_model *model, struct object *o, const struct range_info *info)
{
	if (o->use != CALLED && o->use != WAITS)
		return disagree(model, "a range that does not wait is shown waiting", o);
	if (o->start != info->start || o->end != info->end || o->mode != info->mode)
		return disagree(model, "a waiter is shown with other bounds", o);
	model->waits += !call_waits(model, o->call);
	o->use = WAITS;
	o->starving = info->state == RANGE_STATE_STARVING;
	CHECK(o->starving || !model->fifo);
	return true;
}

static bool show(struct lock_model *model, const struct shown *shown, unsigned int place)
{
	const struct range_info *info = &shown->info;
	struct object *o = model_object(model, info->range);

	if (o->shown)
		return disagree(model, "a range is shown twice", o);
	o->shown = true;
	o->place = place;
	o->part = shown->part;
	if (info->state != RANGE_STATE_HELD)
		return show_waiting(model, o, info);
	if (o->use != HELD)
		return disagree(model, "a range that is not held is shown held", o);
	if (o->start != info->start || o->end != info->end || o->mode != info->mode)
		return disagree(model, "a held range is shown with other bounds", o);
	return true;
}

/* Whether an object waits for a held range, or for an earlier starving waiter that has a cause. */
static bool find_cause(const struct lock_model *model, const struct object *object)
{
	if (held_conflict(model, object, object->start, object->end, object->mode))
		return true;
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o->caused && o->use == WAITS && o->starving && came_before(o, object) &&
		    conflicts(o, object->start, object->end, object->mode))
			return true;
	}
	return false;
}

/* The cause of one range is a cause for all ranges of its call. */
static void set_caused(struct lock_model *model, unsigned int call)
{
	for (int i = 0; i < OBJECTS; i++)
		if (model->objects[i].use == WAITS && model->objects[i].call == call)
			model->objects[i].caused = true;
}

/* Each chain of causes ends at a held range: two waiters are no cause for each other. */
static void find_causes(struct lock_model *model)
{
	bool found = true;

	for (int i = 0; i < OBJECTS; i++)
		model->objects[i].caused = false;
	while (found) {
		found = false;
		for (int i = 0; i < OBJECTS; i++) {
			struct object *o = &model->objects[i];

			if (o->use != WAITS || o->canceled || o->caused || !find_cause(model, o))
				continue;
			set_caused(model, o->call);
			found = true;
		}
	}
}

/* Whether the walk showed the earlier waiters in the same part before this waiter. */
static bool shown_in_order(const struct lock_model *model, const struct object *object)
{
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o->use == WAITS && o->shown && o->part == object->part &&
		    came_before(o, object) && o->place > object->place)
			return false;
	}
	return true;
}

/* Whether all ranges of the call are starving, or none. */
static bool starves_together(const struct lock_model *model, const struct object *object)
{
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o->use == WAITS && o->call == object->call && o->starving != object->starving)
			return false;
	}
	return true;
}

static bool is_explained(struct lock_model *model, struct object *o)
{
	if (o->use == HELD && !o->shown)
		return disagree(model, "a held range is not shown", o);
	if ((o->use == CALLED || o->use == WAITS) && !o->shown)
		return disagree(model, "a waiter is not shown", o);
	if (o->use == WAITS && !o->caused)
		return disagree(model, "a waiter waits without a cause", o);
	if (o->use == WAITS && !starves_together(model, o))
		return disagree(model, "some waiters of one call are starving, others are not", o);
	if (o->use == WAITS && !shown_in_order(model, o))
		return disagree(model, "a waiter is shown before an earlier one", o);
	return true;
}

bool model_agrees(struct lock_model *model, const struct shown *shown, unsigned int n)
{
	for (int i = 0; i < OBJECTS; i++)
		model->objects[i].shown = false;
	for (unsigned int i = 0; i < n; i++)
		if (!show(model, &shown[i], i))
			return false;
	find_causes(model);
	for (int i = 0; i < OBJECTS; i++)
		if (!is_explained(model, &model->objects[i]))
			return false;
	return true;
}

void model_settled(struct lock_model *model)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &model->objects[i];

		o->starved_before = o->use == WAITS && o->starving;
	}
}

void model_print(const struct lock_model *model)
{
	static const char *const uses[] = { "unused", "called", "waits", "held" };

	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &model->objects[i];

		if (o->use == UNUSED)
			continue;
		fprintf(stderr, "[%" PRIu64 ", %" PRIu64 ") %s, %s by %u in call %u%s%s%s%s\n",
			o->start, o->end, o->mode == RANGE_WRITE ? "write" : "read", uses[o->use],
			o->owner, o->call, o->canceled ? ", canceled" : "",
			o->starving ? ", starving" : "", o->shown ? ", shown" : "",
			o->caused ? ", caused" : "");
	}
}
