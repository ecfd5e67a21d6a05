# Set-up and the project's main jobs. Nothing here asks a question or needs a GPU, an account or more than a package registry.
PYTHON ?= python3
DATA ?= data
BIN := .venv/bin

.PHONY: install reproduce test test-slow lint types bench pretrained example clean

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[dev,wandb,hub]'
	touch $@

reproduce: install
	$(BIN)/python reproductions/dcgan.py fit --recipe digits

# A process a core, at most four, with one thread each: side by side they would only wait for each other's threads.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: install
	$(PYTEST)

test-slow: install
	$(PYTEST) -m 'slow or not slow'

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/growing.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/frechet_distance.py
	$(BIN)/python benchmarks/kernel_distance.py

# The releases that are missing: hours on one core, each cut off at its own time; goes on where it stopped.
pretrained: install
	$(BIN)/python -m zoo pretrain --data_dir '$(DATA)'
	$(BIN)/python -m zoo releases --picture docs/samples.png

# The example of `zoo compare` in reproductions/records: seven runs of six papers, an hour and a quarter on one core.
EXAMPLE := runs/example
EXAMPLE_PAGE := reproductions/records/compare-digits
EXAMPLE_NOTE := An example: 150,000 images are a short run. WGAN and WGAN-GP update G once for five batches, so that they \
are early in their training here. Wall time: one core that was shared with other work, in parts that differ from run to \
run; compare over images seen.
example: install
	set -e; for run in gan:0 dcgan:0 dcgan:1 lsgan:0 cgan:0 wgan:0 wgan_gp:0; do \
		script=reproductions/$${run%:*}.py; folder=$(EXAMPLE)/$${run%:*}-seed$${run#*:}; \
		test -f $$folder/result.json || $(BIN)/python $$script fit --recipe digits --run_dir $$folder \
			--seed_everything $${run#*:} --images 150000 --evaluation.every 25000 --keep.grid_every 25000 \
			--keep.checkpoint_every 25000 --keep.monitor fd_lenet2k; \
		for at in best last; do $(BIN)/python $$script test --run_dir $$folder --ckpt_path $$at --evaluation.extractors '[lenet]'; done; \
	done
	$(BIN)/python -m zoo compare $(EXAMPLE) --page $(EXAMPLE_PAGE).html --note "$(EXAMPLE_NOTE)"
	$(BIN)/python tests/headless_browser.py $(EXAMPLE_PAGE).html $(EXAMPLE_PAGE).png

clean:
	rm -rf .venv build dist *.egg-info
