#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. No network beyond Debian's packages.
# Usage: scripts/test.sh [CTEST ARGUMENTS...]       e.g. scripts/test.sh -L unit
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/bootstrap.sh tests
scripts/build.sh release

# A temporary folder of the tests' own, so that one sees what they leave there.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
ctest --preset release --parallel "$(nproc)" "$@"
left=$(ls -A "$TMPDIR")
[ -z "$left" ] || {
  printf 'test: the tests leave this behind in the temporary folder:\n%s\n' "$left" >&2
  exit 1
}
