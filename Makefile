# Each target works on a new machine that has Python (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
TOO_OLD = error: jaxvision needs Python 3.11 or newer with venv; this is `$(PYTHON) --version 2>&1`. Another: make PYTHON=python3.12 $(MAKECMDGOALS)

# $(call venv,FOLDER) makes a virtual environment, anew where its Python is too old or came without pip.
venv = test -x $(1)/bin/pip && $(1)/bin/python $(NEW_ENOUGH) || { \
	$(PYTHON) $(NEW_ENOUGH) 2>/dev/null || { echo "$(TOO_OLD)" >&2; exit 1; }; $(PYTHON) -m venv --clear $(1); }

.PHONY: demo test test-long test-exhaustive test-peers mutants bench docs notebooks lint format

demo: .venv/installed  ## train ResNet on real handwritten digits, minutes on a laptop
	$(BIN)/python launch.py --experiment=classification/resnet --workdir=runs/demo

test: lint  ## everything that needs no optional peer and no long run
	$(BIN)/python -m pytest -n auto --dist=loadfile -q

test-long: .venv/installed-tests  ## programs killed in each stage, whole comparisons
	$(BIN)/python -m pytest -n auto --dist=loadfile -q -m long

test-exhaustive: .venv/installed-tests  ## hours: every experiment on 1 to 8 devices and lowered for GPU and TPU, 100 kills
	$(BIN)/python -m pytest -n auto --dist=load -q -m exhaustive

lint: .venv/installed-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed-tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-peers: .venv-peers/installed  ## against torch, torchvision, pycocotools and OpenCV
	.venv-peers/bin/python -m pytest -q -m peer

mutants: .venv/installed-tests  ## makes mistakes in a copy of the code one by one, each of which a test must find; minutes
	$(BIN)/python tests/mutants.py

bench: .venv/installed  ## all of benchmarks/ on this machine, on one page, with ratios against the last page; hours with torch
	$(if $(wildcard .venv-peers/installed),.venv-peers/bin,$(BIN))/python benchmarks/page.py

docs: .venv/installed-tests .venv/installed-docs  ## the pages and the reference, into site/, to be read without network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest -q -m site tests/docs_test.py

notebooks: .venv/installed .venv/installed-docs  ## executes docs/notebooks anew; minutes
	$(BIN)/python docs/notebooks/execute.py

.venv/installed: requirements.txt
	@$(call venv,.venv)
	$(BIN)/pip install -q -r requirements.txt
	touch $@

.venv/installed-tests: .venv/installed tests/requirements.txt
	$(BIN)/pip install -q -r tests/requirements.txt
	touch $@

.venv/installed-docs: .venv/installed docs/requirements.txt
	$(BIN)/pip install -q -r docs/requirements.txt
	touch $@

.venv-peers/installed: requirements.txt tests/requirements.txt tests/requirements-peers.txt
	@$(call venv,.venv-peers)
	.venv-peers/bin/pip install -q -r requirements.txt -r tests/requirements.txt -r tests/requirements-peers.txt
	touch $@
