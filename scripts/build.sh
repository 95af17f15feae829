#!/usr/bin/env bash
# Installs what is missing and builds; the program is build/release/bin/troupe afterwards.
# Usage: scripts/build.sh [PRESET] [TARGET...]      (release, all)
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true

scripts/bootstrap.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >"$log" 2>&1 || {
  tail -n 40 "$log" >&2
  echo "build: cmake could not configure the preset '$preset' (its last lines are above)" >&2
  exit 1
}
targets=()
[ $# -eq 0 ] || targets=(--target "$@")
echo "Building ($preset)"
cmake --build --preset "$preset" "${targets[@]}" || {
  echo "build: the preset '$preset' does not build (the compiler's words are above)" >&2
  exit 1
}
