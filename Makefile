# Bitextile. `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONSTRAINTS = -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint fix wheel clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.base: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check $(CONSTRAINTS) -e '.[test]'
	touch $@

$(VENV)/.all: $(VENV)/.base
	$(BIN)/pip install -q --disable-pip-version-check $(CONSTRAINTS) torch
	$(BIN)/pip install -q --disable-pip-version-check $(CONSTRAINTS) -e '.[all,dev]'
	touch $@

demo: $(VENV)/.base  ## The main job on the bundled newsroom: crawl, align, distill, score
	PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

test: $(VENV)/.base  ## The tests that need no extra, in under five minutes
	$(BIN)/pytest -q -m "not slow and not browser and not train and not realdata"

test-all: $(VENV)/.all  ## Every test; those without a browser or the data folder say so
	$(BIN)/pytest -q

lint: $(VENV)/.all  ## ruff and mypy
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/.all  ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.all  ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

clean:  ## Remove what these targets made
	rm -rf $(VENV) build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
