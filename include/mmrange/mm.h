/* SPDX-License-Identifier: MIT */
/*
 * mm - a simulated address space: areas, page tables, and pages of real memory with real bytes in
 * them.
 *
 * It stands in for a kernel's address space, so that locking designs can be run, tested and
 * measured in user space. Linux on a 64-bit machine is the reference for every result and every
 * error; the constants below have the values of Linux's generic ABI.
 *
 *	struct mm *mm;
 *	uint64_t addr;
 *
 *	mm_create(&mm, NULL);
 *	mm_mmap(mm, 0, 1 << 20, MM_PROT_READ | MM_PROT_WRITE, MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1, 0, &addr);
 *	mm_write(mm, addr, "hello", 5, NULL);
 *	mm_destroy(mm);
 *
 * Addresses are simulated: they mean nothing to the program itself, and only mm_read() and
 * mm_write() reach the bytes behind them. A page is MM_PAGE_SIZE bytes; the addresses are
 * [MM_ADDR_MIN, MM_ADDR_MAX).
 *
 * Functions return 0 or a positive errno value and leave errno alone. All of them may be called by
 * any number of threads at once, except mm_create(), mm_destroy() and mm_validate(), which say what
 * they require. What they do is atomic towards each other as it is in Linux: operations whose pages
 * overlap happen one after the other; accesses to bytes are ordered by nothing, as on hardware.
 *
 * Where an allocation fails, a call succeeds all the same, or fails with ENOMEM and has changed nothing
 * but which pages are present. Only mm_mlock(), mm_brk(), and a fault that makes a stack grow may do
 * otherwise, and say so. Where memory is short, neighbouring areas may stay apart that could be one, as in
 * Linux. An operation needs the memory of a few changes, however many areas lie in its range, and none of the
 * short mm lock where they are next to each other in one leaf of the tree of areas; else it holds that for 32
 * areas at a time. mm_fork() needs memory for all areas, and for the page tables. A thread keeps some memory
 * for each space that it has used, until it ends or the space does, and that of up to 2,048 areas, which it
 * uses again, until it ends. Where more than eight threads use spaces, it is that of 1,024 areas and 128 for
 * each thread, and of 17,408 at most.
 *
 * The child of fork(2) may make spaces of its own, but not use those of its parent.
 *
 * A space belongs to the copy of the library that made it (see range_lock.h). If a function of
 * another copy is called with the space, the call names the files of both copies on stderr, and aborts
 * the process. After a copy has made 2^28 spaces, this is not certain any more.
 */
#ifndef MMRANGE_MM_H
#define MMRANGE_MM_H

#include <mmrange/range_lock.h>
#include <mmrange/version.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MM_PAGE_SHIFT 12
#define MM_PAGE_SIZE  (UINT64_C(1) << MM_PAGE_SHIFT)

/** Mappings lie in [MM_ADDR_MIN, MM_ADDR_MAX): as on x86-64, with vm.mmap_min_addr at its default. */
#define MM_ADDR_MIN UINT64_C(0x10000)
#define MM_ADDR_MAX UINT64_C(0x7ffffffff000)

/*
 * Protection of an area, and the kinds of access to a page. As on x86-64, what is writable or
 * executable is readable.
 */
#define MM_PROT_NONE  0x0
#define MM_PROT_READ  0x1
#define MM_PROT_WRITE 0x2
#define MM_PROT_EXEC  0x4

/* mm_mmap() */
#define MM_MAP_SHARED          0x01
#define MM_MAP_PRIVATE         0x02
#define MM_MAP_FIXED           0x10
#define MM_MAP_ANONYMOUS       0x20
#define MM_MAP_GROWSDOWN       0x0100
#define MM_MAP_NORESERVE       0x4000
#define MM_MAP_POPULATE        0x8000
#define MM_MAP_STACK           0x20000
#define MM_MAP_FIXED_NOREPLACE 0x100000

/*
 * A mapping with MM_MAP_GROWSDOWN, a stack, grows down to where it is accessed, up to MM_STACK_MAX
 * bytes altogether (Linux's RLIMIT_STACK, as it is by default). MM_STACK_GAP bytes stay free between
 * it and the next mapping below, unless that one cannot be accessed or is a stack itself. A mapping
 * without a place of the caller's, a hint and mm_brk() keep the same distance from a stack above.
 */
#define MM_STACK_MAX (UINT64_C(8) << 20)
#define MM_STACK_GAP (256 * MM_PAGE_SIZE)

/* mm_mremap() */
#define MM_MREMAP_MAYMOVE 1
#define MM_MREMAP_FIXED   2

/* mm_madvise() */
#define MM_MADV_DONTNEED       4
#define MM_MADV_POPULATE_READ  22
#define MM_MADV_POPULATE_WRITE 23

/* mm_msync() */
#define MM_MS_ASYNC      1
#define MM_MS_INVALIDATE 2
#define MM_MS_SYNC       4

/** Which lock the operations of an address space take; the outcome is the same with all of them. */
enum mm_locking {
	/** A range lock: operations on different pages run in parallel. */
	MM_LOCKING_RANGE,
	/** The same lock, always for the full range: what unconverted code does. */
	MM_LOCKING_COARSE,
	/** One pthread_rwlock_t, read for faults and write for the rest: as Linux's mmap_lock. */
	MM_LOCKING_RWLOCK,
	/** MM_LOCKING_RANGE, and faults take no lock but that of the page itself where they can. */
	MM_LOCKING_SPECULATIVE
};

/** Where mm_mmap() maps without an address of the caller's. */
enum mm_placement {
	/** The highest place in the whole space that is free, as Linux. Such calls take turns. */
	MM_PLACEMENT_LINUX,
	/**
	 * First in a part of the space that goes by the calling thread, of 64 GiB: there, calls of
	 * different threads run in parallel. If that has no room, as Linux. Threads beyond the first
	 * 1,024 of a space share the parts. A part is not reserved: any thread may map there at an
	 * address of its own choice.
	 */
	MM_PLACEMENT_THREAD
};

/** What mm_create() may be told. Fill it with mm_attr_init(), then change fields. */
struct mm_attr {
	enum mm_locking locking;     /* default MM_LOCKING_SPECULATIVE */
	enum mm_placement placement; /* default MM_PLACEMENT_LINUX */
	uint64_t
		brk_start; /* where mm_brk() begins; a multiple of the page size; default 0x555555556000 */
	/*
	 * Pages of private and shared anonymous memory in use at most, by the space and all its
	 * relatives by mm_fork() together, then ENOMEM; default UINT64_MAX. At the limit, faults of
	 * several threads on one page may fail although one page would do for all of them.
	 */
	uint64_t max_pages;
	uint64_t
		max_areas; /* as Linux's vm.max_map_count (mm_mmap() may exceed it by one); default 65530 */
};

/** An address space. */
struct mm;

/**
 * Fills attributes with the defaults.   Since: 0.1
 */
MMRANGE_API void mm_attr_init(struct mm_attr *attr);

/**
 * Makes an address space without any mapping.
 *
 * @param attr  NULL for the defaults; may go after the call
 * @return 0; EINVAL an attribute is out of its bounds; ENOMEM. On error *mm is unchanged.
 *
 * Lifetime:  until mm_destroy().   Since: 0.1
 */
MMRANGE_API int mm_create(struct mm **mm, const struct mm_attr *attr);

/**
 * Ends an address space and frees all its pages.
 *
 * Requires:  nobody else uses mm any more.
 * Progress:  waits for other threads to leave a fault, twice at most, if shared memory of the space was
 *            unmapped and is not freed yet.
 * Cost:      O(areas + tables + pages).   Since: 0.1
 */
MMRANGE_API void mm_destroy(struct mm *mm);

/**
 * Maps length bytes of memory, which reads as zeroes; see mmap(2).
 *
 * @param addr    where: with MM_MAP_FIXED and MM_MAP_FIXED_NOREPLACE exactly there, otherwise a
 *                hint, or 0; without a place of the caller's the mapping goes to the highest gap
 *                that is large enough
 * @param length  in bytes, rounded up to pages; not 0
 * @param prot    MM_PROT_..., or-ed; other bits are ignored, as in Linux
 * @param flags   MM_MAP_PRIVATE or MM_MAP_SHARED, and the other MM_MAP_... as wanted;
 *                MM_MAP_NORESERVE and MM_MAP_STACK only keep areas with them apart from those
 *                without; what MM_MAP_POPULATE cannot make present is no error
 * @param fd      without MM_MAP_ANONYMOUS: a regular file, open for reading, and for writing too if
 *                a shared mapping is to be written to. It may be closed after the call: the space
 *                keeps no descriptor, and no record lock (F_SETLK) of the process is lost. It must
 *                stay the same file during the call: if another thread replaces it by dup2(), the call
 *                fails with EBADF, or this mapping and later ones of the file may show the wrong file
 * @param offset  a multiple of the page size: where in the file
 * @param result  the address of the mapping; written only on success
 * @return 0; EINVAL length 0, unaligned fixed address or offset, or bad flags; ENOMEM no room, too
 *         many areas, or a fixed mapping that would end above MM_ADDR_MAX; EPERM fixed below
 *         MM_ADDR_MIN, a file on a file system without execution and MM_PROT_EXEC, or a sealed file
 *         (F_SEAL_WRITE, F_SEAL_FUTURE_WRITE) that is to be written to; EEXIST
 *         MM_MAP_FIXED_NOREPLACE and something is there; EBADF fd is none, or has become another file;
 *         EACCES fd is not open for that; ENODEV no regular file; EINVAL a file and MM_MAP_GROWSDOWN;
 *         EOVERFLOW the file cannot be that large; EDEADLK see mm_lock_range(); other errors of mmap(2)
 *         of the file. On error nothing has changed.
 *
 * A mapping of a file shows the file itself, by a mapping of the program's own that the space makes of
 * it and all spaces of the process share:
 * - What is written through a shared mapping is in the file at once, and what write(2) writes is in
 *   the mapping at once. When the last mapping of the file is gone, the program does not map it any
 *   more, and nothing is written to it later. Until then the program maps all that was mapped of the
 *   file since the last such moment; that takes addresses of the program, but memory only for what is
 *   accessed.
 * - Where the file has become too short, accesses fail with MM_BUS_ADRERR, also to pages that were
 *   present before, and are still counted so; where it grows again it reads as zeroes. So do private
 *   copies of its pages, but a copy stays unless an access to it begins and ends while the file is
 *   short (in Linux no copy stays). What is written to a copy is lost only if the file becomes too
 *   short after that, or if the system cannot have the page of the file when the copy is accessed, for
 *   want of room or by an I/O error. Where pages of the system are larger than MM_PAGE_SIZE, the end of
 *   the file is that of its last such page.
 * - An area that mm_mremap() makes longer than all that was mapped of the file before can be accessed
 *   there as far as the system can map the file again without a descriptor (Linux can, and a private
 *   one since 5.13): if not, ENOMEM.
 * - Two files are the same if fstat(2) gives them the same st_dev and st_ino. Where a file system gives
 *   those to different contents, a mapping may show the contents of an earlier one that is still there.
 *   Overlayfs does so for descriptors from before and after it copies a file up, which it does when the
 *   file is first opened for writing; FUSE and 9p may do so for any two files.
 *
 * The first mapping of a file in the process installs a handler of SIGBUS, by which the failure of such
 * accesses is noticed. It passes every other SIGBUS on to what was installed before, which gets it as
 * from the system: on the stack and with the mask of its flags, and only once with SA_RESETHAND. A
 * program that installs a handler later has to pass on each SIGBUS that is not its own; if it does not,
 * an access behind the end of a file ends in the program's handler. Each thread that accesses a page of
 * a file unblocks SIGBUS for itself, once, and must not block it after that.
 *
 * Ensures:   MM_MAP_FIXED replaces what was mapped there in one step: no other thread sees the gap.
 * Locks:     the range, for writing, for the whole of it.   Since: 0.1
 */
MMRANGE_API int mm_mmap(struct mm *mm, uint64_t addr, uint64_t length, int prot, int flags, int fd,
			uint64_t offset, uint64_t *result);

/**
 * Removes the mappings in [addr, addr + length), and frees their pages; see munmap(2).
 *
 * @return 0, also when nothing was mapped there; EINVAL unaligned address, length 0, or beyond
 *         MM_ADDR_MAX; ENOMEM an area would have to be split and there are too many, or no memory.
 *         On error nothing has changed.
 *
 * Ensures:   all mappings go in one step, however many there are.
 * Locks:     the range, for writing.   Since: 0.1
 */
MMRANGE_API int mm_munmap(struct mm *mm, uint64_t addr, uint64_t length);

/**
 * Sets the protection of all areas in [addr, addr + length); see mprotect(2).
 *
 * @return 0; EINVAL unaligned address or bad prot: nothing has changed; ENOMEM there is no memory:
 *         nothing has changed; ENOMEM part of the range is not mapped, or there are too many areas;
 *         EACCES MM_PROT_WRITE for a shared mapping of a file that is not open for writing, or is
 *         sealed, or MM_PROT_EXEC for a file on a file system without execution: as in Linux, what
 *         lies before has been changed
 *
 * Locks:     the range, for writing.
 * Progress:  where there is no memory for areas to merge, it uses that of parts of the area tree that
 *            earlier merges of the call replaced, and waits for other threads to leave a fault before
 *            each merge.
 * Cost:      O(areas in the range * log areas + page tables there).   Since: 0.1
 */
MMRANGE_API int mm_mprotect(struct mm *mm, uint64_t addr, uint64_t length, int prot);

/**
 * Grows, shrinks or moves a mapping, with its pages; see mremap(2).
 *
 * @param flags     MM_MREMAP_MAYMOVE, MM_MREMAP_FIXED
 * @param new_addr  with MM_MREMAP_FIXED only: what is mapped there is replaced
 * @param result    the address of the mapping; written only on success
 * @return 0; EINVAL unaligned address, new_length 0 or beyond MM_ADDR_MAX, bad flags, ranges that
 *         overlap with MM_MREMAP_FIXED, or old_length 0 of a private mapping (of a shared one, the
 *         same memory is mapped a second time); EFAULT nothing is mapped at old_addr, or what is
 *         to grow or to move is not within one area; ENOMEM no room, or too many areas; EPERM
 *         target below MM_ADDR_MIN. On error nothing has changed (Linux may have unmapped the
 *         target of a failed MM_MREMAP_FIXED, and the end of what was to shrink).
 *
 * Shared anonymous memory has the size of its first mapping: what grows behind that is MM_BUS_ADRERR.
 *
 * Ensures:   a move is one step: no other thread sees a page at both places.
 * Locks:     both ranges, for writing.   Since: 0.1
 */
MMRANGE_API int mm_mremap(struct mm *mm, uint64_t old_addr, uint64_t old_length,
			  uint64_t new_length, int flags, uint64_t new_addr, uint64_t *result);

/**
 * Advice about [addr, addr + length); see madvise(2).
 *
 * @param advice  MM_MADV_DONTNEED: private pages are freed, and read as zeroes, or as the file, from
 *                then on; shared ones keep what is in them.
 *                MM_MADV_POPULATE_READ, MM_MADV_POPULATE_WRITE: pages are made present, as by an
 *                access
 * @return 0; EINVAL unaligned address, or advice not known, or the area is locked by mm_mlock() or
 *         does not allow the access; ENOMEM part of the range is not mapped: the rest has been done
 *         (when populating, what lies before); ENOMEM, when populating only, there is no memory: what
 *         lies before is present; EFAULT a file ends before
 *
 * Locks:     the range, for reading: faults in it may go on.   Since: 0.1
 */
MMRANGE_API int mm_madvise(struct mm *mm, uint64_t addr, uint64_t length, int advice);

/**
 * Moves the end of the heap; see the system call brk(2).
 *
 * @param brk     where to, or 0 to ask
 * @param result  the end of the heap after the call: brk, if it could be moved there
 * @return 0, also when the end could not be moved, for want of memory or for another reason: then the
 *         heap is as it was; EDEADLK see mm_lock_range(); ENOMEM this is the thread's first use of mm,
 *         and there is no memory
 *
 * Locks:     the heap that changes, for writing.   Since: 0.1
 */
MMRANGE_API int mm_brk(struct mm *mm, uint64_t brk, uint64_t *result);

/** Why an access failed: what the signal would have carried. */
enum mm_fault_code {
	MM_SEGV_MAPERR = 1, /* nothing is mapped there */
	MM_SEGV_ACCERR = 2, /* it is mapped, but not for this */
	MM_BUS_ADRERR = 3   /* it is mapped, but the file ends before it, or cannot be read or stored */
};

struct mm_siginfo {
	uint64_t addr; /* the first byte that could not be accessed */
	enum mm_fault_code code;
};

/**
 * Copies length bytes out of the address space, faulting pages in as hardware would.
 *
 * @param buffer  length bytes that the program can access. A signal handler must not jump out of the
 *                call, not even for a signal that an access to the buffer has raised
 * @param info    written on EFAULT; may be NULL
 * @return 0; EFAULT a byte is not mapped for reading: what lies before info->addr has been copied;
 *         ENOMEM no page could be had
 *
 * Ordering:  none by itself. As on real hardware, other threads may see a longer access in parts: but
 *            a byte never, nor a word (of a pointer's size) where addr and buffer have the same
 *            alignment.
 * Progress:  an access to what is present takes no lock and waits for nobody, but for an operation
 *            of another thread that takes the page away. An access to a page of a file waits until
 *            the system has the page: that may take as long as a file system on a network does not
 *            answer, and an operation that takes the page away waits for the access.
 * Cost:      a present page that was used lately, O(1). See mm_fault() for the others.
 *
 * Since: 0.1
 */
MMRANGE_API int mm_read(struct mm *mm, uint64_t addr, void *buffer, size_t length,
			struct mm_siginfo *info);

/**
 * Copies length bytes into the address space; otherwise as mm_read().   Since: 0.1
 */
MMRANGE_API int mm_write(struct mm *mm, uint64_t addr, const void *buffer, size_t length,
			 struct mm_siginfo *info);

/**
 * Makes the page of addr present for an access, as a page fault does: first without any lock but
 * that of the page itself, if mm was made with MM_LOCKING_SPECULATIVE; where that cannot be done
 * (see enum mm_fallback), with the page's range held for reading; and where a stack has to grow, with
 * everything held for writing.
 *
 * @param access  one or more of MM_PROT_READ, MM_PROT_WRITE, MM_PROT_EXEC
 * @return 0, also when it was present already; EFAULT with *info (may be NULL); EINVAL no access,
 *         or not one of these; ENOMEM (a stack may have grown for a page that it does not get, as in
 *         Linux); EDEADLK a stack has to grow, and the thread holds a range
 *
 * Locks:     none; or the page, for reading; or everything, for writing.
 * Progress:  a fault that is served without a lock waits for no lock: where another thread has the page
 *            locked, it takes the range. It allocates nothing.
 * Cost:      O(log areas).   Since: 0.1
 */
MMRANGE_API int mm_fault(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info);

/**
 * Says which pages of [addr, addr + length) are present; see mincore(2).
 *
 * @param vec  an element for each page, of which bit 0 says it; written only on success
 * @return 0, also when length is 0; EINVAL unaligned address; ENOMEM part of the range is not
 *         mapped, or beyond MM_ADDR_MAX
 *
 * Ensures:   nothing about the moment after the call: a page may come or go while it returns.
 * Locks:     the range, for reading.   Since: 0.1
 */
MMRANGE_API int mm_mincore(struct mm *mm, uint64_t addr, uint64_t length, unsigned char *vec);

/** One area, as a line of /proc/self/maps. */
struct mm_area {
	uint64_t start;
	uint64_t end;
	int prot;
	int flags; /* MM_MAP_PRIVATE or MM_MAP_SHARED, and MM_MAP_ANONYMOUS */
};

/**
 * Lists the areas in ascending order.
 *
 * @param visit  called for each; a value other than 0 ends the walk
 * @return what the last visit returned; 0 if there was none
 *
 * Ensures:   each area is as it was at the moment of its visit; other threads may change the list
 *            between two visits. What merges with an area visited before is shown from the end of
 *            that one. visit may call any function on mm.   Since: 0.1
 */
MMRANGE_API int mm_for_each_area(struct mm *mm, int (*visit)(const struct mm_area *area, void *arg),
				 void *arg);

/**
 * Makes a copy of an address space, as fork(2) does, while other threads go on using it: private
 * memory is copied when one of the two writes to it, shared mappings stay shared.
 *
 * @param child  written only on success; ends with mm_destroy() as any other
 * @return 0; ENOMEM
 *
 * Ensures:   the child is a snapshot: of any two writes of one thread it has the first if it has
 *            the second. Areas of the child are not locked by mm_mlock().
 * Locks:     everything, for writing.
 * Cost:      O(areas + pages present).   Since: 0.1
 */
MMRANGE_API int mm_fork(struct mm *mm, struct mm **child);

/**
 * Has the system store what was written to shared mappings of files in [addr, addr + length), and waits
 * for that with MM_MS_SYNC; see msync(2). In the files, as read(2) sees them, it is before.
 *
 * @param flags  MM_MS_ASYNC or MM_MS_SYNC, maybe with MM_MS_INVALIDATE, which does nothing here
 * @return 0; EINVAL unaligned address, or bad flags; ENOMEM part of the range is not mapped: the
 *         rest has been done; EBUSY MM_MS_INVALIDATE and an area locked by mm_mlock(); EIO or
 *         another error of the file
 *
 * Locks:     the range, for reading.   Since: 0.1
 */
MMRANGE_API int mm_msync(struct mm *mm, uint64_t addr, uint64_t length, int flags);

/**
 * Locks the pages of [addr, addr + length): makes them present, and keeps MM_MADV_DONTNEED away;
 * see mlock(2). addr needs no alignment: whole pages are locked. There is no limit.
 *
 * @return 0; ENOMEM there is no memory to change areas: nothing has changed; ENOMEM part of the range
 *         is not mapped, or there are too many areas: what lies before is locked, but not made
 *         present; ENOMEM an area, or its file, does not let a page be made present, or EAGAIN there
 *         is no memory for a page: all of the range is locked, and what lies before is present;
 *         EINVAL the range wraps
 *
 * Locks:     the range, for writing; then each page, for reading.
 * Progress:  as mm_mprotect().
 * Cost:      O(areas in the range * log areas + pages that are made present).   Since: 0.1
 */
MMRANGE_API int mm_mlock(struct mm *mm, uint64_t addr, uint64_t length);

/**
 * Undoes mm_mlock(), however often that was called.
 *
 * @return 0; ENOMEM there is no memory: nothing has changed; ENOMEM part of the range is not mapped,
 *         or there are too many areas: what lies before is not locked any more; EINVAL the range wraps
 *
 * Locks:     the range, for writing.
 * Progress:  as mm_mprotect().
 * Cost:      O(areas in the range * log areas).   Since: 0.1
 */
MMRANGE_API int mm_munlock(struct mm *mm, uint64_t addr, uint64_t length);

/*
 * Locks for callers who do several things in one piece, or protect more than mm does. See
 * CONVERTING.md for how a program goes from one coarse lock to these, and to none.
 *
 * A thread that holds one may call any function on mm: what lies within it is not locked again.
 * What has to be locked for writing and lies in what the thread holds for reading, or lies only
 * partly in what it holds, would wait for the thread itself: such a call fails with EDEADLK, and
 * changes nothing. With MM_LOCKING_COARSE and MM_LOCKING_RWLOCK whatever is held is everything.
 *
 * What lies outside is waited for, while others may wait for what the thread holds: that can
 * deadlock, see range_lock.h. So call only what lies within. The checked build ends the process where
 * threads wait for each other.
 */

/** What mm_lock_range() holds. The caller's storage, until mm_unlock_range(). */
struct mm_hold {
	struct range_hold range;
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	struct mm_hold *next; /* of the thread's */
};

/**
 * Locks [start, end) against operations and locks that overlap it.
 *
 * @param start,end  multiples of the page size; end may be UINT64_MAX
 * @param mode       RANGE_READ: what locks for reading goes on; RANGE_WRITE: nobody else changes what
 *                   is mapped, or holds any of it
 * @return 0; EINVAL empty range, unaligned address, or bad mode; EDEADLK the thread holds something
 *         that overlaps it; ENOMEM this is the thread's first use of mm, and there is no memory
 *
 * What takes no lock goes on in any case: accesses to pages that the thread in question has accessed
 * before, and with MM_LOCKING_SPECULATIVE faults, where they can do without; never rely on whether
 * they can. A change of protection keeps both out.
 *
 * Ordering:  acquire; pairs with the release of mm_unlock_range().
 * Safety:    to be unlocked by the thread that locked it.   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int mm_lock_range(struct mm *mm, struct mm_hold *hold,
						   uint64_t start, uint64_t end,
						   enum range_mode mode);

/** Ends what mm_lock_range() began.   Since: 0.1 */
MMRANGE_API void mm_unlock_range(struct mm *mm, struct mm_hold *hold);

/**
 * The coarse lock: mm_lock_range() of everything, for code that knows only one lock. A thread can
 * hold it once only, so it needs no storage of the caller's.
 *
 * @return 0; EDEADLK the thread holds it, or a range, already; ENOMEM as mm_lock_range()
 *
 * Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int mm_read_lock(struct mm *mm);
MMRANGE_API MMRANGE_CHECK_RESULT int mm_write_lock(struct mm *mm);
MMRANGE_API void mm_read_unlock(struct mm *mm);
MMRANGE_API void mm_write_unlock(struct mm *mm);

/** Why a fault could not be served without a lock. */
enum mm_fallback {
	MM_FALLBACK_NO_AREA,  /* no area was found: the lock tells whether that is so */
	MM_FALLBACK_ACCESS,   /* the area does not allow the access: the same */
	MM_FALLBACK_CHANGING, /* the area was being changed when the fault came */
	MM_FALLBACK_NO_TABLE, /* there was no page table yet */
	MM_FALLBACK_NO_FRAME, /* the thread had no free frame at hand */
	MM_FALLBACK_NO_PAGE,  /* the page of the file may have to be read first, or is not there */
	MM_FALLBACK_FLUSH, /* other threads have to be kept from what they may have in their TLBs */
	MM_FALLBACK_CHANGED, /* aborted: the area was changed meanwhile */
	MM_FALLBACK_TABLE,   /* aborted: the page table was freed meanwhile */
	MM_FALLBACK_ENTRY,   /* aborted: the page was changed meanwhile, or was just being changed */
	MM_NR_FALLBACKS
};

/** The name of a reason, in small letters: "no_area". NULL for what is none.   Since: 0.1 */
MMRANGE_API const char *mm_fallback_name(enum mm_fallback reason);

#define MM_NR_HOLD_TIMES 128

/**
 * The end, in nanoseconds, of what mm_stats.hold_times[i] counts; it begins at the end of i - 1.
 * The last one's end is UINT64_MAX.   Since: 0.1
 */
MMRANGE_API uint64_t mm_hold_time_end(unsigned int i);

/**
 * What an address space holds, and what has happened in it. Later versions may add counters at the end,
 * and change nothing before: mm_get_stats() is told how many of them the caller has room for.
 */
struct mm_stats {
	uint64_t areas;          /* now */
	uint64_t pages;          /* present now */
	/*
	 * In use now, by this space and its relatives by mm_fork(); files have none. Shared memory that
	 * is not mapped any more is in use until no fault can still look at it: 4,096 pages, or one
	 * mapping, for each thread at most.
	 */
	uint64_t frames;
	uint64_t tables;         /* page tables now, of all levels */
	uint64_t faults;         /* so far: all faults, whatever came of them */
	uint64_t faults_minor;   /* .. that made a page present */
	uint64_t faults_present; /* .. that found it present already */
	uint64_t faults_failed;  /* .. that ended in EFAULT or ENOMEM */
	/* Faults that were served, or failed: with no lock, with the page's range, with everything. */
	uint64_t faults_speculative;
	uint64_t faults_ranged;
	uint64_t faults_coarse;
	uint64_t fallbacks[MM_NR_FALLBACKS];
	uint64_t hold_times[MM_NR_HOLD_TIMES]; /* of the VMA tree lock: how often how long */
	uint64_t lock_leaves;                  /* of the range lock: see struct range_lock_stats */
	uint64_t lock_splits;
	uint64_t lock_merges;
	uint64_t lock_waits;
};

/**
 * Reads the statistics; counters that change meanwhile may be from before or after.
 *
 * @param size  sizeof(struct mm_stats), as the caller's header has it, or the size of its first
 *              counters. Of a smaller structure than the library's, the call writes size bytes; in a
 *              larger one, the counters that the library does not know become 0
 * @return 0; EINVAL size is 0, or not a multiple of a counter's: nothing is written
 *
 * Before it counts frames it frees what the calling thread, and threads that have ended, gave away, as
 * far as no fault can look at it any more.
 *
 * Locks:     no range. The short mm lock for a constant time; and the locks of the lists of threads, of
 *            free frames, and of range_lock_stats(), for as long as it takes to read them.
 * Cost:      O(threads that use the space or a relative by mm_fork(), threads that use any space, most
 *            leaves of the range lock so far, and what is freed); nothing for each area or page. Reads
 *            lines that other threads write: not for hot paths. Allocates nothing, but at the
 *            thread's first use of mm, where it does without.   Since: 0.1
 */
MMRANGE_API int mm_get_stats(struct mm *mm, struct mm_stats *stats, size_t size);

/**
 * Checks every structural invariant: areas ordered, disjoint, aligned, merged where Linux merges
 * them, within bounds; the area tree's own shape; each present page inside an area that allows what
 * its entry allows; each table's count; each page mapped once; pages and tables all accounted for.
 *
 * @param message  where a sentence on the first breach goes, at most size bytes; may be NULL
 * @return 0; EUCLEAN (EINVAL where there is no such value) something is broken
 *
 * Requires:  a quiet moment: no other thread is in a function on mm, or a relative by mm_fork().
 * Cost:      O(areas + tables + pages).   Since: 0.1
 */
MMRANGE_API int mm_validate(struct mm *mm, char *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
