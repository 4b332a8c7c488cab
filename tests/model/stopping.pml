/* SPDX-License-Identifier: MIT */
/*
 * Interrupting a thread (src/mm/thread.h): one thread that enters ENTRIES times, and two that
 * interrupt it, TIMES times each. The thread's stores to busy become visible late, in their order,
 * when its store buffer releases them. A heavy fence makes all of them visible, and so does a full
 * fence of the thread itself. The light fence is a fence for the compiler only, so the model has
 * none: the steps are in their order. Atomic operations are visible at once, and leave the store
 * buffer as it is.
 *
 *	user         mm__thread_enter() [THREAD-E1] [THREAD-E2], mm__thread_pass_fenced()
 *	             [THREAD-F1], unfence() [THREAD-F2], mm__thread_leave() [THREAD-E3]
 *	interrupter  an interrupting thread: sets the mark [THREAD-S1], passes a fence, waits until
 *	             the thread has left [THREAD-S2], and resumes it [THREAD-S3]
 *
 * Checked: the thread is not inside while another thread has interrupted it; and no thread waits
 * without end.
 *
 * BROKEN: variants that must be refuted:
 *	1	no heavy fence
 *	2	a fenced thread passes no fence
 *	3	a fenced thread does not check again after its fence
 *	4	THREAD-F2 is a load and a store
 *	5	an interrupting thread checks whether the thread is fenced before THREAD-S1
 *	6	an interrupting thread does not wait
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define ENTRIES     4
#define TIMES       2
#define INTERRUPTED 1
#define FENCED      2

byte state = 0;
byte busy = 0;
chan buffer = [2] of { byte };
bool locked = false;
bool inside = false;

inline drain()
{
	do
	:: nempty(buffer) -> buffer ? busy
	:: empty(buffer) -> break
	od
}

/* Steps that the processor takes at any time. */
active proctype memory()
{
end:	do
	:: atomic { nempty(buffer) -> buffer ? busy }
	od
}

inline unfence()
{
	if
	:: BROKEN == 4 ->
		if
		:: state == FENCED -> state = 0
		:: else
		fi
	:: else ->
		atomic {
			if
			:: state == FENCED -> state = 0
			:: else
			fi
		}
	fi
}

active proctype user()
{
	byte entries, found;

	do
	:: entries < ENTRIES ->
		buffer ! 1;
		found = state;
		if
		:: found && BROKEN != 2 ->
			atomic { drain() };
			if
			:: BROKEN == 3 && found == FENCED
			:: else -> found = state
			fi
		:: else
		fi;
		if
		:: found & INTERRUPTED ->
			buffer ! 0;
			!(state & INTERRUPTED)
		:: else ->
			if
			:: found -> unfence()
			:: true
			fi;
			inside = true;
			inside = false;
			buffer ! 0;
			entries++
		fi
	:: else -> break
	od
}

active [2] proctype interrupter()
{
	byte n, found;

	do
	:: n < TIMES ->
		atomic { !locked -> locked = true };
		if
		:: BROKEN == 5 -> found = state; state = state | INTERRUPTED
		:: else -> atomic { found = state; state = state | INTERRUPTED }
		fi;
		if
		:: found & FENCED || BROKEN == 1
		:: else -> atomic { drain() }
		fi;
		if
		:: BROKEN == 6
		:: else -> busy == 0
		fi;
		assert(!inside);
		state = FENCED;
		locked = false;
		n++
	:: else -> break
	od
}
