/* SPDX-License-Identifier: MIT */
/*
 * Tables that come and go: page_table.c, with a parent that stays and the tables below it. Two threads
 * put an entry in and take it out again, whereupon the table may be empty and is freed; a third one
 * puts an entry in that stays, and finds it again. The order of the steps is that of the source; memory
 * is sequentially consistent (what weaker memory adds is for the harness tables.c).
 *
 *	make()      mm__table_make() with make_below()
 *	put()       commit(): the table is locked if it is not dead [P2]
 *	try_free()  try_free() with take_out() [P1], and free_dead() when those who read have gone
 *
 * Checked: nobody locks a table that is freed; what was put in is found; in the end there is a table,
 * with what is in it.
 *
 * BROKEN: what must be refuted:
 *	1	it is not asked whether the table is dead
 *	2	it is freed at once
 *	3	the parent is not asked again before a table is put in
 *	4	a table is taken out without its own lock
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define THREADS 3
#define TABLES  7
#define NONE    255

byte child = NONE; /* the parent's entry */
bool parent_locked;

bool locked[TABLES];
bool dead[TABLES];
bool freed[TABLES];
byte entries[TABLES]; /* set of threads */
byte next_table;

bool reading[THREADS]; /* in a read section */
byte sections[THREADS];

inline read_lock()
{
	reading[me] = true
}

inline read_unlock()
{
	atomic { reading[me] = false; sections[me]++ }
}

/* Whether it is locked now, and not dead. */
inline table_lock(t, ok)
{
	atomic { assert(!freed[t]); !locked[t] -> locked[t] = true }
	ok = !dead[t] || BROKEN == 1;
	if
	:: !ok -> locked[t] = false
	:: else
	fi
}

inline make(t)
{
	t = child;
	if
	:: t == NONE ->
		atomic { !parent_locked -> parent_locked = true }
		if
		:: child == NONE || BROKEN == 3 ->
			atomic { child = next_table; next_table++; assert(next_table <= TABLES) }
		:: else
		fi;
		parent_locked = false;
		t = child
	:: else
	fi
}

/* Puts the entry in. */
inline put()
{
	ok = false;
	do
	:: ok -> break
	:: else ->
		read_lock();
		make(t);
		if
		:: t != NONE ->
			table_lock(t, ok);
			if
			:: ok ->
				entries[t] = entries[t] | (1 << me);
				locked[t] = false
			:: else
			fi
		:: else
		fi;
		read_unlock();
		t = NONE
	od
}

/* A grace period: those who read now have ended that. */
inline wait_for(i)
{
	atomic { seen = sections[i]; was = reading[i] }
	!was || sections[i] != seen
}

inline try_free()
{
	atomic { !parent_locked -> parent_locked = true }
	t = child;
	ok = false;
	if
	:: t != NONE ->
		if
		:: BROKEN != 4 -> table_lock(t, ok)
		:: else -> ok = true
		fi;
		if
		:: ok ->
			ok = !entries[t];
			if
			:: ok -> dead[t] = true; child = NONE
			:: else
			fi;
			if
			:: BROKEN != 4 -> locked[t] = false
			:: else
			fi
		:: else
		fi
	:: else
	fi;
	parent_locked = false;
	if
	:: ok ->
		if
		:: BROKEN != 2 ->
			wait_for(0);
			wait_for(1);
			wait_for(2)
		:: else
		fi;
		atomic { freed[t] = true; seen = 0; was = false }
	:: else
	fi
}

/* Its own entry is there: so the table is, too. */
inline take()
{
	read_lock();
	t = child;
	assert(t != NONE && !freed[t]);
	table_lock(t, ok);
	assert(ok && (entries[t] & (1 << me)));
	entries[t] = entries[t] & ~(1 << me);
	locked[t] = false;
	read_unlock()
}

proctype passer(byte me)
{
	byte t, seen;
	bool ok, was;

	put();
	take();
	try_free()
}

proctype stayer(byte me)
{
	byte t;
	bool ok;

	put();
	read_lock();
	t = child;
	assert(t != NONE && !freed[t] && (entries[t] & (1 << me)));
	read_unlock()
}

init {
	atomic {
		run passer(0);
		run passer(1);
		run stayer(2)
	}
	_nr_pr == 1;
	assert(child != NONE && !dead[child] && entries[child] == 4 && !parent_locked)
}
