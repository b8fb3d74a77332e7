#!/usr/bin/env bash
# Lists the Go files that gofumpt would write otherwise, and fails if any.
set -euo pipefail
cd "$(dirname "$0")/.."

files=$(go tool -modfile=tools/go.mod gofumpt -l .)
if [[ -n $files ]]; then
  printf 'not formatted, run make fmt:\n%s\n' "$files" >&2
  exit 1
fi
