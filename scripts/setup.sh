#!/usr/bin/env bash
# Installs what the tests need and this system lacks: real counterparts to test
# against, so that no test has to skip. Debian and Ubuntu only; elsewhere it
# says what to install.
set -euo pipefail

# command that a test runs -> Debian package that has it
declare -A package=(
  [gcc]=build-essential # the race detector
  [curl]=curl
  [openssl]=openssl
  [node]=nodejs # 20 or later
  [npm]=npm
  [redis-server]=redis-server
  [prometheus]=prometheus # with promtool; where systemd runs, it also starts a server on port 9090
)

missing=()
for command in "${!package[@]}"; do
  command -v "$command" >/dev/null || missing+=("${package[$command]}")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "setup: install these, and run again: ${missing[*]}" >&2
  exit 1
fi
sudo=()
if ((EUID != 0)); then
  sudo=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends "${missing[@]}"
