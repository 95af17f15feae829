# The headers that nearly every source reads are compiled once: a few, since every source pays for all of
# them. Sources include what they need all the same and build without, too.
option(TROUPE_PRECOMPILE_HEADERS "Compile common headers once" ON)
if(TROUPE_PRECOMPILE_HEADERS)
  file(WRITE "${PROJECT_BINARY_DIR}/precompiled.cpp" "")
  foreach(users IN ITEMS modules tests)
    add_library(troupe_precompiled_${users} OBJECT "${PROJECT_BINARY_DIR}/precompiled.cpp")
    target_link_libraries(troupe_precompiled_${users} PRIVATE troupe_compiler fmt::fmt)
    target_precompile_headers(troupe_precompiled_${users} PRIVATE
      <algorithm> <array> <chrono> <filesystem> <functional> <map> <memory> <optional> <span> <string>
      <string_view> <variant> <vector> <fmt/format.h>)
  endforeach()
  target_compile_options(troupe_precompiled_tests PRIVATE ${TROUPE_TEST_OPTIONS})
endif()

# troupe_precompiled(TARGET modules|tests)
function(troupe_precompiled target users)
  if(TROUPE_PRECOMPILE_HEADERS)
    target_precompile_headers(${target} REUSE_FROM troupe_precompiled_${users})
  endif()
endfunction()

# troupe_module(NAME SOURCES a.cpp ... [DEPENDS base tensor ...] [LIBRARIES external::targets ...])
# A static library troupe_NAME. DEPENDS are Troupe modules (public), LIBRARIES are outside ones.
function(troupe_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(troupe_${name} STATIC ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND troupe_)
  target_link_libraries(troupe_${name} PUBLIC troupe_compiler ${ARG_DEPENDS} ${ARG_LIBRARIES})
  if(ARG_DEPENDS)  # on base, so on fmt
    troupe_precompiled(troupe_${name} modules)
  endif()
endfunction()

# troupe_test(NAME SOURCES a_test.cpp ... [DEPENDS modules ...] [LIBRARIES ...] [LABELS unit] [TIMEOUT 60])
# A GoogleTest program, one ctest entry.
function(troupe_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LIBRARIES;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND troupe_)
  target_link_libraries(${name} PRIVATE
    troupe_test_main troupe_compiler ${ARG_DEPENDS} ${ARG_LIBRARIES} GTest::gtest GTest::gmock)
  target_compile_definitions(${name} PRIVATE TROUPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE ${TROUPE_TEST_OPTIONS})
  troupe_precompiled(${name} tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()

# troupe_mpi_test(NAME RANKS n SOURCES a_test.cpp ... [DEPENDS modules ...] [LIBRARIES ...] [TIMEOUT 60])
# A program that runs as n MPI ranks, one ctest entry with the label mpi. It brings its own main and
# its own watchdog, which names the operation that a rank is stuck in.
function(troupe_mpi_test name)
  cmake_parse_arguments(ARG "" "RANKS;TIMEOUT" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND troupe_)
  target_link_libraries(${name} PRIVATE troupe_compiler ${ARG_DEPENDS} ${ARG_LIBRARIES} GTest::gtest GTest::gmock)
  target_compile_definitions(${name} PRIVATE TROUPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE ${TROUPE_TEST_OPTIONS})
  troupe_precompiled(${name} tests)
  add_test(NAME ${name}
    COMMAND "${MPIEXEC_EXECUTABLE}" -n ${ARG_RANKS} --oversubscribe --bind-to none
      --mca mpi_yield_when_idle 1 $<TARGET_FILE:${name}>)
  set_tests_properties(${name} PROPERTIES LABELS mpi TIMEOUT ${ARG_TIMEOUT} PROCESSORS 2
    ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
endfunction()

# troupe_carried(TARGET): a program that finds its libraries, and theirs, in lib/ beside it, where they are there:
# scripts/device_check.sh carries them to machines without packages.
function(troupe_carried target)
  set_target_properties(${target} PROPERTIES BUILD_RPATH "$ORIGIN/lib")
  target_link_options(${target} PRIVATE LINKER:--disable-new-dtags)
endfunction()
