# Each target works on a new machine that has Python (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-peers lint format

demo: .venv/installed  ## train ResNet on real handwritten digits, minutes on a laptop
	$(BIN)/python launch.py --experiment=classification/resnet --workdir=runs/demo

test: lint  ## everything that needs no optional peer
	$(BIN)/python -m pytest -n 2 --dist=worksteal -q

lint: .venv/installed-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed-tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-peers: .venv-peers/installed  ## against torch, torchvision, pycocotools and OpenCV
	.venv-peers/bin/python -m pytest -q -m peer

.venv/installed: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements.txt
	touch $@

.venv/installed-tests: .venv/installed tests/requirements.txt
	$(BIN)/pip install -q -r tests/requirements.txt
	touch $@

.venv-peers/installed: requirements.txt tests/requirements.txt tests/requirements-peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -q -r requirements.txt -r tests/requirements.txt -r tests/requirements-peers.txt
	touch $@
