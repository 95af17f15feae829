#!/usr/bin/env bash
# Installs the Debian packages of scripts/packages.txt that are missing, in one apt call: those of the build, and
# with `tests` also those that only tests use. With sudo when not root. Does nothing, and needs no network, when
# all are there.
# Usage: scripts/bootstrap.sh [tests]
set -euo pipefail
cd "$(dirname "$0")/.."

list=$(cat scripts/packages.txt)
[ "${1:-}" = tests ] || list=${list%%"# Tests of what is served"*}
mapfile -t wanted < <(grep -v -e '^#' -e '^$' <<<"$list")
# dpkg-query fails when it does not know one of them, and still lists the others.
known=$(dpkg-query --show --showformat='${Package} ${db:Status-Abbrev}\n' "${wanted[@]}" 2>/dev/null || true)
installed=$(awk '$2 ~ /^ii/ {print $1}' <<<"$known")
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort) <(sort -u <<<"$installed"))

[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "bootstrap: missing packages: ${missing[*]}" >&2
    echo "bootstrap: neither root nor sudo here; ask an administrator to run: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update &&
       "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } \
       >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "bootstrap: apt-get failed (its last lines are above)" >&2
  exit 1
fi
