#!/usr/bin/env bash
# Reads the machine code of the GPU kernels, without a GPU: prints registers, spilled bytes and the kinds of
# instructions of every kernel, and fails on a spill or on a float atomic (RED/ATOM with .F16, .F32, .F64 or .BF16):
# both would break what docs/gpu.md promises.
# Usage: scripts/sass_check.sh [OBJECT_OR_PROGRAM...]     by default what scripts/device_check.sh build left
# Needs: cuobjdump and nvdisasm in PATH, or python3 with access to PyPI: then a throw-away environment gets them.
set -euo pipefail
cd "$(dirname "$0")/.."

files=("$@")
if [ ${#files[@]} -eq 0 ]; then files=(build/device/objects/tensor.cuda.*.cu.o); fi
[ -e "${files[0]}" ] || { echo "sass_check: no ${files[0]}: run scripts/device_check.sh build first" >&2; exit 2; }

export PATH="$PATH:/usr/local/cuda/bin"
if ! command -v cuobjdump >/dev/null || ! command -v nvdisasm >/dev/null; then
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm
  PATH=$(dirname "$(find "$tools" -name cuobjdump)"):$PATH
fi

for file in "${files[@]}"; do
  cuobjdump -res-usage "$file"
  cuobjdump -sass "$file"
done | python3 -c '
import re, subprocess, sys

kernels = {}  # (architecture, name) -> counts
architecture, current = "?", None

# Of a mangled name: "gemm.cu gemm_kernel<true, false>". Kernels are in unnamed namespaces, which name their file.
def kernel(mangled):
    file = re.search(r"_GLOBAL__N__[0-9a-f]+_\d+_(\w+?)_cu_", mangled)
    plain = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout
    plain = re.sub(r"troupe::\w+::|\(anonymous namespace\)::", "", plain)
    name = (file[1] + ".cu " if file else "") + re.search(r"(\w+(?:<.*>)?)\(", plain)[1]
    return kernels.setdefault((architecture, name), {"registers": 0, "stack": 0, "FFMA": 0, "spills": 0, "atomics": 0, "float atomics": 0})

for line in sys.stdin:
    if match := re.match(r"arch = (\S+)", line):
        architecture = match[1]
    elif match := re.match(r"\s*Function\s*:?\s*(.+?):?\s*$", line):
        current = kernel(match[1])
    elif match := re.search(r"REG:(\d+) STACK:(\d+)", line):
        current["registers"], current["stack"] = int(match[1]), int(match[2])
    elif match := re.search(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)((?:\.\w+)*)", line):
        op, kinds = match[1], match[2]
        current["FFMA"] += op == "FFMA"
        current["spills"] += op in ("LDL", "STL")
        if op in ("RED", "REDG", "ATOM", "ATOMG", "ATOMS"):
            current["atomics"] += 1
            current["float atomics"] += bool(re.search(r"\.(F16|F32|F64|BF16)", kinds))

if not kernels:
    sys.exit("sass_check: no kernel found: was the file built for a GPU?")
row = "{:52} {:8} {:>9} {:>6} {:>6} {:>15} {:>13}".format
print(row("kernel", "code", "registers", "FFMA", "spills", "integer atomics", "float atomics"))
wrong = []
for (code, name), counts in sorted(kernels.items()):
    floats = counts["float atomics"]
    print(row(name, code, counts["registers"], counts["FFMA"], counts["spills"], counts["atomics"] - floats, floats))
    if counts["spills"] or counts["stack"] or counts["float atomics"] or not counts["registers"]:
        wrong.append(f"{name} ({code})")
print(f"{len(kernels)} kernels: " + ("no spill, no float atomic" if not wrong else "WRONG: " + ", ".join(wrong)))
sys.exit(1 if wrong else 0)
'
