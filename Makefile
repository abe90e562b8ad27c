# Every target sets up what it needs by the scripts in tests/servers; downloads are kept in the user's cache folder.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SERVERS := tests/servers
FLINK_1 := 1.20.5
FLINK_2 := 2.3.0
HADOOP_3_4 := 3.4.2
HADOOP_3_5 := 3.5.0
CARGO := cargo
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -c streampark-py/pyproject.toml --timeout 600
TALLY := python3 $(SERVERS)/tally.py

# The lanes of `make test`, in order.
LANES := test-unit test-flink test-projects test-yarn
# Each with a Hadoop of its own; they wait more than they compute, and so two run at a time.
YARN_TESTS := $(sort $(basename $(notdir $(wildcard tests/tests/yarn*.rs))))

# Assignments that a recipe evaluates in its shell: each script prints where the thing is.
flink_env = export STREAMPARK_TEST_FLINK_1="$$($(SERVERS)/flink.sh $(FLINK_1))" \
	&& export STREAMPARK_TEST_FLINK_2="$$($(SERVERS)/flink.sh $(FLINK_2))" \
	&& export STREAMPARK_TEST_JOBS_JAR="$$(tests/jobs/build.sh "$$STREAMPARK_TEST_FLINK_1")"
hadoop_env = export STREAMPARK_TEST_HADOOP_3_4="$$($(SERVERS)/hadoop.sh $(HADOOP_3_4))" \
	&& export STREAMPARK_TEST_HADOOP_3_5="$$($(SERVERS)/hadoop.sh $(HADOOP_3_5))"

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12

.PHONY: demo
demo: system ## a real Flink, a job that fails, is told of and comes back
	@export FLINK_HOME="$$($(SERVERS)/flink.sh $(FLINK_2))"
	export STREAMPARK_DEMO_JAR="$$(tests/jobs/build.sh "$$FLINK_HOME")"
	$(CARGO) run --quiet --locked -p streampark-examples --bin demo

.PHONY: demo-yarn
demo-yarn: system-projects ## from a Git repository to a job on a real Hadoop that fails, comes back and is upgraded; FLINK=1 or FLINK=2 for one
	@export HADOOP_JARS="$$($(SERVERS)/hadoop.sh $(HADOOP_3_5))"
	$(if $(filter 2,$(FLINK)),,export FLINK_1_HOME="$$($(SERVERS)/flink.sh $(FLINK_1))")
	$(if $(filter 1,$(FLINK)),,export FLINK_2_HOME="$$($(SERVERS)/flink.sh $(FLINK_2))")
	$(CARGO) run --quiet --locked -p streampark-examples --features road --bin demo_yarn

.PHONY: test
test: ## every lane of tests, in order; fails when one of them fails
	@status=0
	for lane in $(LANES); do $(MAKE) $$lane || { status=1; echo "$$lane: FAILED"; }; done
	exit $$status

.PHONY: test-unit
test-unit: system venv ## libraries, documentation examples, each feature alone, the Python package
	@$(TALLY) test-unit \
		-- $(CARGO) test --locked --no-fail-fast --workspace --exclude streampark-tests --exclude streampark-py \
		-- python3 $(SERVERS)/features.py check --quiet \
		-- $(SERVERS)/develop.sh \
		-- $(PYTEST) -m "not flink and not yarn" streampark-py/tests

.PHONY: test-flink
test-flink: system venv ## against real Flink, both major versions
	@$(flink_env)
	$(TALLY) test-flink \
		-- $(MAKE) check-runner \
		-- $(CARGO) test --locked --no-fail-fast -p streampark-tests --test 'flink*' \
		-- $(SERVERS)/develop.sh \
		-- $(PYTEST) -m flink streampark-py/tests

.PHONY: test-projects
test-projects: system-projects ## real Git servers, Maven and Gradle builds; what they build runs on real Flink
	@$(flink_env)
	export STREAMPARK_TEST_S3="$$($(SERVERS)/s3.sh)"
	$(TALLY) test-projects \
		-- $(CARGO) test --locked --no-fail-fast -p streampark-core --features git,s3 --lib \
		-- $(CARGO) test --locked --no-fail-fast -p streampark-tests --test 'projects*'

.PHONY: test-yarn
test-yarn: system-hadoop system-projects venv ## against real Hadoop with real Flink
	@$(flink_env)
	$(hadoop_env)
	export STREAMPARK_TEST_S3="$$($(SERVERS)/s3.sh)"
	$(TALLY) test-yarn \
		-- $(CARGO) test --locked --no-run -p streampark-tests --test 'yarn*' \
		-- $(SERVERS)/develop.sh \
		-- $(PYTEST) -m yarn streampark-py/tests \
		$(foreach test,$(YARN_TESTS),++ $(CARGO) test --locked -p streampark-tests --test $(test))

.PHONY: check
check: check-rust check-dependencies check-runner check-python ## formatting, lints, documentation, dependencies, types, embedded bytes

.PHONY: check-rust
check-rust: system
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --locked --workspace --all-targets --features streampark-examples/road -- -D warnings
	python3 $(SERVERS)/features.py clippy --quiet --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --locked --workspace --no-deps

.PHONY: check-dependencies
check-dependencies: system
	"$$($(SERVERS)/cargo-deny.sh)" --log-level error check bans licenses sources
	python3 $(SERVERS)/rust-floor.py
	python3 $(SERVERS)/dependencies.py

.PHONY: check-runner
check-runner: system
	@flink="$$($(SERVERS)/flink.sh $(FLINK_1))"
	built="$$(mktemp)"
	trap 'rm -f "$$built"' EXIT
	streampark-core/runner/build.sh "$$flink" "$$built"
	cmp "$$built" streampark-core/runner/sql-runner.jar
	echo "check-runner: sql-runner.jar is what its source gives"

.PHONY: check-python
check-python: system venv
	$(SERVERS)/develop.sh
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python -p streampark-py
	$(BIN)/pyright --pythonpath $(BIN)/python examples/*.py
	(cd streampark-py && ../$(BIN)/python -m mypy)
	$(BIN)/python -m mypy.stubtest streampark._streampark --mypy-config-file streampark-py/pyproject.toml

.PHONY: bench
bench: $(if $(filter fleet% noticed submit,$(FIGURES)),system,system-hadoop) ## figures against real Flink, real Hadoop and simulated endpoints; FIGURES="fleet noticed" for some of them
	@$(flink_env)
	$(if $(if $(FIGURES),$(filter yarn-submit yarn-again,$(FIGURES)),all),$(hadoop_env))
	$(CARGO) build --quiet --release --locked -p streampark-tests --bins
	target/release/bench $(FIGURES)

.PHONY: docs
docs: ## the API documentation, in target/doc
	$(CARGO) doc --locked --workspace --no-deps

.PHONY: runner
runner: system ## rebuilds the embedded SQL runner after a change of its source
	streampark-core/runner/build.sh "$$($(SERVERS)/flink.sh $(FLINK_1))"

.PHONY: system system-hadoop system-projects venv
system:
	@$(SERVERS)/system.sh
system-hadoop:
	@$(SERVERS)/system.sh hadoop
system-projects:
	@$(SERVERS)/system.sh projects
venv:
	@$(SERVERS)/venv.sh >/dev/null
.ONESHELL:
