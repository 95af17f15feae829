#!/usr/bin/env bash
# The benchmarks run, and their JSON says what must hold whatever the machine's speed.
# Usage: bench_program_test.sh TROUPE SOURCE_FOLDER
set -euo pipefail
troupe=$1
source=$2

check() {  # check 'PYTHON CONDITION ON j' < JSON
  CONDITION=$1 python3 -c '
import json, os, sys
j = json.load(sys.stdin)
if not eval(os.environ["CONDITION"]): sys.exit("not so: " + os.environ["CONDITION"] + " in " + json.dumps(j))'
}

step=("$troupe" bench step --config "$source/configs/tiny.yaml" --set model.vocab_size=256 --steps 2)
"${step[@]}" --breakdown --json |
  check "abs(sum(p['share'] for p in j['parts']) - 1) < 1e-6 and j['measurements'][0]['repeats'] == 2 and 0 < j['mfu']"
# Threads, workers and recomputation change no bit, so no loss.
for other in parallel.threads=2 parallel.workers=2 parallel.recompute=block; do
  "${step[@]}" --versus "$other" --json | check "j['loss'] == j['versus_loss'] and len(j['measurements']) == 2"
done
"${step[@]}" --versus parallel.recompute=block --json | check "j['versus_activation_bytes_ratio'] < 1"

"$troupe" bench moe --experts 4,8 --top-k 2 --hidden-size 32 --expert-size 16 --tokens 64 --seconds 0 --json |
  check "len(j['measurements']) == 4 and 0 < j['experts_8_beside_expert_gemm_share'] < 1"
"$troupe" bench attention --lengths 32 --tokens 64 --heads 2 --kv-heads 1 --head-dim 8 --document 8 --json |
  check "[m['what'] for m in j['measurements']] == ['2 x 32 tokens, forward', '2 x 32 tokens, backward']"

refused() {
  local status=0
  "$troupe" bench "$@" >/dev/null 2>&1 || status=$?
  [ "$status" -eq 2 ] || { echo "bench $*: exit code $status, expected 2" >&2; exit 1; }
}
refused moe --experts 2 --top-k 4
refused attention --heads 3 --kv-heads 2
refused step --config "$source/configs/tiny.yaml"
