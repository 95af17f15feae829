# Sourced by tests of the program, `. tests/program_testing.sh`, whose arguments are TROUPE SOURCE_DIR: $troupe is
# the program, $work a folder that goes with the test, the sources are where it stands.
troupe=$1
cd "$2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
