# Leat needs the build tags below everywhere; see README.md. Linting and the real
# services for tests go into .cache, which is not part of the checkout.

GO      ?= go
TAGS    := gms_pure_go,duckdb_arrow
# The same flags for all, so that dependencies are compiled twice: with the race
# detector and without.
FLAGS   := -tags $(TAGS)
# … and with the files that only tests with real services have.
ALL     := $(FLAGS),services,minio
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w $(if $(VERSION),-X main.buildVersion=$(VERSION))

# How long each fuzz target runs in make fuzz.
FUZZTIME ?= 10s

# How many seeds make sim runs, and the first of them; or the one that it runs
# again. LONG=1 makes the runs four times as long, in worse weather.
SEEDS ?= 2000
FROM  ?= 1
SEED  ?=
LONG  ?=

GOLANGCI_LINT := .cache/bin/golangci-lint-v2.12.0

# $(call fetch,command) runs a command that may have to download something, up to
# four times, for networks have bad moments.
fetch = for pause in 2 5 15 0; do if $(1); then exit 0; elif [ $$pause != 0 ]; then sleep $$pause; fi; done; exit 1

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: modules
modules: ## download the modules that everything below is built from
	@$(call fetch,$(GO) list $(ALL) -deps -test ./... >/dev/null)

# The version is what git describe says; Go would ask git too, and fail where git
# does not trust the folder's owner.
.PHONY: build
build: ## build bin/leat
	$(GO) build $(FLAGS) -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/leat ./cmd/leat

.PHONY: demo
demo: build ## build, and show the whole job working on made-up taxi trips
	bin/leat demo

# Tests talk to servers of their own. The user's bundle of authorities would be
# parsed for each of their clients, and the user's AWS profile is none of theirs.
unexport AWS_CA_BUNDLE AWS_PROFILE

# The tests are not vetted again: vet has seen them, with those that use services.
.PHONY: test
test: check-format vet ## run the tests; needs Go, a C compiler and make
	$(GO) test -race -vet=off $(FLAGS) -timeout 20m ./...

.PHONY: check-format
check-format: ## tell which files gofmt would change
	@unformatted=$$(find . -name '.?*' -prune -o -name '*.go' -exec "$$($(GO) env GOROOT)/bin/gofmt" -l {} +); \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## run go vet, also on the tests that use services
	$(GO) vet $(ALL) ./...

# Both caches would carry paths of another checkout into this one, which the
# linter then cannot open or exclude: the linter's own, so each checkout has one,
# and Go's under -trimpath, where what cgo wrote is found by content alone.
.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters of .golangci.yml
	GOFLAGS="$${GOFLAGS:-} -trimpath=false" GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci-lint $(GOLANGCI_LINT) run ./...

$(GOLANGCI_LINT):
	@mkdir -p $(@D)
	$(call fetch,GOFLAGS= GOBIN=$(CURDIR)/$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(lastword $(subst -lint-, ,$@)))
	@mv $(@D)/golangci-lint $@

.PHONY: services
services: ## install the real services that tests use (needs Java 17, Maven, Python 3, apt)
	$(GO) run $(FLAGS) ./internal/services/install

# Only the tests in files with the constraint are run: the others of the same
# packages are those of make test.
.PHONY: test-services
test-services: build services ## install and start real services, and run the tests that use them
	@files=$$(grep -rlx --include='*_test.go' --exclude-dir='.?*' '//go:build services' .); \
	tests=$$(sed -n 's/^func \(Test[A-Za-z0-9_]*\)(.*/\1/p' $$files | sort -u | paste -s -d '|' -); \
	set -x; \
	LEAT_BIN=$(CURDIR)/bin/leat $(GO) test -race -vet=off -count=1 -timeout 20m -tags $(TAGS),services -run "^($$tests)$$" $$(dirname $$files | sort -u)

.PHONY: test-minio
test-minio: ## run the S3 tests against MinIO, which takes minutes to build
	$(GO) run $(FLAGS) ./internal/services/install minio
	$(GO) test -race -count=1 -tags $(TAGS),services,minio -run MinIO ./internal/services

# What make chaos is told, such as CHAOS='-kills 500 -table-format hive'; see
# go run ./bench/chaos -help.
CHAOS ?=

.PHONY: chaos
chaos: build services ## kill leat, the broker and the S3 server 100 times while records come in, and count
	$(GO) run $(FLAGS) ./bench/chaos -leat bin/leat $(CHAOS)

# How long make soak lasts, and what else it is told; see go run ./bench/soak -help.
SOAK       ?= 30m
SOAK_FLAGS ?=

.PHONY: soak
soak: build services ## land records for SOAK (30m), draw leat's memory, goroutines, files and uploads, and fail if they grow
	@mkdir -p .cache/soak
	$(GO) run $(FLAGS) ./bench/soak -leat bin/leat -duration $(SOAK) -out .cache/soak $(SOAK_FLAGS)

.PHONY: sim
sim: ## simulate streams in a world of faults, SEEDS=n seeds (2000); SEED=n runs one again and prints its trace, LONG=1 makes them long
	@mkdir -p .cache
	$(GO) test -tags $(TAGS) -c -o .cache/sim.test ./engine/dataflow/simulation
ifeq ($(SEED),)
	GOGC=400 .cache/sim.test -test.timeout 0 -seeds $(SEEDS) -from $(FROM) -twice 50 -procs "$$(getconf _NPROCESSORS_ONLN)" $(if $(LONG),-long -test.run '^TestSimulation$$')
else
	.cache/sim.test -test.timeout 0 -test.run '^TestSimulation$$' -seed $(SEED) $(if $(LONG),-long)
endif

# How much make bench measures, such as BENCH='-rows 500000 -runs 3'; see
# bench/README.md.
BENCH ?=

# What Leat is compared with; a peer that cannot be installed is left out of the
# tables, with the reason.
.PHONY: peers
peers: ## install the programs that the benchmarks compare leat with
	-$(GO) run $(FLAGS) ./internal/services/install peers-python bento

.PHONY: peers-streaming
peers-streaming: ## install the streaming programs that the benchmarks compare leat with, and the broker
	$(GO) run $(FLAGS) ./internal/services/install kafka versitygw python
	-$(GO) run $(FLAGS) ./internal/services/install bento flink kafka-connect

.PHONY: bench
bench: bench-batch bench-tables bench-nexmark publish ## measure leat and its peers, and put the results into bench/results and the READMEs

.PHONY: bench-ingest
bench-ingest: build ## compare leat with DuckDB on the same file and cores, with nothing installed
	$(GO) run $(FLAGS) ./bench/ingest -peers none -results '' $(BENCH)

.PHONY: bench-batch
bench-batch: build peers ## measure a file of JSON to partitioned Parquet, beside its peers
	$(GO) run $(FLAGS) ./bench/ingest -table batch -peers duckdb-python,chdb,polars,datafusion,bento -budget 15s $(BENCH)

.PHONY: bench-tables
bench-tables: build ## measure narrow queries, dirty lines, thousands of partitions, ten times the rows, commits, memory, each format
	$(GO) run $(FLAGS) ./bench/ingest -table narrow -peers duckdb-python,chdb,polars,datafusion -budget 15s $(BENCH)
	$(GO) run $(FLAGS) ./bench/ingest -table dirty -cores 1 -partitions 12 -peers none -runs 3 $(BENCH)
	$(GO) run $(FLAGS) ./bench/ingest -table partitions -cores 1 -partitions 1,12,265,5000 -rows 1000000 -runs 3 -budget 20s $(BENCH)
	$(GO) run $(FLAGS) ./bench/ingest -table linear -cores 1 -rows 1000000 -runs 3 $(BENCH)
	$(GO) run $(FLAGS) ./bench/ingest -table commits -cores 1 -partitions 12 -rows 10000000 -runs 3 $(BENCH)
	$(GO) run $(FLAGS) ./bench/ingest -table memory -runs 3 $(BENCH)
	$(GO) run $(FLAGS) ./bench/ingest -table formats -cores 1 -rows 1000000 -runs 3 -budget 10s $(BENCH)

.PHONY: bench-nexmark
bench-nexmark: build ## measure Nexmark's queries without state
	$(GO) run $(FLAGS) ./bench/nexmark -events 3000000

.PHONY: bench-streaming
bench-streaming: build peers-streaming ## measure Kafka to Parquet beside other streaming programs, and latency
	$(GO) run $(FLAGS) ./bench/streaming -table kafka -runs 5 $(BENCH)
	$(GO) run $(FLAGS) ./bench/streaming -table streaming -rows 4000000 $(BENCH)
	$(GO) run $(FLAGS) ./bench/replay
	$(GO) run $(FLAGS) ./bench/publish

.PHONY: publish
publish: ## put the tables of bench/results into README.md and bench/README.md
	$(GO) run $(FLAGS) ./bench/publish

.PHONY: bench-stages
bench-stages: ## say which stage of ingesting takes how much of the CPU's time, by the profiler
	$(GO) run $(FLAGS) ./bench/stages $(BENCH)

.PHONY: reference
reference: ## write docs/options.md from the specifications of the options
	$(GO) test -tags $(TAGS) -run TestReference ./connectors/all -update

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@grep -rn --include='*_test.go' --exclude-dir='.?*' '^func Fuzz' . | sed 's|^\(.*\)/[^/]*\.go:[0-9]*:func \(Fuzz[A-Za-z0-9_]*\).*|\1 \2|' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

.PHONY: clean
clean: ## remove what the targets have built and installed
	rm -rf bin .cache
