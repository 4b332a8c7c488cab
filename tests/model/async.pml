/* SPDX-License-Identifier: MIT */
/*
 * Requests (src/range_lock/request.h): who looks after a request, and who calls its callback. A
 * lock of two leaves. Request 0 is for both, request 1 for the second leaf alone, both for writing.
 * At first, thread 0 holds the first leaf and thread 1 the second one; request 0 stands in the
 * queue of either, and request 1 behind it in that of the second. Both threads release. With CANCEL,
 * thread 2 cancels request 0 at any time.
 *
 * A step with all leaves locked is atomic here: waiting.pml and words.pml show that it may be. A
 * callback releases what the request holds, gives the storage back, and destroys the lock if
 * nothing is left in it. With WAITS, the callback of request 1 waits until request 0 has ended.
 *
 *	release()     a release, range__leaf_wake(): what it makes way for is woken and due [ASYNC-1]
 *	work()        range__async_work(): one request after the other, then its callback
 *	look()        range__look_again(), range__request_set()
 *	cancel()      range__expel_and_unlock(): [ASYNC-2], [ASYNC-C]
 *
 * Checked: each callback comes once, with what range_cancel() has returned; no thread touches a request after its callback [ASYNC-3], or
 * the lock after it was destroyed; no conflicting ranges are held; each request ends, and no thread
 * waits without end [ASYNC-4].
 *
 * BROKEN: variants that must be refuted:
 *	1	the thread that cancels a woken request calls the callback
 *	2	a thread looks at a request again after its callback
 *	3	a request that waits again wakes no other
 *	4	the thread does not look again for CANCELED with the leaves locked
 *	5	a thread does not work through its list before it waits
 *	6	a canceled request that was waiting is on no list
 *	7	a release makes a woken request due again
 *	8	range_lock_destroy() does not look at the list of its thread
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#ifdef CANCEL
#define THREADS 3
#else
#define THREADS 2
#endif
#define REQUESTS 2
#define FIRST    1 /* leaves, as bits */
#define SECOND   2
#define WAITING  0
#define WOKEN    1
#define CANCELED 2
#define NONE     0

byte held = FIRST + SECOND; /* the leaves in which a range is held */
byte leaves[REQUESTS];
byte in[REQUESTS]; /* the leaf whose queue it is in; NONE */
byte state[REQUESTS];
byte calls[REQUESTS];
bool destroyed = false;
bool canceled = false; /* range_cancel() of request 0 has returned 0 */
chan due[THREADS] = [4] of { byte };

inline touch_lock()
{
	assert(!destroyed)
}

inline touch(r)
{
	assert(calls[r] == 0)
}

/* With the leaf locked: wakes the first request in its queue that nothing blocks there. */
inline wake(leaf)
{
	d_step {
		w = 0;
		do
		:: w < REQUESTS && in[w] == leaf && !(held & leaf) &&
		   (state[w] == WAITING || BROKEN == 7) ->
			touch(w);
			state[w] = WOKEN;
			due[self] ! w;
			break
		:: w < REQUESTS && in[w] == leaf && state[w] == WOKEN && BROKEN != 7 ->
			break /* the others conflict with it */
		:: w < REQUESTS && (in[w] != leaf || (held & leaf)) -> w++
		:: w >= REQUESTS -> break
		od;
		w = 0
	}
}

inline release(which)
{
	atomic {
		touch_lock();
		held = held - (held & which);
		if
		:: which & FIRST -> wake(FIRST)
		:: else
		fi;
		if
		:: which & SECOND -> wake(SECOND)
		:: else
		fi
	}
}

/* The request on the list looks again. mine: 0 waits again, 1 holds, 2 was canceled. */
inline look(r)
{
	touch(r);
	if
	:: state[r] == CANCELED -> mine = 2
	:: else ->
		atomic {
			touch_lock();
			touch(r);
			if
			:: state[r] == CANCELED && BROKEN != 4 -> mine = 2
			:: else ->
				if
				:: held & leaves[r] ->
					mine = 0;
					from = in[r];
					state[r] = WAITING;
					in[r] = NONE;
					if
					:: held & leaves[r] & FIRST -> in[r] = FIRST
					:: else -> in[r] = SECOND
					fi;
					if
					:: BROKEN != 3 -> wake(from)
					:: else
					fi;
					from = 0
				:: else ->
					mine = 1;
					in[r] = NONE;
					held = held | leaves[r]
				fi
			fi
		}
	fi
}

/* The request's storage is the caller's from here on. */
inline call(r)
{
	atomic {
		assert(r != 0 || canceled == (mine == 2));
		calls[r]++;
		assert(calls[r] == 1)
	}
}

/*
 * The program destroys the lock when it knows of no range and no request, but for those on the list
 * of the thread that its callback runs in.
 */
inline destroy_if_last()
{
	atomic {
		if
		:: !destroyed && held == 0 && in[0] == NONE && in[1] == NONE &&
		   calls[0] + calls[1] + (BROKEN == 8 -> len(due[self]) : 0) == REQUESTS ->
			destroyed = true
		:: else
		fi
	}
}

/* Takes a request off the list, and looks after it. */
inline work_on_one()
{
	due[self] ? r;
	look(r);
	if
	:: mine == 0
	:: mine > 0 ->
		touch_lock(); /* counters, probes, the adaptation */
		call(r);
		if
		:: BROKEN == 2 -> touch(r)
		:: else
		fi;
		if
		:: mine == 1 -> mine = 0; release(leaves[r])
		:: else -> mine = 0
		fi;
		ended = r + 1
	fi
}

inline work()
{
	do
	:: nempty(due[self]) ->
		ended = 0;
		work_on_one();
#ifdef WAITS
		if
		:: ended == 2 -> /* the callback of request 1 goes on, and waits */
			do
			:: nempty(due[self]) && BROKEN != 5 -> work_on_one()
			:: calls[0] > 0 -> break
			od
		:: ended != 2
		fi;
#endif
		destroy_if_last()
	:: empty(due[self]) -> break
	od
}

inline cancel(r)
{
	atomic {
		if
		:: in[r] == NONE /* the lock finds no such waiter */
		:: else ->
			touch_lock();
			touch(r);
			canceled = true;
			from = in[r];
			in[r] = NONE;
			if
			:: (state[r] == WAITING && BROKEN != 6) ||
			   (state[r] == WOKEN && BROKEN == 1) ->
				due[self] ! r
			:: (state[r] == WAITING && BROKEN == 6) ||
			   (state[r] == WOKEN && BROKEN != 1) -> skip
			fi;
			state[r] = CANCELED;
			wake(from);
			from = 0
		fi
	}
}

proctype thread(byte self)
{
	byte w, r, mine, from, ended;

	if
	:: self == 0 -> release(FIRST)
	:: self == 1 -> release(SECOND)
	:: self == 2 -> cancel(0)
	fi;
	work()
}

/* When all threads have gone, each request has ended. */
init
{
	atomic {
		leaves[0] = FIRST + SECOND;
		leaves[1] = SECOND;
		if
		:: in[0] = FIRST
		:: in[0] = SECOND
		fi;
		in[1] = SECOND;
		run thread(0);
		run thread(1);
#ifdef CANCEL
		run thread(2)
#endif
	}
	_nr_pr == 1;
	assert(calls[0] == 1 && calls[1] == 1)
}
