# All set-up on a machine with Python 3.11+, pip, venv and make. `make demo` trains and writes, `make test` tests,
# `make notebooks` opens JupyterLab.

PYTHON ?= python3
BIN := .venv/bin
RUN := runs/demo

.PHONY: demo test test-all test-lowest lint notebooks notebooks-build notebooks-check

demo: .venv/ready
	@if [ -e $(RUN)/last.npz ]; then \
	    $(BIN)/python train.py --run $(RUN) --resume; \
	else \
	    $(BIN)/python train.py --config configs/demo.toml --run $(RUN); \
	fi
	@echo
	$(BIN)/python sample.py $(RUN) --length 600 --temperature 0.7 --prime "ROMEO:"

# One process per core, and one BLAS thread: the arrays in the tests are small, and threads that wait for each other slow
# everything down. The order of the tests is random; the last lines say how to repeat it.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest

test: .venv/ready-to-test
	$(PYTEST) -n auto -m "not long"

test-all: .venv/ready-to-test
	$(PYTEST) -n auto -m "not alone"
	$(PYTEST) -m alone

# the lowest versions that pyproject.toml allows
test-lowest: .venv/lowest/ready
	OPENBLAS_NUM_THREADS=1 .venv/lowest/bin/python -m pytest -n auto -m "not long"

lint: .venv/ready-to-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

notebooks: .venv/ready-for-notebooks
	$(BIN)/jupyter lab notebooks

# one BLAS thread here too, for the same reason and so that outputs are the same on every machine
notebooks-build: .venv/ready-for-notebooks
	OPENBLAS_NUM_THREADS=1 $(BIN)/python notebooks/build.py

notebooks-check: .venv/ready-for-notebooks
	OPENBLAS_NUM_THREADS=1 $(BIN)/python notebooks/build.py --check

docs/grid-block.png: minigrid/plots/block.py .venv/ready
	$(BIN)/python -c 'from minigrid.plots import grid_block; grid_block().savefig("$@", dpi=110)'

# the page that is written with it goes where it is not committed
docs/gates.png: minigrid/plots/gates.py minigrid/pretrained/toywiki-grid-1.npz .venv/ready
	mkdir -p runs
	$(BIN)/python -m minigrid inspect minigrid/pretrained/toywiki-grid-1.npz --out runs/gates.html \
	    --text 'The dufaro sifin.<ref>[http://www.vusral.net/dinulor?id=103 Vusral dinulor]</ref> In the '
	cp runs/gates.png $@

.venv/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("minigrid needs Python 3.11 or newer: make PYTHON=/path/to/it")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/ready: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/ready-to-test: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@ .venv/ready

# CuPy and the compiler of CUDA, for tests that need neither a GPU nor a driver. In a folder of their own: where CuPy
# can be imported, minigrid looks for a GPU.
.venv/cuda/ready: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target .venv/cuda \
	    "cupy-cuda13x>=14" nvidia-cuda-nvrtc
	@touch $@

# with the oldest Python too: the oldest packages have no wheels for newer ones
.venv/lowest/ready: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m uv venv --quiet --allow-existing --python 3.11 .venv/lowest
	$(BIN)/python -m uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct --editable ".[test]"
	@touch $@

# for training on several processes, and for the tests of that
.venv/ready-for-mpi: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[mpi]"
	@touch $@ .venv/ready

.venv/ready-for-notebooks: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[jupyter]"
	@touch $@ .venv/ready
