# SPDX-License-Identifier: MIT Libraries, headers, and how CMake and pkg-config find them. What is
# installed may be moved as a whole.
include(CMakePackageConfigHelpers)

install(TARGETS mmrange_shared mmrange_static EXPORT mmrange)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/mmrange TYPE INCLUDE FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mmrange)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/mmrange-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/mmrange-config.cmake
              ${PROJECT_BINARY_DIR}/mmrange-config-version.cmake DESTINATION ${package_dir})
install(EXPORT mmrange FILE mmrange-targets.cmake NAMESPACE mmrange:: DESTINATION ${package_dir})

set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pc ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH libdir_from_prefix ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH includedir_from_prefix ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
set(private_libraries ${CMAKE_THREAD_LIBS_INIT})
foreach(library IN LISTS MMRANGE_LIBATOMIC)
  string(APPEND private_libraries " -l${library}")
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/cmake/mmrange.pc.in ${PROJECT_BINARY_DIR}/mmrange.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/mmrange.pc DESTINATION ${pkgconfig_dir})

# Scripts for bpftrace, and the manual page of the probes that they trace.
if(MMRANGE_HAVE_PROBES)
  set(tracing_scripts range_wait_for.bt range_wait_times.bt)
  if(MMRANGE_MM)
    list(APPEND tracing_scripts mm_faults.bt)
  endif()
  list(TRANSFORM tracing_scripts PREPEND ${PROJECT_SOURCE_DIR}/tools/bpftrace/)
  install(PROGRAMS ${tracing_scripts} DESTINATION ${CMAKE_INSTALL_DATADIR}/mmrange/bpftrace)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/doc/man/mmrange_probes.7 ${PROJECT_SOURCE_DIR}/doc/man/mmrange_detectors.7
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)

# Suppressions for race detectors.
install(FILES ${PROJECT_SOURCE_DIR}/cmake/valgrind.supp ${PROJECT_SOURCE_DIR}/cmake/tsan.supp
        DESTINATION ${CMAKE_INSTALL_DATADIR}/mmrange)
