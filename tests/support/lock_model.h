/* SPDX-License-Identifier: MIT */
/*
 * What a range lock must do, one operation after the other: which ranges are held, which wait, and
 * for each operation which results are legal. Where barging allows several outcomes, the model takes
 * over the one that it sees, if it is one of these.
 *
 * An object is a struct range_hold and what the model knows of it. Its storage is filled with a pattern
 * while it is not in use, so that a lock which touches it then is found.
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
	enum use use; /* CALLED: an acquisition has been begun; WAITS: and is shown waiting */
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	unsigned int owner; /* the thread that acquires it */
	unsigned int call;  /* which acquisition it belongs to, maybe with others */
	bool canceled;
	bool starving;       /* when the lock was last looked at */
	bool starved_before; /* when the operations that go on now began */
	bool shown;
	unsigned int place; /* where it was shown last, and in which part of the lock */
	const void *part;
	bool caused; /* its call waits for something that is held, or for a waiter that does */
};

/* A range that range_lock_foreach() showed. */
struct shown {
	struct range_info info;
	const void *part; /* any that is different for each part: waiters of a part are in order */
};

struct lock_model {
	struct object objects[OBJECTS];
	bool fifo;
	unsigned int calls; /* acquisitions so far: they arrive in the order of their numbers */
	uint64_t waits;     /* acquisitions that had to queue */
	char reason[200];   /* why the lock does not agree with the model yet */
};

void model_init(struct lock_model *model, bool fifo);

/* An object that is not in use, or NULL. It is the caller's, to be passed to model_begin(). */
struct object *model_unused(struct lock_model *model, uint64_t random);

/* An object that is held, or NULL. */
struct object *model_held(struct lock_model *model, uint64_t random);

struct object *model_object(struct lock_model *model, const struct range_hold *range);

/* Whether a thread acquired what is held now. */
bool model_owns(const struct lock_model *model, unsigned int owner);

/* What is acquired from now on belongs to one more acquisition. */
void model_next_call(struct lock_model *model);

void model_begin(struct lock_model *model, struct object *object, uint64_t start, uint64_t end,
		 enum range_mode mode, unsigned int owner);

/* The object is held from now on; a failure if that is not legal. */
void model_granted(struct lock_model *model, struct object *object);

/* The wait of all that belongs to the acquisition is over, as soon as its thread sees that. */
void model_canceled(struct lock_model *model, const struct object *object);

/* The acquisition has failed, or the range was released: the storage is not in use any more. */
void model_ended(struct object *object);

/*
 * Whether an acquisition of [start, end), or an extension by it, may fail for want of it: beside
 * object, something is held that conflicts, or a starving waiter waits for it.
 */
bool model_may_refuse(const struct lock_model *model, const struct object *object, uint64_t start,
		      uint64_t end, enum range_mode mode);

/* Whether it may succeed. */
bool model_may_grant(const struct lock_model *model, const struct object *object, uint64_t start,
		     uint64_t end, enum range_mode mode);

/* The same for an upgrade, which starving readers prevent. */
bool model_may_refuse_upgrade(const struct lock_model *model, const struct object *object);
bool model_may_upgrade(const struct lock_model *model, const struct object *object);

/* Whether the thread that acquires the object holds something that conflicts. */
bool model_waits_for_itself(const struct lock_model *model, const struct object *object);

/*
 * Takes over what range_lock_foreach() shows. False, with a reason, if that is not what the model
 * says, or a waiter has no reason to wait: it may become so while threads are on their way.
 *
 * True means that no thread is on its way that could go on: each acquisition that waits has a cause,
 * in what is held or in an earlier one that is starving, and the causes stay until the next operation.
 * The order matters: a waiter that is woken conflicts with starving waiters, too, that came after it.
 */
bool model_agrees(struct lock_model *model, const struct shown *shown, unsigned int n);

/* Writes what the model knows to stderr. */
void model_print(const struct lock_model *model);

/* What goes on from now on begins with what was shown last. */
void model_settled(struct lock_model *model);

#endif
