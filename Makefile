# Set-up and the project's main jobs. Nothing here asks a question or needs a GPU, an account or more than a package registry.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install reproduce test test-slow lint types bench clean

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev,wandb]'
	touch $@

reproduce: install
	$(BIN)/python reproductions/dcgan.py fit --recipe digits

test: install
	$(BIN)/python -m pytest

test-slow: install
	$(BIN)/python -m pytest -m 'slow or not slow'

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/growing.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/evaluation.py

clean:
	rm -rf .venv build dist *.egg-info
