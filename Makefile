# `make demo` and `make test` set up what they need in .venv; they need Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The interpreters of `make test-all`; each gets an environment of its own.
PYTHONS ?= python3.11 python3.12 python3.13
# PyTorch and JAX live in an environment of their own.
RECIPES_VENV ?= .venv-recipes
# So do Spark and Beam, which want other versions of what we need.
SPARK_VENV ?= .venv-spark
BEAM_VENV ?= .venv-beam
OUTPUT ?= demo
# The built package is installed here, away from the sources.
WHEEL_VENV ?= .venv-wheel
VERBS = $(shell $(BIN)/python -c \
  "from bigearthnet.util.console import COMMANDS; print(*COMMANDS)")

.PHONY: help demo test test-all test-engines recipes docs lint format wheel clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1 \t/'

# Two models learn the six patches by heart: an overfitting check, not a result.
SAMPLE := train+test+excluded
MODELS := s_cnn_all s_cnn_rgb
comma := ,
workdirs := $(subst $() ,$(comma),$(MODELS:%=$(OUTPUT)/runs/%))

demo: $(VENV)/.demo ## Build, load and learn the six real sample patches
	$(BIN)/python -m builder.demo --output=$(OUTPUT)
	for model in $(MODELS); do \
	  run="--data_dir=$(OUTPUT)/data --workdir=$(OUTPUT)/runs/$$model" && \
	  $(BIN)/python -m baselines.train --run=sample --model=$$model --restart $$run && \
	  $(BIN)/python -m baselines.evaluate --split=$(SAMPLE) $$run || exit 1; \
	done
	$(BIN)/python -m baselines.compare --split=$(SAMPLE) --workdirs=$(workdirs) \
	  --data_dir=$(OUTPUT)/data --output=$(OUTPUT)/comparison

test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: ## Run all tests on every interpreter of PYTHONS
	for python in $(PYTHONS); do \
	  $(MAKE) test PYTHON=$$python VENV=.venv-$$(basename $$python) || exit 1; \
	done

test-engines: $(SPARK_VENV)/.spark-tests $(BEAM_VENV)/.beam-tests ## Test Spark and Beam
	for venv in $(SPARK_VENV) $(BEAM_VENV); do \
	  $$venv/bin/python -m pytest -m engines tests/bigearthnet/engine/engines || exit 1; \
	done

recipes: $(RECIPES_VENV)/.recipes ## Run docs/recipes.md with PyTorch and JAX
	$(RECIPES_VENV)/bin/python -m pytest -n auto --dist worksteal tests/docs

docs: $(VENV)/.docs ## Make the site, with the notebooks run: build/site/index.html
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m sphinx --quiet --fail-on-warning \
	  --keep-going -c docs -d build/doctrees . build/site
	@echo "build/site/index.html"

lint: $(VENV)/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: $(VENV)/.dev ## Build the package, and try it in an empty environment
	$(BIN)/python -m build
	rm -rf $(WHEEL_VENV)
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet "$$(ls -t dist/*.whl | head -1)[demo]"
	cd $(WHEEL_VENV) && for verb in $(VERBS); do \
	  bin/bigearthnet $$verb --help > /dev/null || exit 1; \
	done && bin/bigearthnet demo --output=demo

clean: ## Remove what the other targets made
	rm -rf .venv* $(VENV) $(RECIPES_VENV) $(OUTPUT) build dist *.egg-info

# A stamp per extra, so that each is installed once and again when setup.cfg changes.
$(VENV)/.% $(RECIPES_VENV)/.% $(SPARK_VENV)/.% $(BEAM_VENV)/.%: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --editable '.[$*]'
	touch $@
