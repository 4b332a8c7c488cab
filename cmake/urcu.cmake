# SPDX-License-Identifier: MIT
# Sets MMRANGE_URCU to the flavour of liburcu that the address space uses.
find_library(MMRANGE_URCU_LIBRARY urcu-bp)
find_path(MMRANGE_URCU_INCLUDE urcu/urcu-bp.h)
mark_as_advanced(MMRANGE_URCU_LIBRARY MMRANGE_URCU_INCLUDE)
if(NOT MMRANGE_URCU_LIBRARY OR NOT MMRANGE_URCU_INCLUDE)
  message(FATAL_ERROR "liburcu (urcu-bp) is missing, which the address space needs: install it "
                      "(Debian: liburcu-dev), or build the range lock alone with -DMMRANGE_MM=OFF")
endif()
# By its name: what is installed knows nothing of where it is here.
set(MMRANGE_URCU urcu-bp)
