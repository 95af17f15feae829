#!/usr/bin/env bash
# Kills workers, mpirun and the coordinator at random places of many runs, and compares how they end with a run that
# nobody disturbed: scripts/fault_campaign.sh [--kills 300] [--seed 1] [--workers 2]
# A failing seed is printed, and fails again with --seed. Builds build/release first.
set -euo pipefail
cd "$(dirname "$0")/.."
ninja -C build/release troupe_with_faults > /dev/null
exec python3 tests/fault/campaign.py build/release/bin/troupe_with_faults . "$@"
