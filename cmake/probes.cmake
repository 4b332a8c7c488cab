# SPDX-License-Identifier: MIT
# MMRANGE_HAVE_PROBES: whether <sys/sdt.h> has the macros of SystemTap. (Those of DTrace, which have
# the same header, need declarations of the probes in a language of their own.)
set(MMRANGE_HAVE_PROBES OFF)
if(MMRANGE_PROBES)
  include(CheckCSourceCompiles)
  check_c_source_compiles("
#include <sys/sdt.h>
int main(int argc, char **argv)
{
	(void)argv;
	STAP_PROBE1(libmmrange, check, argc);
	return 0;
}" MMRANGE_SDT_WORKS)
  if(MMRANGE_SDT_WORKS)
    set(MMRANGE_HAVE_PROBES ON)
  else()
    message(STATUS "The library has no static probes: there is no <sys/sdt.h> (systemtap-sdt-dev) here")
  endif()
endif()
