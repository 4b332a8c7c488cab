/* SPDX-License-Identifier: MIT */
/*
 * layout - the structures behind the opaque storage of the public header, through which the library
 * looks at the caller's storage. They may alias it.
 */
#ifndef RANGE_LOCK_LAYOUT_H
#define RANGE_LOCK_LAYOUT_H

#include <mmrange/range_lock.h>

#include <stdatomic.h>
#include <stdbool.h>

/* A leaf owns the keys [lo, hi): see leaf.h. What it remembers: see history.h. */
struct range__leaf {
	_Alignas(8) _Atomic(uint64_t) word;
	_Alignas(8) _Atomic(uint64_t) lo;
	_Alignas(8) _Atomic(uint64_t) not_hi; /* hi with all bits inverted: 0 is UINT64_MAX */
	_Alignas(8) _Atomic(uint64_t) last_start;
	_Alignas(8) _Atomic(uint64_t) last_end;
	_Atomic(uint32_t) last_owner;
	_Atomic(uint16_t) score;
	_Atomic(uint8_t) split_doublings;
	_Atomic(uint8_t) crossings;
	_Atomic(uint32_t) unbiased_cost;
	bool biased;
	_Atomic(struct range__leaf *) right;
	/* The fast paths need only the 64 bytes up to here. */
	_Alignas(8) _Atomic(uint64_t) generation;
	struct range__node *held;
	struct range__hold *waiters; /* the root of a tree: wait_tree.h */
	struct range__hold *wide;
	union {
		uint64_t fair_at;
		struct range__leaf *next; /* while the leaf is not in use */
	};
	_Alignas(8) _Atomic(uint64_t) waits;
	uint32_t covers;
	uint32_t nr_claims;
	uint32_t nr_woken;
	uint32_t nr_starving;
};

struct range__forest;
struct range__slot;
struct range__wait;
struct range__set;

/*
 * Fields that all acquisitions read come first, and fields that change with the leaves last: in a
 * lock that begins at a cache line, a thread that splits a leaf does not take the line of the
 * forest away from others.
 */
struct __attribute__((may_alias)) range__lock {
	_Alignas(8) _Atomic(struct range__forest *) forest;
	_Alignas(8) _Atomic(const void *)
		copy; /* of the library that uses the lock; NULL: none has used it */
	_Alignas(8) uint64_t fairness; /* RANGE_LOCK_INITIALIZER_FIFO relies on its place */
	uint32_t magic;
	uint32_t max_leaves;         /* 0: the default */
	uint64_t starvation_more_ns; /* more than the default, modulo 2^64 */
	void *(*alloc)(size_t size, size_t align, void *arg);
	void (*free)(void *memory, size_t size, void *arg);
	atomic_bool closed; /* see close.c */
	bool never_biased;
	struct range__leaf root;
	_Alignas(8) _Atomic(uint64_t) mutex;
	_Alignas(8) _Atomic(uint64_t) claims_mutex;
	struct range__hold *claims;
	_Alignas(8) _Atomic(uint64_t) biases; /* how often a leaf has become biased */
	void *arg;                            /* for alloc and free */
	struct range_lock_counters *counters; /* NULL: the lock counts no waits */
	_Atomic(uint32_t) nr_canceled;        /* requests: see range__request_canceled() */
};

struct range__node {
	struct range__node *parent;
	struct range__node *left;
	struct range__node *right;
	uint64_t max_end;
	uint64_t max_write_end;
	uint8_t height; /* in its tree; 0: in none */
	uint8_t which;  /* 0 or 1: which node of its range this is */
};

/* The place of a waiter in the tree of its leaf: see wait_tree.h. */
struct range__place {
	struct range__hold *left;
	struct range__hold *right;
	uint64_t max_end;
	uint64_t min_arrival;
	uint64_t max_arrival;
	uint8_t height;
	uint8_t kind;
	uint16_t kinds;
	/*
	 * Not the tree's. RANGE__FIRST: how many ranges the acquisition has. The only range of a
	 * request: which search for deadlocks has come to it last.
	 */
	uint32_t several;
};

struct __attribute__((may_alias)) range__hold {
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	uint8_t how; /* RANGE__WIDE and so on */
	uint8_t starving;
	uint8_t marks;                /* RANGE__SEVERAL and so on; they stay while it waits */
	_Atomic(uint8_t) checked_how; /* the checked build's own: see checked.h */
	uint64_t owner;               /* the thread; the upper half is its number in the system */
	union {
		_Alignas(8) _Atomic(uint64_t) state; /* while it waits */
		struct range__slot *slot;            /* while it is held through a slot */
	};
	struct range__leaf *leaf[2]; /* its first leaf and its last */
	union {
		struct { /* while it is held */
			/*
			 * The words that the two leaves had. If both are one leaf, only the first
			 * entry is used, as in leaf.
			 */
			uint64_t saved_word[2];
			struct range__node node[2];
		};
		struct { /* while it waits */
			uint64_t arrival;
			struct range__place place;
			_Atomic(struct range__leaf *) in; /* whose queue it is in, or NULL */
			struct range__hold *next_wide;
			struct range__hold **wide_link;
			struct range__hold *next_claim;
			struct range__hold **claim_link;
			struct range__hold *next_due; /* RANGE__ASYNC: see async.h */
			union {
				struct range__set *set;               /* a thread waits */
				const struct range_request *requests; /* RANGE__FIRST */
				struct range__hold *first;            /* RANGE__OTHER */
				void (*callback)(int error,
						 void *arg); /* the rest of RANGE__ASYNC */
			};
			union {
				struct range__hold *upgrades; /* RANGE__UPGRADE */
				void *arg;                    /* not RANGE__OTHER */
				void (*callback_of_set)(int error, void *arg); /* RANGE__OTHER */
			};
		};
	};
	_Atomic(struct range__hold *) checked_next; /* the checked build's own */
	struct range__lock *lock;                   /* in the checked build, or RANGE__ASYNC */
};

_Static_assert(sizeof(struct range__lock) <= sizeof(struct range_lock) &&
		       sizeof(struct range_lock) <= 256,
	       "promised in range_lock.h");
_Static_assert(offsetof(struct range__lock, fairness) == 2 * sizeof(uint64_t),
	       "RANGE_LOCK_INITIALIZER_FIFO");
_Static_assert(sizeof(struct range__hold) <= sizeof(struct range_hold) &&
		       sizeof(struct range_hold) <= 192,
	       "promised in range_lock.h");
_Static_assert(offsetof(struct range__hold, start) == offsetof(struct range_hold, start) &&
		       offsetof(struct range__hold, end) == offsetof(struct range_hold, end) &&
		       offsetof(struct range__hold, mode) == offsetof(struct range_hold, mode),
	       "public");
_Static_assert(_Alignof(struct range__lock) <= 8 && _Alignof(struct range__hold) <= 8,
	       "as the public ones");

/* How a range is held, or waits. */
enum {
	RANGE__WIDE = 1, /* it overlaps several leaves; also while it waits */
	RANGE__SLOT = 2, /* it is held through a slot */
	RANGE__TREE = 4, /* it is not in the word of its only leaf: a hint for the release */
	/* With all leaves locked, while it waits: */
	RANGE__LISTED = 8,  /* it is in its first leaf's list of wide waiters */
	RANGE__CLAIMS = 16, /* of the first range: the acquisition has made a claim */
};

/* Marks of a waiter. */
enum {
	RANGE__SEVERAL = 1, /* the acquisition has several ranges */
	RANGE__ASYNC = 2,   /* no thread waits with it: see async.h */
	RANGE__FIRST = 4,   /* RANGE__ASYNC: the first of several ranges */
	RANGE__OTHER = 8,   /* RANGE__ASYNC: another one of several ranges */
	RANGE__UPGRADE = 16 /* it stands for a held range that is to become a writer's */
};

static inline bool range__marked(const struct range__hold *range, unsigned int marks)
{
	return range->marks & marks;
}

static inline bool range__is_wide(const struct range__hold *range)
{
	return range->how & RANGE__WIDE;
}

static inline bool range__slot_holds(const struct range__hold *range)
{
	return range->how & RANGE__SLOT;
}

static inline void range__set_wide(struct range__hold *range, bool wide)
{
	range->how = (uint8_t)((range->how & ~RANGE__WIDE) | (wide ? RANGE__WIDE : 0));
}

static inline struct range__lock *range__lock(struct range_lock *lock)
{
	return (struct range__lock *)(void *)lock;
}

static inline struct range__hold *range__hold(struct range_hold *hold)
{
	return (struct range__hold *)(void *)hold;
}

/* The caller's storage behind a range. */
static inline struct range_hold *range__public(struct range__hold *range)
{
	return (struct range_hold *)(void *)range;
}

#endif
