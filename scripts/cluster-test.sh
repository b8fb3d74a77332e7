#!/usr/bin/env bash
# Installs the chart on a real cluster and breaks things while people bid.
#
#   LOCAL_CLUSTER=DIR scripts/cluster-test.sh   with the tools of a folder: up, down, load-image, base-image, docker, helm
#   scripts/cluster-test.sh                     on the current context, of kind or minikube
#
# PREVIOUS=FILE is a packaged chart of the version before, to upgrade from; its
# images must be in the cluster. BUILD=no takes the images as they are there.
# STEPS="faults uninstall" runs these alone, on what KEEP=yes left in place.
# A cluster of a folder is brought down at the end if it was not up before.
# The status is 75 if all was right, but somebody waited longer than is good.
set -euo pipefail
cd "$(dirname "$0")/.."

namespace=sigilo-test
release=sigilo
version=$(sed -n 's/^appVersion: //p' charts/sigilo/Chart.yaml)
services=(ca tsa dms sigilo)
steps=${STEPS-install security outside rollout upgrade faults scale uninstall sentinel}
work=$(mktemp -d)
tools= # of LOCAL_CLUSTER
ours=no # whether the cluster was brought up here
prepared=no # whether there is a cluster that is for this

say() { printf 'cluster-test %4d s  %s\n' "$SECONDS" "$*"; }
die() { say "FAILED: $*"; exit 1; }
k() { kubectl --namespace "$namespace" "$@"; }

# finish shows what there is after a failure, and cleans up.
finish() {
  local status=$?
  trap - EXIT
  set +e
  if ((status != 0)) && [[ $prepared == yes ]]; then
    k get pods -o wide
    k get events --sort-by=.lastTimestamp | tail -n 30
    local pod
    for pod in $(k get pods -o name); do
      echo "--- $pod"
      k logs --all-containers --tail=25 "$pod"
    done
  fi
  jobs -p | xargs -r kill 2>/dev/null
  if [[ ${KEEP-} != yes ]]; then
    if [[ $prepared == yes ]]; then
      kubectl delete namespace "$namespace" --ignore-not-found --timeout=120s >/dev/null
    fi
    if [[ $ours == yes ]]; then "$tools/down"; fi
  fi
  rm -rf "$work"
  exit "$status"
}

# prepare finds the cluster, and says how images get there.
prepare() {
  command -v kubectl >/dev/null || die "kubectl is missing"
  if [[ -n ${LOCAL_CLUSTER-} ]]; then
    tools=$(cd "$LOCAL_CLUSTER" && pwd)
    kubectl --kubeconfig /var/lib/cluster/kubeconfig --request-timeout=10s get --raw /readyz >/dev/null 2>&1 || ours=yes
    local exported
    exported=$("$tools/up" | tee >(cat >&2) | tail -n 1) # apart from eval, which would hide that it failed
    eval "$exported"
    docker() { "$tools/docker" "$@"; }
    load() { "$tools/docker" save --output "$work/image.tar" "$1" && "$tools/load-image" "$work/image.tar"; }
    [[ ${BUILD-} == no ]] && return
    docker image inspect golang:1.26 >/dev/null 2>&1 || "$tools/base-image" go golang:1.26 >/dev/null
    docker image inspect gcr.io/distroless/static-debian12:nonroot >/dev/null 2>&1 ||
      "$tools/base-image" static gcr.io/distroless/static-debian12:nonroot >/dev/null
    "$tools/load-image" --files redis:7 "$(command -v redis-server)" "$(command -v redis-cli)" "$(command -v cp)" >/dev/null
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
    size=$(docker image inspect --format '{{.Size}}' "sigilo-$service:$version")
    ((size < 30000000)) || die "the image of $service takes $size bytes"
    load "sigilo-$service:$version" >/dev/null
    say "image sigilo-$service:$version takes $((size / 100000))e5 bytes"
  done
}

# client NAME ARGUMENT... runs the sigilo program in a pod, as a client.
client() {
  local name=$1 arguments
  shift
  arguments=$(printf ', "%s"' "$@")
  k delete pod "$name" --ignore-not-found >/dev/null
  "$helm" template "$release" charts/sigilo --namespace "$namespace" --show-only templates/test-pod.yaml --kube-version 1.34 |
    sed "s/^  name: $release-test$/  name: $name/; s|^      args: .*|      args: [${arguments:2}]|; /helm.sh/d; /^  annotations:/d" |
    k apply -f - >/dev/null
}

in_pod=(--house=/house/inside.json --operator-token=/house/operator.token --insecure --json)

# bidders NAME DURATION starts a trial in a pod, and returns when its people bid.
bidders() {
  client "$1" trial "${in_pod[@]}" "--for=$2"
  for _ in {1..240}; do
    if [[ $(k logs "pod/$1" 2>/dev/null || true) == *"trial: bids"* ]]; then return; fi
    if [[ $(k get pod "$1" -o jsonpath='{.status.phase}') == Failed ]]; then break; fi
    sleep 0.5
  done
  die "nobody bids in $1"
}

# result NAME SECONDS waits for a client, and shows what it found.
result() {
  for _ in $(seq "$2"); do
    case $(k get pod "$1" -o jsonpath='{.status.phase}') in
      Succeeded)
        k logs "pod/$1" | grep '^{' | tail -n 1
        return
        ;;
      Failed) break ;;
    esac
    sleep 1
  done
  k logs "pod/$1" | tail -n 5 >&2
  die "$1" >&2
}

# number JSON KEY
number() { sed -n "s/.*\"$2\":\([0-9.]*\).*/\1/p" <<<"$1"; }

ready() {
  local part
  for part in deployment/{dms,tsa1} statefulset/{ca,redis}; do
    k rollout status "${part/\//\/$release-}" --timeout=180s >/dev/null
  done
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
prepared=yes
helm=$(scripts/helm.sh)
images
for step in $steps; do
  say "$step"
  "$step"
done
say "all holds"
