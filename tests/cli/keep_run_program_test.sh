#!/usr/bin/env bash
# A run as its owner keeps, moves, extends and branches it. Usage: keep_run_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
troupe=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

expect() {  # expect STATUS TEXT COMMAND...: in its output
  local status=$1 text=$2 got=0
  shift 2
  "$@" >"$work/output" 2>&1 || got=$?
  [ "$got" -eq "$status" ] || { tail -n 20 "$work/output" >&2; fail "exit $got, not $status: $*"; }
  grep -qF -- "$text" "$work/output" || { tail -n 20 "$work/output" >&2; fail "no '$text': $*"; }
  echo "ok: $text"
}

digest() {
  "$troupe" checkpoint verify "$1" --digest | cut -d ' ' -f 1
}

cp -r "$source/tests/data/tiny" corpus
sed 's#tests/data/tiny#corpus#' "$source/configs/tiny.yaml" >tiny.yaml
small=(--set parallel.backend=inproc --workers 1 --set evaluation.final_sequences=4 --set checkpoint.every=5)
train() { "$troupe" train tiny.yaml "${small[@]}" "$@"; }

train --run-dir whole >/dev/null
whole=$(digest whole)

# The command that a stopped run prints goes on from anywhere, whatever it was begun with.
expect 75 "next" train --run-dir "it's a run/" --set run.stop_after=7 --set optimizer.lr=2e-3
next=$(sed -n 's/^  next  *//p' output)
(cd / && eval "$next") >log 2>&1 || { tail log >&2; fail "pasted: $next"; }
train --run-dir straight --set optimizer.lr=2e-3 >/dev/null
[ "$(digest "it's a run")" = "$(digest straight)" ] || fail "the pasted command is another run"
next=$(sed -n 's/^  next  *//p' log)
(cd / && eval "$next --tokens 3") >log 2>&1 || { tail log >&2; fail "pasted: $next"; }
echo "ok: printed commands, pasted elsewhere"

# Another spelling of the same place, a link, another place: the same run.
train --run-dir moved --set run.stop_after=7 >/dev/null || true
mv moved elsewhere
mv corpus texts
ln -s elsewhere link
expect 75 "stopped at step 9" train --run-dir ./link// --set data.corpus=./texts/ --set run.stop_after=9
mv texts corpus
HOME=$work expect 0 "finished at step 20" train --run-dir=~/elsewhere --set data.corpus='~/corpus'
[ "$(digest elsewhere)" = "$whole" ] || fail "the moved run is another run"

# Longer, with leave; what cannot change says why.
expect 2 "--allow-change run.steps" "$troupe" train --run-dir whole --set run.steps=24
expect 2 "it cannot change" "$troupe" train --run-dir whole --set run.seed=3
expect 2 "did you mean run.steps" "$troupe" train --run-dir whole --allow-change run.step
expect 75 "run.steps is 24; it was 20" "$troupe" train --run-dir whole --set run.steps=24 --allow-change run.steps \
  --set run.stop_after=22
expect 0 "finished at step 24" "$troupe" train --run-dir whole

# A branch takes all of the state and leaves its origin alone.
before=$(digest straight)
expect 75 "from $work/straight/checkpoints/step-00000010" train --from straight/checkpoints/step-00000010 \
  --run-dir branch --set optimizer.lr=2e-3 --set run.stop_after=12
expect 0 "finished at step 20" train --run-dir branch --set optimizer.lr=2e-3
[ "$(digest branch)" = "$before" ] || fail "an unchanged branch is another run"
[ "$(digest straight)" = "$before" ] || fail "the branch changed its origin"
expect 0 "schedule.kind is constant; it was wsd" train --from straight --run-dir other --set optimizer.lr=2e-3 \
  --set schedule.kind=constant --set run.steps=21
expect 2 "model.hidden_size: 32 in the checkpoint, 64 now; it cannot change" train --from straight \
  --run-dir wide --set model.hidden_size=64
[ ! -e wide ] || fail "a refused branch left a folder"

# A damaged record is named and made anew.
printf 'run: {steps: [' >branch/config.yaml
expect 0 "record is damaged" "$troupe" train --run-dir branch
grep -q '^  steps: 20$' branch/config.yaml || fail "config.yaml was not made anew"
sed -i '/^schedule:/,$d' branch/config.yaml # YAML still, of another run
expect 0 "record is damaged" "$troupe" train --run-dir branch
grep -q '^schedule:' branch/config.yaml || fail "config.yaml was not made anew"

# Writes and is evaluated anywhere, without the corpus; the tokenizer alone will do.
mv corpus away
(cd / && expect 0 "The" "$troupe" generate "$work/whole" --prompt The --tokens 3)
(cd / && "$troupe" eval "$work/whole" --sequences 2 --json | jq -e .total.eval_loss) >/dev/null || fail "eval --json"
mkdir tokenizer
cp away/tokenizer.json tokenizer
expect 0 "The" "$troupe" generate whole/ --prompt The --tokens 3 --corpus tokenizer
expect 2 "correct data.corpus" "$troupe" train --run-dir whole --set run.steps=25 --allow-change run.steps
mv away corpus

# Text that was prepared with another tokenizer does not fit; the command of the refusal makes it fit.
mkdir foreign
for i in 1 2 3 4; do seq "$i" 400 | tr '\n' ' ' >"foreign/$i.txt"; done
"$troupe" data prepare foreign --vocab 300 --output misfit >/dev/null 2>&1
expect 2 "another tokenizer" train --init-from whole --run-dir refused --set data.corpus=misfit
expect 2 "another tokenizer" "$troupe" eval whole --corpus misfit
command=$(sed -n "s/^text is prepared with the model's tokenizer by: //p" output)
eval "$(sed 's/ TEXT / foreign /; s/ FOLDER$/ fitting/' <<<"$command")" >log 2>&1 || { tail log >&2; fail "$command"; }
expect 0 "bits" "$troupe" eval whole --corpus fitting
expect 0 "finished at step 2" train --init-from whole --run-dir adapted --set data.corpus=fitting --set run.steps=2

# Refused before any work, once, with a place, and without a folder.
bad=$(printf 'bad-\377')
expect 2 "is not UTF-8" train --run-dir "$bad"
for setting in data.sequence_length=30000000 data.domains.typo=1 data.corpus=nowhere dashboard.address=localhost \
  launch.hostfile=nowhere; do
  expect 2 "--set $setting: " train --run-dir refused --set parallel.backend=mpi --set "$setting"
  [ "$(grep -c . output)" -eq 1 ] || { cat output >&2; fail "$setting is said more than once"; }
  [ ! -e refused ] || fail "$setting left a folder"
  expect 2 "--set $setting: " "$troupe" validate tiny.yaml --set "$setting"
done
expect 0 "is valid" "$troupe" validate tiny.yaml
expect 2 "CONFIG is required" "$troupe" train
expect 2 "not the folder of a run" "$troupe" train --run-dir corpus
echo "all ok"
