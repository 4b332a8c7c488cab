/* SPDX-License-Identifier: MIT */
/*
 * Tables that come and go: page_table.c, with a parent that stays and the lowest tables below it.
 * Two threads put an entry in and take it out again; then the table may be empty and is freed. A
 * third thread puts an entry in that stays, and finds it again. The order of the steps is that of
 * the source; memory is sequentially consistent (the harness tables.c checks weaker memory). The
 * mover pins the table, fills an entry without a check whether the table is dead, and takes it out
 * again (MOVER).
 *
 *	make()      mm__table_make() with make_below()
 *	put()       commit(): the empty entry is locked, and the table is not dead [PT-P2]; or with
 *	            settle(), mm__table_await_removal()
 *	take()      mm__pages_zap() for one page
 *	try_free()  try_free() with take_out() and end_lowest() [PT-P1], and the freeing when
 *	            earlier readers have left
 *	mover       mm__table_pin(), put_entries(), take_entries(), mm__table_unpin()
 *
 * Checked: no thread touches a table that is freed; a thread finds the entry that it put in; in the
 * end there is a table with its entries; the threads leave no empty table behind (with EMPTIES,
 * where no entry stays).
 *
 * BROKEN: variants that must be refuted:
 *	1	a thread does not check whether the table is dead
 *	2	a table is freed at once
 *	3	a thread does not look at the parent again before it links a table in
 *	4	a thread does not look at the entries again once the table is dead
 *	5	it then counts a locked entry as empty
 *	6	the dead table does not come back to life
 *	7	a thread does not check the pins (MOVER)
 *	8	the mover pins the table without the parent's lock (MOVER)
 *	9	a thread checks whether the table is dead before it locks the entry
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define THREADS 3
#define TABLES  7
#define NONE    255

/* An entry: empty, empty and locked, filled. */
#define EMPTY  0
#define LOCKED 1
#define FILLED 2

typedef table {
	byte entry[THREADS]
	bool dead
	bool freed
	byte pins
}

byte child = NONE; /* the parent's entry */
bool parent_locked;

table tables[TABLES];
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

inline lock_parent()
{
	atomic { !parent_locked -> parent_locked = true }
}

inline make(t)
{
	t = child;
	if
	:: t == NONE ->
		lock_parent();
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

/* Locks the thread's own entry, which is empty. */
inline lock_empty(t)
{
	atomic {
		assert(!tables[t].freed && tables[t].entry[me] == EMPTY);
		tables[t].entry[me] = LOCKED
	}
}

inline store(t, value)
{
	atomic { assert(!tables[t].freed); tables[t].entry[me] = value }
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
		:: t != NONE && BROKEN == 9 ->
			ok = !tables[t].dead;
			lock_empty(t);
			store(t, (ok -> FILLED : EMPTY))
		:: t != NONE && BROKEN != 9 ->
			lock_empty(t);
			ok = !tables[t].dead || BROKEN == 1;
			store(t, (ok -> FILLED : EMPTY));
			if
			:: !ok ->
				/* settle() */
				lock_parent();
				parent_locked = false
			:: else
			fi
		:: else
		fi;
		read_unlock();
		t = NONE
	od
}

/* A grace period: all readers of now have left. */
inline wait_for(i)
{
	atomic { seen = sections[i]; was = reading[i] }
	!was || sections[i] != seen
}

/* Whether entry i is empty, once it is not locked. */
inline look(i)
{
	if
	:: BROKEN == 5
	:: BROKEN != 5 -> tables[t].entry[i] != LOCKED
	fi;
	ok = ok && tables[t].entry[i] != FILLED
}

inline looks_empty()
{
	ok = tables[t].entry[0] != FILLED;
	ok = ok && tables[t].entry[1] != FILLED;
	ok = ok && tables[t].entry[2] != FILLED
}

inline try_free()
{
	lock_parent();
	t = child;
	ok = false;
	if
	:: t != NONE ->
		assert(!tables[t].freed);
		if
		:: tables[t].pins == 0 || BROKEN == 7 -> looks_empty()
		:: else
		fi;
		if
		:: ok ->
			tables[t].dead = true;
			if
			:: BROKEN != 4 -> look(0); look(1); look(2)
			:: else
			fi;
			if
			:: ok -> child = NONE
			:: else -> tables[t].dead = (BROKEN == 6)
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
		atomic { tables[t].freed = true; seen = 0; was = false }
	:: else
	fi
}

/* The thread's own entry exists, so the table does, too. */
inline take()
{
	read_lock();
	t = child;
	assert(t != NONE && !tables[t].freed && tables[t].entry[me] == FILLED);
	store(t, EMPTY);
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
	assert(t != NONE && !tables[t].freed && tables[t].entry[me] == FILLED);
	read_unlock()
}

proctype mover(byte me)
{
	byte t, seen;
	bool ok, was;

	ok = false;
	do
	:: ok -> break
	:: else ->
		read_lock();
		make(t);
		if
		:: BROKEN != 8 -> lock_parent()
		:: else
		fi;
		t = child;
		if
		:: t != NONE -> tables[t].pins++; ok = true
		:: else
		fi;
		if
		:: BROKEN != 8 -> parent_locked = false
		:: else
		fi;
		read_unlock()
	od;
	read_lock();
	t = child;
	assert(t != NONE);
	store(t, FILLED);
	read_unlock();
	take();
	read_lock();
	lock_parent();
	t = child;
	assert(t != NONE);
	tables[t].pins--;
	parent_locked = false;
	read_unlock();
	try_free()
}

init {
	atomic {
		run passer(0);
#ifdef MOVER
		run mover(1);
#else
		run passer(1);
#endif
#ifdef EMPTIES
		run passer(2)
#else
		run stayer(2)
#endif
	}
	_nr_pr == 1;
	assert(!parent_locked);
#ifdef EMPTIES
	assert(child == NONE)
#else
	assert(child != NONE && !tables[child].dead && tables[child].entry[0] == EMPTY &&
	       tables[child].entry[1] == EMPTY && tables[child].entry[2] == FILLED)
#endif
}
