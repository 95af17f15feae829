#!/usr/bin/env bash
# The program's exit codes and where its output goes. Usage: program_test.sh TROUPE SOURCE_DIR
set -u
troupe=$1
cd "$2"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

expect() {  # expect STATUS STREAM TEXT COMMAND...
  local status=$1 stream=$2 text=$3
  shift 3
  "$@" >"$folder/stdout" 2>"$folder/stderr"
  local got=$?
  if [[ $got -ne $status ]] || ! grep -qF -- "$text" "$folder/$stream"; then
    echo "FAILED: $* exits $got, not $status, or '$text' is not on $stream:"
    cat "$folder/stdout" "$folder/stderr"
    failures=$((failures + 1))
  fi
}

printf 'run: {steps: x}\nmodel: {hiden_size: 8}\n' >"$folder/bad.yaml"
expect 0 stdout "Example" "$troupe" --help
for subcommand in config validate describe; do
  expect 0 stdout "Example" "$troupe" "$subcommand" --help
done
expect 2 stderr "subcommand" "$troupe"
expect 2 stderr "CONFIG is required" "$troupe" validate
expect 2 stderr "unexpected" "$troupe" validate configs/tiny.yaml --unexpected
expect 0 stdout "configs/tiny.yaml is valid" "$troupe" validate configs/tiny.yaml
expect 0 stderr "sees the future" "$troupe" validate configs/tiny.yaml \
  --set model.moe.router.selection=expert_choice --set model.moe.balancer.kind=none
expect 0 stdout "is valid" "$troupe" validate --set run.steps=40 --set run.seed=2 configs/tiny.yaml
expect 2 stderr "bad.yaml:1:14: run.steps" "$troupe" validate "$folder/bad.yaml"
expect 2 stderr "bad.yaml:2:9: unknown key model.hiden_size; did you mean model.hidden_size?" \
  "$troupe" validate "$folder/bad.yaml"
expect 2 stderr "exceeds batch.grad_lanes" "$troupe" validate configs/tiny.yaml --set parallel.workers=25
expect 2 stderr "missing.yaml" "$troupe" validate missing.yaml
expect 0 stdout "model.moe.top_k = 2" "$troupe" config model.moe.top_k
expect 2 stderr "did you mean" "$troupe" config model.moe.topk
expect 0 stdout '"active"' "$troupe" describe configs/quickstart.yaml --json --set model.vocab_size=8192
expect 0 stdout "sparsity 6.60" "$troupe" describe configs/benchmarks/moe_step.yaml
for preset in configs/*.yaml configs/benchmarks/*.yaml; do
  expect 0 stdout "is valid" "$troupe" validate "$preset"
done
exit $((failures > 0))
