/* SPDX-License-Identifier: MIT */
/*
 * Readers whose ranges span two leaves: one publication in a slot, and a look at both words. The
 * steps that slots.pml checks in one leaf are one step here; the rest is as there.
 *
 *	acquire()   range__acquire_fast(), enter_both(), enter_slot_instead(), and
 *	            range__acquire_slow() of a reader, by range_trylock(); range__bias_note_locked()
 *	            biases a leaf at any time that it may, REBIAS times
 *	enter()     range__reader_enter(), range__slot_publish()
 *	settle()    recheck_locked() and can_be_recorded(), record_rest(), erase_adopted()
 *	release()   range__reader_leave() and leave_slowly(), or range__release_slow()
 *	revoke()    range__bias_revoke(): one look at a slot for all leaves of the set, then adopt()
 *	writer      range_trylock() and range_unlock() of a range in one leaf, or in both
 *
 * Every writer of a leaf conflicts with all ranges in it.
 *
 * Checked: no reader and writer, and no two writers, hold the same leaf at the same time; an
 * adopted range is in use, and is recorded once in each leaf [SLOT-S3]; in the end the trees and
 * the slots are empty, and each thread has come to its end.
 *
 * BROKEN: variants that must be refuted:
 *	1	after publishing, the reader looks at the word of the first leaf only
 *	2	the same when it leaves
 *	3	a reader that was adopted in one leaf is held, and not recorded in the other one
 *	4	a reader that retracts stays where it was adopted
 *	5	settle() checks only whether the first leaf is unchanged
 *	6	adopt() does not check whether the range has been adopted in this leaf before
 *	7	a reader retracts if one of its leaves has not adopted it and has a writer, but checks
 *		that in the first leaf only
 *	8	a reader that leaves looks only in the leaf whose word has changed first, and leaves its
 *		adopted range in the other one
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define REBIAS  1
#define NOWHERE 255

mtype = { FREE, IN, LEAVING };

/* The leaves. A word is LOCKED, BIASED(generation), or something else. */
bool locked[2];
bool biased[2] = true;
byte generation[2];
byte tree[2]; /* set of ranges */
bool writes[2];

#define word_is(l, g) (!locked[l] && biased[l] && generation[l] == (g))

/* The readers: range r is in slot r if it is in one. */
mtype state[2] = FREE;
byte where[2];        /* set of leaves */
byte stamp[4];        /* of range r in leaf l: 2 r + l */
bool in_slot[2];      /* as the stamp says */
bool adopted[4];      /* height != 0 */
bool in_use[2];       /* from the call that acquires it to the return of its release */
bool held[2];

#define has(r, l) (where[r] & (1 << (l)))

inline lock_leaves(set)
{
	if
	:: (set) & 1 -> atomic { !locked[0] -> locked[0] = true }
	:: else
	fi;
	if
	:: (set) & 2 -> atomic { !locked[1] -> locked[1] = true }
	:: else
	fi
}

inline unlock_leaves(set)
{
	if
	:: (set) & 1 -> locked[0] = false
	:: else
	fi;
	if
	:: (set) & 2 -> locked[1] = false
	:: else
	fi
}

inline record(r, l)
{
	assert(!(tree[l] & (1 << r)));
	tree[l] = tree[l] | (1 << r);
	adopted[2 * r + l] = true
}

inline erase(r, l)
{
	assert(tree[l] & (1 << r));
	tree[l] = tree[l] & ~(1 << r)
}

/* The reader in slot r, which was IN at the look before. */
inline adopt(r, l)
{
	atomic {
		if
		:: biased[l] && has(r, l) ->
			assert(in_use[r]);
			if
			:: !adopted[2 * r + l] || BROKEN == 6 -> record(r, l)
			:: else
			fi
		:: else
		fi
	}
}

inline look_and_adopt(r, set)
{
	if
	:: state[r] == IN ->
		if
		:: (set) & 1 -> adopt(r, 0)
		:: else
		fi;
		if
		:: (set) & 2 -> adopt(r, 1)
		:: else
		fi
	:: else
	fi
}

inline revoke(set)
{
	look_and_adopt(0, set);
	look_and_adopt(1, set);
	atomic {
		biased[0] = biased[0] && !((set) & 1);
		biased[1] = biased[1] && !((set) & 2)
	}
}

#define is_as_it_was(r, l) (!has(r, l) || (biased[l] && generation[l] == stamp[2 * r + l]))
#define can_be_recorded(r, l) (!has(r, l) || adopted[2 * r + l] || !writes[l])

inline record_rest(r, l)
{
	if
	:: has(r, l) && !adopted[2 * r + l] -> record(r, l)
	:: else
	fi
}

inline erase_adopted(r, l)
{
	if
	:: has(r, l) && adopted[2 * r + l] -> erase(r, l); adopted[2 * r + l] = false
	:: else
	fi
}

inline settle(r, ok)
{
	lock_leaves(where[r]);
	atomic {
		if
		:: is_as_it_was(r, 0) && (is_as_it_was(r, 1) || (BROKEN == 5 && has(r, 0))) -> ok = true
		:: else ->
			state[r] = LEAVING;
			in_slot[r] = false;
			ok = can_be_recorded(r, 0) && (can_be_recorded(r, 1) || (BROKEN == 7 && has(r, 0)));
			if
			:: ok && BROKEN == 3 && (adopted[2 * r] || adopted[2 * r + 1])
			:: ok && !(BROKEN == 3 && (adopted[2 * r] || adopted[2 * r + 1])) ->
				record_rest(r, 0);
				record_rest(r, 1)
			:: !ok && BROKEN != 4 -> erase_adopted(r, 0); erase_adopted(r, 1)
			:: !ok && BROKEN == 4
			fi
		fi
	}
	unlock_leaves(where[r]);
	if
	:: state[r] == LEAVING -> state[r] = FREE
	:: else
	fi
}

/* The stamps have been set. Sets ok if the range is held. */
inline enter(r, ok)
{
	atomic { in_slot[r] = true; adopted[2 * r] = false; adopted[2 * r + 1] = false }
	state[r] = IN;
	ok = !has(r, 0) || word_is(0, stamp[2 * r]);
	if
	:: ok && !(BROKEN == 1 && has(r, 0)) -> ok = !has(r, 1) || word_is(1, stamp[2 * r + 1])
	:: else
	fi;
	if
	:: !ok -> settle(r, ok)
	:: else
	fi
}

inline load_word(r, l, ok)
{
	atomic {
		if
		:: has(r, l) && ok ->
			ok = !locked[l] && biased[l];
			stamp[2 * r + l] = generation[l]
		:: else
		fi
	}
}

inline maybe_bias(r, l)
{
	if
	:: has(r, l) && !biased[l] && !writes[l] && generation[l] < REBIAS ->
		biased[l] = true;
		generation[l]++
	:: true
	fi
}

inline acquire_slow(r, ok)
{
	lock_leaves(where[r]);
	if
	:: (!has(r, 0) || biased[0]) && (!has(r, 1) || biased[1]) ->
		atomic { stamp[2 * r] = generation[0]; stamp[2 * r + 1] = generation[1] }
		unlock_leaves(where[r]);
		enter(r, ok);
		if
		:: !ok -> lock_leaves(where[r])
		:: else
		fi
	:: else -> ok = false
	fi;
	if
	:: !ok ->
		atomic {
			ok = !((has(r, 0) && writes[0]) || (has(r, 1) && writes[1]));
			if
			:: ok ->
				adopted[2 * r] = false;
				adopted[2 * r + 1] = false;
				maybe_bias(r, 0);
				maybe_bias(r, 1);
				record_rest(r, 0);
				record_rest(r, 1)
			:: else
			fi
		}
		unlock_leaves(where[r])
	:: else
	fi
}

inline acquire(r, ok)
{
	in_use[r] = true;
	ok = true;
	load_word(r, 0, ok);
	load_word(r, 1, ok);
	if
	:: ok -> enter(r, ok)
	:: else
	fi;
	if
	:: !ok -> acquire_slow(r, ok)
	:: else
	fi;
	atomic {
		if
		:: ok ->
			held[r] = true;
			assert(!(has(r, 0) && writes[0]) && !(has(r, 1) && writes[1]))
		:: else -> in_use[r] = false
		fi
	}
}

inline leave_slowly(r, ok)
{
	lock_leaves(where[r]);
	atomic {
		ok = adopted[2 * r] || adopted[2 * r + 1];
		erase_adopted(r, 0);
		if
		:: BROKEN == 8 && has(r, 0) && generation[0] != stamp[2 * r]
		:: !(BROKEN == 8 && has(r, 0) && generation[0] != stamp[2 * r]) -> erase_adopted(r, 1)
		fi;
		in_slot[r] = false;
		in_use[r] = false;
		if
		:: ok -> state[r] = FREE
		:: else
		fi
	}
	unlock_leaves(where[r]);
	if
	:: !ok -> state[r] = FREE
	:: else
	fi
}

inline release_in(r, l)
{
	if
	:: has(r, l) ->
		lock_leaves(1 << l);
		erase(r, l);
		unlock_leaves(1 << l)
	:: else
	fi
}

inline release(r, ok)
{
	held[r] = false;
	if
	:: in_slot[r] ->
		state[r] = LEAVING;
		ok = !has(r, 0) || word_is(0, stamp[2 * r]);
		if
		:: ok && !(BROKEN == 2 && has(r, 0)) -> ok = !has(r, 1) || word_is(1, stamp[2 * r + 1])
		:: else
		fi;
		if
		:: ok ->
			atomic { in_slot[r] = false; in_use[r] = false }
			state[r] = FREE
		:: else -> leave_slowly(r, ok)
		fi
	:: else ->
		release_in(r, 0);
		release_in(r, 1);
		in_use[r] = false
	fi
}

proctype reader(byte r; byte set)
{
	bool ok;

	where[r] = set;
	acquire(r, ok);
	if
	:: ok -> release(r, ok)
	:: else
	fi;
	ok = false
}

proctype writer(byte set)
{
	bool ok;

	lock_leaves(set);
	revoke(set);
	atomic {
		ok = !((set & 1) && (tree[0] || writes[0])) && !((set & 2) && (tree[1] || writes[1]));
		writes[0] = writes[0] || (ok && (set & 1));
		writes[1] = writes[1] || (ok && (set & 2))
	}
	unlock_leaves(set);
	if
	:: ok ->
		atomic {
			assert(!(set & 1) || !((held[0] && has(0, 0)) || (held[1] && has(1, 0))));
			assert(!(set & 2) || !((held[0] && has(0, 1)) || (held[1] && has(1, 1))))
		}
		if
		:: set & 1 -> lock_leaves(1); writes[0] = false; unlock_leaves(1)
		:: else
		fi;
		if
		:: set & 2 -> lock_leaves(2); writes[1] = false; unlock_leaves(2)
		:: else
		fi
	:: else
	fi
}

init
{
	atomic {
		run reader(0, 3);
		if
		:: run reader(1, 3)
		:: run reader(1, 2)
		fi;
		run writer(1);
		if
		:: run writer(1)
		:: run writer(2)
		:: run writer(3)
		fi
	}
}

active proctype check()
{
	timeout;
	assert(tree[0] == 0 && tree[1] == 0 && state[0] == FREE && state[1] == FREE);
	assert(!in_use[0] && !in_use[1] && !locked[0] && !locked[1] && !writes[0] && !writes[1])
}
