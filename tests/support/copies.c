/* SPDX-License-Identifier: MIT */
#include "copies.h"
#include "child.h"

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

bool modules_load(const char *file)
{
#ifndef __GLIBC__
	if (!dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
		printf("skipped: %s\n", dlerror());
		return false;
	}
#else
	(void)file;
#endif
	return true;
}

const struct copy_module *load_module(const char *file)
{
	void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	const void *functions;

	if (!module)
		test_fail(__FILE__, __LINE__, "%s", dlerror());
	functions = dlsym(module, "copy_module");
	CHECK(functions);
	return functions;
}

void check_refused(const char *kind, void (*use)(void), const char *name, const char *file,
		   const char *other_file)
{
	char errors[4096];
	int status = run_in_child(use, errors, sizeof errors);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
	    !strstr(errors, "libmmrange: ") || !strstr(errors, kind) ||
	    !strstr(errors, "two copies of the library") || !strstr(errors, file) ||
	    !strstr(errors, other_file))
		test_fail(__FILE__, __LINE__, "%s by %s after %s: no abort, but status %#x and: %s",
			  name, other_file, file, (unsigned int)status, errors);
}
