# Each target installs what it needs. `make` alone lists them.

CARGO_LAMBDA_VERSION := 1.9.2
# To use another cargo-lambda: make run CARGO_LAMBDA=/usr/local/bin/cargo-lambda
CARGO_LAMBDA ?= .tools/cargo-lambda-$(CARGO_LAMBDA_VERSION)/bin/cargo-lambda
# Servers and tools of the tests. The crate in tests/servers looks for these versions in .tools.
MINISTACK_VERSION := 1.5.33
DYNAMODB_LOCAL_VERSION := 0.6.0
VALKEY_VERSION := 9.1.2.post2
SCHEMATHESIS_VERSION := 4.32.5
CFN_LINT_VERSION := 1.58.0
AWS_CLI_VERSION := 1.46.3
# The compiler and linker for arm64; 430 MB.
ZIGLANG_VERSION := 0.17.1
# The functions that infra/ deploys. Packages and binaries have the same names.
FUNCTIONS := process-tasks advance-queues queue-api maintain-cache
# The port of make dev.
PORT ?= 9000
# Builds follow Cargo.lock. While you change dependencies: make test LOCKED=
LOCKED ?= --locked

.PHONY: help run dev test servers redis-server bench lint clean functions arm64 infra-test package-test e2e costs \
	deploy destroy release stage-named
.DEFAULT_GOAL := help

help:
	@echo 'make run         run all events of events/ and a task over HTTP on a new embedded store, and print the answers'
	@echo 'make dev         run the functions on the store in .data/ until Ctrl-C (PORT=9000)'
	@echo 'make test        lint, infra-test, all tests on real servers, e2e'
	@echo 'make lint        formatting, clippy, documentation and Oxlint, without warnings'
	@echo 'make bench       benchmarks of the pipeline and of the shipped process-tasks, on real servers'
	@echo 'make functions   build the functions for AWS (arm64, without the embedded store) into target/functions'
	@echo 'make arm64       make functions, then invoke each one, under qemu if this machine is not arm64'
	@echo 'make deploy      build what changed, show the differences, deploy (STAGE=dev, RELEASE=directory)'
	@echo 'make destroy     remove a stage (STAGE=dev)'
	@echo 'make release     make functions, then one zip for each, to deploy elsewhere, in target/release-functions'
	@echo 'make infra-test  check infra/: types, unit tests, cdk-nag, synthesis, cfn-lint'
	@echo 'make package-test  install the npm package of infra/ into an empty CDK app (needs the registry of npm)'
	@echo 'make e2e         deploy infra/ to an emulator of AWS, use it, update it, destroy it'
	@echo 'make costs       print the costs of an idle and of a busy month'
	@echo 'make servers     install the servers and tools of the tests into .tools/'
	@echo 'make clean       remove everything that was built, installed or stored here'

run: $(CARGO_LAMBDA)
	@scripts/require cargo cc
	cargo run $(LOCKED) --bin millrace-demo -- run --cargo-lambda $(CARGO_LAMBDA)

dev: $(CARGO_LAMBDA)
	@scripts/require cargo cc
	cargo run $(LOCKED) --bin millrace-demo -- dev --cargo-lambda $(CARGO_LAMBDA) --port $(PORT)

test: lint servers infra-test
	cargo test $(LOCKED) --workspace
	@$(MAKE) --no-print-directory e2e

servers: redis-server .tools/valkey-$(VALKEY_VERSION)/valkey-server .tools/ministack-$(MINISTACK_VERSION)/bin/python \
	.tools/dynamodb-local-$(DYNAMODB_LOCAL_VERSION)/DynamoDBLocal.jar .tools/schemathesis-$(SCHEMATHESIS_VERSION)/bin/python \
	.tools/awscli-$(AWS_CLI_VERSION)/bin/python

# The second clippy run checks the build that is shipped: without the embedded store.
SHIPPED_PACKAGES := $(FUNCTIONS:%=--package %) --no-default-features
lint: infra/node_modules/.package-lock.json
	@scripts/require cargo cc rustfmt clippy node npm
	cargo fmt --all -- --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	cargo clippy $(LOCKED) $(SHIPPED_PACKAGES) -- -D warnings
	cargo run $(LOCKED) --quiet -p millrace-structure
	RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --workspace --no-deps --quiet
	cd infra && npm run --silent lint

# Measures process-tasks as it is shipped, built for this machine. The second build only puts the
# binary beside the zip.
SHIPPED := target/shipped
bench: $(CARGO_LAMBDA) servers
	@scripts/require cargo cc
	cargo bench $(LOCKED) -p millrace-pipeline --bench pipeline
	for format in zip binary; do \
		$(CARGO_LAMBDA) lambda build $(LOCKED) --release --compiler cargo --output-format $$format \
			--lambda-dir $(SHIPPED) --package process-tasks --package floor --no-default-features || exit; \
	done
	cargo run $(LOCKED) --bin millrace-bench -- $(SHIPPED)

# cargo-lambda finds zig as a module of Python. The hash is about the four functions that are
# deployed together.
functions: $(CARGO_LAMBDA) .tools/ziglang-$(ZIGLANG_VERSION)/ziglang/__main__.py
	@scripts/require cargo cc python3
	PYTHONPATH=$(CURDIR)/.tools/ziglang-$(ZIGLANG_VERSION) $(CARGO_LAMBDA) lambda build $(LOCKED) --release --arm64 \
		--lambda-dir target/functions $(SHIPPED_PACKAGES)
	@$(if $(filter $(FUNCTIONS),process-tasks),scripts/source-hash >target/functions/built-from,:)

# A wrong name is found by infra/deploy.
stage-named:
	@[ -n "$(STAGE)" ] || { echo 'name the stage, such as STAGE=dev' >&2; exit 1; }

# Cargo builds only what changed. Functions of a release are deployed as they are.
deploy: stage-named $(if $(RELEASE),,functions) infra/node_modules/.package-lock.json
	@scripts/require node npm python3
	@cd infra && NODE_NO_WARNINGS=1 npm run --silent deploy

destroy: stage-named infra/node_modules/.package-lock.json
	@scripts/require node npm
	@cd infra && NODE_NO_WARNINGS=1 npm run --silent destroy

release: functions infra/node_modules/.package-lock.json
	@scripts/require node npm python3
	@cd infra && NODE_NO_WARNINGS=1 npm run --silent release

arm64: functions .tools/ministack-$(MINISTACK_VERSION)/bin/python infra/node_modules/.package-lock.json
	@[ "$$(uname -m)" = aarch64 ] || scripts/require qemu-aarch64
	cd infra && npx --no tsx arm64/run.ts

# Synthesis needs neither the built functions, nor AWS, nor the network.
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

# Deploys the functions that the tests have built, or those of a directory:
# make e2e MILLRACE_BIN_DIR=target/functions
# The example worker is always built here.
e2e: servers infra/node_modules/.package-lock.json
	@scripts/require node npm openssl cargo cc
	cargo build $(LOCKED) --workspace $(if $(MILLRACE_BIN_DIR),,$(FUNCTIONS:%=--bin %)) --bin worker-rust
	cd infra && NODE_NO_WARNINGS=1 $(if $(MILLRACE_BIN_DIR),MILLRACE_BIN_DIR=$(abspath $(MILLRACE_BIN_DIR))) npm run --silent e2e

package-test: infra/node_modules/.package-lock.json
	@scripts/require node npm
	cd infra && NODE_NO_WARNINGS=1 npm run --silent test:package

costs: infra/node_modules/.package-lock.json
	cd infra && npm run --silent costs

infra/node_modules/.package-lock.json: infra/package-lock.json
	@scripts/require node npm
	cd infra && npm ci --no-fund --no-audit --loglevel=error

clean:
	@scripts/require cargo
	cargo clean
	rm -rf .tools .data infra/node_modules infra/cdk.out

# Without its dependency ziglang (430 MB), which only cross-builds need. pip moves the finished
# installation here, so that an interrupted one is not taken for complete.
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

.tools/awscli-$(AWS_CLI_VERSION)/bin/python:
	scripts/install-server awscli $(AWS_CLI_VERSION)

.tools/schemathesis-$(SCHEMATHESIS_VERSION)/bin/python:
	scripts/install-server schemathesis $(SCHEMATHESIS_VERSION)

.tools/cfn-lint-$(CFN_LINT_VERSION)/bin/python:
	scripts/install-server cfn-lint $(CFN_LINT_VERSION)

.tools/ziglang-$(ZIGLANG_VERSION)/ziglang/__main__.py:
	scripts/install-server ziglang $(ZIGLANG_VERSION)

# Downloads Redis unless it is on the PATH or in .tools.
redis-server:
	@command -v redis-server >/dev/null || [ -x .tools/redis/redis-server ] || scripts/install-server redis
