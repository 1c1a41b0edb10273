# Every target sets up what it needs. A fresh Debian or Ubuntu machine needs make, python3 and python3-venv, no more.
#   make PYTHON=/path/to/python3.12       another interpreter
#   make TORCH_INDEX=URL                  an index that has PyTorch's CPU build (see docs/getting-started.md)
#   make test ARGS="-k packaging -x"      arguments for pytest

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo board test lint bench docs clean

VENV ?= .venv
# The first interpreter that is new enough; an unusable one is kept as the last resort so that the message names it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; exit; fi; done; echo python3)
BIN := $(VENV)/bin
ARGS ?=
TORCH_INDEX ?=

# One thread per process: results do not hang on the machine's size, and worker processes do not fight for cores.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The environment form reaches the isolated build as well: older pips take the first, newer ones the second.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.installed  ## set up .venv with exact versions and install wbench into it

demo: $(VENV)/.installed  ## the main job on small data: generate, evaluate, build the board in wbench-demo/
	$(BIN)/wbench demo --out wbench-demo

board: $(VENV)/.installed  ## the published board: score leaderboard/board.toml, lay results out, build site/ (ARGS="--data FOLDER")
	$(BIN)/python tools/board.py $(ARGS)

test: lint  ## lint, then run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.installed-dev  ## ruff, mypy --strict, import contracts, file lengths
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:generators:tasks:baselines:leaderboard $(BIN)/lint-imports --no-logo
	$(BIN)/python tools/check_files.py

bench: $(VENV)/.installed  ## speed against the plain simulator loop, as ratios in one run
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/.installed-docs  ## build the documentation into site/
	$(BIN)/mkdocs build --strict

clean:  ## remove what was built (.venv, data/ and results/ stay)
	rm -rf build dist site wbench-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------ the environment
# venv and ensurepip are tried first: Debian ships python3 without them, and a failed `-m venv` leaves half a folder.

$(BIN)/python:
	@$(PYTHON) -c 'pass' 2>/dev/null || { echo "wbench: no python3 here. Debian, Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "wbench: needs Python >= 3.11, '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "wbench: '$(PYTHON)' has no venv with ensurepip. Debian, Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing exact versions from constraints.txt into $(VENV): minutes the first time, PyTorch is the large one"
	$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP_INSTALL) --editable '.[dev,rt]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@
