#!/usr/bin/env bash
# New runs that begin with another run's weights: the first evaluation against the source's last, the same
# bits on every layout, and a resume that does not begin again.
# Usage: init_from_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"

train() {  # train NAME EXPECTED_STATUS SETTINGS... [-- ARGUMENTS...]: a dense model unless settings say else
  local name=$1 expected=$2 status=0 arguments=()
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do arguments+=(--set "$1"); shift; done
  [ $# -eq 0 ] || shift
  "$troupe" train configs/tiny.yaml --run-dir "$work/$name" --set parallel.backend=inproc \
    --set evaluation.final_sequences=32 "${arguments[@]}" "$@" >"$work/$name.log" 2>&1 || status=$?
  [ "$status" -eq "$expected" ] || { tail -n 30 "$work/$name.log" >&2; fail "$name: exit $status, not $expected"; }
}

evaluation() {  # evaluation NAME first|last: nats per token
  jq -rs --arg which "$2" 'map(select(.metrics.eval_loss != null)) | if $which == "first" then first else last end
    | .metrics.eval_loss' "$work/$1/metrics.jsonl"
}

compare() {  # compare NAME SOURCE [LIMIT]: first evaluation of one with the last of the other
  local difference
  difference=$(jq -n "$(evaluation "$1" first) - $(evaluation "$2" last) | fabs")
  echo "$1: $(evaluation "$1" first) from $2: $(evaluation "$2" last), difference $difference"
  [ $# -lt 3 ] || [ "$(jq -n "$difference < $3")" = true ] || fail "$1: more than $3 from $2"
}

digest() {
  "$troupe" checkpoint verify "$work/$1" --digest | cut -d ' ' -f 1
}

refused() {  # refused NAME TEXT SETTINGS... -- ARGUMENTS...
  local name=$1 text=$2
  shift 2
  train "$name" 2 "$@"
  grep -q -- "$text" "$work/$name.log" || { cat "$work/$name.log" >&2; fail "$name: no '$text'"; }
  [ ! -d "$work/$name" ] || fail "$name left a folder behind"
  echo "ok: $name is refused"
}

from_dense=(model.moe.experts=8 model.moe.expert_size=64 model.moe.shared_experts=0 run.steps=10)
train dense 0 run.steps=100 model.moe.first_dense_layers=3 -- --workers 1

# Copies of the dense layers, on three layouts.
for workers in 1 2 3; do
  train "copies-$workers" 0 "${from_dense[@]}" -- --workers $workers --init-from "$work/dense"
  compare "copies-$workers" dense 1e-4
  [ "$(digest "copies-$workers")" = "$(digest copies-1)" ] || fail "another digest on $workers workers"
done

# Slices, two to a dense layer: exact whatever the activation; Megatron's roots are not with SwiGLU.
train slices 0 "${from_dense[@]}" model.moe.expert_size=32 model.moe.top_k=4 -- --workers 2 --init-from "$work/dense"
compare slices dense 1e-4
train spread 0 "${from_dense[@]}" model.moe.expert_size=32 model.moe.top_k=4 init_from.slice_scale=spread \
  -- --workers 2 --init-from "$work/dense"
compare spread dense

# Twice the experts: exact with twice the top_k, reported without.
train experts 0 model.moe.experts=6 run.steps=60 schedule.decay=20 -- --workers 1
train doubled 0 model.moe.experts=12 model.moe.top_k=4 run.steps=10 -- --workers 2 --init-from "$work/experts"
compare doubled experts 1e-4
train twins 0 model.moe.experts=12 run.steps=100 -- --workers 2 --init-from "$work/experts"
compare twins experts
echo "twins after 100 steps: $(evaluation twins last)"
train fewer 0 model.moe.experts=4 run.steps=10 -- --workers 2 --init-from "$work/experts"
compare fewer experts
train uneven 0 model.moe.experts=9 init_from.noise=0.1 run.steps=10 -- --workers 3 --init-from "$work/experts"
compare uneven experts
train same 0 model.moe.experts=6 run.steps=10 -- --workers 1 --init-from "$work/experts/checkpoints"
compare same experts 1e-9

# Stopped and gone on with: not from the source again, whether the option is repeated or not.
train resumed 75 "${from_dense[@]}" run.stop_after=4 -- --workers 2 --init-from "$work/dense"
train resumed 75 "${from_dense[@]}" run.stop_after=7 -- --workers 1
train resumed 0 "${from_dense[@]}" -- --workers 3 --init-from "$work/dense"
[ "$(digest resumed)" = "$(digest copies-1)" ] || fail "resumed: another digest"
grep -q "init_from:" "$work/resumed/config.yaml" || fail "the run does not say where it began"
echo "ok: resumed"

refused narrow "both must be equal" model.hidden_size=16 model.attention.heads=2 \
  model.attention.kv_heads=1 -- --workers 1 --init-from "$work/dense"
refused width "its dense layers are 64 wide" "${from_dense[@]}" model.moe.expert_size=48 -- --workers 1 --init-from "$work/dense"
refused odd "must be multiples of 2" "${from_dense[@]}" model.moe.expert_size=32 model.moe.top_k=3 \
  -- --workers 1 --init-from "$work/dense"
refused back "would come from" model.moe.first_dense_layers=3 -- --workers 1 --init-from "$work/experts"
refused size "not in size" model.moe.expert_size=8 model.moe.experts=6 -- --workers 1 --init-from "$work/experts"
