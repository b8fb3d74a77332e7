#!/usr/bin/env bash
# Runs all benchmarks, each for a short time: first those of sigilo bench, then
# those of the packages. See bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

program=$(mktemp -d)/sigilo
trap 'rm -r "$(dirname "$program")"' EXIT
go build -o "$program" ./cmd/sigilo
"$program" bench bid --duration 3s
"$program" bench hostile --duration 3s
"$program" bench fanout --spectators 500 --duration 3s
"$program" bench handshake
"$program" bench tsa --duration 1s
"$program" bench ca --duration 1s
go test -run '^$' -bench . -benchmem ./...
