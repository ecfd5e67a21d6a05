# Set-up and the project's main jobs. Nothing here asks a question or needs a GPU, an account or more than a package registry.
PYTHON ?= python3
DATA ?= data
BIN := .venv/bin

.PHONY: install reproduce test test-slow lint types bench pretrained clean

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev,wandb]'
	touch $@

reproduce: install
	$(BIN)/python reproductions/dcgan.py fit --recipe digits

# A process a core, at most four, with one thread each: side by side they would only wait for each other's threads.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test: install
	$(PYTEST)

test-slow: install
	$(PYTEST) -m 'slow or not slow'

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

# The releases that are missing: about a day on one core in all, each cut off at its own time; goes on where it stopped.
pretrained: install
	$(BIN)/python -m zoo pretrain --data_dir '$(DATA)'

clean:
	rm -rf .venv build dist *.egg-info
