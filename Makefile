VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: typecheck
typecheck:
	@mkdir -p build/typecheck/forgefield
	@for room in storage labelers trainers platform; do ln -sfn ../../../$$room build/typecheck/forgefield/$$room; done
	$(BIN)/mypy -p forgefield.storage -p forgefield.labelers -p forgefield.trainers -p forgefield.platform
