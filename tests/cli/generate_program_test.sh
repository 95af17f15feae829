#!/usr/bin/env bash
# What a trained model writes: the same for the same seed, as it is written and whole, for prompts of the command line and
# of a file, on one worker and on two, from a run and from a folder for other programs; a step's metrics say MFU; threads sleep
# while they wait.
# Usage: generate_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"

"$troupe" train configs/tiny.yaml --run-dir "$work/run" --workers 1 --set parallel.backend=inproc --set run.steps=2 \
  >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "no model to write with"; }
jq -se 'map(select(.metrics.loss)) | length == 2 and all(.metrics.mfu > 0)' "$work/run/metrics.jsonl" >"$work/ignored" ||
  fail "no mfu in metrics.jsonl"
grep -q 'MFU' "$work/log" || fail "no MFU on the terminal"

generate() { "$troupe" generate "$work/run" --tokens 12 "$@" 2>"$work/stderr"; }

printf 'The\n\ncat sat\r\n' >"$work/prompts"
generate --prompt The --prompt "cat sat" >"$work/streamed"
generate --prompts "$work/prompts" >"$work/of-file"
generate --prompts - <"$work/prompts" --json >"$work/whole"
cmp "$work/streamed" "$work/of-file" || fail "a file's prompts give other texts"
python3 - "$work" <<'END' || fail "what is streamed is not what is written"
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
# In JSON bytes that are no UTF-8 are replaced.
streamed = (work / "streamed").read_bytes().decode(errors="replace").replace("\ufffd", "")
whole = [json.loads(line) for line in (work / "whole").read_text().splitlines()]
assert streamed == "".join(one["prompt"] + one["text"] + "\n\n" for one in whole).replace("\ufffd", "")
END
[ ! -s "$work/stderr" ] || { cat "$work/stderr" >&2; fail "something was complained of"; }

# Two processes share the experts; one reads stdin for both, and writes.
generate --prompts - --json --workers 2 <"$work/prompts" >"$work/of-two" || { cat "$work/stderr" >&2; fail "no two workers"; }
cmp "$work/whole" "$work/of-two" || fail "two workers write other texts than one"
[ ! -s "$work/stderr" ] || { cat "$work/stderr" >&2; fail "two workers complained"; }
status=0
generate --workers 25 --prompt The >"$work/ignored" || status=$?
[ "$status" = 2 ] && grep -q "25 workers for the model's 24 experts" "$work/stderr" ||
  { cat "$work/stderr" >&2; fail "a worker without an expert ends with $status"; }

# A folder of Hugging Face's needs no import.
"$troupe" export "$work/run" --output "$work/exported" >"$work/ignored"
generate --prompt The --temperature 0 >"$work/of-run"
"$troupe" generate "$work/exported" --tokens 12 --prompt The --temperature 0 >"$work/of-exported"
cmp "$work/of-run" "$work/of-exported" || fail "an exported model writes another text"

generate --prompt The >"$work/default-seed"
generate --prompt The --seed 1 >"$work/seed-1"
generate --prompt The --seed 2 >"$work/seed-2"
generate --prompt The --seed 2 >"$work/seed-2-again"
cmp "$work/default-seed" "$work/seed-1" || fail "the run's seed is not the default"
cmp "$work/seed-2" "$work/seed-2-again" || fail "a seed gives two texts"
! cmp -s "$work/seed-1" "$work/seed-2" || fail "two seeds give one text"

generate --prompt "The " >"$work/ignored"
grep -q 'ends in a space' "$work/stderr" || fail "no word on a prompt that ends in a space"
printf '\n' >"$work/empty"
! generate --prompts "$work/empty" || fail "a file without prompts is taken"
for default in '=64' '=0.8' '=40'; do
  "$troupe" generate --help | grep -q -- "$default" || fail "--help does not say the default $default"
done

spins() {  # spins [NAME=VALUE]: how often a thread looks for work before it sleeps, as OpenMP says in the end
  env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT "$@" OMP_DISPLAY_ENV=verbose \
    "$troupe" generate "$work/run" --tokens 1 --prompt The 2>&1 >"$work/ignored" | grep GOMP_SPINCOUNT | tail -n 1
}
spins | grep -q "'0'" || fail "threads spin while they wait: $(spins)"
! spins OMP_WAIT_POLICY=active | grep -q "'0'" || fail "what the environment says is ignored"
echo "ok"
