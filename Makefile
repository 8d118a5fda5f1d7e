# Every target sets up what it needs. `make` alone lists them.

CARGO_LAMBDA_VERSION := 1.9.2
# Where cargo-lambda is; another one can be named: make run CARGO_LAMBDA=/usr/local/bin/cargo-lambda
CARGO_LAMBDA ?= .tools/cargo-lambda-$(CARGO_LAMBDA_VERSION)/bin/cargo-lambda
# What the tests talk to. The crate in tests/servers looks for these versions in .tools.
MINISTACK_VERSION := 1.5.33
DYNAMODB_LOCAL_VERSION := 0.6.0
VALKEY_VERSION := 9.1.2.post2
SCHEMATHESIS_VERSION := 4.32.5
CFN_LINT_VERSION := 1.58.0
# Compiles and links for Lambda's processors; 430 MB.
ZIGLANG_VERSION := 0.17.1
# What infra/ deploys: packages and binaries have the functions' names.
FUNCTIONS := process-tasks advance-queues queue-api maintain-cache
# Where make dev listens.
PORT ?= 9000
# What is built is what Cargo.lock says. While changing dependencies: make test LOCKED=
LOCKED ?= --locked

.PHONY: help run dev test servers redis-server bench lint clean functions arm64 infra-test e2e costs
.DEFAULT_GOAL := help

help:
	@echo 'make run     start the functions on a fresh embedded store, send every event of events/ and a task over HTTP, show the answers'
	@echo 'make dev     start the functions on the store in .data/ and keep them running until Ctrl-C (PORT=9000)'
	@echo 'make test    lint, infra-test, all tests on real servers that make servers installs, then e2e'
	@echo 'make servers install what the tests talk to into .tools/: Redis (where there is none), Valkey, MiniStack, DynamoDB Local, Schemathesis'
	@echo 'make lint    formatting, clippy and documentation, warnings refused'
	@echo 'make functions  build the functions as they are shipped, for arm64, into target/functions'
	@echo 'make infra-test types, unit tests, cdk-nag, synthesis and cfn-lint of what infra/ deploys'
	@echo 'make e2e     deploy all of it onto an emulator of AWS, use it, update it, destroy it'
	@echo 'make arm64   make functions, then run each once, under qemu where this is no arm64'
	@echo 'make costs   what an idle and a busy month cost'
	@echo 'make bench   the benchmarks of the pipeline, then process-tasks as it is shipped beside a floor, on real servers'
	@echo 'make clean   remove everything that was built, installed or stored here'

run: $(CARGO_LAMBDA)
	@scripts/require cargo cc
	cargo run $(LOCKED) -p millrace-demo -- run --cargo-lambda $(CARGO_LAMBDA)

dev: $(CARGO_LAMBDA)
	@scripts/require cargo cc
	cargo run $(LOCKED) -p millrace-demo -- dev --cargo-lambda $(CARGO_LAMBDA) --port $(PORT)

test: lint servers infra-test
	cargo test $(LOCKED) --workspace
	@$(MAKE) --no-print-directory e2e

servers: redis-server .tools/valkey-$(VALKEY_VERSION)/valkey-server .tools/ministack-$(MINISTACK_VERSION)/bin/python \
	.tools/dynamodb-local-$(DYNAMODB_LOCAL_VERSION)/DynamoDBLocal.jar .tools/schemathesis-$(SCHEMATHESIS_VERSION)/bin/python

lint:
	@scripts/require cargo cc rustfmt clippy
	cargo fmt --all -- --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --workspace --no-deps --quiet

# The functions are built as they are shipped; the second build only lays the binary beside the zip.
SHIPPED := target/shipped
bench: $(CARGO_LAMBDA) servers
	@scripts/require cargo cc
	cargo bench $(LOCKED) -p millrace-pipeline --bench pipeline
	for format in zip binary; do \
		$(CARGO_LAMBDA) lambda build $(LOCKED) --release --compiler cargo --output-format $$format \
			--lambda-dir $(SHIPPED) --package process-tasks --package floor || exit; \
	done
	cargo run $(LOCKED) --package millrace-bench -- $(SHIPPED)

# What is shipped. zig is found as a module of Python.
functions: $(CARGO_LAMBDA) .tools/ziglang-$(ZIGLANG_VERSION)/ziglang/__main__.py
	@scripts/require cargo cc python3
	PYTHONPATH=$(CURDIR)/.tools/ziglang-$(ZIGLANG_VERSION) $(CARGO_LAMBDA) lambda build $(LOCKED) --release --arm64 \
		--lambda-dir target/functions $(FUNCTIONS:%=--package %)

arm64: functions infra/node_modules/.package-lock.json
	@[ "$$(uname -m)" = aarch64 ] || scripts/require qemu-aarch64
	cd infra && npx --no tsx arm64/run.ts

# Synthesis needs neither built functions nor AWS nor the network.
INFRA := target/infra
infra-test: infra/node_modules/.package-lock.json .tools/cfn-lint-$(CFN_LINT_VERSION)/bin/python
	@scripts/require node npm
	cd infra && npm run --silent check
	cd infra && NODE_NO_WARNINGS=1 npm run --silent test
	rm -rf $(INFRA) && for name in $(FUNCTIONS); do mkdir -p $(INFRA)/functions/$$name && : >$(INFRA)/functions/$$name/bootstrap || exit; done
	for stage in dev production; do \
		(cd infra && NODE_NO_WARNINGS=1 node_modules/.bin/cdk synth --quiet --no-notices --lookups=false --output ../$(INFRA)/$$stage \
			-c stage=$$stage -c functions=../$(INFRA)/functions) || exit; \
	done
	.tools/cfn-lint-$(CFN_LINT_VERSION)/bin/python .tools/cfn-lint-$(CFN_LINT_VERSION)/bin/cfn-lint --non-zero-exit-code error \
		--ignore-checks W3005 -- $(INFRA)/*/millrace-*.template.json

# With the binaries that the tests have built, or those of a directory: make e2e MILLRACE_BIN_DIR=target/debug
e2e: servers infra/node_modules/.package-lock.json
	@scripts/require node npm openssl cc
ifndef MILLRACE_BIN_DIR
	@scripts/require cargo
	cargo build $(LOCKED) --workspace $(FUNCTIONS:%=--bin %)
endif
	cd infra && NODE_NO_WARNINGS=1 $(if $(MILLRACE_BIN_DIR),MILLRACE_BIN_DIR=$(abspath $(MILLRACE_BIN_DIR))) npm run --silent e2e

costs: infra/node_modules/.package-lock.json
	cd infra && npm run --silent costs

infra/node_modules/.package-lock.json: infra/package-lock.json
	@scripts/require node npm
	cd infra && npm ci --no-fund --no-audit --loglevel=error

clean:
	@scripts/require cargo
	cargo clean
	rm -rf .tools .data infra/node_modules infra/cdk.out

# Without its dependency ziglang (430 MB), which only cross-builds need. pip installs into a
# temporary directory and moves it here when it is complete.
.tools/cargo-lambda-$(CARGO_LAMBDA_VERSION)/bin/cargo-lambda:
	@scripts/require python3 pip
	PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
		--target .tools/cargo-lambda-$(CARGO_LAMBDA_VERSION) cargo-lambda==$(CARGO_LAMBDA_VERSION)

.tools/ministack-$(MINISTACK_VERSION)/bin/python:
	scripts/install-server ministack $(MINISTACK_VERSION)

.tools/dynamodb-local-$(DYNAMODB_LOCAL_VERSION)/DynamoDBLocal.jar:
	scripts/install-server dynamodb-local $(DYNAMODB_LOCAL_VERSION)

.tools/valkey-$(VALKEY_VERSION)/valkey-server:
	scripts/install-server valkey $(VALKEY_VERSION)

.tools/schemathesis-$(SCHEMATHESIS_VERSION)/bin/python:
	scripts/install-server schemathesis $(SCHEMATHESIS_VERSION)

# A file of each that is only there when all of it is.
.tools/cfn-lint-$(CFN_LINT_VERSION)/bin/python:
	scripts/install-server cfn-lint $(CFN_LINT_VERSION)

.tools/ziglang-$(ZIGLANG_VERSION)/ziglang/__main__.py:
	scripts/install-server ziglang $(ZIGLANG_VERSION)

# The one on the PATH, or the one that was downloaded, or else it is downloaded.
redis-server:
	@command -v redis-server >/dev/null || [ -x .tools/redis/redis-server ] || scripts/install-server redis
