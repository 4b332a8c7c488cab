// SPDX-License-Identifier: MIT
// consumer VERSION: uses the installed library, which must be of that version, in C++.
#include <mmrange/range_lock.hpp>

#include <cstdio>
#include <cstring>

static mmrange::range_mutex mutex;

int main(int argc, char **argv)
{
	if (argc != 2 || std::strcmp(argv[1], mmrange_version()) != 0) {
		std::printf("this is libmmrange %s\n", mmrange_version());
		return 1;
	}
	range_hold one, other, third;
	mmrange::range_guard guard(mutex, one, 0, 10, RANGE_WRITE);
	mmrange::range_guard free(mutex, other, 10, 20, RANGE_WRITE, std::try_to_lock);
	mmrange::range_guard busy(mutex, third, 9, 10, RANGE_READ, std::try_to_lock);

	return !(guard && free && !busy);
}
