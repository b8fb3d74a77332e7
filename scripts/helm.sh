#!/usr/bin/env bash
# Prints the path of a helm: $HELM, that of LOCAL_CLUSTER, the installed one, or
# one that it builds into bin/, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v3.22.0
if [[ -n ${HELM-} ]]; then
  echo "$HELM"
elif [[ -n ${LOCAL_CLUSTER-} ]]; then
  echo "$(cd "$LOCAL_CLUSTER" && pwd)/helm"
elif command -v helm; then
  :
else
  [[ -x bin/helm ]] || GOBIN=$PWD/bin CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@$version" >&2
  echo "$PWD/bin/helm"
fi
