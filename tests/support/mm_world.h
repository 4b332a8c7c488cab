/* SPDX-License-Identifier: MIT */
/*
 * A model of address spaces, byte by byte: what each page shows, which frames there are, and what is
 * in the files. It does what mm.h says, in the simplest way, for one window of pages in each space.
 *
 * The window ends at MM_ADDR_MAX, and nothing is mapped outside of it.
 */
#ifndef TESTS_MM_WORLD_H
#define TESTS_MM_WORLD_H

#include "spaces.h"

#include <stdbool.h>

#define WORLD_PAGES  48u /* of the window */
#define WORLD_BASE   (MM_ADDR_MAX - PAGES(WORLD_PAGES))
#define WORLD_SPACES 3u
#define WORLD_FILES  2u
#define OBJECT_PAGES 16u /* that a file or shared memory has at most */
#define HEAP_START   (WORLD_BASE + PAGES(20))
/* An operation that the model cannot foretell, and that is not done. */
#define SKIP (-1)

/* Private memory of a page; of several spaces after mm_fork(). */
struct world_frame {
	unsigned int refs;
	unsigned char bytes[4096];
};

/* A file, or shared anonymous memory. What lies behind its end is zero. */
struct world_object {
	bool is_file;
	uint64_t size;
	bool touched[OBJECT_PAGES]; /* of shared memory: it has a frame */
	unsigned char bytes[OBJECT_PAGES * 4096];
};

struct world_page {
	bool mapped;
	bool present;
	bool locked;
	bool no_write; /* a shared mapping of a file that is open for reading only */
	int prot;
	int flags; /* MM_MAP_..., without those about the place */
	struct world_object *object;
	unsigned int index;        /* of the page in it */
	struct world_frame *frame; /* NULL: none, or that of the object */
};

struct world_space {
	struct mm *mm; /* NULL: there is none */
	uint64_t brk;
	struct world_page page[WORLD_PAGES];
};

struct world {
	struct world_space space[WORLD_SPACES];
	struct world_object *file[WORLD_FILES];
	struct world_object *memory[256]; /* shared, of this round */
	unsigned int nr_memory;
	unsigned int nr_frames; /* private ones */
	uint64_t max_pages;
};

/* What an access came to. */
struct world_fault {
	int error;
	int code;
	unsigned int done; /* bytes */
};

void world_init(struct world *w, uint64_t max_pages);
void world_destroy(struct world *w);

/* Frames that the spaces use. */
unsigned int world_frames(const struct world *w);

/* Whether two pages that follow each other are of one VMA, and where the VMA of a page ends. */
bool world_same_vma(const struct world_page *left, const struct world_page *right);
unsigned int world_vma_end(const struct world_space *s, unsigned int page);

/*
 * The operations: 0, an error, or SKIP. Pages are counted from the start of the window; [first, end)
 * is in it.
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

/* Whether all of it is mapped. */
bool world_mapped(const struct world_space *s, unsigned int first, unsigned int end);

/*
 * Accesses length bytes from offset of the window on: reads them, or writes the byte `value`, which
 * grows by one with each, if it is not negative.
 */
struct world_fault world_access(struct world *w, struct world_space *s, uint64_t offset,
				unsigned int length, unsigned char *bytes, int value);

void world_resize(struct world_object *file, uint64_t size);

#endif
