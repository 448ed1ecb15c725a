# `make demo` and `make test` set up what they need in .venv; they need Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUTPUT ?= demo

.PHONY: help demo test lint format wheel clean

help: ## Show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1 \t/'

demo: $(VENV)/.demo ## Build, load and compare the six real sample patches
	$(BIN)/python -m builder.demo --output=$(OUTPUT)

test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(VENV)/.dev ## Build the package
	$(BIN)/python -m build --wheel

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(OUTPUT) build dist *.egg-info

# A stamp per extra, so that each is installed once and again when setup.cfg changes.
$(VENV)/.%: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
