/* SPDX-License-Identifier: MIT */
#include <mmrange/version.h>

const char *mmrange_version(void)
{
	return MMRANGE_VERSION_STRING;
}
