#!/usr/bin/env bash
# From a fresh clone to a Mixture-of-Experts model that writes: installs what is missing, builds,
# prepares the corpus and the tokenizer, trains configs/quickstart.yaml, and lets the model write.
# What is done already is skipped. Arguments go to `troupe train`, e.g. --set run.steps=100.
set -euo pipefail
cd "$(dirname "$0")/.."
troupe=build/release/bin/troupe

step() {  # step NAME COMMAND...
  local name=$1
  shift
  printf '\n== %s\n' "$name"
  "$@" || {
    status=$?
    echo "quickstart: '$name' failed (exit $status): $*" >&2
    exit "$status"
  }
}

step "Packages and build" scripts/build.sh release troupe
step "Corpus and tokenizer" "$troupe" data prepare configs/corpora/quickstart.yaml \
  --output data/quickstart
step "Training" "$troupe" train configs/quickstart.yaml "$@"

run=$(ls -td runs/quickstart-*/ | head -n 1)
run=${run%/}
step "What the model writes" "$troupe" generate "$run" --temperature 0.4 --seed 2 --tokens 80 \
  --prompt "To change" --prompt "Klicken Sie" --prompt "    def setUp"

cat <<END

== Next
  $troupe checkpoint list $run              its checkpoints
  $troupe generate $run --prompt "If you want"  more text
  $troupe describe configs/quickstart.yaml  the model's size and cost
  $troupe train configs/quickstart.yaml --set model.moe.balancer.kind=none   what balancing does
  scripts/quickstart.sh --workers 1         the same bits on one worker
END
