/* SPDX-License-Identifier: MIT */
#include "detector.h"
#include "detector_kinds.h"

#include <errno.h>
#include <sys/mman.h>

bool mmrange__detector_found;

static const struct mmrange__detector *detector;

enum { OBJECT_BITS = 20 };

/* A detector tells objects apart by their addresses, ThreadSanitizer by the 8 bytes at them. */
struct object {
	_Alignas(8) atomic_bool released; /* ever */
};

static struct object *objects;

/* Early among the constructors: those of the program may use locks. */
__attribute__((constructor(101))) static void find_detector(void)
{
	int saved = errno;
	void *memory;

	if (mmrange__valgrind.is_here())
		detector = &mmrange__valgrind;
	else if (mmrange__tsan.is_here())
		detector = &mmrange__tsan;
	else
		return;
	memory = mmap(NULL, sizeof(struct object) << OBJECT_BITS, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	errno = saved;
	if (memory == MAP_FAILED)
		return;
	objects = memory;
	mmrange__detector_found = true;
}

static struct object *object_of(uint64_t tag)
{
	return &objects[tag >> (64 - OBJECT_BITS)];
}

void mmrange__detector_release(uint64_t tag)
{
	struct object *object = object_of(tag);

	detector->release(object);
	/* relaxed: the caller orders this as it orders the release itself */
	atomic_store_explicit(&object->released, true, memory_order_relaxed);
}

/* Most objects have never been released, and to ask the detector for them would only take time. */
void mmrange__detector_acquire(uint64_t tag)
{
	struct object *object = object_of(tag);

	/* relaxed: as above */
	if (atomic_load_explicit(&object->released, memory_order_relaxed))
		detector->acquire(object);
}

void mmrange__detector_hush(void)
{
	detector->hush();
}

void mmrange__detector_listen(void)
{
	detector->listen();
}

void mmrange__detector_forget(const void *memory, size_t size)
{
	detector->forget(memory, size);
}
