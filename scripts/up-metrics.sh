#!/usr/bin/env bash
# Runs a house in one process and a Prometheus that measures it, until Ctrl-C.
# Arguments go to sigilo up, such as --replicas 3 or --open.
#   PROMETHEUS_PORT   where Prometheus listens (9095)
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PROMETHEUS_PORT:-9095}
if ! command -v prometheus >/dev/null; then
  echo "up-metrics: prometheus is missing: run scripts/setup.sh" >&2
  exit 1
fi

dir=$(mktemp -d)
pids=()
stop() {
  trap '' INT TERM
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
  done
  wait
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 0' INT TERM

go build -o "$dir/sigilo" ./cmd/sigilo
cp dashboards/prometheus.yaml dashboards/alerts.yaml "$dir/"

"$dir/sigilo" up --targets-file "$dir/targets.json" "$@" &
pids+=($!)
until [[ -e $dir/targets.json ]]; do
  kill -0 "${pids[0]}" 2>/dev/null || exit 1 # it has said why
  sleep 0.1
done

prometheus --config.file="$dir/prometheus.yaml" --storage.tsdb.path="$dir/data" \
  --web.listen-address="127.0.0.1:$port" --log.level=warn &
pids+=($!)
cat <<END

Prometheus: http://127.0.0.1:$port
  targets   http://127.0.0.1:$port/targets
  alerts    http://127.0.0.1:$port/alerts
Grafana: docs/operations.md, section "Metrics". Something to see: sigilo bench load.

Ctrl-C ends both.
END
wait -n || true
