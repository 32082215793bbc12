# `make demo` edits the recording that ships with the project; `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin
# setuptools warns of every editable installation; nobody who runs `make demo` can act on it
PIP = PYTHONWARNINGS=ignore $(RUN)/python -m pip install --quiet

.PHONY: demo test test-all lint bench music clean

demo: $(VENV)/.base
	$(RUN)/rl-editor demo --folder demo_output

test: $(VENV)/.dev
	$(RUN)/python -m pytest -q rl_editor/tests/

test-all: $(VENV)/.dev
	RL_EDITOR_MUSIC=$(CURDIR)/music $(RUN)/python -m pytest -q -m "slow or not slow" rl_editor/tests/

lint: $(VENV)/.dev
	$(RUN)/ruff check rl_editor benchmarks
	$(RUN)/ruff format --check rl_editor benchmarks
	$(RUN)/mypy rl_editor

bench: $(VENV)/.dev
	$(RUN)/python -m benchmarks.features
	$(RUN)/python -m benchmarks.edit

music: $(VENV)/.dev
	$(RUN)/python -m benchmarks.fetch_music --folder music

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(VENV)/.base: $(VENV)/bin/python pyproject.toml
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(PIP) --editable ".[dev]"
	touch $@

clean:
	rm -rf build dist *.egg-info demo_output .pytest_cache .ruff_cache .mypy_cache
