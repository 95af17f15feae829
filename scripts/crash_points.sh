#!/usr/bin/env bash
# Kills commits of checkpoints at every system call, lets calls fail for a full or a broken disk, and looks at what a disk
# that loses unsynced writes may hold after each: scripts/crash_points.sh [--kills 0] [--errors 0] [--states 10000] [--seed 1]
# (--kills 0: at every call). What is found must be the old checkpoint or the new one, whole. Needs strace. Builds
# build/release first.
set -euo pipefail
cd "$(dirname "$0")/.."
ninja -C build/release crash_subject > /dev/null
exec python3 tests/storage/crash_points/crash_points.py build/release/bin/crash_subject "$@"
