#!/usr/bin/env bash
# Cuts two hosts, which are network namespaces, off each other at random moments of many runs, and looks for
# checkpoints that two epochs committed: scripts/partition_campaign.sh [--partitions 200] [--seed 1]. Needs root.
# A failing seed is printed. Builds build/release first.
set -euo pipefail
cd "$(dirname "$0")/.."
ninja -C build/release troupe_with_faults > /dev/null
exec python3 tests/fault/partitions.py build/release/bin/troupe_with_faults . "$@"
