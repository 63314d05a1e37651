# One build folder for all checkouts of this machine, outside of them: a clean clone then starts warm, and `git clean`
# does not cost half an hour. Set CARGO_TARGET_DIR to have another.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/precis/target
export PRECIS_MODELS_DIR ?= $(HOME)/.cache/precis/models

PRECIS := $(CARGO_TARGET_DIR)/release/precis
# A model of `precis models list` for make demo; its results are kept apart, in a state of its own.
MODEL ?=
DEMO_OUT ?= demo-out$(MODEL:%=-%)

.PHONY: help demo demo-twice build test chaos chaos-controls check sanitize fuzz growth cuda test-gpu docs bench-engine bench-adapters bench-router bench-memory load-routing soak-engine verify verify-quality verify-answers verify-pressure verify-provider clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: build ## get the default model and summarise the documents of tests/documents into demo-out/; MODEL=qwen2.5-coder-1.5b-instruct: another, fetched if need be
	$(PRECIS) models pull $(MODEL)
	$(PRECIS) summarize tests/documents --out $(DEMO_OUT) $(if $(MODEL),--model $(MODEL) --state $(DEMO_OUT)/state)

demo-twice: ## make demo twice, with a state of its own: the second time everything comes from the store, at once
	python3 tests/harness/demo_twice.py

build: ## build the release binaries
	infra/setup.sh demo
	cargo build --release --locked --package precis

test: ## run every test: unit, contract, end to end; starts Kafka and S3 itself
	infra/setup.sh test
	python3 tests/harness/run.py

chaos: ## the services on Kafka and S3 under a seeded plan of faults, held against an oracle; minutes=60, documents=N, SEED=N, CHAOS=--real-model
	infra/setup.sh test
	python3 tests/chaos/run.py --minutes $(or $(minutes),4) $(if $(documents),--documents $(documents)) $(CHAOS)

chaos-controls: ## whether the oracle notices when a rule of the guarantee is switched off (ten minutes)
	infra/setup.sh test
	python3 tests/chaos/run.py --controls

bench-engine: ## measure the engine beside llama.cpp (30 minutes, an idle machine); BENCH=--quick: a smoke run
	infra/setup.sh test
	cargo build --release --locked --workspace --bins
	python3 loadtest/engine/run.py $(BENCH)

bench-adapters: ## decoding and whole requests of 32 sequences of 256 tokens with 8 adapters beside the same without, ranks 8 and 16 (ten minutes); they take turns
	cargo build --release --locked --package precis-inference --example adapters
	$(CARGO_TARGET_DIR)/release/examples/adapters 8 8
	$(CARGO_TARGET_DIR)/release/examples/adapters 8 16

bench-router: ## measure the router on Kafka beside a raw loop of librdkafka (under 10 minutes, an idle machine); BENCH=--quick: a smoke run
	infra/setup.sh test
	cargo build --release --locked --workspace --bins
	python3 loadtest/router/run.py $(BENCH)

bench-memory: ## peak memory of router and api-worker for the worst input of each kind, beside its bound (ten minutes); BENCH=--quick: an eighth of it
	infra/setup.sh test
	cargo build --release --locked --workspace --bins
	python3 loadtest/memory.py $(BENCH)

load-routing: ## 10,000 documents through three tiers: mix, cost, escalations, residency, budgets, ledger (10 minutes); BENCH=--quick: 1,000 of them
	infra/setup.sh test
	python3 loadtest/routing/run.py $(BENCH)

soak-engine: build ## whether the engine's memory stays flat over an hour, with low priority; minutes=10: shorter
	python3 loadtest/engine/soak.py --minutes $(or $(minutes),60)

check: ## format, lints, dependencies, licences, docs and alert rules, warnings denied
	infra/setup.sh test
	cargo fmt --all --check
	python3 tools/wrap_comments.py --check
	python3 tools/python.py
	python3 tools/dependencies.py
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(MAKE) --no-print-directory docs
	infra/alerts-check.sh

sanitize: ## the kernels' tests under AddressSanitizer
	infra/sanitize.sh

fuzz: ## libFuzzer on every decoder, a minute each; seconds=10: shorter; FUZZ='--only gguf': one; FUZZ=--keep: add to the corpus
	infra/setup.sh demo
	python3 tests/fuzz/run.py --seconds $(or $(seconds),60) $(FUZZ)

growth: ## whether the work on a text grows no faster than the text, instructions counted by valgrind; GROWTH='--only html': one
	infra/setup.sh test
	python3 tests/fuzz/growth.py $(GROWTH)

cuda: ## compile and link the gpu-worker for CUDA and start it without a GPU; no GPU needed
	infra/setup.sh demo
	infra/cuda-check.sh

test-gpu: ## the tests that compute on a GPU; needs one, its driver and the toolkit (CUDA_HOME), and fails without
	cargo test --release --locked --package precis-inference --features cuda -- --ignored on_a_gpu

docs: ## the crates' documentation, with the protocol of each part
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

verify: fuzz chaos-controls verify-quality verify-pressure verify-provider ## what is too long for every change: an hour; an idle machine
	$(MAKE) --no-print-directory chaos minutes=$(or $(minutes),20)

verify-quality: ## measure what the engine's rounding and the quantiser cost, beside llama.cpp's: KL divergence and likelihood; every family beside llama.cpp's; extracts beside sumy's, scores beside rouge-score's and sacreBLEU's (15 minutes)
	python3 loadtest/quality/measure.py
	python3 loadtest/quality/quantise.py
	python3 loadtest/quality/families.py
	python3 loadtest/quality/extractive.py
	python3 loadtest/quality/scores.py
	python3 loadtest/quality/scores.py --time

verify-answers: build ## what the rules of decoding do to the answers: failed checks, ROUGE-L, documents a minute (half an hour)
	python3 loadtest/quality/answers.py

verify-pressure: ## 100,000 documents queued before a slow worker: memory, lag, drain (ten minutes)
	infra/setup.sh test
	cargo build --release --locked --workspace --bins
	python3 loadtest/pressure.py

verify-provider: ## llama.cpp's server as a provider: its token counts against the ledger, its errors, a kill (the first time: builds it, ten minutes)
	infra/setup.sh test
	cargo build --release --locked --workspace --bins
	$(PRECIS) models pull
	python3 loadtest/provider.py

clean: ## remove the demo's results and this project's build output (dependencies stay built)
	rm -rf $(DEMO_OUT) demo-out-*
	cargo clean --workspace
