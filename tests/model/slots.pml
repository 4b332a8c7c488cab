/* SPDX-License-Identifier: MIT */
/*
 * Readers that publish their ranges in slots, and a writer that adopts them. The order of the steps
 * on a slot, and against the leaf's word, is that of the source; memory is sequentially consistent
 * (the harness slots.c checks weaker memory).
 *
 *	acquire()   range__acquire_fast() and range__acquire_slow() of a reader, by range_trylock()
 *	enter()     range__reader_enter(), range__slot_publish(), recheck_locked()
 *	release()   range__reader_leave() and leave_slowly(), or range__release_slow()
 *	acquire_locked()   the rest of range__acquire_slow(); range__bias_note_locked() biases the
 *	            leaf at any time that it may, REBIAS times
 *	lock(), unlock()   range__span_lock(), range__span_unlock() of one leaf: see slots_two.pml
 *	                   for two
 *	revoke()    range__bias_revoke() and adopt_reader()
 *	writer      range_trylock() and range_unlock() of a range of key 1, twice
 *	helper      range_unlock() by another thread than the one that locked
 *
 * There is one leaf, and a second one that is always biased and that only one reader uses.
 *
 * Checked: no reader and writer hold the same key at the same time; a thread that adopts finds a
 * range that is in use, and not in the tree [SLOT-S3]; in the end the tree and the slots are empty.
 *
 * ELSEWHERE: see below. BROKEN: variants that must be refuted:
 *	1	a reader does not look at the word again after publishing
 *	2	nor after leaving
 *	3	adopt() does not look at the state again
 *	4	adopt() does not check whether the range has been adopted before
 *	5	a reader that finds the bias ended retracts, also if it has been adopted
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define REBIAS 2

#define RANGES  4
#define SLOTS   2
#define NOWHERE 255

mtype = { FREE, IN, LEAVING };

/* The leaf. Its word is LOCKED, BIASED(generation), or something else. */
bool locked;
bool biased = true;
byte generation;
byte tree; /* set of ranges */
bool writes;

#define word_is(g) (!locked && biased && generation == (g))

/* The slots; which leaf: 0, or 1, the other one. */
mtype state[SLOTS] = FREE;
byte version[SLOTS];
bit leaf[SLOTS];
byte range[SLOTS] = NOWHERE;

/* The ranges. */
byte key[RANGES];
byte stamp[RANGES] = NOWHERE; /* generation, or NOWHERE: it is in no slot */
bool adopted[RANGES];         /* height != 0 */
bool in_use[RANGES];          /* from the call that acquires it to the return of its release */
bool held[RANGES];            /* its user reads */

inline lock()
{
	atomic { !locked -> locked = true }
}

inline unlock()
{
	locked = false
}

inline free_slot(s)
{
	atomic { assert(state[s] == LEAVING); state[s] = FREE; version[s]++ }
}

/* The state of a slot that adopt() has seen, with the leaf locked. */
byte seen, found;

inline adopt(s)
{
	if
	:: state[s] != IN
	:: atomic { state[s] == IN -> seen = version[s] }
		found = range[s];
		if
		:: leaf[s] != 0
		:: else ->
			atomic {
				if
				:: (state[s] == IN && version[s] == seen) || BROKEN == 3 ->
					assert(in_use[found]);
					if
					:: !adopted[found] || BROKEN == 4 ->
						assert(!(tree & (1 << found)));
						tree = tree | (1 << found);
						adopted[found] = true
					:: else
					fi
				:: else
				fi
			}
		fi
	fi
}

inline revoke()
{
	if
	:: biased ->
		biased = false;
		adopt(0);
		adopt(1);
		atomic { seen = 0; found = 0 }
	:: else
	fi
}

/* Without a slot, by the tree. */
inline acquire_locked(r, fails)
{
	atomic {
		if
		:: writes && key[r] == 1 -> fails = true
		:: else ->
			if
			:: !biased && !writes && generation < REBIAS -> biased = true; generation++
			:: true
			fi;
			tree = tree | (1 << r);
			adopted[r] = true;
			stamp[r] = NOWHERE
		fi;
		unlock()
	}
}

/* g is the generation that the reader has seen. Sets is_held. */
inline enter(r, s, g, is_held)
{
	is_held = false;
	if
	:: state[s] != FREE
	:: else ->
		atomic { stamp[r] = g; adopted[r] = false; leaf[s] = 0 }
		range[s] = r;
		state[s] = IN;
		if
		:: word_is(g) || BROKEN == 1 -> is_held = true
		:: else ->
			lock();
			atomic {
				if
				:: biased && generation == g -> is_held = true
				:: else ->
					stamp[r] = NOWHERE;
					state[s] = LEAVING;
					is_held = adopted[r] || !(writes && key[r] == 1);
					if
					:: BROKEN == 5 -> is_held = false
					:: BROKEN != 5 && is_held && !adopted[r] ->
						tree = tree | (1 << r);
						adopted[r] = true
					:: else
					fi
				fi;
				unlock()
			}
			if
			:: state[s] == LEAVING -> free_slot(s)
			:: else
			fi
		fi
	fi
}

inline acquire(r, s, g, is_held, fails)
{
	in_use[r] = true;
	is_held = false;
	fails = false;
	atomic {
		g = NOWHERE;
		if
		:: !locked && biased -> g = generation
		:: else
		fi
	}
	if
	:: g != NOWHERE -> enter(r, s, g, is_held)
	:: else
	fi;
	if
	:: !is_held ->
		lock();
		if
		:: biased ->
			atomic { g = generation; unlock() }
			enter(r, s, g, is_held);
			if
			:: !is_held ->
				lock();
#ifdef ELSEWHERE
				/*
				 * A reader that finds no slot ends the bias if such readers have
				 * cost enough.
				 */
				if
				:: revoke()
				:: true
				fi;
#endif
				acquire_locked(r, fails)
			:: else
			fi
		:: else -> acquire_locked(r, fails)
		fi
	:: else
	fi;
	atomic {
		if
		:: fails -> in_use[r] = false
		:: else ->
			held[r] = true;
			assert(!(writes && key[r] == 1))
		fi
	}
}

inline release(r, s)
{
	held[r] = false;
	if
	:: stamp[r] != NOWHERE ->
		state[s] = LEAVING;
		if
		:: word_is(stamp[r]) || BROKEN == 2 ->
			atomic { stamp[r] = NOWHERE; in_use[r] = false }
			free_slot(s)
		:: else ->
			lock();
			if
			:: adopted[r] ->
				free_slot(s);
				atomic {
					assert(tree & (1 << r));
					tree = tree & ~(1 << r);
					stamp[r] = NOWHERE;
					in_use[r] = false;
					unlock()
				}
			:: else ->
				unlock();
				atomic { stamp[r] = NOWHERE; in_use[r] = false }
				free_slot(s)
			fi
		fi
	:: else ->
		lock();
		atomic {
			assert(tree & (1 << r));
			tree = tree & ~(1 << r);
			in_use[r] = false;
			unlock()
		}
	fi
}

/*
 * With ELSEWHERE, the first range is in the other leaf, which no other thread uses, and another
 * thread releases it. The second range needs the same slot.
 */
#ifdef ELSEWHERE
bool handed_away;
#endif

active proctype wanderer()
{
	byte g;
	bool is_held, fails;

	atomic { key[0] = 1; key[1] = 1 }
#ifdef ELSEWHERE
	in_use[0] = true;
	leaf[0] = 1;
	range[0] = 0;
	state[0] = IN;
	handed_away = true;
#endif
	acquire(1, 0, g, is_held, fails);
	if
	:: held[1] -> release(1, 0)
	:: else
	fi
}

#ifdef ELSEWHERE
active proctype helper_elsewhere()
{
	handed_away;
	state[0] = LEAVING;
	in_use[0] = false;
	free_slot(0)
}
#endif

/*
 * The helper releases the first range, at any time. Without ELSEWHERE, a second range needs the
 * same slot.
 */
bool handed;

active proctype reader()
{
	byte g;
	bool is_held, fails;

	atomic { key[2] = 1; key[3] = 2 }
	acquire(2, 1, g, is_held, fails);
	handed = true;
#ifndef ELSEWHERE
	acquire(3, 1, g, is_held, fails);
	if
	:: held[3] -> release(3, 1)
	:: else
	fi
#endif
}

active proctype helper()
{
	handed;
	if
	:: held[2] -> release(2, 1)
	:: else
	fi
}

active proctype writer()
{
	byte r, rounds;

	do
	:: rounds == 2 -> break
	:: else ->
		rounds++;
		lock();
		revoke();
		atomic {
			r = 0;
			do
			:: r < RANGES && (tree & (1 << r)) && key[r] == 1 -> break
			:: r < RANGES && !((tree & (1 << r)) && key[r] == 1) -> r++
			:: r == RANGES -> break
			od;
			writes = r == RANGES;
			unlock()
		}
		if
		:: writes ->
			atomic { assert(!(held[1] || held[2])) }
			lock();
			atomic { writes = false; unlock() }
		:: else
		fi
	od
}

/*
 * Runs when no thread can go on. A thread that has not come to its end by then is an error as well.
 */
active proctype check()
{
	timeout;
	assert(tree == 0 && state[0] == FREE && state[1] == FREE);
	assert(!in_use[1] && !in_use[2] && !in_use[3] && !locked)
}
