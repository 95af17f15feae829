#!/usr/bin/env bash
# Proves kernels and training on this machine's card: compares every op with its reference and with the bits of the
# emulation, trains on it (layouts, the emulation's bits, the host's loss), runs the sanitizers, and measures. Under
# nine minutes; every step has its own limit, and its results are in build/device/device_check.log as they come.
# Usage: scripts/device_check.sh          all of it; without a GPU it says SKIPPED
#        scripts/device_check.sh build    builds only, e.g. to carry build/device/ to a machine that has a GPU
#                                         but not the packages of scripts/packages.txt
# Needs: nvcc and g++, or what `build` left; for the steps that train what `build` left, as they need the packages;
# for the sanitizer steps compute-sanitizer, for peaks python3 with torch.
set -uo pipefail
cd "$(dirname "$0")/.."

folder=build/device
program=$folder/op_check
digests=tests/tensor/cuda/digests.txt
export PATH="$PATH:/usr/local/cuda/bin"

# The kernels, the device layer, the checks, and the references that are not in headers.
sources() {
  ls tensor/cuda/*.cu tensor/cuda/cublaslt.cpp tensor/cuda/limits.cpp tensor/cuda/runtime_cuda.cpp tests/tensor/cuda/*.cpp
  printf '%s\n' tensor/device/device.cpp tensor/device/memory.cpp tensor/device/queue.cpp
  printf '%s\n' base/error.cpp tensor/shape.cpp tensor/tensor.cpp tensor/ops/rope/rope_table.cpp \
    experts/router/score.cpp experts/router/weights.cpp experts/router/top_k.cpp
}

# compile SOURCE: kernels by nvcc, which cannot read the rest of the house, all else by g++.
compile() {
  local source=$1 object log
  object=$folder/objects/$(tr / . <<<"$source").o
  log=$object.log
  if [ "$object" -nt "$source" ] && [ -z "$(find tensor base experts/router tests/tensor/cuda -name '*.h' -newer "$object")" ]; then
    return 0
  fi
  case $source in
    *.cu)
      set -- nvcc -O3 -gencode="arch=compute_${ARCHITECTURE},code=sm_${ARCHITECTURE}" -fmad=false \
        --expt-relaxed-constexpr -lineinfo
      ;;
    *)
      set -- g++ -O2 -ffp-contract=off -DFMT_HEADER_ONLY -I"$folder/include" \
        -isystem "$(dirname "$(realpath "$(command -v nvcc)")")/../include"
      ;;
  esac
  "$@" -std=c++20 -I. -c "$source" -o "$object" >"$log" 2>&1 && return 0
  rm -f "$object"
  cat "$log"
  return 255  # xargs stops
}

build() {
  command -v nvcc >/dev/null || { echo "device_check: no nvcc here"; return 1; }
  mkdir -p "$folder/objects" "$folder/include"
  if [ -d /usr/include/fmt ]; then cp -r /usr/include/fmt "$folder/include/"; fi
  export -f compile
  export folder ARCHITECTURE=${ARCHITECTURE:-90a}
  sources | xargs -P "$(nproc)" -I{} bash -c 'compile {}' || return 1
  nvcc $(sources | tr / . | sed "s#.*#$folder/objects/&.o#") -o "$program" -Xcompiler=-static-libstdc++,-static-libgcc || return 1
  sha256sum $(sources) tensor/cuda/*.h tests/tensor/cuda/*.h >"$folder/sources.sha256"
}

# All programs by CMake, with the libraries that they need beside them, packed: for machines without packages.
build_all() {
  local cmake_folder=${DEVICE_BUILD:-build/device_cmake} packed=$folder/packed name library
  mkdir -p "$folder/objects"
  export ARCHITECTURE=${ARCHITECTURE:-90a}
  set -- -S . -B "$cmake_folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTROUPE_CUDA=ON \
    -DTROUPE_CUDA_ARCHITECTURES="$ARCHITECTURE-real"
  if command -v ccache >/dev/null; then
    set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
    export CXXFLAGS="${CXXFLAGS:--fpch-preprocess}"
  fi
  cmake "$@" >"$folder/cmake.log" 2>&1 || { cat "$folder/cmake.log"; return 1; }
  ninja -C "$cmake_folder" "-j${JOBS:-$(nproc)}" op_check device_training troupe >"$folder/ninja.log" 2>&1 ||
    { tail -40 "$folder/ninja.log"; return 1; }
  rm -rf "$packed"
  mkdir -p "$packed/lib"
  for name in op_check device_training troupe; do
    strip -o "$packed/$name" "$cmake_folder/bin/$name"
    # The C library is the machine's.
    for library in $(ldd "$packed/$name" | awk '$2 == "=>" && $3 ~ /^\// {print $3}'); do
      case $(basename "$library") in
        libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libresolv.so.*) ;;
        *) cp -L "$library" "$packed/lib/" ;;
      esac
    done
  done
  strip --strip-unneeded "$packed"/lib/* 2>/dev/null
  for name in "$cmake_folder"/tensor/cuda/CMakeFiles/troupe_cuda.dir/*.cu.o; do  # for sass_check.sh
    cp "$name" "$folder/objects/tensor.cuda.$(basename "$name")"
  done
  tar -C "$folder" -czf "$folder/packed.tar.gz" packed
  trained_sources | xargs sha256sum | sha256sum >"$folder/packed.sha256"
}

# What the programs are made of.
trained_sources() {
  find base layout tensor layers experts model optimizer workers comm data storage configs benchmarks cli tests/end_to_end tests/tensor/cuda \
    -name '*.h' -o -name '*.cpp' -o -name '*.cu' | LC_ALL=C sort
}

# What build_all() packed, said to be of other sources where it is.
unpack() {
  [ -f "$folder/packed.tar.gz" ] || return 1
  if [ "$(trained_sources | xargs sha256sum | sha256sum)" != "$(cat "$folder/packed.sha256")" ]; then
    echo "warning: build/device/packed.tar.gz was made from other sources than those that are here"
  fi
  tar -C "$folder" -xzf "$folder/packed.tar.gz"
}

# Whether op_check was made from the sources that are here.
is_current() { [ -x "$program" ] && sha256sum --check --quiet "$folder/sources.sha256" >/dev/null 2>&1; }

if [ "${1:-}" = build ]; then
  if command -v cmake >/dev/null; then
    build_all && echo "built $folder/packed.tar.gz"
  else
    build && echo "built $program; without cmake, nothing that trains"
  fi
  exit
fi

if ! nvidia-smi -L >/dev/null 2>&1 || ! nvidia-smi -L | grep -q GPU; then
  echo "SKIPPED: nvidia-smi lists no GPU here"
  exit 0
fi

mkdir -p "$folder"
log=${OUT:-$folder}/device_check.log
: >"$log"
failed=()

# step NAME SECONDS COMMAND...: runs it in its own limit, with its output in the log and here.
step() {
  local name=$1 limit=$2 begin=$SECONDS status
  shift 2
  echo "== $name (at most $limit s)" | tee -a "$log"
  timeout --kill-after=5 "$limit" "$@" 2>&1 | tee -a "$log"
  status=${PIPESTATUS[0]}
  echo "== $name: $([ "$status" = 0 ] && echo passed || echo "FAILED ($status)") after $((SECONDS - begin)) s" | tee -a "$log"
  [ "$status" = 0 ] || failed+=("$name")
  return "$status"
}

# Rates that libraries reach on this card, to compare with.
peaks() {
  python3 - <<'PYTHON'
import sys
try:
    import torch
except ImportError:
    print("no torch here: peaks not measured")
    sys.exit(0)
torch.backends.cuda.matmul.allow_tf32 = False

def seconds(call, calls=10):
    for _ in range(2):
        call()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) * 1e-3 / calls

for dtype, size in ((torch.float32, 4096), (torch.bfloat16, 8192)):
    a = torch.randn(size, size, device="cuda").to(dtype)
    b = torch.randn(size, size, device="cuda").to(dtype)
    print(f"cuBLAS {dtype} {size}^3: {2 * size**3 / seconds(lambda: a @ b) * 1e-12:.1f} TFLOP/s", flush=True)
x = torch.randn(1 << 28, device="cuda")
y = torch.empty_like(x)
print(f"copy 1 GiB: {2 * x.numel() * 4 / seconds(lambda: y.copy_(x)) * 1e-12:.2f} TB/s", flush=True)
PYTHON
}
export -f peaks

sanitizer() { # TOOL
  command -v compute-sanitizer >/dev/null || { echo "no compute-sanitizer here: $1 not run"; return 0; }
  compute-sanitizer --tool "$1" --error-exitcode 9 "$program" --repeats=1
}
export -f sanitizer
export program folder

if unpack 2>&1 | tee -a "$log" && [ -x "$folder/packed/op_check" ]; then
  program=$folder/packed/op_check
fi

step smoke 20 nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.max.sm --format=csv
if [ "$program" = "$folder/op_check" ] && ! is_current; then
  ARCHITECTURE=${ARCHITECTURE:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)}
  [ "$ARCHITECTURE" = 90 ] && ARCHITECTURE=90a
  export ARCHITECTURE
  step build 150 scripts/device_check.sh build || { [ -x "$program" ] && echo "building failed: using the program that is here" | tee -a "$log"; }
fi
step ops 60 "$program" --digests="$digests"
step memcheck 90 bash -c 'sanitizer memcheck'
step racecheck 90 bash -c 'sanitizer racecheck'
if [ -x "$folder/packed/device_training" ]; then
  step training 120 "$folder/packed/device_training"
  step training_times 90 "$folder/packed/device_training" --gtest_also_run_disabled_tests --gtest_filter=DeviceTiming.*
else
  echo "no build/device/packed.tar.gz here: nothing was trained" | tee -a "$log"
fi
if [ -x "$folder/packed/troupe" ]; then
  bench=("$folder/packed/troupe" bench step --config configs/benchmarks/device_step.yaml --set parallel.device=cuda --steps 4)
  step training_bench 90 "${bench[@]}"
fi
step timings 60 "$program" --timings
step peaks 60 bash -c peaks

echo "== summary" | tee -a "$log"
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}" | tee -a "$log"
else
  echo "all steps passed" | tee -a "$log"
fi
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
case " ${failed[*]-} " in
  *" memcheck "* | *" racecheck "*) echo "no lines for tensor/cuda/verified.h: a sanitizer failed" | tee -a "$log" ;;
  *)
    echo "lines for tensor/cuda/verified.h:" | tee -a "$log"
    awk -v capability="$capability" '/^op .* passed$/ && !seen[$2]++ {printf "    {\"%s\", %s},\n", $2, capability}
                                     /^== ops/ && /after/ {exit}' "$log" | tee -a "$log"
    ;;
esac
[ ${#failed[@]} -eq 0 ]
