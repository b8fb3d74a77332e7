#!/usr/bin/env bash
# Makes a release in dist/: an OCI archive of each image, the packaged chart, a
# list of what the programs are built from (SBOM, SPDX), and checksums of all.
#
#   scripts/release.sh 1.2.3
#
# DOCKER names another docker than the installed one. SERVICES="tsa" makes the
# images of these alone.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: scripts/release.sh 1.2.3}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?$ ]] || { echo "release: $version is no version" >&2; exit 2; }
docker=${DOCKER:-docker}
revision=$(git rev-parse HEAD)
helm=$(scripts/helm.sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rm -rf dist
mkdir dist
go build -C scripts/oci -o "$work/oci" .
for service in ${SERVICES:-ca tsa dms sigilo}; do
  image=sigilo-$service:$version
  "$docker" build --quiet --build-arg "SERVICE=$service" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$revision" --tag "$image" . >/dev/null
  "$docker" save --output "$work/saved.tar" "$image"
  "$work/oci" pack "$work/saved.tar" "$image" "dist/sigilo-$service-$version.oci.tar"
done
"$helm" package charts/sigilo --version "$version" --app-version "$version" --destination dist >/dev/null
go run ./scripts/sbom "$version" >"dist/sigilo-$version.spdx.json"
(cd dist && sha256sum -- * >SHA256SUMS)

# What a stranger would check.
"$work/oci" check dist/*.oci.tar
(cd dist && sha256sum --check SHA256SUMS)
