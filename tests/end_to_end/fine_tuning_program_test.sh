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

# A conversation: what was said before is part of what is read.
first="What is the capital of Japan?" second="What is the capital of Peru?"
talk() { "$troupe" generate "$work/tuned" --chat plain --temperature 0 --tokens 40 "$@"; }
printf '%s\r\n\n%s\n' "$first" "$second" >"$work/said"
talk --interactive --json <"$work/said" >"$work/talk.jsonl"
[ "$(jq -s length "$work/talk.jsonl")" = 2 ] || fail "a line is an answer, and an empty one is none: $(cat "$work/talk.jsonl")"
[ "$(jq -rs '.[0].text' "$work/talk.jsonl")" = "$answer" ] || fail "the first answer is another: $(cat "$work/talk.jsonl")"
[ "$(talk --interactive <"$work/said")" = "$(jq -r .text "$work/talk.jsonl")" ] || fail "text is not that of JSON"
talk --prompt "$second" --json >"$work/alone.jsonl"
jq -se '.[0].log_probabilities[0] != .[1].log_probabilities[0]' <(sed -n 2p "$work/talk.jsonl") "$work/alone.jsonl" \
  >"$work/ignored" || fail "the second answer does not know the first question"
echo "ok: $answer"
