# Every target sets up what it needs. `make` alone lists them.

CARGO_LAMBDA_VERSION := 1.9.2
# Where cargo-lambda is; another one can be named: make run CARGO_LAMBDA=/usr/local/bin/cargo-lambda
CARGO_LAMBDA ?= .tools/cargo-lambda-$(CARGO_LAMBDA_VERSION)/bin/cargo-lambda
# What the tests talk to. The crate in tests/servers looks for these versions in .tools.
MINISTACK_VERSION := 1.5.33
DYNAMODB_LOCAL_VERSION := 0.6.0
SCHEMATHESIS_VERSION := 4.32.5
# Where make dev listens.
PORT ?= 9000
# What is built is what Cargo.lock says. While changing dependencies: make test LOCKED=
LOCKED ?= --locked

.PHONY: help run dev test servers redis-server bench lint clean
.DEFAULT_GOAL := help

help:
	@echo 'make run     start the functions on a fresh embedded store, send every event of events/ and a task over HTTP, show the answers'
	@echo 'make dev     start the functions on the store in .data/ and keep them running until Ctrl-C (PORT=9000)'
	@echo 'make test    lint, then all tests, on real servers that make servers installs'
	@echo 'make servers install what the tests talk to into .tools/: Redis (where there is none), MiniStack, DynamoDB Local, Schemathesis'
	@echo 'make lint    formatting, clippy and documentation, warnings refused'
	@echo 'make bench   the benchmarks of the pipeline, then process-tasks as it is shipped beside a floor, on real servers'
	@echo 'make clean   remove everything that was built, installed or stored here'

run: $(CARGO_LAMBDA)
	@scripts/require cargo cc
	cargo run $(LOCKED) -p millrace-demo -- run --cargo-lambda $(CARGO_LAMBDA)

dev: $(CARGO_LAMBDA)
	@scripts/require cargo cc
	cargo run $(LOCKED) -p millrace-demo -- dev --cargo-lambda $(CARGO_LAMBDA) --port $(PORT)

test: lint servers
	cargo test $(LOCKED) --workspace

servers: redis-server .tools/ministack-$(MINISTACK_VERSION)/bin/python \
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
	cargo bench $(LOCKED) -p millrace-service --bench pipeline
	for format in zip binary; do \
		$(CARGO_LAMBDA) lambda build $(LOCKED) --release --compiler cargo --output-format $$format \
			--lambda-dir $(SHIPPED) --package process-tasks --package floor || exit; \
	done
	cargo run $(LOCKED) --package millrace-bench -- $(SHIPPED)

clean:
	@scripts/require cargo
	cargo clean
	rm -rf .tools .data

# Without its dependency ziglang (430 MB), which only cross-builds need. pip installs into a
# directory of its own and moves it here when it is whole.
.tools/cargo-lambda-$(CARGO_LAMBDA_VERSION)/bin/cargo-lambda:
	@scripts/require python3 pip
	PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
		--target .tools/cargo-lambda-$(CARGO_LAMBDA_VERSION) cargo-lambda==$(CARGO_LAMBDA_VERSION)

.tools/ministack-$(MINISTACK_VERSION)/bin/python:
	scripts/install-server ministack $(MINISTACK_VERSION)

.tools/dynamodb-local-$(DYNAMODB_LOCAL_VERSION)/DynamoDBLocal.jar:
	scripts/install-server dynamodb-local $(DYNAMODB_LOCAL_VERSION)

.tools/schemathesis-$(SCHEMATHESIS_VERSION)/bin/python:
	scripts/install-server schemathesis $(SCHEMATHESIS_VERSION)

# The one on the PATH, or the one that was downloaded, or else it is downloaded.
redis-server:
	@command -v redis-server >/dev/null || [ -x .tools/redis/redis-server ] || scripts/install-server redis
