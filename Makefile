# Analysis Facility: `make help` lists what there is.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install install-dev install-root demo up down test test-engines soak \
	bench lint type lock clean

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

install: ## Set up .venv (PYTHON=/path chooses the Python, >= 3.11)
	@.ci/install requirements.lock requirements-kernels.lock

install-dev: ## What the tests and checks need, too
	@.ci/install requirements.lock requirements-dev.lock

install-root: ## ROOT itself, too
	@.ci/install requirements.lock requirements-root.lock

demo: install ## Real collisions to a Z peak, on a facility of your own
	@FACILITY_INSTALL_SECONDS=$$(cat .venv/install-seconds) \
		$(BIN)/facility demo --out demo-output

up: install ## Start the facility and print the link to it
	@$(BIN)/facility up

down: ## Stop the facility
	@$(BIN)/facility down

test: install-dev ## Tests that any user can run, without engines or network
	$(PYTEST) -m "not engines and not soak"

test-engines: ## Tests against real engines (installs Debian packages: root)
	.ci/system-packages
	@.ci/install requirements.lock requirements-dev.lock requirements-root.lock
	$(PYTEST) -m "engines and not soak"

soak: install-dev install-root ## The full fault and load runs; hours
	$(PYTEST) -m soak

bench: install-dev ## Measure, side by side with bare JupyterHub and dask-gateway
	$(BIN)/python tests/benchmarks $(if $(ROUNDS),--rounds $(ROUNDS))

lint: install-dev ## Style, formatting, who imports whom, nothing of this machine
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/python .ci/check-lock
	.ci/check-names

type: install-dev ## Static types
	$(BIN)/mypy

lock: ## Write the lock files again (UPGRADE=1 takes newer versions)
	@.ci/lock

clean: ## Stop the facility and remove what make and the tools have made, .venv too
	@! test -x $(BIN)/facility || $(BIN)/facility down
	rm -rf .venv demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
