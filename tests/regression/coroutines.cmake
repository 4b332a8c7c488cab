# SPDX-License-Identifier: MIT
# Variants of range_lock.hpp, in which a part of the handshake between the callback and the coroutine is missing. The unit
# test of coroutines must detect them.

# coroutine_variant(NAME): the test, with the changes that mmrange_variant_change() makes in the header.
function(coroutine_variant name)
  add_executable(${name} ../unit/range_coroutines.cc $<TARGET_OBJECTS:test_runner>)
  set_target_properties(${name} PROPERTIES CXX_STANDARD 20)
  target_include_directories(${name} BEFORE PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${name}.variant/include)
  target_link_libraries(${name} PRIVATE mmrange_build test_support mmrange_static -Wl,--wrap=range_lock_async)
endfunction()

# The callback lets the coroutine go on, although it is not suspended yet.
coroutine_variant(coroutine_resumed_early)
mmrange_variant_change(coroutine_resumed_early FILE include/mmrange/range_lock.hpp
  FROM "		    state::suspended)
			return;" TO "		    state::suspended && false)
			return;")
mmrange_variant_fails(coroutine_resumed_early range_coroutines
  the_callback_may_come_before_the_coroutine_is_suspended "!called")

# The coroutine is suspended, although the callback has come.
coroutine_variant(coroutine_never_resumed)
mmrange_variant_change(coroutine_never_resumed FILE include/mmrange/range_lock.hpp
  FROM "		       state::answered;" TO "		       state::answered || true;")
mmrange_variant_fails(coroutine_never_resumed range_coroutines
  the_callback_may_come_before_the_coroutine_is_suspended "result.came is 0, not")
mmrange_variant_fails(coroutine_never_resumed range_coroutines
  a_wait_may_be_canceled_before_the_coroutine_is_suspended "result.came is 0, not")
