# dovi-fleet. `make help` lists what can be made.
SHELL := /bin/bash
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs bench fuzz soak

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
	@echo '  make demo LIBRARY=/path   the same with your own films, which are only read'
	@echo "  make demo ARGS='--mode copy'   options of the demo; --help lists them"

setup: ## Install ffmpeg, mkvtoolnix, RabbitMQ's programs and Rust where they are missing (Debian, Ubuntu)
	@deploy/setup-debian.sh

demo: setup ## Convert a made-up library with two workers through a private broker and show the result
	@cargo build --release --locked -p producer -p consumer -p e2e --bin dovi-producer --bin dovi-consumer --bin demo
	@exec target/release/demo $(if $(LIBRARY),--library "$(LIBRARY)") $(ARGS)

test: setup ## Format, lints, and every test with real tools and a private broker
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@deploy/run-tests.sh

fuzz: setup ## Hostile input for every parser, FUZZ_SECONDS (600) for each target; needs cargo-fuzz and nightly
	@dovi/fuzz/run.sh $(TARGET)

lint: setup ## Format, lints and documentation, warnings denied
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items

docs: setup ## Make the generated pages of docs/ again
	@for page in failures configuration; do \
	  cargo run -q --locked -p common --example docs -- $$page >docs/.page && mv docs/.page docs/$${page^^}.md || exit 1; \
	done
	@cargo run -q --locked -p e2e --bin corpus-page >docs/.page && mv docs/.page docs/CORPUS.md

bench: setup ## Measure against the way people convert by hand, and write the tables of docs/PERFORMANCE.md
	@cargo build --release --locked -p e2e --bin bench --bin consumer-under-test --bin producer-under-test
	@exec target/release/bench --page docs/PERFORMANCE.md --json target/bench.json $(ARGS)

soak: setup ## Kill, freeze and cut off everything while films are converted: FAULTS (1000) of SEED (7); ends with one line
	@cargo build --release --locked -p e2e --bin soak --bin consumer-under-test --bin faulty-tool
	@exec target/release/soak --faults $(or $(FAULTS),1000) --seed $(or $(SEED),7) $(ARGS)
