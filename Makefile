# Needs make and Python 3.11 or newer, nothing else. Everything is installed into .venv.

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.installed
JOBS   ?= 2

# The first Python that is new enough and can make a virtual environment; `make PYTHON=...` overrides.
CHECK_PYTHON := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
    "$$python" -c '$(CHECK_PYTHON)' 2>/dev/null && { command -v "$$python"; break; }; done)

.PHONY: help demo test lint docs bench all-tools format bless clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    recognise handwritten digits with a compiled ONNX model"
	@echo "make test    run the tests (JOBS=$(JOBS) processes)"
	@echo "make bless   rewrite the expected part of the text tests and the documentation"
	@echo "make lint    formatting, lint, types, import layers, size budgets"
	@echo "make format  rewrite the sources in the house format"
	@echo "make docs    build the documentation into site/"
	@echo "make bench   compare with other runtimes (installs PyTorch and OpenVINO)"
	@echo "make clean   remove everything that was built"

demo: $(STAMPS)/onnx
	$(BIN)/python examples/digits/demo.py

test: $(STAMPS)/test
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

bless: $(STAMPS)/test
	$(BIN)/python -m pytest -q --bless tests/text tests/docs

lint: $(STAMPS)/lint
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/budget.py

format: $(STAMPS)/lint
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(STAMPS)/docs
	$(BIN)/mkdocs build --strict

bench: $(STAMPS)/bench
	$(BIN)/python -m benchmarks $(ARGS)

# One installation for all of test, lint and docs: what continuous integration wants.
all-tools: $(STAMPS)/onnx,test,lint,docs
	@touch $(STAMPS)/onnx $(STAMPS)/test $(STAMPS)/lint $(STAMPS)/docs

clean:
	rm -rf $(VENV) site build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
	    .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of extras; it is current until pyproject.toml changes. The package itself is
# installed editable, so that a change of the sources needs no new installation.
$(STAMPS)/%: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[onnx,$*]'
	@mkdir -p $(STAMPS) && touch '$@'

# pip is the last thing that venv writes: an interrupted creation starts again.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "relay needs Python 3.11 or newer with the venv module:" \
	    "none was found on PATH. Try: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
