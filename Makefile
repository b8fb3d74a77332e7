# Short on purpose: what takes more than a line lives in scripts/.

TOOL = go tool -modfile=tools/go.mod

.PHONY: help
help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
bench: ## Run the benchmarks of all packages.
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## Fuzz every parser for a minute each.
	scripts/fuzz.sh 60s
