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

# lines of "folder FuzzName"
targets=$(grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . |
  sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*)\(.*|\1 \2|' | sort -u)

count=0
while read -r folder name; do
  echo "fuzz $folder $name $amount"
  # Minimizing an interesting input may take a minute of its own: not here.
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$amount" -fuzzminimizetime 100x \
    -timeout 10m "$folder"
  count=$((count + 1))
done <<<"$targets"
echo "fuzz: $count targets hold"
