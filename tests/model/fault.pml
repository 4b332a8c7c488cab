/* SPDX-License-Identifier: MIT */
/*
 * Two threads that write to a page, a fork, an madvise() and the end of a relative: vma.h, fault.c,
 * fork.c, pages.c, frames.c. The order of the steps is that of the source; memory is sequentially
 * consistent (the harnesses fault.c and references.c check weaker memory).
 *
 *	user()      mm_write(): try_copy(), and where that fails, mm__fault(), first without the
 *	            range, then with it; with FILE, the first user reads
 *	serve()     serve() and the functions that it calls
 *	commit()    commit()
 *	flush()     mm__tlb_flush(), one step for each thread (stopping.pml has the steps of that)
 *	forker      copies the VMAs, with share_table(), and end_changes()
 *	dropper     mm__pages_zap() for mm_madvise(), which leaves the VMA as it is
 *	relative    the child ends, at any time
 *	unmapper    mm_munmap(), with UNMAP in place of the fork and the relative: there is no page
 *	            yet
 *
 * There is one page. A frame contains the set of the users that have written to it. With FILE,
 * frame 0 is a page of a file, mapped privately, and the cache has a reference to it.
 *
 * Checked: no user writes to a frame that is free, or a file's, or, after the fork, the child's;
 * the mapped frame has all writes since the page was last dropped, and there is no second page;
 * frames have as many references as there are entries and caches with them; nothing is mapped when
 * mm_munmap() has returned.
 *
 * With AGAIN, there was an earlier fork, so that the page is read-only, though it is not shared;
 * and there is no madvise().
 *
 * BROKEN: variants that must be refuted:
 *	1	a fault does not check the count of the VMA again
 *	2	a fault does not compare the entry
 *	3	the count becomes odd after the entry has changed
 *	4	fork does not flush
 *	5	a frame is dropped before the flush
 *	6	a page of a file is reused in place, too, if it seems to be exclusive (with FILE)
 *	7	the dropper empties the entry before the flush
 *	8	the unmapper does not wait for an empty entry that is locked (with UNMAP)
 *	9	a thread puts a locked entry into its TLB
 *	10	a fault checks the count before it locks the entry
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

/* The VMA, and the entry. */
byte seq;
bool mapped = true;
bool busy; /* the entry is locked */
byte frame;
bool writable;
byte owner; /* 0: none */

/* The TLBs of the users, which are 1 and 2. */
byte tlb[3] = NONE;
bool tlb_writable[3];
bool counts[3]; /* has written, and the page was not dropped since */

byte refs[FRAMES];
byte bytes[FRAMES];
bool dropped[FRAMES]; /* not mapped any more, but maybe in TLBs */

byte child = NONE;
byte child_bytes;
bool forked;
bool unmapped;

inline unlock(f, w, o)
{
	atomic { assert(busy); frame = f; writable = w; owner = o; busy = false }
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

/* The fault saw sf, sw and so; the entry is to become nf, nw and no. */
inline commit()
{
#if BROKEN == 10
	ok = !speculative || seq == s;
#endif
	atomic {
		sl = !busy && (BROKEN == 2 || (frame == sf && writable == sw && owner == so));
		if
		:: sl -> busy = true
		:: else -> ok = false
		fi
	}
	if
	:: sl ->
#if BROKEN != 10
		ok = !speculative || seq == s || BROKEN == 1;
#endif
		if
		:: !ok -> unlock(sf, sw, so)
		:: else ->
			if
			:: sf != NONE && sf != nf -> flush(so)
			:: else
			fi;
			unlock(nf, nw, no)
		fi
	:: else
	fi
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

/* Changes only the rights and the owner. */
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
	/* If the entry is locked, the fault falls back, or waits. */
	atomic { speculative || !busy -> sl = busy; sf = frame; sw = writable; so = owner }
	if
	:: sl -> ok = false
	:: !sl && sf == NONE && !reads -> map_new(NONE)
	:: !sl && sf == NONE && reads -> map_cached()
	:: !sl && sf != NONE && (sw || reads) -> allow(sw)
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
		if
		:: mapped -> serve()
		:: else
		fi;
		nr_readers--
	fi;
	atomic { ok = false; s = 0; sf = 0; sw = false; so = 0; nf = 0; nw = false; no = 0; sl = false }
}

proctype user(byte u; bool reads)
{
	byte s, sf, so, nf, no;
	bool speculative, ok, sw, nw, sl;

	do
	:: atomic {
		tlb[u] != NONE && (reads || tlb_writable[u]) ->
			assert(refs[tlb[u]] > 0);
			if
			:: !reads ->
				assert(!IS_FILE(tlb[u]));
				assert(!(forked && tlb[u] == child));
				bytes[tlb[u]] = bytes[tlb[u]] | u;
				counts[u] = !dropped[tlb[u]];
				assert(!dropped[tlb[u]] || frame == tlb[u] || frame == NONE)
			:: else
			fi;
			break
	}
	:: atomic {
		!(tlb[u] != NONE && (reads || tlb_writable[u])) && frame != NONE &&
		(!busy || BROKEN == 9) && (reads || writable) && may_have(owner, u) ->
			tlb[u] = frame;
			tlb_writable[u] = writable
	}
	:: mapped && !(tlb[u] != NONE && (reads || tlb_writable[u])) &&
	   !(frame != NONE && !busy && (reads || writable) && may_have(owner, u)) -> fault()
	:: !mapped && tlb[u] == NONE -> break
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
	atomic {
		!busy ->
		if
		:: frame != NONE ->
			busy = true;
			was_writable = writable;
			had = owner;
			child = frame
		:: else
		fi
	}
	if
	:: child != NONE ->
		refs[child]++;
		unlock(child, false, had)
	:: else
	fi;
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

/* Empties an entry at once if no thread may have it in its TLB, else after the flush. */
inline zap()
{
	atomic {
		!busy || (BROKEN == 8 && frame == NONE) ->
		f = frame;
		had = owner;
		if
		:: f != NONE ->
			dropped[f] = !IS_FILE(f);
			counts[1] = false;
			counts[2] = false;
			if
			:: had != 0 && BROKEN != 7 -> busy = true
			:: else -> frame = NONE; writable = false; owner = 0
			fi
		:: else
		fi
	}
	if
	:: f != NONE && BROKEN == 5 -> drop(f); flush(had)
	:: f != NONE && BROKEN != 5 -> flush(had)
	:: else
	fi;
	atomic {
		if
		:: f != NONE && had != 0 && BROKEN != 7 -> unlock(NONE, false, 0)
		:: else
		fi;
		if
		:: f != NONE && BROKEN != 5 -> drop(f)
		:: else
		fi;
		f = 0;
		had = 0
	}
}

proctype dropper()
{
	byte f, had;

	atomic { !writes -> nr_readers++ }
	zap();
	nr_readers--
}

/* There is no fork then, so no count becomes even again. */
proctype unmapper()
{
	byte f, had;

	atomic { !writes && !nr_readers -> writes = true }
	if
	:: BROKEN != 3 -> seq++
	:: else
	fi;
	zap();
	if
	:: BROKEN == 3 -> seq++
	:: else
	fi;
	/* Nothing is mapped when mm_munmap() has returned, or later. */
	unmapped = true;
	atomic { mapped = false; writes = false }
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
#elif defined(UNMAP)
#define FIRST_REFS 0
#else
#define FIRST_REFS 1
#endif

init {
	atomic {
		refs[0] = FIRST_REFS;
#ifdef FILE
		owner = 1;
		run user(1, true);
#elif defined(UNMAP)
		frame = NONE;
		run user(1, false);
		run unmapper();
#else
		owner = 1;
		tlb[1] = 0;
#ifndef AGAIN
		writable = true;
		tlb_writable[1] = true;
#endif
		run user(1, false);
		run forker();
		run relative();
#endif
		run user(2, false);
#ifndef AGAIN
		run dropper()
#endif
	}
	_nr_pr == 1;
	assert(!writes && !nr_readers && !busy);
	assert(!unmapped || frame == NONE);
	assert(!counts[1] || (frame != NONE && (bytes[frame] & 1)));
	assert(!counts[2] || (frame != NONE && (bytes[frame] & 2)));
	assert(frame == NONE || refs[frame] == 1 + (IS_FILE(frame) -> 1 : 0));
	assert(refs[0] + refs[1] + refs[2] + refs[3] ==
	       (frame == NONE -> 0 : 1) + (FIRST_REFS == 2 -> 1 : 0))
}
