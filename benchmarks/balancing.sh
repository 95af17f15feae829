#!/usr/bin/env bash
# What the preset's balancer does: the quickstart with it and without, two seeds, half its length. Prints a table of
# held-out loss and of the worst layer's max_violation_window at the end. Two runs at a time, one worker each (the
# bits are the same for every number of workers): about ten minutes on two cores.
# Usage: benchmarks/balancing.sh [FOLDER]      (build and data first: scripts/quickstart.sh)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/balancing}
troupe=build/release/bin/troupe
mkdir -p "$folder"

train() {  # train BALANCER SEED
  "$troupe" train configs/quickstart.yaml --workers 1 --run-dir "$folder/$1-$2" --set model.moe.balancer.kind="$1" \
    --set run.seed="$2" --set run.steps=320 --set schedule.decay=220 --set evaluation.every=0 \
    --set evaluation.final_sequences=256 --set sampling.every=0 --set checkpoint.every=0 \
    --set parallel.backend=inproc --set dashboard.enabled=false >"$folder/$1-$2.log"
}

for seed in 1 2; do
  train sign "$seed" & first=$!
  train none "$seed" & second=$!
  wait "$first"
  wait "$second"
done

echo "| balancer | seed | held-out loss, nats/token | bits/byte | max_violation_window, worst layer |"
echo "|---|---|---|---|---|"
for balancer in sign none; do
  for seed in 1 2; do
    metrics="$folder/$balancer-$seed/metrics.jsonl"
    loss=$(jq -s -r 'map(select(.metrics.eval_loss)) | last | .metrics | "\(.eval_loss) \(.eval_bits_per_byte)"' "$metrics")
    violation=$(jq -s -r 'map(select(.layers)) | last | [.layers[].max_violation_window] | max' "$metrics")
    # shellcheck disable=SC2086
    printf '| %s | %s | %.3f | %.3f | %.2f |\n' "$balancer" "$seed" $loss "$violation"
  done
done
