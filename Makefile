PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
# More threads than cores make small tensors slower, and one thread makes sums repeatable.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
PINS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint bench format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.installed-demo  ## train real images dense and sparse, print the table, write the report (a few minutes)
	$(BIN)/prunus demo

test: lint  ## linters, types, layers, tests and doctests
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --durations=10

check: test  ## what CI runs

lint: .venv/.installed-test  ## ruff, mypy and the layers, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/.installed-bench  ## run every benchmark and write benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py

format: .venv/.installed-test  ## let ruff fix and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and every cache
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python without ensurepip (as some distributions ship it) gets its pip from the one outside.
.venv/bin/pip:
	$(PYTHON) -m venv .venv || { $(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python .venv/bin/python install -q pip; }

# The stamp keeps a second run from installing again; it is older than its inputs once they change.
.venv/.installed-demo: EXTRAS := vision,report
.venv/.installed-test: EXTRAS := dev,lightning,transformers,vision,report
.venv/.installed-bench: EXTRAS := dev,lightning,transformers,vision,report,bench
.venv/.installed-%: $(PINS) | .venv/bin/pip
	@echo "Installing prunus[$(EXTRAS)] into .venv (once; takes a minute or two)"
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[$(EXTRAS)]" -c constraints.txt
	@touch $@
