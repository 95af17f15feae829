#!/usr/bin/env bash
# benchmarks/balancing: a study runs, records a refusal, skips what is finished, and is summed up.
# Usage: balancing_study_test.sh PROGRAM SOURCE_FOLDER
set -euo pipefail
program=$1
source=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/list.json" <<END
{
  "config": "configs/tiny.yaml", "baseline": "none",
  "set": ["run.steps=10", "parallel.workers=1", "parallel.backend=inproc", "checkpoint.every=0"],
  "settings": [
    {"name": "none", "set": ["model.moe.balancer.kind=none"]},
    {"name": "sign", "set": ["model.moe.balancer.kind=sign"]},
    {"name": "sinkhorn", "set": ["model.moe.router.selection=sinkhorn"]}
  ]
}
END
cd "$source"
study() { TROUPE=$program benchmarks/balancing/study.py "$folder/list.json" "$folder/runs" --seeds "$@"; }

study 1 | tee "$folder/first"
grep -q "^3 runs, 0 finished before" "$folder/first"
grep -q "sinkhorn, seed 1: refused: .*without a balance bias" "$folder/first"
study 1 2 | tee "$folder/second"
grep -q "^4 runs, 2 finished before" "$folder/second"
benchmarks/balancing/summarize.py "$folder/runs" | tee "$folder/summary"
[ "$(grep -cE '^\| (none|sign) \| [0-9.]+ \| [0-9.]+ \|' "$folder/summary")" = 8 ]
grep -qE '^\| none .* \+0.0000 ± 0.0000 \|$' "$folder/summary"
grep -qE '^\| sign .* ± [0-9.]+ \|$' "$folder/summary"
