# SPDX-License-Identifier: MIT
# Sets MMRANGE_COROUTINES if the C++ compiler and library have the coroutines of C++20, and says so if they do not.
include(CheckCXXSourceCompiles)

block()
  set(CMAKE_CXX_STANDARD 20)
  check_cxx_source_compiles("
    #include <coroutine>
    #ifndef __cpp_impl_coroutine
    #error
    #endif
    int main() { return std::coroutine_handle<>() ? 1 : 0; }" MMRANGE_COROUTINES)
endblock()
if(NOT MMRANGE_COROUTINES)
  message(STATUS "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} has no coroutines of C++20: the example and the test of lock_async() are left out")
endif()
