#!/usr/bin/env bash
# Renders k8s/base from the chart, for those without Helm, and copies the
# dashboards into the chart, since Helm reads nothing outside of it.
#
#   scripts/manifests.sh           writes
#   scripts/manifests.sh check     fails if it would write anything else
set -euo pipefail
cd "$(dirname "$0")/.."

helm=$(scripts/helm.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/dashboards"
cp dashboards/*.json dashboards/alerts.yaml "$work/dashboards"
{
  echo "# Rendered from charts/sigilo by make manifests. Do not edit."
  "$helm" template sigilo charts/sigilo --namespace sigilo --kube-version 1.34.0 --skip-tests
} >"$work/sigilo.yaml"

if [[ ${1-} == check ]]; then
  diff -ru charts/sigilo/dashboards "$work/dashboards" && diff -u k8s/base/sigilo.yaml "$work/sigilo.yaml" ||
    { echo "manifests: not what the chart gives: run make manifests" >&2; exit 1; }
  exit
fi
rm -rf charts/sigilo/dashboards
cp -r "$work/dashboards" charts/sigilo/dashboards
cp "$work/sigilo.yaml" k8s/base/sigilo.yaml
