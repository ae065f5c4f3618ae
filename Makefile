# `make` alone says what there is. Every target does its own set-up; a second run of it does nothing.

.DEFAULT_GOAL := help
.PHONY: help demo test quick build check deny advisories miri campaign bench bench-swap soak mixed guest guest-check

# Where rustup puts cargo, for shells that have not read its profile.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pelton
TARGET := $(or $(CARGO_TARGET_DIR),target)

WASM := --target wasm32-unknown-unknown --profile guest
CARGO_COMPONENT := $(CACHE)/tools/cargo-component-0.21.1
CARGO_DENY := $(CACHE)/tools/cargo-deny-0.20.2
COMPONENTS := $(abspath $(TARGET))/component
GUEST := $(abspath $(TARGET))/wasm32-unknown-unknown/guest/guest_enrich.wasm

help: ## What there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## The money pipeline on live generated traffic, no Kafka needed (ARGS=--help: its options)
	@.ci/setup demo
	cargo build -p guest-enrich $(WASM)
	PELTON_DEMO_RULES=$(GUEST) cargo run --profile demo -p pelton-demo --no-default-features -- $(ARGS)

test: ## Every test, with a real Kafka and a real schema registry
	@.ci/test

# The features of `make test`, so that dependencies are built once for both.
quick: ## Tests whose path has a word in it, compiled in seconds after an edit: make quick T=sim::one
	@.ci/setup build
	cargo --config .ci/quick.toml test --release --workspace --lib --test it -- $(T)

build: ## The binary, target/release/pelton, its demo for `pelton dev`, and the money rules
	@.ci/setup build
	cargo build --release -p pelton-cli -p pelton-demo
	cargo build -p guest-enrich $(WASM)

check: ## Format, lints, and the house rules that a test can check
	@.ci/setup build
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo test --release --workspace --test it tidy
	@$(MAKE) --no-print-directory deny

deny: $(CARGO_DENY)/bin/cargo-deny ## Licences and sources of all dependencies, and what must not be one: deny.toml
	$< check bans licenses sources

advisories: $(CARGO_DENY)/bin/cargo-deny ## Known faults of dependencies, by RustSec's database, where that can be reached
	@$< fetch db || { echo "NOT CHECKED: the database of advisories can't be reached from here"; exit 0; }; $< check advisories

# A compiler of each night has it. Without Kafka and RocksDB, because Miri interprets Rust alone: a thousand times slower, so
# that four generated inputs have to do.
miri: ## The code that is unsafe for speed, interpreted, so that an access out of place is found
	@.ci/setup demo
	rustup toolchain install nightly --profile minimal --component miri --component rust-src --no-self-update
	PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --target-dir $(abspath $(TARGET))/miri -p pelton-sdk --lib \
	  -- arena:: avro::wire::
	PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --target-dir $(abspath $(TARGET))/miri -p pelton --no-default-features --lib \
	  -- rows:: wit::

campaign: ## What is too long for every test run: more simulator seeds and generated inputs, Miri, a long soak, the benchmark
	@.ci/campaign

bench: ## The money pipeline on a real Kafka: events a second, CPU, memory (ARGS=--help: its options)
	@.ci/setup test
	cargo run --release -p pelton-tests --bin bench -- $(ARGS)

bench-swap: ## The same without swaps, and while other rules are deployed all the time: how long tasks stand still for that
	@.ci/setup test
	cargo run --release -p pelton-tests --bin bench -- --swaps 2000s --swaps now $(ARGS)

soak: ## A million money events through 100 swaps of the rules, two kill -9 and a freeze, all outputs checked (ARGS=--help: its options)
	@.ci/setup test
	cargo run --release -p pelton-tests --bin soak -- $(ARGS)

mixed: ## The Pelton of an earlier release and this one in one group, each killed, all outputs checked (PELTON_OLD=COMMIT, ARGS=--help)
	@.ci/setup test
	@.ci/mixed $(ARGS)

guest: ## The money rules, in target/wasm32-unknown-unknown/guest/guest_enrich.wasm
	@.ci/setup demo
	cargo build -p guest-enrich $(WASM)

# Plain cargo's module becomes a component when the host loads it; cargo component makes one itself, with or without WASI.
# (In a target folder of its own, because it writes over what cargo made.)
guest-check: $(CARGO_COMPONENT)/bin/cargo-component ## However rules are built, they are accepted, and the same
	@.ci/setup test
	CARGO_TARGET_DIR=$(COMPONENTS) $< component build -p guest-enrich --profile guest
	CARGO_TARGET_DIR=$(COMPONENTS) $< component build -p guest-enrich $(WASM)
	GUEST_COMPONENTS=$(COMPONENTS)/wasm32-wasip1/guest/guest_enrich.wasm:$(COMPONENTS)/wasm32-unknown-unknown/guest/guest_enrich.wasm \
	  cargo test --release --workspace --test it guest_forms

# Once, outside of the clone: each takes minutes. The objects stay until it is through, so that an interrupted build goes on.
$(CARGO_DENY)/bin/cargo-deny:
	@.ci/setup demo
	cargo install cargo-deny --version 0.20.2 --locked --root $(CARGO_DENY) --target-dir $(CARGO_DENY)/build --quiet
	@rm -rf $(CARGO_DENY)/build || true

$(CARGO_COMPONENT)/bin/cargo-component:
	@.ci/setup test
	cargo install cargo-component --version 0.21.1 --locked --root $(CARGO_COMPONENT) \
	  --target-dir $(CARGO_COMPONENT)/build --quiet
	@rm -rf $(CARGO_COMPONENT)/build || true
