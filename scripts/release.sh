#!/usr/bin/env bash
# Makes a release in dist/: an OCI archive of each image, the packaged chart, a
# list of what the programs are built from (SBOM, SPDX), and checksums of all.
#
#   scripts/release.sh 1.2.3
#
# DOCKER names another docker than the installed one.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: scripts/release.sh 1.2.3}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?$ ]] || { echo "release: $version is no version" >&2; exit 2; }
revision=$(git rev-parse HEAD)
helm=$(scripts/helm.sh)

rm -rf dist
mkdir dist
for service in ca tsa dms sigilo; do
  "${DOCKER:-docker}" build --quiet --build-arg "SERVICE=$service" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$revision" --tag "sigilo-$service:$version" . >/dev/null
  "${DOCKER:-docker}" save "sigilo-$service:$version" | gzip --no-name --best >"dist/sigilo-$service-$version.tar.gz"
done
"$helm" package charts/sigilo --version "$version" --app-version "$version" --destination dist >/dev/null
go run ./scripts/sbom "$version" >"dist/sigilo-$version.spdx.json"
(cd dist && sha256sum -- * >SHA256SUMS)
cat dist/SHA256SUMS
