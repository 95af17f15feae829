#!/usr/bin/env bash
# Figures of docs/reliability.md: scripts/reliability_measures.sh layouts|damage|frozen|configs|connections [--count N] [--seed S]
# Builds build/release first. See tests/fault/measures.py.
set -euo pipefail
cd "$(dirname "$0")/.."
ninja -C build/release troupe_with_faults > /dev/null
exec python3 tests/fault/measures.py build/release/bin/troupe_with_faults . "$@"
