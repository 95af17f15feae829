#!/usr/bin/env bash
# From a preference file to a model that answers as preferred, and to a reward model: the commands of docs/data.md.
# Usage: preference_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"

options=(--set parallel.backend=inproc --workers 2 --set batch.sequences=8 --set batch.grad_lanes=2
  --set batch.expert_lanes=2 --set model.moe.experts=4 --set data.sequence_length=96 --set model.loss.z_loss=0)

train() {  # train NAME ARGUMENTS...
  local name=$1
  shift
  "$troupe" train configs/tiny.yaml --run-dir "$work/$name" "${options[@]}" "$@" >"$work/$name.log" 2>&1 ||
    { tail -n 30 "$work/$name.log" >&2; fail "$name"; }
}
refused() {  # refused TEXT COMMAND...: with exit 2 and this text
  local text=$1 status=0
  shift
  "$@" >"$work/refused" 2>&1 || status=$?
  [ "$status" -eq 2 ] || fail "exit $status instead of 2: $* $(cat "$work/refused")"
  grep -qF -- "$text" "$work/refused" || fail "'$text' is not in: $(cat "$work/refused")"
}
metric() {  # metric RUN STEP NAME
  jq -s --argjson step "$2" "map(select(.step == \$step and .metrics.$3 != null)) | last.metrics.$3" \
    "$work/$1/metrics.jsonl"
}
answer() {  # answer RUN
  "$troupe" generate "$work/$1" --chat plain --prompt "What is the capital of Peru?" --temperature 0 --tokens 40 \
    --json | jq -r .text
}

train base --set run.steps=10
"$troupe" data prepare configs/corpora/capitals.jsonl --chat plain --tokenizer "$work/base" --heldout 0.1 \
  --output "$work/chats" >"$work/prepare.log" 2>&1
"$troupe" data prepare configs/corpora/brief_answers.jsonl --preferences plain --tokenizer "$work/base" \
  --heldout 0.1 --output "$work/pairs" >"$work/prepare.log" 2>&1
"$troupe" data inspect "$work/pairs" --text --documents 2 >"$work/pairs.txt"
grep -q "chosen: " "$work/pairs.txt" && grep -q "rejected: " "$work/pairs.txt" || fail "$(cat "$work/pairs.txt")"
grep -qE '^Assistant:⟦ [A-Z][a-z]+\.<\|endoftext\|>⟧$' "$work/pairs.txt" || fail "$(cat "$work/pairs.txt")"

# An objective takes the corpus that it is for, and says which that is.
refused "set objective.kind to dpo or reward" "$troupe" train configs/tiny.yaml --run-dir "$work/no" "${options[@]}" \
  --set data.corpus="$work/pairs"
refused "--preferences TEMPLATE" "$troupe" train configs/tiny.yaml --run-dir "$work/no" "${options[@]}" \
  --set objective.kind=dpo
refused "prepare it with --chat" "$troupe" train configs/tiny.yaml --run-dir "$work/no" "${options[@]}" \
  --set objective.kind=sft
refused "objective.kind: dpo does not run with parallel.device: cuda" "$troupe" validate configs/tiny.yaml \
  --set objective.kind=dpo --set parallel.device=cuda

train chats --init-from "$work/base" --set data.corpus="$work/chats" --set run.steps=500 --set optimizer.lr=1e-2 \
  --set objective.kind=sft
[ "$(answer chats)" = " Lima is the capital of Peru." ] || fail "before: $(answer chats)"

dpo=(--set data.corpus="$work/pairs" --set objective.kind=dpo --set run.steps=60 --set optimizer.lr=3e-4
  --set sampling.every=0 --set checkpoint.every=20)
status=0
"$troupe" train configs/tiny.yaml --run-dir "$work/brief" "${options[@]}" "${dpo[@]}" --init-from "$work/chats" \
  --set run.stop_after=20 >"$work/brief.log" 2>&1 || status=$?
[ "$status" -eq 75 ] || { tail -n 30 "$work/brief.log" >&2; fail "exit $status instead of 75"; }
first=$(metric brief 1 loss_lm)
awk -v loss="$first" 'BEGIN { exit !(loss > 0.693147180 && loss < 0.693147181) }' || fail "the first loss is $first"
[ "$(metric brief 1 preference_margin)" = 0 ] || fail "the first margin is $(metric brief 1 preference_margin)"

# The reference belongs to the run: without it, or with another one, the run does not go on.
mv "$work/brief/reference.h5" "$work/kept"
status=0
"$troupe" train --run-dir "$work/brief" --set run.stop_after=null >"$work/lost" 2>&1 || status=$?
[ "$status" -ne 0 ] && grep -q "reference.h5 is missing" "$work/lost" || fail "$(tail -n 20 "$work/lost")"
mv "$work/kept" "$work/brief/reference.h5"
"$troupe" train --run-dir "$work/brief" --set run.stop_after=null >"$work/brief.log" 2>&1 ||
  { tail -n 30 "$work/brief.log" >&2; fail "resume"; }
grep -qE "step 60/60 .*margin [0-9.]+  preferred 100 %" "$work/brief.log" || fail "$(tail "$work/brief.log")"
awk -v margin="$(metric brief 60 preference_margin)" 'BEGIN { exit !(margin > 1) }' ||
  fail "the margin is $(metric brief 60 preference_margin)"
[ "$(answer brief)" = " Lima." ] || fail "after: $(answer brief)"
[ "$("$troupe" eval "$work/brief" --json | jq '.total.eval_preference_accuracy == 1')" = true ] ||
  fail "$("$troupe" eval "$work/brief")"
"$troupe" eval "$work/brief" --corpus "$work/chats" --json | jq -e '.total.tokens > 0' >/dev/null || fail "eval of text"

# A reward model: a number, no text.
train reward --init-from "$work/chats" "${dpo[@]}" --set objective.kind=reward
[ "$("$troupe" eval "$work/reward" --json | jq '.total.eval_preference_accuracy == 1')" = true ] ||
  fail "$("$troupe" eval "$work/reward")"
refused "writes nothing" "$troupe" generate "$work/reward" --prompt a
echo '{"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}' >"$work/sums.jsonl"
refused "writes nothing" "$troupe" eval "$work/reward" --tasks "$work/sums.jsonl"
refused "set sampling.every: 0" "$troupe" validate configs/tiny.yaml --set objective.kind=reward \
  --set sampling.every=5
echo "ok"
