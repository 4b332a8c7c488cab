/* SPDX-License-Identifier: MIT */
/*
 * Waiting and waking over several leaves: barging, starving waiters and claims, queues that a
 * waiter moves between, the designated waker, timeouts, range_cancel(), splits and merges. The
 * steps of waiters.c, queue.c and wait.c with all leaves of an acquisition locked are one step
 * here; words.pml is about locking them. Parking and waking are steps of their own, and so is the
 * release in each leaf. Keys are bits; a range is a set of neighbouring bits, and an acquisition
 * has one or two.
 *
 *	acquire()      range__acquire_fast(), also past waiters (EMPTY with WAITERS), and
 *	               range__acquire_slow(), range__queue_arrive()
 *	wait()         wait_until_granted() and sleep_until_woken(); mmrange__park() is its step
 *	               with asleep
 *	release()      range_unlock(): by one swap or two, which wake no waiter (SINGLE), and
 *	               range__release_slow()
 *	canceler()     range_cancel() and range__expel_and_unlock()
 *	blocks()       range__leaf_blocks(); conflicts, starving waiters and claims as there
 *	find_obstacle(), wait_again(), give_up()    as in queue.c and wait.c
 *	promote(), wake()    range__leaf_promote(), range__leaf_wake(); whether it is time to
 *	               promote is left open
 *	arrive_at()    arrival_in(); the clock may stand still
 *	adapter()      range__leaf_split() and range__leaf_absorb(), and the checks before them
 *	check_all()    whenever leaves are unlocked: each WAITING range has a cause, see waiters.c
 *
 * Checked: conflicting ranges are not held together; each WAITING range has a cause in its leaf; no
 * acquisition is granted before a conflicting one that is starving and came before it, and with
 * FIFO before any conflicting one that came before it; exactly one of grant, deadline and cancel
 * decides, and both sides agree on it; each thread comes to an end (no invalid end state), so no
 * wake-up is lost.
 *
 * The end of the file has the threads. BROKEN: variants that must be refuted:
 *	1	a waiter that gives up wakes none
 *	2	a woken waiter that has to wait again in the same queue wakes none
 *	3	a waiter does not check again, with its leaves locked, whether it has been canceled
 *	4	parking does not compare the state
 *	5	a canceled waiter is not woken
 *	6	a range that came by the fast path is released by a swap, also if the leaf has been
 *		locked since
 *	7	a waiter that moves to another queue wakes none in the old one
 *	8	a claim is not counted in the last of its leaves
 *	9	claims of other leaves block, too
 *	10	a claim that is given up wakes only in the queue
 *	11	a leaf is split although a range crosses the point
 *	12	a leaf is split although it counts a claim
 *	13	a newcomer arrives after the waiters of its queues, but maybe not after claims
 *	14	a leaf that counts a claim can be EMPTY with WAITERS
 *	15	a range in the words of two leaves is released in the first one only
 *	16	a waiter that moves to another queue arrives there anew
 *	17	a starving waiter that moves to another queue does not claim
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#ifdef FIFO
#define IS_FIFO 1
#else
#define IS_FIFO 0
#endif
#ifdef STANDS_STILL
#define CLOCK_MAY_STAND true
#else
#define CLOCK_MAY_STAND false
#endif

#define N     4
#define L     3
#define NONE  15
#define NEVER 255

mtype = { IDLE, HELD, WAITING, WOKEN, CANCELED };

/* The leaves, in order. A leaf without keys does not exist. */
byte keys[L];
bool single[L]; /* the word is SINGLE: one range is held, and no thread has locked the leaf since */

/* The acquisitions. i is that of thread i; its ranges are 2 i and 2 i + 1 (0: none). */
byte mask[2 * N];
bool writer[N];
mtype state[N] = IDLE;
byte in_leaves[N]; /* held: the leaves in which it is recorded, or in the word */
byte queue[N] = NONE;
bit stands[N];     /* which of its ranges is in the queue */
byte arrival[N] = NEVER;
bool wide[N];
bool starving[N];
bool promoted[N];
bool claims[N];
byte counted[N]; /* the leaves that count its claim */
bool asleep[N];
byte now = 1;

/* For the checks. */
bool in_use[N];
bool canceled[N];
byte came[N]; /* the order of arrival, as it was */
byte nr_came;

#define range_of(i)     mask[2 * (i) + stands[i]]
#define reaches(i, l)   (((mask[2 * (i)] | mask[2 * (i) + 1]) & keys[l]) != 0)
#define bits(i)         ((reaches(i, 0) -> 1 : 0) | (reaches(i, 1) -> 2 : 0) | (reaches(i, 2) -> 4 : 0))
#define modes(a, b)     (a != b && (writer[a] || writer[b]))
#define has_conflict(a, b) (modes(a, b) && ((mask[2 * (a)] | mask[2 * (a) + 1]) & (mask[2 * (b)] | mask[2 * (b) + 1])) != 0)
#define waits(i)        (state[i] == WAITING || state[i] == WOKEN)

#define earlier(a, b)      (arrival[a] < arrival[b] || (arrival[a] == arrival[b] && a < b))

/* Results of the inlines that look for something; 0 between steps. */
byte j, k, m, w, x;
byte found, going, counts;
byte at_range, at_leaf;

/* Sets found if a held range conflicts in leaf l with range r of acquisition a. */
inline held_conflict(a, r, l)
{
	found = false;
	for (k : 0 .. N - 1) {
		if
		:: (in_leaves[k] & (1 << (l))) && modes(k, a) &&
		   (((mask[2 * k] & keys[l]) && (mask[2 * k] & mask[2 * (a) + (r)])) ||
		    ((mask[2 * k + 1] & keys[l]) && (mask[2 * k + 1] & mask[2 * (a) + (r)]))) ->
			found = true
		:: else
		fi
	}
}

/* Adds to found whether an earlier starving waiter of the queue of l conflicts. */
inline or_behind_starving(a, r, l)
{
	for (k : 0 .. N - 1) {
		if
		:: queue[k] == (l) && starving[k] && modes(k, a) && earlier(k, a) &&
		   (range_of(k) & mask[2 * (a) + (r)]) -> found = true
		:: else
		fi
	}
}

inline or_behind_woken(a, r, l)
{
	for (k : 0 .. N - 1) {
		if
		:: queue[k] == (l) && state[k] == WOKEN && modes(k, a) &&
		   (range_of(k) & mask[2 * (a) + (r)]) -> found = true
		:: else
		fi
	}
}

inline or_claims_block(a, r, l)
{
	counts = false;
	for (k : 0 .. N - 1) {
		if
		:: counted[k] & (1 << (l)) -> counts = true
		:: else
		fi
	}
	for (k : 0 .. N - 1) {
		if
		:: (counts || BROKEN == 9) && claims[k] && modes(k, a) &&
		   (((mask[2 * k] & mask[2 * (a) + (r)]) && earlier(k, a) &&
		     ((mask[2 * k] & keys[l]) || BROKEN == 9)) ||
		    ((mask[2 * k + 1] & mask[2 * (a) + (r)]) && earlier(k, a) &&
		     ((mask[2 * k + 1] & keys[l]) || BROKEN == 9))) -> found = true
		:: else
		fi
	}
}

inline blocks(a, r, l)
{
	held_conflict(a, r, l);
	or_behind_starving(a, r, l);
	or_claims_block(a, r, l)
}

/*
 * Sets going and w to the first waiter in the queue of l after w, or the very first if w is NONE.
 */
inline next_in_queue(l)
{
	x = NONE;
	for (k : 0 .. N - 1) {
		if
		:: queue[k] == (l) && (w == NONE || earlier(w, k)) &&
		   (x == NONE || earlier(k, x)) -> x = k
		:: else
		fi
	}
	w = x
}

inline one_starves_in(l)
{
	going = false;
	for (k : 0 .. N - 1) {
		if
		:: queue[k] == (l) && starving[k] -> going = true
		:: else
		fi
	}
}

/* wakes: the set of the acquisitions to wake after the leaves are unlocked. */
inline wake_in(l, range, wakes)
{
	w = NONE;
	next_in_queue(l);
	do
	:: w == NONE -> break
	:: else ->
		if
		:: range_of(w) & (range) ->
			blocks(w, stands[w], l);
			if
			:: !starving[w] -> or_behind_woken(w, stands[w], l)
			:: else
			fi;
			if
			:: state[w] == WAITING && !found -> state[w] = WOKEN; wakes = wakes | (1 << w)
			:: else
			fi;
			one_starves_in(l);
			if
			:: writer[w] && (range_of(w) & (range)) == (range) &&
			   (starving[w] || (state[w] == WOKEN && !going)) -> break
			:: else
			fi
		:: else
		fi;
		next_in_queue(l)
	od;
	w = 0
}

inline promote(l, wakes)
{
	w = NONE;
	next_in_queue(l);
	do
	:: w == NONE -> break
	:: else ->
		found = starving[w] || promoted[w];
		or_behind_starving(w, stands[w], l);
		or_claims_block(w, stands[w], l);
		if
		:: found
		:: !found && (wide[w] || mask[2 * w + 1]) ->
			promoted[w] = true;
			if
			:: state[w] == WAITING -> state[w] = WOKEN; wakes = wakes | (1 << w)
			:: else
			fi;
			break
		:: else -> starving[w] = true; break
		fi;
		next_in_queue(l)
	od;
	w = 0
}

/* range__wake() */
inline wake(l, range, wakes)
{
	if
	:: !IS_FIFO -> d_step { promote(l, wakes) }
	:: true
	fi;
	d_step { wake_in(l, range, wakes) }
}

inline lock_all(a)
{
	for (k : 0 .. L - 1) {
		single[k] = single[k] && (!reaches(a, k) || BROKEN == 6)
	}
	m = bits(a);
	wide[a] = m != 1 && m != 2 && m != 4;
	m = 0
}

/* Sets at_leaf (NONE if there is no obstacle) and at_range. */
inline find_obstacle(a)
{
	at_leaf = NONE;
	at_range = 0;
	for (j : 0 .. 2 * L - 1) {
		if
		:: at_leaf == NONE && (mask[2 * (a) + j / L] & keys[j % L]) ->
			blocks(a, j / L, j % L);
			if
			:: found -> at_leaf = j % L; at_range = j / L
			:: else
			fi
		:: else
		fi
	}
}

inline claim(a)
{
	claims[a] = true;
	starving[a] = true;
	counted[a] = bits(a);
	if
	:: BROKEN == 8 && (counted[a] & 4) -> counted[a] = counted[a] & ~4
	:: BROKEN == 8 && !(counted[a] & 4) -> counted[a] = counted[a] & ~2
	:: else
	fi
}

inline unclaim(a)
{
	assert(!claims[a] || counted[a] == bits(a) || BROKEN);
	claims[a] = false;
	counted[a] = 0
}

inline enqueue(a)
{
	queue[a] = at_leaf;
	stands[a] = at_range;
	state[a] = WAITING
}

/* Only the order of arrivals matters. To have fewer states, this renumbers them. */
inline forget(a)
{
	for (k : 0 .. N - 1) {
		if
		:: came[a] && came[k] > came[a] -> came[k]--
		:: else
		fi;
		if
		:: arrival[k] != NEVER && arrival[k] > arrival[a] && !CLOCK_MAY_STAND && BROKEN != 16 -> arrival[k]--
		:: else
		fi
	}
	if
	:: came[a] -> nr_came--
	:: else
	fi;
	if
	:: came[a] && !CLOCK_MAY_STAND && BROKEN != 16 -> now--
	:: else
	fi;
	if
	:: nr_came == 0 -> now = 1
	:: else
	fi;
	starving[a] = false;
	promoted[a] = false;
	wide[a] = false;
	arrival[a] = NEVER;
	stands[a] = 0;
	came[a] = 0
}

inline grant(a)
{
	/* A newcomer arrives now. */
	for (k : 0 .. N - 1) {
		assert(!(in_use[k] && has_conflict(k, a)));
		assert(!(waits(k) && has_conflict(k, a) && starving[k] &&
			 (came[a] == 0 || (IS_FIFO -> came[k] < came[a] : arrival[k] < arrival[a]))))
	}
	unclaim(a);
	queue[a] = NONE;
	forget(a);
	state[a] = HELD;
	in_use[a] = true;
	in_leaves[a] = bits(a)
}

/* With all leaves locked and no obstacle: chooses the leaves whose words have the range. */
inline hold(a)
{
	for (m : 0 .. L - 1) {
		if
		:: reaches(a, m) ->
			found = mask[2 * (a) + 1] != 0;
			for (k : 0 .. N - 1) {
				if
				:: k != (a) && ((in_leaves[k] | counted[k]) & (1 << m)) -> found = true
				:: k != (a) && queue[k] == m -> found = true
				:: k != (a) && waits(k) && (wide[k] || mask[2 * k + 1]) && reaches(k, m) -> found = true
				:: else
				fi
			}
			single[m] = !found
		:: else
		fi
	}
}

inline leave_queue(a, wakes)
{
	at_leaf = queue[a];
	queue[a] = NONE;
	wake(at_leaf, range_of(a), wakes)
}

/* Wakes the waiters that a claim held back, in all its leaves. */
inline wake_all(a, wakes)
{
	if
	:: reaches(a, 0) -> wake_two(a, 0, wakes)
	:: else
	fi;
	if
	:: reaches(a, 1) -> wake_two(a, 1, wakes)
	:: else
	fi;
	if
	:: reaches(a, 2) -> wake_two(a, 2, wakes)
	:: else
	fi
}

inline wake_two(a, l, wakes)
{
	if
	:: mask[2 * (a)] & keys[l] -> wake(l, mask[2 * (a)], wakes)
	:: else
	fi;
	if
	:: mask[2 * (a) + 1] & keys[l] -> wake(l, mask[2 * (a) + 1], wakes)
	:: else
	fi
}

inline give_up(a, claimed, wakes)
{
	claimed = claims[a];
	d_step { unclaim(a); starving[a] = false }
	if
	:: BROKEN == 1 -> queue[a] = NONE
	:: else ->
		leave_queue(a, wakes);
		if
		:: claimed && BROKEN != 10 -> wake_all(a, wakes)
		:: else
		fi
	fi;
	d_step { forget(a) }
}

/* The obstacle is kept in l and r, because waking overwrites at_leaf and at_range. */
inline wait_again(a, l, r, wakes)
{
	d_step { l = at_leaf; r = at_range; at_leaf = 0; at_range = 0 }
	if
	:: l == queue[a] && r == stands[a] && !(promoted[a] && !claims[a]) ->
		state[a] = WAITING;
		if
		:: BROKEN != 2 -> wake(l, range_of(a), wakes)
		:: else
		fi
	:: else ->
		if
		:: BROKEN == 7 -> queue[a] = NONE
		:: else -> leave_queue(a, wakes)
		fi;
		d_step {
			if
			:: promoted[a] && !claims[a] && BROKEN != 17 -> promoted[a] = false; claim(a)
			:: promoted[a] && !claims[a] && BROKEN == 17 -> promoted[a] = false; starving[a] = true
			:: else
			fi;
			if
			:: BROKEN == 16 -> arrival[a] = now; now++
			:: else
			fi;
			at_leaf = l;
			at_range = r;
			enqueue(a)
		}
	fi;
	d_step { l = 0; r = 0; at_leaf = 0; at_range = 0 }
}

/* The invariants whenever the leaves are not locked. */
inline check_all()
{
	d_step {
		for (w : 0 .. N - 1) {
			if
			:: state[w] == WAITING ->
				assert(queue[w] != NONE && (range_of(w) & keys[queue[w]]));
				blocks(w, stands[w], queue[w]);
				or_behind_woken(w, stands[w], queue[w]);
				assert(found)
			:: else
			fi
		}
		j = 0; k = 0; m = 0; w = 0; x = 0; found = false; going = false; counts = false;
		at_leaf = 0; at_range = 0
	}
}

/* Unparks are for one thread each, so their order does not matter. */
inline unpark_all(wakes)
{
	if
	:: wakes ->
		d_step {
			for (k : 0 .. N - 1) {
				if
				:: wakes & (1 << k) -> asleep[k] = false
				:: else
				fi
			}
			wakes = 0
		}
	:: else
	fi
}

/* The range of thread i is in a queue. timed: it has a deadline, which may pass at any time. */
inline wait(i, timed, wakes, late, l, r)
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
		atomic {
			if
			:: state[i] == CANCELED && BROKEN != 3 -> break
			:: else
			fi;
			d_step { lock_all(i); find_obstacle(i); j = 0 }
			if
			:: at_leaf == NONE ->
				d_step { grant(i); hold(i); m = 0 }
				check_all();
				break
			:: at_leaf != NONE && late ->
				give_up(i, l, wakes);
				l = 0;
				state[i] = IDLE;
				check_all();
				break
			:: at_leaf != NONE && !late ->
				wait_again(i, l, r, wakes);
				check_all()
			fi
		}
		unpark_all(wakes)
	od;
	unpark_all(wakes)
}

/* Sets found if the word of leaf l is EMPTY, maybe with WAITERS. */
inline is_empty(l)
{
	found = true;
	going = false;
	counts = false;
	for (k : 0 .. N - 1) {
		if
		:: (in_leaves[k] & (1 << l)) || ((counted[k] & (1 << l)) && BROKEN != 14) -> found = false
		:: else
		fi;
		if
		:: queue[k] == l && starving[k] -> found = false
		:: else
		fi;
		if
		:: queue[k] == l && state[k] == WOKEN -> going = true
		:: queue[k] == l && state[k] != WOKEN -> counts = true
		:: else
		fi
	}
	found = found && (going || !counts)
}

/* Sets at_leaf to 1 if the fast path is possible. */
inline may_go_fast(a)
{
	at_leaf = mask[2 * (a) + 1] == 0 && !(reaches(a, 0) && reaches(a, 1) && reaches(a, 2));
	at_leaf = at_leaf && !(reaches(a, 0) && reaches(a, 2) && keys[1]);
	for (j : 0 .. L - 1) {
		if
		:: reaches(a, j) -> is_empty(j); at_leaf = at_leaf && found
		:: else
		fi
	}
}

inline arrive_at(a)
{
	if
	:: IS_FIFO -> starving[a] = true
	:: else
	fi;
	for (k : 0 .. N - 1) {
		if
		:: k != (a) && queue[k] != NONE && reaches(a, queue[k]) && arrival[k] >= now -> arrival[a] = arrival[k] + 1
		:: else
		fi
	}
	if
	:: arrival[a] == NEVER -> arrival[a] = now
	:: else
	fi;
	for (k : 0 .. N - 1) {
		if
		:: k != (a) && queue[k] != NONE && reaches(a, queue[k]) && arrival[k] >= arrival[a] ->
			arrival[a] = arrival[k] + 1
		:: else
		fi;
		if
		:: k != (a) && (counted[k] & bits(a)) && arrival[k] >= arrival[a] && BROKEN != 13 ->
			arrival[a] = arrival[k] + 1
		:: else
		fi
	}
	nr_came++;
	came[a] = nr_came
}

inline acquire(i, timed, wakes, late, l, r)
{
	atomic {
		d_step { may_go_fast(i); l = at_leaf }
		if
		:: l ->
			d_step {
				l = 0;
				for (k : 0 .. L - 1) {
					single[k] = single[k] || reaches(i, k)
				}
				wide[i] = false;
				grant(i);
				k = 0
			}
		:: true ->
			l = 0;
			d_step { lock_all(i); find_obstacle(i); j = 0 }
			if
			:: at_leaf == NONE -> d_step { grant(i); hold(i); m = 0 }
			:: else ->
				if
				:: now++
				:: CLOCK_MAY_STAND
				fi;
				d_step {
					arrive_at(i);
					if
					:: IS_FIFO && (wide[i] || mask[2 * i + 1]) -> claim(i)
					:: else
					fi;
					enqueue(i)
				}
			fi
		fi;
		check_all()
	}
	if
	:: state[i] != HELD -> wait(i, timed, wakes, late, l, r)
	:: else
	fi;
	/* There is one outcome, and range_cancel() knows it. */
	atomic {
		assert((state[i] == CANCELED) == canceled[i]);
		assert(queue[i] == NONE);
		if
		:: state[i] == CANCELED -> state[i] = IDLE; canceled[i] = false
		:: else
		fi
	}
}

#define first_of(set) ((set) & 1 -> 0 : ((set) & 2 -> 1 : 2))
#define is_pair(set)  ((set) == 3 || (set) == 6 || ((set) == 5 && keys[1] == 0))
#define is_one(set)   ((set) == 1 || (set) == 2 || (set) == 4)

/* Releases by swaps as far as that is possible. */
inline release_fast(i)
{
	d_step {
		in_use[i] = false;
		if
		:: (is_one(in_leaves[i]) || is_pair(in_leaves[i])) && mask[2 * i + 1] == 0 && single[first_of(in_leaves[i])] ->
			m = first_of(in_leaves[i]);
			single[m] = false;
			in_leaves[i] = in_leaves[i] & ~(1 << m);
			found = true
		:: else -> found = false
		fi;
		m = 0
	}
	if
	:: found ->
		found = false;
		check_all();
	:: else
	fi
}

inline release(i, wakes, l)
{
	atomic {
		l = in_leaves[i];
		release_fast(i);
		l = l != in_leaves[i]
	}
	/* After the first of two swaps. */
	if
	:: l && in_leaves[i] && BROKEN == 15 ->
		atomic { in_leaves[i] = 0; single[1] = false; check_all() }
	:: l && in_leaves[i] && BROKEN != 15 -> atomic { release_fast(i) }
	:: else
	fi;
	l = 0;
	do
	:: in_leaves[i] ->
		atomic {
			l = first_of(in_leaves[i]);
			single[l] = false;
			in_leaves[i] = in_leaves[i] & ~(1 << l);
			wake_two(i, l, wakes);
			l = 0;
			check_all()
		}
		unpark_all(wakes)
	:: else -> break
	od;
	atomic { state[i] = IDLE; wide[i] = false }
}

proctype thread(byte i; bool timed)
{
	byte wakes, l, r;
	bool late;

	acquire(i, timed, wakes, late, l, r);
	if
	:: state[i] == HELD -> release(i, wakes, l)
	:: else
	fi
}

/* Cancels once, in whatever state the acquisition is. */
proctype canceler(byte i)
{
	byte wakes, l;
	bool mine;

	atomic {
		if
		:: queue[i] != NONE ->
			d_step { lock_all(i) }
			give_up(i, l, wakes);
			l = 0;
			state[i] = CANCELED;
			canceled[i] = true;
			mine = true;
			check_all()
		:: else
		fi
	}
	unpark_all(wakes);
	if
	:: mine && BROKEN != 5 -> asleep[i] = false
	:: else
	fi
}

/*
 * The first leaf has the keys below 16, and the second one none. The adapter splits the first leaf
 * at key 4, at any time when no range crosses that point, and merges the second one again when it
 * is vacant.
 */
#ifdef ADAPTS
#define LOW  3
#define HIGH 12

inline crossed()
{
	found = false;
	for (k : 0 .. N - 1) {
		if
		:: (((in_leaves[k] & 1) || queue[k] == 0) && BROKEN != 11) &&
		   ((queue[k] == 0 -> range_of(k) : mask[2 * k]) & LOW) &&
		   ((queue[k] == 0 -> range_of(k) : mask[2 * k]) & HIGH) -> found = true
		:: (counted[k] & 1) && BROKEN != 12 -> found = true
		:: else
		fi
	}
}

active proctype adapter()
{
	atomic {
		keys[2] != 0;
		d_step { crossed(); k = 0 }
		if
		:: !found ->
			d_step {
				single[0] = false;
				keys[0] = LOW;
				keys[1] = HIGH;
				for (k : 0 .. N - 1) {
					if
					:: (in_leaves[k] & 1) && !(mask[2 * k] & LOW) -> in_leaves[k] = (in_leaves[k] & ~1) | 2
					:: else
					fi;
					if
					:: queue[k] == 0 && !(range_of(k) & LOW) -> queue[k] = 1
					:: else
					fi
				}
				k = 0
			}
			check_all()
		:: else -> found = false
		fi
	}
	atomic {
		d_step {
			found = keys[1] != 0;
			for (k : 0 .. N - 1) {
				if
				:: ((in_leaves[k] | counted[k]) & 2) || queue[k] == 1 -> found = false
				:: waits(k) && wide[k] && !(mask[2 * k] & LOW) && (mask[2 * k] & HIGH) -> found = false
				:: else
				fi
			}
			k = 0
		}
		if
		:: found ->
			d_step { single[0] = false; keys[0] = LOW | HIGH; keys[1] = 0; single[1] = false }
			check_all()
		:: else
		fi;
		found = false
	}
}
#endif

#define run_thread(i, first, second, writes, timed)                                                \
	mask[2 * i] = first;                                                                       \
	mask[2 * i + 1] = second;                                                                  \
	writer[i] = writes;                                                                        \
	run thread(i, timed)

/* Keys 1 and 2 are in the first leaf, 4 and 8 in the second one, 16 and 32 in the third one. */
init
{
	atomic {
		keys[0] = 3;
		keys[1] = 12;
		keys[2] = 48;
#ifdef NARROW
		/* All acquisitions in one leaf. */
		run_thread(0, 3, 0, true, false);
		run_thread(1, 3, 0, true, true);
		run_thread(2, 1, 0, true, false);
		run_thread(3, 2, 0, true, false)
#elif defined(SETS)
		/*
		 * Two acquisitions of two ranges each, of which one spans two leaves; and two in
		 * one leaf each.
		 */
		run_thread(0, 2, 24, true, false);
		run_thread(1, 2, 8, true, false);
		run_thread(2, 16, 0, true, false);
		run_thread(3, 2, 0, true, false)
#elif defined(THREE)
		/*
		 * One acquisition in three leaves; two in two of them each, one of which may give
		 * up; one in one leaf.
		 */
		run_thread(0, 30, 0, true, false);
		run_thread(1, 14, 0, true, false);
		run_thread(2, 24, 0, true, true);
		run_thread(3, 16, 0, true, false)
#elif defined(ADAPTS)
		keys[0] = 15;
		keys[1] = 0;
		run_thread(0, 6, 0, true, false);
		run_thread(1, 8, 0, true, true);
		run_thread(2, 28, 0, true, false);
		run_thread(3, 16, 0, true, false)
#elif defined(CANCEL)
		run_thread(0, 6, 0, true, false);
		run_thread(2, 4, 0, true, false);
		run canceler(1);
		if
		:: run_thread(1, 6, 0, true, true)
		:: run_thread(1, 6, 0, true, false)
		fi
#elif defined(READERS)
		run_thread(0, 6, 0, true, false);
		run_thread(1, 2, 0, true, false);
		run_thread(2, 6, 0, false, true);
		run_thread(3, 4, 0, false, false)
#else
		/*
		 * Two acquisitions that span two leaves, one of which may give up; one in each
		 * leaf.
		 */
		run_thread(0, 6, 0, true, false);
		run_thread(1, 6, 0, true, true);
		run_thread(2, 2, 0, true, false);
		run_thread(3, 4, 0, true, false)
#endif
	}
}
