/* SPDX-License-Identifier: MIT */
/*
 * mm - a simulated address space: areas, page tables, and pages of real memory with real bytes in
 * them.
 *
 * An area (VMA in Linux) is a part of the address space that has one protection and one backing.
 *
 * A simulated address space stands in for a kernel's, so that locking designs can be run, tested
 * and measured in user space. Linux on a 64-bit machine is the reference for every result and every
 * error. The constants below have the values of Linux's generic ABI.
 *
 *	struct mm *mm;
 *	uint64_t addr;
 *
 *	mm_create(&mm, NULL);
 *	mm_mmap(mm, 0, 1 << 20, MM_PROT_READ | MM_PROT_WRITE,
 *	        MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1, 0, &addr);
 *	mm_write(mm, addr, "hello", 5, NULL);
 *	mm_destroy(mm);
 *
 * Addresses are simulated. They mean nothing to the program itself: only mm_read() and mm_write()
 * reach the bytes behind them. A page is MM_PAGE_SIZE bytes; the addresses are [MM_ADDR_MIN,
 * MM_ADDR_MAX).
 *
 * Functions return 0 or a positive errno value and leave errno alone. Any number of threads may
 * call any of them at once, except mm_create(), mm_destroy() and mm_validate(), whose comments
 * state what they require. Operations are atomic towards each other as they are in Linux:
 * operations whose pages overlap happen one after the other. Nothing orders accesses to bytes, as
 * on hardware.
 *
 * Where an allocation fails, a call succeeds all the same, or fails with ENOMEM and has changed
 * nothing but which pages are present. Only mm_mlock(), mm_brk(), and a fault that makes a stack
 * grow may do otherwise, as their comments state. Where memory is short, neighbouring areas that
 * could be one may stay apart, as in Linux.
 *
 * Memory: an operation needs the memory of a few changes, however many areas lie in its range.
 * mm_fork() needs memory for all areas, and for the page tables. For each space that it has used, a
 * thread keeps some memory until the thread or the space ends. Until it ends, a thread also keeps
 * the memory of up to 2,048 areas for reuse. Where n threads use spaces and n is more than 8, each
 * of them keeps that of 1,024 + 128 * n areas, but of no more than 17,408.
 *
 * Locks: an operation does not need the short VMA tree lock if its areas lie next to each other in
 * one border node of the tree of areas. Otherwise it holds that lock for 32 areas at a time.
 *
 * The child of fork(2) may make spaces of its own, but must not use its parent's spaces.
 *
 * A space belongs to the copy of the library that made it (see range_lock.h). If a program calls a
 * function of another copy with the space, the call names the files of both copies on stderr, and
 * aborts the process. After a copy has made 2^28 spaces, this check may fail to notice it.
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

/** Mappings lie in [MM_ADDR_MIN, MM_ADDR_MAX): as on x86-64 with the default vm.mmap_min_addr. */
#define MM_ADDR_MIN UINT64_C(0x10000)
#define MM_ADDR_MAX UINT64_C(0x7ffffffff000)

/*
 * Protection of an area, and the kinds of access to a page. As on x86-64, a writable or executable
 * page is readable.
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
 * A mapping with MM_MAP_GROWSDOWN, a stack, grows down to the address of an access, up to
 * MM_STACK_MAX bytes altogether (Linux's default RLIMIT_STACK). MM_STACK_GAP bytes stay free
 * between it and the next mapping below, unless that mapping allows no access or is a stack itself.
 * A mapping that the caller gives no place, a hint, and mm_brk() keep the same distance from a
 * stack above.
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

/** Which lock the operations of an address space take. The outcome is the same with all of them. */
enum mm_locking {
	/** A range lock: operations on different pages run in parallel. */
	MM_LOCKING_RANGE,
	/** The same lock, always for the full range, as unconverted code takes it. */
	MM_LOCKING_COARSE,
	/** One pthread_rwlock_t, as mmap_lock: faults lock it for reading, the rest for writing. */
	MM_LOCKING_RWLOCK,
	/** As MM_LOCKING_RANGE, but where it can, a fault locks only the page itself. */
	MM_LOCKING_SPECULATIVE
};

/** Where mm_mmap() maps when the caller gives no address. */
enum mm_placement {
	/** The highest free place in the whole space, as in Linux. Such calls take turns. */
	MM_PLACEMENT_LINUX,
	/**
	 * First in a part of the space assigned to the calling thread, of 64 GiB. There, calls
	 * of different threads run in parallel. If the part has no room, as MM_PLACEMENT_LINUX.
	 * Threads beyond the first 1,024 of a space share the parts. A part is not reserved: any
	 * thread may map there at an address of its own choice.
	 */
	MM_PLACEMENT_THREAD
};

/** The attributes for mm_create(). Fill them with mm_attr_init(), then change fields. */
struct mm_attr {
	enum mm_locking locking;     /* default MM_LOCKING_SPECULATIVE */
	enum mm_placement placement; /* default MM_PLACEMENT_LINUX */
	/* Where the heap begins; a multiple of the page size; default 0x555555556000. */
	uint64_t brk_start;
	/*
	 * The greatest number of pages of private and shared anonymous memory in use, by the space
	 * and all its relatives by mm_fork() together. Beyond it, calls fail with ENOMEM. Default
	 * UINT64_MAX. At the limit, faults of several threads on one page may fail although one
	 * page would do for all of them.
	 */
	uint64_t max_pages;
	/* As Linux's vm.max_map_count (mm_mmap() may exceed it by one); default 65530. */
	uint64_t max_areas;
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
 * @param attr  NULL for the defaults; the caller may free it after the call
 * @return 0; EINVAL an attribute is out of its bounds; ENOMEM. On error *mm is unchanged.
 *
 * Lifetime:  until mm_destroy().   Since: 0.1
 */
MMRANGE_API int mm_create(struct mm **mm, const struct mm_attr *attr);

/**
 * Ends an address space and frees all its pages.
 *
 * Requires:  no other thread uses mm any more.
 * Progress:  waits for other threads to leave a fault, twice at most, if shared memory of the space
 *            was unmapped and is not freed yet.
 * Cost:      O(areas + tables + pages).   Since: 0.1
 */
MMRANGE_API void mm_destroy(struct mm *mm);

/**
 * Maps length bytes of memory, which reads as zeroes; see mmap(2).
 *
 * @param addr    where: with MM_MAP_FIXED and MM_MAP_FIXED_NOREPLACE exactly there, otherwise a
 *                hint, or 0. If the caller gives no place, the mapping goes to the highest gap that
 *                is large enough
 * @param length  in bytes, rounded up to pages; not 0
 * @param prot    MM_PROT_..., or-ed; other bits are ignored, as in Linux
 * @param flags   MM_MAP_PRIVATE or MM_MAP_SHARED, or-ed with any other MM_MAP_...;
 *                MM_MAP_NORESERVE and MM_MAP_STACK only keep areas with them apart from areas
 *                without; pages that MM_MAP_POPULATE cannot make present are no error
 * @param fd      without MM_MAP_ANONYMOUS: a regular file, open for reading, and also for writing
 *                if a shared mapping is to be written to. The caller may close it after the call:
 *                the space keeps no descriptor, and the process loses no record lock (F_SETLK). It
 *                must stay the same file during the call: if another thread replaces it by dup2(),
 *                the call fails with EBADF, or this mapping and later ones of the file may show the
 *                wrong file
 * @param offset  a multiple of the page size: where in the file
 * @param result  the address of the mapping; written only on success
 * @return 0; EINVAL length 0, unaligned fixed address or offset, or bad flags; ENOMEM no room, too
 *         many areas, or a fixed mapping that would end above MM_ADDR_MAX; EPERM fixed below
 *         MM_ADDR_MIN, a file on a file system without execution and MM_PROT_EXEC, or a sealed file
 *         (F_SEAL_WRITE, F_SEAL_FUTURE_WRITE) that is to be written to; EEXIST
 *         MM_MAP_FIXED_NOREPLACE and a mapping is there already; EBADF fd is no descriptor, or has
 *         become another file; EACCES fd is not open for that; ENODEV no regular file; EINVAL a
 *         file and MM_MAP_GROWSDOWN; EOVERFLOW the file cannot be that large; EDEADLK see
 *         mm_lock_range(); other errors of mmap(2) of the file. On error nothing has changed.
 *
 * A mapping of a file shows the file itself. The space makes a mapping of the program's own for it,
 * which all spaces of the process share:
 * - A write through a shared mapping is in the file at once, and a write by write(2) is in the
 *   mapping at once. When the last mapping of the file is gone, the program does not map the file
 *   any more, and nothing is written to it later. Until then the program maps all parts of the file
 *   that were mapped since the last such moment. That takes addresses of the program, but memory
 *   only for the pages that are accessed.
 * - Where the file has become too short, accesses fail with MM_BUS_ADRERR, also to pages that were
 *   present before and are still counted as present. Where the file grows again it reads as zeroes.
 *   The same holds for private copies of its pages, but a copy stays unless an access to it begins
 *   and ends while the file is short (in Linux no copy stays). A write to a copy is lost only if
 *   the file becomes too short after it, or if the system cannot have the page of the file when the
 *   copy is accessed, for want of room or by an I/O error. Where pages of the system are larger
 *   than MM_PAGE_SIZE, the end of the file is that of its last such page.
 * - If mm_mremap() makes an area reach beyond all parts of the file that were mapped before, the
 *   new part can be accessed as far as the system can map the file again without a descriptor
 *   (Linux can, and a private one since 5.13). If it cannot, accesses fail with ENOMEM.
 * - Two files are the same if fstat(2) gives them the same st_dev and st_ino. Where a file system
 *   gives the same pair to different contents, a mapping may show the contents of an earlier
 *   mapping that still exists. Overlayfs does so for descriptors from before and after it copies a
 *   file up, which it does when a process first opens the file for writing. FUSE and 9p may do so
 *   for any two files.
 *
 * The first mapping of a file in the process installs a handler of SIGBUS, which notices the
 * failure of such accesses. The handler passes every other SIGBUS on to the handler that was
 * installed before, as the system would: on the stack and with the mask of its flags, and only once
 * with SA_RESETHAND. A program that installs a handler later has to pass on each SIGBUS that is not
 * its own. If it does not, an access behind the end of a file ends in the program's handler. Each
 * thread that accesses a page of a file unblocks SIGBUS for itself, once, and must not block it
 * after that.
 *
 * Ensures:   MM_MAP_FIXED replaces the old mappings in one step: no other thread sees a gap.
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
 *         sealed, or MM_PROT_EXEC for a file on a file system without execution. As in Linux, the
 *         part before the error has been changed
 *
 * Locks:     the range, for writing.
 * Progress:  where there is no memory to merge areas, the call reuses the memory of parts of the
 *            area tree that its earlier merges replaced. It then waits for other threads to leave a
 *            fault before each merge.
 * Cost:      O(areas in the range * log areas + page tables there).   Since: 0.1
 */
MMRANGE_API int mm_mprotect(struct mm *mm, uint64_t addr, uint64_t length, int prot);

/**
 * Grows, shrinks or moves a mapping, with its pages; see mremap(2).
 *
 * @param flags     MM_MREMAP_MAYMOVE, MM_MREMAP_FIXED
 * @param new_addr  with MM_MREMAP_FIXED only: the target; it replaces the mappings there
 * @param result    the address of the mapping; written only on success
 * @return 0; EINVAL unaligned address, new_length 0 or beyond MM_ADDR_MAX, bad flags, ranges that
 *         overlap with MM_MREMAP_FIXED, or old_length 0 of a private mapping (of a shared mapping,
 *         old_length 0 maps the same memory a second time); EFAULT nothing is mapped at old_addr,
 *         or the part that is to grow or to move is not within one area; ENOMEM no room, or too
 *         many areas; EPERM target below MM_ADDR_MIN. On error nothing has changed (Linux may have
 *         unmapped the target of a failed MM_MREMAP_FIXED, and the end of a mapping that was to
 *         shrink).
 *
 * Shared anonymous memory has the size of its first mapping: accesses beyond that size fail with
 * MM_BUS_ADRERR.
 *
 * Ensures:   a move is one step: no other thread sees a page at both places.
 * Locks:     both ranges, for writing.   Since: 0.1
 */
MMRANGE_API int mm_mremap(struct mm *mm, uint64_t old_addr, uint64_t old_length,
			  uint64_t new_length, int flags, uint64_t new_addr, uint64_t *result);

/**
 * Advice about [addr, addr + length); see madvise(2).
 *
 * @param advice MM_MADV_DONTNEED: private pages are freed, and read as zeroes, or as the file, from
 *                then on; shared pages keep their bytes. MM_MADV_POPULATE_READ,
 *                MM_MADV_POPULATE_WRITE: pages are made present, as by an access
 * @return 0; EINVAL unaligned address, or unknown advice, or the area is locked by mm_mlock() or
 *         does not allow the access; ENOMEM part of the range is not mapped: the rest has been done
 *         (when populating, the part before); ENOMEM, when populating only, there is no memory: the
 *         part before is present; EFAULT a file ends before
 *
 * Locks:     MM_MADV_DONTNEED: the range, for reading: faults in it may go on. Otherwise each page,
 *            as an access does.   Since: 0.1
 */
MMRANGE_API int mm_madvise(struct mm *mm, uint64_t addr, uint64_t length, int advice);

/**
 * Moves the end of the heap; see the system call brk(2).
 *
 * @param brk     the new end, or 0 to ask for the present one
 * @param result  the end of the heap after the call: brk, if it could be moved there
 * @return 0, also when the end could not be moved, for want of memory or for another reason: then
 *         the heap is as it was; EDEADLK see mm_lock_range(); ENOMEM this is the thread's first use
 *         of mm, and there is no memory
 *
 * Locks:     the part of the heap that changes, for writing.   Since: 0.1
 */
MMRANGE_API int mm_brk(struct mm *mm, uint64_t brk, uint64_t *result);

/** Why an access failed, as the signal would have said. */
enum mm_fault_code {
	MM_SEGV_MAPERR = 1, /* the address is not mapped */
	MM_SEGV_ACCERR = 2, /* the address is mapped, but the area does not allow the access */
	MM_BUS_ADRERR = 3 /* the file ends before the page, or the page cannot be read or stored */
};

struct mm_siginfo {
	uint64_t addr; /* the first byte that could not be accessed */
	enum mm_fault_code code;
};

/**
 * Copies length bytes out of the address space, faulting pages in as hardware would.
 *
 * @param buffer length bytes that the program can access. A signal handler must not jump out of the
 *                call, not even for a signal that an access to the buffer has raised
 * @param info    written on EFAULT; may be NULL
 * @return 0; EFAULT a byte is not mapped for reading: the bytes before info->addr have been copied;
 *         ENOMEM no page could be had
 *
 * Ordering:  none by itself. As on real hardware, other threads may see a longer access in parts.
 *            But they never see a part of a byte, or of a word (of a pointer's size) where addr and
 *            buffer have the same alignment.
 * Progress:  an access to a present page takes no lock, and waits for no other thread, except for
 *            an operation of another thread that takes the page away. An access to a page of a file
 *            waits until the system has the page: as long as a file system on a network does not
 *            answer, for example. An operation that takes the page away waits for the access.
 * Cost:      O(1) for a present page that was used lately. For others see mm_fault().
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
 * Makes the page of addr present for an access, as a page fault does. If mm was made with
 * MM_LOCKING_SPECULATIVE, the fault first tries without any lock except that of the page itself.
 * Where that does not work (see enum mm_fallback), it holds the page's range for reading. Where a
 * stack has to grow, it holds the full range for writing.
 *
 * @param access  one or more of MM_PROT_READ, MM_PROT_WRITE, MM_PROT_EXEC
 * @return 0, also when the page was present already; EFAULT with *info (may be NULL); EINVAL no
 *         access, or an unknown one; ENOMEM (a stack may have grown for a page that it does not
 *         get, as in Linux); EDEADLK a stack has to grow, and the thread holds a range
 *
 * Locks:     none; or the page, for reading; or the full range, for writing.
 * Progress:  a fault that is served without a lock waits for no lock: where another thread has
 *            locked the page, it takes the range. It allocates nothing.
 * Cost:      O(log areas).   Since: 0.1
 */
MMRANGE_API int mm_fault(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info);

/**
 * Reports which pages of [addr, addr + length) are present; see mincore(2).
 *
 * @param vec an element for each page; bit 0 is set if the page is present; written only on success
 * @return 0, also when length is 0; EINVAL unaligned address; ENOMEM part of the range is not
 *         mapped, or beyond MM_ADDR_MAX
 *
 * Ensures:   nothing about the moment after the call: a page may come or go while it returns.
 * Locks:     the range, for reading.   Since: 0.1
 */
MMRANGE_API int mm_mincore(struct mm *mm, uint64_t addr, uint64_t length, unsigned char *vec);

/** One area, as a line of /proc/self/maps describes it. */
struct mm_area {
	uint64_t start;
	uint64_t end;
	int prot;
	int flags; /* MM_MAP_PRIVATE or MM_MAP_SHARED, and MM_MAP_ANONYMOUS */
};

/**
 * Lists the areas in ascending order.
 *
 * @param visit  called for each area; a value other than 0 ends the walk
 * @return the value that the last visit returned; 0 if there was none
 *
 * Ensures:   each area is as it was at the moment of its visit; other threads may change the list
 *            between two visits. If an area merges with one visited before, the walk shows it from
 *            the end of that one. visit may call any function on mm.   Since: 0.1
 */
MMRANGE_API int mm_for_each_area(struct mm *mm, int (*visit)(const struct mm_area *area, void *arg),
				 void *arg);

/**
 * Makes a copy of an address space, as fork(2) does, while other threads go on using it. A page of
 * private memory is copied when one of the two spaces writes to it. Shared mappings stay shared.
 *
 * @param child  written only on success; ends with mm_destroy() as any other
 * @return 0; ENOMEM
 *
 * Ensures:   the child is a snapshot: of any two writes of one thread it has the first if it has
 *            the second. Areas of the child are not locked by mm_mlock().
 * Locks:     the full range, for writing.
 * Cost:      O(areas + pages present).   Since: 0.1
 */
MMRANGE_API int mm_fork(struct mm *mm, struct mm **child);

/**
 * Has the system store the data written to shared mappings of files in [addr, addr + length). With
 * MM_MS_SYNC it waits until the system has stored them; see msync(2). The files, as read(2) sees
 * them, have the data already before the call.
 *
 * @param flags MM_MS_ASYNC or MM_MS_SYNC, optionally with MM_MS_INVALIDATE, which has no effect
 *        here
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
 * @return 0; ENOMEM there is no memory to change areas: nothing has changed; ENOMEM part of the
 *         range is not mapped, or there are too many areas: the part before is locked, but not made
 *         present; ENOMEM an area, or its file, does not let a page be made present, or EAGAIN
 *         there is no memory for a page: all of the range is locked, and the part before is
 *         present; EINVAL the range wraps
 *
 * Locks:     the range, for writing; then each page, for reading.
 * Progress:  as mm_mprotect().
 * Cost:      O(areas in the range * log areas + pages that are made present).   Since: 0.1
 */
MMRANGE_API int mm_mlock(struct mm *mm, uint64_t addr, uint64_t length);

/**
 * Undoes mm_mlock(), however often a thread called that.
 *
 * @return 0; ENOMEM there is no memory: nothing has changed; ENOMEM part of the range is not
 *         mapped, or there are too many areas: the part before is not locked any more; EINVAL the
 *         range wraps
 *
 * Locks:     the range, for writing.
 * Progress:  as mm_mprotect().
 * Cost:      O(areas in the range * log areas).   Since: 0.1
 */
MMRANGE_API int mm_munlock(struct mm *mm, uint64_t addr, uint64_t length);

/*
 * Locks for callers that do several operations as one, or that protect more data than mm does. See
 * CONVERTING.md for how a program goes from one coarse lock to these locks, and to none.
 *
 * A thread that holds one of these locks may call any function on mm. An operation that lies within
 * the held range locks nothing again. An operation would wait for its own thread if it locks for
 * writing a range that lies within a range held for reading, or if its range lies only partly
 * within the held range. Such a call fails with EDEADLK, and changes nothing. With
 * MM_LOCKING_COARSE and MM_LOCKING_RWLOCK, every hold is a hold of the full range.
 *
 * An operation outside of the held range waits for other holders, while other threads may wait for
 * the held range. That can deadlock, see range_lock.h. So a holder should call only operations
 * within its range. The checked build ends the process where threads wait for each other.
 */

/** One hold of mm_lock_range(): the caller's storage, until mm_unlock_range(). */
struct mm_hold {
	struct range_hold range;
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	struct mm_hold *next; /* the thread's next hold */
};

/**
 * Locks [start, end) against operations and locks that overlap it.
 *
 * @param start,end  multiples of the page size; end may be UINT64_MAX
 * @param mode RANGE_READ: operations that lock for reading go on; RANGE_WRITE: no other thread
 *                   changes the mappings in the range, or holds any part of it
 * @return 0; EINVAL empty range, unaligned address, or bad mode; EDEADLK the thread holds a range
 *         that overlaps it; ENOMEM this is the thread's first use of mm, and there is no memory
 *
 * Operations that take no lock go on in any case. They are accesses to pages that the accessing
 * thread has accessed before and, with MM_LOCKING_SPECULATIVE, faults that can do without a lock;
 * never rely on whether they can. A change of protection keeps both out.
 *
 * Ordering:  acquire; pairs with the release of mm_unlock_range().
 * Safety:    the thread that locked the range must unlock it.   Since: 0.1
 */
MMRANGE_API MMRANGE_CHECK_RESULT int mm_lock_range(struct mm *mm, struct mm_hold *hold,
						   uint64_t start, uint64_t end,
						   enum range_mode mode);

/** Releases a range that mm_lock_range() has locked.   Since: 0.1 */
MMRANGE_API void mm_unlock_range(struct mm *mm, struct mm_hold *hold);

/**
 * The coarse lock: mm_lock_range() of the full range, for code that knows only one lock. A thread
 * can hold it once only, so the caller provides no storage.
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
	MM_FALLBACK_NO_AREA, /* the fault found no area; with the lock, it looks again */
	MM_FALLBACK_ACCESS,  /* the area does not allow the access; with the lock, it looks again */
	MM_FALLBACK_CHANGING, /* another thread was changing the area when the fault came */
	MM_FALLBACK_NO_TABLE, /* there was no page table yet */
	MM_FALLBACK_NO_FRAME, /* the thread had no free frame at hand */
	MM_FALLBACK_NO_PAGE, /* the page of the file may have to be read first, or does not exist */
	MM_FALLBACK_FLUSH,   /* other threads' TLBs may have the page, and must be flushed */
	MM_FALLBACK_CHANGED, /* aborted: another thread changed the area meanwhile */
	MM_FALLBACK_TABLE,   /* aborted: another thread freed the page table meanwhile */
	MM_FALLBACK_ENTRY,   /* aborted: another thread changed the page, or was changing it */
	MM_NR_FALLBACKS
};

/** The name of a reason, in small letters: "no_area". NULL if it is no reason.   Since: 0.1 */
MMRANGE_API const char *mm_fallback_name(enum mm_fallback reason);

#define MM_NR_HOLD_TIMES 128

/**
 * The end, in nanoseconds, of the interval that mm_stats.hold_times[i] counts. The interval begins
 * at the end of interval i - 1. The end of the last one is UINT64_MAX.   Since: 0.1
 */
MMRANGE_API uint64_t mm_hold_time_end(unsigned int i);

/**
 * The contents of an address space, and counts of its events. Later versions may add counters at
 * the end, and change nothing before. The caller tells mm_get_stats() for how many of them it has
 * room.
 */
struct mm_stats {
	uint64_t areas; /* now */
	uint64_t pages; /* present now */
	/*
	 * In use now, by this space and its relatives by mm_fork(); files have none. Shared memory
	 * that is not mapped any more stays in use until no fault can look at it: 4,096 pages, or
	 * one mapping, per thread at most.
	 */
	uint64_t frames;
	uint64_t tables;         /* page tables now, of all levels */
	uint64_t faults;         /* all faults so far, with any outcome */
	uint64_t faults_minor;   /* .. that made a page present */
	uint64_t faults_present; /* .. that found the page present already */
	uint64_t faults_failed;  /* .. that ended in EFAULT or ENOMEM */
	/* Faults served or failed: without a lock, with the page's range, with the full range. */
	uint64_t faults_speculative;
	uint64_t faults_ranged;
	uint64_t faults_coarse;
	uint64_t fallbacks[MM_NR_FALLBACKS];
	uint64_t hold_times[MM_NR_HOLD_TIMES]; /* holds of the VMA tree lock, by duration */
	uint64_t lock_leaves;                  /* of the range lock: see struct range_lock_stats */
	uint64_t lock_splits;
	uint64_t lock_merges;
	uint64_t lock_waits;
};

/**
 * Reads the statistics. A counter that changes during the call may be from before or after the
 * change.
 *
 * @param size sizeof(struct mm_stats) by the caller's header, or the size of its first counters. If
 *              the structure is smaller than the library's, the call writes size bytes. If it is
 *              larger, the counters that the library does not know become 0
 * @return 0; EINVAL size is 0, or not a multiple of a counter's: nothing is written
 *
 * Before the call counts frames it frees the memory that the calling thread, and threads that have
 * ended, gave away, as far as no fault can look at it any more.
 *
 * Locks:     no range. The VMA tree lock for a constant time; and the locks of the lists of
 *            threads, of free frames, and of range_lock_stats(), for as long as it takes to read
 *            them.
 * Cost:      O(threads that use the space or a relative by mm_fork(), threads that use any space,
 *            the most leaves of the range lock so far, and the memory that is freed), independent
 *            of the number of areas and pages. Reads lines that other threads write: not for hot
 *            paths. Allocates nothing, except at the thread's first use of mm; if that fails, the
 *            call does without.   Since: 0.1
 */
MMRANGE_API int mm_get_stats(struct mm *mm, struct mm_stats *stats, size_t size);

/**
 * Checks every structural invariant: areas ordered, disjoint, aligned, merged where Linux merges
 * them, within bounds; the area tree's own shape; each present page inside an area that allows the
 * accesses that its entry allows; each table's count; each page mapped once; pages and tables all
 * accounted for.
 *
 * @param message  gets a sentence on the first breach, of at most size bytes; may be NULL
 * @return 0; EUCLEAN (EINVAL where the system has no such value) an invariant is broken
 *
 * Requires:  no other thread is in a function on mm, or on a relative by mm_fork().
 * Cost:      O(areas + tables + pages).   Since: 0.1
 */
MMRANGE_API int mm_validate(struct mm *mm, char *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
