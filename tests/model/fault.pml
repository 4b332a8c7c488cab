/* SPDX-License-Identifier: MIT */
/*
 * Two threads that write to a page, a fork, an madvise() and the end of a relative: area.h, fault.c,
 * fork.c, pages.c, frames.c. The order of the steps is that of the source; memory is sequentially
 * consistent (what weaker memory adds is for the harnesses fault.c and references.c).
 *
 *	user()      mm_write(): try_copy(), and where that does not go, mm__fault(), first without
 *	            the range, then with it; with FILE, the first user reads
 *	serve()     serve() and what it calls
 *	commit()    commit()
 *	flush()     mm__tlb_flush(), one step for each thread (the steps of that: cpu_stop.c)
 *	forker      copy_areas() with share_table(), and end_changes()
 *	dropper     mm__pages_zap() for mm_madvise(), which leaves the area as it is
 *	relative    the child ends, at any time
 *
 * There is one page. In a frame is the set of those who have written to it. With FILE, frame 0 is a
 * page of a file, mapped privately, and the cache has a reference to it.
 *
 * Checked: nobody writes to a frame that is free, a file's, or, when the fork is over, the child's;
 * what was written is in what is mapped, unless that was dropped since; frames have as many references
 * as there are to them.
 *
 * BROKEN: what must be refuted:
 *	1	the count of the area is not looked at again
 *	2	the entry is not compared
 *	3	the count becomes odd after the entry has changed
 *	4	fork does not flush
 *	5	a frame is dropped before the flush
 *	6	a page of a file is reused in place, too, if it seems to be exclusive (with FILE)
 */
#ifndef BROKEN
#define BROKEN 0
#endif
#ifdef FILE
#define IS_FILE(f) ((f) == 0)
#else
#define IS_FILE(f) false
#endif

#define FRAMES 4
#define NONE   255
#define MANY   3

#define may_have(o, u) ((o) == (u) || (o) == MANY)

/* The range of the page. */
byte nr_readers;
bool writes;

/* The area, and the table with its entry. */
byte seq;
bool table_locked;
byte frame;
bool writable;
byte owner; /* 0: nobody */

/* The users' TLBs; they are 1 and 2. */
byte tlb[3] = NONE;
bool tlb_writable[3];
bool counts[3]; /* has written, and the page was not dropped since */

byte refs[FRAMES];
byte bytes[FRAMES];
bool dropped[FRAMES]; /* not mapped any more, but maybe in TLBs */

byte child = NONE;
byte child_bytes;
bool forked;

inline table_lock()
{
	atomic { !table_locked -> table_locked = true }
}

inline table_unlock()
{
	table_locked = false
}

inline set_entry(f, w, o)
{
	atomic { frame = f; writable = w; owner = o }
}

inline flush_one(u, o)
{
	if
	:: may_have(o, u) -> tlb[u] = NONE
	:: else
	fi
}

inline flush(o)
{
	flush_one(1, o);
	flush_one(2, o)
}

inline drop(f)
{
	atomic { assert(refs[f] > 0); refs[f]--; dropped[f] = false }
}

inline new_frame(n)
{
	atomic {
		n = 1;
		do
		:: refs[n] == 0 -> break
		:: else -> n++; assert(n < FRAMES)
		od;
		refs[n] = 1;
		bytes[n] = 0
	}
}

/* What is seen is sf, sw and so; what it is to become nf, nw and no. */
inline commit()
{
	ok = false;
	table_lock();
	if
	:: speculative && seq != s && BROKEN != 1
	:: else ->
		if
		:: (frame != sf || writable != sw || owner != so) && BROKEN != 2
		:: else ->
			if
			:: sf != NONE && sf != nf ->
				set_entry(NONE, false, 0);
				flush(so)
			:: else
			fi;
			set_entry(nf, nw, no);
			ok = true
		fi
	fi;
	table_unlock()
}

inline map_new(from)
{
	new_frame(nf);
	atomic {
		if
		:: from != NONE -> bytes[nf] = bytes[from]
		:: else
		fi;
		nw = true;
		no = u
	}
	commit();
	if
	:: !ok -> drop(nf)
	:: ok && sf != NONE -> drop(sf)
	:: else
	fi
}

inline map_cached()
{
	atomic { refs[0]++; nf = 0; nw = false; no = u }
	commit();
	if
	:: !ok -> drop(0)
	:: else
	fi
}

/* As it is, but for its rights and who may have it. */
inline allow(w)
{
	atomic {
		nf = sf;
		nw = w;
		no = (so == 0 || so == u -> u : MANY)
	}
	commit()
}

inline serve()
{
	atomic { sf = frame; sw = writable; so = owner }
	if
	:: sf == NONE && !reads -> map_new(NONE)
	:: sf == NONE && reads -> map_cached()
	:: sf != NONE && (sw || reads) -> allow(sw)
	:: else ->
		if
		:: refs[sf] == 1 && (!IS_FILE(sf) || BROKEN == 6) -> allow(true)
		:: else ->
			if
			:: speculative && so != 0 && so != u
			:: else -> map_new(sf)
			fi
		fi
	fi
}

inline fault()
{
	speculative = true;
	ok = false;
	s = seq;
	if
	:: s % 2
	:: else -> serve()
	fi;
	if
	:: ok
	:: else ->
		atomic { !writes -> nr_readers++; speculative = false }
		serve();
		nr_readers--
	fi;
	atomic { ok = false; s = 0; sf = 0; sw = false; so = 0; nf = 0; nw = false; no = 0 }
}

proctype user(byte u; bool reads)
{
	byte s, sf, so, nf, no;
	bool speculative, ok, sw, nw;

	do
	:: atomic {
		tlb[u] != NONE && (reads || tlb_writable[u]) ->
			assert(refs[tlb[u]] > 0);
			if
			:: !reads ->
				assert(!IS_FILE(tlb[u]));
				assert(!(forked && tlb[u] == child));
				bytes[tlb[u]] = bytes[tlb[u]] | u;
				counts[u] = !dropped[tlb[u]]
			:: else
			fi;
			break
	}
	:: atomic {
		!(tlb[u] != NONE && (reads || tlb_writable[u])) && frame != NONE &&
		(reads || writable) && may_have(owner, u) ->
			tlb[u] = frame;
			tlb_writable[u] = writable
	}
	:: !(tlb[u] != NONE && (reads || tlb_writable[u])) &&
	   !(frame != NONE && (reads || writable) && may_have(owner, u)) -> fault()
	od
}

proctype forker()
{
	bool was_writable;
	byte had;

	atomic { !writes && !nr_readers -> writes = true }
	if
	:: BROKEN != 3 -> seq++
	:: else
	fi;
	table_lock();
	if
	:: frame != NONE ->
		atomic { was_writable = writable; had = owner; child = frame; writable = false }
		refs[child]++
	:: else
	fi;
	table_unlock();
	if
	:: BROKEN == 3 -> seq++
	:: else
	fi;
	if
	:: was_writable && BROKEN != 4 -> flush(had)
	:: else
	fi;
	seq++;
	atomic {
		if
		:: child != NONE -> child_bytes = bytes[child]
		:: else
		fi;
		writes = false;
		forked = true
	}
}

proctype dropper()
{
	byte f, had;

	atomic { !writes -> nr_readers++ }
	table_lock();
	atomic {
		f = frame;
		had = owner;
		if
		:: f != NONE ->
			frame = NONE;
			writable = false;
			owner = 0;
			dropped[f] = !IS_FILE(f);
			counts[1] = false;
			counts[2] = false
		:: else
		fi
	}
	if
	:: f != NONE && BROKEN == 5 -> drop(f); flush(had)
	:: f != NONE && BROKEN != 5 -> flush(had)
	:: else
	fi;
	table_unlock();
	if
	:: f != NONE && BROKEN != 5 -> drop(f)
	:: else
	fi;
	nr_readers--
}

proctype relative()
{
	forked;
	if
	:: child != NONE ->
		assert(bytes[child] == child_bytes);
		atomic { refs[child]--; child = NONE }
	:: else
	fi
}

#ifdef FILE
#define FIRST_REFS 2
#else
#define FIRST_REFS 1
#endif

init {
	atomic {
		refs[0] = FIRST_REFS;
		owner = 1;
#ifdef FILE
		run user(1, true);
#else
		writable = true;
		tlb[1] = 0;
		tlb_writable[1] = true;
		run user(1, false);
		run forker();
		run relative();
#endif
		run user(2, false);
		run dropper()
	}
	_nr_pr == 1;
	assert(!writes && !nr_readers && !table_locked);
	assert(!counts[1] || (frame != NONE && (bytes[frame] & 1)));
	assert(!counts[2] || (frame != NONE && (bytes[frame] & 2)));
	assert(frame == NONE || refs[frame] == 1 + (IS_FILE(frame) -> 1 : 0));
	assert(refs[0] + refs[1] + refs[2] + refs[3] ==
	       (frame == NONE -> 0 : 1) + FIRST_REFS - 1)
}
