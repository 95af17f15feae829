#!/usr/bin/env bash
# `troupe eval` says of a run's last checkpoint what the run said of itself, for every capacity, and the evaluation
# set's own tokens are all that is counted: 25 sequences do not fill the last microbatch of 3.
# Usage: evaluation_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"

check() {  # check NAME SETTINGS...
  local name=$1 arguments=()
  shift
  for setting in "$@"; do arguments+=(--set "$setting"); done
  "$troupe" train configs/tiny.yaml --run-dir "$work/$name" --workers 2 --set parallel.backend=inproc \
    --set run.steps=3 --set schedule.warmup=1 --set schedule.decay=1 --set batch.grad_lanes=8 \
    --set batch.expert_lanes=8 --set batch.micro_batch=3 --set evaluation.final_sequences=25 \
    "${arguments[@]}" >"$work/$name.log" 2>&1 || { tail -n 20 "$work/$name.log" >&2; fail "$name"; }
  jq -s 'map(select(.metrics.eval_loss != null)) | last
    | {loss: .metrics.eval_loss, tokens: .metrics.tokens,
       layers: .evaluation_layers}' "$work/$name/metrics.jsonl" >"$work/$name.run"
  "$troupe" eval "$work/$name" --sequences 25 --json \
    | jq '{loss: .total.eval_loss, tokens: .total.tokens, layers}' >"$work/$name.eval"
  diff "$work/$name.run" "$work/$name.eval" >&2 || fail "$name: the run and troupe eval differ"
}

check dropless
check position 'model.moe.capacity={kind: factor, factor: 1.0, drop_policy: position}'
check score 'model.moe.capacity={kind: factor, factor: 0.75, drop_policy: score}'
check expert_choice model.moe.router.selection=expert_choice model.moe.balancer.kind=none

"$troupe" eval "$work/dropless" --sequences 25 --json >"$work/of-one"
"$troupe" eval "$work/dropless" --sequences 25 --json --workers 2 | diff "$work/of-one" - >&2 || fail "two workers say otherwise"

jq -se 'map(select(.evaluation_layers != null)) | last | .evaluation_layers[0]
  | .mutual_information_bits > 0 and .mutual_information_bits <= .mutual_information_limit_bits
    and .domain_distance > 0 and .domain_distance < 1' "$work/dropless/metrics.jsonl" >/dev/null \
  || fail "no specialization in metrics.jsonl"

"$troupe" eval "$work/dropless" --sequences 25 >"$work/table"
limit=$("$troupe" eval "$work/dropless" --sequences 25 --json | jq -r '.layers[0].mutual_information_limit_bits')
grep -q "^layer .*MaxVio.*bits shared.*of at most.*distance" "$work/table" || fail "no layers in the table"
grep -q "$(printf '%.4f' "$limit")" "$work/table" || fail "the table does not say what is possible: $limit"
