#!/usr/bin/env bash
# Prints what a build costs: cold, in a folder of its own, then after one source has changed.
# Wall-clock figures mean something on a quiet machine only; user and sys are the compilers' own time.
# Usage: scripts/measure_build.sh [TARGET...]      (everything)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

timed() {  # LABEL COMMAND...
  local label=$1 TIMEFORMAT='%R %U %S' figures
  shift
  { figures=$( { time "$@" >"$folder/output" 2>&1; } 2>&1 ); } || {
    tail -n 40 "$folder/output" >&2
    echo "measure_build: '$label' failed (its last lines are above)" >&2
    exit 1
  }
  printf '%-36s %8s s wall %8s s user %8s s sys\n' "$label" $figures
}

timed "configure" cmake --preset release -B "$folder/build"
timed "cold build" ninja -C "$folder/build" "$@"
echo "The 10 slowest edges, in seconds:"
awk 'NR > 1 {printf "%8.1f  %s\n", ($2 - $1) / 1000, $4}' "$folder/build/.ninja_log" | sort -rn | sed -n 1,10p
for source in tensor/ops/gemm/gemm_cpu.cpp cli/train.cpp; do
  touch "$source"
  timed "after touching $source" ninja -C "$folder/build" "$@"
done
