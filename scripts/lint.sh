#!/usr/bin/env bash
# Checks how the code is written: clang-format on every file, clang-tidy on the lines that changed.
# Usage: scripts/lint.sh [BASE]      BASE: a commit; changed is what differs from it. Without one: from where
#        this branch left origin/main; on main itself, from the commit before; in a clone without history,
#        where nobody can tell, clang-tidy looks at all of base/.
set -euo pipefail
cd -P "$(dirname "$0")/.."
scripts/bootstrap.sh
most_files=40 # of clang-tidy: seconds each

git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run -Werror || {
  echo "lint: write these as .clang-format says: clang-format -i FILE..." >&2
  exit 1
}

base_commit() {
  local fork head
  head=$(git rev-parse HEAD)
  fork=$(git merge-base HEAD origin/main 2>/dev/null) || fork=
  [ "$fork" = "$head" ] && fork=
  [ -n "$fork" ] || fork=$(git rev-parse --verify --quiet HEAD~1) || fork=
  echo "$fork"
}

# What a compiler other than GCC does not know, and precompiled headers that only GCC can read.
database=$(mktemp -d)
trap 'rm -rf "$database"' EXIT
[ -f build/release/compile_commands.json ] || cmake --preset release >"$database/log" 2>&1 || {
  tail -n 40 "$database/log" >&2
  echo "lint: cmake could not configure the preset 'release'" >&2
  exit 1
}
jq '[.[] | .command |= gsub("-Winvalid-pch -include [^ ]+ |-fpch-preprocess |-Wno-stringop-[a-z]+ |-Wno-restrict "; "")]' \
  build/release/compile_commands.json >"$database/compile_commands.json"

base=${1:-$(base_commit)}
if [ -n "$base" ]; then
  mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- '*.cpp')
  # [{"name": FILE, "lines": [[FIRST, LAST]...]}...]: only these lines are spoken of.
  filter=$(git diff --unified=0 --diff-filter=d "$base" -- '*.h' '*.cpp' | awk '
    /^\+\+\+ b\// { file = substr($0, 7) }
    /^@@/ { split($3, at, ","); first = substr(at[1], 2); count = at[2] == "" ? 1 : at[2]
            if (count > 0) print file, first, first + count - 1 }' |
    jq --raw-input --slurp --compact-output 'split("\n") | map(select(. != "") | split(" ")) | group_by(.[0]) |
      map({name: .[0][0], lines: map([(.[1] | tonumber), (.[2] | tonumber)])})')
else
  mapfile -t files < <(git ls-files 'base/*.cpp')
  filter='[]'
fi
# Where lines were only taken out there is nothing to look at, and an empty filter would mean all of them.
[ -z "$base" ] || [ "$filter" != '[]' ] || files=()
# A target that is not configured (CUDA) has no command.
mapfile -t files < <(jq --raw-output '.[].file' "$database/compile_commands.json" | sort -u |
  grep --fixed-strings --line-regexp --file=<(printf '%s\n' "${files[@]/#/$PWD/}") || true)
if [ "${#files[@]}" -gt "$most_files" ]; then
  echo "lint: ${#files[@]} sources changed, clang-tidy looks at the first $most_files"
  files=("${files[@]:0:$most_files}")
fi
[ "${#files[@]}" -gt 0 ] || {
  echo "lint: formatted; no source changed since ${base:-the beginning}"
  exit 0
}
printf '%s\0' "${files[@]}" | xargs --null --max-args=1 --max-procs="$(nproc)" \
  clang-tidy --quiet -p "$database" --line-filter="$filter" 2>"$database/log" || {
  grep --invert-match 'warnings generated\|warnings treated as errors' "$database/log" >&2 || true
  echo "lint: clang-tidy objects (its words are above)" >&2
  exit 1
}
echo "lint: formatted; clang-tidy has no objection to ${#files[@]} sources${base:+ changed since ${base:0:12}}"
