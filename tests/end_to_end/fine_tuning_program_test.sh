#!/usr/bin/env bash
# From a chat file to a model that answers its questions: prepared with a run's tokenizer, trained from its
# weights, asked.
# Usage: fine_tuning_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"

train() {  # train NAME ARGUMENTS...
  local name=$1
  shift
  "$troupe" train configs/tiny.yaml --run-dir "$work/$name" --set parallel.backend=inproc --workers 2 \
    --set batch.sequences=8 --set batch.grad_lanes=2 --set batch.expert_lanes=2 --set model.moe.experts=4 --set data.sequence_length=64 "$@" \
    >"$work/$name.log" 2>&1 || { tail -n 30 "$work/$name.log" >&2; fail "$name"; }
}

train base --set run.steps=10

# The base's tokenizer has no tokens of ChatML: that is said, and plain needs none.
status=0
"$troupe" data prepare configs/corpora/capitals.jsonl --chat chatml --tokenizer "$work/base" --output "$work/chats" \
  2>"$work/refused" || status=$?
[ "$status" -eq 2 ] || fail "a tokenizer without ChatML's tokens: exit $status instead of 2"
grep -q "no special token <|im_start|>, <|im_end|>: take --chat plain" "$work/refused" || fail "$(cat "$work/refused")"
"$troupe" data prepare configs/corpora/capitals.jsonl --chat plain --tokenizer "$work/base" --heldout 0.1 \
  --output "$work/chats" >"$work/prepare.log" 2>&1

text=$("$troupe" data inspect "$work/chats" --text --documents 0)
grep -q "^Assistant:⟦ Tokyo is the capital of Japan.<|endoftext|>⟧\$" <<<"$text" || fail "what is trained is not marked: $text"
[ "$("$troupe" data inspect "$work/chats" --json | jq '.train | .trained_tokens < .tokens and .trained_tokens > 0')" = true ] ||
  fail "trained tokens are not counted"

train tuned --init-from "$work/base" --set data.corpus="$work/chats" --set run.steps=500 --set optimizer.lr=1e-2
answer=$("$troupe" generate "$work/tuned" --chat plain --prompt "What is the capital of Japan?" --temperature 0 \
  --tokens 40 --json | jq -r .text)
[ "$answer" = " Tokyo is the capital of Japan." ] || fail "the answer is '$answer'"
echo "ok: $answer"
