/* SPDX-License-Identifier: MIT */
/*
 * Waiting and waking in one leaf: barging, starving waiters, the designated waker, timeouts,
 * range_cancel(). What leaf.c and wait.c do with the leaf locked is one step here (that it is, and
 * the sleeping on the leaf's word, is what the harnesses beside this check); parking and waking are
 * steps of their own. Keys are bits: a range is a set of them.
 *
 *	acquire()      range_lock(), range_timedlock(): range__acquire_fast(), also past waiters (EMPTY
 *	               with WAITERS), and range__acquire_slow()
 *	wait()         wait() and sleep_until_woken(); mmrange__park() is its step with asleep
 *	release()      range_unlock(), which wakes nobody if the leaf has not been locked (SINGLE), and
 *	               range__release_slow()
 *	cancel()       range_cancel() and cancel_and_unlock()
 *	blocks()       range__leaf_blocks(); conflict, behind_starving, behind_woken as there
 *	enqueue(), dequeue(), wait_again()   range__leaf_enqueue(), ...
 *	promote()      range__leaf_promote(); whether it is time is anybody's guess
 *	wake()         range__leaf_wake()
 *	unlock()       range__leaf_unlock(), with the invariant at the head of leaf.c: each WAITING
 *	               range has a cause
 *	unpark()       mmrange__unpark(), after the leaf is unlocked
 *
 * Checked: conflicting ranges are not held together; each WAITING range has a cause whenever the leaf
 * is unlocked; of grant, deadline and cancel one decides, and both sides say the same; everybody
 * comes to an end (no invalid end state), so no wake-up is lost.
 *
 * CANCEL, READERS: see the end. FIFO: everybody is starving from the start. BROKEN: what must be refuted:
 *	1	a waiter that gives up wakes nobody
 *	2	a woken waiter that has to wait again wakes nobody
 *	3	a waiter does not look again, with the leaf locked, whether it has been canceled
 *	4	parking does not compare the state
 *	5	a canceled waiter is not woken
 *	6	who came by the fast path wakes nobody, also if the leaf has been locked since
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#ifdef FIFO
#define STARVING_FROM_START 1
#else
#define STARVING_FROM_START 0
#endif

#define N 4

mtype = { IDLE, HELD, WAITING, WOKEN, CANCELED };

/* Of the leaf and the ranges; i is the range of thread i. */
mtype state[N] = IDLE;
bool queued[N];
byte queue[N];
byte nr_queued;
byte mask[N];
bool writer[N];
bool starving[N];
bool asleep[N];
bool single; /* what is held came by the fast path, and nobody has locked the leaf since */

/* What range_cancel() has said. */
bool canceled[N];

#define overlaps(a, keys) ((mask[a] & (keys)) != 0)
#define conflict(a, b)    ((writer[a] || writer[b]) && overlaps(a, mask[b]))

/* Results of the inlines that look for something. */
hidden byte k, m, w;
hidden byte found, going;

/* Whether something held conflicts with a. */
inline held_conflict(a)
{
	found = false;
	for (k : 0 .. N - 1) {
		if
		:: state[k] == HELD && conflict(k, a) -> found = true
		:: else
		fi
	}
}

/* Adds to found: whether one that is starving and before a in the queue conflicts with it. */
inline or_behind_starving(a)
{
	k = 0;
	do
	:: k < nr_queued && queue[k] != a ->
		if
		:: starving[queue[k]] && conflict(queue[k], a) -> found = true
		:: else
		fi;
		k++
	:: else -> break
	od
}

/* Adds to found: whether a woken waiter conflicts with a. */
inline or_behind_woken(a)
{
	k = 0;
	do
	:: k < nr_queued ->
		if
		:: queue[k] != a && state[queue[k]] == WOKEN && conflict(queue[k], a) -> found = true
		:: else
		fi;
		k++
	:: else -> break
	od
}

inline blocks(a)
{
	held_conflict(a);
	or_behind_starving(a)
}

inline enqueue(a)
{
	state[a] = WAITING;
	starving[a] = STARVING_FROM_START;
	queued[a] = true;
	queue[nr_queued] = a;
	nr_queued++
}

inline dequeue(a)
{
	k = 0;
	do
	:: queue[k] != a -> k++
	:: else -> break
	od;
	nr_queued--;
	do
	:: k < nr_queued -> queue[k] = queue[k + 1]; k++
	:: else -> break
	od;
	queue[nr_queued] = 0;
	queued[a] = false;
	starving[a] = false
}

inline nobody_starves()
{
	found = true;
	for (k : 0 .. N - 1) {
		if
		:: starving[k] -> found = false
		:: else
		fi
	}
}

/* wakes: the set of those to be woken after the leaf is unlocked. */
inline wake(keys, wakes)
{
	m = 0;
	going = true;
	do
	:: m < nr_queued && going ->
		w = queue[m];
		m++;
		if
		:: overlaps(w, keys) ->
			blocks(w);
			if
			:: !starving[w] -> or_behind_woken(w)
			:: else
			fi;
			if
			:: state[w] == WAITING && !found ->
				state[w] = WOKEN;
				wakes = wakes | (1 << w)
			:: else
			fi;
			nobody_starves();
			if
			:: writer[w] && (mask[w] & (keys)) == (keys) &&
			   (starving[w] || (state[w] == WOKEN && found)) -> going = false
			:: else
			fi
		:: else
		fi
	:: else -> break
	od
}

/* The first that is neither starving nor behind one that is. */
inline promote()
{
	m = 0;
	do
	:: m < nr_queued ->
		w = queue[m];
		m++;
		found = starving[w];
		or_behind_starving(w);
		if
		:: !found -> starving[w] = true; break
		:: else
		fi
	:: else -> break
	od
}

inline maybe_promote()
{
	if
	:: !STARVING_FROM_START -> promote()
	:: true
	fi
}

inline unlock()
{
	single = single && BROKEN == 6;
	unlocked()
}

/* What holds whenever the leaf is not locked. */
inline unlocked()
{
	m = 0;
	do
	:: m < nr_queued ->
		w = queue[m];
		m++;
		held_conflict(w);
		or_behind_woken(w);
		or_behind_starving(w);
		assert(state[w] == WOKEN || found)
	:: else -> break
	od;
	for (m : 0 .. N - 1) {
		if
		:: state[m] == HELD -> held_conflict_other(m)
		:: else
		fi
	}
	found = false
}

inline held_conflict_other(a)
{
	for (k : 0 .. N - 1) {
		assert(!(k != a && state[k] == HELD && conflict(k, a)))
	}
}

inline unpark(a)
{
	asleep[a] = false
}

/* In any order would be the same: each is for one thread. */
inline unpark_all(wakes)
{
	do
	:: wakes & 1 -> atomic { unpark(0); wakes = wakes & ~1 }
	:: !(wakes & 1) && (wakes & 2) -> atomic { unpark(1); wakes = wakes & ~2 }
	:: !(wakes & 3) && (wakes & 4) -> atomic { unpark(2); wakes = wakes & ~4 }
	:: !(wakes & 7) && (wakes & 8) -> atomic { unpark(3); wakes = wakes & ~8 }
	:: wakes == 0 -> break
	od
}

/* The range of thread i is in the queue. timed: there is a deadline, which passes at any time. */
inline wait(i, timed, wakes, late)
{
	do
	:: true ->
		late = false;
		do
		:: state[i] == WAITING && !late ->
			atomic {
				if
				:: state[i] == WAITING || BROKEN == 4 -> asleep[i] = true
				:: else
				fi
			}
			if
			:: !asleep[i]
			:: timed -> atomic { late = asleep[i]; asleep[i] = false }
			fi
		:: state[i] != WAITING || late -> break
		od;
		if
		:: state[i] == CANCELED -> break
		:: else
		fi;
		atomic {
			if
			:: state[i] == CANCELED && BROKEN != 3 -> unlock(); break
			:: else
			fi;
			blocks(i);
			if
			:: !found ->
				dequeue(i);
				state[i] = HELD;
				unlock();
				break
			:: found && late ->
				dequeue(i);
				state[i] = IDLE;
				if
				:: BROKEN != 1 -> maybe_promote(); wake(mask[i], wakes)
				:: else
				fi;
				unlock();
				break
			:: found && !late ->
				state[i] = WAITING; /* wait_again() */
				if
				:: BROKEN != 2 -> maybe_promote(); wake(mask[i], wakes)
				:: else
				fi;
				unlock()
			fi
		}
		unpark_all(wakes)
	od;
	unpark_all(wakes)
}

inline release(i, wakes)
{
	atomic {
		state[i] = IDLE;
		if
		:: !single ->
			maybe_promote();
			wake(mask[i], wakes)
		:: else
		fi;
		unlock()
	}
	unpark_all(wakes)
}

/* Whether the word says EMPTY: nothing is held, and if somebody waits, one is woken and none starves. */
inline is_empty()
{
	nobody_starves();
	m = 0;
	for (k : 0 .. N - 1) {
		if
		:: state[k] == HELD -> found = false
		:: state[k] == WOKEN -> m = 1
		:: else
		fi
	}
	if
	:: nr_queued > 0 && m == 0 -> found = false
	:: else
	fi
}

inline acquire(i, timed, wakes, late)
{
	atomic {
		assert(state[i] == IDLE && !queued[i]);
		is_empty();
		if
		:: found -> state[i] = HELD; single = true; unlocked()
		:: !found ->
			blocks(i);
			if
			:: !found -> state[i] = HELD
			:: else -> enqueue(i)
			fi;
			unlock()
		fi
	}
	if
	:: state[i] != HELD -> wait(i, timed, wakes, late)
	:: else
	fi;
	/* One outcome, and range_cancel() knows it. */
	atomic {
		assert((state[i] == CANCELED) == canceled[i]);
		assert(!queued[i]);
		if
		:: state[i] == CANCELED -> state[i] = IDLE; canceled[i] = false
		:: else
		fi
	}
}

proctype thread(byte i; byte keys; bool writes; bool timed)
{
	byte wakes = 0;
	bool late = false;

	atomic { mask[i] = keys; writer[i] = writes }
	acquire(i, timed, wakes, late);
	if
	:: state[i] == HELD -> release(i, wakes)
	:: else
	fi
}

/* Once, whatever it meets. */
proctype canceler(byte i)
{
	byte wakes = 0;
	bool mine = false;

	atomic {
		if
		:: queued[i] ->
			dequeue(i);
			maybe_promote();
			wake(mask[i], wakes);
			state[i] = CANCELED;
			canceled[i] = true;
			mine = true;
			unlock()
		:: else
		fi
	}
	unpark_all(wakes);
	if
	:: mine && BROKEN != 5 -> atomic { unpark(i) }
	:: else
	fi
}

/*
 * Two writers of all keys, of which the second may give up, and with CANCEL may be canceled; and
 * writers of one key each, or with READERS readers of all.
 */
#ifdef READERS
#define run_part(i, keys) run thread(i, 3, false, false)
#else
#define run_part(i, keys) run thread(i, keys, true, false)
#endif

init
{
	atomic {
		run thread(0, 3, true, false);
		run_part(2, 1);
#ifdef CANCEL
		run canceler(1);
		if
		:: run thread(1, 3, true, true)
		:: run thread(1, 3, true, false)
		fi
#else
		run thread(1, 3, true, true);
		run_part(3, 2)
#endif
	}
}
