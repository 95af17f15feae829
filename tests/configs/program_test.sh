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
expect 2 stderr "no subcommand 'trian'; did you mean train?" "$troupe" trian configs/tiny.yaml
expect 2 stderr "did you mean verify?" "$troupe" checkpoint verfiy runs/x
expect 0 stdout "=64" "$troupe" generate --help
expect 0 stdout "=auto" "$troupe" train --help
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
expect 2 stderr "no prepared corpus: $folder" "$troupe" validate configs/tiny.yaml --set data.corpus="$folder"
expect 2 stderr "less than one sequence" "$troupe" validate configs/tiny.yaml --set data.sequence_length=1000000
expect 2 stderr "no domain 'typo'" "$troupe" validate configs/tiny.yaml --set data.domains.typo=1
expect 2 stderr "'localhost'" "$troupe" validate configs/tiny.yaml --set control.address=localhost
expect 2 stderr "dashboard.address must be an IP address" "$troupe" validate configs/tiny.yaml \
  --set dashboard.address=localhost
printf 'weak\n' >"$folder/token"
expect 2 stderr "chmod 600" "$troupe" validate configs/tiny.yaml --set dashboard.enabled=true \
  --set dashboard.token_file="$folder/token"
chmod 600 "$folder/token"
expect 2 stderr "is no token" "$troupe" validate configs/tiny.yaml --set dashboard.enabled=true \
  --set dashboard.token_file="$folder/token"
printf 'other-host slots=1\r\n' >"$folder/windows"
printf '# none\n' >"$folder/empty"
printf 'other-host slots=1\n' >"$folder/remote"
expect 2 stderr "windows:1: the line ends as on Windows" "$troupe" validate configs/tiny.yaml \
  --set launch.hostfile="$folder/windows"
expect 2 stderr "names no host" "$troupe" validate configs/tiny.yaml --set launch.hostfile="$folder/empty"
expect 2 stderr "cannot reach 127.0.0.1" "$troupe" validate configs/tiny.yaml --set launch.hostfile="$folder/remote" \
  --set control.address=127.0.0.1
expect 2 stderr "exceeds the 1 slots" "$troupe" validate configs/tiny.yaml --set parallel.workers=2 \
  --set launch.hostfile="$folder/remote" --set control.address=10.0.0.1
expect 2 stdout '"line": 1' "$troupe" validate "$folder/bad.yaml" --json
expect 0 stdout '"valid": true' "$troupe" validate configs/tiny.yaml --json
expect 0 stdout '"default": "2"' "$troupe" config model.moe.top_k --json
expect 0 stdout "model.moe.top_k = 2" "$troupe" config model.moe.top_k
expect 2 stderr "did you mean" "$troupe" config model.moe.topk
expect 0 stdout '"active"' "$troupe" describe configs/quickstart.yaml --json --set model.vocab_size=8192
expect 0 stdout "sparsity 6.60" "$troupe" describe configs/benchmarks/moe_step.yaml
if ! nvidia-smi -L >/dev/null 2>&1; then
  expect 2 stderr "parallel.device: cuda needs a" "$troupe" validate configs/quickstart.yaml --no-corpus --set parallel.device=cuda
fi
for preset in configs/*.yaml configs/benchmarks/*.yaml; do
  expect 0 stdout "is valid" "$troupe" validate "$preset" --no-corpus
  expect 0 stdout "is valid" "$troupe" validate "$preset" --no-corpus --set run.steps=100
done
exit $((failures > 0))
