# Two commands do all set-up on a machine with python3 (3.10 to 3.13) and make:
#   make demo    adapt an RGB model to depth on the embedded synthetic benchmark
#   make test    lint, types and all tests of the core and the plugins
# and for whoever changes the code:
#   make test-fast   tests of every room and one small run of each method, in about two minutes
#   make docs        the documentation site, in site/; open site/index.html
#   make docs-pages  figures, tables and references of the pages, made again from results and code
# Interrupting either and calling it again works: each step leaves a mark only when it is complete.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml)))
EDITABLE := $(foreach plugin,$(PLUGINS),-e ./$(plugin))
DECLARED := pyproject.toml $(wildcard plugins/*/pyproject.toml) plugins/requirements.txt
DEMO ?= run --method tgkt --resume

.PHONY: demo test test-fast lint docs docs-pages check-python clean

demo: $(VENV)/installed
	$(BIN)/sfda-kit $(DEMO)

test: $(VENV)/installed-dev lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-fast: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow"

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev docs-pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

docs-pages: $(VENV)/installed-dev
	$(BIN)/python docs/_site/generate.py

$(VENV)/created: | check-python
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/created $(DECLARED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . $(EDITABLE)
	touch $@

$(VENV)/installed-dev: $(VENV)/created $(DECLARED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r plugins/requirements.txt
	touch $@ $(VENV)/installed

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "sfda-kit needs Python 3.10 to 3.13; $(PYTHON) is not. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv or ensurepip. On Debian and Ubuntu: sudo apt install python3-venv;"; \
	  echo "elsewhere install the full Python package, or point to another one: make PYTHON=/path/to/python3"; exit 1; }

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache
