/* SPDX-License-Identifier: MIT */
/*
 * A model of address spaces, byte by byte: the contents of each page, the frames, and the contents
 * of the files. It implements mm.h in the simplest way, for one window of pages in each space.
 *
 * The window ends at MM_ADDR_MAX, and nothing is mapped outside it.
 */
#ifndef TESTS_MM_WORLD_H
#define TESTS_MM_WORLD_H

#include "spaces.h"

#include <stdbool.h>

#define WORLD_PAGES  48u /* of the window */
#define WORLD_BASE   (MM_ADDR_MAX - PAGES(WORLD_PAGES))
#define WORLD_SPACES 3u
#define WORLD_FILES  2u
#define OBJECT_PAGES 16u /* at most, of a file or of shared memory */
#define HEAP_START   (WORLD_BASE + PAGES(20))
/* The model cannot predict the operation's result, so a test skips the operation. */
#define SKIP (-1)

/* The private memory of a page, of several spaces after mm_fork(). */
struct world_frame {
	unsigned int refs;
	unsigned char bytes[4096];
};

/* A file, or shared anonymous memory. The bytes behind its end are zero. */
struct world_object {
	bool is_file;
	uint64_t size;
	bool touched[OBJECT_PAGES]; /* of shared memory: the page has a frame */
	unsigned char bytes[OBJECT_PAGES * 4096];
};

struct world_page {
	bool mapped;
	bool present;
	bool locked;
	bool no_write; /* a shared mapping of a file that is open for reading only */
	int prot;
	int flags; /* MM_MAP_..., without the flags about the place */
	struct world_object *object;
	unsigned int index;        /* of the page in the object */
	struct world_frame *frame; /* NULL: the page has none, or uses that of the object */
};

struct world_space {
	struct mm *mm; /* NULL: there is no such space */
	uint64_t brk;
	struct world_page page[WORLD_PAGES];
};

struct world {
	struct world_space space[WORLD_SPACES];
	struct world_object *file[WORLD_FILES];
	struct world_object *memory[256]; /* shared memory of this round */
	unsigned int nr_memory;
	unsigned int nr_frames; /* private frames */
	uint64_t max_pages;
};

/* The result of an access. */
struct world_fault {
	int error;
	int code;
	unsigned int done; /* bytes accessed */
};

void world_init(struct world *w, uint64_t max_pages);
void world_destroy(struct world *w);

/* Number of frames that the spaces use. */
unsigned int world_frames(const struct world *w);

/* Whether two adjacent pages are of one VMA, and where the VMA of a page ends. */
bool world_same_vma(const struct world_page *left, const struct world_page *right);
unsigned int world_vma_end(const struct world_space *s, unsigned int page);

/*
 * The operations return 0, an error, or SKIP. Pages are counted from the start of the window, which
 * contains [first, end).
 */
int world_map(struct world *w, struct world_space *s, unsigned int first, unsigned int n,
	      const struct world_page *kind, int flags, unsigned int *where);
int world_unmap(struct world *w, struct world_space *s, unsigned int first, unsigned int end);
int world_protect(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		  int prot);
int world_remap(struct world *w, struct world_space *s, unsigned int old, unsigned int old_n,
		unsigned int new_n, int flags, unsigned int to, unsigned int *where);
int world_advise(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
		 int advice);
int world_lock(struct world *w, struct world_space *s, unsigned int first, unsigned int end,
	       bool lock);
void world_brk(struct world *w, struct world_space *s, uint64_t brk);
void world_fork(struct world *w, const struct world_space *from, struct world_space *to);
void world_exit(struct world *w, struct world_space *s);

/* Whether all pages of [first, end) are mapped. */
bool world_mapped(const struct world_space *s, unsigned int first, unsigned int end);

/*
 * Accesses length bytes from offset of the window on. Reads them if value is negative; otherwise
 * writes them, the first with the byte `value` and each further one with the next value.
 */
struct world_fault world_access(struct world *w, struct world_space *s, uint64_t offset,
				unsigned int length, unsigned char *bytes, int value);

void world_resize(struct world_object *file, uint64_t size);

#endif
