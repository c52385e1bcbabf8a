# Attune: `make` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
ATTUNE_KAFKA_LIB ?= $(HOME)/.cache/attune-kafka/lib
export ATTUNE_KAFKA_LIB
TESTS ?= tests

# Whether an interpreter fits: Debian's lacks ensurepip until python3-venv is installed.
FITS := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --no-config

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' \
		| awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.setup  ## install Attune into .venv, from the lock, hashes checked

.PHONY: setup-dev
setup-dev: $(VENV)/.setup-dev  ## the same with what tests and checks need

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if "$$python" -c '$(FITS)' 2>/dev/null; then \
			echo "creating $(VENV) with $$("$$python" -V)"; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo 'Attune needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian: apt-get install' \
		'python3-venv). Name one with make setup PYTHON=/path/to/python' >&2; \
	exit 1

$(VENV)/.setup: requirements.lock pyproject.toml | $(BIN)/python
	@echo 'installing requirements.lock'
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@echo 'compiling the loops of recommend: about a minute, once'
	@$(BIN)/python -c 'import services.recommend.main'
	@touch $@
	@echo 'ready: $(BIN)/attune --help'

$(VENV)/.setup-dev: $(VENV)/.setup requirements-dev.lock
	@echo 'installing requirements-dev.lock'
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: demo
demo: setup  ## the whole system on this machine with a simulated shop, then a report
	@$(BIN)/attune local $(ARGS)

.PHONY: test
test: setup-dev  ## set up, then run all tests (TESTS=path for some of them)
	@if command -v java >/dev/null && command -v mvn >/dev/null; then $(MAKE) -s kafka-jars; fi
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)

.PHONY: faults
faults: setup-dev  ## kill every process and server while events flow, then look for what was lost
	@$(MAKE) -s kafka-jars
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: faults-long
faults-long: setup-dev  ## the same with more of everything, each guard taken away in turn, and long tests
	@$(MAKE) -s kafka-jars
	@$(BIN)/python -m tests.faults --form long $(ARGS)
	@$(BIN)/python -m pytest -m long $(TESTS)

.PHONY: lint
lint: setup-dev  ## style, types, import rules, and whether the generated documents are fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_architecture.py
	$(BIN)/python -m services.commands.contracts --check docs

.PHONY: check
check: lint test faults  ## everything that CI runs

.PHONY: docs
docs: setup  ## generate openapi.json, asyncapi.yaml and settings.md in docs
	@$(BIN)/python -m services.commands.contracts docs

.PHONY: lock
lock: build/uv/bin/uv  ## resolve both lock files anew (UPGRADE=--upgrade for newer releases)
	@PATH="$(CURDIR)/build/uv/bin:$$PATH"; \
	$(COMPILE) $(UPGRADE) --group build pyproject.toml -o requirements.lock; \
	$(COMPILE) $(UPGRADE) --group dev -c requirements.lock -o requirements-dev.lock

build/uv/bin/uv: | $(BIN)/python
	@$(BIN)/python -m venv build/uv
	@build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

.PHONY: kafka-jars
kafka-jars: $(ATTUNE_KAFKA_LIB)/.complete  ## fetch Apache Kafka's jars for tests (needs Maven)

# Copied aside and moved, so that a download that was cut off is not taken for a whole one.
$(ATTUNE_KAFKA_LIB)/.complete: tests/fixtures/kafka/pom.xml
	@if ! ls $(@D)/kafka_2.13-4.1.0.jar >/dev/null 2>&1; then \
		echo 'fetching Apache Kafka for tests into $(@D)'; \
		rm -rf '$(@D).partial'; mkdir -p '$(dir $(@D))'; \
		mvn --quiet --batch-mode -f $< dependency:copy-dependencies \
			-DoutputDirectory='$(@D).partial' -DincludeScope=runtime </dev/null; \
		rm -rf '$(@D)'; mv '$(@D).partial' '$(@D)'; \
	fi
	@touch $@

.PHONY: clean
clean:  ## remove what builds and runs leave here (not .venv)
	@rm -rf build dist .attune .mypy_cache .pytest_cache .ruff_cache .hypothesis
