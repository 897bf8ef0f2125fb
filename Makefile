# Everything here needs Python 3.11 to 3.13 and make, and nothing else: the first target that is made installs the rest.
PYTHON ?= python3
ARGS ?= experiment=mnist_fast
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help install train check format test test-all bench record clean

help: ## What can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY) ## Create .venv with the tested versions of everything (about 5.5 GB on Linux, most of it CUDA)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "gan-cli needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: $(READY) ## Train the fast GAN of digits, three minutes; ARGS="model=dcgan loss=lsgan" trains something else
	$(BIN)/gan-train $(ARGS)

check: $(READY) ## Formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Format, and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(READY) ## The quick tests, on every core
	$(BIN)/pytest -n auto

test-all: $(READY) ## All tests, the slow ones too
	$(BIN)/pytest -n auto -m "not gpu"

bench: $(READY) ## Measure the training step and the start, beside the loops that people copy (a few minutes)
	$(BIN)/python benchmarks/bench.py

record: $(READY) ## How fast is experiment=mnist_fast as good as the course's DCGAN? A quarter of an hour a seed, 10 seeds
	$(BIN)/python benchmarks/record.py

clean: ## Remove .venv and caches; runs stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build dist
