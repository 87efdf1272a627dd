# Two commands do everything: `make demo` and `make test`. Both set up what is missing and can be run again at any time.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export PATH := $(HOME)/.cargo/bin:$(PATH)
# In CI compiled dependencies live outside the fresh clone, so that a run takes minutes.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lemniscate/target
endif
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: help
help: ## Lists the commands.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

.PHONY: demo
demo: ## Sets up, builds, runs the loop on the example repository.
	@scripts/setup.sh build
	@$(MAKE) --no-print-directory ui
	cargo build --release --package lem
	"$(TARGET)/release/lem" demo

.PHONY: dist
dist: ## Builds the binary as it is shipped: slower to build, quicker to run.
	@scripts/setup.sh build
	@$(MAKE) --no-print-directory ui
	cargo build --profile dist --package lem

.PHONY: test
test: ## Sets up, runs all checks.
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory ui
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo xtask tidy
	cargo nextest run --workspace --no-fail-fast
	cd ui && LEM_DEMO="$(TARGET)/tmp/demo" LEM_PROGRAM="$(TARGET)/debug/lem" npm test --silent

.PHONY: ui
ui: ## Builds the web UI into ui/dist.
	@if [ -f ui/package.json ]; then cd ui && npm run --silent check && npm run --silent build; fi

.PHONY: bench
bench: ## Runs every benchmark beside its peer.
	@scripts/setup.sh bench
	@for script in bench/*/run.sh; do echo "== $$script"; bash $$script; done

.PHONY: clean
clean: ## Removes what was built here.
	rm -rf target ui/dist ui/node_modules
