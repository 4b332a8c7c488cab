/* SPDX-License-Identifier: MIT */
/*
 * The words of three leaves: how threads lock several of them, and the fast path for two. Memory is
 * sequentially consistent; the harness straddle.c checks weaker memory.
 *
 *	lock()            range__leaf_lock(), which records the range of the word; sleeping is left
 *	                  out
 *	fast()            range__acquire_fast() and acquire_both(): one swap; or lock the first
 *	                  word, swap the second one, unlock the first one
 *	span()            range__span_lock() and hold_one_and_unlock()
 *	set()             the same for two ranges: lock_next(), try_index() and go_right(),
 *	                  record_all()
 *	release()         range_unlock(), range__release_wide(): by swaps; range__release_slow()
 *
 * Any two ranges that overlap a leaf conflict. No thread waits for a range: a blocked acquisition
 * fails.
 *
 * Checked: at most one thread holds a range in each leaf; a range is recorded once; in the end all
 * words are EMPTY; each thread comes to an end (no invalid end state), so that no threads wait for
 * each other's leaves in a cycle.
 *
 * BROKEN: variants that must be refuted:
 *	1	the fast path puts the range into the first word before the second one is decided, and
 *		then stores the old word again
 *	2	a thread locks its leaves in descending order
 *	3	a set waits for the leaf that the index names
 *	4	a thread that locks a leaf does not record the range in its word
 *	5	a range is released by a store
 *	6	of two swaps that release a range, the result of the second one is ignored
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define L 3
#define N 4

mtype = { EMPTY, SINGLE, TREE, LOCKED };

mtype word[L] = EMPTY;
byte inside[L];   /* SINGLE: the thread whose range it is */
byte recorded[L]; /* a set of threads */
byte user[L];     /* a set of threads, whose ranges are held */

inline note(l, i)
{
	assert(!(recorded[l] & (1 << i)));
	recorded[l] = recorded[l] | (1 << i)
}

inline lock(l)
{
	atomic {
		word[l] != LOCKED;
		if
		:: word[l] == SINGLE && BROKEN != 4 -> note(l, inside[l])
		:: else
		fi;
		inside[l] = 0;
		word[l] = LOCKED
	}
}

inline unlock(l)
{
	atomic {
		assert(word[l] == LOCKED);
		word[l] = (recorded[l] -> TREE : EMPTY)
	}
}

inline make_single(l, i)
{
	word[l] = SINGLE;
	inside[l] = i
}

/* The range of thread i spans leaves a to b. */
inline begin_use(i, a, b)
{
	d_step {
		for (k : a .. b) {
			assert(user[k] == 0);
			user[k] = user[k] | (1 << i)
		}
		k = 0
	}
}

inline end_use(i, a, b)
{
	d_step {
		for (k : a .. b) {
			user[k] = user[k] & ~(1 << i)
		}
		k = 0
	}
}

inline swap_back(l, i, swapped)
{
	atomic {
		if
		:: (word[l] == SINGLE && inside[l] == i) || BROKEN == 5 ->
			word[l] = EMPTY;
			inside[l] = 0;
			swapped = true
		:: else -> swapped = false
		fi
	}
}

inline release_slow(i, from, b, l)
{
	l = from;
	do
	:: l <= b ->
		lock(l);
		atomic {
			assert(recorded[l] & (1 << i));
			recorded[l] = recorded[l] & ~(1 << i)
		}
		unlock(l);
		l++
	:: else -> break
	od;
	l = 0
}

inline release(i, a, b, l, ok)
{
	end_use(i, a, b);
	if
	:: b <= a + 1 ->
		swap_back(a, i, ok);
		if
		:: ok && b > a ->
			swap_back(b, i, ok);
			if
			:: !ok && BROKEN != 6 -> release_slow(i, b, b, l)
			:: else
			fi
		:: ok && b == a
		:: !ok -> release_slow(i, a, b, l)
		fi
	:: else -> release_slow(i, a, b, l)
	fi
}

inline fast(i, a, b, l, ok)
{
	ok = false;
	atomic {
		if
		:: word[a] == EMPTY ->
			ok = true;
			if
			:: a == b || BROKEN == 1 -> make_single(a, i)
			:: else -> word[a] = LOCKED
			fi
		:: else
		fi
	}
	if
	:: ok && a != b ->
		atomic {
			if
			:: word[b] == EMPTY -> make_single(b, i)
			:: else -> ok = false
			fi
		}
		atomic {
			if
			:: ok && BROKEN != 1 -> make_single(a, i)
			:: !ok -> word[a] = EMPTY; inside[a] = 0
			:: else
			fi
		}
	:: else
	fi;
	if
	:: ok -> begin_use(i, a, b); release(i, a, b, l, ok)
	:: else
	fi
}

/* With the leaves locked: whether no range is held in them. */
inline look(a, b, ok)
{
	d_step {
		ok = true;
		for (k : a .. b) {
			ok = ok && recorded[k] == 0
		}
		k = 0
	}
}

inline span(i, a, b, l, ok)
{
	if
	:: BROKEN == 2 ->
		l = b;
		do
		:: l > a -> lock(l); l--
		:: else -> lock(a); break
		od
	:: else ->
		l = a;
		do
		:: l <= b -> lock(l); l++
		:: else -> break
		od
	fi;
	look(a, b, ok);
	l = a;
	do
	:: l <= b ->
		atomic {
			if
			:: ok && (l == a || l == b) -> make_single(l, i)
			:: ok && l != a && l != b -> note(l, i); word[l] = TREE
			:: else -> word[l] = (recorded[l] -> TREE : EMPTY)
			fi
		}
		l++
	:: else -> break
	od;
	l = 0;
	if
	:: ok -> begin_use(i, a, b); release(i, a, b, l, ok)
	:: else
	fi
}

/* A range in leaf 1, and one in leaf 2. The index may be out of date, and name any leaf. */
inline set(i, l, ok)
{
	lock(1);
	if
	:: l = 0
	:: l = 2
	fi;
	if
	:: BROKEN == 3 -> lock(l); ok = true
	:: else ->
		atomic {
			ok = word[l] != LOCKED;
			if
			:: ok -> lock(l)
			:: else
			fi
		}
	fi;
	if
	:: ok && l != 2 -> unlock(l); ok = false
	:: else
	fi;
	if
	:: !ok -> lock(2)
	:: else
	fi;
	l = 0;
	look(1, 2, ok);
	atomic {
		if
		:: ok -> note(1, i); note(2, i)
		:: else
		fi
	}
	unlock(1);
	unlock(2);
	if
	:: ok -> begin_use(i, 1, 2); release_set(i, l)
	:: else
	fi
}

inline release_set(i, l)
{
	end_use(i, 1, 2);
	release_slow(i, 2, 2, l);
	release_slow(i, 1, 1, l)
}

byte k;

active proctype straddler()
{
	byte l;
	bool ok;

	fast(0, 0, 1, l, ok);
	fast(0, 0, 1, l, ok);
	ok = false
}

active proctype spanner()
{
	byte l;
	bool ok;

	if
	:: true -> span(1, 0, 1, l, ok)
	:: true -> span(1, 0, 2, l, ok)
	fi;
	ok = false
}

active proctype single_or_straddler()
{
	byte l;
	bool ok;

	if
	:: true -> fast(2, 1, 1, l, ok)
	:: true -> fast(2, 1, 2, l, ok)
	fi;
	ok = false
}

active proctype two_ranges()
{
	byte l;
	bool ok;

	set(3, l, ok);
	ok = false
}

active proctype check()
{
	timeout;
	assert(word[0] == EMPTY && word[1] == EMPTY && word[2] == EMPTY);
	assert((recorded[0] | recorded[1] | recorded[2]) == 0)
}
