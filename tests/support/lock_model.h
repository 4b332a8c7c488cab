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
	unsigned int call;  /* which acquisition it belongs to */
	uint64_t arrival;   /* of a wait; that of several ranges is not known */
	bool several;       /* it is one of several that are acquired together */
	bool canceled;
	bool starving; /* when the lock was last looked at */
	/* When the operations that go on now began: whether it was starving, and for what. */
	bool starved_before;
	struct {
		uint64_t start;
		uint64_t end;
		enum range_mode mode;
	} before;
	bool shown;
	unsigned int place; /* where it was shown last: waiters that conflict are in order */
	bool caused;        /* it waits for something that is held, or for a waiter that does */
};

struct lock_model {
	struct object objects[OBJECTS];
	bool fifo;
	uint64_t time;
	uint64_t waits;     /* acquisitions that had to queue */
	bool waits_unknown; /* there may be more: of several ranges, one after the other waits */
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

void model_begin(struct lock_model *model, struct object *object, uint64_t start, uint64_t end,
		 enum range_mode mode, unsigned int owner, bool several);

/* The object is held from now on; a failure if that is not legal. */
void model_granted(struct lock_model *model, struct object *object);

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
 * True means that no thread is on its way. Waiters that conflict are in the same leaf, and so is
 * what they wait for: so all that makes one wait was shown as it was at one moment, also the order
 * of arrival, and stays so until the next operation. No waiter has been woken that could go on. This
 * needs the order: a waiter that is woken conflicts with starving waiters, too, that came after it.
 */
bool model_agrees(struct lock_model *model, const struct range_info *infos, unsigned int n);

/* Writes what the model knows to stderr. */
void model_print(const struct lock_model *model);

/* What goes on from now on begins with what was shown last. */
void model_settled(struct lock_model *model);

#endif
