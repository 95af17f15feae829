#!/usr/bin/env bash
# `troupe eval --tasks` and `troupe data needle`: a model that has learned one text by heart knows its words.
# Usage: tasks_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"

for i in $(seq 1 400); do printf 'The sky is blue. The grass is green. One and one are two.\n'; done >"$work/text.txt"
"$troupe" data prepare "$work/text.txt" --document-bytes 2000 --output "$work/corpus" --tokenizer tests/data/tiny >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; fail "no corpus"; }
"$troupe" train configs/tiny.yaml --run-dir "$work/run" --workers 1 --set parallel.backend=inproc \
  --set data.corpus="$work/corpus" --set run.steps=40 --set optimizer.lr=1e-2 --set batch.sequences=24 \
  --set evaluation.every=0 --set checkpoint.every=0 >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; fail "no model"; }

cat >"$work/sky.jsonl" <<'END'
{"context": "The sky is", "choices": ["blue", "two"], "answer": 0, "group": "colours"}
{"context": "The sky is blue. The grass is", "choices": ["blue", "green"], "answer": 1, "group": "colours"}
{"goal": "The sky is blue. The grass is green. One and one are", "sol1": "green.", "sol2": "two.", "label": 1}
{"context": "The sky is blue. The grass is green. One and", "answer": "one are two."}
END
"$troupe" eval "$work/run" --tasks "$work/sky.jsonl" --json >"$work/json" 2>"$work/stderr" ||
  { cat "$work/stderr" >&2; fail "the questions are not asked"; }
jq -e '.sky | .likeliest.right >= 2 and .likeliest.questions == 3 and .written.right == 1 and .chance == 0.5
  and .groups.colours.likeliest.questions == 2 and .likeliest.low < .likeliest.accuracy' "$work/json" >"$work/ignored" ||
  { cat "$work/json" >&2; fail "a model does not know what it learned by heart"; }
"$troupe" eval "$work/run" --tasks "$work/sky.jsonl" --json --workers 2 | diff "$work/json" - >&2 || fail "two workers answer otherwise"
"$troupe" eval "$work/run" --tasks "$work/sky.jsonl" >"$work/table"
grep -q '^  colours .*likeliest ' "$work/table" || { cat "$work/table" >&2; fail "no table"; }

"$troupe" data needle --tokenizer "$work/run" --lengths 120 --depths 0,1 --count 3 --output "$work/needle.jsonl" \
  >"$work/ignored"
[ "$(wc -l <"$work/needle.jsonl")" = 6 ] || fail "no six needles"
"$troupe" eval "$work/run" --tasks "$work/needle.jsonl" --tasks "$work/sky.jsonl" --json |
  jq -e '(.needle.groups | keys) == ["length 120, depth 0.00", "length 120, depth 1.00"] and .sky' >"$work/ignored" ||
  fail "needles are not asked by length and depth"

printf '{"context": "a", "choices": ["b"], "answer": 0}\n' >"$work/wrong.jsonl"
status=0
"$troupe" eval "$work/run" --tasks "$work/wrong.jsonl" >"$work/ignored" 2>"$work/stderr" || status=$?
[ "$status" = 2 ] || fail "a wrong file ends with $status"
grep -q 'wrong.jsonl:1: ' "$work/stderr" || { cat "$work/stderr" >&2; fail "the line is not named"; }
echo "ok"
