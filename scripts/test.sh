#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. No network beyond Debian's packages.
# Usage: scripts/test.sh [CTEST ARGUMENTS...]       e.g. scripts/test.sh -L unit
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/bootstrap.sh tests
scripts/build.sh release
exec ctest --preset release --parallel "$(nproc)" "$@"
