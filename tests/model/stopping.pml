/* SPDX-License-Identifier: MIT */
/*
 * Stopping a thread, of src/mm/thread.h: one that enters ENTRIES times, and two that stop it, STOPS times
 * each. The thread's stores to busy are seen late, in their order, when its store buffer gives them away.
 * A heavy fence has all of them seen, and so has a full fence of the thread itself. The light fence is one
 * for the compiler only, so it is not here: the steps are in their order. Atomic operations are seen at
 * once, and leave the store buffer as it is.
 *
 *	user       mm__cpu_enter() [E1] [E2], mm__cpu_pass_fenced() [F1], unfence() [F2], mm__cpu_leave() [E3]
 *	stopper    stop() [S1], pass_fence(), wait_stopped() [S2], go_on() [S3]
 *
 * Checked: the thread is not within while somebody has stopped it; and no thread waits for ever.
 *
 * BROKEN: what must be refuted:
 *	1	no heavy fence
 *	2	a fenced thread passes no fence
 *	3	it does not look again after its fence
 *	4	F2 is a load and a store
 *	5	who stops looks whether the thread is fenced before S1
 *	6	who stops does not wait
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#define ENTRIES 4
#define STOPS   2
#define STOPPED 1
#define FENCED  2

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

/* What the processor does at any time. */
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
		:: found & STOPPED ->
			buffer ! 0;
			!(state & STOPPED)
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

active [2] proctype stopper()
{
	byte stops, found;

	do
	:: stops < STOPS ->
		atomic { !locked -> locked = true };
		if
		:: BROKEN == 5 -> found = state; state = state | STOPPED
		:: else -> atomic { found = state; state = state | STOPPED }
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
		stops++
	:: else -> break
	od
}
