#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other.
#
#   scripts/fuzz.sh 5000x    so many inputs each: ends by itself, for every day
#   scripts/fuzz.sh 60s      so long each: finds more
#
# The first target that fails ends the run; the input that did it is then in the
# testdata/fuzz of its package, and from there part of go test.
set -euo pipefail
cd "$(dirname "$0")/.."

amount=${1:?usage: scripts/fuzz.sh 5000x|60s}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# lines of "folder FuzzName"
targets=$(grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . |
  sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*)\(.*|\1 \2|' | sort -u)

count=0
built=
while read -r folder name; do
  echo "fuzz $folder $name $amount"
  if [[ $folder != "$built" ]]; then # once a package: go test would link it for each target
    go test -c -fuzz . -o "$work/program" "$folder"
    cache=$(go env GOCACHE)/fuzz/$(go list "$folder")
    built=$folder
  fi
  # Minimizing an interesting input may take a minute of its own: not here.
  (cd "$folder" && "$work/program" -test.run '^$' -test.fuzz "^$name\$" -test.fuzztime "$amount" \
    -test.fuzzminimizetime 100x -test.fuzzcachedir "$cache" -test.timeout 10m </dev/null)
  count=$((count + 1))
done <<<"$targets"
echo "fuzz: $count targets hold"
