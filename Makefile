SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-fast check lint types imports migrations docstrings bench clean

# A Python 3.11 to build .venv with; inside it everything is pinned by constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
PINS := pyproject.toml constraints.txt
CORES := $(wildcard routing/core modeling/core)
export PORT TANDEM_HOME

# One process per core, worksteal keeps neighbours together: each process has a
# database and a Redis prefix of its own.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

help: ## Show these lines
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.python:
	@test -n "$(PYTHON)" || { echo "Tandem needs Python 3.11 on PATH (or: make PYTHON=/path/to/python3.11 run)."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Tandem needs Python 3.11, $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Try: make PYTHON=/path/to/python3.11 run"; exit 1; }
	@echo "Creating .venv …"
	@"$(PYTHON)" -m venv .venv
	@touch $@

.venv/.runtime: .venv/.python $(PINS)
	@echo "Installing Tandem's packages into .venv (some minutes the first time) …"
	@$(PIP) -e '.[encoder]'
	@touch $@

.venv/.dev: .venv/.runtime $(PINS)
	@echo "Installing the development packages …"
	@$(PIP) -e '.[encoder,dev]'
	@touch $@

setup: .venv/.dev ## Create .venv with everything, for development

run: .venv/.runtime ## Install what is missing and run Tandem (PORT=8000, TANDEM_HOME=.data)
	@exec $(BIN)/python manage.py up

test: .venv/.dev ## Install what is missing and run the whole test suite
	@$(PYTEST) -m "not e2e"
	@$(PYTEST) -m e2e

test-fast: .venv/.dev ## Run the tests that need no browser, training or processes
	@$(PYTEST) -m "not slow and not e2e and not gpu"

check: lint types imports migrations docstrings test ## Run every check; what CI runs

lint: .venv/.dev ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.dev ## Check types (mypy strict)
	@$(BIN)/mypy .

imports: .venv/.dev ## Check that imports point down
	@$(BIN)/lint-imports

migrations: .venv/.dev ## Check that no migration is missing
	@$(BIN)/python manage.py makemigrations --check --dry-run

docstrings: .venv/.dev ## Check the numeric cores' docstrings
	@find $(CORES) -name '*.py' -print0 | xargs -0 -r $(BIN)/numpydoc lint

bench: .venv/.dev ## Run the benchmarks; JSON under benchmarks/results/
	@set -e; for script in benchmarks/[a-z]*.py; do $(BIN)/python "$$script"; done

clean: ## Remove caches; data in .data stays
	@rm -rf .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
