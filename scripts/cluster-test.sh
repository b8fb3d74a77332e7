#!/usr/bin/env bash
# Installs the chart on a real cluster and breaks things while people bid.
#
#   LOCAL_CLUSTER=DIR scripts/cluster-test.sh   with the tools of a folder: up, load-image, base-image, docker, helm
#   scripts/cluster-test.sh                     on the current context, of kind or minikube
#
# PREVIOUS=FILE is a packaged chart of the version before, to upgrade from; its
# images must be in the cluster. BUILD=no takes the images as they are there.
# KEEP=yes leaves everything in place at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

namespace=sigilo-test
release=sigilo
version=$(sed -n 's/^appVersion: //p' charts/sigilo/Chart.yaml)
services=(ca tsa dms sigilo)
work=$(mktemp -d)

say() { printf 'cluster-test %4d s  %s\n' "$SECONDS" "$*"; }
die() { say "FAILED: $*"; exit 1; }
k() { kubectl --namespace "$namespace" "$@"; }

# finish shows what there is after a failure, and cleans up.
finish() {
  local status=$?
  trap - EXIT
  if ((status != 0)); then
    k get pods -o wide || true
    k get events --sort-by=.lastTimestamp | tail -n 30 || true
    local pod
    for pod in $(k get pods -o name); do
      echo "--- $pod"
      k logs --all-containers --tail=25 "$pod" || true
    done
  fi
  jobs -p | xargs -r kill 2>/dev/null || true
  if [[ ${KEEP-} != yes ]]; then
    kubectl delete namespace "$namespace" --ignore-not-found --timeout=120s >/dev/null || true
  fi
  rm -rf "$work"
  exit "$status"
}

# prepare finds the cluster, and says how images get there.
prepare() {
  if [[ -n ${LOCAL_CLUSTER-} ]]; then
    local tools
    tools=$(cd "$LOCAL_CLUSTER" && pwd)
    eval "$("$tools/up" | tee /dev/stderr | tail -n 1)"
    docker() { "$tools/docker" "$@"; }
    load() { "$tools/docker" save --output "$work/image.tar" "$1" && "$tools/load-image" "$work/image.tar"; }
    [[ ${BUILD-} == no ]] && return
    docker image inspect golang:1.26 >/dev/null 2>&1 || "$tools/base-image" go golang:1.26 >/dev/null
    docker image inspect gcr.io/distroless/static-debian12:nonroot >/dev/null 2>&1 ||
      "$tools/base-image" static gcr.io/distroless/static-debian12:nonroot >/dev/null
    "$tools/load-image" --files redis:7 "$(command -v redis-server)" "$(command -v redis-cli)" >/dev/null
    return
  fi
  local context
  context=$(kubectl config current-context)
  case $context in
    kind-*) load() { kind load docker-image --name "${context#kind-}" "$1"; } ;;
    minikube*) load() { minikube --profile "$context" image load "$1"; } ;;
    *) die "the context $context is neither kind's nor minikube's: set LOCAL_CLUSTER, or switch" ;;
  esac
}

images() {
  [[ ${BUILD-} == no ]] && return
  local service size
  for service in "${services[@]}"; do
    docker build --quiet --build-arg "SERVICE=$service" --build-arg "VERSION=$version" --tag "sigilo-$service:$version" . >/dev/null
    size=$(docker save "sigilo-$service:$version" | gzip -1 | wc -c)
    ((size < 30000000)) || die "the image of $service has $size bytes to pull"
    load "sigilo-$service:$version" >/dev/null
    say "image sigilo-$service:$version, $((size / 1000000)) MB to pull"
  done
}

# client NAME ARGUMENT... runs the sigilo program in a pod, as a client.
client() {
  local name=$1 arguments
  shift
  arguments=$(printf ', "%s"' "$@")
  "$helm" template "$release" charts/sigilo --namespace "$namespace" --show-only templates/test-pod.yaml --kube-version 1.34 |
    sed "s/^  name: $release-test$/  name: $name/; s|^      args: .*|      args: [${arguments:2}]|; /helm.sh/d; /^  annotations:/d" |
    k apply -f - >/dev/null
}

in_pod=(--house=/house/inside.json --operator-token=/house/operator.token --insecure --json)

# result NAME SECONDS waits for a client, and shows what it found.
result() {
  k wait --for=jsonpath='{.status.phase}'=Succeeded "pod/$1" --timeout="$2s" >/dev/null ||
    { k logs "pod/$1" | tail -n 5; die "$1"; }
  k logs "pod/$1" | grep '^{' | tail -n 1
}

# number JSON KEY
number() { sed -n "s/.*\"$2\":\([0-9.]*\).*/\1/p" <<<"$1"; }

ready() {
  k rollout status "deployment/$release-dms" --timeout=120s >/dev/null
  k rollout status "statefulset/$release-ca" --timeout=120s >/dev/null
  k rollout status "statefulset/$release-redis" --timeout=120s >/dev/null
}

# fingerprints of all that must never change by itself.
fingerprints() {
  k get secrets --selector app.kubernetes.io/managed-by=sigilo-bootstrap \
    -o go-template='{{range .items}}{{$n := .metadata.name}}{{range $k, $v := .data}}{{$n}} {{$k}} {{$v}}{{"\n"}}{{end}}{{end}}' | sort | sha256sum
}

trap finish EXIT
trap 'exit 130' INT TERM
source scripts/cluster-steps.sh

prepare
helm=$(scripts/helm.sh)
images
for step in install security outside faults rollout upgrade scale uninstall; do
  say "$step"
  "$step"
done
say "all holds"
