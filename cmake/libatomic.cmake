# SPDX-License-Identifier: MIT
# Sets MMRANGE_LIBATOMIC to the library that 64-bit atomic operations need: none on most machines.
include(CheckCSourceCompiles)

set(source "
  #include <stdatomic.h>
  #include <stdint.h>
  _Atomic(uint64_t) word;
  int main(void)
  {
    uint64_t old = atomic_load(&word);
    return !atomic_compare_exchange_strong(&word, &old, old + 1);
  }")
set(MMRANGE_LIBATOMIC)
check_c_source_compiles("${source}" MMRANGE_HAVE_ATOMIC64)
if(NOT MMRANGE_HAVE_ATOMIC64)
  set(CMAKE_REQUIRED_LIBRARIES atomic)
  check_c_source_compiles("${source}" MMRANGE_HAVE_LIBATOMIC)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT MMRANGE_HAVE_LIBATOMIC)
    message(FATAL_ERROR "The compiler has no 64-bit atomic operations, not even with -latomic")
  endif()
  set(MMRANGE_LIBATOMIC atomic)
endif()
