set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

option(TROUPE_BUILD_TESTS "Build the tests" ON)
option(TROUPE_WARNINGS_AS_ERRORS "Fail on compiler warnings" ON)
set(TROUPE_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

# What tests measure is in the modules; their own code compiles faster so. Beside -O2: the last one counts.
set(TROUPE_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)

# What every Troupe target is compiled with.
add_library(troupe_compiler INTERFACE)
target_include_directories(troupe_compiler INTERFACE "${PROJECT_SOURCE_DIR}")
# Everywhere, as precompiled headers fit only the same definitions.
target_link_libraries(troupe_compiler INTERFACE OpenMP::OpenMP_CXX)
# Contraction would make a sum's bits depend on how the compiler inlines it (docs/architecture.md,
# "Layout invariance", rule 14).
set(host_options
  -ffp-contract=off -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  # GCC 12's false alarms inside std::string, which precompiled headers no longer hide.
  -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict
  $<$<BOOL:${TROUPE_WARNINGS_AS_ERRORS}>:-Werror>)
target_compile_options(troupe_compiler INTERFACE "$<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:${host_options}>")
if(TROUPE_SANITIZE)
  target_compile_options(troupe_compiler INTERFACE -fsanitize=${TROUPE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(troupe_compiler INTERFACE -fsanitize=${TROUPE_SANITIZE})
  # The thread sanitizer does not model Asio's fences; its mutexes order the same accesses.
  if(TROUPE_SANITIZE MATCHES thread)
    target_compile_options(troupe_compiler INTERFACE -Wno-tsan)
  endif()
endif()

option(TROUPE_FUZZ "Instrument everything for libFuzzer, and build tests/fuzz; needs Clang" OFF)
if(TROUPE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "TROUPE_FUZZ needs Clang: scripts/fuzz.sh configures a folder of its own with it")
  endif()
  target_compile_options(troupe_compiler INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(troupe_compiler INTERFACE -fsanitize=address,undefined)
endif()
