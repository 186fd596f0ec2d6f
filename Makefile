# Everything is built with the one release profile (see Cargo.toml) into a folder that outlives the clone, since
# RocksDB takes a quarter of an hour to compile.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/leasehold/target
LEASEHOLD := $(CARGO_TARGET_DIR)/release/leasehold
DEMO_ARGS ?=
BENCH_ARGS ?=
SOAK_SECS ?= 600
SOAK_SEEDS ?=
FUZZ_SECS ?= 3600
# As in scripts/test.sh.
SABOTAGE := --release --locked --workspace --no-default-features --features leasehold-tests/sabotage --test sabotage
# Clones share the folder of what is built.
SHARED := scripts/same-mtimes.sh run

.PHONY: help setup build demo test soak sabotage fuzz lint bench clean
help:
	@echo "make demo    a cluster on loopback: leases, failures, a verdict (DEMO_ARGS=--keep leaves it running)"
	@echo "make test    everything that CI runs"
	@echo "make soak    the simulation for SOAK_SECS seconds (600) or SOAK_SEEDS seeds: seeds a second, coverage"
	@echo "make sabotage  each mechanism of the rules switched off: the simulation must find what goes wrong"
	@echo "make fuzz    codec, engine and configuration under libFuzzer, FUZZ_SECS seconds (3600) each"
	@echo "make build   the leasehold command, in $(LEASEHOLD)"
	@echo "make lint    rustfmt, clippy, cargo-deny, source checks"
	@echo "make bench   packet path, state machine, a whole cluster under load, Replies with the store away"

setup:
	@scripts/setup.sh

build: setup
	$(SHARED) cargo build --release --locked --workspace --bins

demo: build
	$(LEASEHOLD) demo $(DEMO_ARGS)

test:
	@scripts/setup.sh test
	@scripts/test.sh

soak: setup
	LEASEHOLD_SOAK_SECS=$(if $(SOAK_SEEDS),,$(SOAK_SECS)) LEASEHOLD_SOAK_SEEDS=$(SOAK_SEEDS) \
		$(SHARED) cargo test --release --locked --workspace --test soak -- --nocapture

sabotage: setup
	$(SHARED) cargo test $(SABOTAGE) -- --nocapture --test-threads=1

fuzz: setup
	$(SHARED) scripts/fuzz.sh $(FUZZ_SECS)

lint:
	scripts/check-source.sh
	cargo fmt --all --check
	$(SHARED) cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(SHARED) cargo clippy $(SABOTAGE) -- -D warnings
	scripts/deny.sh

bench: build
	$(SHARED) cargo bench --profile release --locked --workspace --bench packet_path --bench apply -- --noplot
	scripts/bench.sh $(BENCH_ARGS)
	$(SHARED) scripts/bench.sh latency

clean:
	rm -rf "$(CARGO_TARGET_DIR)"
