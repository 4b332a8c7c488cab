/* SPDX-License-Identifier: MIT */
/* dladdr() is POSIX since 2024; glibc declares it for GNU sources only. */
#define _GNU_SOURCE
#include "copy.h"

#include "message.h"

#include <dlfcn.h>

/* It may be in a library that the program does not have: before glibc 2.34, or if it is static. */
#pragma weak dladdr

const char mmrange__copy[2] = { 0 };

/* The file that a copy was loaded from. */
static const char *file_of(const void *copy)
{
	Dl_info info;

	if (dladdr && dladdr(copy, &info) && info.dli_fname && info.dli_fname[0])
		return info.dli_fname;
	return "a file that is not known";
}

void mmrange__copy_stop(const char *what, const void *object, const void *owner)
{
	mmrange__stop(
		"%s %p is used by two copies of the library: it belongs to the one in %s (%p), "
		"and the one in %s (%p) was called",
		what, object, file_of(owner), owner, file_of(&mmrange__copy),
		(const void *)&mmrange__copy);
}
