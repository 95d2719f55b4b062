# Polytask: `make help` lists the targets. PYTHON=python3.12 make test picks another interpreter.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow mutants frozen lint bench clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two test processes with one thread each: more threads wait for each other and are slower on small machines.
TEST_JOBS ?= 2
PYTEST_ARGS ?=
MUTANTS_ARGS ?=
BASE ?= main
FROZEN_ARGS ?=
# PYTHONDONTWRITEBYTECODE is emptied, because many tests start processes: without .pyc files each compiles the package.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MPLBACKEND=Agg PYTHONDONTWRITEBYTECODE=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## the environment in .venv, pinned by constraints.txt

# torch first and through the constraints, so that the rest resolves around it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## phantom cohort, plan, a small study, its report and its answer; about 8 minutes once installed
	@PATH="$(abspath $(BIN)):$$PATH" examples/demo.sh demo

test: $(STAMP) ## the fast tests, 10 to 13 minutes on 2 cores
	$(TEST_ENV) $(BIN)/python -m pytest -m "not slow" -n $(TEST_JOBS) $(PYTEST_ARGS)

test-slow: $(STAMP) ## the tests that train long; also installs Ray, which a study can run on
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]'
	$(TEST_ENV) $(BIN)/python -m pytest -m slow --timeout 1800 $(PYTEST_ARGS)

mutants: $(STAMP) ## do the tests notice a changed line? MUTANTS_ARGS="--count 20 --seed 1" tries fewer; takes hours
	$(TEST_ENV) $(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

frozen: $(STAMP) ## does a redesign change nothing a user can measure? BASE=COMMIT; FROZEN_ARGS=--all for all combinations
	$(TEST_ENV) $(BIN)/python -m tests.frozen $(BASE) $(FROZEN_ARGS)

lint: $(STAMP) ## ruff (rules and format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## every figure we quote, measured here: each file in benchmarks/ prints its ratio
	@failed=0; for file in benchmarks/[a-z]*.py; do echo "$$file"; $(BIN)/python "$$file" || failed=1; done; exit $$failed

clean: ## remove the environment, the demo and all caches
	rm -rf $(VENV) demo build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
