# SPDX-License-Identifier: MIT
# Variants of the library, each without one check. The test of that check must fail with it.

# mmrange_variant(NAME [TESTS])
#
# Builds TESTS, an object library of tests of the lock (default: regression_tests, those of
# this folder), with the library, with the changes by mmrange_variant_change().
function(mmrange_variant name)
  set(tests regression_tests)
  set(part mm)
  if(ARGC GREATER 1)
    set(tests ${ARGV1})
    set(part range_lock)
  endif()
  add_executable(${name} $<TARGET_OBJECTS:${tests}> $<TARGET_OBJECTS:test_runner>)
  # A changed file replaces the library's file: the linker takes only undefined symbols from an archive.
  target_link_libraries(${name} PRIVATE mmrange_build test_support mmrange_static ${wrapped})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/src/${part})
endfunction()

# mmrange_variant_change(NAME FILE src/file.c FROM text TO text)
#
# In this variant the second text replaces the first one, which the file must contain exactly once.
# Further calls change other texts or other files.
function(mmrange_variant_change name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FILE;FROM;TO" "")
  set(original ${PROJECT_SOURCE_DIR}/${arg_FILE})
  set(changed ${CMAKE_CURRENT_BINARY_DIR}/${name}.variant/${arg_FILE})
  get_target_property(sources ${name} SOURCES)
  if(changed IN_LIST sources)
    file(READ ${changed} text)
  else()
    file(READ ${original} text)
    target_sources(${name} PRIVATE ${changed})
    # Definitions that only the replaced text used.
    set_source_files_properties(${changed} PROPERTIES
                                COMPILE_OPTIONS "-Wno-unused;-Wno-unused-parameter")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${original})
  endif()
  string(FIND "${text}" "${arg_FROM}" first)
  string(FIND "${text}" "${arg_FROM}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${name}: this is not in ${arg_FILE} exactly once:\n${arg_FROM}")
  endif()
  string(REPLACE "${arg_FROM}" "${arg_TO}" text "${text}")
  file(WRITE ${changed} "${text}")
endfunction()

# mmrange_variant_fails(NAME SUITE TEST MESSAGE [BREACH])
#
# Adds a test that succeeds when, with this variant, TEST fails with this message, or when the checked
# build reports BREACH before that.
function(mmrange_variant_fails name suite test message)
  set(expected "failed: ${message}")
  if(MMRANGE_CHECKED AND ARGN)
    set(expected "mmrange: ${ARGN}")
  endif()
  add_test(NAME ${name}.${test}
           COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/expect_failure.sh ${expected}
                   $<TARGET_FILE:watchdog> 10 $<TARGET_FILE:${name}> ${suite}/${test})
  set_tests_properties(${name}.${test} PROPERTIES LABELS regression TIMEOUT 20)
endfunction()
