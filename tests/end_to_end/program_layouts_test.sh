#!/usr/bin/env bash
# The program itself, over MPI and in both modes: the same bits for every layout, and across a stop and a
# resume into another layout; and that another seed gives other bits and one changed token is noticed.
# Usage: program_layouts_test.sh TROUPE SOURCE_DIR MPIRUN
set -euo pipefail
troupe=$1
mpirun=$3
cd "$2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

digest() {  # digest NAME: of the run's newest checkpoint
  "$troupe" checkpoint verify "$work/$1" --digest | cut -d ' ' -f 1
}

losses() {
  jq -c '[.step, .metrics.loss]' "$work/$1/metrics.jsonl"
}

train() {  # train NAME EXPECTED_STATUS ARGUMENTS...
  local name=$1 expected=$2 status=0
  shift 2
  "$troupe" train configs/tiny.yaml --run-dir "$work/$name" "$@" >"$work/$name.log" 2>&1 || status=$?
  [ "$status" -eq "$expected" ] || { tail -n 30 "$work/$name.log" >&2; fail "$name: exit $status, not $expected"; }
}

same() {  # same NAME: as the run on one worker
  [ "$(digest "$1")" = "$reference_digest" ] || fail "$1: another digest than one worker's"
  [ "$(losses "$1")" = "$reference_losses" ] || fail "$1: other losses than one worker's"
  echo "ok: $1"
}

differs() {  # differs NAME OTHER
  [ "$(digest "$1")" != "$(digest "$2")" ] || fail "$1: the digest did not notice"
  [ "$(losses "$1")" != "$(losses "$2")" ] || fail "$1: the losses did not notice"
  echo "ok: $1 differs"
}

train one 0 --workers 1
reference_digest=$(digest one)
reference_losses=$(losses one)
[ "${#reference_digest}" -eq 64 ] || fail "no digest: $reference_digest"
[ "$(wc -l <<<"$reference_losses")" -ge 20 ] || fail "fewer than 20 steps"

for workers in 2 3 4 5 8; do
  train "workers-$workers" 0 --workers "$workers"
  same "workers-$workers"
done
train threads-2 0 --workers 2 --set parallel.threads=2
same threads-2
for expert_parallel in 1 2 4; do
  train "expert-parallel-$expert_parallel" 0 --workers 4 --set parallel.expert_parallel="$expert_parallel"
  same "expert-parallel-$expert_parallel"
done
train chunks 0 --workers 3 --set parallel.dispatch.max_bytes=2048
same chunks
train nodes 0 --workers 4 --set parallel.dispatch.hierarchical=true --set parallel.dispatch.workers_per_node=2
same nodes
train chunks-between-nodes 0 --workers 5 --set parallel.dispatch.hierarchical=true \
  --set parallel.dispatch.workers_per_node=2 --set parallel.dispatch.max_bytes=2048
same chunks-between-nodes
train hosts 0 --workers 2 --set parallel.dispatch.hierarchical=true
same hosts
train inproc 0 --workers 3 --set parallel.backend=inproc
same inproc

# Experts move to other workers in mid-run.
train placed 0 --workers 3 --set parallel.placement=balanced --set parallel.placement_every=3
train placed-replicas 0 --workers 4 --set parallel.expert_parallel=2 --set parallel.placement=balanced \
  --set parallel.placement_every=3
for name in placed placed-replicas; do
  same "$name"
  grep -rqs "experts placed by load" "$work/$name" "$work/$name.log" || fail "$name: no expert moved"
done

# Stopped after ten steps, and resumed on another number of workers.
train resumed 75 --workers 4 --set run.stop_after=10
train resumed 0 --workers 3
same resumed

# Classic mode: one MPI job, rank 0 is the coordinator.
"$mpirun" --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 -n 3 \
  "$troupe" train configs/tiny.yaml --run-dir "$work/classic" >"$work/classic.log" 2>&1 || {
  tail -n 30 "$work/classic.log" >&2
  fail "classic mode"
}
same classic

# The comparison can fail: another seed. One bit of one token is noticed where it is read.
train seed 0 --workers 1 --set run.seed=2
differs seed one
cp -r tests/data/tiny "$work/corpus"
python3 - "$work/corpus/train.h5" <<'END'
import pathlib, sys
path = pathlib.Path(sys.argv[1])
content = bytearray(path.read_bytes())
content[len(content) // 2 & ~1] ^= 1  # the tokens, little-endian u16, are by far the most of the file
path.write_bytes(content)
END
train token 1 --workers 2 --set run.steps=80 --set data.corpus="$work/corpus"  # every token is seen
grep -q "do not have the hash that was written with them" "$work/token.log" || fail "a changed token was not noticed"
echo "ok: a changed token is noticed"
