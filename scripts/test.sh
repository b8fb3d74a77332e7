#!/usr/bin/env bash
# Checks the formatting, vets, and runs all tests with the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l .)
if [[ -n $unformatted ]]; then
  printf 'not formatted, run make fmt:\n%s\n' "$unformatted" >&2
  exit 1
fi
go vet ./...
go test -race -vet=off -timeout 8m ./... # all of vet has just been

# A module of its own, which is in no ./... above.
go vet -C scripts/oci ./...
go test -C scripts/oci -race ./...
