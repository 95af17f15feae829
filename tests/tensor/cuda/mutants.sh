#!/usr/bin/env bash
# Shows that the emulated checks notice faults: breaks a kernel in one place after the other, and expects the
# named check to fail. Each line of `mutants` is
#   CHECK @ FILE @ SED SCRIPT @ SOURCE to compile again
# where CHECK is an op of op_check_emulated, a test of emulation_test, or one of device_training_test (*Device*).
# Usage: tests/tensor/cuda/mutants.sh [BUILD_DIRECTORY]      by default build/release, which must be built
set -euo pipefail
cd "$(dirname "$0")/../../.."
build=$(realpath "${1:-build/release}")

mutants=$(grep -v '^#' <<'LIST'
# a removed barrier
gemm @ tensor/cuda/gemm_tile.h @ /__syncthreads/d @ tensor/cuda/gemm.cu
attention_forward @ tensor/cuda/attention_forward.cu @ 0,/__syncthreads/{/__syncthreads/d} @ tensor/cuda/attention_forward.cu
attention_backward @ tensor/cuda/attention_backward.cu @ 0,/__syncthreads/{/__syncthreads/d} @ tensor/cuda/attention_backward.cu
cross_entropy @ tensor/cuda/cross_entropy.cu @ 0,/__syncthreads();$/{/__syncthreads();$/d} @ tensor/cuda/cross_entropy.cu
attention_forward @ tensor/cuda/attention_tile.h @ /__syncwarp/d @ tensor/cuda/attention_forward.cu
attention_backward @ tensor/cuda/attention_tile.h @ /__syncwarp/d @ tensor/cuda/attention_backward.cu
plan @ tensor/cuda/scan.h @ /sums\[thread\] = value;/{n;d} @ tensor/cuda/plan.cu
plan @ tensor/cuda/plan.cu @ 0,/__syncthreads/{/__syncthreads/d} @ tensor/cuda/plan.cu
attention_backward @ tensor/cuda/rows.h @ /__syncthreads/d @ tensor/cuda/attention_backward.cu
# a wrong score
attention_forward @ tensor/cuda/attention_forward.cu @ s/nullptr ? 0.0F : 1.0F/nullptr ? 0.0F : 0.0F/ @ tensor/cuda/attention_forward.cu
attention_forward @ tensor/cuda/attention_score.h @ s/2 \* (head - power) + 1/2 * (head - power + 1)/ @ tensor/cuda/attention_forward.cu
attention_backward @ tensor/cuda/attention_score.h @ s/score.slope \* fmaf(-bent, bent, 1.0F)/score.slope/ @ tensor/cuda/attention_backward.cu
# a missing event
PinnedRing.UploadsMoreThanItHolds @ tensor/device/memory.cpp @ /queue.record/d @ tensor/device/memory.cpp
# a wrong mask of a tail
gemm @ tensor/cuda/gemm_tile.h @ s/inner + i < factor.inner_size/inner + i <= factor.inner_size/ @ tensor/cuda/gemm.cu
gemm @ tensor/cuda/gemm_tile.h @ s/row >= c.rows || column >= c.columns/row >= c.rows/ @ tensor/cuda/gemm.cu
attention_forward @ tensor/cuda/attention_tile.h @ s/position <= begin + row/position < begin + row/ @ tensor/cuda/attention_forward.cu
attention_backward @ tensor/cuda/attention_tile.h @ s/first_visible\[row\] <= position/first_visible[row] < position/ @ tensor/cuda/attention_backward.cu
embedding_backward @ tensor/cuda/embedding.cu @ s/if (here\[i\]) sum/sum/;s/ids\[place + i\] == id/true/ @ tensor/cuda/embedding.cu
count_domains @ tensor/cuda/tally.cu @ s/if (choice < 0) return;// @ tensor/cuda/tally.cu
gather_rows @ tensor/cuda/four.h @ s/by_four && left >= 4/by_four/ @ tensor/cuda/slots.cu
layer_norm_backward @ tensor/cuda/layer_norm.cu @ s/ - sum - (x/ - (x/ @ tensor/cuda/layer_norm.cu
copy_heads @ tensor/cuda/heads.cu @ s/to.first + channel/channel/ @ tensor/cuda/heads.cu
# another order of sums
embedding_backward @ tensor/cuda/embedding.cu @ s/kDigitBits \* pass, kDigits/0, kDigits/ @ tensor/cuda/embedding.cu
gemm @ tensor/cuda/gemm_tile.h @ s/int inner = 0; inner < kTileInner; ++inner/int inner = kTileInner - 1; inner >= 0; --inner/ @ tensor/cuda/gemm.cu
rms_norm_backward @ tensor/cuda/rows.h @ s/kRowsOfChunk = 128/kRowsOfChunk = 64/ @ tensor/cuda/rms_norm.cu
# a training step: what the host reads too early, what never arrives, lanes added by worker, gradients lost
Models/DeviceTraining.HasTheLossOfTheHost/after_top_k @ tensor/device/device_accelerator.cpp @ /finish_downloads() {/{n;d} @ tensor/device/device_accelerator.cpp
Models/DeviceTraining.HasTheSameBitsInEveryLayout/small @ experts/dispatch/staged_exchange.cpp @ s/transfer(accelerator_, arrived(), to());// @ experts/dispatch/staged_exchange.cpp
Models/DeviceTraining.HasTheSameBitsInEveryLayout/small @ comm/collectives/device_lane_reduction.cpp @ s/lane \* plan_.ranks() + peer/plan_.lanes_of(0) * peer + lane/ @ comm/collectives/device_lane_reduction.cpp
Models/DeviceTraining.HasTheBitsOfEveryOtherDevice/after_top_k @ experts/ffn/expert_ffn.cpp @ s/source + 1, &Expert::input/source, \&Expert::input/ @ experts/ffn/expert_ffn.cpp
Models/DeviceTraining.HasTheBitsOfEveryOtherDevice/small @ tensor/device/kernel_ops.cpp @ s/.value_factor = views.value_factor/.value_factor = 1.0/ @ tensor/device/kernel_ops.cpp
DeviceCheckpoint.GoesFromTheHostToADeviceAndBack @ tensor/transfer.cpp @ s/if (content == Content::kBuffer)/if (content == Content::kZero)/ @ tensor/transfer.cpp
LIST
)

overlay=$(mktemp -d)
trap 'rm -rf "$overlay"' EXIT
libraries=("$build"/tensor/cuda/emulation/libtroupe_cuda_emulated.a "$build"/tensor/cuda/libtroupe_device.a
  "$build"/experts/libtroupe_experts.a "$build"/tensor/libtroupe_tensor.a "$build"/base/libtroupe_base.a)

# program OBJECTS_OF EXTRA_OBJECT LIBRARIES...: links a test program with the mutant before the libraries.
program() {
  local of=$1 object=$2
  shift 2
  g++ -o "$overlay/program" $(find "$build/tests/tensor/cuda/CMakeFiles/$of.dir" -name '*.o') "$object" \
    "${libraries[@]}" "$@" -lboost_context -lfmt -lspdlog -lgomp
}

# device_program OBJECT: links device_training_test with the mutant before the libraries.
device_program() {
  local link
  link=$(ninja -C "$build" -t commands device_training_test | tail -1 | sed 's/^: && //; s/ && :$//')
  (cd "$build" && eval "${link/ -o bin\/device_training_test / -o $overlay/program $1 }")
}

survivors=0
while IFS='@' read -r check file script source; do
  check=$(xargs <<<"$check") file=$(xargs <<<"$file") source=$(xargs <<<"$source") script=${script# } script=${script% }
  mkdir -p "$overlay/$(dirname "$file")" "$overlay/$(dirname "$source")"
  cp "$source" "$overlay/$source"
  sed "$script" "$file" >"$overlay/$file"
  if cmp -s "$file" "$overlay/$file"; then echo "no longer a mutant: $file: $script"; exit 1; fi
  g++ -x c++ -std=c++20 -O2 -ffp-contract=off -fopenmp -Wno-unknown-pragmas -DTROUPE_CUDA_EMULATED -I"$overlay" -I. \
    -c "$overlay/$source" -o "$overlay/mutant.o"
  case $check in
    *Device*) device_program "$overlay/mutant.o"
              command=("$overlay/program" --gtest_filter="$check") ;;
    *.*) program emulation_test "$overlay/mutant.o" -lgtest_main -lgtest -lgmock
         command=("$overlay/program" --gtest_filter="$check") ;;
    *) program op_check_emulated "$overlay/mutant.o"
       command=("$overlay/program" --only="$check" --digests=tests/tensor/cuda/digests.txt) ;;
  esac
  if timeout 120 "${command[@]}" >"$overlay/output" 2>&1; then
    echo "SURVIVED: $file: $script: $check passes"
    survivors=$((survivors + 1))
  else
    echo "found by $check: $file: $script"
  fi
  rm -rf "${overlay:?}"/tensor "${overlay:?}"/experts "${overlay:?}"/comm
done <<<"$mutants"
[ "$survivors" = 0 ] && echo "every mutant was found"
