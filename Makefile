# `make` alone lists what there is. `run` and `test` need Python 3.11-3.13 and a package index.

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK_TOOLS := build/lock-tools

# Left empty, the first supported one of these is taken.
PYTHON ?=
PYTHONS = $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

MOLECULE ?= ethanol
BUDGET ?= 20ccsd
KILLS ?= 500
PROCESSES ?= 2
empty :=
RUN ?= runs/$(subst $(empty) ,-,$(subst /,_,$(MOLECULE)))-$(BUDGET)

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow crash lint typecheck lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: MOLECULE=$(MOLECULE) BUDGET=$(BUDGET) RUN=$(RUN) PYTHON=$(PYTHON)"

setup: $(STAMP)  ## Create or refresh .venv (run and test do it by themselves)

run: $(STAMP)  ## Plan and run a campaign: make run MOLECULE=toluene BUDGET=40ccsd
	@test -e '$(RUN)/plan.json' || $(BIN)/platform plan --molecule '$(MOLECULE)' \
	    --budget '$(BUDGET)' --workdir '$(RUN)' --out '$(RUN)/plan.json'
	@$(BIN)/platform run '$(RUN)/plan.json'

test: lint typecheck  ## Style, types and the fast tests, PROCESSES=2 files at a time
	$(BIN)/pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)  ## The tests that take minutes to hours
	$(BIN)/pytest -m slow --timeout 0

crash: $(STAMP)  ## Kill every process at every step, KILLS=500 times, and check
	rm -f build/crash.json
	KILLS=$(KILLS) $(BIN)/pytest -m crash_matrix --timeout 0 tests/crash/test_ray_kills.py tests/crash/test_kill_matrix.py

lint: $(STAMP)  ## Ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(STAMP)  ## Mypy, strict
	@mkdir -p build/typecheck/forgefield
	@for room in storage labelers trainers platform; do ln -sfn ../../../$$room build/typecheck/forgefield/$$room; done
	$(BIN)/mypy -p forgefield.storage -p forgefield.labelers -p forgefield.trainers -p forgefield.platform

lock: $(STAMP)  ## Rewrite constraints.txt; newest versions with LOCK_FLAGS=--upgrade
	@test -x $(LOCK_TOOLS)/bin/uv || { $(BIN)/python -m venv $(LOCK_TOOLS) && $(LOCK_TOOLS)/bin/pip install --quiet uv; }
	$(LOCK_TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
	    --no-annotate --custom-compile-command 'make lock' $(LOCK_FLAGS) \
	    --output-file constraints.txt pyproject.toml

clean:  ## Remove caches and build products; never runs/ or .venv
	rm -rf build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './runs/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(PYTHONS); do \
	    $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
	    $$python -c 'import ensurepip, venv' 2>/dev/null || { \
	        echo "$$python can't make virtual environments: install its venv package"; \
	        echo "(Debian, Ubuntu: apt install python3-venv) and try again."; exit 1; }; \
	    exec $$python -m venv $(VENV); \
	done; \
	echo "Forgefield needs Python 3.11, 3.12 or 3.13; tried: $(PYTHONS)."; \
	echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..."; exit 1

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the pinned libraries into $(VENV) (some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
