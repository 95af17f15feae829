#!/usr/bin/env bash
# Lets libFuzzer look for bytes that a reader of ours cannot take: scripts/fuzz.sh [TARGET|all] [SECONDS=60]
# The first seeds are in tests/fuzz/corpus, what it makes of them in build/fuzz/corpus, findings in
# build/fuzz/findings: `fuzz_replay TARGET FILE` shows one again. A finding belongs into tests/fuzz/corpus once it is
# mended. Needs clang and libomp-dev; builds build/fuzz first.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang++ >/dev/null || { echo "fuzz: clang++ is not here; apt-get install clang libomp-dev" >&2; exit 1; }
wanted=${1:-all}
seconds=${2:-60}
[ -f build/fuzz/build.ninja ] || cmake -S . -B build/fuzz -G Ninja -D CMAKE_CXX_COMPILER=clang++ -D TROUPE_FUZZ=ON \
  -D TROUPE_WARNINGS_AS_ERRORS=OFF -D TROUPE_PRECOMPILE_HEADERS=OFF -D CMAKE_BUILD_TYPE=Debug -D CMAKE_CXX_FLAGS_DEBUG="-O1 -g1" ${FUZZ_CMAKE:-} >/dev/null
ninja -C build/fuzz fuzz fuzz_replay >/dev/null

mkdir -p build/fuzz/findings
found=0
for folder in tests/fuzz/corpus/*/; do
  target=$(basename "$folder")
  [ "$wanted" = all ] || [ "$wanted" = "$target" ] || continue
  mkdir -p "build/fuzz/corpus/$target"
  log=build/fuzz/$target.log
  # Readers may take what their input takes, and some more: 1 GiB, most of which is the sanitizer's.
  limits=(-rss_limit_mb=1024 -malloc_limit_mb=64)
  # HDF5 asks for as much as a damaged file says, and reports where there is not so much.
  [ "$target" != hdf5 ] || limits=(-rss_limit_mb=0)
  if TROUPE_FUZZ_TARGET=$target ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=1024 \
      build/fuzz/bin/fuzz -max_total_time="$seconds" -max_len=65536 -timeout=10 "${limits[@]}" -artifact_prefix="build/fuzz/findings/$target-" \
      "build/fuzz/corpus/$target" "$folder" >"$log" 2>&1; then
    echo "$target: $(grep -oE 'Done [0-9]+ runs in [0-9]+' "$log" | tail -1) s, $(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  else
    found=$((found + 1))
    echo "$target: FOUND, see $log: $(grep -m1 -E 'ERROR|SUMMARY|terminate|runtime error' "$log")"
  fi
done
exit $((found > 0))
