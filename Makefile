# Short on purpose: what takes more than a line lives in scripts/.

TOOL = go tool -modfile=tools/go.mod
VERSION = $(shell sed -n 's/^appVersion: //p' charts/sigilo/Chart.yaml)

.PHONY: help
help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Hold a whole auction on this machine and tell its story.
	go run ./cmd/sigilo demo

.PHONY: up
up: ## Run all services in one process until Ctrl-C.
	go run ./cmd/sigilo up

.PHONY: up-metrics
up-metrics: ## The same with a Prometheus that measures it.
	scripts/up-metrics.sh

.PHONY: test
test: ## Install what tests need where it is missing, then run every check of the code.
	scripts/setup.sh
	scripts/test.sh
	scripts/fuzz.sh 5000x

.PHONY: lint
lint: ## Find likely mistakes (staticcheck) and other formatting than gofumpt's.
	$(TOOL) staticcheck ./...
	scripts/format.sh

.PHONY: fmt
fmt: ## Format all Go files.
	$(TOOL) gofumpt -w .

.PHONY: bench
bench: ## Run all benchmarks, each for a short time.
	scripts/bench.sh

.PHONY: scale
scale: ## Measure how bids grow with replicas, as root: bench/results/scale.{csv,svg,md}.
	go run ./cmd/sigilo bench scale --out bench/results

.PHONY: chaos
chaos: ## Break a house for six minutes, over each shape of Redis, while people bid, and check that nothing is lost.
	go run ./chaos

.PHONY: fuzz
fuzz: ## Fuzz every parser for a minute each.
	scripts/fuzz.sh 60s

.PHONY: images
images: ## Build the images of all programs with docker.
	for service in ca tsa dms sigilo; do docker build --build-arg SERVICE=$$service --build-arg VERSION=$(VERSION) --tag sigilo-$$service:$(VERSION) . || exit 1; done

.PHONY: manifests
manifests: ## Render k8s/base from the chart, and copy the dashboards into it.
	scripts/manifests.sh

.PHONY: chart-test
chart-test: ## Test the chart with Helm, which is built if it is not there, and the overlays with kubectl.
	scripts/manifests.sh check
	HELM=$$(scripts/helm.sh) go test -count=1 -tags chart ./charts/ ./k8s/

.PHONY: cluster-test
cluster-test: ## Install the chart on a real cluster, and break things while people bid.
	scripts/cluster-test.sh

.PHONY: release
release: ## Make images, chart, SBOM and checksums in dist/: make release VERSION=1.2.3
	scripts/release.sh $(VERSION)
