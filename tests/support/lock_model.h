/* SPDX-License-Identifier: MIT */
/*
 * What a range lock must do, one operation after the other: which ranges are held, which wait, and
 * which results of each operation are legal. Where barging allows several outcomes, the model
 * adopts the one that it sees, if it is legal.
 *
 * An object is a struct range_hold and its state in the model. Its storage is filled with a pattern
 * while it is not in use, so that the model detects a lock that writes to it then.
 */
#ifndef TESTS_LOCK_MODEL_H
#define TESTS_LOCK_MODEL_H

#include "test.h"

#include <mmrange/range_lock.h>

#include <stdbool.h>

enum { OBJECTS = 40 };

enum use { UNUSED, CALLED, WAITS, HELD };

struct object {
	struct range_hold range;
	enum use use; /* CALLED: an acquisition has begun; WAITS: and the walk showed it waiting */
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	unsigned int owner; /* the thread that acquires it */
	unsigned int call;  /* its acquisition, which may have other objects, too */
	bool canceled;
	bool starving;       /* at the last look at the lock */
	bool starved_before; /* when the present operations began */
	bool shown;
	unsigned int place; /* its position in the last walk, and its part of the lock */
	const void *part;
	bool caused; /* its call waits for a held range, or for a waiter that has a cause */
};

/* A range that range_lock_foreach() showed. */
struct shown {
	struct range_info info;
	const void *part; /* an address that differs for each part: the waiters of a part are in
			     order */
};

struct lock_model {
	struct object objects[OBJECTS];
	bool fifo;
	unsigned int calls; /* acquisitions so far: they arrive in the order of their numbers */
	uint64_t waits;     /* acquisitions that had to queue */
	char reason[200];   /* why the lock does not agree with the model yet */
};

void model_init(struct lock_model *model, bool fifo);

/* An unused object, or NULL. The caller passes it to model_begin(). */
struct object *model_unused(struct lock_model *model, uint64_t random);

/* A held object, or NULL. */
struct object *model_held(struct lock_model *model, uint64_t random);

struct object *model_object(struct lock_model *model, const struct range_hold *range);

/* Whether the thread acquired an object that is held now. */
bool model_owns(const struct lock_model *model, unsigned int owner);

/* Objects that are acquired from now on belong to a new acquisition. */
void model_next_call(struct lock_model *model);

void model_begin(struct lock_model *model, struct object *object, uint64_t start, uint64_t end,
		 enum range_mode mode, unsigned int owner);

/* The object is held from now on; a failure if that is not legal. */
void model_granted(struct lock_model *model, struct object *object);

/* The waits of all objects of the acquisition end once its thread sees the cancellation. */
void model_canceled(struct lock_model *model, const struct object *object);

/* The acquisition has failed, or the range was released: its storage is no longer in use. */
void model_ended(struct object *object);

/*
 * Whether an acquisition of [start, end), or an extension by it, may fail because the range is
 * taken: a range other than the object's own is held and conflicts, or a starving waiter waits for
 * it.
 */
bool model_may_refuse(const struct lock_model *model, const struct object *object, uint64_t start,
		      uint64_t end, enum range_mode mode);

/* Whether the acquisition may succeed. */
bool model_may_grant(const struct lock_model *model, const struct object *object, uint64_t start,
		     uint64_t end, enum range_mode mode);

/* The same for an upgrade, which starving readers prevent. */
bool model_may_refuse_upgrade(const struct lock_model *model, const struct object *object);
bool model_may_upgrade(const struct lock_model *model, const struct object *object);

/* Whether the thread that acquires the object holds a range that conflicts with it. */
bool model_waits_for_itself(const struct lock_model *model, const struct object *object);

/*
 * Adopts the ranges that range_lock_foreach() showed. False, with a reason, if they contradict the
 * model, or a waiter has no reason to wait. They may come to agree while threads are on their way.
 *
 * True means that no thread is on its way and could go on: each waiting acquisition has a cause, a
 * held range or an earlier starving waiter, and the causes stay until the next operation. The order
 * matters: a woken waiter also conflicts with starving waiters that came after it.
 */
bool model_agrees(struct lock_model *model, const struct shown *shown, unsigned int n);

/* Prints the state of the model to stderr. */
void model_print(const struct lock_model *model);

/* The next operations begin with the state that was shown last. */
void model_settled(struct lock_model *model);

#endif
